"""Causal cleaning with carried state: the same Cleaner serves whole recordings and live chunks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import signal as sps

from insula.errors import InputError
from insula.signals.flags import mark, movement
from insula.signals.quality import Judge, flat_or_clipped, judge_channels, new_judge
from insula.signals.recipe import Recipe, SignalRecipe
from insula.signals.resampling import evaluate, kaiser_phases, on_trial_grid
from insula.types import BoolArray, ChannelSpec, DoubleArray, FloatArray, IntArray, Trial

CLEANING_VERSION = 1
"""Goes up when cleaning gives other samples than before: stores are keyed by it."""

NOTCH_Q = 30.0
"""Quality factor of the mains notch: 50 Hz is cut 1.7 Hz wide."""
CHUNK_VALUES = 2**18
"""A trial is cleaned in chunks of this many values."""
MIN_CHANNELS_JUDGED = 4
"""Fewer channels than this are not compared with one another."""


class CleanerState(NamedTuple):
    """Everything a Cleaner carries from chunk to chunk; never changed in place."""

    last: DoubleArray  # (C,) last valid value, NaN before any
    offset: DoubleArray  # (C,) first valid value, which the filters take as their zero; NaN before any
    run: IntArray  # (C,) length of the run of equal values so far
    extremes: DoubleArray  # (2, C) lowest and highest valid value so far
    tail: DoubleArray  # (C + 1, tail) inputs under the anti-alias kernel, validity in the last row
    zi_high: DoubleArray  # (sections, C, 2)
    zi_low: DoubleArray  # (sections, C, 2)
    n_in: int
    n_out: int
    judge: Judge


@dataclass(frozen=True)
class Cleaner:
    """Causal cleaning of one modality, in pieces of any size.

    Order of work: mask invalid values and hold the last valid one; resample with an anti-alias filter; high-pass;
    leave out bad channels and subtract the average of the good ones; low-pass and notch. Filters start in the
    steady state of each channel's first valid sample and are never fed NaN. Output sample k belongs to the time
    ``k / recipe.rate_hz`` after the first input sample and reads no later input.

    A sample is invalid (``observed`` False) when it is NaN, outside ``recipe.limits`` or at the lower one (a sensor
    that is not worn rests there: 0 uS). Where the recipe has a high-pass, it is also invalid once the raw value has
    not changed for half a period of the corner, or has rested at its extreme so far for `quality.CLIP_S`. Of several
    channels at least half must be valid.

    Parameters
    ----------
    recipe : what to do.
    raw : channels, rate and unit of the source.
    dtype : of the output; the arithmetic is float64 throughout.
    """

    recipe: SignalRecipe
    raw: ChannelSpec
    dtype: DTypeLike = np.float32

    @property
    def spec(self) -> ChannelSpec:
        """Channels, rate and unit of the output."""
        return ChannelSpec(self.raw.channels, self.recipe.rate_hz, self.raw.unit)

    @cached_property
    def _ratio(self) -> tuple[int, int]:
        """Output and input samples of one period of the resampler, (L, M)."""
        ratio = Fraction(self.recipe.rate_hz / self.raw.rate_hz).limit_denominator(10_000)
        if ratio == 0:
            raise InputError(
                f"rate {self.raw.rate_hz:g} Hz for {self.recipe.rate_hz:g} Hz; expected a ratio of at most 10000. "
                "Raise rate_hz of the recipe."
            )
        return ratio.numerator, ratio.denominator

    @cached_property
    def _kernel(self) -> DoubleArray | None:
        """Anti-alias kernel (L phases, taps), newest sample first; None where no filter is needed."""
        recipe, rate = self.recipe, self.raw.rate_hz
        if recipe.hold or self._ratio == (1, 1):
            return None
        slow = min(rate, recipe.rate_hz)
        pass_hz = min(recipe.lowpass_hz or math.inf, 0.4 * slow)
        return kaiser_phases(pass_hz / rate, (slow - pass_hz) / rate, self._ratio[0])

    @cached_property
    def _high(self) -> DoubleArray | None:
        hz = self.recipe.highpass_hz
        if hz is None or self.recipe.hold:
            return None
        return np.asarray(sps.butter(self.recipe.order, hz, "highpass", fs=self.recipe.rate_hz, output="sos"))

    @cached_property
    def _low(self) -> DoubleArray | None:
        recipe, parts = self.recipe, []
        if recipe.hold:
            return None
        if recipe.lowpass_hz is not None:
            parts.append(sps.butter(recipe.order, recipe.lowpass_hz, "lowpass", fs=recipe.rate_hz, output="sos"))
        if recipe.notch_hz is not None:
            parts.append(sps.tf2sos(*sps.iirnotch(recipe.notch_hz, NOTCH_Q, fs=recipe.rate_hz)))
        return np.vstack(parts) if parts else None

    @property
    def _judged(self) -> bool:
        return self._high is not None and len(self.raw.channels) >= MIN_CHANNELS_JUDGED

    @property
    def delay_frequency_hz(self) -> float:
        """Frequency at which `delay_ms` holds: middle of the band (geometric), or a quarter of the low-pass."""
        low, high = self.recipe.highpass_hz, self.recipe.lowpass_hz
        if low is not None and high is not None:
            return math.sqrt(low * high)
        if high is not None:
            return high / 4
        return 2 * low if low is not None else min(self.recipe.rate_hz, self.raw.rate_hz) / 8

    @property
    def delay_ms(self) -> float:
        """Group delay in milliseconds at `delay_frequency_hz` (0 for a held signal)."""
        return self.delay_at_ms(self.delay_frequency_hz)

    def delay_at_ms(self, frequency_hz: float) -> float:
        """Group delay of the whole chain in milliseconds at a frequency in Hz."""
        delay_s = 0.0 if self._kernel is None else self._kernel.shape[1] / 2 / self.raw.rate_hz
        for sos in (self._high, self._low):
            for section in () if sos is None else sos:
                _, samples = sps.group_delay((section[:3], section[3:]), [frequency_hz], fs=self.recipe.rate_hz)
                delay_s += float(samples[0]) / self.recipe.rate_hz
        return 1000.0 * delay_s

    def init(self) -> CleanerState:
        """Return the state before the first sample."""
        n = len(self.raw.channels)
        unset = np.full(n, np.nan)
        return CleanerState(
            last=unset,
            offset=unset,
            run=np.zeros(n, np.int64),
            extremes=np.stack([np.full(n, np.inf), np.full(n, -np.inf)]),
            tail=np.zeros((n + 1, 0 if self._kernel is None else self._kernel.shape[1] - 1)),
            zi_high=np.zeros((0 if self._high is None else len(self._high), n, 2)),
            zi_low=np.zeros((0 if self._low is None else len(self._low), n, 2)),
            n_in=0,
            n_out=0,
            judge=new_judge(n),
        )

    def step(self, values: NDArray[Any], state: CleanerState) -> tuple[NDArray[Any], BoolArray, CleanerState]:
        """Clean the next chunk.

        Parameters
        ----------
        values : (C, T) raw samples in the source's unit, NaN where missing; T may be 0.
        state : what `init` or the last `step` returned.

        Returns
        -------
        clean (C, T'), observed (T',), state : the T' output samples that have become due.
        """
        raw = np.asarray(values, np.float64)
        if raw.ndim != 2 or raw.shape[0] != len(self.raw.channels):
            raise InputError(
                f"chunk of shape {raw.shape}; expected ({len(self.raw.channels)}, samples). Keep the channels' order."
            )
        if raw.shape[1] == 0:
            return np.zeros((raw.shape[0], 0), self.dtype), np.zeros(0, bool), state
        ups, downs = self._ratio
        n_in = state.n_in + raw.shape[1]
        outputs = np.arange(state.n_out, -(-n_in * ups // downs))
        newest = outputs * downs // ups - state.n_in  # (T',) newest input of each output

        held, valid, state = self._hold(raw, state)  # (C, T), (T,)
        offset = state.offset[:, None]
        started = None if np.isfinite(held[:, 0]).all() else np.isfinite(held)  # (C, T)
        if self.recipe.hold:
            x = held[:, newest]
            x, observed = (x if started is None else np.nan_to_num(x)), valid[newest] >= 0.5
        else:
            x = held - offset
            if started is not None:
                x[~started] = 0.0
            x, observed, state = self._resample(x, valid, newest, outputs, state)
            level = np.broadcast_to(offset, x.shape) if started is None else np.where(started[:, newest], offset, 0.0)
            x, observed, state = self._filter(x, level, observed, state)
        state = state._replace(n_in=n_in, n_out=state.n_out + len(outputs))
        return x.astype(self.dtype, copy=False), observed, state

    def _hold(self, raw: DoubleArray, state: CleanerState) -> tuple[DoubleArray, DoubleArray, CleanerState]:
        """Hold the last valid value over invalid samples (NaN before any); say which fraction of channels is valid."""
        if self.recipe.limits is None:
            valid = np.isfinite(raw)
        else:  # comparisons with NaN are False
            valid = (raw > self.recipe.limits[0]) & (raw <= self.recipe.limits[1])
        held = raw
        if not valid.all():
            at = np.maximum.accumulate(np.where(valid, np.arange(raw.shape[1]), -1), axis=1)  # (C, T)
            held = np.where(at >= 0, np.take_along_axis(raw, np.maximum(at, 0), axis=1), state.last[:, None])
        new = np.isnan(state.offset)
        if new.any():
            first = np.take_along_axis(raw, valid.argmax(axis=1)[:, None], axis=1)[:, 0]
            state = state._replace(offset=np.where(new & valid.any(axis=1), first, state.offset))
        if self._high is not None and self.recipe.highpass_hz is not None:
            flat_s = 0.5 / self.recipe.highpass_hz
            stuck, run, extremes = flat_or_clipped(
                held, state.last, state.run, state.extremes, self.raw.rate_hz, flat_s
            )
            state = state._replace(run=run, extremes=extremes)
            valid = valid & ~stuck
        return held, valid.mean(axis=0), state._replace(last=held[:, -1].copy())

    def _resample(
        self, x: DoubleArray, valid: DoubleArray, newest: IntArray, outputs: IntArray, state: CleanerState
    ) -> tuple[DoubleArray, BoolArray, CleanerState]:
        """Evaluate the anti-alias kernel at every due output; the validity goes through the same kernel."""
        if self._kernel is None:
            return x, valid >= 0.5, state
        tail = state.tail
        if state.n_in == 0:
            tail = np.vstack([tail[:-1], np.full((1, tail.shape[1]), valid[0])])
        line = np.concatenate([tail, np.vstack([x, valid])], axis=1)  # (C + 1, tail + T)
        ups, downs = self._ratio
        out = evaluate(line, self._kernel, newest, outputs * downs % ups, downs)
        state = state._replace(tail=line[:, line.shape[1] - tail.shape[1] :].copy())
        return out[:-1], out[-1] >= 0.5 - 1e-9, state

    def _filter(
        self, x: DoubleArray, level: DoubleArray, observed: BoolArray, state: CleanerState
    ) -> tuple[DoubleArray, BoolArray, CleanerState]:
        """High-pass, reference to the good channels, low-pass and notch; ``level`` is each channel's zero."""
        bad: BoolArray | None = None
        if self._high is not None and x.shape[1]:
            x, zi = sps.sosfilt(self._high, x, axis=-1, zi=state.zi_high)
            state = state._replace(zi_high=zi)
            if self._judged:
                bad, judge = judge_channels(x, state.judge, self.recipe.rate_hz)
                state = state._replace(judge=judge)
        if bad is not None and bad.any():
            x = np.where(bad, 0.0, x)
            observed = observed & (bad.mean(axis=0) <= 0.5)
        if self.recipe.reference == "average":
            x, level = _average_reference(x, bad), _average_reference(level, None)
        if self._low is not None and x.shape[1]:
            x, zi = sps.sosfilt(self._low, x, axis=-1, zi=state.zi_low)
            state = state._replace(zi_low=zi)
        return x if self._high is not None else x + level, observed, state


