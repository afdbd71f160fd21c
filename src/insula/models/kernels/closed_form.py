"""The closed-form recurrence (CfC): plain PyTorch reference, and the choice between it and the compiled kernel."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from insula.models.kernels import use_compiled

Mode = Literal["default", "no_gate", "pure"]
SCALE, SLOPE = 1.7159, 0.666
"""The backbone's activation is SCALE tanh(SLOPE x)."""


def activate(x: Tensor) -> Tensor:
    """LeCun's tanh."""
    return SCALE * torch.tanh(SLOPE * x)


def close(heads: Tensor, elapsed_s: Tensor, rate_hz: Tensor, reversal: Tensor, mode: Mode) -> Tensor:
    """New state (B, H) from what the heads say, (B, 4 H) in the order f1, f2, ta, tb, or (B, H) for pure."""
    if mode == "pure":
        return reversal - reversal * torch.exp(-elapsed_s * (rate_hz + heads.abs())) * heads
    f1, f2, ta, tb = heads.chunk(4, dim=-1)
    share = torch.sigmoid(ta * elapsed_s + tb)
    if mode == "no_gate":
        return torch.tanh(f1) + share * torch.tanh(f2)
    return torch.tanh(f1) * (1 - share) + share * torch.tanh(f2)


def reference(
    inputs: Tensor,
    elapsed_s: Tensor,
    observed: Tensor | None,
    input_weight: Tensor,
    bias: Tensor,
    recurrent: Tensor,
    head_weight: Tensor | None,
    head_bias: Tensor | None,
    rate_hz: Tensor,
    reversal: Tensor,
    state: Tensor,
    mode: Mode,
) -> Tensor:
    """Run z = activate(u W + h U + b), heads = z V + c, h' = close(heads), holding h where a sample is missing.

    Parameters
    ----------
    inputs : (B, T, I) u.
    elapsed_s : (B, T, 1) seconds since the last observed sample.
    observed : (B, T) bool, or None for all.
    input_weight, recurrent, bias : (I, N) W, (H, N) U and (N,) b of the backbone.
    head_weight, head_bias : (N, 4 H) V and (4 H,) c, for pure (N, H) and (H,); both None: no backbone, u W + h U + b
        are the heads.
    rate_hz, reversal : (H,) |w_tau| and A, of the pure mode.
    state : (B, H) state before the first step.

    Returns
    -------
    (B, T, H) state after each input sample.
    """
    if inputs.shape[1] == 0:
        return state.unsqueeze(1)[:, :0]
    states = []
    drive = F.linear(inputs, input_weight.T, bias)  # (B, T, N), for all steps at once
    for t in range(inputs.shape[1]):
        heads = drive[:, t] + state @ recurrent
        if head_weight is not None and head_bias is not None:
            heads = activate(heads) @ head_weight + head_bias
        new = close(heads, elapsed_s[:, t], rate_hz, reversal, mode)
        state = new if observed is None else torch.where(observed[:, t].unsqueeze(-1), new, state)
        states.append(state)
    return torch.stack(states, dim=1)


def integrate(
    inputs: Tensor,
    elapsed_s: Tensor,
    observed: Tensor | None,
    input_weight: Tensor,
    bias: Tensor,
    recurrent: Tensor,
    head_weight: Tensor | None,
    head_bias: Tensor | None,
    rate_hz: Tensor,
    reversal: Tensor,
    state: Tensor,
    mode: Mode,
) -> Tensor:
    """Do what `reference` does, on compiled kernels where they serve."""
    tensors = (inputs, elapsed_s, input_weight, bias, recurrent, rate_hz, reversal, state)
    if head_weight is None or head_bias is None or not inputs.numel() or not use_compiled(*tensors, head_weight):
        return reference(
            inputs, elapsed_s, observed, input_weight, bias, recurrent, head_weight, head_bias, rate_hz, reversal,
            state, mode,
        )  # fmt: skip
    from insula.models.kernels.closed_form_numba import Integrate

    first = elapsed_s.detach().flatten()[0]
    if mode != "pure" and not elapsed_s.requires_grad and bool((elapsed_s == first).all()):
        # One elapsed time throughout: ta dt + tb is one head, and a quarter of the products is saved.
        units = state.shape[1]
        head_weight, head_bias = _merge(head_weight, units, float(first)), _merge(head_bias, units, float(first))
    return Integrate.apply(  # type: ignore[no-any-return,no-untyped-call]
        inputs, elapsed_s, input_weight, bias, recurrent, head_weight, head_bias, rate_hz, reversal, state, observed,
        mode,
    )  # fmt: skip


def _merge(heads: Tensor, units: int, elapsed_s: float) -> Tensor:
    """(..., 4 H) -> (..., 3 H): f1, f2, ta dt + tb."""
    kept, ta, tb = heads.split([2 * units, units, units], dim=-1)
    return torch.cat([kept, ta * elapsed_s + tb], dim=-1)
