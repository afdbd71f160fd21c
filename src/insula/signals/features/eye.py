"""Eye tracking from raw gaze and pupil: fixations, saccades, blinks, pupil by period and without the light, dispersion.

Channels are known by their names: ``gaze_x`` and ``gaze_y`` (any unit), ``pupil`` (or ``pupil_left``, ``pupil_right``,
averaged; 0 or nothing while the lid is closed), ``luminance`` (cd/m2 of the screen). Saccades after Engbert and Kliegl
2003 (doi:10.1016/S0042-6989(03)00084-1): velocity over five samples, an ellipse of 6 median deviations in the window,
so that no unit is asked for; a fixation is what lies between saccades for 60 ms or longer. A blink is a stretch without
a pupil of 50 to 500 ms with the eye seen on both sides (longer: lost tracking). What the light does to the pupil is
taken away by the formula of Moon and Spencer 1944 (diameter in mm from cd/m2), which asks for no calibration; periods
are thirds of the window. Thresholds of duration are our choice. A signal slower than 25 Hz, or without gaze, has level,
deviation and slope of each channel instead.
"""

from __future__ import annotations

import math

import numpy as np

from insula.signals.features import level
from insula.signals.features.column import FeatureColumn, Operations, enough
from insula.types import BoolArray, ChannelSpec, DoubleArray, FloatArray

MIN_RATE_HZ = 25.0
LAMBDA = 6.0
BLINK_S = (0.05, 0.5)
FIXATION_S = 0.06
SACCADE_S = 0.01
_MARGIN_S = 0.05
"""Gaze this close to a gap is not trusted: lids move the pupil before they cover it."""
_GAZE = ("gaze_x", "gaze_y")
_PUPILS = ("pupil", "pupil_left", "pupil_right")
_GAZE_COLUMNS = (
    ("fixations", "1/min"), ("fixation_s", "s"), ("fixation_dispersion", "gaze"), ("saccades", "1/min"),
    ("saccade_amplitude", "gaze"), ("saccade_peak", "gaze/s"), ("saccade_s", "s"), ("dispersion", "gaze"),
)  # fmt: skip
_PUPIL_COLUMNS = (
    ("blinks", "1/min"), ("blink_s", "s"), ("pupil", ""), ("pupil_std", ""), ("pupil_first", ""), ("pupil_middle", ""),
    ("pupil_last", ""),
)  # fmt: skip
_LIGHT_COLUMNS = (("pupil_lit", "mm"), ("pupil_lit_std", "mm"), ("pupil_lit_change", "mm"))


def is_raw(spec: ChannelSpec) -> bool:
    """Say whether a signal is gaze as a tracker gives it, and fast enough for its movements to be seen."""
    return spec.rate_hz >= MIN_RATE_HZ and set(_GAZE) <= set(spec.channels)


def columns(spec: ChannelSpec, window_s: float) -> tuple[FeatureColumn, ...]:
    """Name the columns that the channels allow."""
    if not is_raw(spec):
        return level.columns(spec, window_s)
    wanted = [*_GAZE_COLUMNS]
    if _pupils(spec):
        wanted += _PUPIL_COLUMNS
        wanted += _LIGHT_COLUMNS if "luminance" in spec.channels else ()
    return tuple(FeatureColumn(name, unit or spec.unit) for name, unit in wanted)


def compute(values: FloatArray, observed: BoolArray, spec: ChannelSpec) -> FloatArray:
    """Compute the columns: values (N, C, T), observed (N, T) -> (N, F), NaN where a window does not hold them."""
    if not is_raw(spec):
        return level.compute(values, observed, spec)
    x = values.astype(np.float64)
    width = len(columns(spec, values.shape[2] / spec.rate_hz))
    out = np.full((len(x), width), np.nan)
    place = {c: i for i, c in enumerate(spec.channels)}
    for n in range(len(x)):
        seen = observed[n] & np.isfinite(x[n]).all(0)
        pupil: DoubleArray | None = None
        if _pupils(spec):
            each = x[n, _pupils(spec)]
            pupil = np.asarray(each.mean(0))
            seen = seen & (each > 0).all(0)
        gaze = x[n, [place[c] for c in _GAZE]]  # (2, T)
        clear = _shrunk(seen, round(_MARGIN_S * spec.rate_hz))
        if not enough(clear[None])[0]:
            continue
        row = _movements(gaze, clear, spec.rate_hz)
        if pupil is not None:
            row += _pupil(pupil, seen, clear, spec.rate_hz)
            if "luminance" in place:
                row += _lit(pupil, x[n, place["luminance"]], clear)
        out[n] = row
    return out.astype(np.float32)


