"""How much a training window counts by its quality flags: windows are kept, dropped or weighed, test windows never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from insula.errors import InputError, unknown_name
from insula.types import FloatArray, IntArray

if TYPE_CHECKING:
    from insula.windows.table import Windows

Quality = Literal["keep", "drop", "weigh"]
LEAST_WEIGHT = 0.01
"""A window that is spoiled throughout still weighs this much, so that no batch is empty."""


def require_quality(how: str, share: float) -> None:
    """Raise for an unknown rule and for a share that no window can exceed."""
    if how not in get_args(Quality):
        raise unknown_name("quality", how, get_args(Quality))
    if not 0 <= share < 1:
        raise InputError(f"quality_share {share}; expected 0 or more and below 1.")


def worst_flags(windows: Windows) -> FloatArray:
    """Share of each window that its worst flag marks, (windows, M) in the schema's order.

    NaN where the modality is not present, 0 where none of its flags could be judged.
    """
    shares = windows.quality()
    worst = np.stack([np.nan_to_num(shares[name]).max(axis=1) for name in windows.schema.modalities], axis=1)
    return np.asarray(np.where(windows.present(), worst, np.nan), np.float32)


def good_rows(windows: Windows, share: float) -> IntArray:
    """Rows that training keeps under ``drop``.

    A window is dropped when more than half of the modalities it has are bad, that is when some flag marks more than
    ``share`` of it. A class of which nothing would be left keeps its windows.
    """
    worst = worst_flags(windows)
    bad = 2 * (worst > share).sum(axis=1) > np.isfinite(worst).sum(axis=1)  # NaN compares as False
    group = np.zeros(len(windows)) if windows.schema.continuous else windows.y
    for value in np.unique(group):
        own = group == value
        bad[own] &= not bad[own].all()
    return np.flatnonzero(~bad)


def weights(windows: Windows) -> FloatArray:
    """Weight of each window under ``weigh``, (windows,): the mean of 1 - worst flag's share over its modalities."""
    worst = worst_flags(windows)
    there = np.isfinite(worst)
    good = np.where(there, 1 - worst, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return np.where(there.any(axis=1), np.maximum(good, LEAST_WEIGHT), 1).astype(np.float32)


def trained_on(windows: Windows, how: str, share: float) -> Windows:
    """Training windows that are left under a rule."""
    return windows.take(good_rows(windows, share)) if how == "drop" else windows
