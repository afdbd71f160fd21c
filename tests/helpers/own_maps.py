"""People whose maps from body to label are their own, or everybody's, and a small network that learns them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

import insula
from insula.types import Batch, InputSpec, ModelOutput
from insula.windows.table import Windows

TRIALS, WINDOWS = 12, 3
CONFIG = insula.EstimatorConfig(
    normaliser="population", train=insula.TrainConfig(epochs=60, learning_rate=0.02, average=0.0, modality_dropout=0.0)
)


class Small(nn.Module):
    """A network on hand-made features with one hidden layer."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.body = nn.Linear(sum(spec.features.values()), 8)
        self.out = nn.Linear(8, spec.outputs)

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:  # noqa: ARG002
        h = torch.tanh(self.body(torch.nan_to_num(torch.cat(list(batch.features.values()), -1))))
        return ModelOutput(self.out(h), h)


class Straight(nn.Module):
    """One linear layer, which cannot learn that people of two kinds have opposite maps."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.out = nn.Linear(sum(spec.features.values()), spec.outputs)

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:  # noqa: ARG002
        x = torch.nan_to_num(torch.cat(list(batch.features.values()), -1))
        return ModelOutput(self.out(x), x)


def cohort(people: int = 8, own: bool = True, seed: int = 0, kinds: bool = False) -> Windows:
    """Two levels; which stands for which label is each person's own matter, or the same for everybody.

    With ``kinds`` a second channel is another level for people with one map than for those with the other.
    """
    rng = np.random.default_rng(seed)
    x, y, who, trial = [], [], [], []
    for p in range(people):
        sign = -1 if own and p % 2 else 1
        for t, label in enumerate(rng.permutation(np.arange(TRIALS) % 2)):
            for _ in range(WINDOWS):
                signal = sign * (2 * label - 1) + rng.normal(size=(1, 16)) + 0.4 * rng.normal()
                kind = 5 * sign + 0.2 * rng.normal(size=(1, 16))
                x.append(np.vstack([signal, kind]) if kinds else signal)
                y.append("ab"[label])
                who.append(f"p{p}")
                trial.append(f"t{t:02d}")
    return Windows.from_arrays(
        np.array(x), y, who, rate_hz=4.0, channels=["L", "K"][: 1 + kinds], modality="hr", unit="1/min", trials=trial
    )
