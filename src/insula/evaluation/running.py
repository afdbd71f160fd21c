"""Many fits, in processes if asked: kept on disk as they end, and told how far they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from insula import processes
from insula.evaluation.finished import Finished
from insula.evaluation.fits import Fit, Task, Tick, run_fold
from insula.evaluation.ticks import Shares, listening

Told = Callable[[float, int], None]
"""Called with (fits done, running ones by their share; total)."""


def run_tasks(
    tasks: Sequence[Task],
    seed: int,
    jobs: int,
    told: Told | None = None,
    *,
    finished: Finished | None = None,
    stage: str = "fits",
    models: bool = True,
) -> list[Fit]:
    """Fit and predict every (windows, fold, row), in processes if asked; answers come in the order of the tasks.

    Fits that ``finished`` has from an earlier run are read, the others are kept as they end; ``stage`` tells apart what
    one run asks for. Without ``models`` only the answers are held. With several ``jobs``, ``told`` is also called from
    a thread.
    """
    found = [None if finished is None else finished.read(stage, i, task[3]) for i, task in enumerate(tasks)]
    left = [i for i, fit in enumerate(found) if fit is None]
    run = _Run(seed, finished, stage, models)
    each = _here if jobs <= 1 else _in_processes
    for i, fit in each(run, tasks, left, told, jobs):
        found[i] = fit
    if told is not None and tasks:
        told(len(tasks), len(tasks))
    return [fit for fit in found if fit is not None]


class _Run:
    """What all tasks of a run share, sent to each process."""

    def __init__(self, seed: int, finished: Finished | None, stage: str, models: bool) -> None:
        self.seed, self.finished, self.stage, self.models = seed, finished, stage, models

    def __call__(self, task: Task, index: int, tick: Tick | None) -> Fit:
        fit = run_fold(*task, self.seed, tick)
        fit = fit if self.models else replace(fit, model=None, kept=None)
        if self.finished is not None:
            self.finished.write(self.stage, index, fit)
        return fit


def _here(
    run: _Run, tasks: Sequence[Task], left: Sequence[int], told: Told | None, _: int
) -> Iterator[tuple[int, Fit]]:
    for place, i in enumerate(left):
        done = len(tasks) - len(left) + place
        yield i, run(tasks[i], i, None if told is None else _beside(told, done, len(tasks)))
        if told is not None:
            told(done + 1, len(tasks))


def _beside(told: Told, done: int, total: int) -> Tick:
    return lambda part, parts: told(done + part / parts, total)


def _in_processes(
    run: _Run, tasks: Sequence[Task], left: Sequence[int], told: Told | None, jobs: int
) -> Iterator[tuple[int, Fit]]:
    from joblib import Parallel, delayed

    with listening(len(tasks), told) as shares:
        if shares is not None:
            for i in set(range(len(tasks))).difference(left):
                shares.put(i, 1.0)
        work = (delayed(_worker)(os.getpid(), run, tasks[i], i, shares) for i in left)
        done = len(tasks) - len(left)
        for i, fit in Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)(work):
            done += 1
            if told is not None:
                told(max(done, shares.done() if shares is not None else 0), len(tasks))
            yield i, fit


def _worker(parent: int, run: _Run, task: Task, index: int, shares: Shares | None) -> tuple[int, Fit]:
    """Run one task in a process that ends with its parent."""
    processes.end_with(parent)
    processes.import_modules()
    fit = run(task, index, None if shares is None else shares.tick(index))
    if shares is not None:
        shares.put(index, 1.0)
    return index, fit
