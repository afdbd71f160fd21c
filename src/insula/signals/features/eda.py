"""Skin conductance: level, slope, and the fast responses above a causal tonic level."""

from __future__ import annotations

import numpy as np
from scipy import signal as sps

from insula.signals.features.column import FeatureColumn, Operations, enough, moments, moments_work
from insula.types import BoolArray, ChannelSpec, DoubleArray, FloatArray

TONIC_TAU_S = 10.0
"""Time constant of the exponential average that stands for the tonic level."""
MIN_PHASIC_S = 10.0
"""Responses last seconds: below this window length they are not counted."""
SCR_MIN_US = 0.02
"""Smallest rise that counts as a response (Boucsein 2012 gives .01 to .05 uS)."""
SCR_MIN_US_PER_S = 0.01
"""A slower rise belongs to the tonic level."""
SCR_MIN_RISE_S, SCR_MAX_RISE_S = 0.5, 6.0
"""A rise shorter than this is noise, a longer one is drift."""
SMOOTH_S = 0.75
"""Moving average before rises are looked for."""


def columns(spec: ChannelSpec, window_s: float) -> tuple[FeatureColumn, ...]:
    """Name the columns; those of responses are left out of windows shorter than `MIN_PHASIC_S`."""
    u = spec.unit
    out = [FeatureColumn("tonic_level", u), FeatureColumn("tonic_slope", f"{u}/min"), FeatureColumn("std", u)]
    if window_s >= MIN_PHASIC_S:
        out += [
            FeatureColumn("phasic_energy", f"ln {u}^2"),
            FeatureColumn("scr_rate", "1/min"),
            FeatureColumn("scr_amplitude", u),
        ]
    return tuple(out)


def compute(values: FloatArray, observed: BoolArray, spec: ChannelSpec) -> FloatArray:
    """Compute the columns from the first channel: values (N, C, T), observed (N, T) -> (N, F).

    ``phasic_energy`` is the log mean square of the signal above its tonic level; ``scr_rate`` counts rises of at least
    `SCR_MIN_US`, and ``scr_amplitude`` is their mean height (0 without any).
    """
    mean, deviation, slope_s = (m[:, 0] for m in moments(values[:, :1], observed, spec.rate_hz))
    out = [mean, 60 * slope_s, deviation]
    window_s = values.shape[2] / spec.rate_hz
    if window_s >= MIN_PHASIC_S:
        x = values[:, 0].astype(np.float64)
        weight = observed.astype(np.float64)
        phasic = (x - tonic(x, spec.rate_hz)) * weight
        energy = np.log((phasic**2).sum(axis=1) / np.maximum(weight.sum(axis=1), 1) + 1e-8)
        count, height = _responses(x, observed, spec.rate_hz)
        seen_min = np.maximum(weight.sum(axis=1), 1) / spec.rate_hz / 60
        valid = enough(observed)
        out += [np.where(valid, v, np.nan) for v in (energy, count / seen_min, height)]
    return np.stack(out, axis=1).astype(np.float32)


def tonic(x: DoubleArray, rate_hz: float) -> DoubleArray:
    """Estimate the tonic level of (N, T) causally: an exponential average that starts at the first sample."""
    keep = float(np.exp(-1 / (TONIC_TAU_S * rate_hz)))
    level, _ = sps.lfilter([1 - keep], [1, -keep], x, axis=1, zi=keep * x[:, :1])
    return np.asarray(level)


def _responses(x: DoubleArray, observed: BoolArray, rate_hz: float) -> tuple[DoubleArray, DoubleArray]:
    """Count rises in windows (N, T) and average their height: two (N,).

    A rise is a maximal stretch in which the smoothed signal climbs at `SCR_MIN_US_PER_S` or faster; one that is still
    going on at the window's end counts as far as it has come.
    """
    size = max(1, round(SMOOTH_S * rate_hz))
    padded = np.concatenate([np.repeat(x[:, :1], size - 1, axis=1), x], axis=1)
    smooth = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1).mean(axis=2)  # (N, T), causal
    up = (np.diff(smooth, axis=1) * rate_hz > SCR_MIN_US_PER_S) & observed[:, 1:] & observed[:, :-1]
    walled = np.zeros((x.shape[0], up.shape[1] + 2), np.int8)  # no rise spans two windows
    walled[:, 1:-1] = up
    edge = np.diff(walled, axis=1)  # (N, T)
    row, first = np.nonzero(edge == 1)
    _, last = np.nonzero(edge == -1)
    height = smooth[row, last] - smooth[row, first]
    rise_s = (last - first) / rate_hz
    kept = (height >= SCR_MIN_US) & (rise_s >= SCR_MIN_RISE_S) & (rise_s <= SCR_MAX_RISE_S)
    count = np.bincount(row[kept], minlength=len(x)).astype(np.float64)
    total = np.bincount(row[kept], weights=height[kept], minlength=len(x))
    return count, total / np.maximum(count, 1)


def work(spec: ChannelSpec, window_s: float) -> Operations:
    """Count `compute` of one window: moments; then the average, its distance, the smoothed signal and its rises."""
    samples = round(window_s * spec.rate_hz)
    macs, adds, others = moments_work(1, samples)
    if window_s >= MIN_PHASIC_S:
        smoothed = max(1, round(SMOOTH_S * spec.rate_hz))
        macs, adds, others = macs + 6 * samples, adds + (3 + smoothed) * samples, others + 3
    return macs, adds, others
