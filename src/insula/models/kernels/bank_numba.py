"""The liquid bank compiled: forward and backward in one pass each, equal to the plain form in its cell.

A step is worked out sixteen neurons at a time from a row that holds the columns once a speed. The backward pass keeps
the sums and what is left of the beginning at every step, and works out all else again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from insula.models.kernels.compiling import flat, kernel, padded, refuse_second_derivatives, round_up, shard_rows, worth
from insula.models.kernels.threads import run_shards
from insula.models.kernels.vector import LANES, ONE, above, at_least, expm1, fill, load, sigmoid, store, total

LEAST = np.float32(1e-6)
"""Weight of observations below which there are none."""


@njit
def _row(inputs, seen, at, columns, units, u, m):  # type: ignore[no-untyped-def]
    """Write the columns of a step into u and whether they are observed into m, once a speed."""
    for h in range(0, units, columns):
        for c in range(columns):
            u[h + c] = inputs[at * columns + c]
            m[h + c] = ONE if seen[at * columns + c] else np.float32(0)


@njit
def _rates(u, neurons, o, width):  # type: ignore[no-untyped-def]
    """Sigmoid, gate f, rate and fixed point of sixteen neurons."""
    sigma = sigmoid(load(neurons, 2 * width + o) * u + load(neurons, 3 * width + o))
    f = load(neurons, width + o) * sigma
    rate = load(neurons, o) + f
    return sigma, f, rate, f * load(neurons, 4 * width + o) / rate


@kernel
def _forward(  # type: ignore[no-untyped-def]
    inputs, elapsed, seen, neurons, state, sums, left, out, start, stop, steps, columns, units, width, rest, scale
):  # fmt: skip
    """Rows start .. stop. ``neurons`` holds leak, gain, steepness, bias and reversal; state, sums, left, out are wide.

    ``state`` is the sum and what is left at the beginning, one after the other.
    """
    u, m = np.zeros(width, np.float32), np.zeros(width, np.float32)
    for b in range(start, stop):
        for t in range(steps):
            at = b * steps + t
            _row(inputs, seen, at, columns, units, u, m)
            dt = -elapsed[at]
            for o in range(0, width, LANES):
                p = at * width + o
                if t > 0:
                    held, past = load(sums, p - width), load(left, p - width)
                else:
                    held, past = load(state, 2 * b * width + o), load(state, (2 * b + 1) * width + o)
                _, _, rate, target = _rates(load(u, o), neurons, o, width)
                keep = load(m, o) * rate * dt
                now = held + expm1(keep) * (held - target)
                past = past + keep
                weight = expm1(past) * -ONE
                store(sums, p, now)
                store(left, p, past)
                store(out, p, above(weight, LEAST) * (now / at_least(weight, LEAST) - rest) * scale)


@kernel
def _backward(  # type: ignore[no-untyped-def]
    inputs, elapsed, seen, neurons, state, sums, left, d_out, d_sums, d_left, d_inputs, d_elapsed, d_neurons,
    start, stop, steps, columns, units, width, scale,
):  # fmt: skip
    """Rows start .. stop; d_sums and d_left (rows, width) begin as gradients of the last step's and end as the first's.

    d_neurons belongs to this shard and begins as zeros, d_inputs too.
    """
    u, m, d_u = np.zeros(width, np.float32), np.zeros(width, np.float32), np.empty(width, np.float32)
    for b in range(start, stop):
        for t in range(steps - 1, -1, -1):
            at = b * steps + t
            _row(inputs, seen, at, columns, units, u, m)
            dt, d_dt = -elapsed[at], fill(np.float32(0))
            for o in range(0, width, LANES):
                p, q = at * width + o, b * width + o
                held = load(sums, p - width) if t > 0 else load(state, 2 * b * width + o)
                x, mask = load(u, o), load(m, o)
                sigma, f, rate, target = _rates(x, neurons, o, width)
                keep = mask * rate * dt
                gone = expm1(keep) * -ONE
                weight = expm1(load(left, p)) * -ONE
                asked = load(d_out, p) * scale * above(weight, LEAST) / at_least(weight, LEAST)
                g = load(d_sums, q) + asked
                fading = load(d_left, q) + asked * load(sums, p) / at_least(weight, LEAST) * (ONE - weight)
                kept = ONE - gone
                d_keep = g * (held - target) * kept + fading
                d_target = g * gone
                store(d_sums, q, g * kept)
                store(d_left, q, fading)
                d_dt = d_dt + d_keep * mask * rate
                d_rate = d_keep * mask * dt - d_target * target / rate
                reversal = load(neurons, 4 * width + o)
                d_f = d_target * reversal / rate + d_rate
                d_a = d_f * f * (ONE - sigma)
                store(d_neurons, o, load(d_neurons, o) + d_rate)
                store(d_neurons, width + o, load(d_neurons, width + o) + d_f * sigma)
                store(d_neurons, 2 * width + o, load(d_neurons, 2 * width + o) + d_a * x)
                store(d_neurons, 3 * width + o, load(d_neurons, 3 * width + o) + d_a)
                store(d_neurons, 4 * width + o, load(d_neurons, 4 * width + o) + d_target * f / rate)
                store(d_u, o, d_a * load(neurons, 2 * width + o))
            d_elapsed[at] = -total(d_dt)
            for h in range(0, units, columns):
                for c in range(columns):
                    d_inputs[at * columns + c] += d_u[h + c]


class Bank(torch.autograd.Function):
    """Outputs (B, T, H) and the last sums and logarithms of what is left (B, H): float32 on the CPU."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, elapsed_s: Tensor, seen: Tensor, log_tau: Tensor, log_gain: Tensor,
        steepness: Tensor, bias: Tensor, reversal: Tensor, held: Tensor, past: Tensor, rest: float, scale: float,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        batch, steps, columns = inputs.shape
        units = held.shape[1]
        width = round_up(units, LANES)
        neurons = torch.zeros(5, width)
        neurons[0] = 1  # neurons of the padding leak and do nothing else
        neurons[:, :units] = torch.stack([torch.exp(-log_tau), log_gain.exp(), steepness, bias, reversal])
        state = padded(torch.stack([held, past], 1), width)
        sums, left, out = (torch.empty(batch, steps, width) for _ in range(3))
        read = (inputs.detach().contiguous(), elapsed_s.detach().contiguous(), seen.contiguous(), neurons, state)
        rows, shards = shard_rows(batch, 1, worth(batch * steps * width))
        arrays = tuple(map(flat, (*read, sums, left, out)))
        sizes = (steps, columns, units, width)
        factors = np.float32(rest), np.float32(scale)
        run_shards(lambda i: _forward(*arrays, i * rows, min(batch, (i + 1) * rows), *sizes, *factors), shards)
        ctx.save_for_backward(*read, sums, left)
        ctx.sizes, ctx.scale = sizes, factors[1]
        return out[..., :units], sums[:, -1, :units].clone(), left[:, -1, :units].clone()

    @staticmethod
    def backward(ctx: Any, d_out: Tensor, d_held: Tensor, d_past: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        read, (steps, columns, units, width) = ctx.saved_tensors, ctx.sizes
        inputs, neurons, batch = read[0], read[3], read[0].shape[0]
        d_sums, d_left = padded(d_held, width).clone(), padded(d_past, width).clone()
        d_inputs, d_elapsed = torch.zeros_like(inputs), torch.empty(batch, steps, 1)
        rows, shards = shard_rows(batch, 1, worth(batch * steps * width))
        d_neurons = torch.zeros(shards, 5, width)
        arrays = tuple(map(flat, (*read, padded(d_out, width), d_sums, d_left, d_inputs, d_elapsed)))

        def task(shard: int) -> None:
            stop = min(batch, (shard + 1) * rows)
            _backward(*arrays, flat(d_neurons[shard]), shard * rows, stop, steps, columns, units, width, ctx.scale)

        run_shards(task, shards)
        d_leak, d_gain, d_steepness, d_bias, d_reversal = d_neurons.sum(0)[:, :units]
        return (
            d_inputs, d_elapsed, None, -d_leak * neurons[0, :units], d_gain * neurons[1, :units], d_steepness, d_bias,
            d_reversal, d_sums[:, :units], d_left[:, :units], None, None,
        )  # fmt: skip