def work(spec: ChannelSpec, window_s: float) -> Operations:
    """Count `compute` of one window: speeds and their ellipse, dispersion, pupil and light; once a sample each."""
    if not is_raw(spec):
        return level.work(spec, window_s)
    samples, pupils = round(window_s * spec.rate_hz), len(_pupils(spec))
    lit = samples if pupils and "luminance" in spec.channels else 0
    # velocity: 4 additions and a scaling an axis; medians: about log2 comparisons a sample and axis, twice; ellipse:
    # 2 products, 1 addition, 1 comparison; dispersion: 2 products, 4 additions
    sorting = 4 * samples * max(1, math.ceil(math.log2(max(2, samples))))
    macs = (2 + 2 + 2) * samples + 2 * samples * bool(pupils) + 3 * lit
    adds = (8 + 2 + 4) * samples + sorting + (pupils + 3) * samples * bool(pupils) + 3 * lit
    return macs, adds, 2 * lit + 20


def runs(mask: BoolArray) -> list[tuple[int, int]]:
    """Maximal stretches of True as (first, stop)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def saccades(gaze: DoubleArray, clear: BoolArray, rate_hz: float) -> list[tuple[int, int]]:
    """Find saccades in gaze (2, T) where it is ``clear`` (T,), as (first, stop) samples."""
    speed = _velocity(gaze, rate_hz)
    inside = _shrunk(clear, 2)
    if inside.sum() < 5:
        return []
    known = speed[:, inside]
    middle = np.median(known, axis=1, keepdims=True)
    spread = np.sqrt(np.maximum(np.median((known - middle) ** 2, axis=1), 1e-18))  # (2,)
    fast = (np.square(speed / (LAMBDA * spread[:, None])).sum(0) > 1) & inside
    least = max(2, round(SACCADE_S * rate_hz))
    return [(a, b) for a, b in runs(fast) if b - a >= least]


def _velocity(gaze: DoubleArray, rate_hz: float) -> DoubleArray:
    """Speed (2, T) from a moving window of five samples; 0 at the ends."""
    out = np.zeros_like(gaze)
    out[:, 2:-2] = (gaze[:, 4:] + gaze[:, 3:-1] - gaze[:, 1:-3] - gaze[:, :-4]) * rate_hz / 6
    return out


def _movements(gaze: DoubleArray, clear: BoolArray, rate_hz: float) -> list[float]:
    minutes = clear.sum() / rate_hz / 60
    jumps = saccades(gaze, clear, rate_hz)
    moving = np.zeros(len(clear), bool)
    for a, b in jumps:
        moving[a:b] = True
    rests = [(a, b) for a, b in runs(clear & ~moving) if b - a >= FIXATION_S * rate_hz]
    size = [float(np.hypot(*(gaze[:, b - 1] - gaze[:, a]))) for a, b in jumps]
    speed = np.hypot(*_velocity(gaze, rate_hz))
    return [
        len(rests) / minutes,
        _mean([(b - a) / rate_hz for a, b in rests]),
        _mean([_dispersion(gaze[:, a:b]) for a, b in rests]),
        len(jumps) / minutes,
        _mean(size),
        _mean([float(speed[a:b].max()) for a, b in jumps]),
        _mean([(b - a) / rate_hz for a, b in jumps]),
        _dispersion(gaze[:, clear]),
    ]


def _pupil(pupil: DoubleArray, seen: BoolArray, clear: BoolArray, rate_hz: float) -> list[float]:
    lengths = [(b - a) / rate_hz for a, b in runs(~seen) if a > 0 and b < len(seen)]
    blinks = [s for s in lengths if BLINK_S[0] <= s <= BLINK_S[1]]
    thirds = np.array_split(np.where(clear, pupil, np.nan), 3)
    known = pupil[clear]
    return [
        len(blinks) / (len(seen) / rate_hz / 60), _mean(blinks), float(known.mean()), float(known.std()),
        *(_mean(one[np.isfinite(one)].tolist()) for one in thirds),
    ]  # fmt: skip


def lit_diameter(luminance: DoubleArray) -> DoubleArray:
    """Diameter in mm that light alone gives: 4.9 - 3 tanh(0.4 log10 L), L in cd/m2 (Moon and Spencer 1944)."""
    return np.asarray(4.9 - 3 * np.tanh(0.4 * np.log10(np.maximum(luminance, 1e-4))))


def _lit(pupil: DoubleArray, luminance: DoubleArray, clear: BoolArray) -> list[float]:
    left = np.where(clear, pupil - lit_diameter(luminance), np.nan)
    known = left[clear]
    first, _, last = (_mean(one[np.isfinite(one)].tolist()) for one in np.array_split(left, 3))
    return [float(known.mean()), float(known.std()), last - first]


def _dispersion(gaze: DoubleArray) -> float:
    """Root mean squared distance from the centre."""
    return float(np.sqrt(gaze.var(axis=1).sum())) if gaze.shape[1] else math.nan


def _shrunk(mask: BoolArray, by: int) -> BoolArray:
    """Drop ``by`` samples beside every gap."""
    if by < 1 or mask.all():
        return mask
    near = np.convolve(~mask, np.ones(2 * by + 1), "same") > 0
    return np.asarray(~near)


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _pupils(spec: ChannelSpec) -> list[int]:
    return [i for i, c in enumerate(spec.channels) if c in _PUPILS]
