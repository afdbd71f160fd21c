"""Brightness, contrast and motion of grey pictures: a few numbers for many pixels."""

from __future__ import annotations

import numpy as np

from insula.signals.features.column import FeatureColumn, Operations, enough
from insula.types import BoolArray, ChannelSpec, FloatArray


def columns(spec: ChannelSpec, window_s: float) -> tuple[FeatureColumn, ...]:
    """Name them; motion needs two pictures."""
    out = [FeatureColumn("brightness", spec.unit), FeatureColumn("contrast", spec.unit)]
    if round(window_s * spec.rate_hz) >= 2:
        out.append(FeatureColumn("motion", f"{spec.unit}/s"))
    return tuple(out)


def compute(values: FloatArray, observed: BoolArray, spec: ChannelSpec) -> FloatArray:
    """Compute them over the observed pictures: (N, pixels, T) -> (N, F).

    Brightness is the mean over pixels and pictures, contrast the deviation over a picture's pixels (mean over
    pictures), motion the mean change of a pixel a second between pictures that are both observed.
    """
    count = np.maximum(observed.sum(axis=1), 1)  # (N,)
    valid = enough(observed)
    level, spread = values.mean(axis=1), values.std(axis=1)  # (N, T)
    parts = [np.where(valid, (x * observed).sum(axis=1) / count, np.nan) for x in (level, spread)]
    if values.shape[2] >= 2:
        both = observed[:, 1:] & observed[:, :-1]
        change = np.abs(np.diff(values, axis=2)).mean(axis=1) * both  # (N, T - 1)
        steps = both.sum(axis=1)
        moved = change.sum(axis=1) / np.maximum(steps, 1) * spec.rate_hz
        parts.append(np.where(valid & (steps > 0), moved, np.nan))
    return np.stack(parts, axis=1).astype(np.float32)


def work(spec: ChannelSpec, window_s: float) -> Operations:
    """Count `compute` of one window: mean and deviation of each picture, and the change of each pixel."""
    pictures = round(window_s * spec.rate_hz)
    values = len(spec.channels) * pictures
    moved = 3 if pictures >= 2 else 0
    return values, (3 + moved) * values, 2 * pictures
