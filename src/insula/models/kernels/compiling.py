"""How kernels are compiled and fed: without the interpreter lock, and cached on disk where a place for it exists.

Numba notices a change of the file a kernel is in, not of `vector.py` and `matrix.py`: after editing those, delete
`__pycache__`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from insula.errors import InputError
from insula.signals.compiling import compiled

SHARDS = 16
"""Shards of a large batch; fixed, so that sums do not depend on the number of threads."""
LEAST_NUMBERS = 1 << 14
"""Numbers that are worth a shard of their own."""


def kernel(function: Callable[..., None]) -> Callable[..., None]:
    """Compile a kernel on its first call, once a machine where Numba finds a folder for its cache."""
    return compiled(function, error_model="numpy")


def shard_rows(batch: int, together: int, most: int = SHARDS) -> tuple[int, int]:
    """Rows of the batch a shard, a multiple of those a kernel takes together, and the number of shards."""
    rows = together * max(1, -(-batch // (together * most)))
    return rows, -(-batch // rows)


def worth(numbers: int) -> int:
    """Shards at most of a kernel that works on so many numbers: few where calling it costs more than its work."""
    return max(1, min(SHARDS, numbers // LEAST_NUMBERS))


def refuse_second_derivatives() -> None:
    """Raise InputError in a backward pass that is itself to be differentiated: its result would lack terms."""
    if torch.is_grad_enabled():
        raise InputError(
            "create_graph=True with a compiled kernel; expected first derivatives only. "
            "Run the forward pass within insula.models.kernels.reference_only()."
        )


def flat(tensor: Tensor) -> NDArray[np.float32]:
    """One-dimensional view of a contiguous tensor (or of a contiguous copy) for a kernel."""
    array: NDArray[np.float32] = tensor.detach().contiguous().numpy().reshape(-1)
    return array


def padded(tensor: Tensor, *sizes: int) -> Tensor:
    """Contiguous tensor whose last axes are filled with zeros to these sizes; the tensor itself where they fit."""
    lead = tensor.shape[: tensor.ndim - len(sizes)]
    if tuple(tensor.shape[tensor.ndim - len(sizes) :]) == sizes:
        return tensor.detach().contiguous()
    out = torch.zeros(*lead, *sizes, dtype=tensor.dtype)
    part = out
    for axis in range(len(lead), tensor.ndim):
        part = part.narrow(axis, 0, tensor.shape[axis])
    part.copy_(tensor.detach())
    return out


def round_up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
