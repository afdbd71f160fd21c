"""Compiled inner loops for the CPU, each beside its plain PyTorch reference, and the choice between the two."""

from __future__ import annotations

import functools
import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

_log = logging.getLogger(__name__)
_only_reference: ContextVar[bool] = ContextVar("insula_only_reference", default=False)


@contextmanager
def reference_only() -> Iterator[None]:
    """Within it, liquid cells run their plain PyTorch reference (differentiable twice, traceable, any device)."""
    token = _only_reference.set(True)
    try:
        yield
    finally:
        _only_reference.reset(token)


def use_compiled(*tensors: Tensor) -> bool:
    """Say whether compiled kernels serve these tensors: plain float32 on the CPU, eager, and Numba installed.

    Under `torch.func` transforms, tracing, compilation and export the reference is the one that composes.
    """
    if _only_reference.get() or torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
        return False
    if torch._C._are_functorch_transforms_active():
        return False
    for tensor in tensors:
        if type(tensor) not in (Tensor, nn.Parameter) or tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            return False
    return _numba_installed()


@functools.cache
def _numba_installed() -> bool:
    installed = importlib.util.find_spec("numba") is not None
    if not installed:
        _log.warning("numba is not installed: liquid cells run their PyTorch reference, several times slower.")
    return installed
