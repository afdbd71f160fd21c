"""The gated recurrence (GRU) compiled: forward and backward, equal to `torch.nn.GRU`.

Cho et al. 2014 (arXiv 1406.1078) in the form of cuDNN: r and z are sigmoids, n = tanh(u + r (U h + c)), and the new
state is (1 - z) n + z h. What the inputs give to the three is computed outside, for all steps at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from insula.models.kernels.compiling import flat, kernel, padded, refuse_second_derivatives, round_up, shard_rows
from insula.models.kernels.matrix import ROWS, add_product, clear, copy
from insula.models.kernels.threads import run_shards
from insula.models.kernels.vector import LANES, ONE, load, sigmoid, store, tanh


@njit
def _rows_before(state, out, first, stop, t, steps, width, h):  # type: ignore[no-untyped-def]
    """Fill h (4, width) with the states before step t; beyond stop, of the last row again."""
    for r in range(ROWS):
        row = min(first + r, stop - 1)
        if t > 0:
            copy(out, (row * steps + t - 1) * width, h, r * width, width)
        else:
            copy(state, row * width, h, r * width, width)


@kernel
def _forward(drive, recurrent, bias, state, out, gates, start, stop, steps, width):  # type: ignore[no-untyped-def]
    """Rows start .. stop of the batch; drive (B, T, 3, width), gates (B, T, 4, width) keeps r, z, n and U h + c."""
    wide = 3 * width
    h, a = np.empty(ROWS * width, np.float32), np.empty(ROWS * wide, np.float32)
    for first in range(start, stop, ROWS):
        for t in range(steps):
            _rows_before(state, out, first, stop, t, steps, width, h)
            for r in range(ROWS):
                copy(bias, 0, a, r * wide, wide)
            add_product(h, 0, width, 1, recurrent, 0, wide, a, 0, wide, ROWS, width, wide)
            for r in range(min(ROWS, stop - first)):
                at = (first + r) * steps + t
                for o in range(0, width, LANES):
                    p, q = at * wide + o, r * wide + o
                    reset = sigmoid(load(drive, p) + load(a, q))
                    hold = sigmoid(load(drive, p + width) + load(a, q + width))
                    inner = load(a, q + 2 * width)
                    new = tanh(load(drive, p + 2 * width) + reset * inner)
                    k = 4 * at * width + o
                    store(gates, k, reset)
                    store(gates, k + width, hold)
                    store(gates, k + 2 * width, new)
                    store(gates, k + 3 * width, inner)
                    store(out, at * width + o, new + hold * (load(h, r * width + o) - new))


@kernel
def _backward(  # type: ignore[no-untyped-def]
    recurrent_back, state, out, gates, d_out, d_drive, d_state, d_recurrent, d_bias, start, stop, steps, width
):  # fmt: skip
    """Rows start .. stop of the batch; d_recurrent and d_bias belong to this shard and begin as zeros."""
    wide = 3 * width
    h, g, a = np.empty(ROWS * width, np.float32), np.empty(ROWS * width, np.float32), np.empty(ROWS * wide, np.float32)
    for first in range(start, stop, ROWS):
        rows = min(ROWS, stop - first)
        clear(g, 0, ROWS * width)
        clear(a, 0, ROWS * wide)
        for t in range(steps - 1, -1, -1):
            _rows_before(state, out, first, stop, t, steps, width, h)
            for r in range(rows):
                at = (first + r) * steps + t
                for o in range(0, width, LANES):
                    k, p, q = 4 * at * width + o, at * wide + o, r * wide + o
                    reset, hold = load(gates, k), load(gates, k + width)
                    new, inner = load(gates, k + 2 * width), load(gates, k + 3 * width)
                    asked = load(g, r * width + o) + load(d_out, at * width + o)
                    d_new = asked * (ONE - hold) * (ONE - new * new)
                    d_hold = asked * (load(h, r * width + o) - new) * hold * (ONE - hold)
                    d_reset = d_new * inner * reset * (ONE - reset)
                    store(d_drive, p, d_reset)
                    store(d_drive, p + width, d_hold)
                    store(d_drive, p + 2 * width, d_new)
                    store(a, q, d_reset)
                    store(a, q + width, d_hold)
                    store(a, q + 2 * width, d_new * reset)
                    store(g, r * width + o, asked * hold)
                for o in range(0, wide, LANES):
                    store(d_bias, o, load(d_bias, o) + load(a, r * wide + o))
            add_product(h, 0, 1, width, a, 0, wide, d_recurrent, 0, wide, width, ROWS, wide)
            add_product(a, 0, wide, 1, recurrent_back, 0, width, g, 0, width, ROWS, wide, width)
        copy(g, 0, d_state, first * width, rows * width)


class Gated(torch.autograd.Function):
    """States of a GRU, (B, T, H), from drive (B, T, 3 H), weight (3 H, H), bias (3 H,) and state (B, H)."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, weight: Tensor, bias: Tensor, state: Tensor) -> Tensor:
        batch, steps, _ = drive.shape
        units = state.shape[1]
        width = round_up(units, LANES)
        given = padded(drive.unflatten(2, (3, units)), width)
        recurrent = padded(weight.view(3, units, units).permute(2, 0, 1), width, 3, width)  # from, gate, to
        read = (given, recurrent, padded(bias.view(3, units), width), padded(state, width))
        out, gates = torch.empty(batch, steps, width), torch.empty(batch, steps, 4, width)
        rows, shards = shard_rows(batch, ROWS)
        arrays = tuple(map(flat, (*read, out, gates)))

        def task(shard: int) -> None:
            _forward(*arrays, shard * rows, min(batch, (shard + 1) * rows), steps, width)

        run_shards(task, shards)
        ctx.save_for_backward(recurrent, read[3], out, gates)
        ctx.units = units
        return out[..., :units]

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        refuse_second_derivatives()
        recurrent, state, out, gates = ctx.saved_tensors
        batch, steps, width = out.shape
        units = ctx.units
        rows, shards = shard_rows(batch, ROWS)
        d_drive, d_state = torch.empty(batch, steps, 3, width), torch.empty_like(state)
        d_recurrent, d_bias = torch.zeros(shards, width, 3, width), torch.zeros(shards, 3, width)
        back = recurrent.permute(1, 2, 0).reshape(3 * width, width)
        arrays = tuple(map(flat, (back, state, out, gates, padded(d_out, width), d_drive, d_state)))

        def task(shard: int) -> None:
            stop = min(batch, (shard + 1) * rows)
            own = (flat(d_recurrent[shard]), flat(d_bias[shard]))
            _backward(*arrays, *own, shard * rows, stop, steps, width)

        run_shards(task, shards)
        d_weight = d_recurrent.sum(0)[:units, :, :units].permute(1, 2, 0).reshape(3 * units, units)
        flat_drive = d_drive[..., :units].reshape(batch, steps, 3 * units)
        return flat_drive, d_weight, d_bias.sum(0)[:, :units].reshape(-1), d_state[:, :units]
