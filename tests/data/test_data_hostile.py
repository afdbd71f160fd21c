"""Damaged and hostile files: whatever their bytes, a reader gives recordings or one error that names the file."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from fixtures_data import lines
from hostile_data import CASES, Case, damaged, files_of

from insula.data import READERS, Problem, load
from insula.errors import DataError, InsulaError


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A written data set a case, made when first asked for."""
    base = tmp_path_factory.mktemp("hostile")
    return {name: base / name for name in CASES}


def root_of(roots: dict[str, Path], name: str) -> Path:
    case = CASES[name]
    if case.needs and importlib.util.find_spec(case.needs) is None:
        pytest.skip(f"{case.needs} is not installed (extra data)")
    if not roots[name].exists():
        case.write(roots[name])
        load(case.reader, roots[name] / case.file, **case.options)  # undamaged it reads
    return roots[name]


def attempt(case: Case, root: Path, file: Path, gather: bool) -> str:
    """Load and say how it ended; anything but recordings or one error that names a file of the data set fails."""
    problems: list[Problem] | None = [] if gather else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", module="insula")
        try:
            recordings = load(case.reader, root / case.file, problems=problems, **case.options)
        except InsulaError as error:
            told = str(error)
            recordings = None
    if recordings is None:
        assert str(root) in told or file.name in told, f"{file}: {told!r} names no file"
        return "error"
    for recording in recordings:
        for trial in recording.trials:
            for signal in trial.signals.values():
                assert signal.values.dtype == np.float32
                assert not np.isinf(signal.values).any(), f"{file}: infinite values"
    return "noted" if problems and any(p.fatal for p in problems) else "read"


def fuzz(name: str, root: Path, count: int, seed: int) -> dict[str, int]:
    case, rng = CASES[name], np.random.default_rng([seed, *name.encode()])
    files = files_of(root)
    told: dict[str, int] = {}
    for i in range(count):
        file = files[int(rng.integers(len(files)))]
        content = file.read_bytes()
        file.write_bytes(damaged(content, rng))
        try:
            how = attempt(case, root, file, gather=bool(i % 2))
        except BaseException:
            (root.parent / f"failed-{name}-{file.name}").write_bytes(file.read_bytes())
            raise
        finally:
            file.write_bytes(content)
        told[how] = told.get(how, 0) + 1
    return told


def test_every_reader_of_files_is_tried() -> None:
    assert {case.reader for case in CASES.values()} == set(READERS) - {"simulate"}


@pytest.mark.parametrize("name", CASES)
def test_a_few_damaged_files(roots: dict[str, Path], name: str) -> None:
    fuzz(name, root_of(roots, name), 4, seed=1)


@pytest.mark.slow
def test_a_thousand_damaged_files(roots: dict[str, Path]) -> None:
    there = {n: c for n, c in CASES.items() if c.needs is None or importlib.util.find_spec(c.needs) is not None}
    heavy = sum(case.heavy for case in there.values())
    each = -(-(1000 - 20 * heavy) // (len(there) - heavy))
    told = {name: fuzz(name, root_of(roots, name), 20 if case.heavy else each, seed=2) for name, case in there.items()}
    total = {how: sum(t.get(how, 0) for t in told.values()) for how in ("read", "noted", "error")}
    assert sum(total.values()) >= 1000
    assert min(total.values()) > 50, f"the damage should end in all ways: {told}"


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_file_cut_anywhere(roots: dict[str, Path], name: str) -> None:
    root, case = root_of(roots, name), CASES[name]
    largest: dict[str, Path] = {}
    for file in files_of(root):  # one file of each kind
        largest.setdefault("".join(file.suffixes[-2:]) + file.stem.rstrip("0123456789"), file)
    for file in list(largest.values())[:12]:
        content = file.read_bytes()
        size = len(content)
        ends = {0, 1, 2, 3, 7, size // 2, size - 1, size - 2, *np.linspace(0, min(size, 1200), 5, dtype=int).tolist()}
        try:
            for i, end in enumerate(sorted(e for e in ends if 0 <= e < size)):
                file.write_bytes(content[:end])
                attempt(case, root, file, gather=bool(i % 2))
        finally:
            file.write_bytes(content)


@pytest.mark.parametrize("inside", ["../out.csv", "/etc/hostname", "sub/../../out.csv", "link.csv", "folder/x.csv"])
def test_manifests_stay_inside_their_folder(tmp_path: Path, inside: str) -> None:
    root = tmp_path / "data"
    (root / "sub").mkdir(parents=True)
    lines(tmp_path / "out.csv", ["1", "2", "3"])
    (tmp_path / "elsewhere").mkdir()
    lines(tmp_path / "elsewhere/x.csv", ["1", "2", "3"])
    os.symlink(tmp_path / "out.csv", root / "link.csv")
    os.symlink(tmp_path / "elsewhere", root / "folder")
    lines(root / "manifest.csv", ["file,modality,subject,trial,rate", f"{inside},eda,ann,t,4"])
    with pytest.raises(DataError, match="lies outside"):
        load("manifest", root)


@pytest.mark.parametrize("name", [f"{'a' * 300}.csv", f"{'a' * 300}.fif", "a\x01b.csv", "é" * 200 + ".csv"])
def test_odd_file_names_are_errors(tmp_path: Path, name: str) -> None:
    lines(tmp_path / "manifest.csv", ["file,modality,subject,trial,rate", f"{name},eda,ann,t,4"])
    with pytest.raises(DataError, match=r"manifest\.csv: line 2: a file name of more|a.b\.csv: no such file"):
        load("manifest", tmp_path)


ZEROS = """
import json, resource, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from hostile_data import CASES, files_of
from insula.data import load
from insula.errors import InsulaError
import mne, scipy.io, pandas
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
told = {{}}
for name, root in json.loads({roots!r}).items():
    case = CASES[name]
    kinds = {{}}
    for file in files_of(Path(root)):
        kinds.setdefault("".join(file.suffixes[-2:]) + file.stem.rstrip("0123456789"), file)
    for file in list(kinds.values())[:8]:
        content = file.read_bytes()
        with file.open("wb") as out:
            out.truncate(1 << 30)
        try:
            load(case.reader, Path(root) / case.file, **case.options)
            told[f"{{name}} {{file.name}}"] = "read"
        except InsulaError as error:
            told[f"{{name}} {{file.name}}"] = "error" if str(root) in str(error) else f"names no file: {{error}}"
        except BaseException as error:
            told[f"{{name}} {{file.name}}"] = repr(error)[:300]
        finally:
            file.write_bytes(content)
told["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(told))
"""


@pytest.mark.slow
def test_a_gigabyte_of_zeros_does_not_exhaust_memory(roots: dict[str, Path]) -> None:
    there = {
        name: str(root_of(roots, name))
        for name, case in CASES.items()
        if case.needs is None or importlib.util.find_spec(case.needs) is not None
    }
    code = ZEROS.format(tests=str(Path(__file__).parents[1] / "helpers"), roots=json.dumps(there), limit=6 << 30)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    peak_mb = told.pop("peak_mb")
    assert {what: how for what, how in told.items() if how not in ("read", "error")} == {}
    assert list(told.values()).count("error") > len(told) / 2
    assert peak_mb < 2000  # a gigabyte of zeros as BrainVision samples is a recording; it is held once, as float32
