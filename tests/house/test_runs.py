"""Runs that are killed, doubled or left alone: a results folder is published as one, and no worker outlives its run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from families import alive, family
from small_cohort import cohort, write_manifest

from insula.errors import InputError
from insula.files import claimed, leftovers, publishing

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put(folder: Path, text: str, owns: tuple[str, ...] = ("a", "b")) -> None:
    with publishing(folder, "a", "thing", owns) as work:
        for name in ("a", "b"):
            (work / name).write_text(text)


def fail(out: Path, text: str) -> None:
    with publishing(out, "a", "thing", ("a", "b")) as work:
        (work / "a").write_text(text)
        raise ZeroDivisionError


def test_a_folder_appears_whole_and_keeps_what_is_not_ours(tmp_path: Path) -> None:
    out = tmp_path / "runs/one"
    put(out, "first")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ZeroDivisionError):
        fail(out, "half")
    assert [(out / n).read_text() for n in entries(out)] == ["first", "first", "mine"]
    put(out, "second")
    assert [(out / n).read_text() for n in entries(out)] == ["second", "second", "mine"]
    assert entries(out.parent) == ["one"]


def test_a_second_run_is_refused_with_the_id_of_the_first(tmp_path: Path) -> None:
    with claimed(tmp_path / "out"):
        told = (tmp_path / ".out.claim").read_text()
        with pytest.raises(InputError, match=r"is being written by run [0-9a-f]{8} \(process") as caught:
            put(tmp_path / "out", "x")
        assert re.search("run [0-9a-f]{8}", told)[0] in str(caught.value)  # type: ignore[index]
    put(tmp_path / "out", "x")


@pytest.mark.parametrize("name", ["x" * 300, "a\nb", ".."])
def test_names_that_no_folder_can_have_are_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        put(tmp_path / name, "x")
    assert entries(tmp_path) == []


KILLED = """
import os, sys
from pathlib import Path
from insula import files
where = Path(sys.argv[1])
if sys.argv[2] == "between":
    plain = os.replace
    def once(a, b):
        plain(a, b)
        os.kill(os.getpid(), 9)
    os.replace = once
with files.publishing(where, "a", "thing", ("a", "b")) as work:
    (work / "a").write_text("second")
    (work / "b").write_text("second")
    if sys.argv[2] == "before":
        os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("when", ["before", "between"])
def test_a_killed_run_leaves_the_earlier_result_whole_and_the_next_one_cleans(tmp_path: Path, when: str) -> None:
    out = tmp_path / "out"
    put(out, "first")
    done = subprocess.run([sys.executable, "-c", KILLED, out, when], check=False)
    assert done.returncode == -9
    assert leftovers(out)
    with pytest.raises(ZeroDivisionError):
        fail(out, "third")
    assert [(out / n).read_text() for n in entries(out)] == ["first", "first"]
    assert entries(tmp_path) == ["out"]


# no worker outlives its run ------------------------------------------------------------------------------------------


COMMAND = "import signal, sys; signal.signal(2, signal.default_int_handler); from insula.cli import main; main()"


@contextmanager
def started(*command: object, code: str = COMMAND) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        for left in {*family(process.pid), process.pid}:
            if alive(left):
                os.kill(left, signal.SIGKILL)
        process.wait(20)


def require_end(process: subprocess.Popen[bytes], workers: int, number: int) -> None:
    """Wait until workers compute, end the parent, and see all of them end."""
    until = time.monotonic() + 120
    busy: set[int] = set()
    while len(busy) < workers and time.monotonic() < until:
        assert process.poll() is None, "it ended before it was killed"
        busy = {child for child in family(process.pid) if seconds_used(child) > 3}
    assert len(busy) >= workers
    everybody = family(process.pid)
    os.kill(process.pid, number)
    process.wait(30)
    until = time.monotonic() + 30  # on a machine that does other things too
    while any(map(alive, everybody)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [child for child in everybody if alive(child)]


def seconds_used(process: int) -> float:
    try:
        parts = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


GRID = """
title = "long"
protocols = ["leave_one_subject_out"]
models = ["liquid", "tcn"]
train = {{epochs = 100000, patience = 100000}}
[[data]]
name = "manifest"
root = "{root}"
targets = ["state"]
recipe = {{window_s = 4.0, hop_s = 2.0, guard_s = 2.0}}
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(("command", "number"), [*(("evaluate", n) for n in SIGNALS), ("compare", signal.SIGKILL)])
def test_workers_end_with_their_parent(tmp_path: Path, command: str, number: int) -> None:
    (tmp_path / "data").mkdir()
    root = write_manifest(tmp_path / "data", cohort())
    cut = ("recipe.window_s=4.0", "recipe.hop_s=2.0", "recipe.guard_s=2.0", "train.epochs=100000")
    settings = [part for key in (*cut, "train.patience=100000") for part in ("--set", key)]
    out = tmp_path / "out"
    if command == "evaluate":
        arguments = ["--data", "manifest", "--root", root, "--target", "state", "--quick", "--jobs", 2, "--out", out]
        arguments += settings
    else:
        (tmp_path / "grid.toml").write_text(GRID.format(root=root))
        arguments = [tmp_path / "grid.toml", "--out", out, "--jobs", 2]
    with started(command, *arguments) as process:
        require_end(process, 2, number)
    assert not out.exists() or command == "compare"


STUDIO = (
    "import signal, sys, time; signal.signal(2, signal.default_int_handler); "
    "from insula.studio.jobs import child; child(sys.argv[1:]); time.sleep(600)"
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_the_studio_runs_ends_with_the_studio(tmp_path: Path, number: int) -> None:
    (tmp_path / "data").mkdir()
    root, out = write_manifest(tmp_path / "data", cohort()), tmp_path / "out"
    arguments = ["evaluate", "--data", "manifest", "--root", root, "--target", "state", "--quick", "--jobs", 2]
    arguments += ["--out", out, "--window", 4, "--hop", 2, "--guard", 2, "--epochs", 100000]
    with started(*arguments, "--set", "train.patience=100000", code=STUDIO) as process:
        require_end(process, 2, number)
    assert not out.exists()
