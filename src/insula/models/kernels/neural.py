"""The neural LTC recurrence: plain PyTorch reference, and the choice between it and the compiled kernel."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from insula.models.kernels import use_compiled
from insula.models.kernels.stacking import over_models

Solver = Literal["fused", "exponential"]


def reference(
    inputs: Tensor,
    elapsed_s: Tensor,
    input_weight: Tensor,
    bias: Tensor,
    recurrent: Tensor,
    rate_hz: Tensor,
    gain_hz: Tensor,
    reversal: Tensor,
    state: Tensor,
    sub_steps: int,
    solver: Solver,
) -> Tensor:
    """Integrate dx/dt = -(1/tau + f) x + f A, f = k sigmoid(W u + U x + b), over a sequence.

    Parameters
    ----------
    inputs : (B, T, I) u.
    elapsed_s : (B, T, 1) seconds since the sample before.
    input_weight, bias, recurrent : (I, H) W, (H,) b and (H, H) U; row = from, column = to.
    rate_hz, gain_hz, reversal : (H,) 1/tau and k in 1/s, A.
    state : (B, H) state before the first step.
    sub_steps : K solver steps an input sample.
    solver : ``"fused"`` semi-implicit, or ``"exponential"`` with f held over a sub-step.

    Returns
    -------
    (B, T, H) state after each input sample.
    """
    if inputs.shape[1] == 0:
        return state.unsqueeze(1)[:, :0]
    states = []
    drive = F.linear(inputs, input_weight.T, bias)  # (B, T, H), for all steps at once
    for drive_t, dt_s in zip(drive.unbind(1), (elapsed_s / sub_steps).unbind(1), strict=True):  # (B, H), (B, 1)
        for _ in range(sub_steps):
            f = gain_hz * torch.sigmoid(drive_t + state @ recurrent)
            if solver == "fused":
                state = (state + dt_s * f * reversal) / (1 + dt_s * (rate_hz + f))
            else:
                total_hz = rate_hz + f
                rest = f * reversal / total_hz
                state = rest + (state - rest) * torch.exp(-dt_s * total_hz)
        states.append(state)
    return torch.stack(states, dim=1)


def integrate(
    inputs: Tensor,
    elapsed_s: Tensor,
    input_weight: Tensor,
    bias: Tensor,
    recurrent: Tensor,
    rate_hz: Tensor,
    gain_hz: Tensor,
    reversal: Tensor,
    state: Tensor,
    sub_steps: int,
    solver: Solver,
) -> Tensor:
    """Do what `reference` does, on compiled kernels where they serve."""
    weights = (input_weight, bias, recurrent, rate_hz, gain_hz, reversal)

    def again(u: Tensor, dt_s: Tensor, x: Tensor, *own: Tensor) -> Tensor:
        w, b, r, rate, gain, rest = own
        return integrate(u, dt_s, w, b, r, rate, gain, rest, x, sub_steps, solver)

    found = over_models(again, (inputs, elapsed_s, state), weights)
    if found is not None:
        return found
    tensors = (inputs, elapsed_s, *weights, state)
    if inputs.numel() and use_compiled(*tensors):
        from insula.models.kernels.neural_numba import Integrate

        return Integrate.apply(*tensors, sub_steps, solver == "exponential")  # type: ignore[no-any-return,no-untyped-call]
    return reference(*tensors, sub_steps, solver)
