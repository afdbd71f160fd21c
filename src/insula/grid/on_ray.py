"""Run a grid on Ray: the same cells, one core each; data travel by path, results come back as files' bytes."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from insula.errors import InputError, MissingDependencyError
from insula.grid.cell import Outcome, Shelf, place, run_cell
from insula.grid.forecast import Forecast
from insula.grid.grid import Cell, Grid
from insula.grid.run import Report, Step, clear, finished, keep, locked, outcomes
from insula.grid.worker import THREADS

_TRIES = 4
_OVER_LIMIT = 75
_shelf: Shelf | None = None


def run_on_ray(
    grid: Grid,
    out: str | Path,
    *,
    address: str | None = None,
    limit_s: float | None = None,
    report: Report | None = None,
) -> dict[str, Outcome]:
    """Evaluate every unfinished cell on a Ray cluster; return the outcome of each cell by key.

    ``address`` names a running cluster (None: one is started on this machine, or the one this process is connected
    to is used). The paths in the grid must lead to the data on every node; ``out`` is on this machine. A cell whose
    node dies is sent to another one, up to three times.

    Raises
    ------
    MissingDependencyError : ray is not installed.
    InputError : no cluster answers at ``address``.
    """
    ray = _ray()
    folder = Path(out)
    limit_s = grid.time_limit_s if limit_s is None else limit_s
    begun = _connect(ray, address)
    try:
        with locked(folder):
            clear(folder)
            known = outcomes(grid, folder)
            waiting = [c for c in grid.cells if not finished(known.get(c.key), limit_s)]
            forecast = Forecast(folder, grid.cells, known)
            waiting.sort(key=lambda c: (c.source, forecast.seconds(c)), reverse=True)
            total, left = len(grid.cells), len(waiting)
            for cell, outcome in _cells(ray, waiting, folder, limit_s):
                known[cell.key] = outcome
                keep(outcome, folder)
                left -= 1
                if outcome.state == "done":
                    forecast.learn(cell, outcome.seconds)
                if report is not None:
                    remaining = [c for c in waiting if known.get(c.key) is None]
                    report(Step(total - left, total, cell, outcome, forecast.total(remaining, _cores(ray), limit_s)))
        return known
    finally:
        if begun:
            ray.shutdown()


def _ray() -> Any:
    """Import Ray, which otherwise tells its makers that it is used."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise MissingDependencyError(
            "--on ray without ray; expected the package. Install it: pip install 'insula[scale]'."
        ) from None
    return ray


def _connect(ray: Any, address: str | None) -> bool:
    """Connect to a cluster; tell whether this call began the connection."""
    if ray.is_initialized():
        return False
    own = {"include_dashboard": False} if address is None else {}
    try:
        ray.init(address=address, log_to_driver=False, **own)
    except (ConnectionError, ValueError) as error:
        raise InputError(f"no Ray cluster at {address} ({error}); expected a running one. Run `ray start`.") from None
    return True


def _cells(ray: Any, waiting: list[Cell], folder: Path, limit_s: float | None) -> Iterator[tuple[Cell, Outcome]]:
    """Keep as many cells in work as there are cores; yield them as they end."""
    environment = {"env_vars": dict.fromkeys(THREADS, "1")}
    task = ray.remote(num_cpus=1, max_retries=0, runtime_env=environment)(run_remotely)
    todo = list(reversed(waiting))
    tries: dict[str, int] = {}
    running: dict[Any, tuple[Cell, float]] = {}
    while todo or running:
        while todo and len(running) < max(1, _cores(ray)):
            cell = todo.pop()
            tries[cell.key] = tries.get(cell.key, 0) + 1
            running[task.remote(cell.key, cell.experiment.to_dict(), limit_s)] = (cell, time.perf_counter())
        ready, _ = ray.wait(list(running), num_returns=1, timeout=5.0)
        for reference in ready:
            cell, started = running.pop(reference)
            seconds = time.perf_counter() - started
            try:
                answer, files = ray.get(reference)
            except ray.exceptions.RayError as error:
                ended = isinstance(error, ray.exceptions.WorkerCrashedError)
                if ended and limit_s is not None and seconds >= limit_s:
                    why = f"time limit of {limit_s:g} s"
                    yield cell, Outcome(cell.key, "over limit", seconds, why=why, limit_s=limit_s)
                elif tries[cell.key] < _TRIES:
                    todo.append(cell)
                else:
                    why = f"lost {_TRIES} times on Ray, last: {type(error).__name__}"
                    yield cell, Outcome(cell.key, "failed", seconds, why=why)
                continue
            outcome = Outcome(**answer)
            if files:
                write_files(files, outcome.key, folder)
            yield cell, outcome


def _cores(ray: Any) -> int:
    return int(ray.cluster_resources().get("CPU", 1))


def run_remotely(key: str, tables: Mapping[str, Any], limit_s: float | None) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Evaluate a cell in a Ray worker; return its outcome and the bytes of its files.

    The worker process ends itself at the time limit, which counts from when the data are in its memory.
    """
    import tempfile
    import threading

    global _shelf
    _shelf = _shelf or Shelf()
    timers: list[threading.Timer] = []

    def began() -> None:
        if limit_s is not None:
            timers.append(threading.Timer(limit_s, lambda: os._exit(_OVER_LIMIT)))
            timers[-1].daemon = True
            timers[-1].start()

    with tempfile.TemporaryDirectory(prefix="insula-cell-") as work:
        try:
            outcome = run_cell(key, tables, _shelf, Path(work), began)
        finally:
            for timer in timers:
                timer.cancel()
        made = Path(work) / "cells" / key
        files = {p.name: p.read_bytes() for p in sorted(made.iterdir())} if made.is_dir() else {}
    return outcome.to_dict(), files


def write_files(files: Mapping[str, bytes], key: str, folder: Path) -> None:
    """Commit a cell's files that came over the network: all of them or none."""
    work = folder / "cells" / f".{key}-{uuid.uuid4().hex}.partial"
    work.mkdir(parents=True)
    for name, content in files.items():
        with (work / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    place(work, folder / "cells" / key)
