"""Run a grid on local processes: reused workers, one thread each, cells committed one by one, resumable."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from insula.data.pseudonyms import Pseudonyms
from insula.errors import DataError, InputError
from insula.files import require_folder
from insula.grid.cell import Outcome
from insula.grid.forecast import Forecast
from insula.grid.grid import Cell, Grid
from insula.grid.worker import THREADS

_WAIT_FOR_LOCK_S = 20.0
_LOCK = ".lock"
"""Marks a folder of cells, and is locked while a runner or one of its workers lives."""


@dataclass(frozen=True)
class Step:
    """What a progress callback hears after each cell; ``remaining_s`` is None before anything is known."""

    done: int
    total: int
    cell: Cell
    outcome: Outcome
    remaining_s: float | None


Report = Callable[[Step], None]


def run_grid(
    grid: Grid, out: str | Path, *, jobs: int = 2, limit_s: float | None = None, report: Report | None = None
) -> dict[str, Outcome]:
    """Evaluate every cell that is not finished in ``out``; return the outcome of each cell by key.

    Finished are cells with a result, and cells that were stopped by a time limit no smaller than this one. Failed
    cells are tried again. ``limit_s`` (default: the grid's) stops a cell by ending its process. Killing this process
    loses the cells in work and nothing else.
    """
    if jobs < 1:
        raise InputError(f"jobs {jobs}; expected 1 or more. Use --jobs 1.")
    folder = Path(out)
    for codes in {cell.experiment.data.pseudonyms for cell in grid.cells} - {None}:
        Pseudonyms(str(codes)).require_outside(folder)
    limit_s = grid.time_limit_s if limit_s is None else limit_s
    with locked(folder) as lock:
        clear(folder)
        known = outcomes(grid, folder)
        waiting = [c for c in grid.cells if not finished(known.get(c.key), limit_s)]
        board = _Board(waiting, Forecast(folder, grid.cells, known), jobs, limit_s)
        for cell, outcome in _dispatch(board, folder, min(jobs, len(waiting)), limit_s, lock):
            known[cell.key] = outcome
            keep(outcome, folder)
            left = board.learn(cell, outcome)
            if report is not None:
                done = sum(finished(known.get(c.key), limit_s) or c.key in board.ended for c in grid.cells)
                report(Step(done, len(grid.cells), cell, outcome, left))
    return known


def outcomes(grid: Grid, folder: str | Path) -> dict[str, Outcome]:
    """What is known of the grid's cells in a folder, by key."""
    found: dict[str, Outcome] = {}
    for cell in grid.cells:
        for path in (Path(folder) / "cells" / cell.key / "cell.json", Path(folder) / "ended" / f"{cell.key}.json"):
            if path.is_file():
                try:
                    found[cell.key] = Outcome(**json.loads(path.read_text(encoding="utf-8")))
                except (ValueError, TypeError) as error:
                    raise DataError(
                        f"{path} cannot be read ({error}); expected what insula wrote. Remove it."
                    ) from None
                break
    return found


def finished(outcome: Outcome | None, limit_s: float | None) -> bool:
    """Whether a cell need not run: it has a result, or was stopped by a limit no smaller than this one."""
    if outcome is None or outcome.state == "failed":
        return False
    if outcome.state == "done":
        return True
    return limit_s is not None and outcome.limit_s is not None and outcome.limit_s >= limit_s


def keep(outcome: Outcome, folder: Path) -> None:
    """Note how a cell without a result ended; a result makes the note void."""
    path = folder / "ended" / f"{outcome.key}.json"
    if outcome.state == "done":
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_name(f".{path.name}-{uuid.uuid4().hex}.partial")
    work.write_text(json.dumps(outcome.to_dict(), indent=1), encoding="utf-8")
    os.replace(work, path)


def clear(folder: Path) -> None:
    """Remove what killed processes left half-written."""
    for left in (*folder.glob("cells/.*.partial"), *folder.glob("ended/.*.partial")):
        shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int | None]:
    """Hold a folder for one runner. Workers inherit the lock, so it is free only when the last of them has ended."""
    require_folder(folder, _LOCK, "grid's cells")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _LOCK).touch()
    try:
        import fcntl
    except ImportError:  # no such locks on this system: two runners in one folder would repeat cells, not lose them
        yield None
        return
    handle = os.open(folder / _LOCK, os.O_RDWR)
    try:
        deadline = time.monotonic() + _WAIT_FOR_LOCK_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise InputError(
                        f"{folder} is in use by another insula compare; expected one at a time. Wait for it, or give "
                        "another --out."
                    ) from None
                time.sleep(0.05)
        yield handle
    finally:
        os.close(handle)


