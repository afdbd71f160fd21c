"""One person's signals as one looks at them: curves of a few hundred points, and which seconds are spoiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from insula.errors import DataError
from insula.signals.flags import of_trial
from insula.signals.quality import FLAGS
from insula.signals.recipe import Recipe
from insula.types import DoubleArray, FloatArray, Label, Recording, Signal, Trial

POINTS = 240
"""Pairs of lowest and highest that a curve has."""
CHANNELS = 4
"""Curves of one signal."""
TRIALS = 200
"""Most trials that are looked at."""
SPOILED = 0.5
"""A second is spoiled when a flag marks so much of it."""


@dataclass(frozen=True)
class Curve:
    """A channel: lowest and highest value of each of its pieces of equal length, None where nothing was measured."""

    channel: str
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


@dataclass(frozen=True)
class Seen:
    """One signal of a trial: the share of seconds that each flag spoils (None: cannot be judged), and which seconds."""

    modality: str
    unit: str
    rate_hz: float
    channels: int
    curves: tuple[Curve, ...]
    judged: bool
    flags: Mapping[str, float]
    spoiled: tuple[int, ...]
    seconds: int

    @property
    def told(self) -> str:
        """The verdict in words."""
        if not self.judged:
            return "not judged"
        said = [f"{flag} {share:.0%}" for flag, share in self.flags.items() if share >= 0.005]
        return ", ".join(said) or "good"


@dataclass(frozen=True)
class TrialSeen:
    """One trial: when it was, what was said of it, its signals."""

    session: str
    trial: str
    stimulus: str | None
    role: str
    start_s: float
    seconds: float
    labels: Mapping[str, Label]
    signals: tuple[Seen, ...]


@dataclass(frozen=True)
class Sight:
    """What one person's recordings look like; ``more`` trials are not shown."""

    subject: str
    modalities: tuple[str, ...]
    trials: tuple[TrialSeen, ...]
    more: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def look(recordings: Sequence[Recording], recipe: Recipe) -> Sight:
    """Reduce one person's recordings to what a page shows.

    Raises DataError where there is none.
    """
    if not recordings:
        raise DataError("0 recordings of this person; expected one at least. Check the folder with insula data check.")
    trials = [trial for recording in recordings for trial in recording.trials]
    return Sight(
        recordings[0].subject,
        tuple(dict.fromkeys(name for trial in trials for name in trial.signals)),
        tuple(_seen(trial, recipe) for trial in trials[:TRIALS]),
        max(0, len(trials) - TRIALS),
    )


def _seen(trial: Trial, recipe: Recipe) -> TrialSeen:
    judged = of_trial(trial, recipe)
    signals = tuple(_signal(trial, name, judged.get(name)) for name in trial.signals)
    seconds = round(trial.stop_s - trial.start_s, 3)
    return TrialSeen(
        trial.session, trial.trial, trial.stimulus, trial.role, round(trial.start_s, 3), seconds, dict(trial.labels),
        signals,
    )  # fmt: skip


def _signal(trial: Trial, name: str, shares: FloatArray | None) -> Seen:
    signal = trial.signals[name]
    marks = np.zeros((len(FLAGS), 0), np.float32) if shares is None else shares  # (flags, seconds)
    known = [bool(np.isfinite(one).any()) for one in marks]
    spoiled = marks >= SPOILED  # NaN is not
    return Seen(
        name,
        signal.unit,
        0.0 if signal.timestamps_s is not None else signal.rate_hz,
        len(signal.channels),
        tuple(curve(signal, i, trial) for i in range(min(CHANNELS, len(signal.channels)))),
        any(known),
        {flag: round(float(spoiled[i].mean()), 4) for i, flag in enumerate(FLAGS) if known[i]},
        tuple(int(s) for s in np.flatnonzero(spoiled.any(axis=0))),
        marks.shape[1],
    )


def curve(signal: Signal, channel: int, trial: Trial) -> Curve:
    """Return lowest and highest of a channel over equal pieces of the trial's time."""
    values = signal.values[channel]
    times = signal.timestamps_s
    at = (signal.start_s + np.arange(len(values)) / signal.rate_hz) if times is None else np.asarray(times)
    length = max(trial.stop_s - trial.start_s, 1e-9)
    pieces = int(min(POINTS, max(1, len(values))))
    place = np.floor((at - trial.start_s) / length * pieces + 1e-9).astype(np.int64)
    kept = np.isfinite(values) & (place >= 0) & (place < pieces)
    low, high = np.full(pieces, np.inf), np.full(pieces, -np.inf)
    np.minimum.at(low, place[kept], values[kept])
    np.maximum.at(high, place[kept], values[kept])
    return Curve(signal.channels[channel], _rounded(low), _rounded(high))


def _rounded(values: DoubleArray) -> tuple[float | None, ...]:
    return tuple(float(f"{v:.4g}") if np.isfinite(v) else None for v in values)
