"""Arrays that come out of files nobody vouches for, checked and turned into (channels, samples) float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from insula.data.formats.tables import AGAIN
from insula.data.info import FileError
from insula.types import DoubleArray, FloatArray


def as_samples(path: Path, what: str, value: Any, channels: int, *, channels_first: bool = True) -> FloatArray:
    """Return a matrix of ``path`` as (channels, samples) float32, NaN where it is not finite.

    ``channels_first`` False: the file holds (samples, channels). Any other shape or type is a FileError that calls the
    matrix ``what``.
    """
    rule = f"({channels}, samples)" if channels_first else f"(samples, {channels})"
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf" or value.ndim != 2:
        raise FileError(path, f"{what} is {_told(value)}; expected numbers of shape {rule}. {AGAIN}")
    rows = value if channels_first else value.T
    if rows.shape[0] != channels or not rows.shape[1]:
        raise FileError(path, f"{what} has shape {value.shape}; expected {rule}. {AGAIN}")
    return finite(rows)


def finite(values: Any) -> FloatArray:
    """Return numbers as contiguous float32 of the same shape; infinities and what float32 cannot hold are NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        out = np.array(values, dtype=np.float32, order="C")
    out[~np.isfinite(out)] = np.nan
    return out


def require_memory(path: Path, n_bytes: int) -> None:
    """Raise FileError for more bytes than are free, where the system tells; else it would end the process unasked."""
    free = free_bytes()
    if free is not None and n_bytes > free:
        raise FileError(
            path,
            f"{n_bytes / 1e9:.1f} GB of samples as float32; expected at most the {free / 1e9:.1f} GB of memory that is "
            "free. Cut the file, or list fewer and shorter pieces of it.",
        )


def free_bytes() -> int | None:
    """Return how much memory can be had without swapping (Linux; None elsewhere)."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            told = dict(line.split(":", 1) for line in file)
        return int(told["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def as_numbers(path: Path, what: str, value: Any) -> DoubleArray:
    """Return a matrix of ``path`` as flat float64; anything but numbers is a FileError that calls it ``what``."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iufb":
        raise FileError(path, f"{what} is {_told(value)}; expected numbers. {AGAIN}")
    return np.asarray(value, dtype=np.float64).ravel()


def rating(path: Path, what: str, value: float, low: float, high: float) -> float | None:
    """Check one rating; NaN is no rating, a number outside its scale a FileError."""
    if np.isnan(value):
        return None
    if not low <= value <= high:
        raise FileError(path, f"{what} {value:g}; expected {low:g} to {high:g}. {AGAIN}")
    return float(value)


def _told(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    return "missing" if value is None else f"of type {type(value).__name__}"
