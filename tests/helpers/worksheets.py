"""What a layer costs for given inputs, as the worksheets write it."""

from __future__ import annotations

from typing import Any

from torch import nn

from insula.explain.cost import count_layer


def counted(layer: nn.Module, *inputs: Any) -> tuple[int, int, int]:
    """Multiply-accumulates, additions, other functions."""
    found = count_layer(layer, *inputs)
    return found.macs, found.adds, found.others
