"""Recurrent cores that can stand in the liquid layer's place: one interface, state in and state out.

All map (inputs (B, T, I), elapsed_s (B, T, 1), observed (B, T), state (B, H) or None) to (outputs (B, T, H), state).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from insula.errors import unknown_name
from insula.models.cells.liquid import NeuralLTC

CORES = ("liquid", "ema", "gru")


class ExponentialAverage(nn.Module):
    """A linear map and fixed exponential averages with log-spaced time constants: the liquid layer without liquid."""

    tau_s: Tensor

    def __init__(self, inputs: int, units: int, tau_s: tuple[float, float]) -> None:
        super().__init__()
        self.inputs = nn.Linear(inputs, units)
        self.register_buffer("tau_s", torch.logspace(math.log10(tau_s[0]), math.log10(tau_s[1]), units))

    def forward(
        self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        drive = torch.tanh(self.inputs(inputs))  # (B, T, H)
        keep = torch.exp(-elapsed_s / self.tau_s)  # (B, T, H)
        if observed is not None:
            keep = torch.where(observed.unsqueeze(-1), keep, torch.ones_like(keep))
        h = drive.new_zeros(drive.shape[0], drive.shape[2]) if state is None else state
        outputs = []
        for t in range(drive.shape[1]):
            h = keep[:, t] * h + (1 - keep[:, t]) * drive[:, t]
            outputs.append(h)
        return torch.stack(outputs, 1), h


class GatedRecurrent(nn.Module):
    """A GRU that holds its state where nothing is observed (Cho et al. 2014); it does not know elapsed time."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.gru = nn.GRU(inputs, units, batch_first=True)

    def forward(
        self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        del elapsed_s
        seen = inputs if observed is None else inputs * observed.unsqueeze(-1)
        outputs, last = self.gru(seen, None if state is None else state.unsqueeze(0))
        return outputs, last[0]


def gru_units(inputs: int, units: int) -> int:
    """Units of a GRU with about the parameters of a liquid layer of ``units``."""
    wanted = units * (inputs + units + 4)
    found = 1
    while 3 * (found + 1) * (inputs + found + 1 + 2) <= wanted:
        found += 1
    return found


def build_core(
    kind: str, inputs: int, units: int, tau_s: tuple[float, float], sub_steps: int = 4
) -> tuple[nn.Module, int]:
    """Build a core; return it with the width of its output."""
    if kind == "liquid":
        return NeuralLTC(inputs, units, tau_s=tau_s, sub_steps=sub_steps), units
    if kind == "ema":
        return ExponentialAverage(inputs, units, tau_s), units
    if kind == "gru":
        small = gru_units(inputs, units)
        return GatedRecurrent(inputs, small), small
    raise unknown_name("core", kind, CORES)
