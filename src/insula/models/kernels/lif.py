"""The leaky integrate-and-fire recurrence: plain PyTorch reference, and the choice between it and the kernel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from insula.models.kernels import use_compiled


class _Fire(torch.autograd.Function):
    """Heaviside step with the arctangent surrogate gradient."""

    @staticmethod
    def forward(ctx: Any, above: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(above)
        ctx.slope = slope
        return (above > 0).to(above.dtype)

    @staticmethod
    def backward(ctx: Any, d_spikes: Tensor) -> tuple[Tensor, None]:
        (above,) = ctx.saved_tensors
        return d_spikes * surrogate(above, ctx.slope), None


def surrogate(above: Tensor, slope: float) -> Tensor:
    """Gradient that stands for the step's: (slope / 2) / (1 + (pi slope x / 2)^2) of Fang et al. 2021 (ICCV)."""
    return slope / 2 / (1 + (torch.pi / 2 * slope * above).square())


def fire(above: Tensor, slope: float) -> Tensor:
    """Spike (1) where a membrane is above its threshold, else 0; its gradient is `surrogate`.

    Parameters
    ----------
    above : membrane minus threshold, any shape.
    slope : sharpness of the surrogate.
    """
    if torch.is_grad_enabled() and above.requires_grad:
        spikes: Tensor = _Fire.apply(above, slope)  # type: ignore[no-untyped-call]
        return spikes
    return (above > 0).to(above.dtype)


def reference(
    current: Tensor, decay: Tensor, threshold: Tensor | None, state: Tensor, slope: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Run v = d v + I; s = 1 where v > theta; v = v - theta s, over a sequence.

    No gradient passes through the reset's s.

    Parameters
    ----------
    current : (B, T, H).
    decay, threshold : (H,) share of the membrane kept a step, and theta; None never fires.
    state : (B, H) membrane before the first step.
    slope : sharpness of the surrogate gradient.

    Returns
    -------
    spikes (B, T, H), membranes before the reset (B, T, H), and the membrane (B, H) after the last step.
    """
    if current.shape[1] == 0:
        return current, current, state
    spikes, membranes = [], []
    for current_t in current.unbind(1):  # (B, H)
        state = decay * state + current_t
        membranes.append(state)
        if threshold is not None:
            fired = fire(state - threshold, slope)
            state = state - threshold * fired.detach()
        else:
            fired = torch.zeros_like(state)
        spikes.append(fired)
    return torch.stack(spikes, 1), torch.stack(membranes, 1), state


def integrate(
    current: Tensor, decay: Tensor, threshold: Tensor | None, state: Tensor, slope: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Do what `reference` does, on compiled kernels where they serve."""
    if current.numel() and use_compiled(current, decay, decay if threshold is None else threshold, state):
        from insula.models.kernels.lif_numba import Integrate

        level = torch.full_like(decay, torch.inf) if threshold is None else threshold
        found: tuple[Tensor, Tensor, Tensor] = Integrate.apply(current, decay, level, state, slope)  # type: ignore[no-untyped-call]
        return found
    return reference(current, decay, threshold, state, slope)
