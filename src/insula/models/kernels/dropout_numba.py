"""Dropout's masks compiled, equal to `insula.models.kernels.dropout.factors`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from insula.models.kernels.compiling import flat, kernel, refuse_second_derivatives
from insula.models.kernels.dropout import MIX, Key, scale, threshold

_FIRST, _SECOND = np.uint32(MIX[0]), np.uint32(MIX[1])
_LONG, _SHORT = np.uint32(16), np.uint32(15)


@njit
def _mixed(h):  # type: ignore[no-untyped-def]
    h = np.uint32(h ^ (h >> _LONG))
    h = np.uint32(h * _FIRST)
    h = np.uint32(h ^ (h >> _SHORT))
    h = np.uint32(h * _SECOND)
    return np.uint32(h ^ (h >> _LONG))


@kernel
def _drop(x, out, first, second, below, times):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        h = _mixed(np.uint32(_mixed(np.uint32(np.uint32(i) ^ first)) + second))
        out[i] = x[i] * times if h < below else np.float32(0)


def _run(x: Tensor, p: float, key: Key) -> Tensor:
    out = torch.empty(x.shape)
    below = np.uint32(min(threshold(p), 2**32 - 1))
    _drop(flat(x), flat(out), np.uint32(key[0]), np.uint32(key[1]), below, np.float32(scale(p)))
    return out


class Dropped(torch.autograd.Function):
    """x times 0 or 1 / (1 - p): float32 on the CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, key: Key) -> Tensor:
        ctx.p, ctx.key = p, key
        return _run(x, p, key)

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, None, None]:
        refuse_second_derivatives()
        return _run(d_out, ctx.p, ctx.key), None, None