def _average_reference(x: DoubleArray, bad: BoolArray | None) -> DoubleArray:
    """Subtract the mean over good channels (C, T); bad channels, which are 0, stay 0."""
    if bad is None or not bad.any():
        return np.asarray(x - x.mean(axis=0))
    return np.where(bad, 0.0, x - x.sum(axis=0) / np.maximum((~bad).sum(axis=0), 1))


@dataclass(frozen=True)
class CleanTrial:
    """A cleaned trial: every modality on a grid that starts at ``start_s``, at its recipe's rate.

    signals[m] (C, T) float32 with T = floor(duration x rate); observed[m] (T,) bool; bad_channels[m] names channels
    left out for more than half of the trial (their stretches are zero). quality[m] (flags, seconds) is the share of
    each second since ``start_s`` that each flag of `insula.signals.quality.FLAGS` marks, judged on the raw samples.
    """

    key: tuple[str, str, str]
    start_s: float
    stop_s: float
    signals: Mapping[str, FloatArray]
    observed: Mapping[str, BoolArray]
    bad_channels: Mapping[str, tuple[str, ...]]
    specs: Mapping[str, ChannelSpec]
    quality: Mapping[str, FloatArray] = field(default_factory=dict)

    def piece(self, name: str, first: int, length: int) -> tuple[FloatArray, BoolArray]:
        """Samples of one modality from ``first`` on: (C, length) and their mask (length,)."""
        return self.signals[name][:, first : first + length], self.observed[name][first : first + length]


