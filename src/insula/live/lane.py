"""One modality of one person: late and disordered packets onto the grid of time, cleaned with carried state."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from insula.live.chunks import Chunk, Stream
from insula.signals.cleaner import Cleaner, CleanerState
from insula.signals.recipe import SignalRecipe
from insula.signals.resampling import GAP_PERIODS, GAP_S, hold_on_grid
from insula.types import BoolArray, ChannelSpec, DoubleArray, FloatArray

DRIFT = 0.75
"""A chunk less than this many samples from where it was expected follows on; a device's clock drifts that far."""
AHEAD_S = 120.0
"""Samples further ahead than this are not kept: the clock has jumped."""
SILENT_S = 2.0
"""A sensor that says nothing for this long is no longer waited for."""


@dataclass
class Counts:
    """Samples that arrived and were used; lost ones (never came in time); late or repeated ones; those out of order."""

    arrived: int = 0
    lost: int = 0
    late: int = 0
    disordered: int = 0


class Lane:
    """Place samples on a regular grid from ``start_s`` on, as `on_trial_grid` does offline, and clean them.

    A sample that has not come when its time is consumed is NaN for the Cleaner: a gap, never an invented value.
    Samples of a sensor that was never seen are zero and unobserved.

    Parameters
    ----------
    modality, rule : what to clean and how.
    spec : what comes out, which is what the model reads.
    keep : cleaned samples that are kept, the newest ones.
    """

    def __init__(self, modality: str, rule: SignalRecipe, spec: ChannelSpec, keep: int) -> None:
        self.modality, self.rule, self.spec, self.keep = modality, rule, spec, keep
        self.stream: Stream | None = None
        self.counts = Counts()
        self.begin(0.0)

    def begin(self, start_s: float) -> None:
        """Forget everything and count from a new origin."""
        channels = len(self.spec.channels)
        self.start_s = start_s
        self.phase: float | None = None  # what is added to a sample's fractional place
        self.expected = 0
        self.consumed = 0  # raw samples given to the cleaner
        self.due = 0  # cleaned samples so far
        self.newest_s = -math.inf
        self.waiting = np.full((channels, 0), np.nan, np.float32)  # raw samples from ``consumed`` on
        self.filled = np.zeros(0, bool)
        self.whole = 0  # of them up to the first gap
        self.begun = False
        self.events_s: list[float] = []
        self.events: list[FloatArray] = []
        self.values = np.zeros((channels, 0), np.float32)  # cleaned, the newest ``keep``
        self.observed = np.zeros(0, bool)
        self.cleaner: Cleaner | None = None
        self.state: CleanerState | None = None
        if self.stream is not None:
            self._start_cleaning()

    def appear(self, stream: Stream) -> None:
        """Learn what the sensor is; a sensor that returns goes on where it was."""
        if stream == self.stream:
            return
        if self.stream is not None and stream.rate_hz == self.stream.rate_hz and stream.unit == self.stream.unit:
            self.stream = stream
            return
        self.stream = stream
        self.phase, self.waiting, self.filled, self.whole = None, self.waiting[:, :0], self.filled[:0], 0
        self._start_cleaning()

    def _start_cleaning(self) -> None:
        """Make the cleaner and let it see the past as a gap, which is what it was."""
        self.cleaner = Cleaner(self.rule, ChannelSpec(self.spec.channels, self.raw_hz, self.spec.unit))
        self.state, self.consumed = self.cleaner.init(), 0
        past = math.ceil((self.due / self.spec.rate_hz) * self.raw_hz - 1e-6)
        gap = np.full((len(self.spec.channels), min(max(past, 1), 4096)), np.nan, np.float32)
        while past > self.consumed:
            piece = gap[:, : past - self.consumed]
            _, _, self.state = self.cleaner.step(piece, self.state)
            self.consumed += piece.shape[1]
        self.expected = self.consumed

    @property
    def regular(self) -> bool:
        return self.stream is not None and self.stream.rate_hz > 0

    @property
    def raw_hz(self) -> float:
        """Rate of the grid on which raw samples are placed."""
        return self.stream.rate_hz if self.stream is not None and self.stream.rate_hz > 0 else self.rule.rate_hz

    def silent(self, now_s: float) -> bool:
        """Whether nothing has come for so long that nobody waits for it."""
        return self.newest_s < now_s - SILENT_S - 2 / self.raw_hz

    @property
    def reached_s(self) -> float:
        """Time up to which there is nothing left to wait for."""
        if self.stream is None or not self.regular:
            return math.inf
        return self.start_s + (self.consumed + self.whole) / self.raw_hz

    def offer(self, chunk: Chunk) -> None:
        """Take samples in; what comes too late or twice is counted and dropped."""
        if self.stream is None or not chunk.times_s.size:
            return
        values = self._ordered(chunk.values)
        if not self.regular:
            self._offer_events(values, chunk.times_s)
            return
        count = chunk.times_s.size
        first_s, last_s = float(chunk.times_s[0]), float(chunk.times_s[-1])
        rest = ((first_s + last_s) / 2 - self.start_s) * self.raw_hz - (count - 1) / 2
        if self.phase is None:
            self.phase = math.ceil(rest - 1e-6) - rest
        here = rest + self.phase
        first = self.expected if abs(here - self.expected) < DRIFT else round(here)
        if first < self.expected:
            self.counts.disordered += count
        self.expected = max(self.expected, first + count)
        self.newest_s = max(self.newest_s, last_s)
        self._place(first - self.consumed, values)

    def _place(self, at: int, values: FloatArray) -> None:
        skip = min(max(0, -at), values.shape[1])
        self.counts.late += skip
        values, at = values[:, skip:], at + skip
        stop = at + values.shape[1]
        if not values.shape[1] or stop > AHEAD_S * self.raw_hz:
            self.counts.late += values.shape[1]
            return
        if stop > len(self.filled):
            more = max(stop - len(self.filled), 64)
            channels = len(self.spec.channels)
            self.waiting = np.concatenate([self.waiting, np.full((channels, more), np.nan, np.float32)], 1)
            self.filled = np.concatenate([self.filled, np.zeros(more, bool)])
        old = self.filled[at:stop]
        if old.any():
            new = ~old
            self.waiting[:, at:stop][:, new] = values[:, new]
            self.counts.arrived += int(new.sum())
            self.counts.late += int(old.sum())
        else:
            self.waiting[:, at:stop] = values
            self.counts.arrived += stop - at
        self.filled[at:stop] = True
        if at == self.whole:
            self.whole = stop
        if at <= self.whole < len(self.filled) and self.filled[self.whole]:
            self._count_whole()

    def _count_whole(self) -> None:
        """Count the samples up to the first gap."""
        gaps = np.flatnonzero(~self.filled)
        self.whole = len(self.filled) if not gaps.size else int(gaps[0])

    def _offer_events(self, values: FloatArray, times_s: DoubleArray) -> None:
        for time_s, value in zip(times_s.tolist(), values.T, strict=True):
            if self.events_s and time_s <= self.events_s[-1]:
                self.counts.late += 1
                continue
            self.events_s.append(time_s)
            self.events.append(value)
            self.counts.arrived += 1
            self.newest_s = max(self.newest_s, time_s)

    def _ordered(self, values: FloatArray) -> FloatArray:
        """Bring channels into the model's order, NaN for those the sensor lacks."""
        channels = self.spec.channels if self.stream is None else self.stream.channels
        if channels == self.spec.channels:
            return values.astype(np.float32, copy=False)
        at = {name: i for i, name in enumerate(channels)}
        out = np.full((len(self.spec.channels), values.shape[1]), np.nan, np.float32)
        for row, name in enumerate(self.spec.channels):
            if name in at:
                out[row] = values[at[name]]
        return out

    def advance(self, until_s: float) -> int:
        """Clean everything before ``until_s``, gaps for what has not come; return how many samples became due."""
        wanted = math.ceil((until_s - self.start_s) * self.raw_hz - 1e-6) - self.consumed
        if self.stream is None or self.cleaner is None or self.state is None:
            count = round((until_s - self.start_s) * self.spec.rate_hz) - self.due
            count = max(0, count)
            self._append(np.zeros((len(self.spec.channels), count), np.float32), np.zeros(count, bool))
            return count
        if wanted <= 0:
            return 0
        raw = self._raw(wanted)
        clean, seen, self.state = self.cleaner.step(raw, self.state)
        self.consumed += wanted
        self._append(clean, seen)
        return int(clean.shape[1])

    def _raw(self, wanted: int) -> FloatArray:
        if self.regular:
            have = min(wanted, len(self.filled))
            raw = self.waiting[:, :have]
            seen = np.flatnonzero(self.filled[:have])
            if self.begun:
                self.counts.lost += wanted - len(seen)
            elif len(seen):  # nothing is lost before the first sample
                self.begun = True
                self.counts.lost += wanted - int(seen[0]) - len(seen)
            if have < wanted:
                gap = np.full((raw.shape[0], wanted - have), np.nan, np.float32)
                raw = np.concatenate([raw, gap], 1)
            self.waiting, self.filled = self.waiting[:, have:].copy(), self.filled[have:].copy()
            self.whole = max(0, self.whole - have)
            if not self.whole:
                self._count_whole()
            return raw
        grid_s = self.start_s + (self.consumed + np.arange(wanted)) / self.raw_hz
        nominal = self.stream.rate_hz if self.stream is not None else 0.0
        limit_s = GAP_PERIODS / nominal if nominal > 0 else GAP_S
        values = np.stack(self.events, 1) if self.events else np.zeros((len(self.spec.channels), 0), np.float32)
        raw = hold_on_grid(np.asarray(self.events_s, np.float64), values, grid_s, limit_s)
        while len(self.events_s) > 1 and self.events_s[1] <= grid_s[-1]:
            self.events_s.pop(0)
            self.events.pop(0)
        return raw

    def _append(self, values: FloatArray, observed: BoolArray) -> None:
        self.due += values.shape[1]
        self.values = np.concatenate([self.values, values], 1)[:, -self.keep :]
        self.observed = np.concatenate([self.observed, observed])[-self.keep :]

    def piece(self, first: int, length: int) -> tuple[FloatArray, BoolArray]:
        """Cleaned samples (C, length) from number ``first`` on, and their mask; zero before the beginning."""
        begin = first - (self.due - self.values.shape[1])
        if begin >= 0:
            return self.values[:, begin : begin + length], self.observed[begin : begin + length]
        missing = min(-begin, length)
        got = self.values[:, : length - missing]
        values = np.concatenate([np.zeros((len(self.spec.channels), missing), np.float32), got], 1)
        return values, np.concatenate([np.zeros(missing, bool), self.observed[: length - missing]])

    @property
    def bad_channels(self) -> tuple[str, ...]:
        """Channels that the cleaner leaves out at present."""
        if self.state is None:
            return ()
        return tuple(c for c, bad in zip(self.spec.channels, self.state.judge.bad, strict=True) if bad)

    # -- state --------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, object]:
        """Everything that is carried, as a tree of arrays and plain values."""
        kept = ("start_s", "phase", "expected", "consumed", "due", "begun", "waiting", "filled", "values", "observed")
        tree: dict[str, object] = {name: getattr(self, name) for name in kept}
        tree["events_s"] = np.asarray(self.events_s, np.float64)
        tree["events"] = np.stack(self.events, 1) if self.events else self.values[:, :0]
        tree["newest_s"] = self.newest_s if math.isfinite(self.newest_s) else None
        tree["stream"] = None if self.stream is None else list(_plain(self.stream))
        tree["state"] = None if self.state is None else _tree(self.state)
        return tree

    def restore(self, tree: dict[str, object]) -> None:
        """Go on from what `to_dict` gave."""
        from insula.signals.quality import Judge

        stream = tree["stream"]
        if isinstance(stream, list):
            modality, channels, rate_hz, unit = stream
            self.stream = Stream(modality, tuple(channels), rate_hz, unit)
            self.cleaner = Cleaner(self.rule, ChannelSpec(self.spec.channels, self.raw_hz, self.spec.unit))
        for name in (
            "start_s",
            "phase",
            "expected",
            "consumed",
            "due",
            "begun",
            "waiting",
            "filled",
            "values",
            "observed",
        ):
            setattr(self, name, tree[name])
        self._count_whole()
        self.events_s = np.asarray(tree["events_s"]).tolist()
        self.events = list(np.asarray(tree["events"], np.float32).T)
        newest = tree["newest_s"]
        self.newest_s = float(newest) if isinstance(newest, (int, float)) else -math.inf
        state = tree["state"]
        if isinstance(state, dict):
            self.state = CleanerState(**{**state, "judge": Judge(**state["judge"])})


def _plain(stream: Stream) -> tuple[object, ...]:
    return (stream.modality, list(stream.channels), stream.rate_hz, stream.unit)


def _tree(state: CleanerState) -> dict[str, object]:
    return {**state._asdict(), "judge": state.judge._asdict()}
