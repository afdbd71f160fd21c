"""Seconds an epoch of the flagship on a simulated person: compiled cells against their plain reference, in turn."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from insula.data import info, load
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.train_config import TrainConfig
from insula.models.kernels import reference_only
from insula.windows.cutting import cut
from insula.windows.table import Windows

RUNS = 5


def epoch_s(windows: Windows, compiled: bool) -> float:
    """Seconds of one epoch with one kind of cells, preparation left out by subtracting it."""
    config = EstimatorConfig(normaliser="person_trials", train=TrainConfig(epochs=1))
    longer = EstimatorConfig(normaliser="person_trials", train=TrainConfig(epochs=3))
    times = []
    for chosen in (config, longer):
        began = time.perf_counter()
        if compiled:
            Estimator(chosen).fit(windows)
        else:
            with reference_only():
                Estimator(chosen).fit(windows)
        times.append(time.perf_counter() - began)
    return (times[1] - times[0]) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    windows = cut(load("simulate", people=1), info("simulate").recipe, "emotion")
    windows = windows.take((windows.table["role"] == "scored").to_numpy())
    epoch_s(windows, True)
    pairs = [(epoch_s(windows, True), epoch_s(windows, False)) for _ in range(RUNS)]
    ours, plain = (statistics.median(p[i] for p in pairs) for i in (0, 1))
    ratio = statistics.median(p[1] / p[0] for p in pairs)
    print(f"flagship, one simulated person, {len(windows)} windows, one thread, median of {RUNS} in turn")
    print(f"compiled cells {ours:.3f} s an epoch, plain reference {plain:.3f} s, ratio {ratio:.1f}")
    if arguments.json:
        rows = [
            {"name": "epoch, compiled", "value": ours, "unit": "s", "reach": None, "holds": True},
            {"name": "epoch, reference", "value": plain, "unit": "s", "reach": None, "holds": True},
            {"name": "reference / compiled", "value": ratio, "unit": "x", "reach": None, "holds": True},
        ]
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
