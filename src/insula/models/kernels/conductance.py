"""The conductance LTC recurrence: plain PyTorch reference, and the choice between it and the compiled kernel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from insula.models.kernels import use_compiled

EPSILON = 1e-8
"""Added to the conductance that a potential is divided by, as published code does."""


@dataclass(frozen=True)
class Synapses:
    """From J neurons (rows) to H neurons (columns): sigma_ji = sigmoid(slope_ji (v_j - midpoint_ji)).

    ``weight`` is the conductance of an open synapse (0: absent), ``reversal`` the potential it pulls to; all (J, H).
    """

    slope: Tensor
    midpoint: Tensor
    weight: Tensor
    reversal: Tensor

    def __call__(self, potential: Tensor) -> tuple[Tensor, Tensor]:
        """Current and conductance, (B, H) each, that potentials (B, J) cause."""
        # (B, J, 1) against (J, H) -> (B, J, H)
        active = self.weight * torch.sigmoid(self.slope * (potential.unsqueeze(-1) - self.midpoint))
        return (active * self.reversal).sum(1), active.sum(1)


@dataclass(frozen=True)
class Membrane:
    """Leak conductance, leak potential and capacitance, (H,) each."""

    leak: Tensor
    rest: Tensor
    capacitance: Tensor


def reference(
    inputs: Tensor,
    elapsed_s: Tensor,
    observed: Tensor | None,
    sensory: Synapses,
    recurrent: Synapses,
    membrane: Membrane,
    state: Tensor,
    sub_steps: int,
) -> Tensor:
    """Integrate c dv/dt = g (vl - v) + sum w sigma (E - v) with the fused semi-implicit step.

    The published step with numerator and denominator multiplied by dt, so that no time elapsed means no change.

    Parameters
    ----------
    inputs : (B, T, I) potentials of the sensory neurons.
    elapsed_s : (B, T, 1) seconds since the sample before.
    observed : (B, T) bool, or None for all; where False the sensory synapses are silent.
    state : (B, H) potentials before the first step.
    sub_steps : K solver steps an input sample.

    Returns
    -------
    (B, T, H) potentials after each input sample.
    """
    if inputs.shape[1] == 0:
        return state.unsqueeze(1)[:, :0]
    states = []
    dt_s = elapsed_s / sub_steps
    for t in range(inputs.shape[1]):
        current, conductance = sensory(inputs[:, t])
        if observed is not None:
            silent = ~observed[:, t].unsqueeze(-1)
            current, conductance = current.masked_fill(silent, 0.0), conductance.masked_fill(silent, 0.0)
        for _ in range(sub_steps):
            from_others, opened = recurrent(state)
            pull = membrane.leak * membrane.rest + from_others + current
            total = membrane.leak + opened + conductance + EPSILON
            state = (membrane.capacitance * state + dt_s[:, t] * pull) / (membrane.capacitance + dt_s[:, t] * total)
        states.append(state)
    return torch.stack(states, dim=1)


def integrate(
    inputs: Tensor,
    elapsed_s: Tensor,
    observed: Tensor | None,
    sensory: Synapses,
    recurrent: Synapses,
    membrane: Membrane,
    state: Tensor,
    sub_steps: int,
) -> Tensor:
    """Do what `reference` does, on compiled kernels where they serve."""
    tensors = (
        inputs, elapsed_s,
        sensory.slope, sensory.midpoint, sensory.weight, sensory.reversal,
        recurrent.slope, recurrent.midpoint, recurrent.weight, recurrent.reversal,
        membrane.leak, membrane.rest, membrane.capacitance, state,
    )  # fmt: skip
    if inputs.numel() and use_compiled(*tensors):
        from insula.models.kernels.conductance_numba import Integrate

        return Integrate.apply(*tensors, observed, sub_steps)  # type: ignore[no-any-return,no-untyped-call]
    return reference(inputs, elapsed_s, observed, sensory, recurrent, membrane, state, sub_steps)
