"""Pulse: beats, rate, variability and amplitude from blood volume pulse, PPG or ECG."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import signal as sps
from scipy.ndimage import uniform_filter1d

from insula.signals.features.column import FeatureColumn, Operations, enough
from insula.types import BoolArray, ChannelSpec, DoubleArray, FloatArray, IntArray

MIN_S = {
    "rate_mean": 4.0,
    "amplitude": 4.0,
    "rate_std": 10.0,
    "rmssd": 30.0,
    "sdnn": 30.0,
    "lf_hf": 120.0,
}
"""Shortest window in seconds for each column: short-term variability after Munoz et al. (2015, PLoS ONE 10:e0138921),
who find RMSSD and SDNN usable from 30 s on, and the Task Force (1996), who ask 2 min for the low-frequency band."""
UNITS = {"rate_mean": "1/min", "amplitude": "ln", "rate_std": "1/min", "rmssd": "ms", "sdnn": "ms", "lf_hf": "ln"}
INTERVAL_S = (0.3, 1.8)
"""Intervals outside 33 to 200 beats a minute are no heart beats."""
MAX_JUMP = 0.3
"""An interval further than this fraction from the window's median is an error of detection."""
MAX_STEP = 0.2
"""Two neighbouring intervals that differ by more than this fraction do not enter RMSSD (Malik et al. 1989)."""
MIN_BEATS = 3
RATE_COVERED, VARIABILITY_COVERED = 0.25, 0.5
"""Fraction of the window that trusted intervals must cover for rate and amplitude, and for variability."""
LF_HZ, HF_HZ = (0.04, 0.15), (0.15, 0.4)


class Beats(NamedTuple):
    """Beats of many windows in one list: window, time in seconds from its start, height above the trough before."""

    window: IntArray
    time_s: DoubleArray
    height: DoubleArray


def columns(spec: ChannelSpec, window_s: float) -> tuple[FeatureColumn, ...]:
    """Name the columns that windows of this length support (`MIN_S`)."""
    units = {**UNITS, "amplitude": f"ln {spec.unit}"}
    return tuple(FeatureColumn(name, units[name]) for name, least in MIN_S.items() if window_s >= least)


def ecg_columns(spec: ChannelSpec, window_s: float) -> tuple[FeatureColumn, ...]:
    """Name the columns for ECG: those of the pulse without its amplitude."""
    return tuple(c for c in columns(spec, window_s) if c.name != "amplitude")


def compute(values: FloatArray, observed: BoolArray, spec: ChannelSpec) -> FloatArray:
    """Compute the columns from the mean over channels: values (N, C, T), observed (N, T) -> (N, F)."""
    return _compute(values, observed, spec, find_pulses, columns(spec, values.shape[2] / spec.rate_hz))


def ecg_compute(values: FloatArray, observed: BoolArray, spec: ChannelSpec) -> FloatArray:
    """Compute the ECG columns from the first channel: values (N, C, T), observed (N, T) -> (N, F)."""
    return _compute(values[:, :1], observed, spec, find_r_peaks, ecg_columns(spec, values.shape[2] / spec.rate_hz))


def find_pulses(x: DoubleArray, rate_hz: float) -> Beats:
    """Find systolic peaks in windows (N, T) of a band-passed pulse (Elgendi et al. 2013, PLoS ONE 8:e76585)."""
    return _blocks_of_interest(np.maximum(x, 0) ** 2, x, rate_hz, short_s=0.111, long_s=0.667, beta=0.02)


def find_r_peaks(x: DoubleArray, rate_hz: float) -> Beats:
    """Find R peaks in windows (N, T) of an ECG (Elgendi 2013, PLoS ONE 8:e73557)."""
    band = sps.butter(3, [8.0, min(20.0, 0.45 * rate_hz)], "bandpass", fs=rate_hz, output="sos")
    start = sps.sosfilt_zi(band)[:, None, :] * x[None, :, :1]  # (sections, N, 2)
    sharp, _ = sps.sosfilt(band, x, axis=1, zi=start)
    return _blocks_of_interest(sharp**2, np.abs(sharp), rate_hz, short_s=0.097, long_s=0.611, beta=0.08)


