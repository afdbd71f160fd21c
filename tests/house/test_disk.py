"""Disks and names that are against us: no room, no home, links, long paths, names of other systems."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from command_line import Terminal
from fixtures_data import lines, write_e4
from small_cohort import cohort, write_manifest

from insula.errors import InputError
from insula.files import is_person_folder, person_folder, person_folders, portable, publishing, replacing

LITTLE_ROOM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.argv = ["insula", *sys.argv[2:]]
from insula.cli import main
main()
"""
needs_limits = pytest.mark.skipif(sys.platform != "linux", reason="limits on files are those of Linux")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def with_little_room(limit: int, *command: object) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-c", LITTLE_ROOM, str(limit), *map(str, command)]
    return subprocess.run(run, capture_output=True, text=True, timeout=550)


def require_one_error(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("insula: no room left")
    assert "Traceback" not in done.stderr


@needs_limits
def test_a_disk_that_fills_leaves_the_earlier_manifest(tmp_path: Path) -> None:
    write_e4(tmp_path / "anna", seconds=60)
    lines(tmp_path / "manifest.csv", ["file,modality,subject,trial", "mine.csv,eda,anna,t"])
    before = content(tmp_path)
    require_one_error(with_little_room(100, "init", tmp_path, "--overwrite"))
    assert content(tmp_path) == before


@needs_limits
@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_disk_that_fills_in_the_middle_leaves_the_earlier_result(tmp_path: Path, command: str) -> None:
    (tmp_path / "data").mkdir()
    root, out = write_manifest(tmp_path / "data", cohort()), tmp_path / "runs/one"
    cut = ("--model", "tcn", "--window", "4", "--hop", "2", "--epochs", "1")
    arguments = [command, "--data", "manifest", "--root", root, "--target", "state", *cut, "--out", out]
    if command == "evaluate":
        arguments += ["--quick", "--jobs", 1, "--guard", 2, "--set", "compare.rows=['majority']", "--overwrite"]
    first = with_little_room(1 << 30, *arguments)
    assert first.returncode == 0, first.stderr
    before = content(out)
    require_one_error(with_little_room(2000, *arguments, "--seed", 1))
    assert content(out) == before
    assert [p.name for p in out.parent.iterdir() if p.name != "one" and not p.name.endswith(".kept")] == []


@needs_limits
@pytest.mark.slow
def test_a_home_that_cannot_be_written_is_no_hindrance() -> None:
    """Kernels, fonts and settings have their caches in the home directory."""
    places = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"), "/proc/no")
    places["NUMBA_CACHE_LOCATOR_CLASSES"] = "UserProvidedCacheLocator"  # the others find the source tree writable
    code = (
        "import insula.models.kernels.vector; from insula.plots import style\n"
        "from insula.signals.features import connectivity_numba as c\n"
        "print(type(c.pairs._cache).__name__, style.draw(90, 60, 'n', 'alt', lambda figure: None)[:4])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env={**os.environ, **places}
    )
    assert done.stdout == "NullCache <svg\n", done.stderr


@pytest.mark.parametrize("name", ["CON", "nul.txt", "com1", "a:b", "a.", "a ", "a|b", "x?", "Lpt9.tar.gz"])
def test_names_that_another_system_cannot_have_are_refused_before_any_work(tmp_path: Path, name: str) -> None:
    assert not portable(name)
    with pytest.raises(InputError, match="Windows"), publishing(tmp_path / name, "a", "thing", ("a",)):
        pytest.fail("nothing may be done")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("person", ["CON", "nul", "a:b", "ann.", "ann ", "../x", "", "P 1", "Zoë", "com1.x"])
def test_a_persons_folder_can_be_copied_to_any_system(person: str) -> None:
    name = person_folder(person)
    assert portable(name)
    assert name == Path(name).name
    assert person_folder("ann") == "ann"
    assert len({person_folder(p) for p in ("CON", "_CON", "ann.", "ann_", "ann ")}) == 5


def test_people_whose_names_differ_by_case_alone_have_folders_of_their_own() -> None:
    people = ["Ann", "ann", "bob", "ANN-b", "Zo\u00eb", "Zoe\u0308"]
    found = person_folders(people)
    assert found["bob"] == "bob"
    folded = {unicodedata.normalize("NFC", name).casefold() for name in found.values()}
    assert len(folded) == len(people)
    assert all(portable(name) and is_person_folder(name, person) for person, name in found.items())
    assert not is_person_folder(found["Ann"], "ann")
    assert person_folders(["Ann"]) == {"Ann": "Ann"}


def test_a_link_to_a_folder_stays_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    real = tmp_path / "disk/real"
    real.mkdir(parents=True)
    link = tmp_path / "runs"
    link.symlink_to(real, target_is_directory=True)
    for text in ("first", "second"):
        with publishing(link, "a", "thing", ("a",)) as work:
            (work / "a").write_text(text)
        with replacing(link, ("b",)) as work:
            (work / "b").write_text(text)
    assert link.is_symlink()
    assert {p.name: p.read_text() for p in real.iterdir()} == {"a": "second", "b": "second"}
    assert [p.name for p in real.parent.iterdir()] == ["real"]


def test_recordings_in_a_path_of_300_characters(tmp_path: Path, terminal: Terminal) -> None:
    deep = tmp_path / "/".join(["of a very long name that somebody gave to a folder"] * 6)
    for seed, person in enumerate(("anna", "bert")):
        write_e4(deep / person, seconds=60, seed=seed)
    assert len(str(deep)) > 300
    assert terminal("init", deep).code == 0
    checked = terminal("data", "check", "manifest", "--root", deep)
    assert checked.code == 0, checked
    assert "anna, bert" in checked.out


@pytest.mark.parametrize("name", ["x" * 300 + ".csv", "CON", "a\x01b.csv", "nul:"])
def test_a_manifest_may_name_any_file_and_ends_in_one_error(tmp_path: Path, terminal: Terminal, name: str) -> None:
    lines(tmp_path / "manifest.csv", ["file,modality,subject,trial,label", f"{name},eda,anna,t,x"])
    checked = terminal("data", "check", "manifest", "--root", tmp_path)
    assert checked.code == 2, checked
    assert len(checked.err.strip().splitlines()[-1]) < 2100


@pytest.mark.parametrize("where", ["recording", "manifest", "people"])
def test_a_hundred_thousand_columns_are_one_answer(tmp_path: Path, terminal: Terminal, where: str) -> None:
    columns = 100_000
    write_e4(tmp_path / "anna", seconds=30)
    header, row = ",".join(f"c{i}" for i in range(columns)), ",".join("1.5" for _ in range(columns))
    if where == "recording":
        lines(tmp_path / "wide.csv", [header, *[row] * 20])
        lines(tmp_path / "manifest.csv", ["file,modality,subject,trial,rate", "wide.csv,eda,anna,t,4"])
    elif where == "manifest":
        lines(tmp_path / "manifest.csv", [f"file,modality,subject,trial,{header}", f"anna/EDA.csv,eda,anna,t,{row}"])
    else:
        lines(tmp_path / "manifest.csv", ["file,modality,subject,trial,rate", "anna/EDA.csv,eda,anna,t,e4"])
        lines(tmp_path / "people.csv", [f"subject,{header}", f"anna,{row}"])
    checked = terminal("data", "check", "manifest", "--root", tmp_path)
    said = " ".join((checked.out + checked.err).split())
    assert "columns; expected at most 4,096" in said, said[-1000:]
    assert checked.code == 2
