"""Level, deviation and slope of each channel: temperature, heart rate, respiration, acceleration, gaze and the rest."""

from __future__ import annotations

import numpy as np

from insula.signals.features.column import FeatureColumn, Operations, moments, moments_work
from insula.types import BoolArray, ChannelSpec, FloatArray

MIN_SLOPE_SAMPLES = 3


def columns(spec: ChannelSpec, window_s: float) -> tuple[FeatureColumn, ...]:
    """Name mean, deviation and slope a minute of each channel; below 3 samples only the mean."""
    out = [FeatureColumn(f"mean_{c}", spec.unit) for c in spec.channels]
    if round(window_s * spec.rate_hz) >= MIN_SLOPE_SAMPLES:
        out += [FeatureColumn(f"std_{c}", spec.unit) for c in spec.channels]
        out += [FeatureColumn(f"slope_{c}", f"{spec.unit}/min") for c in spec.channels]
    return tuple(out)


def compute(values: FloatArray, observed: BoolArray, spec: ChannelSpec) -> FloatArray:
    """Compute them over the observed samples: (N, C, T) -> (N, F)."""
    mean, deviation, slope_s = moments(values, observed, spec.rate_hz)
    parts = [mean] if values.shape[2] < MIN_SLOPE_SAMPLES else [mean, deviation, 60 * slope_s]
    return np.concatenate(parts, axis=1).astype(np.float32)


def work(spec: ChannelSpec, window_s: float) -> Operations:
    """Count `compute` of one window."""
    return moments_work(len(spec.channels), round(window_s * spec.rate_hz))
