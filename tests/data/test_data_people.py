"""Who is in a data set is told without reading signals, and one person is read without the others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures_bids import write_bids
from fixtures_data import lines, write_cogwear, write_e4, write_kerc2021, write_phymer, write_stress_predict
from fixtures_esports import write_esports
from fixtures_fmov import write_fmov
from fixtures_lab_eeg import write_deap, write_eav, write_eegemotions27, write_seed, write_seed_iv, write_seed_v
from fixtures_wesad import write_wesad
from hostile_data import CASES

from insula.data import READERS, Problem, load, people
from insula.errors import DataError, InputError
from insula.types import Recording, Signal


def _e4(root: Path) -> None:
    for number in (3, 20):
        write_e4(root / f"a{number}", seconds=12, seed=number)


def _manifest(root: Path) -> None:
    rows = []
    for k, person in enumerate(("bo", "ann", "cy")):
        lines(root / f"{person}.csv", [str(i % (5 + k)) for i in range(40)])
        rows += [f"{person}.csv,eda,{person},{t},4,{5 * t},{5 * t + 5},{'ab'[t % 2]}" for t in range(2)]
    lines(root / "people.csv", ["subject,openness", "ann,3", "bo,1"])
    lines(root / "manifest.csv", ["file,modality,subject,trial,rate,start,stop,label", *rows])


SEVERAL: Mapping[str, Any] = {
    "bids": write_bids,
    "cogwear_e4": write_cogwear,
    "deap": lambda root: write_deap(root, people=(3, 12), trials=2, seconds=4),
    "e4": _e4,
    "eav": lambda root: write_eav(root, people=(2, 11), segments=2, samples=500),
    "eegemotions27": lambda root: write_eegemotions27(root, seconds=1),
    "esports_sensors": lambda root: write_esports(root, seconds=10),
    "fmov": lambda root: write_fmov(root, clip_s=1.0),
    "kerc2021": lambda root: write_kerc2021(root, samples=4, seconds=2),
    "manifest": _manifest,
    "phymer": lambda root: write_phymer(root, seconds=2),
    "seed": lambda root: write_seed(root, people=(1, 12), seconds=1),
    "seed_iv": lambda root: write_seed_iv(root, people=(1, 12), seconds=1),
    "seed_v": lambda root: write_seed_v(root, people=(1, 16), seconds=1, rate_hz=50),
    "stress_predict": lambda root: write_stress_predict(root, (1, 2), block_s=8),
    "wesad": lambda root: write_wesad(root, people=(2, 10)),
}
"""A data set of several people where the reader's layout allows several."""
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "kerc2021": {"parts": ("train", "test")},
    "simulate": {"people": 3, "trials_per_emotion": 1, "trial_s": 4.0, "baseline_s": 4.0},
    "eav": {"audio": True},
    "fmov": {"trial_s": 0.6, "before_s": 0.2},
    "cogwear_e4": {"ppg": True},
}
UNLISTED = {"dreamer"}
"""One file holds everybody: nothing tells who is in it without reading it."""


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("people")


def written(base: Path, reader: str) -> tuple[Path | None, dict[str, Any]]:
    """Write the reader's data set once; return its root and the options to read it with."""
    options = dict(OPTIONS.get(reader, {}))
    if reader == "simulate":
        return None, options
    root = base / reader
    write, file = SEVERAL.get(reader), ""
    if write is None:
        case = CASES[reader]
        write, file, options = case.write, case.file, dict(case.options)
    if not root.exists():
        write(root)
    return root / file, options


def same_signal(one: Signal, other: Signal) -> None:
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.timestamps_s, other.timestamps_s)
    for name in ("rate_hz", "channels", "unit", "start_s"):
        assert getattr(one, name) == getattr(other, name), name


