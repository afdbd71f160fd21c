"""Personal models of many people as one program against one after the other: head, adapters, all weights.

    python benchmarks/personal.py [--people N] [--json FILE]

A flagship (small) reads the wristband of simulated people; each of N people (24) adapts it with a few labelled trials.
Both sides make the same models: the largest difference of a weight is printed. Each of two cores takes half of the
people, so what counts is the processor time of one half on one thread, sides in turn; a busy machine slows both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from insula.data import info, load
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.personal.tuning_weights import retrained, retrained_each
from insula.windows.cutting import cut
from insula.windows.table import Windows

REACH = {"head": 5.0, "adapters": 3.0, "all": 2.0}
TRIALS = 6
"""Labelled trials a person."""
RUNS = 3


def cohort(people: int) -> tuple[Estimator, list[Windows]]:
    """A population model and the labelled windows of each person."""
    recipe = info("simulate").recipe
    recipe = replace(recipe, signals={m: s for m, s in recipe.signals.items() if m != "eeg"})
    windows = cut(load("simulate", people=people + 2), recipe, "emotion").scored
    names = windows.table["subject"].unique()
    population = windows.take(windows.table["subject"].isin(names[:2]).to_numpy())
    config = EstimatorConfig(normaliser="population")
    config = replace(config, train=replace(config.train, residual="always", epochs=2))
    found = []
    for name in names[2:]:
        own = windows.take((windows.table["subject"] == name).to_numpy())
        found.append(own.take(own.table["trial"].isin(own.table["trial"].unique()[:TRIALS]).to_numpy()))
    return Estimator(config).fit(population), found


def processor_s(act: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of processor time of a call, and what it returns."""
    began = time.process_time()
    made = act()
    return time.process_time() - began, made


def compared(model: Estimator, half: list[Windows], part: str) -> dict[str, Any]:
    """One line of the table: how many times faster the stack is."""
    pairs, gap = [], 0.0
    retrained_each(model, half[:2], part, epochs=1)  # compiles
    for _ in range(RUNS):
        alone_s, alone = processor_s(lambda: [retrained(model, own, part) for own in half])
        stack_s, stack = processor_s(lambda: retrained_each(model, half, part))
        pairs.append((alone_s, stack_s))
        for one, other in zip(alone, stack, strict=True):
            values = zip(one.networks[0].parameters(), other.networks[0].parameters(), strict=True)
            gap = max(gap, *(float((a - b).detach().abs().max()) for a, b in values))
    alone_s, stack_s = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = statistics.median(a / b for a, b in pairs)
    print(
        f"{part:<10} one by one {alone_s:7.2f} s, one program {stack_s:7.2f} s: {ratio:4.1f} x (to reach "
        f"{REACH[part]:g}); weights differ by at most {gap:.1e}",
        flush=True,
    )
    name = f"{2 * len(half)} personal models, {part}: separate / together"
    return {"name": name, "value": ratio, "unit": "x", "reach": REACH[part], "holds": ratio >= REACH[part]}


def main() -> int:
    """Print the table, write it where asked; 1 where a ratio is missed."""
    parser = argparse.ArgumentParser(description="Personal models together against one by one.")
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--part", action="append", choices=sorted(REACH))
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, people = cohort(arguments.people)
    half = people[: max(2, len(people) // 2)]
    print(f"{len(people)} people, {len(half)} a core, {TRIALS} labelled trials each ({len(half[0])} windows)")
    rows = [compared(model, half, part) for part in arguments.part or REACH]
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    return 0 if all(row["holds"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
