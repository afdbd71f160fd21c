"""The closed-form recurrence compiled: forward and backward, equal to `insula.models.kernels.closed_form.reference`.

Shards of the batch run on threads; each walks through time, its rows together. The forward pass keeps z and the heads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from insula.models.kernels.closed_form import SCALE, SLOPE, Mode
from insula.models.kernels.compiling import flat, kernel, padded, refuse_second_derivatives, round_up, shard_rows
from insula.models.kernels.matrix import ROWS, add_product, clear, copy
from insula.models.kernels.threads import run_shards
from insula.models.kernels.vector import (
    LANES,
    ONE,
    ZERO,
    exp,
    fill,
    load,
    magnitude,
    sigmoid,
    sign,
    spread,
    store,
    tanh,
    total,
)

OUTER, INNER = np.float32(SCALE), np.float32(SLOPE)
BEND = np.float32(SLOPE / SCALE)
SHARDS = 8
"""Fewer shards than the other kernels have: more rows share each pass over the weights."""
GATHERED = 128
"""Rows of batch and time that are gathered before the gradients of the weights are summed."""


@njit
def _close(heads, h, width, dt, neurons, o, timed, gated, pure):  # type: ignore[no-untyped-def]
    """New state of sixteen neurons. In ``heads``, what the backward pass needs takes the place of what was there.

    There it leaves f for pure; else tanh f1, tanh f2, the share and, for timed, ta.
    """
    if pure:
        f = load(heads, h + o)
        decay = exp(dt * (load(neurons, o) + magnitude(f)) * -ONE)
        reversal = load(neurons, width + o)
        return reversal - reversal * decay * f
    f1 = tanh(load(heads, h + o))
    f2 = tanh(load(heads, h + width + o))
    argument = load(heads, h + 2 * width + o)
    if timed:
        ta = argument
        argument = ta * dt + load(heads, h + 3 * width + o)
        store(heads, h + 3 * width + o, ta)
    share = sigmoid(argument)
    store(heads, h + o, f1)
    store(heads, h + width + o, f2)
    store(heads, h + 2 * width + o, share)
    if gated:
        return f1 + share * (f2 - f1)
    return f1 + share * f2


@njit
def _open(kept, k, d_heads, h, width, dt, neurons, d_neurons, o, g, timed, gated, pure):  # type: ignore[no-untyped-def]
    """Gradients of the heads of sixteen neurons, written to ``d_heads``, and of the elapsed time, given back."""
    if pure:
        f = load(kept, k + o)
        rate, reversal = load(neurons, o) + magnitude(f), load(neurons, width + o)
        decay = exp(dt * rate * -ONE)
        d_exponent = g * reversal * f * decay
        d_rate = d_exponent * dt
        store(d_neurons, o, load(d_neurons, o) + d_rate)
        store(d_neurons, width + o, load(d_neurons, width + o) + g * (ONE - decay * f))
        store(d_heads, h + o, d_rate * sign(f) - g * reversal * decay)
        return d_exponent * rate
    f1, f2, share = load(kept, k + o), load(kept, k + width + o), load(kept, k + 2 * width + o)
    d_f1, d_share = g, g * f2
    if gated:
        d_f1, d_share = g * (ONE - share), g * (f2 - f1)
    d_argument = d_share * share * (ONE - share)
    store(d_heads, h + o, d_f1 * (ONE - f1 * f1))
    store(d_heads, h + width + o, g * share * (ONE - f2 * f2))
    if not timed:
        store(d_heads, h + 2 * width + o, d_argument)
        return fill(ZERO)
    store(d_heads, h + 2 * width + o, d_argument * dt)
    store(d_heads, h + 3 * width + o, d_argument)
    return d_argument * load(kept, k + 3 * width + o)


@kernel
def _forward(  # type: ignore[no-untyped-def]
    inputs, elapsed, seen, weight, bias, recurrent, head_weight, head_bias, neurons, state, out, kept_z, kept_heads,
    start, stop, steps, span, width, hidden, wide, timed, gated, pure, keep,
):  # fmt: skip
    """Rows start .. stop of the batch; span, hidden and wide are the widths of inputs, backbone and heads."""
    real = stop - start
    rows = -(-real // ROWS) * ROWS
    u = np.zeros(rows * span, np.float32)
    x = np.zeros(rows * width, np.float32)
    z = np.zeros(rows * hidden, np.float32)
    heads = np.zeros(rows * wide, np.float32)
    copy(state, start * width, x, 0, real * width)
    for t in range(steps):
        for r in range(real):
            copy(inputs, ((start + r) * steps + t) * span, u, r * span, span)
            copy(bias, 0, z, r * hidden, hidden)
            copy(head_bias, 0, heads, r * wide, wide)
        add_product(u, 0, span, 1, weight, 0, hidden, z, 0, hidden, rows, span, hidden)
        add_product(x, 0, width, 1, recurrent, 0, hidden, z, 0, hidden, rows, width, hidden)
        for q in range(0, rows * hidden, LANES):
            store(z, q, tanh(load(z, q) * INNER) * OUTER)
        add_product(z, 0, hidden, 1, head_weight, 0, wide, heads, 0, wide, rows, hidden, wide)
        for r in range(real):
            at = (start + r) * steps + t
            if seen[at] != ZERO:
                dt = spread(elapsed, at)
                for o in range(0, width, LANES):
                    store(x, r * width + o, _close(heads, r * wide, width, dt, neurons, o, timed, gated, pure))
            copy(x, r * width, out, at * width, width)
            if keep:
                copy(z, r * hidden, kept_z, at * hidden, hidden)
                copy(heads, r * wide, kept_heads, at * wide, wide)


@njit
def _add_rows(a, width, rows, c, c0):  # type: ignore[no-untyped-def]
    """Add the sum of rows of A to C at c0."""
    for o in range(0, width, LANES):
        into = load(c, c0 + o)
        for r in range(rows):
            into = into + load(a, r * width + o)
        store(c, c0 + o, into)


@kernel
def _backward(  # type: ignore[no-untyped-def]
    inputs, elapsed, seen, weight, recurrent, head_weight, neurons, kept_z, kept_heads, out, state, d_out,
    d_inputs, d_elapsed, d_state, d_weight, d_bias, d_recurrent, d_head_weight, d_neurons,
    start, stop, steps, span, width, hidden, wide, timed, gated, pure, inward,
):  # fmt: skip
    """Rows start .. stop of the batch; the weights come transposed. d_inputs is left alone unless ``inward``.

    d_weight to d_neurons belong to this shard and begin as zeros; d_bias is that of the backbone, then of the heads.
    What the gradients of the weights are made of is gathered for some steps, and multiplied while it is in the cache.
    """
    real = stop - start
    rows = -(-real // ROWS) * ROWS
    slots = max(1, GATHERED // rows)
    g = np.zeros(rows * width, np.float32)
    u = np.zeros(slots * rows * span, np.float32)
    before = np.zeros(slots * rows * width, np.float32)
    z = np.zeros(slots * rows * hidden, np.float32)
    d_heads = np.zeros(slots * rows * wide, np.float32)
    d_pre = np.zeros(slots * rows * hidden, np.float32)  # gradient of the argument of the backbone's activation
    d_u = np.empty(rows * span, np.float32)
    slot = 0
    for t in range(steps - 1, -1, -1):
        row = slot * rows
        clear(d_pre, row * hidden, rows * hidden)
        for r in range(real):
            at = (start + r) * steps + t
            dt = spread(elapsed, at)
            d_dt = fill(ZERO)
            copy(inputs, at * span, u, (row + r) * span, span)
            copy(kept_z, at * hidden, z, (row + r) * hidden, hidden)
            if t > 0:
                copy(out, (at - 1) * width, before, (row + r) * width, width)
            else:
                copy(state, (start + r) * width, before, (row + r) * width, width)
            h = (row + r) * wide
            if seen[at] == ZERO:
                clear(d_heads, h, wide)
            for o in range(0, width, LANES):
                q = r * width + o
                store(g, q, load(g, q) + load(d_out, at * width + o))
                if seen[at] != ZERO:
                    d_dt = d_dt + _open(
                        kept_heads, at * wide, d_heads, h, width, dt, neurons, d_neurons, o, load(g, q),
                        timed, gated, pure,
                    )  # fmt: skip
                    store(g, q, fill(ZERO))
            d_elapsed[at] = total(d_dt)
        add_product(
            d_heads, row * wide, wide, 1, head_weight, 0, hidden, d_pre, row * hidden, hidden, rows, wide, hidden
        )
        for q in range(row * hidden, (row + rows) * hidden, LANES):
            store(d_pre, q, load(d_pre, q) * (OUTER * INNER - load(z, q) * load(z, q) * BEND))
        add_product(d_pre, row * hidden, hidden, 1, recurrent, 0, width, g, 0, width, rows, hidden, width)
        if inward:
            clear(d_u, 0, rows * span)
            add_product(d_pre, row * hidden, hidden, 1, weight, 0, span, d_u, 0, span, rows, hidden, span)
            for r in range(real):
                copy(d_u, r * span, d_inputs, ((start + r) * steps + t) * span, span)
        slot += 1
        if slot == slots or t == 0:
            every = slot * rows
            add_product(u, 0, 1, span, d_pre, 0, hidden, d_weight, 0, hidden, span, every, hidden)
            add_product(before, 0, 1, width, d_pre, 0, hidden, d_recurrent, 0, hidden, width, every, hidden)
            add_product(z, 0, 1, hidden, d_heads, 0, wide, d_head_weight, 0, wide, hidden, every, wide)
            _add_rows(d_pre, hidden, every, d_bias, 0)
            _add_rows(d_heads, wide, every, d_bias, hidden)
            slot = 0
    copy(g, 0, d_state, start * width, real * width)


def _padded_heads(heads: Tensor, units: int, *lead: int, width: int) -> Tensor:
    """(..., n H) -> (..., n width), each head filled with zeros."""
    return padded(heads.unflatten(-1, (-1, units)), *lead, heads.shape[-1] // units, width).flatten(-2)


def _heads_only(heads: Tensor, units: int, width: int) -> Tensor:
    """(..., n width) -> (..., n H), undoing `_padded_heads`."""
    parts: Tensor = heads.unflatten(-1, (-1, width))
    return parts[..., :units].flatten(-2)


class Integrate(torch.autograd.Function):
    """`insula.models.kernels.closed_form.reference` on compiled kernels: float32 on the CPU.

    Three heads instead of four stand for f1, f2 and ta dt + tb with one elapsed time throughout.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        elapsed_s: Tensor,
        input_weight: Tensor,
        bias: Tensor,
        recurrent: Tensor,
        head_weight: Tensor,
        head_bias: Tensor,
        rate_hz: Tensor,
        reversal: Tensor,
        state: Tensor,
        observed: Tensor | None,
        mode: Mode,
    ) -> Tensor:
        batch, steps, n_inputs = inputs.shape
        units, backbone = recurrent.shape
        span, width, hidden = (round_up(size, LANES) for size in (n_inputs, units, backbone))
        n_heads = head_bias.shape[0] // units
        wide = n_heads * width
        flags = (n_heads == 4, mode == "default", mode == "pure")
        keep = any(ctx.needs_input_grad)
        neurons = padded(torch.stack([rate_hz.detach(), reversal.detach()]), width)
        seen = torch.ones(batch, steps) if observed is None else observed.float()
        weights = (
            padded(input_weight, span, hidden), padded(bias, hidden), padded(recurrent, width, hidden),
            _padded_heads(head_weight, units, hidden, width=width), _padded_heads(head_bias, units, width=width),
        )  # fmt: skip
        read = (padded(inputs, span), elapsed_s.detach().contiguous(), seen, *weights, neurons, padded(state, width))
        out = torch.empty(batch, steps, width)
        kept = torch.empty(batch, steps, hidden if keep else 0), torch.empty(batch, steps, wide if keep else 0)
        rows, shards = shard_rows(batch, ROWS, SHARDS)
        arrays = tuple(map(flat, (*read, out, *kept)))

        def task(shard: int) -> None:
            stop = min(batch, (shard + 1) * rows)
            _forward(*arrays, shard * rows, stop, steps, span, width, hidden, wide, *flags, keep)

        run_shards(task, shards)
        ctx.save_for_backward(*read[:4], *read[5:7], neurons, *kept, out, read[-1])
        ctx.n_inputs, ctx.units, ctx.backbone, ctx.flags = n_inputs, units, backbone, flags
        return out[..., :units]

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        inputs, elapsed_s, seen, weight, recurrent, head_weight, neurons, z, heads, out, state = ctx.saved_tensors
        batch, steps, width = out.shape
        span, hidden, wide = inputs.shape[2], z.shape[2], heads.shape[2]
        n_inputs, units, backbone = ctx.n_inputs, ctx.units, ctx.backbone
        rows, shards = shard_rows(batch, ROWS, SHARDS)
        read = (
            inputs, elapsed_s, seen, weight.T, recurrent.T, head_weight.T, neurons, z, heads, out, state,
            padded(d_out, width),
        )  # fmt: skip
        whole = [torch.empty_like(tensor) for tensor in (inputs, elapsed_s, state)]
        sums = [
            torch.zeros(shards, *shape)
            for shape in ((span, hidden), (hidden + wide,), (width, hidden), (hidden, wide), (2, width))
        ]
        arrays = tuple(map(flat, (*read, *whole)))
        inward = ctx.needs_input_grad[0]

        def task(shard: int) -> None:
            stop = min(batch, (shard + 1) * rows)
            own = (flat(tensor[shard]) for tensor in sums)
            _backward(*arrays, *own, shard * rows, stop, steps, span, width, hidden, wide, *ctx.flags, inward)

        run_shards(task, shards)
        d_weight, d_bias, d_recurrent, d_head_weight, d_neurons = (tensor.sum(0) for tensor in sums)
        d_rate, d_reversal = d_neurons[:, :units]
        d_inputs, d_elapsed, d_state = whole
        return (
            d_inputs[..., :n_inputs] if inward else None, d_elapsed, d_weight[:n_inputs, :backbone], d_bias[:backbone],
            d_recurrent[:units, :backbone], _heads_only(d_head_weight[:backbone], units, width),
            _heads_only(d_bias[hidden:], units, width), d_rate, d_reversal, d_state[:, :units], None, None,
        )  # fmt: skip
