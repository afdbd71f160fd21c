"""Seconds to train one person, for every registered model at size small: one person of the simulated cohort.

    python benchmarks/training.py [--json FILE] [--threads N] [--model NAME ...] [--pairs N]

Each model is trained as `insula train` would train it on one person's labelled windows (15 epochs, default settings);
compiling of kernels, which happens once a machine, is done before. A model must stay under 60 s on two cores, and the
flagship must too. Run it on a machine that does nothing else.

``--pairs N`` trains the flagship's deep path N times in turn with steps of `batch_trials` stretches, as before batches
were filled by seconds of signal, and as now, and prints processor time and the final training loss of each, which says
at what price. Everything else that became faster since (fused optimiser, batches kept, kernels) is in both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from insula.evaluation.experiment import DataPart, Experiment
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.train_config import TrainConfig
from insula.models import MODELS
from insula.pipeline.reading import cut_windows, read_recordings
from insula.windows.table import Windows

REACH_S = 60.0
PAIR = 4.0


def person() -> Windows:
    """Labelled windows of one simulated person, features made."""
    experiment = Experiment(DataPart("simulate", target="emotion", options={"people": 1}))
    windows = cut_windows(experiment, read_recordings(experiment))
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


def pairs(windows: Windows, count: int) -> list[dict[str, Any]]:
    """Processor time and final loss of the deep path by small steps and by seconds of signal, in turn."""
    rows = []
    found: dict[str, list[tuple[float, float]]] = {"4 stretches": [], "seconds of signal": []}
    for k in range(count):
        for name, batch_s in (("4 stretches", 0.0), ("seconds of signal", TrainConfig().batch_s)):
            train = TrainConfig(residual="always", batch_s=batch_s)
            row = Estimator(EstimatorConfig(normaliser="person_trials", train=train, seed=k))
            used = time.process_time()
            row.fit(windows)
            found[name].append((time.process_time() - used, row.histories[0].train[-1]))
    for name, each in found.items():
        seconds, loss = (statistics.median(values) for values in zip(*each, strict=True))
        title = f"train the deep path, steps of {name}"
        rows.append({"name": title, "value": seconds, "unit": "s", "reach": None, "holds": True})
        rows.append({"name": f"{title}: loss", "value": loss, "unit": "", "reach": None, "holds": True})
    ratio = statistics.median(a[0] / b[0] for a, b in zip(*found.values(), strict=True))
    rows.append({"name": "ratio of the pairs", "value": ratio, "unit": "x", "reach": PAIR, "holds": ratio >= PAIR})
    return rows


def main() -> int:
    """Print the table, write it where asked; 1 if a model takes too long."""
    parser = argparse.ArgumentParser(description="Seconds to train one person with every model.")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", action="append", choices=sorted(MODELS))
    parser.add_argument("--pairs", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    windows = person()
    rows = []
    if arguments.pairs:
        rows += pairs(windows, arguments.pairs)
        for line in rows:
            print(f"{line['name']:<60} {line['value']:>8.3f} {line['unit']}", flush=True)
    for name in arguments.model or ([] if arguments.pairs else MODELS):
        for line in lines(name, windows):
            rows.append(line)
            reach = "" if line["reach"] is None else f"  reach {REACH_S:g} {'holds' if line['holds'] else 'MISSED'}"
            print(f"{line['name']:<50} {line['value']:>8.1f} s{reach}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    return 0 if all(r["holds"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
