"""Parts of spiking networks: the leaky integrate-and-fire layer, its readout, spike-driven weights, spike counting.

Neurons map currents to spikes over a sequence, state in and state out, like the liquid layers. One step is one
simulation step, not a second: elapsed time does not enter.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from insula.errors import InputError
from insula.models.kernels import lif

USUAL_RATE = 0.2
"""Share of steps in which a neuron fires that start values are laid out for."""


class LIF(nn.Module):
    """Leaky integrate-and-fire layer: v = d v + I; a spike where v > theta; v = v - theta after a spike.

    The gradient of a spike is the arctangent surrogate (`insula.models.kernels.lif.surrogate`), its sharpness ``slope``
    measured in start thresholds; none passes through the reset. Decays and thresholds are learned a neuron
    (Fang et al. 2021, ICCV, learn the decay; learning the threshold too and soft reset are our choice).

    Parameters
    ----------
    units : number of neurons H.
    decay : share of the membrane kept a step at the start, above 0 and below 1.
    threshold : theta at the start, above 0.
    """

    def __init__(self, units: int, *, decay: float = 0.5, threshold: float = 1.0, slope: float = 2.0) -> None:
        super().__init__()
        check_neuron(decay, threshold)
        self.units, self.slope = units, slope / threshold
        self.decay_logit = nn.Parameter(torch.full((units,), math.log(decay / (1 - decay))))
        self.log_threshold = nn.Parameter(torch.full((units,), math.log(threshold)))

    @property
    def decay(self) -> Tensor:
        """(H,) share of the membrane kept a step."""
        return torch.sigmoid(self.decay_logit)

    @property
    def threshold(self) -> Tensor:
        """(H,) membrane above which a neuron fires."""
        return self.log_threshold.exp()

    def forward(self, current: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map currents (B, T, H) and membranes (B, H), zeros for None, to spikes (B, T, H) and the last membranes."""
        spikes, _, state = self.trace(current, state)
        return spikes, state

    def trace(self, current: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Do what ``forward`` does and return also the membranes before the reset (B, T, H), in the middle."""
        before = resting(current, self.units) if state is None else state
        return lif.integrate(current, self.decay, self.threshold, before, self.slope)

    def operations(self, current: Tensor, state: Tensor | None = None) -> tuple[int, int, int]:
        """A neuron and step: d v + I is one multiply-accumulate; comparison and reset are two additions."""
        del state
        return current.numel(), 2 * current.numel(), 0


class Integrator(nn.Module):
    """Non-spiking readout layer: u = d u + (1 - d) I, so that u is a running mean of its current.

    ``steps`` are the shortest and the longest memory in steps; decays start log-spaced between them and are learned.
    """

    def __init__(self, units: int, steps: tuple[float, float]) -> None:
        super().__init__()
        memory = torch.logspace(math.log10(steps[0]), math.log10(steps[1]), units)
        self.units = units
        self.decay_logit = nn.Parameter(torch.logit(torch.exp(-1 / memory)))

    def forward(self, current: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map currents (B, T, H) and state (B, H) to membranes (B, T, H) and the last of them."""
        decay = torch.sigmoid(self.decay_logit)
        before = resting(current, self.units) if state is None else state
        _, membranes, last = lif.integrate((1 - decay) * current, decay, None, before, 1.0)
        return membranes, last

    def operations(self, current: Tensor, state: Tensor | None = None) -> tuple[int, int, int]:
        """A neuron and step: two multiply-accumulates."""
        del state
        return 2 * current.numel(), 0, 0


class SpikeCounter(nn.Module):
    """Share of neurons and steps of each hop that fired: bookkeeping beside the network, free of charge in energy."""

    def forward(self, spikes: Tensor, batch: int, hops: int) -> Tensor:
        """Average spikes (B * G, S, H) over groups, neurons and the steps of a hop: (B, hops)."""
        apart: Tensor = spikes.unflatten(0, (batch, -1)).unflatten(2, (hops, -1))  # (B, G, hops, steps, H)
        return apart.mean((1, 3, 4))

    def operations(self, *inputs: object) -> tuple[int, int, int]:
        """None: a device without a report would not count."""
        del inputs
        return 0, 0, 0


def spike_weights(inputs: int, outputs: int) -> nn.Linear:
    """Weights without bias, so that silence stays silence; unit drive where inputs fire at the usual rate."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=(inputs * USUAL_RATE) ** -0.5)
    return layer


def check_neuron(decay: float, threshold: float) -> None:
    """Raise InputError for a decay or a threshold outside its range."""
    if not 0 < decay < 1:
        raise InputError(f"decay {decay}; expected above 0 and below 1.")
    if not threshold > 0:
        raise InputError(f"threshold {threshold}; expected above 0.")


def resting(current: Tensor, units: int) -> Tensor:
    """Membranes (B, H) at rest for currents (B, T, H); raise InputError where H is not ``units``."""
    if current.dim() != 3 or current.shape[2] != units:
        raise InputError(f"currents of shape {tuple(current.shape)}; expected (batch, steps, {units}).")
    return current.new_zeros(current.shape[0], units)
