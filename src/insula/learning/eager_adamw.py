"""torch's AdamW without what only `torch.compile` needs."""

from __future__ import annotations

import inspect
from typing import Any

import torch

_BASE = torch.optim.Optimizer


class EagerAdamW(torch.optim.AdamW):
    """`torch.optim.AdamW`, number for number, in a program that compiles nothing.

    torch wraps the methods of its optimisers so that `torch.compile` leaves them alone; the wrappers import the
    compiler, more than a second of a process that only trains. The methods below are those within the wrappers.
    """

    add_param_group = inspect.unwrap(_BASE.add_param_group)
    zero_grad = inspect.unwrap(_BASE.zero_grad)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move all weights once along their gradients."""
        return inspect.unwrap(torch.optim.AdamW.step)(self, closure)
