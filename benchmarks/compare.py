"""How well `insula compare` keeps the cores busy on many small cells, and what starting a cell costs.

    python benchmarks/compare.py [--cells 200] [--jobs 2] [--json FILE]

Busy is the processor time of the runner and its workers over wall time and cores, the start of the workers included.
Starting is what a cell costs beyond its own work: the time from cell to cell on one worker minus what the cells say
they took, when the data are read. On a machine that does other things at the same time the figures are too low.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import tempfile
import time
from pathlib import Path

from insula.grid import grid_from
from insula.grid.run import Step, run_grid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(given.cells, given.jobs)
    width = max(len(row["name"]) for row in found)
    for row in found:
        reach = (
            "" if row["reach"] is None else f"reach {row['reach']:g}: {'holds' if row['holds'] else 'DOES NOT HOLD'}"
        )
        print(f"{row['name']:{width}}  {row['value']:10.3f} {row['unit']:8} {reach}")
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1))


def measure(cells: int, jobs: int) -> list[dict[str, object]]:
    """Run a grid of small cells in a new folder; return what was found."""
    seeds = -(-cells // 4)
    grid = grid_from(
        {
            "seeds": list(range(seeds)),
            "protocols": [{"name": "random_windows", "folds": 2}, {"name": "within_subject", "folds": 2}],
            "compare": {"rows": ["logistic_regression", "random_forest"], "context": False},
            "data": [{"name": "simulate", "options": {"people": 3, "trials_per_emotion": 2, "trial_s": 10.0}}],
        }
    )
    steps: list[tuple[float, Step]] = []
    with tempfile.TemporaryDirectory() as folder:
        before = _processor_s()
        started = time.perf_counter()
        run_grid(grid, folder, jobs=jobs, report=lambda s: steps.append((time.perf_counter(), s)))
        wall_s = time.perf_counter() - started
        busy_s = _processor_s() - before
    assert all(s.outcome.state == "done" for _, s in steps), [s.outcome.why for _, s in steps]
    start_s = _starting(steps)
    return [
        {"name": "cells", "value": len(steps), "unit": "", "reach": None, "holds": True},
        {"name": "wall time", "value": wall_s, "unit": "s", "reach": None, "holds": True},
        {
            "name": f"busy, {jobs} cores",
            "value": 100 * busy_s / wall_s / jobs,
            "unit": "%",
            "reach": 85,
            "holds": busy_s / wall_s / jobs > 0.85,
        },
        {"name": "starting a cell", "value": start_s, "unit": "s", "reach": 0.2, "holds": start_s < 0.2},
    ]


def _starting(steps: list[tuple[float, Step]]) -> float:
    """Mean seconds from cell to cell of one worker that are not the cell's own work."""
    gaps = []
    for process in {s.outcome.process for _, s in steps}:
        own = [(at, s) for at, s in steps if s.outcome.process == process]
        gaps += [at - last - s.outcome.seconds - s.outcome.read_s for (last, _), (at, s) in itertools.pairwise(own)]
    return sum(gaps) / len(gaps) if gaps else float("nan")


def _processor_s() -> float:
    """Processor seconds of this process and its ended children."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in both)


if __name__ == "__main__":
    main()