def clean_trial(trial: Trial, recipe: Recipe) -> CleanTrial:
    """Clean the recipe's modalities that a trial has; nothing before the trial's start is used."""
    signals: dict[str, FloatArray] = {}
    observed: dict[str, BoolArray] = {}
    bad: dict[str, tuple[str, ...]] = {}
    specs: dict[str, ChannelSpec] = {}
    flags: dict[str, FloatArray] = {}
    moved = movement(trial)
    for name, rule in recipe.signals.items():
        if name not in trial.signals:
            continue
        signal = trial.signals[name]
        values, rate_hz = on_trial_grid(signal, trial.start_s, trial.stop_s, rule.rate_hz)
        cleaner = _cleaner(rule, ChannelSpec(signal.channels, rate_hz, signal.unit))
        clean, seen, state = _in_chunks(cleaner, values)
        length = math.floor((trial.stop_s - trial.start_s) * rule.rate_hz + 1e-6)
        signals[name] = _fit_length(clean, length)
        observed[name] = _fit_length(seen[None], length, hold=False)[0]
        judge = state.judge
        left_out = judge.bad_blocks * 2 > judge.blocks
        bad[name] = tuple(c for c, out in zip(signal.channels, left_out, strict=True) if out)
        specs[name] = cleaner.spec
        flags[name] = mark(name, signal, values, rate_hz, rule, moved)
    return CleanTrial(trial.key, trial.start_s, trial.stop_s, signals, observed, bad, specs, flags)


