"""EEG: differential entropy and relative power of five bands a channel, and frontal alpha asymmetry."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import fft

from insula.signals.features.column import MIN_OBSERVED, FeatureColumn, Operations
from insula.types import BoolArray, ChannelSpec, DoubleArray, FloatArray, IntArray

BANDS_HZ: Mapping[str, tuple[float, float]] = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "gamma": (30.0, 45.0),
}
"""Bands, lower edge included. A band that reaches beyond half of the rate is left out."""
FRONTAL_PAIRS = (("AF3", "AF4"), ("F3", "F4"), ("F7", "F8"))
SEGMENT_S = 2.0
"""Spectra are averaged over Hann segments of this length that overlap by half (Welch 1967)."""
BLOCK_SEGMENTS = 256
DEAD_SHARE = 1e-6
"""A channel below this share of the median channel's power has no value."""
FLOOR_SHARE = 1e-7
"""Least share of a band in its channel's power: below it float32 has no digits left."""


def _bands(rate_hz: float) -> dict[str, tuple[float, float]]:
    return {name: edges for name, edges in BANDS_HZ.items() if edges[1] <= rate_hz / 2}


def _pairs(spec: ChannelSpec) -> list[tuple[int, int, str]]:
    """Positions (left, right) and a name for the frontal pairs that exist; names compare without case."""
    at = {c.upper(): i for i, c in enumerate(spec.channels)}
    return [(at[a], at[b], f"{b}_{a}") for a, b in FRONTAL_PAIRS if a in at and b in at]


