"""Compiled kernels for many models at once: what `torch.vmap` over a stack of models does with a kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

_stacked: ContextVar[bool] = ContextVar("insula_stacked_models", default=False)


@contextmanager
def stacked_models() -> Iterator[None]:
    """Within it, one `torch.vmap` runs over models and nothing else does: kernels then serve its tensors too."""
    token = _stacked.set(True)
    try:
        yield
    finally:
        _stacked.reset(token)


def over_models(call: Callable[..., Tensor], rows: tuple[Tensor, ...], weights: tuple[Tensor, ...]) -> Tensor | None:
    """Call a kernel on the tensors of a stack of models; None where no stack is under way.

    ``rows`` begin with the axis of the batch; where the models have the ``weights`` in common, all their rows are one
    batch, else each model's run on their own.
    """
    if not _stacked.get() or not torch._C._are_functorch_transforms_active():
        return None
    out: Tensor = _OverModels.apply(call, len(rows), *rows, *weights)  # type: ignore[no-untyped-call]
    return out


def learns(weight: Tensor) -> bool:
    """Whether gradients of a weight are asked for; inside a stack the tensor itself does not tell."""
    while torch._C._functorch.is_batchedtensor(weight):
        weight = torch._C._functorch.get_unwrapped(weight)
    return weight.requires_grad


class _OverModels(torch.autograd.Function):
    """Nothing but a rule for `torch.vmap`; gradients are those of what it calls."""

    @staticmethod
    def forward(call: Callable[..., Tensor], _rows: int, *tensors: Tensor) -> Tensor:
        return call(*tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        del ctx, inputs, output

    @staticmethod
    def vmap(info: Any, in_dims: Any, call: Callable[..., Tensor], rows: int, *tensors: Tensor) -> tuple[Tensor, int]:
        models, axes = info.batch_size, in_dims[2:]
        led = [t if axis is None else t.movedim(axis, 0) for t, axis in zip(tensors, axes, strict=True)]
        if all(axis is None for axis in axes[rows:]):
            whole = [
                (t.expand(models, *t.shape) if axis is None else t).flatten(0, 1)
                for t, axis in zip(led[:rows], axes[:rows], strict=True)
            ]
            return call(*whole, *led[rows:]).unflatten(0, (models, -1)), 0
        apart = [[t] * models if axis is None else t.unbind() for t, axis in zip(led, axes, strict=True)]
        return torch.stack([call(*own) for own in zip(*apart, strict=True)]), 0