def _blocks_of_interest(
    energy: DoubleArray, x: DoubleArray, rate_hz: float, short_s: float, long_s: float, beta: float
) -> Beats:
    """Take the highest sample of every stretch whose short moving average exceeds the long one.

    A stretch cut by the window's edge is left out; peaks closer than the shortest interval lose to the higher one.
    """
    length = x.shape[1]
    short = max(3, round(short_s * rate_hz) | 1)
    long = max(short + 2, round(long_s * rate_hz) | 1)
    threshold = uniform_filter1d(energy, long, axis=1, mode="nearest") + beta * energy.mean(axis=1, keepdims=True)
    inside = uniform_filter1d(energy, short, axis=1, mode="nearest") > threshold
    edge = np.diff(inside.astype(np.int8), axis=1, prepend=0, append=0)  # (N, T + 1)
    row, first = np.nonzero(edge == 1)
    _, stop = np.nonzero(edge == -1)
    whole = (stop - first >= short) & (first > 0) & (stop < length)
    row, first, stop = row[whole], first[whole], stop[whole]
    if len(row) == 0:
        return Beats(row, np.zeros(0), np.zeros(0))
    flat = np.append(x.reshape(-1), -np.inf)
    bounds = np.stack([row * length + first, row * length + stop], axis=1).reshape(-1)  # start, stop, start, stop
    top = np.maximum.reduceat(flat, bounds)[::2]
    span = int((stop - first).max())
    grid = np.minimum(first[:, None] + np.arange(span), stop[:, None] - 1)  # (blocks, span)
    at = first + (x[row[:, None], grid] >= top[:, None]).argmax(axis=1)
    keep = _far_apart(row, at, top, INTERVAL_S[0] * rate_hz)
    row, at, top = row[keep], at[keep], top[keep]
    left, right = x[row, np.maximum(at - 1, 0)], x[row, np.minimum(at + 1, length - 1)]
    bend = left - 2 * top + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, -1.0), 0.0)  # parabola through the top
    low = np.minimum.reduceat(flat[:-1], row * length + at)  # lowest value until the next beat
    last = np.append(row[1:] != row[:-1], True)
    height = np.where(last, np.nan, top - low)
    return Beats(row, (at + np.clip(shift, -0.5, 0.5)) / rate_hz, height)


def _far_apart(row: IntArray, at: IntArray, top: DoubleArray, least: float) -> BoolArray:
    """Drop the lower of two neighbouring beats of a window that are closer than ``least`` samples."""
    near = (row[1:] == row[:-1]) & (np.diff(at) < least)
    drop = np.zeros(len(row), bool)
    drop[1:] |= near & (top[1:] <= top[:-1])
    drop[:-1] |= near & (top[1:] > top[:-1])
    return ~drop


def _compute(
    values: FloatArray,
    observed: BoolArray,
    spec: ChannelSpec,
    find: Callable[[DoubleArray, float], Beats],
    wanted: tuple[FeatureColumn, ...],
) -> FloatArray:
    n, _, length = values.shape
    if n == 0 or not wanted:
        return np.empty((n, len(wanted)), np.float32)
    beats = find(values.mean(axis=1, dtype=np.float64), spec.rate_hz)
    at, interval_s, height = _padded(beats, observed, spec.rate_hz)
    count = np.isfinite(interval_s).sum(axis=1)
    covered_s = np.nansum(interval_s, axis=1)
    covered = np.where(enough(observed) & (count >= MIN_BEATS - 1), covered_s * spec.rate_hz / length, 0.0)
    valid = covered >= RATE_COVERED
    safe = np.where(valid[:, None], interval_s, 1.0)  # keeps the arithmetic quiet where nothing is valid
    rate = 60 / safe
    pair = np.diff(safe, axis=1)
    pair = np.where(np.abs(pair) <= MAX_STEP * safe[:, 1:], pair, np.nan)
    makers: dict[str, Callable[[], DoubleArray]] = {
        "rate_mean": lambda: 60 / np.nanmean(safe, axis=1),
        "amplitude": lambda: np.log(np.maximum(_nanmedian(height), 1e-6)),
        "rate_std": lambda: np.nanstd(rate, axis=1),
        "rmssd": lambda: 1000 * np.sqrt(_nanmean(pair**2)),
        "sdnn": lambda: 1000 * np.nanstd(safe, axis=1),
        "lf_hf": lambda: _lf_hf(at, safe),
    }
    table = np.stack([makers[c.name]() for c in wanted], axis=1)
    least = [RATE_COVERED if c.name in ("rate_mean", "amplitude") else VARIABILITY_COVERED for c in wanted]
    return np.where(covered[:, None] >= np.array(least), table, np.nan).astype(np.float32)


