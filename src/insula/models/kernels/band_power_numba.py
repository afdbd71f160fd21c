"""The mean power of filtered channels compiled: forward and backward, equal to its reference.

One channel of one row at a time, so that what is filtered stays in the processor's first cache and is never stored;
the backward pass filters again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from insula.models.kernels.compiling import flat, kernel, refuse_second_derivatives, shard_rows
from insula.models.kernels.matrix import clear
from insula.models.kernels.threads import run_shards
from insula.models.kernels.vector import LANES, ZERO, fill, load, spread, store, total

SPAN = 8 * LANES
"""Samples that are filtered together: eight registers of sums."""


@njit
def _correlate(x, x0, weight, w0, w_step, taps, y, y0, size):  # type: ignore[no-untyped-def]
    """Add sum_k w[k] x[t + k] to y[t] for ``size`` values of t, a multiple of `SPAN`."""
    for t in range(0, size, SPAN):
        p, q = y0 + t, x0 + t
        a0, a1, a2, a3 = load(y, p), load(y, p + LANES), load(y, p + 2 * LANES), load(y, p + 3 * LANES)
        a4, a5, a6, a7 = load(y, p + 4 * LANES), load(y, p + 5 * LANES), load(y, p + 6 * LANES), load(y, p + 7 * LANES)
        for k in range(taps):
            w, r = spread(weight, w0 + k * w_step), q + k
            a0 = a0 + w * load(x, r)
            a1 = a1 + w * load(x, r + LANES)
            a2 = a2 + w * load(x, r + 2 * LANES)
            a3 = a3 + w * load(x, r + 3 * LANES)
            a4 = a4 + w * load(x, r + 4 * LANES)
            a5 = a5 + w * load(x, r + 5 * LANES)
            a6 = a6 + w * load(x, r + 6 * LANES)
            a7 = a7 + w * load(x, r + 7 * LANES)
        store(y, p, a0)
        store(y, p + LANES, a1)
        store(y, p + 2 * LANES, a2)
        store(y, p + 3 * LANES, a3)
        store(y, p + 4 * LANES, a4)
        store(y, p + 5 * LANES, a5)
        store(y, p + 6 * LANES, a6)
        store(y, p + 7 * LANES, a7)


@njit
def _taken(signal, s0, size, x):  # type: ignore[no-untyped-def]
    """Copy ``size`` samples to the beginning of x."""
    whole = size // LANES * LANES
    for i in range(0, whole, LANES):
        store(x, i, load(signal, s0 + i))
    for i in range(whole, size):
        x[i] = signal[s0 + i]


@kernel
def _forward(signal, weight, out, start, stop, channels, filters, taps, samples, step):  # type: ignore[no-untyped-def]
    """Rows start .. stop of the batch; ``samples`` are filtered, taps - 1 more are given."""
    width, steps = (samples + SPAN - 1) // SPAN * SPAN, samples // step
    x = np.zeros(width + taps + SPAN, np.float32)
    y = np.empty(width, np.float32)
    whole = step // LANES * LANES
    for row in range(start * channels, stop * channels):
        _taken(signal, row * (samples + taps - 1), samples + taps - 1, x)
        for f in range(filters):
            clear(y, 0, width)
            _correlate(x, 0, weight, (row % channels * filters + f) * taps, 1, taps, y, 0, width)
            for j in range(steps):
                some = fill(ZERO)
                for i in range(j * step, j * step + whole, LANES):
                    some = some + load(y, i) * load(y, i)
                power = total(some)
                for i in range(j * step + whole, (j + 1) * step):
                    power += y[i] * y[i]
                out[(row * filters + f) * steps + j] = power / step


@njit
def _weight_gradient(x, d_y, y0, size, d_weight, w0, taps):  # type: ignore[no-untyped-def]
    """Add sum_t d_y[t] x[t + k] to d_weight[k], eight taps at a time; ``size`` is a multiple of 16."""
    for k in range(0, taps, 8):
        a0, a1, a2, a3 = fill(ZERO), fill(ZERO), fill(ZERO), fill(ZERO)
        a4, a5, a6, a7 = fill(ZERO), fill(ZERO), fill(ZERO), fill(ZERO)
        for t in range(0, size, LANES):
            d, r = load(d_y, y0 + t), t + k
            a0 = a0 + d * load(x, r)
            a1 = a1 + d * load(x, r + 1)
            a2 = a2 + d * load(x, r + 2)
            a3 = a3 + d * load(x, r + 3)
            a4 = a4 + d * load(x, r + 4)
            a5 = a5 + d * load(x, r + 5)
            a6 = a6 + d * load(x, r + 6)
            a7 = a7 + d * load(x, r + 7)
        found = (total(a0), total(a1), total(a2), total(a3), total(a4), total(a5), total(a6), total(a7))
        for i in range(min(8, taps - k)):
            d_weight[w0 + k + i] += found[i]


@kernel
def _backward(  # type: ignore[no-untyped-def]
    signal, weight, d_out, d_signal, d_weight, start, stop, channels, filters, taps, samples, step
):  # fmt: skip
    """Rows start .. stop of the batch; d_weight belongs to this shard and begins as zeros."""
    given, steps = samples + taps - 1, samples // step
    width, wide = (samples + SPAN - 1) // SPAN * SPAN, (given + SPAN - 1) // SPAN * SPAN
    x = np.zeros(width + taps + SPAN, np.float32)
    d_x = np.empty(wide, np.float32)
    lead = taps - 1  # zeros before and behind, so that every sample meets every tap
    d_y = np.zeros(lead + wide + taps + SPAN, np.float32)
    share = np.float32(2) / np.float32(step)
    for row in range(start * channels, stop * channels):
        _taken(signal, row * given, given, x)
        clear(d_x, 0, wide)
        for f in range(filters):
            w0 = (row % channels * filters + f) * taps
            clear(d_y, lead, width)
            _correlate(x, 0, weight, w0, 1, taps, d_y, lead, width)
            for j in range(steps):
                asked = d_out[(row * filters + f) * steps + j] * share
                for i in range(lead + j * step, lead + (j + 1) * step):
                    d_y[i] *= asked
            for i in range(lead + samples, lead + width):
                d_y[i] = ZERO
            _weight_gradient(x, d_y, lead, width, d_weight, w0, taps)
            _correlate(d_y, 0, weight, w0 + taps - 1, -1, taps, d_x, 0, wide)
        for i in range(given):
            d_signal[row * given + i] = d_x[i]


class BandPower(torch.autograd.Function):
    """`insula.models.kernels.band_power.reference` on compiled kernels: float32 on the CPU."""

    @staticmethod
    def forward(ctx: Any, signal: Tensor, weight: Tensor, step: int) -> Tensor:
        signal, weight = signal.detach().contiguous(), weight.detach().contiguous()
        batch, sizes = signal.shape[0], _sizes(signal, weight, step)
        samples = sizes[3]
        out = torch.empty(batch, weight.shape[0], samples // step)
        arrays = tuple(map(flat, (signal, weight, out)))
        rows, shards = shard_rows(batch, 1)
        run_shards(lambda i: _forward(*arrays, i * rows, min(batch, (i + 1) * rows), *sizes), shards)
        ctx.save_for_backward(signal, weight)
        ctx.step = step
        return out

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, Tensor, None]:
        refuse_second_derivatives()
        signal, weight = ctx.saved_tensors
        batch, sizes = signal.shape[0], _sizes(signal, weight, ctx.step)
        rows, shards = shard_rows(batch, 1)
        d_signal, d_weight = torch.empty_like(signal), torch.zeros(shards, *weight.shape)
        arrays = tuple(map(flat, (signal, weight, d_out, d_signal)))

        def task(shard: int) -> None:
            stop = min(batch, (shard + 1) * rows)
            _backward(*arrays, flat(d_weight[shard]), shard * rows, stop, *sizes)

        run_shards(task, shards)
        return d_signal, d_weight.sum(0), None


def _sizes(signal: Tensor, weight: Tensor, step: int) -> tuple[int, int, int, int, int]:
    """Channels, filters a channel, taps, filtered samples, samples a step."""
    channels, taps = signal.shape[1], weight.shape[-1]
    return channels, weight.shape[0] // channels, taps, signal.shape[2] - taps + 1, step