def _segment(length: int, rate_hz: float) -> tuple[int, int]:
    """Samples of a spectral segment and of the step between two."""
    size = min(length, max(2, round(SEGMENT_S * rate_hz)))
    return size, max(1, size // 2)


def columns(spec: ChannelSpec, window_s: float) -> tuple[FeatureColumn, ...]:  # noqa: ARG001 (one signature for all)
    """Name the columns: band by band, each over all channels, then the asymmetries.

    ``de_<band>_<channel>`` differential entropy of the band-limited signal as a Gaussian, ln(2 pi e variance) / 2
    (Duan, Zhu & Lu 2013); ``rel_<band>_<channel>`` log of the band's share of the power of all bands, which a gain
    cannot change; ``faa_<right>_<left>`` log alpha power right minus left (Davidson 1992).
    """
    bands = _bands(spec.rate_hz)
    out = [FeatureColumn(f"de_{b}_{c}", "nat") for b in bands for c in spec.channels]
    out += [FeatureColumn(f"rel_{b}_{c}", "ln") for b in bands for c in spec.channels]
    if "alpha" in bands:
        out += [FeatureColumn(f"faa_{name}", "ln") for _, _, name in _pairs(spec)]
    return tuple(out)


def compute(values: FloatArray, observed: BoolArray, spec: ChannelSpec) -> FloatArray:
    """Compute the columns: values (N, C, T), observed (N, T) -> (N, F)."""
    count, channels, length = values.shape
    size, step = _segment(length, spec.rate_hz)
    offsets = np.arange(0, length - size + 1, step)
    if count == 0:
        return np.empty((0, len(columns(spec, length / spec.rate_hz))), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(values, size, axis=2)[:, :, offsets]  # (N, C, S, size)
    segments = windows.transpose(0, 2, 1, 3).reshape(-1, channels, size)  # (N * S, C, size)
    masks = np.lib.stride_tricks.sliding_window_view(observed, size, axis=1)[:, offsets].reshape(-1, size)
    power = _segment_powers(segments, masks, spec)  # (N * S, C, bands)
    return _from_powers(power.reshape(count, len(offsets), channels, -1), spec)


def over_trial(values: FloatArray, observed: BoolArray, spec: ChannelSpec, starts: IntArray, length: int) -> FloatArray:
    """Compute the same for windows of one trial; a segment that several windows share is transformed once."""
    size, step = _segment(length, spec.rate_hz)
    wanted = starts[:, None] + np.arange(0, length - size + 1, step)  # (N, S)
    unique, which = np.unique(wanted, return_inverse=True)
    windows = np.lib.stride_tricks.sliding_window_view(values, size, axis=1)  # (C, T - size + 1, size)
    masks = np.lib.stride_tricks.sliding_window_view(observed, size)
    power = np.concatenate(
        [
            _segment_powers(windows[:, at].transpose(1, 0, 2), masks[at], spec)
            for at in np.array_split(unique, math.ceil(len(unique) / BLOCK_SEGMENTS))
        ]
    )  # (U, C, bands)
    return _from_powers(power[which.reshape(wanted.shape)], spec)


def _segment_powers(segments: FloatArray, masks: BoolArray, spec: ChannelSpec) -> FloatArray:
    """Variance in each band (U, C, bands) of segments (U, C, size); NaN where unobserved or a channel was left out.

    A channel that was left out is zero but for what its filters still ring, far below the median channel.
    """
    size = segments.shape[2]
    taper = np.hanning(size + 1)[:-1].astype(np.float32)
    spectrum = fft.rfft(np.asarray(segments, np.float32) * taper, axis=2)  # (U, C, bins)
    power = spectrum.real**2 + spectrum.imag**2
    bins_hz = np.fft.rfftfreq(size, 1 / spec.rate_hz)
    edges = list(_bands(spec.rate_hz).values())
    pick = np.stack([(bins_hz >= lo) & (bins_hz < hi) for lo, hi in edges], axis=1)  # (bins, bands)
    scale = 2.0 / (size * float((taper**2).sum()))  # one-sided; the bins of a band add up to its variance
    variance = power @ (pick * scale).astype(np.float32)  # (U, C, bands)
    total = variance.sum(axis=2, keepdims=True)  # (U, C, 1)
    alive = total > np.maximum(DEAD_SHARE * np.median(total, axis=1, keepdims=True), 1e-24)
    seen = (masks.mean(axis=1) >= MIN_OBSERVED)[:, None, None]
    return np.where(seen & alive, np.maximum(variance, FLOOR_SHARE * total), np.float32(np.nan))


def _from_powers(power: FloatArray, spec: ChannelSpec) -> FloatArray:
    """Average segment powers (N, S, C, bands) and turn them into columns (N, F)."""
    known = np.isfinite(power)
    count = known.sum(axis=1)
    mean = np.where(known, power, 0).sum(axis=1, dtype=np.float64) / np.maximum(count, 1)  # (N, C, bands)
    enough = count >= MIN_OBSERVED * power.shape[1]
    log_power: DoubleArray = np.log(np.where(enough, mean, np.nan))
    total = np.log(np.where(enough.all(axis=2), mean.sum(axis=2), np.nan))  # (N, C)
    entropy = 0.5 * (math.log(2 * math.pi * math.e) + log_power)
    relative = log_power - total[:, :, None]
    n = len(power)
    parts = [entropy.transpose(0, 2, 1).reshape(n, -1), relative.transpose(0, 2, 1).reshape(n, -1)]  # band-major
    if "alpha" in (names := list(_bands(spec.rate_hz))):
        alpha = log_power[:, :, names.index("alpha")]
        parts += [(alpha[:, right] - alpha[:, left])[:, None] for left, right, _ in _pairs(spec)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def work(spec: ChannelSpec, window_s: float) -> Operations:
    """Count `compute` of one window: taper, transform (four and four a butterfly), power and bands of each segment."""
    length, channels, bands = round(window_s * spec.rate_hz), len(spec.channels), len(_bands(spec.rate_hz))
    size, step = _segment(length, spec.rate_hz)
    segments, bins = (length - size) // step + 1, size // 2 + 1
    transform = round(size * math.log2(size))
    macs = segments * (size + transform + (2 + bands) * bins)
    adds = segments * (transform + 3 * bands) + 3 * bands
    return channels * macs, channels * adds, channels * (bands + 1)