def same(one: Recording, other: Recording) -> None:
    for name in ("subject", "session", "traits", "provenance"):
        assert getattr(one, name) == getattr(other, name), name
    for a, b in zip(one.trials, other.trials, strict=True):
        for name in ("key", "start_s", "stop_s", "labels", "stimulus", "role"):
            assert getattr(a, name) == getattr(b, name), name
        assert list(a.signals) == list(b.signals)
        for name in a.signals:
            same_signal(a.signals[name], b.signals[name])


@pytest.mark.slow
@pytest.mark.parametrize("reader", sorted(READERS))
def test_people_are_those_that_load_gives_and_each_can_be_read_alone(roots: Path, reader: str) -> None:
    root, options = written(roots, reader)
    whole = load(reader, root, **options)
    names = sorted({r.subject for r in whole})
    listed = people(reader, root, **options)
    assert listed == (None if reader in UNLISTED else tuple(names))
    assert len(names) > 1 or reader in {"dreamer", "pseudo_trials"}
    for name in names:
        alone = load(reader, root, subjects=[name], **options)
        expected = [r for r in whole if r.subject == name]
        assert len(alone) == len(expected)
        for one, other in zip(alone, expected, strict=True):
            same(one, other)


_opened: list[set[Path]] = []
"""Where the files opened are noted, while somebody wants to know."""


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened and event == "open" and isinstance(arguments[0], str | Path):
        _opened[-1].add(Path(arguments[0]))


@pytest.fixture(scope="module")
def watched() -> None:
    sys.addaudithook(_note_opened)  # stays until the process ends, doing nothing


def opened(root: Path, do: Callable[[], object]) -> set[Path]:
    """Which files of a data set are opened while ``do`` runs."""
    _opened.append(set())
    try:
        do()
    finally:
        found = _opened.pop()
    return {file for file in found if file.is_relative_to(root) and file.is_file()}


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("reader", sorted(SEVERAL))
def test_neither_listing_nor_reading_one_person_opens_the_files_of_another(roots: Path, reader: str) -> None:
    root, options = written(roots, reader)
    assert root is not None
    names = people(reader, root, **options)
    assert names is not None
    listing = opened(root, lambda: people(reader, root, **options))
    each = [opened(root, partial(load, reader, root, subjects=[name], **options)) for name in names]
    shared = set.intersection(*each)
    own = [files - shared for files in each]
    assert all(own)
    assert sum(map(len, own)) == len(set.union(*own)), "a file is read for two people, and not for all"
    assert not listing & set.union(*own)
    assert max((file.stat().st_size for file in shared), default=0) < 100_000, "something big is read for everybody"


def test_options_and_roots_are_checked_as_in_load(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="option of reader 'simulate'"):
        people("simulate", peple=3)
    with pytest.raises(InputError, match="without a root"):
        people("deap")
    with pytest.raises(DataError, match=r"s01\.dat"):
        people("deap", tmp_path)
    with pytest.raises(InputError, match="people 0"):
        people("simulate", people=0)


def test_somebody_whose_file_is_damaged_is_listed(tmp_path: Path) -> None:
    write_deap(tmp_path, people=(1, 2), trials=2, seconds=4)
    (tmp_path / "data_preprocessed_python/s02.dat").write_bytes(b"no pickle")
    assert people("deap", tmp_path) == ("s01", "s02")
    problems: list[Problem] = []
    assert load("deap", tmp_path, subjects=["s02"], problems=problems) == ()
    assert problems[0].fatal


def test_one_person_of_several_parts_of_kerc(tmp_path: Path) -> None:
    """A person of one part is no unknown name in the other."""
    write_kerc2021(tmp_path, samples=4, seconds=2)
    only_train = set(people("kerc2021", tmp_path) or ()) - set(people("kerc2021", tmp_path, parts=("test",)) or ())
    assert only_train
    name = sorted(only_train)[0]
    recordings = load("kerc2021", tmp_path, subjects=[name], parts=("train", "test"))
    assert {r.subject for r in recordings} == {name}
