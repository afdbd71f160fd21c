"""The leaky sum compiled: forward and backward, equal to `insula.models.kernels.scan.reference`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from insula.models.kernels.compiling import kernel, refuse_second_derivatives, shard_rows
from insula.models.kernels.threads import run_shards


@kernel
def _forward(keep, fresh, state, out, start, stop):  # type: ignore[no-untyped-def]
    """Rows start .. stop of the batch."""
    steps, units = fresh.shape[1], fresh.shape[2]
    for b in range(start, stop):
        before = state[b]
        for t in range(steps):
            now, kept, added = out[b, t], keep[b, t], fresh[b, t]
            for h in range(units):
                now[h] = kept[h] * before[h] + added[h]
            before = now


@kernel
def _backward(keep, state, out, d_out, d_keep, d_fresh, d_state, start, stop):  # type: ignore[no-untyped-def]
    """Rows start .. stop; d_state begins as zeros and carries what later steps ask for."""
    steps, units = keep.shape[1], keep.shape[2]
    for b in range(start, stop):
        g = d_state[b]
        for t in range(steps - 1, -1, -1):
            before = out[b, t - 1] if t > 0 else state[b]
            asked, d_added, d_kept, kept = d_out[b, t], d_fresh[b, t], d_keep[b, t], keep[b, t]
            for h in range(units):
                d_added[h] = g[h] + asked[h]
            for h in range(units):
                d_kept[h] = d_added[h] * before[h]
            for h in range(units):
                g[h] = d_added[h] * kept[h]


class Scan(torch.autograd.Function):
    """h = keep h + fresh on compiled kernels: float32 on the CPU."""

    @staticmethod
    def forward(ctx: Any, keep: Tensor, fresh: Tensor, state: Tensor) -> Tensor:
        given = [t.detach().contiguous() for t in (keep, fresh, state)]
        out = torch.empty_like(given[1])
        arrays = [t.numpy() for t in (*given, out)]
        batch = fresh.shape[0]
        rows, shards = shard_rows(batch, 1)
        run_shards(lambda i: _forward(*arrays, i * rows, min(batch, (i + 1) * rows)), shards)
        ctx.save_for_backward(given[0], given[2], out)
        return out

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        refuse_second_derivatives()
        keep, state, out = ctx.saved_tensors
        d_keep, d_fresh, d_state = torch.empty_like(keep), torch.empty_like(keep), torch.zeros_like(state)
        arrays = [t.numpy() for t in (keep, state, out, d_out.contiguous(), d_keep, d_fresh, d_state)]
        batch = keep.shape[0]
        rows, shards = shard_rows(batch, 1)
        run_shards(lambda i: _backward(*arrays, i * rows, min(batch, (i + 1) * rows)), shards)
        return d_keep, d_fresh, d_state