def _padded(beats: Beats, observed: BoolArray, rate_hz: float) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Lay the intervals out as (N, most beats): time of the later beat, interval, height; NaN where not trusted."""
    n, length = observed.shape
    counts = np.bincount(beats.window, minlength=n)
    shape = (n, max(3, int(counts.max(initial=0))))
    place = np.arange(len(beats.window)) - np.repeat(np.cumsum(counts) - counts, counts)
    time_s, height = np.full(shape, np.nan), np.full(shape, np.nan)
    time_s[beats.window, place] = beats.time_s
    height[beats.window, place] = beats.height
    interval_s = np.diff(time_s, axis=1, prepend=np.nan)
    sample = np.clip(np.nan_to_num(time_s * rate_hz), 0, length - 1).astype(np.int64)
    missing = np.concatenate([np.zeros((n, 1), np.int64), np.cumsum(~observed, axis=1)], axis=1)  # (N, T + 1)
    before = np.concatenate([sample[:, :1], sample[:, :-1]], axis=1)
    rows = np.arange(n)[:, None]
    gap = missing[rows, sample + 1] > missing[rows, before]  # an interval over unobserved samples is no interval
    with np.errstate(invalid="ignore"):
        wrong = gap | (interval_s < INTERVAL_S[0]) | (interval_s > INTERVAL_S[1])
        interval_s[wrong] = np.nan
        interval_s[
            np.abs(interval_s - _nanmedian(interval_s)[:, None]) > MAX_JUMP * _nanmedian(interval_s)[:, None]
        ] = np.nan
    return time_s, interval_s, np.where(np.isfinite(interval_s), height, np.nan)


def _lf_hf(at_s: DoubleArray, interval_s: DoubleArray) -> DoubleArray:
    """Log ratio of low to high frequency power (N,), from the periodogram of the unevenly spaced intervals."""
    known = np.isfinite(interval_s) & np.isfinite(at_s)
    centred = np.where(known, interval_s - _nanmean(interval_s)[:, None], 0.0)
    hz = np.arange(LF_HZ[0], HF_HZ[1], 0.005)
    power = np.empty((len(at_s), len(hz)))
    for k, f in enumerate(hz):
        turn = 2 * np.pi * f * np.nan_to_num(at_s)
        power[:, k] = (centred * np.cos(turn)).sum(axis=1) ** 2 + (centred * np.sin(turn)).sum(axis=1) ** 2
    low, high = (power[:, (hz >= a - 1e-9) & (hz < b - 1e-9)].sum(axis=1) for a, b in (LF_HZ, HF_HZ))
    return np.asarray(np.log(np.maximum(low, 1e-12) / np.maximum(high, 1e-12)))


def _nanmean(x: DoubleArray) -> DoubleArray:
    known = np.isfinite(x)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, x, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _nanmedian(x: DoubleArray) -> DoubleArray:
    """Median of the finite values of each row (upper of the two middle ones), NaN without any."""
    count = np.isfinite(x).sum(axis=1)
    ordered = np.sort(x, axis=1)  # NaN last
    return np.asarray(ordered[np.arange(len(x)), np.minimum(count // 2, x.shape[1] - 1)])


def work(spec: ChannelSpec, window_s: float) -> Operations:
    """Count `compute` of one window: mean of channels, energy, two moving averages, threshold, and the search."""
    samples = round(window_s * spec.rate_hz)
    macs, others = 3 * samples, 0
    if window_s >= MIN_S["lf_hf"]:
        turns = round((HF_HZ[1] - LF_HZ[0]) / 0.005) * round(window_s)  # a beat a second
        macs, others = macs + 3 * turns, 2 * turns
    return macs, (len(spec.channels) + 9) * samples, others


def ecg_work(spec: ChannelSpec, window_s: float) -> Operations:
    """Count `ecg_compute` of one window: the same on one channel after three second-order filter sections."""
    macs, adds, others = work(spec, window_s)
    samples = round(window_s * spec.rate_hz)
    return macs + 15 * samples, adds - (len(spec.channels) - 1) * samples, others
