"""Neurons that any spiking model can be built of: ``lif``, ``tc_lif``, ``fspike``, and the rectifier of the twin.

All map (current (B, T, H), state or None) to (output (B, T, H), state) and take (units, decay, threshold).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from insula.errors import InputError, unknown_name
from insula.models.cells.spiking import LIF, check_neuron, resting
from insula.models.kernels.lif import fire


class TwoCompartmentLIF(nn.Module):
    """Two-compartment neuron (TC-LIF; arXiv 2308.13250, 2307.07231, code read).

    Published: dendrite v_d = v_d - sigmoid(b1) v_s + I; soma v_s = v_s + sigmoid(b2) v_d; a spike where v_s > theta;
    then v_d = v_d - gamma s and v_s = v_s - theta s, gamma .5 at theta 1. Ours: gamma follows the start threshold,
    thresholds are learned, start values b1 = b2 = logit of ``1 - decay`` and no gradient through the reset.
    State: (v_d, v_s) stacked, (2, B, H).
    """

    def __init__(self, units: int, *, decay: float = 0.5, threshold: float = 1.0, slope: float = 2.0) -> None:
        super().__init__()
        check_neuron(decay, threshold)
        self.units, self.slope, self.gamma = units, slope / threshold, 0.5 * threshold
        start = math.log((1 - decay) / decay)
        self.b1 = nn.Parameter(torch.full((units,), start))
        self.b2 = nn.Parameter(torch.full((units,), start))
        self.log_threshold = nn.Parameter(torch.full((units,), math.log(threshold)))

    def forward(self, current: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map currents (B, T, H) and state (2, B, H) to spikes (B, T, H) and the state after the last step."""
        rest = resting(current, self.units)
        dendrite, soma = (rest, rest) if state is None else state.unbind(0)
        back, forth, threshold = torch.sigmoid(self.b1), torch.sigmoid(self.b2), self.log_threshold.exp()
        spikes = []
        for current_t in current.unbind(1):  # (B, H)
            dendrite = dendrite - back * soma + current_t
            soma = soma + forth * dendrite
            fired = fire(soma - threshold, self.slope)
            dendrite = dendrite - self.gamma * fired.detach()
            soma = soma - threshold * fired.detach()
            spikes.append(fired)
        return torch.stack(spikes, 1), torch.stack([dendrite, soma])

    def operations(self, current: Tensor, state: Tensor | None = None) -> tuple[int, int, int]:
        """A neuron and step: two multiply-accumulates; the current, comparison and two resets are four additions."""
        del state
        return 2 * current.numel(), 4 * current.numel(), 0


class FractionalLIF(nn.Module):
    """Fractional-order neuron (fspikeDE; arXiv 2507.16937, code read): tau D^a v = -v + I, Caputo order 0 < a <= 1.

    Published: Gruenwald-Letnikov weights c_0 = 1, c_k = (1 - (1 + a) / k) c_(k-1), and a learnable order. In unit
    steps, with the derivative's memory cut after ``memory`` steps and 1/tau of the current left to the weights before
    (ours): v_t = (a - 1 + d) v_(t-1) - sum of c_k v_(t-k), k from 2, + I, d = 1 - 1/tau. Order 1 is exactly the LIF.
    The history holds membranes after the reset. State: (B, memory, H), newest first.
    """

    def __init__(
        self,
        units: int,
        *,
        decay: float = 0.5,
        threshold: float = 1.0,
        order: float = 0.8,
        memory: int = 16,
        slope: float = 2.0,
    ) -> None:
        super().__init__()
        check_neuron(decay, threshold)
        if not 0 < order <= 1:
            raise InputError(f"order {order}; expected above 0 and at most 1.")
        if memory < 2:
            raise InputError(f"memory {memory} steps; expected 2 or more.")
        self.units, self.memory, self.slope = units, memory, slope / threshold
        near = min(order, 1 - 1e-9)
        self.order_logit = nn.Parameter(torch.full((units,), math.log(near / (1 - near))))
        self.decay_logit = nn.Parameter(torch.full((units,), math.log(decay / (1 - decay))))
        self.log_threshold = nn.Parameter(torch.full((units,), math.log(threshold)))

    @property
    def order(self) -> Tensor:
        """(H,) order of the derivative."""
        return torch.sigmoid(self.order_logit)

    def weights(self) -> Tensor:
        """Weights of the membranes 1 .. memory steps ago, (memory, H)."""
        order = self.order
        c = [-order]
        for k in range(2, self.memory + 1):
            c.append((1 - (1 + order) / k) * c[-1])
        first = order - 1 + torch.sigmoid(self.decay_logit)
        return torch.stack([first, *(-weight for weight in c[1:])])

    def forward(self, current: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map currents (B, T, H) and past membranes (B, memory, H) to spikes (B, T, H) and the newest membranes."""
        rest = resting(current, self.units)
        weights, threshold = self.weights(), self.log_threshold.exp()
        past = rest.unsqueeze(1).expand(-1, self.memory, -1) if state is None else state
        spikes = []
        for current_t in current.unbind(1):  # (B, H)
            membrane = (weights * past).sum(1) + current_t
            fired = fire(membrane - threshold, self.slope)
            spikes.append(fired)
            after = membrane - threshold * fired.detach()
            past = torch.cat([after.unsqueeze(1), past[:, :-1]], 1)
        return torch.stack(spikes, 1), past

    def operations(self, current: Tensor, state: Tensor | None = None) -> tuple[int, int, int]:
        """A neuron and step: a multiply-accumulate for each remembered membrane; comparison and reset."""
        del state
        return self.memory * current.numel(), 2 * current.numel(), 0


class Rectifier(nn.Module):
    """ReLU in a neuron's place, for the non-spiking twin: I / theta between 0 and 1, theta fixed; it has no state.

    A neuron's rate is at most one spike a step; without that bound the products of attention run away.
    """

    def __init__(self, units: int, *, decay: float = 0.5, threshold: float = 1.0) -> None:
        super().__init__()
        check_neuron(decay, threshold)
        self.units, self.gain = units, 1 / threshold

    def forward(self, current: Tensor, state: None = None) -> tuple[Tensor, None]:
        """Map currents (B, T, H) to rates (B, T, H)."""
        resting(current, self.units)
        del state
        return (current * self.gain).clamp(0, 1), None

    def operations(self, current: Tensor, state: None = None) -> tuple[int, int, int]:
        """Two comparisons a neuron; the fixed gain belongs to the weights before."""
        del state
        return 0, 2 * current.numel(), 0


NEURONS: Mapping[str, Callable[..., nn.Module]] = {
    "lif": LIF,
    "tc_lif": TwoCompartmentLIF,
    "fspike": FractionalLIF,
}
"""Spiking neurons by name."""


def neuron_maker(kind: str, spiking: bool, options: Mapping[str, Any] | None = None) -> Callable[..., nn.Module]:
    """Return a function (units, threshold=1.0) that makes a layer of the named neuron, or of its twin's rectifier."""
    if kind not in NEURONS:
        raise unknown_name("neuron", kind, NEURONS)

    def make(units: int, threshold: float = 1.0) -> nn.Module:
        if not spiking:
            return Rectifier(units, threshold=threshold)
        return NEURONS[kind](units, threshold=threshold, **dict(options or {}))

    return make