class _Board:
    """Which cell a worker does next: the longest of the data set it has read, else of the one with most left."""

    def __init__(self, cells: Sequence[Cell], forecast: Forecast, jobs: int, limit_s: float | None) -> None:
        self.forecast, self.jobs, self.limit_s = forecast, jobs, limit_s
        self.ended: set[str] = set()
        self._lock = threading.Lock()
        self._left = list(cells)
        self._open = list(cells)

    def next(self, source: str | None) -> Cell | None:
        """Take a cell off the board."""
        with self._lock:
            if not self._left:
                return None
            load: dict[str, float] = {}
            for cell in self._left:
                load[cell.source] = load.get(cell.source, 0.0) + self.forecast.seconds(cell)
            wanted = source if source in load else max(load, key=lambda s: load[s])
            best = max((c for c in self._left if c.source == wanted), key=self.forecast.seconds)
            self._left.remove(best)
            return best

    def learn(self, cell: Cell, outcome: Outcome) -> float:
        """Take a finished cell in and forecast the seconds until all are done."""
        with self._lock:
            self.ended.add(cell.key)
            self._open.remove(cell)
            if outcome.state == "done":
                self.forecast.learn(cell, outcome.seconds)
            return self.forecast.total(self._open, self.jobs, self.limit_s)


def _dispatch(
    board: _Board, folder: Path, jobs: int, limit_s: float | None, lock: int | None
) -> Iterator[tuple[Cell, Outcome]]:
    """Yield cells as they end, in the order in which they do."""
    ended: queue.SimpleQueue[tuple[Cell, Outcome] | BaseException | None] = queue.SimpleQueue()
    lines = [_Line(folder, limit_s, lock) for _ in range(jobs)]

    def work(line: _Line) -> None:
        try:
            cell = board.next(None)
            while cell is not None and not line.stopped():
                outcome = line.run(cell)
                if outcome is not None:
                    ended.put((cell, outcome))
                cell = board.next(cell.source)
            ended.put(None)
        except BaseException as error:
            ended.put(error)
        finally:
            line.end()

    threads = [threading.Thread(target=work, args=(line,), daemon=True) for line in lines]
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            item = ended.get()
            if item is None:
                running -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item
    finally:
        for line in lines:
            line.stop()
        for thread in threads:
            thread.join()


class _Line:
    """One worker process, begun when needed and begun again after it had to be ended."""

    def __init__(self, folder: Path, limit_s: float | None, lock: int | None) -> None:
        self.folder, self.limit_s, self.lock = folder, limit_s, lock
        self._stopped = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._log: IO[str] | None = None

    def stopped(self) -> bool:
        return self._stopped.is_set()

    def run(self, cell: Cell) -> Outcome | None:
        """Evaluate one cell; None when the line was stopped in the middle of it."""
        process = self._begun()
        if self.stopped():
            return None
        started = time.perf_counter()
        over = threading.Event()
        answer = self._ask(process, {"key": cell.key, "experiment": cell.experiment.to_dict()}, over)
        if answer is not None:
            return Outcome(**answer)
        if self.stopped():
            return None
        code = process.wait()
        self.end()
        # A worker that was ended after it had committed its cell has done it.
        kept = self.folder / "cells" / cell.key / "cell.json"
        if kept.is_file():
            return Outcome(**json.loads(kept.read_text(encoding="utf-8")))
        seconds = time.perf_counter() - started
        if over.is_set():
            why = f"time limit of {self.limit_s:g} s"
            return Outcome(cell.key, "over limit", seconds, why=why, process=process.pid, limit_s=self.limit_s)
        why = f"its process ended with code {code}; see {self.folder / 'workers.log'}"
        return Outcome(cell.key, "failed", seconds, why=why, process=process.pid)

    def stop(self) -> None:
        """End the process, in the middle of a cell if need be; the thread that runs it cleans up."""
        self._stopped.set()
        if self._process is not None:
            self._process.kill()

    def _begun(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._log = (self.folder / "workers.log").open("a", encoding="utf-8")
            self._process = subprocess.Popen(
                [sys.executable, "-m", "insula.grid.worker", str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                encoding="utf-8",
                env={**os.environ, **dict.fromkeys(THREADS, "1")},
                pass_fds=() if self.lock is None else (self.lock,),
            )
            if self._process.stdout is None or not self._process.stdout.readline():
                raise DataError(f"a worker that does not start; expected one. See {self.folder / 'workers.log'}.")
        return self._process

    def _ask(
        self, process: subprocess.Popen[str], task: dict[str, Any], over: threading.Event
    ) -> dict[str, Any] | None:
        """Send a cell and wait for its outcome; None when the process ended first.

        The limit counts from the moment at which the worker has the cell's data; reading may take ten times as long.
        """
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(task, default=str) + "\n")
            process.stdin.flush()
            for factor in (10, 1):
                timer = self._timer(process, factor, over)
                try:
                    answer: dict[str, Any] = json.loads(process.stdout.readline())
                finally:
                    if timer is not None:
                        timer.cancel()
                if "state" in answer:
                    return answer
        except (OSError, ValueError):
            pass
        return None

    def _timer(self, process: subprocess.Popen[str], factor: int, over: threading.Event) -> threading.Timer | None:
        if self.limit_s is None:
            return None

        def stop() -> None:
            over.set()
            process.kill()

        timer = threading.Timer(factor * self.limit_s, stop)
        timer.daemon = True
        timer.start()
        return timer

    def end(self) -> None:
        """End the process and close what belongs to it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, self._log):
                if stream is not None:
                    with contextlib.suppress(OSError, ValueError):
                        stream.close()
