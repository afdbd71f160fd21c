"""Which seconds of a raw signal are flat, clipped, missing, full of mains hum or spoiled by movement.

Verdicts are for training and reports, never for prediction, and may look at a whole trial: a stretch that turns out to
be flat is marked from its first sample on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from insula.signals.quality import CLIP_S, FLAGS
from insula.signals.recipe import Recipe, SignalRecipe
from insula.signals.resampling import on_trial_grid
from insula.types import BoolArray, DoubleArray, FloatArray, IntArray, Signal, Trial

FLAT_S: Mapping[str, float] = {"eda": 10.0, "temp": 60.0, "acc": 30.0}
"""Modalities without a high-pass are flat once a value stays for so long. An E4 that is worn repeats one value for at
most 4.3 s of EDA, 19 s of temperature (steps of 0.02 degC) and 4.3 s of acceleration in 47 sessions."""
LINE_RATIO = 1000.0
"""Mains hum is marked from 30 dB over its neighbourhood on: in EEG some 10 uV, as strong as the EEG itself."""
LINE_AWAY_HZ = (-6.0, -5.0, -4.0, 4.0, 5.0, 6.0)
"""The neighbourhood of the mains, clear of what a Hann window of one second spreads."""
MOTION_G = 0.1
"""A second is moved from this standard deviation of the acceleration's magnitude on, where light activity of the
wrist ends (Hildebrand et al. 2014, doi:10.1249/MSS.0000000000000289: 0.1 g); a hand at rest stays below 0.02."""
MOVED = ("eda", "bvp", "ppg", "temp", "acc")
"""Modalities worn where the acceleration is measured."""
_IN_G: Mapping[str, float] = {"g": 1.0, "1/64 g": 1 / 64, "mg": 1e-3, "m/s^2": 1 / 9.80665, "m/s2": 1 / 9.80665}


def of_trial(trial: Trial, recipe: Recipe) -> dict[str, FloatArray]:
    """Judge the recipe's modalities that a trial has: (flags, seconds) each, as `CleanTrial.quality`."""
    moved, out = movement(trial), {}
    for name, rule in recipe.signals.items():
        if name in trial.signals:
            signal = trial.signals[name]
            values, rate_hz = on_trial_grid(signal, trial.start_s, trial.stop_s, rule.rate_hz)
            out[name] = mark(name, signal, values, rate_hz, rule, moved)
    return out


def seconds_of(trial: Trial) -> int:
    """Count the seconds of a trial, the last one perhaps in part."""
    return math.ceil(trial.stop_s - trial.start_s - 1e-6)


def movement(trial: Trial) -> FloatArray:
    """Say of each second whether the wrist moves, (seconds,) 0 or 1; NaN without half a second of acceleration in g."""
    count = seconds_of(trial)
    out = np.full(count, np.nan, np.float32)
    signal = trial.signals.get("acc")
    if signal is None or signal.unit not in _IN_G or not signal.rate_hz > 0:
        return out
    values, rate_hz = on_trial_grid(signal, trial.start_s, trial.stop_s, signal.rate_hz)
    values = values * np.float32(_IN_G[signal.unit])
    squared = np.square(values[0])  # (T,) of the magnitude
    for axis in values[1:]:
        squared += np.square(axis)
    known = np.isfinite(squared)
    squared = squared if known.all() else np.where(known, squared, np.float32(0))
    samples, total, squares = (_sums(x, rate_hz, count) for x in (known, np.sqrt(squared), squared))
    enough = (samples >= rate_hz / 2) & (samples >= 2)
    samples = np.maximum(samples, 1)
    variance = squares / samples - (total / samples) ** 2
    out[enough] = variance[enough] > MOTION_G**2
    return out


def mark(
    modality: str, signal: Signal, values: FloatArray, rate_hz: float, rule: SignalRecipe, moved: FloatArray
) -> FloatArray:
    """Mark the seconds of one modality.

    A sample is ``gap`` when it is NaN, missing or outside the recipe's limits, where no sensor is worn; ``flat`` in a
    stretch of equal values of half a period of the high-pass (or `FLAT_S`); ``clipped`` in one of `quality.CLIP_S` at
    the channel's extreme, where there is a high-pass. Held series (heart rate) and series without a rate are not
    judged for these two. ``line noise`` is hum at the recipe's notch, where the raw rate reaches its neighbourhood.

    Parameters
    ----------
    signal : the source.
    values : (C, T) of it on the trial's grid, at ``rate_hz``.
    rule : of the modality.
    moved : from `movement`, (seconds,).

    Returns
    -------
    (flags, seconds) share of the second's samples in all channels; NaN where a flag cannot be judged.
    """
    count = len(moved)
    out = np.full((len(FLAGS), count), np.nan, np.float32)
    flat, clipped, gap, hum, motion = out
    if modality in MOVED:
        motion[:] = moved
    if not values.size:
        gap[:] = 1.0
        return out
    low, high = values.min(axis=1), values.max(axis=1)  # (C,) NaN where a sample is
    gap[:] = 0.0
    limits = rule.limits or (-math.inf, math.inf)
    if not ((low > limits[0]) & (high <= limits[1]) & np.isfinite(low) & np.isfinite(high)).all():
        valid = np.isfinite(values) & (values > limits[0]) & (values <= limits[1])
        gap[:] = _shares(~valid, rate_hz, count)
        values = np.where(valid, values, np.float32(np.nan))
        low, high = np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)
    if not rule.hold and (signal.timestamps_s is None or signal.rate_hz > 0):
        flat[:], clipped[:] = _stuck(modality, values, rate_hz, rule, low, high, count)
    if rule.notch_hz is not None and not rule.hold and signal.timestamps_s is None:
        hum[:] = _hum(values, rate_hz, rule.notch_hz, np.maximum(np.abs(low), np.abs(high)), count)
    return out


