"""One cell where it runs: its data read once a process, its result, what it costs, and its files."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from insula.errors import DataError, InsulaError
from insula.evaluation.experiment import Experiment, experiment_from

if TYPE_CHECKING:
    from insula.evaluation.results import Result
    from insula.types import Recording
    from insula.windows.table import Windows

NO_DATA = "data not available"
_KEPT = 3
_RUNS = 30

State = Literal["done", "failed", "over limit"]


@dataclass(frozen=True)
class Outcome:
    """How a cell ended.

    ``seconds`` is its own work; ``read_s`` what reading and cutting its data took in this process (0 when they were
    there); ``why`` says what stopped it; ``process`` names the process that did it.
    """

    key: str
    state: State
    seconds: float
    read_s: float = 0.0
    why: str = ""
    process: int = 0
    limit_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Shelf:
    """Recordings and windows of the last few data sets of this process."""

    def __init__(self) -> None:
        self._recordings: OrderedDict[str, tuple[tuple[Recording, ...], list[str]]] = OrderedDict()
        self._windows: OrderedDict[str, tuple[Windows, str]] = OrderedDict()

    def windows(self, experiment: Experiment) -> tuple[Windows, str]:
        """Return the experiment's windows and their fingerprint, reading only what is not here yet."""
        from insula.pipeline.reading import cut_windows

        data = asdict(experiment.data)
        name = _name({**data, "recipe": experiment.recipe})
        if name not in self._windows:
            recordings, notes = self._read(experiment, _name({**data, "target": None, "modalities": None}))
            windows = cut_windows(experiment, recordings)
            windows.note(notes)
            windows.features()
            windows.present()
            self._windows[name] = (windows, windows.fingerprint())
        _touch(self._windows, name)
        return self._windows[name]

    def _read(self, experiment: Experiment, name: str) -> tuple[tuple[Recording, ...], list[str]]:
        from insula.data import Problem
        from insula.pipeline.reading import read_recordings, unread

        if name not in self._recordings:
            root = experiment.data.root
            if root is not None and not Path(root).exists():
                raise DataError(
                    f"{NO_DATA}: {root} does not exist; expected the folder of {experiment.data.name}. "
                    "Correct data.root."
                )
            problems: list[Problem] = []
            found = read_recordings(experiment, problems)
            self._recordings[name] = (found, unread(experiment, problems))
        _touch(self._recordings, name)
        return self._recordings[name]


def evaluate_cell(
    experiment: Experiment, shelf: Shelf, began: Callable[[], None] | None = None
) -> tuple[Result, float]:
    """Evaluate one cell on one thread; return its result, costs among its analyses, and the seconds of reading.

    ``began`` is called when the data are there.
    """
    import torch

    from insula.evaluation.run import evaluate
    from insula.explain.analysis import Evaluated
    from insula.explain.energy import ENERGY, energy

    torch.set_num_threads(1)
    started = time.perf_counter()
    windows, fingerprint = shelf.windows(experiment)
    read_s = time.perf_counter() - started
    if began is not None:
        began()
    done = evaluate(windows, experiment, data_hash=fingerprint, command="insula compare")
    costs = energy(Evaluated(done.result, windows, done.models), _RUNS)
    return done.result.with_analyses(energy=ENERGY.write(costs) if costs else {}), read_s


def run_cell(
    key: str, tables: Mapping[str, Any], shelf: Shelf, folder: Path, began: Callable[[], None] | None = None
) -> Outcome:
    """Evaluate a cell given as plain tables and commit its files; a user's mistake becomes a failed outcome."""
    started = time.perf_counter()
    try:
        result, read_s = evaluate_cell(experiment_from(tables), shelf, began)
    except InsulaError as error:
        return Outcome(key, "failed", time.perf_counter() - started, why=str(error), process=os.getpid())
    outcome = Outcome(key, "done", time.perf_counter() - started - read_s, read_s, process=os.getpid())
    commit(result, outcome, folder)
    return outcome


def commit(result: Result, outcome: Outcome, folder: Path) -> None:
    """Write a cell's files beside their place and move them there in one step; an earlier commit stays as it is."""
    cells = folder / "cells"
    cells.mkdir(parents=True, exist_ok=True)
    work = cells / f".{outcome.key}-{uuid.uuid4().hex}.partial"
    try:
        result.save(work)
        (work / "cell.json").write_text(json.dumps(outcome.to_dict(), indent=1), encoding="utf-8")
        _to_disk(work / "cell.json")
        place(work, cells / outcome.key)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def place(work: Path, final: Path) -> None:
    """Move a complete folder to its place, unless one is there."""
    try:
        os.rename(work, final)
    except OSError:
        if not (final / "cell.json").is_file():
            raise
        return
    _to_disk(final.parent)


def _to_disk(path: Path) -> None:
    """Bring a file or a folder's entries to the disk (folders where the system can)."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _name(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, default=str)


def _touch(shelf: OrderedDict[str, Any], name: str) -> None:
    """Mark an entry as the latest and drop the oldest ones."""
    shelf.move_to_end(name)
    while len(shelf) > _KEPT:
        shelf.popitem(last=False)
