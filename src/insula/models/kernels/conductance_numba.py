"""The conductance LTC recurrence compiled: forward and backward, equal to the plain reference.

A synapse's four numbers lie side by side for sixteen target neurons at a time, so that one stream of memory feeds the
inner loop. The forward pass keeps the potential after every sub-step (B, T, K, H); the backward pass computes each
sigmoid once more, keeps those of sixteen target neurons and four rows in the first-level cache, and never a matrix a
row of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from insula.models.kernels.compiling import flat, kernel, padded, refuse_second_derivatives, round_up, shard_rows
from insula.models.kernels.conductance import EPSILON
from insula.models.kernels.matrix import ROWS, clear, copy
from insula.models.kernels.threads import run_shards
from insula.models.kernels.vector import (
    LANES,
    LN_2,
    LOG2_E,
    ONE,
    ZERO,
    fill,
    load,
    one_plus_power,
    spread,
    store,
    total,
)

TINY = np.float32(EPSILON)
GROUP = 4 * LANES  # numbers of a synapse times lanes
TOGETHER = 2 * ROWS  # rows that the forward pass takes through a block of synapses while it is in the cache


@njit
def _current(v, v0, depth, packed, p, current, conductance):  # type: ignore[no-untyped-def]
    """Add what ``depth`` potentials at v0 cause in sixteen neurons."""
    for j in range(depth):
        sigma = ONE / one_plus_power(load(packed, p) * spread(v, v0 + j) + load(packed, p + LANES))
        conductance = conductance + sigma * load(packed, p + 2 * LANES)
        current = current + sigma * load(packed, p + 3 * LANES)
        p += GROUP
    return current, conductance


@njit
def _current_two(v, v0, v_row, depth, packed, p, current0, conductance0, current1, conductance1):  # type: ignore[no-untyped-def]
    """Do what `_current` does for two rows of the batch, reading each synapse once."""
    for j in range(depth):
        slope, offset = load(packed, p), load(packed, p + LANES)
        weight, pull = load(packed, p + 2 * LANES), load(packed, p + 3 * LANES)
        sigma0 = ONE / one_plus_power(slope * spread(v, v0 + j) + offset)
        sigma1 = ONE / one_plus_power(slope * spread(v, v0 + v_row + j) + offset)
        conductance0 = conductance0 + sigma0 * weight
        current0 = current0 + sigma0 * pull
        conductance1 = conductance1 + sigma1 * weight
        current1 = current1 + sigma1 * pull
        p += GROUP
    return current0, conductance0, current1, conductance1


@njit
def _current_keeping(v, v0, depth, packed, p, current, conductance, sigmas, s):  # type: ignore[no-untyped-def]
    """Do what `_current` does, and keep the sigmoids."""
    for j in range(depth):
        sigma = ONE / one_plus_power(load(packed, p) * spread(v, v0 + j) + load(packed, p + LANES))
        store(sigmas, s + j * LANES, sigma)
        conductance = conductance + sigma * load(packed, p + 2 * LANES)
        current = current + sigma * load(packed, p + 3 * LANES)
        p += GROUP
    return current, conductance


@kernel
def _forward(  # type: ignore[no-untyped-def]
    inputs, elapsed, seen, sensory, recurrent, membrane, state, out, kept, start, stop, steps, wide, units, width,
    sub_steps, keep,
):  # fmt: skip
    """Rows start .. stop of the batch. ``membrane`` holds leak, leak times rest and capacitance."""
    size = TOGETHER * width
    v = np.empty(2 * size, np.float32)  # potentials before and after a sub-step
    drive = np.empty(2 * size, np.float32)  # sensory current, then conductance
    sums = np.empty(2 * size, np.float32)  # all current, then all conductance
    share = np.float32(1) / np.float32(sub_steps)
    for first in range(start, stop, TOGETHER):
        rows = min(TOGETHER, stop - first)
        now, after = 0, size
        copy(state, first * width, v, now, rows * width)
        for t in range(steps):
            for o in range(0, width, LANES):
                for r in range(rows):
                    at = (first + r) * steps + t
                    current, conductance = load(membrane, width + o), load(membrane, o) + TINY
                    if seen[at] != ZERO:
                        current, conductance = _current(
                            inputs, at * wide, wide, sensory, o * wide * 4, current, conductance
                        )
                    store(drive, r * width + o, current)
                    store(drive, size + r * width + o, conductance)
            for k in range(sub_steps):
                for o in range(0, width, LANES):
                    capacitance = load(membrane, 2 * width + o)
                    p = o * units * 4
                    for r in range(0, rows - 1, 2):
                        q = r * width + o
                        c0, g0, c1, g1 = _current_two(
                            v, now + r * width, width, units, recurrent, p, load(drive, q),
                            load(drive, size + q), load(drive, q + width), load(drive, size + q + width),
                        )  # fmt: skip
                        store(sums, q, c0)
                        store(sums, size + q, g0)
                        store(sums, q + width, c1)
                        store(sums, size + q + width, g1)
                    if rows % 2:
                        q = (rows - 1) * width + o
                        c0, g0 = _current(v, now + q - o, units, recurrent, p, load(drive, q), load(drive, size + q))
                        store(sums, q, c0)
                        store(sums, size + q, g0)
                    for r in range(rows):
                        at = (first + r) * steps + t
                        dt = spread(elapsed, at) * share
                        q = r * width + o
                        new = (capacitance * load(v, now + q) + dt * load(sums, q)) / (
                            capacitance + dt * load(sums, size + q)
                        )
                        store(v, after + q, new)
                        if keep:
                            store(kept, (at * sub_steps + k) * width + o, new)
                now, after = after, now
            for r in range(rows):
                copy(v, now + r * width, out, ((first + r) * steps + t) * width, width)


@njit
def _back(  # type: ignore[no-untyped-def]
    sigmas, v, v0, v_row, depth, packed, p, d_current, c, d_conductance, width, d_packed, d_v
):  # fmt: skip
    """Gradients of the synapses of sixteen neurons, for four rows; ``d_v`` (4, depth, 16) gets slope-weighted sums."""
    n0, n1 = load(d_current, c), load(d_current, c + width)
    n2, n3 = load(d_current, c + 2 * width), load(d_current, c + 3 * width)
    d0, d1 = load(d_conductance, c), load(d_conductance, c + width)
    d2, d3 = load(d_conductance, c + 2 * width), load(d_conductance, c + 3 * width)
    step = depth * LANES
    for j in range(depth):
        slope, weight, pull = load(packed, p), load(packed, p + 2 * LANES), load(packed, p + 3 * LANES)
        q = j * LANES
        by_current, by_conductance = load(d_packed, p), load(d_packed, p + LANES)
        plain, by_potential = load(d_packed, p + 2 * LANES), load(d_packed, p + 3 * LANES)

        sigma = load(sigmas, q)
        d_z = (n0 * pull + d0 * weight) * (sigma - sigma * sigma)
        by_current, by_conductance = by_current + n0 * sigma, by_conductance + d0 * sigma
        plain, by_potential = plain + d_z, by_potential + d_z * spread(v, v0 + j)
        store(d_v, q, load(d_v, q) + d_z * slope)

        q += step
        sigma = load(sigmas, q)
        d_z = (n1 * pull + d1 * weight) * (sigma - sigma * sigma)
        by_current, by_conductance = by_current + n1 * sigma, by_conductance + d1 * sigma
        plain, by_potential = plain + d_z, by_potential + d_z * spread(v, v0 + v_row + j)
        store(d_v, q, load(d_v, q) + d_z * slope)

        q += step
        sigma = load(sigmas, q)
        d_z = (n2 * pull + d2 * weight) * (sigma - sigma * sigma)
        by_current, by_conductance = by_current + n2 * sigma, by_conductance + d2 * sigma
        plain, by_potential = plain + d_z, by_potential + d_z * spread(v, v0 + 2 * v_row + j)
        store(d_v, q, load(d_v, q) + d_z * slope)

        q += step
        sigma = load(sigmas, q)
        d_z = (n3 * pull + d3 * weight) * (sigma - sigma * sigma)
        by_current, by_conductance = by_current + n3 * sigma, by_conductance + d3 * sigma
        plain, by_potential = plain + d_z, by_potential + d_z * spread(v, v0 + 3 * v_row + j)
        store(d_v, q, load(d_v, q) + d_z * slope)

        store(d_packed, p, by_current)
        store(d_packed, p + LANES, by_conductance)
        store(d_packed, p + 2 * LANES, plain)
        store(d_packed, p + 3 * LANES, by_potential)
        p += GROUP


@kernel
def _backward(  # type: ignore[no-untyped-def]
    inputs, elapsed, seen, sensory, recurrent, membrane, state, kept, d_out, d_inputs, d_elapsed, d_state,
    d_sensory, d_recurrent, d_membrane, start, stop, steps, wide, units, width, sub_steps,
):  # fmt: skip
    """Rows start .. stop of the batch; d_sensory, d_recurrent and d_membrane belong to this shard, zero at first."""
    size = ROWS * width
    v = np.empty(size, np.float32)  # potentials before a sub-step
    u = np.empty(ROWS * wide, np.float32)  # inputs of four rows
    g = np.empty(size, np.float32)  # gradient of the potentials
    drive = np.empty(2 * size, np.float32)  # sensory current, then conductance
    d_current = np.empty(size, np.float32)
    d_conductance = np.empty(size, np.float32)
    d_drive = np.empty(2 * size, np.float32)  # sums of the two above over the sub-steps
    sigmas = np.empty(ROWS * max(units, wide) * LANES, np.float32)
    d_v = np.empty(ROWS * max(units, wide) * LANES, np.float32)
    share = np.float32(1) / np.float32(sub_steps)
    for first in range(start, stop, ROWS):
        rows = min(ROWS, stop - first)
        clear(g, 0, size)
        for t in range(steps - 1, -1, -1):
            clear(d_drive, 0, 2 * size)
            for r in range(ROWS):
                at = min(first + r, stop - 1) * steps + t
                for j in range(wide):
                    u[r * wide + j] = inputs[at * wide + j] if seen[at] != ZERO else ZERO
                for o in range(0, width, LANES):
                    q = r * width + o
                    if r < rows:
                        store(g, q, load(g, q) + load(d_out, at * width + o))
                    current, conductance = load(membrane, width + o), load(membrane, o) + TINY
                    if seen[at] != ZERO:
                        current, conductance = _current(u, r * wide, wide, sensory, o * wide * 4, current, conductance)
                    store(drive, q, current)
                    store(drive, size + q, conductance)
            for k in range(sub_steps - 1, -1, -1):
                for r in range(ROWS):
                    row = min(first + r, stop - 1)
                    at = (row * steps + t) * sub_steps + k
                    if t + k > 0:
                        copy(kept, (at - 1) * width, v, r * width, width)
                    else:
                        copy(state, row * width, v, r * width, width)
                clear(d_v, 0, ROWS * units * LANES)
                for o in range(0, width, LANES):
                    capacitance = load(membrane, 2 * width + o)
                    d_leak, d_pull = load(d_membrane, o), load(d_membrane, width + o)
                    d_capacitance = load(d_membrane, 2 * width + o)
                    for r in range(ROWS):
                        at = min(first + r, stop - 1) * steps + t
                        dt = spread(elapsed, at) * share
                        q = r * width + o
                        before, after = load(v, q), load(kept, (at * sub_steps + k) * width + o)
                        current, conductance = _current_keeping(
                            v, r * width, units, recurrent, o * units * 4,
                            load(drive, q), load(drive, size + q), sigmas, r * units * LANES,
                        )  # fmt: skip
                        h = load(g, q) / (capacitance + dt * conductance)
                        d_now = h * dt
                        d_open = d_now * after * -ONE
                        if r < rows:
                            d_elapsed[at] += total(h * (current - after * conductance)) * share
                        store(g, q, h * capacitance)
                        d_capacitance = d_capacitance + h * (before - after)
                        d_pull = d_pull + d_now
                        d_leak = d_leak + d_open
                        store(d_current, q, d_now)
                        store(d_conductance, q, d_open)
                        store(d_drive, q, load(d_drive, q) + d_now)
                        store(d_drive, size + q, load(d_drive, size + q) + d_open)
                    store(d_membrane, o, d_leak)
                    store(d_membrane, width + o, d_pull)
                    store(d_membrane, 2 * width + o, d_capacitance)
                    _back(
                        sigmas, v, 0, width, units, recurrent, o * units * 4, d_current, o, d_conductance, width,
                        d_recurrent, d_v,
                    )  # fmt: skip
                for r in range(rows):
                    for j in range(units):
                        g[r * width + j] -= LN_2 * total(load(d_v, (r * units + j) * LANES))
            # Sensory synapses, once an input sample: they see the sum over the sub-steps.
            for r in range(ROWS):
                if seen[min(first + r, stop - 1) * steps + t] == ZERO:
                    clear(d_drive, r * width, width)
                    clear(d_drive, size + r * width, width)
            clear(d_v, 0, ROWS * wide * LANES)
            for o in range(0, width, LANES):
                for r in range(ROWS):
                    _current_keeping(
                        u, r * wide, wide, sensory, o * wide * 4, fill(ZERO), fill(ZERO), sigmas, r * wide * LANES
                    )
                for q in range(0, size, width):
                    store(d_current, q + o, load(d_drive, q + o))
                    store(d_conductance, q + o, load(d_drive, size + q + o))
                _back(
                    sigmas, u, 0, wide, wide, sensory, o * wide * 4, d_current, o, d_conductance, width, d_sensory, d_v
                )
            for r in range(rows):
                for j in range(wide):
                    d_inputs[((first + r) * steps + t) * wide + j] = -LN_2 * total(load(d_v, (r * wide + j) * LANES))
        copy(g, 0, d_state, first * width, rows * width)


def _pack(synapses: Sequence[Tensor], width: int) -> Tensor:
    """(J, H) each -> (width / 16, J, 4, 16): -log2(e) slope, log2(e) slope midpoint, weight, weight reversal."""
    slope, midpoint, weight, reversal = (tensor.detach() for tensor in synapses)
    scaled = slope * float(LOG2_E)
    four = torch.stack([-scaled, scaled * midpoint, weight, weight * reversal], dim=1)
    wide = padded(four, width)  # (J, 4, width)
    blocks: Tensor = wide.unflatten(2, (-1, LANES))
    return blocks.permute(2, 0, 1, 3).contiguous()


def _unpack(sums: Tensor, synapses: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Turn the kernel's four sums a synapse, (shards, width / 16, J, 4, 16), into the gradients of its numbers."""
    slope, midpoint, weight, reversal = synapses
    # (J, 4, width) without the padding -> four times (J, H)
    by_current, by_conductance, plain, by_potential = (
        sums.sum(0).permute(1, 2, 0, 3).flatten(2)[..., : slope.shape[1]].unbind(1)
    )
    return (
        by_potential - midpoint * plain,
        -slope * plain,
        by_current * reversal + by_conductance,
        by_current * weight,
    )


