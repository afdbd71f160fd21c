"""The neural LTC recurrence compiled: forward and backward, equal to `insula.models.kernels.neural.reference`.

Shards of the batch run on threads, four rows at a time. The backward pass keeps no sub-step: it takes the states that
the forward pass gave out and integrates each input sample again.
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
from insula.models.kernels.vector import LANES, ONE, ZERO, exp, fill, load, sigmoid, spread, store, total


@njit
def _step(x, f, rate, reversal, dt, exponential):  # type: ignore[no-untyped-def]
    """One sub-step of sixteen neurons."""
    if exponential:
        all_hz = rate + f
        rest = f * reversal / all_hz
        return rest + (x - rest) * exp(dt * all_hz * -ONE)
    return (x + dt * f * reversal) / (ONE + dt * (rate + f))


@njit
def _drive(inputs, wide, weight, neurons, first, stop, t, steps, width, u, drive):  # type: ignore[no-untyped-def]
    """Fill u (4, wide) and drive (4, width), W u + b, of four rows; beyond stop, of the last row again."""
    for r in range(ROWS):
        at = (min(first + r, stop - 1) * steps + t) * wide
        copy(inputs, at, u, r * wide, wide)
        copy(neurons, 3 * width, drive, r * width, width)
    add_product(u, 0, wide, 1, weight, 0, width, drive, 0, width, ROWS, wide, width)


@kernel
def _forward(  # type: ignore[no-untyped-def]
    inputs, elapsed, weight, recurrent, neurons, state, out, start, stop, steps, wide, width, sub_steps, exponential
):  # fmt: skip
    """Rows start .. stop of the batch. ``neurons`` holds rate, gain, reversal and bias, each ``width`` long."""
    size = ROWS * width
    x = np.empty(size, np.float32)
    a = np.empty(size, np.float32)
    drive = np.empty(size, np.float32)
    u = np.empty(ROWS * wide, np.float32)
    share = np.float32(1) / np.float32(sub_steps)
    for first in range(start, stop, ROWS):
        for r in range(ROWS):
            row = min(first + r, stop - 1)
            copy(state, row * width, x, r * width, width)
        for t in range(steps):
            _drive(inputs, wide, weight, neurons, first, stop, t, steps, width, u, drive)
            for _ in range(sub_steps):
                copy(drive, 0, a, 0, size)
                add_product(x, 0, width, 1, recurrent, 0, width, a, 0, width, ROWS, width, width)
                for o in range(0, width, LANES):
                    rate, gain, reversal = load(neurons, o), load(neurons, width + o), load(neurons, 2 * width + o)
                    for r in range(ROWS):
                        dt = spread(elapsed, min(first + r, stop - 1) * steps + t) * share
                        p = r * width + o
                        store(x, p, _step(load(x, p), gain * sigmoid(load(a, p)), rate, reversal, dt, exponential))
            for r in range(min(ROWS, stop - first)):
                copy(x, r * width, out, ((first + r) * steps + t) * width, width)


@njit
def _step_back(g, before, after, sigma, rate, gain, reversal, dt, exponential):  # type: ignore[no-untyped-def]
    """Gradients, for sixteen neurons, of x, f, rate, reversal and dt from that of the state after a sub-step."""
    f = gain * sigma
    all_hz = rate + f
    if exponential:
        rest = f * reversal / all_hz
        kept = exp(dt * all_hz * -ONE)
        d_rest = g * (ONE - kept) / all_hz
        d_exponent = g * (rest - before) * kept
        d_rate = d_exponent * dt - d_rest * rest
        return g * kept, d_rate + d_rest * reversal, d_rate, d_rest * f, d_exponent * all_hz
    d_x = g / (ONE + dt * all_hz)
    d_now = d_x * dt
    return d_x, d_now * (reversal - after), d_now * after * -ONE, d_now * f, d_x * (f * reversal - all_hz * after)


@kernel
def _backward(  # type: ignore[no-untyped-def]
    inputs, elapsed, weight, weight_back, recurrent, recurrent_back, neurons, state, out, d_out, d_inputs, d_elapsed,
    d_state, d_weight, d_recurrent, d_neurons, start, stop, steps, wide, width, sub_steps, exponential,
):  # fmt: skip
    """Rows start .. stop of the batch; the weights come also transposed.

    d_weight, d_recurrent and d_neurons belong to this shard and begin as zeros.
    """
    size = ROWS * width
    x = np.empty((sub_steps + 1) * size, np.float32)  # state before each sub-step, and after the last
    s = np.empty(sub_steps * size, np.float32)  # sigmoid, later the gradient of its argument
    g = np.empty(size, np.float32)
    drive = np.empty(size, np.float32)  # later the gradient of it
    u = np.empty(ROWS * wide, np.float32)
    d_u = np.empty(ROWS * wide, np.float32)
    share = np.float32(1) / np.float32(sub_steps)
    for first in range(start, stop, ROWS):
        rows = min(ROWS, stop - first)
        clear(g, 0, size)
        for t in range(steps - 1, -1, -1):
            _drive(inputs, wide, weight, neurons, first, stop, t, steps, width, u, drive)
            for r in range(ROWS):
                row = min(first + r, stop - 1)
                if r < rows:
                    for o in range(0, width, LANES):
                        p = r * width + o
                        store(g, p, load(g, p) + load(d_out, (row * steps + t) * width + o))
                if t > 0:
                    copy(out, (row * steps + t - 1) * width, x, r * width, width)
                else:
                    copy(state, row * width, x, r * width, width)
            for k in range(sub_steps):
                copy(drive, 0, s, k * size, size)
                add_product(x, k * size, width, 1, recurrent, 0, width, s, k * size, width, ROWS, width, width)
                for o in range(0, width, LANES):
                    rate, gain, reversal = load(neurons, o), load(neurons, width + o), load(neurons, 2 * width + o)
                    for r in range(ROWS):
                        dt = spread(elapsed, min(first + r, stop - 1) * steps + t) * share
                        p = k * size + r * width + o
                        sigma = sigmoid(load(s, p))
                        store(s, p, sigma)
                        store(x, p + size, _step(load(x, p), gain * sigma, rate, reversal, dt, exponential))
            clear(drive, 0, size)
            for k in range(sub_steps - 1, -1, -1):
                for r in range(ROWS):
                    at = min(first + r, stop - 1) * steps + t
                    dt = spread(elapsed, at) * share
                    d_dt = fill(ZERO)
                    for o in range(0, width, LANES):
                        rate, gain, reversal = load(neurons, o), load(neurons, width + o), load(neurons, 2 * width + o)
                        q = r * width + o
                        p = k * size + q
                        sigma = load(s, p)
                        d_x, d_f, d_rate, d_reversal, d_now = _step_back(
                            load(g, q), load(x, p), load(x, p + size), sigma, rate, gain, reversal, dt, exponential
                        )
                        d_dt = d_dt + d_now
                        d_a = d_f * gain * sigma * (ONE - sigma)
                        store(d_neurons, o, load(d_neurons, o) + d_rate)
                        store(d_neurons, width + o, load(d_neurons, width + o) + d_f * sigma)
                        store(d_neurons, 2 * width + o, load(d_neurons, 2 * width + o) + d_reversal)
                        store(g, q, d_x)
                        store(s, p, d_a)
                        store(drive, q, load(drive, q) + d_a)
                    if r < rows:
                        d_elapsed[at] += total(d_dt) * share
                add_product(s, k * size, width, 1, recurrent_back, 0, width, g, 0, width, ROWS, width, width)
            add_product(x, 0, 1, width, s, 0, width, d_recurrent, 0, width, width, ROWS * sub_steps, width)
            add_product(u, 0, 1, wide, drive, 0, width, d_weight, 0, width, wide, ROWS, width)
            clear(d_u, 0, ROWS * wide)
            add_product(drive, 0, width, 1, weight_back, 0, wide, d_u, 0, wide, ROWS, width, wide)
            for r in range(ROWS):
                for o in range(0, width, LANES):
                    p = 3 * width + o
                    store(d_neurons, p, load(d_neurons, p) + load(drive, r * width + o))
            for r in range(rows):
                copy(d_u, r * wide, d_inputs, ((first + r) * steps + t) * wide, wide)
        copy(g, 0, d_state, first * width, rows * width)


class Integrate(torch.autograd.Function):
    """`insula.models.kernels.neural.reference` on compiled kernels: float32 on the CPU."""

    @staticmethod
    def forward(
        ctx: Any,
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
        exponential: bool,
    ) -> Tensor:
        batch, steps, n_inputs = inputs.shape
        units = state.shape[1]
        wide, width = round_up(n_inputs, LANES), round_up(units, LANES)
        # Padding neurons have rate 1, gain 0 and state 0: they stay at 0.
        neurons = torch.zeros(4, width)
        neurons[0] = 1
        neurons[:, :units] = torch.stack([rate_hz, gain_hz, reversal, bias])
        read = (
            padded(inputs, wide), elapsed_s.detach().contiguous(), padded(input_weight, wide, width),
            padded(recurrent, width, width), neurons, padded(state, width),
        )  # fmt: skip
        out = torch.empty(batch, steps, width)
        rows, shards = shard_rows(batch, ROWS)
        arrays = (*map(flat, read), flat(out))

        def task(shard: int) -> None:
            stop = min(batch, (shard + 1) * rows)
            _forward(*arrays, shard * rows, stop, steps, wide, width, sub_steps, exponential)

        run_shards(task, shards)
        ctx.save_for_backward(*read, out)
        ctx.n_inputs, ctx.units, ctx.sub_steps, ctx.exponential = n_inputs, units, sub_steps, exponential
        return out[..., :units]

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        inputs, elapsed_s, weight, recurrent, neurons, state, out = ctx.saved_tensors
        batch, steps, width = out.shape
        wide = inputs.shape[2]
        n_inputs, units, sub_steps, exponential = ctx.n_inputs, ctx.units, ctx.sub_steps, ctx.exponential
        rows, shards = shard_rows(batch, ROWS)
        d_inputs, d_elapsed, d_state = torch.empty_like(inputs), torch.zeros(batch, steps, 1), torch.empty_like(state)
        d_weight, d_recurrent = torch.zeros(shards, wide, width), torch.zeros(shards, width, width)
        d_neurons = torch.zeros(shards, 4, width)
        read = (
            inputs, elapsed_s, weight, weight.T, recurrent, recurrent.T, neurons, state, out, padded(d_out, width),
        )  # fmt: skip
        arrays = tuple(map(flat, (*read, d_inputs, d_elapsed, d_state)))

        def task(shard: int) -> None:
            stop = min(batch, (shard + 1) * rows)
            own = (flat(d_weight[shard]), flat(d_recurrent[shard]), flat(d_neurons[shard]))
            _backward(*arrays, *own, shard * rows, stop, steps, wide, width, sub_steps, exponential)

        run_shards(task, shards)
        d_rate, d_gain, d_reversal, d_bias = d_neurons.sum(0)[:, :units]
        return (
            d_inputs[..., :n_inputs], d_elapsed, d_weight.sum(0)[:n_inputs, :units], d_bias,
            d_recurrent.sum(0)[:units, :units], d_rate, d_gain, d_reversal, d_state[:, :units], None, None,
        )  # fmt: skip
