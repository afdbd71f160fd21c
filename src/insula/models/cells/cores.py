"""Recurrent cores that can stand in the liquid layer's place: one interface, state in and state out.

All map (inputs (B, T, I), elapsed_s (B, T, 1), observed (B, T), state or None) to (outputs (B, T, H), state).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from insula.errors import unknown_name
from insula.models.cells.cfc import CfC
from insula.models.cells.conductance import ConductanceLTC
from insula.models.cells.liquid import NeuralLTC
from insula.models.kernels import use_compiled
from insula.models.kernels.scan import LeakySum

CORES = ("liquid", "ema", "gru", "cfc", "conductance")


class ExponentialAverage(nn.Module):
    """A linear map and fixed exponential averages with log-spaced time constants: the liquid layer without liquid."""

    tau_s: Tensor

    def __init__(self, inputs: int, units: int, tau_s: tuple[float, float]) -> None:
        super().__init__()
        self.inputs = nn.Linear(inputs, units)
        self.leaky_sum = LeakySum()
        self.register_buffer("tau_s", torch.logspace(math.log10(tau_s[0]), math.log10(tau_s[1]), units))

    def forward(
        self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        drive = torch.tanh(self.inputs(inputs))  # (B, T, H)
        log_keep = -elapsed_s / self.tau_s  # (B, T, H)
        if observed is not None:
            log_keep = torch.where(observed.unsqueeze(-1), log_keep, torch.zeros_like(log_keep))
        h = drive.new_zeros(drive.shape[0], drive.shape[2]) if state is None else state
        outputs = self.leaky_sum(log_keep, -torch.expm1(log_keep) * drive, h)
        return outputs, outputs[:, -1] if outputs.shape[1] else h


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
        h = seen.new_zeros(seen.shape[0], self.gru.hidden_size) if state is None else state
        from_inputs, from_state, bias, state_bias = self.gru.parameters()
        if seen.numel() and use_compiled(seen, h, from_state):
            from insula.models.kernels.gated_numba import Gated

            drive = F.linear(seen, from_inputs, bias)
            outputs = Gated.apply(drive, from_state, state_bias, h)  # type: ignore[no-untyped-call]
            return outputs, outputs[:, -1]
        outputs, last = self.gru(seen, h.unsqueeze(0))
        return outputs, last[0]


class InUnits(nn.Module):
    """A core whose time is counted in units of its own."""

    def __init__(self, core: nn.Module, unit_s: float) -> None:
        super().__init__()
        self.core, self.unit_s = core, unit_s

    def forward(
        self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = self.core(inputs, elapsed_s / self.unit_s, observed, state)
        return found


def most_units(wanted: int, parameters: Callable[[int], int]) -> int:
    """Most units (1 or more) of which a core has no more parameters than wanted."""
    found = 1
    while parameters(found + 1) <= wanted:
        found += 1
    return found


def build_core(
    kind: str, inputs: int, units: int, tau_s: tuple[float, float], sub_steps: int = 4
) -> tuple[nn.Module, int]:
    """Build a core; return it with the width of its output.

    ``units`` are those of a liquid layer; a GRU, a closed-form and a conductance layer get so many that they have
    about its parameters. All start over the same time constants: a closed-form layer counts time in the middle of
    ``tau_s``, a conductance layer gets capacitances that put c / (leak + half of all conductances) between its ends.
    """
    wanted = units * (inputs + units + 4)
    if kind == "liquid":
        return NeuralLTC(inputs, units, tau_s=tau_s, sub_steps=sub_steps), units
    if kind == "ema":
        return ExponentialAverage(inputs, units, tau_s), units
    if kind == "gru":
        small = most_units(wanted, lambda n: 3 * n * (inputs + n + 2))
        return GatedRecurrent(inputs, small), small
    if kind == "cfc":
        small = most_units(wanted, lambda n: n * (inputs + 5 * n + 5))
        return InUnits(CfC(inputs, small, backbone_units=small), math.sqrt(tau_s[0] * tau_s[1])), small
    if kind == "conductance":
        small = most_units(wanted, lambda n: 4 * n * (inputs + n + 1) + 2 * inputs)
        core = ConductanceLTC(inputs, small, sub_steps)
        _start_between(core, tau_s)
        return core, small
    raise unknown_name("core", kind, CORES)


@torch.no_grad()
def _start_between(core: ConductanceLTC, tau_s: tuple[float, float]) -> None:
    """Set capacitances so that time constants start log-uniformly between two bounds with half of the gates open."""
    low, high = map(math.log, tau_s)
    tau = torch.exp(low + torch.rand(core.units) * (high - low))
    synapses = F.softplus(core.weight) * core.recurrent_mask, F.softplus(core.sensory_weight) * core.sensory_mask
    conductance = F.softplus(core.leak) + sum(s.sum(0) / 2 for s in synapses)
    capacitance = tau * conductance
    core.capacitance.copy_(capacitance + torch.log(-torch.expm1(-capacitance)))  # the inverse of softplus