def _stuck(
    modality: str, values: FloatArray, rate_hz: float, rule: SignalRecipe, low: FloatArray, high: FloatArray, count: int
) -> tuple[DoubleArray | float, DoubleArray | float]:
    """Shares of seconds that are flat and clipped, or NaN for what is not judged."""
    flat_s = 0.5 / rule.highpass_hz if rule.highpass_hz is not None else FLAT_S.get(modality)
    if flat_s is None:
        return math.nan, math.nan
    flat_n = max(3, math.ceil(flat_s * rate_hz))
    clip_n = max(5, math.ceil(CLIP_S * rate_hz)) if rule.highpass_hz is not None else None
    first, length = _runs(values)
    flat = _shares(_marked(values.shape, first, length, length >= flat_n), rate_hz, count)
    if clip_n is None:
        return flat, math.nan
    channel, level = first // values.shape[1], values.ravel()[first]
    extreme = ((level == low[channel]) | (level == high[channel])) & (low < high)[channel]
    return flat, _shares(_marked(values.shape, first, length, extreme & (length >= clip_n)), rate_hz, count)


def _runs(values: FloatArray) -> tuple[IntArray, IntArray]:
    """First index in the flattened (C, T) and length of every run of two or more equal values; NaN equals nothing."""
    same = np.zeros(values.shape, bool)  # (C, T) equal to the sample before, in the same channel
    np.equal(values[:, 1:], values[:, :-1], out=same[:, 1:])
    at = np.flatnonzero(same)
    cut = np.flatnonzero(np.diff(at) > 1)
    if not at.size:
        return at, at
    first = at[np.r_[0, cut + 1]] - 1
    return first, at[np.r_[cut, at.size - 1]] - first + 1


def _marked(shape: tuple[int, ...], first: IntArray, length: IntArray, chosen: BoolArray) -> BoolArray | None:
    """Samples (C, T) of the chosen runs, None where there are none."""
    if not chosen.any():
        return None
    first, length = first[chosen], length[chosen]
    out = np.zeros(shape[0] * shape[1], bool)
    before = np.cumsum(length) - length
    out[np.repeat(first - before, length) + np.arange(length.sum())] = True
    return out.reshape(shape)


def _shares(marks: BoolArray | None, rate_hz: float, count: int) -> DoubleArray:
    """Share of each second's samples (C, T) that are marked, (seconds,); a second without a sample is as the last."""
    if marks is None:
        return np.zeros(count)
    samples = _sums(np.ones(marks.shape[1]), rate_hz, count)
    share = _sums(marks.mean(axis=0), rate_hz, count) / np.maximum(samples, 1)
    return np.asarray(share[np.maximum.accumulate(np.where(samples > 0, np.arange(count), 0))])


def _sums(x: NDArray[np.generic], rate_hz: float, count: int) -> DoubleArray:
    """Sum samples (T,) over each second, (seconds,); a sample belongs to the second in which it is taken."""
    total = np.concatenate([[0.0], np.cumsum(x, dtype=np.float64)])
    edges = np.minimum(np.ceil(np.arange(count + 1) * rate_hz - 1e-6).astype(np.int64), len(x))
    return np.asarray(np.diff(total[edges]))


def _hum(values: FloatArray, rate_hz: float, line_hz: float, peak: FloatArray, count: int) -> DoubleArray:
    """Share of channels with mains hum, (seconds,); NaN where the rate is too low or no channel has a whole second."""
    out = np.full(count, np.nan)
    size = math.floor(rate_hz + 1e-6)
    whole = min(count, math.floor(values.shape[1] / rate_hz + 1e-6))
    if rate_hz < 2 * (line_hz + LINE_AWAY_HZ[-1] + 1) or not whole:
        return out
    channels = len(values)
    if math.isclose(size, rate_hz, abs_tol=1e-6):
        blocks = values[:, : whole * size].reshape(channels * whole, size)
    else:
        begin = np.ceil(np.arange(whole) * rate_hz - 1e-6).astype(np.int64)
        blocks = values[:, begin[:, None] + np.arange(size)].reshape(channels * whole, size)
    waves = np.square(blocks @ _waves(size, rate_hz, line_hz))  # (C * seconds, 2 frequencies)
    power = (waves[:, ::2] + waves[:, 1::2]).reshape(channels, whole, -1)
    around = power[..., 1:].mean(axis=2)
    known = np.isfinite(around)  # (C, seconds)
    rounding = np.square(1e-5 * peak)[:, None]
    found = (power[..., 0] > LINE_RATIO * (around + rounding)).sum(axis=0)
    out[:whole] = np.divide(found, known.sum(axis=0), out=out[:whole].copy(), where=known.any(axis=0))
    return out


@lru_cache(maxsize=32)
def _waves(size: int, rate_hz: float, line_hz: float) -> FloatArray:
    """Cosines and sines under a Hann window, each without mean: (size, 2 frequencies), the mains first."""
    t = np.arange(size)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * t / size)
    turns = np.outer(t / rate_hz, [line_hz + away for away in (0.0, *LINE_AWAY_HZ)])
    waves = np.stack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=2) * window[:, None, None]
    waves -= waves.mean(axis=0)
    return np.asarray(waves.reshape(size, -1), np.float32)
