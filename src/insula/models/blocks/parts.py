"""Windows cut into parts that a network reads one after the other."""

from __future__ import annotations

from torch import Tensor


def parted(values: Tensor, parts: int) -> Tensor:
    """Cut (B, C, T) into parts of equal length one after the other, (B * parts, C, T // parts); a rest is dropped."""
    length = values.shape[-1] // parts
    cut = values[..., : length * parts].unflatten(-1, (parts, length))
    out: Tensor = cut.transpose(1, 2).flatten(0, 1)
    return out
