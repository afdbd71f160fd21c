"""Compiled loops: without the interpreter lock, and cached on disk where a place for the cache exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compile a function on its first call, once a machine where Numba finds a folder for its cache."""
    try:
        return njit(nogil=True, cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # read-only installation and no home folder
        return njit(nogil=True, **options)(function)  # type: ignore[no-any-return]