def _in_chunks(cleaner: Cleaner, values: FloatArray) -> tuple[FloatArray, BoolArray, CleanerState]:
    """Clean (C, T) in chunks that fit the processor's cache; hours of EEG need no gigabytes of float64."""
    size = max(1024, CHUNK_VALUES // values.shape[0])
    state, parts, masks = cleaner.init(), [], []
    for k in range(0, max(1, values.shape[1]), size):
        clean, seen, state = cleaner.step(values[:, k : k + size], state)
        parts.append(clean)
        masks.append(seen)
    return np.concatenate(parts, axis=1), np.concatenate(masks), state


@lru_cache(maxsize=128)
def _cleaner(recipe: SignalRecipe, raw: ChannelSpec) -> Cleaner:
    """Keep the filter designs from trial to trial: they cost more than cleaning a short trial."""
    return Cleaner(recipe, raw)


def _fit_length(x: NDArray[Any], length: int, hold: bool = True) -> NDArray[Any]:
    """Cut (C, T) to a length or extend it, with its last value or with zeros."""
    if x.shape[1] >= length:
        return np.ascontiguousarray(x[:, :length])
    fill = x[:, -1:] if hold and x.shape[1] else np.zeros((x.shape[0], 1), x.dtype)
    return np.concatenate([x, np.repeat(fill, length - x.shape[1], axis=1)], axis=1)


@dataclass(frozen=True)
class Quality:
    """How much of one cleaned modality can be used: fraction observed, gaps, longest gap, channels left out."""

    observed: float
    gaps: int
    longest_gap_s: float
    bad_channels: tuple[str, ...]


def quality(clean: CleanTrial) -> dict[str, Quality]:
    """Sum up the masks of a cleaned trial, a modality each; a modality without samples is unobserved."""
    out: dict[str, Quality] = {}
    for name, observed in clean.observed.items():
        edge = np.diff(np.concatenate([[False], ~observed, [False]]).astype(np.int8))
        lengths = np.flatnonzero(edge == -1) - np.flatnonzero(edge == 1)
        longest_s = float(lengths.max(initial=0)) / clean.specs[name].rate_hz
        share = float(observed.mean()) if observed.size else 0.0
        out[name] = Quality(share, len(lengths), longest_s, clean.bad_channels[name])
    return out