class Integrate(torch.autograd.Function):
    """`insula.models.kernels.conductance.reference` on compiled kernels: float32 on the CPU."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        inputs, elapsed_s, *numbers, leak, rest, capacitance, state, observed, sub_steps = arguments
        batch, steps, wide = inputs.shape
        units = state.shape[1]
        width = round_up(units, LANES)
        # Padding neurons have capacitance 1 and nothing else: they stay at 0.
        membrane = torch.zeros(3, width)
        membrane[2] = 1
        membrane[0, :units], membrane[1, :units], membrane[2, :units] = leak, leak * rest, capacitance
        seen = torch.ones(batch, steps) if observed is None else observed.float()
        keep = any(ctx.needs_input_grad)
        read = (
            inputs.detach().contiguous(), elapsed_s.detach().contiguous(), seen,
            _pack(numbers[:4], width), _pack(numbers[4:], width), membrane, padded(state, width),
        )  # fmt: skip
        out = torch.empty(batch, steps, width)
        kept = torch.empty(batch, steps, sub_steps, width) if keep else torch.empty(0)
        rows, shards = shard_rows(batch, TOGETHER)
        arrays = (*map(flat, read), flat(out), flat(kept))

        def task(shard: int) -> None:
            stop = min(batch, (shard + 1) * rows)
            _forward(*arrays, shard * rows, stop, steps, wide, units, width, sub_steps, keep)

        run_shards(task, shards)
        ctx.save_for_backward(*read, kept, *numbers, leak, rest)
        ctx.units = units
        return out[..., :units]

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        *read, kept, _, _, _, _, _, _, _, _, leak, rest = ctx.saved_tensors
        numbers = ctx.saved_tensors[-10:-2]
        inputs, state = read[0], read[-1]
        batch, steps, wide = inputs.shape
        sub_steps, width = kept.shape[2:]
        units = ctx.units
        rows, shards = shard_rows(batch, ROWS)
        d_inputs, d_elapsed, d_state = torch.empty_like(inputs), torch.zeros(batch, steps, 1), torch.empty_like(state)
        d_sensory, d_recurrent = (torch.zeros(shards, *read[i].shape) for i in (3, 4))
        d_membrane = torch.zeros(shards, 3, width)
        arrays = tuple(map(flat, (*read, kept, padded(d_out, width), d_inputs, d_elapsed, d_state)))

        def task(shard: int) -> None:
            stop = min(batch, (shard + 1) * rows)
            own = (flat(d_sensory[shard]), flat(d_recurrent[shard]), flat(d_membrane[shard]))
            _backward(*arrays, *own, shard * rows, stop, steps, wide, units, width, sub_steps)

        run_shards(task, shards)
        d_leak, d_pull, d_capacitance = d_membrane.sum(0)[:, :units]
        return (
            d_inputs, d_elapsed, *_unpack(d_sensory, numbers[:4]), *_unpack(d_recurrent, numbers[4:]),
            d_leak + d_pull * rest, d_pull * leak, d_capacitance, d_state[:, :units], None, None,
        )  # fmt: skip
