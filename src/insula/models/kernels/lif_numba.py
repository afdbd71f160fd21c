"""The leaky integrate-and-fire recurrence compiled: forward and backward, equal to the plain reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from insula.models.kernels.compiling import kernel, refuse_second_derivatives, shard_rows
from insula.models.kernels.threads import run_shards

ZERO = np.float32(0)
ONE = np.float32(1)


@kernel
def _forward(current, decay, threshold, state, spikes, membranes, after, start, stop):  # type: ignore[no-untyped-def]
    """Rows start .. stop of the batch."""
    steps, units = current.shape[1], current.shape[2]
    for b in range(start, stop):
        v = after[b]
        for h in range(units):
            v[h] = state[b, h]
        for t in range(steps):
            drive, spike, membrane = current[b, t], spikes[b, t], membranes[b, t]
            for h in range(units):
                u = decay[h] * v[h] + drive[h]
                fired = u > threshold[h]
                membrane[h] = u
                spike[h] = ONE if fired else ZERO
                v[h] = u - threshold[h] if fired else u


@kernel
def _backward(  # type: ignore[no-untyped-def]
    decay, threshold, state, spikes, membranes, d_spikes, d_membranes, d_after, d_current, d_decay, d_threshold,
    slope, start, stop,
):  # fmt: skip
    """Rows start .. stop; d_decay and d_threshold belong to this shard and begin as zeros, d_after becomes d_state."""
    steps, units = spikes.shape[1], spikes.shape[2]
    half = np.float32(0.5) * slope
    steep = np.float32(np.pi / 2) * slope
    part = np.empty(units, np.float32)
    for b in range(start, stop):
        g = d_after[b]
        for t in range(steps - 1, -1, -1):
            spike, membrane, d_drive = spikes[b, t], membranes[b, t], d_current[b, t]
            d_spike, d_membrane = d_spikes[b, t], d_membranes[b, t]
            for h in range(units):  # short loops over few arrays, so that each is vectorised
                x = steep * (membrane[h] - threshold[h])
                part[h] = d_spike[h] * half / (ONE + x * x)
            for h in range(units):
                d_threshold[h] -= part[h] + spike[h] * g[h]
            for h in range(units):
                d_drive[h] = g[h] + part[h] + d_membrane[h]
            if t > 0:
                earlier, before = membranes[b, t - 1], spikes[b, t - 1]
                for h in range(units):
                    part[h] = earlier[h] - (threshold[h] if before[h] > ZERO else ZERO)
            else:
                for h in range(units):
                    part[h] = state[b, h]
            for h in range(units):
                d_decay[h] += d_drive[h] * part[h]
            for h in range(units):
                g[h] = decay[h] * d_drive[h]


class Integrate(torch.autograd.Function):
    """`insula.models.kernels.lif.reference` on compiled kernels: float32 on the CPU."""

    @staticmethod
    def forward(
        ctx: Any, current: Tensor, decay: Tensor, threshold: Tensor, state: Tensor, slope: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        inputs = [t.detach().contiguous() for t in (current, decay, threshold, state)]
        spikes, membranes, after = torch.empty_like(inputs[0]), torch.empty_like(inputs[0]), torch.empty_like(inputs[3])
        arrays = [t.numpy() for t in (*inputs, spikes, membranes, after)]
        batch = current.shape[0]
        rows, shards = shard_rows(batch, 1)
        run_shards(lambda i: _forward(*arrays, i * rows, min(batch, (i + 1) * rows)), shards)
        ctx.save_for_backward(*inputs[1:], spikes, membranes)
        ctx.slope = slope
        return spikes, membranes, after

    @staticmethod
    def backward(ctx: Any, d_spikes: Tensor, d_membranes: Tensor, d_after: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        decay, threshold, state, spikes, membranes = ctx.saved_tensors
        batch, units = state.shape
        rows, shards = shard_rows(batch, 1)
        d_current, d_state = torch.empty_like(spikes), d_after.contiguous().clone()
        d_decay, d_threshold = torch.zeros(2, shards, units)
        given = [decay, threshold, state, spikes, membranes, d_spikes.contiguous(), d_membranes.contiguous(), d_state]
        arrays = [t.numpy() for t in (*given, d_current)]
        own = [d.numpy() for d in (d_decay, d_threshold)]
        slope = np.float32(ctx.slope)

        def task(shard: int) -> None:
            stop = min(batch, (shard + 1) * rows)
            _backward(*arrays, *(d[shard] for d in own), slope, shard * rows, stop)

        run_shards(task, shards)
        return d_current, d_decay.sum(0), d_threshold.sum(0), d_state, None
