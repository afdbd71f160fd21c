"""A user's own network: everything insula asks of it is in these lines (README shows the same)."""

from __future__ import annotations

import torch
from torch import nn

from insula.types import Batch, InputSpec, ModelOutput


class MyNet(nn.Module):
    """Mean and deviation of every channel, then two linear layers."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        channels = sum(c for c, _ in spec.signals.values())
        self.embed = nn.Sequential(nn.Linear(2 * channels, 16), nn.ReLU())
        self.answer = nn.Linear(16, spec.outputs)

    def forward(self, batch: Batch, state: object = None) -> ModelOutput:
        signals = list(batch.signals.values())  # (B, C, T) each
        found = torch.cat([s.mean(-1) for s in signals] + [s.std(-1) for s in signals], 1)
        embedding = self.embed(found)
        return ModelOutput(self.answer(embedding), embedding, state)
