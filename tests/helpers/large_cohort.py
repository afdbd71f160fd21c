"""A cohort larger than memory should be, made person by person: what a subprocess of the slow store test runs.

    python large_cohort.py FOLDER PEOPLE

prints JSON: size of the store, peak memory of this process, windows, accuracy on training people's other trials.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np
import torch
from torch import nn

import insula
from insula.signals.recipe import Recipe, SignalRecipe
from insula.types import Batch, ModelOutput, Recording, Signal, Trial
from insula.windows.store import Store

RATE_HZ, CHANNELS, TRIALS, TRIAL_S = 128.0, 32, 30, 60.0
RECIPE = Recipe({"eeg": SignalRecipe(RATE_HZ, hold=True)}, window_s=4.0, hop_s=4.0, guard_s=0.0)


def person(name: str) -> Recording:
    """Noise whose size tells the label; half an hour in trials of a minute."""
    rng = np.random.default_rng(int(name[1:]))
    trials = []
    for i in range(TRIALS):
        size = 1.0 + (i % 2)
        values = rng.standard_normal((CHANNELS, round(TRIAL_S * RATE_HZ)), dtype=np.float32) * np.float32(size)
        signal = Signal(values, RATE_HZ, tuple(f"E{c}" for c in range(CHANNELS)), "uV", i * TRIAL_S)
        label = "loud" if i % 2 else "quiet"
        trials.append(Trial(name, "s1", f"t{i:02d}", i * TRIAL_S, (i + 1) * TRIAL_S, {"eeg": signal}, {"noise": label}))
    return Recording(name, "s1", tuple(trials))


class Small(nn.Module):
    """A convolution with a long stride over the raw samples."""

    def __init__(self, spec) -> None:
        super().__init__()
        channels, _ = spec.signals["eeg"]
        self.filter = nn.Conv1d(channels, 8, 32, stride=32)
        self.head = nn.Linear(8, spec.outputs)

    def forward(self, batch: Batch, state=None) -> ModelOutput:  # noqa: ARG002
        h = self.filter(batch.signals["eeg"]).square().mean(-1)
        return ModelOutput(self.head(torch.log1p(h)), h)


def main(folder: str, people: int) -> None:
    """Fill the store, cut, train one epoch, say what it took."""
    import insula.windows.store.sets as sets

    names = [f"p{i:03d}" for i in range(people)]
    sets.people = lambda *_, **__: names
    sets.load = lambda *_, subjects, **__: tuple(person(s) for s in subjects)
    torch.set_num_threads(1)
    started = time.perf_counter()
    held = Store(folder).hold("simulate", None, RECIPE)
    filled = time.perf_counter()
    windows = insula.cut(held.recordings, RECIPE, "noise", clean=held.clean)
    windows.features()
    cut = time.perf_counter()
    config = insula.EstimatorConfig(
        normaliser="population",
        train=insula.TrainConfig(epochs=1, validation_fraction=0.0),
        group=("subject",),
    )
    training = windows.take((windows.table["subject"] != names[0]).to_numpy())
    model = insula.Estimator(config, factory=Small).fit(training)
    trained = time.perf_counter()
    test = windows.take((windows.table["subject"] == names[0]).to_numpy())
    right = float((model.predict(test) == test.y).mean())
    said = {
        "gigabytes": sum(info.size_bytes for info in Store(folder).sets()) / 1e9,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "windows": len(windows),
        "accuracy": right,
        "seconds": [round(filled - started, 1), round(cut - filled, 1), round(trained - cut, 1)],
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
