"""The store: what comes out equals what cleaning gives, crashes and rivals leave it whole, people can leave it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import Terminal

import insula.windows.store.sets as sets
from insula.data import Problem, info, load
from insula.errors import DataError, InputError
from insula.evaluation.results import Result
from insula.signals.cleaner import CLEANING_VERSION, clean_trial
from insula.windows.cutting import cut
from insula.windows.store import Store, is_store
from insula.windows.table import Windows

OPTIONS = {"people": 3, "trials_per_emotion": 1, "trial_s": 8.0, "baseline_s": 8.0}
RECIPE = info("simulate").recipe


def held(store: Store, **options) -> Windows:
    found = store.hold("simulate", None, RECIPE, options=OPTIONS, **options)
    return cut(found.recordings, RECIPE, "emotion", clean=found.clean)


@pytest.fixture(scope="module")
def plain() -> Windows:
    return cut(load("simulate", **OPTIONS), RECIPE, "emotion")


@pytest.fixture(params=["disk", "memory://"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "store") if request.param == "disk" else f"memory://{uuid.uuid4().hex}"


def test_windows_from_a_store_are_those_of_memory(plain: Windows, where: str) -> None:
    stored = held(Store(where))
    assert stored.fingerprint() == plain.fingerprint()
    for name, values in plain.features().items():
        np.testing.assert_array_equal(stored.features()[name], values)
    np.testing.assert_array_equal(stored.present(), plain.present())
    for name, values in plain.quality().items():
        np.testing.assert_array_equal(stored.quality()[name], values)
    rows = np.random.default_rng(0).permutation(len(plain))[:20]
    for a, b in zip(plain.signals(rows), stored.signals(rows), strict=True):
        assert all(np.array_equal(a[m], b[m]) for m in a)


def test_second_run_reads_no_recording(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = held(Store(where)).fingerprint()

    def refuse(*_, **__):
        raise AssertionError("read again")

    monkeypatch.setattr(sets, "load", refuse)
    assert held(Store(where)).fingerprint() == first
    assert len(held(Store(where), subjects=["p02"]).table["subject"].unique()) == 1


def test_other_cleaning_makes_another_set_and_other_cutting_does_not(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    held(store)
    store.hold("simulate", None, replace(RECIPE, window_s=8.0), options=OPTIONS)
    assert len(store.sets()) == 1
    store.hold("simulate", None, RECIPE.only(("eda",)), options=OPTIONS)  # the set at hand holds more than is asked
    assert [one.people for one in store.sets()] == [3]
    slower = replace(RECIPE.signals["eda"], lowpass_hz=0.5)
    store.hold("simulate", None, replace(RECIPE, signals={"eda": slower}), options=OPTIONS)
    assert [one.people for one in store.sets()] == [3, 3]
    store.hold("simulate", None, RECIPE, options={**OPTIONS, "seed": 1})
    assert len(store.sets()) == 3


def test_changed_files_make_another_set(tmp_path: Path) -> None:
    root = study(tmp_path / "study")
    store = Store(tmp_path / "s")
    recipe = info("manifest").recipe
    first = store.hold("manifest", root, recipe)
    eda = root / "p1.csv"
    eda.write_text(eda.read_text().replace("2.5", "3.5"))
    os.utime(eda, ns=(0, 0))
    second = store.hold("manifest", root, recipe)
    key = next(iter(first.clean))
    assert len(store.sets()) == 2
    assert not np.array_equal(first.clean[key].signals["eda"], second.clean[key].signals["eda"])


def study(root: Path, people: int = 2) -> Path:
    """A manifest with a minute of skin conductance in two trials a person."""
    root.mkdir()
    lines = ["file,modality,subject,session,trial,stimulus,start,stop,rate,state"]
    for p in range(1, people + 1):
        (root / f"p{p}.csv").write_text("\n".join(["eda", *(f"{1.5 + p + 0.01 * (i * i % 97)}" for i in range(480))]))
        for t in range(2):
            state = "calm" if t else "tense"
            lines.append(f"p{p}.csv,eda,p{p},1,t{t},,{60 * t},{60 * t + 60},4,{state}")
    (root / "manifest.csv").write_text("\n".join(lines))
    return root


def test_a_killed_writer_leaves_only_whole_people(tmp_path: Path, plain: Windows) -> None:
    """The child dies by SIGKILL when the samples of the second person are on disk and the record is not."""
    child = (
        "import os, signal, insula.windows.store.folder as f\n"
        "from insula.windows.store import Store\n"
        "from insula.data import info\n"
        "whole = f.Folder.commit\n"
        "def commit(self, content, *parts):\n"
        "    if 'people' in parts and self.names(*parts[:-1]):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    whole(self, content, *parts)\n"
        "f.Folder.commit = commit\n"
        f"Store({str(tmp_path / 's')!r}).hold('simulate', None, info('simulate').recipe, options={OPTIONS!r})\n"
    )
    died = subprocess.run([sys.executable, "-c", child], check=False, capture_output=True, timeout=240)
    assert died.returncode == -signal.SIGKILL, died.stderr
    store = Store(tmp_path / "s")
    assert store.people() == ["p01"]
    folders = store.folder.names(store.sets()[0].key, "data")
    assert len(folders) == 2  # the dead writer's samples lie there, and nobody reads them
    assert store.sweep() == 0  # another writer could still be at work on them
    assert held(store).fingerprint() == plain.fingerprint()
    assert store.sweep(0.0) == 1


def test_a_torn_record_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "s")

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        held(store)
    monkeypatch.undo()
    assert not list((tmp_path / "s").rglob("*.partial"))
    assert not is_store(tmp_path / "s")
    assert len(held(Store(tmp_path / "t"))) > 0


def test_two_writers_at_once_do_not_spoil_each_other(tmp_path: Path, plain: Windows) -> None:
    child = (
        "import sys; from insula.windows.store import Store; from insula.data import info\n"
        "from insula.windows.cutting import cut\n"
        "recipe = info('simulate').recipe\n"
        "sys.stdin.readline()\n"
        f"h = Store({str(tmp_path / 's')!r}).hold('simulate', None, recipe, options={OPTIONS!r})\n"
        "print(cut(h.recordings, recipe, 'emotion', clean=h.clean).fingerprint())\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for one in both:
        one.stdin.write("go\n")
        one.stdin.flush()
    said = [one.communicate(timeout=240)[0].strip() for one in both]
    assert said == [plain.fingerprint()] * 2
    assert held(Store(tmp_path / "s")).fingerprint() == plain.fingerprint()


def test_people_cleaned_in_processes_are_the_same(tmp_path: Path, plain: Windows) -> None:
    seen: list[tuple[int, int]] = []
    found = held(Store(tmp_path / "s"), jobs=2, progress=lambda d, t: seen.append((d, t)))
    assert found.fingerprint() == plain.fingerprint()
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_readers_that_cannot_list_people_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    real = sets.load

    def counted(*args, **options):
        calls.append(options["subjects"])
        return real(*args, **options)

    monkeypatch.setattr(sets, "load", counted)
    monkeypatch.setattr(sets, "people", lambda *_, **__: None)
    first = held(Store(tmp_path / "s")).fingerprint()
    assert calls == [None]
    assert held(Store(tmp_path / "s")).fingerprint() == first
    assert calls == [None]


def test_problems_are_told_again_on_the_second_run(tmp_path: Path) -> None:
    root = study(tmp_path / "study")
    (root / "p2.csv").write_text("eda\nnonsense\n")
    store = Store(tmp_path / "s")
    told: list[list[Problem]] = []
    for _ in range(2):
        problems: list[Problem] = []
        found = store.hold("manifest", root, info("manifest").recipe, problems=problems)
        assert {r.subject for r in found.recordings} == {"p1"}
        told.append(problems)
    assert told[0]
    assert [(str(p.file), p.what, p.fatal) for p in told[0]] == [(str(p.file), p.what, p.fatal) for p in told[1]]
    with pytest.raises(DataError, match=r"p2\.csv"):
        Store(tmp_path / "strict").hold("manifest", root, info("manifest").recipe)
    with pytest.raises(DataError, match=r"p2\.csv"):  # also where an earlier run went on without that person
        store.hold("manifest", root, info("manifest").recipe)


def test_a_damaged_chunk_is_an_error_that_names_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    found = store.hold("simulate", None, RECIPE, options=OPTIONS)
    chunk = next(iter(sorted((tmp_path / "s").rglob("eeg/values/c/0/0"))))
    chunk.write_bytes(chunk.read_bytes()[:100])
    with pytest.raises(DataError, match="eeg/values/c/0/0"):
        [trial.signals["eeg"] for trial in found.clean.values()]
    chunk.unlink()
    with pytest.raises(DataError, match="No such file"):
        [trial.signals["eeg"] for trial in found.clean.values()]


def test_a_foreign_folder_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("chapter 1")
    with pytest.raises(InputError, match="holds other files"):
        Store(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        Store(tmp_path / "thesis.txt")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_store_inside_the_data_is_no_part_of_them(tmp_path: Path) -> None:
    root = study(tmp_path / "study")
    store = Store(root / "cleaned")
    store.hold("manifest", root, info("manifest").recipe)
    store.hold("manifest", root, info("manifest").recipe)
    assert len(store.sets()) == 1


def test_a_forgotten_person_leaves_no_trace(tmp_path: Path) -> None:
    root = study(tmp_path / "study", people=3)
    (root / "p2.csv").write_text("eda\nnonsense\n")
    store = Store(tmp_path / "s")
    store.hold("manifest", root, info("manifest").recipe, problems=[])
    assert store.forget("p3") == 2
    assert store.people() == ["p1", "p2"]
    assert store.forget("p2") == 0  # was damaged: only its problem was noted
    left = [p for p in (tmp_path / "s").rglob("*") if p.is_file()]
    assert left
    for file in left:
        for name in (b"p2", b"p3"):
            assert name not in file.read_bytes(), file
            assert name.decode() not in str(file.relative_to(tmp_path / "s"))
    assert store.forget("nobody") == 0


def test_a_person_in_a_note_of_another_is_forgotten_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "people", lambda *_, **__: None)
    real = sets.load

    def noting(*args, problems, **options):
        problems.append(Problem(Path("p02/eeg.edf"), "short", False))
        return real(*args, problems=problems, **options)

    monkeypatch.setattr(sets, "load", noting)
    store = Store(tmp_path / "s")
    problems: list[Problem] = []
    store.hold("simulate", None, RECIPE, options=OPTIONS, problems=problems)
    assert problems
    store.forget("p02")
    records = [json.loads(p.read_text()) for p in (tmp_path / "s").glob("*/people/*.json")]
    assert [r["problems"] for r in records] == [[], []]


def test_channels_that_differ_are_kept_apart_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sets.load

    def renamed(*args, **options):
        found = real(*args, **options)
        trial = found[0].trials[2]
        eda = replace(trial.signals["eda"], channels=("left",))
        other = replace(trial, signals={**trial.signals, "eda": eda})
        return (replace(found[0], trials=(*found[0].trials[:2], other, *found[0].trials[3:])), *found[1:])

    monkeypatch.setattr(sets, "load", renamed)
    found = Store(tmp_path / "s").hold("simulate", None, RECIPE, options=OPTIONS)
    assert {t.specs["eda"].channels for t in found.clean.values()} == {("eda",), ("left",)}
    with pytest.raises(DataError, match="left"):
        cut(found.recordings, RECIPE, "emotion", clean=found.clean)


def test_pickled_windows_carry_no_samples(tmp_path: Path, plain: Windows) -> None:
    import pickle

    stored = held(Store(tmp_path / "s"))
    size = len(pickle.dumps(stored))
    samples = sum(v.nbytes for t in plain.clean.values() for v in t.signals.values())
    assert size < samples / 10
    assert pickle.loads(pickle.dumps(stored)).fingerprint() == plain.fingerprint()


@pytest.mark.slow
def test_command_line_fills_reads_and_lists_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    insula = Terminal(monkeypatch, capsys)
    options = [part for k, v in OPTIONS.items() for part in ("--set", f"data.options.{k}={v}")]
    flags = ["--data", "simulate", *options]
    rows = ["--quick", "--epochs", 1, "--jobs", 1, "--set", 'compare.rows=["majority"]']
    where = tmp_path / "s"
    for name, more in (("a", ()), ("b", ("--store", where))):
        done = insula("evaluate", *flags, *rows, "--out", tmp_path / name, "--protocol", "leave_one_subject_out", *more)
        assert done.code == 0, done.err
    kept, stored = (Result.load(tmp_path / name) for name in "ab")
    assert kept.provenance["data_hash"] == stored.provenance["data_hash"]
    assert kept.predictions.equals(stored.predictions)
    listed = json.loads(insula("data", "store", where, "--json").out)
    assert [(one["people"], one["reader"]) for one in listed["sets"]] == [(3, "simulate")]
    monkeypatch.setattr(sets, "load", None)  # predict reads nothing but the store
    assert insula("predict", "--model", tmp_path / "b" / "model", *flags, "--store", where).code == 0
    assert insula("data", "store", tmp_path / "a").code == 2


def test_cleaning_is_what_its_version_says() -> None:
    # Fails when cleaning or the simulator gives other samples: raise CLEANING_VERSION or INFO.version, then the sums.
    recipe = info("simulate").recipe
    trial = load("simulate", people=2)[0].trials[0]
    sums = {m: round(float(np.abs(v).sum()), 2) for m, v in clean_trial(trial, recipe).signals.items()}
    assert (CLEANING_VERSION, info("simulate").version) == (1, 1)
    assert sums == pytest.approx(
        {"eeg": 538017.38, "eda": 735.71, "bvp": 33798.23, "temp": 4009.58, "hr": 2328.91}, rel=1e-4
    )
