"""Seconds to train one person, for every registered model at size small: one person of the simulated cohort.

    python benchmarks/training.py [--json FILE] [--threads N] [--model NAME ...] [--against SRC [--pairs N]]

Each model is trained as `insula train` would train it on one person's labelled windows (15 epochs, default settings);
compiling of kernels, which happens once a machine, is done before. A model must stay under 60 s on two cores, and the
flagship must too. Run it on a machine that does nothing else.

``--against SRC`` trains the flagship's deep path in turn with the sources in the folder SRC (``src`` of another
checkout) and with these, N times, each in a process of its own that has trained for one epoch before, and prints
processor time and the final training loss of each.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

import insula
from insula import MODELS, Estimator, EstimatorConfig, TrainConfig, Windows

REACH_S = 60.0
PAIR = 4.0


def person() -> Windows:
    """Labelled windows of one simulated person, features made."""
    windows = insula.cut(insula.load("simulate", people=1), insula.data.info("simulate").recipe, "emotion")
    windows.features()
    return windows.take((windows.table["role"] == "scored").to_numpy())


def train_s(name: str, windows: Windows) -> tuple[float, float]:
    """Seconds of one whole training by the clock and of processor, after a short one that compiles."""
    config = EstimatorConfig(model=name, normaliser="person_trials")
    few = windows.take(windows.table["trial"].isin(windows.table["trial"].unique()[:4]).to_numpy())
    Estimator(EstimatorConfig(model=name, normaliser="person_trials", train=TrainConfig(epochs=1))).fit(few)
    begin, used = time.perf_counter(), time.process_time()
    Estimator(config).fit(windows)
    return time.perf_counter() - begin, time.process_time() - used


def lines(name: str, windows: Windows) -> list[dict[str, Any]]:
    """Make the lines of one model: the clock must hold; processor time, hardly touched by other programs, is shown."""
    seconds, used = train_s(name, windows)
    title = f"train one person, {name}"
    return [
        {"name": title, "value": seconds, "unit": "s", "reach": REACH_S, "holds": seconds <= REACH_S},
        {"name": f"{title}: processor time", "value": used, "unit": "s", "reach": None, "holds": True},
    ]


def once(windows: Windows, seed: int) -> dict[str, float]:
    """Processor time and final loss of the deep path, always trained where the sources have a readout beside it."""
    always: dict[str, Any] = {"residual": "always"} if hasattr(TrainConfig, "residual") else {}
    for train in (TrainConfig(epochs=1, **always), TrainConfig(**always)):
        row = Estimator(EstimatorConfig(normaliser="person_trials", train=train, seed=seed))
        used = time.process_time()
        row.fit(windows)
    return {"seconds": time.process_time() - used, "loss": float(row.histories[0].train[-1])}


def pairs(other: Path, threads: int, count: int) -> list[dict[str, Any]]:
    """Lines of two sources' trainings in turn, each in its own process."""
    found: dict[str, list[dict[str, float]]] = {"the other sources": [], "these sources": []}
    for k in range(count):
        for (name, each), src in zip(found.items(), (other, Path(insula.__file__).parents[1]), strict=True):
            command = [sys.executable, __file__, "--once", str(k), "--threads", str(threads)]
            environment = {**os.environ, "PYTHONPATH": str(src.resolve())}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
            if done.returncode:
                raise SystemExit(f"{name} in {src} do not train: {done.stderr[-500:]}")
            each.append(json.loads(done.stdout.splitlines()[-1]))
    rows = []
    for name, each in found.items():
        for what, unit in (("seconds", "s"), ("loss", "")):
            value = statistics.median(one[what] for one in each)
            rows.append(
                {"name": f"deep path by {name}: {what}", "value": value, "unit": unit, "reach": None, "holds": True}
            )
    ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(*found.values(), strict=True))
    rows.append({"name": "ratio of the pairs", "value": ratio, "unit": "x", "reach": PAIR, "holds": ratio >= PAIR})
    return rows


def main() -> int:
    """Print the table, write it where asked; 1 if a model takes too long."""
    parser = argparse.ArgumentParser(description="Seconds to train one person with every model.")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", action="append", choices=sorted(MODELS))
    parser.add_argument("--against", type=Path, metavar="SRC")
    parser.add_argument("--pairs", type=int, default=3, metavar="N")
    parser.add_argument("--once", type=int, metavar="SEED", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    windows = person()
    if arguments.once is not None:
        print(json.dumps(once(windows, arguments.once)))
        return 0
    rows = []
    if arguments.against:
        rows += pairs(arguments.against, arguments.threads, arguments.pairs)
        for line in rows:
            print(f"{line['name']:<60} {line['value']:>8.3f} {line['unit']}", flush=True)
    for name in arguments.model or ([] if arguments.against else MODELS):
        for line in lines(name, windows):
            rows.append(line)
            reach = "" if line["reach"] is None else f"  reach {REACH_S:g} {'holds' if line['holds'] else 'MISSED'}"
            print(f"{line['name']:<50} {line['value']:>8.1f} s{reach}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    return 0 if all(r["holds"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
