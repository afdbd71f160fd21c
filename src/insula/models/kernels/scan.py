"""A leaky sum over time, each neuron for itself: plain PyTorch reference, and the choice of the compiled kernel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from insula.models.kernels import use_compiled
from insula.models.kernels.stacking import over_models

SPAN = 16
"""Steps that the reference sums at once; longer sequences go span by span."""


def reference(log_keep: Tensor, fresh: Tensor, state: Tensor) -> Tensor:
    """Sum h = exp(log_keep) h + fresh over a sequence.

    Parameters
    ----------
    log_keep : (B, T, H) logarithm of the share of h that a step keeps, 0 or less.
    fresh : (B, T, H) what a step adds.
    state : (B, H) h before the first step.

    Returns
    -------
    (B, T, H) h after each step.
    """
    outputs = [fresh[:, :0]]
    for first in range(0, fresh.shape[1], SPAN):
        total = log_keep[:, first : first + SPAN].cumsum(1)  # (B, t, H)
        own = torch.einsum("btsh,bsh->bth", _fade(total), fresh[:, first : first + SPAN])
        outputs.append(own + total.exp() * state.unsqueeze(1))
        state = outputs[-1][:, -1]
    return torch.cat(outputs, 1)


def scan(log_keep: Tensor, fresh: Tensor, state: Tensor) -> Tensor:
    """Do what `reference` does, on the compiled kernel where it serves."""
    found = over_models(scan, (log_keep, fresh, state), ())
    if found is not None:
        return found
    if fresh.numel() and use_compiled(log_keep, fresh, state):
        from insula.models.kernels.scan_numba import Scan

        return Scan.apply(log_keep.exp(), fresh, state)  # type: ignore[no-any-return,no-untyped-call]
    return reference(log_keep, fresh, state)


def _fade(total: Tensor) -> Tensor:
    """Retention from each step s to each step t >= s, 0 before: (B, t, s, H) of cumulative logarithms (B, t, H)."""
    steps = total.shape[1]
    past = torch.ones(steps, steps, dtype=torch.bool, device=total.device).tril()
    gap = total.unsqueeze(2) - total.unsqueeze(1)
    return torch.where(past[None, :, :, None], gap, torch.full_like(gap, -1e4)).exp()


class LeakySum(nn.Module):
    """`scan` as a layer without weights, so that what it computes in one opaque piece is counted."""

    def forward(self, log_keep: Tensor, fresh: Tensor, state: Tensor) -> Tensor:
        """Do what `reference` does."""
        return scan(log_keep, fresh, state)

    def operations(self, log_keep: Tensor, fresh: Tensor, state: Tensor) -> tuple[int, int, int]:
        """Return multiply-accumulates, additions and others: keep h + fresh, and the exponential of keep."""
        del state
        return fresh.numel(), 0, log_keep.numel()
