"""Flat, clipped and missing stretches of raw signals, told a channel; nothing is repaired here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from insula.types import BoolArray, FloatArray, IntArray, Signal, Trial

FLAT_S = {"eeg": 1.0, "ecg": 1.0, "emg": 1.0, "eog": 1.0, "bvp": 2.0, "ppg": 2.0, "resp": 5.0, "eda": 30.0}
"""How long an equal value makes a flat stretch; modalities that are not here are only flat when they never change."""
CLIPPED = ("eeg", "ecg", "emg", "eog", "bvp", "ppg", "resp")
CLIP_SAMPLES = 4
"""A stretch of this many equal samples at the channel's extreme counts as clipped."""
WORTH_TELLING = 0.01
"""Fraction of a trial below which flat, clipped or missing samples are not worth a line."""


@dataclass(frozen=True)
class Fault:
    """One channel of one trial that is ``flat``, ``clipped`` or ``missing`` for ``fraction`` of its samples."""

    subject: str
    session: str
    trial: str
    modality: str
    channel: str
    what: str
    fraction: float


def trial_faults(trial: Trial) -> Iterator[Fault]:
    """Yield the faults of every channel of a trial; a trial whose signal never changes has fraction 1."""
    for name, signal in trial.signals.items():
        for channel, values in zip(signal.channels, signal.values, strict=True):
            for what, fraction in _fractions(name, signal, values):
                if fraction >= WORTH_TELLING:
                    yield Fault(*trial.key, name, channel, what, round(fraction, 4))


def _fractions(modality: str, signal: Signal, values: FloatArray) -> Iterator[tuple[str, float]]:
    known = np.isfinite(values)
    yield "missing", 1.0 - float(known.mean()) if known.size else 1.0
    finite = values[known]
    if finite.size < 2 or signal.timestamps_s is not None:
        return
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        yield "flat", 1.0
        return
    first, length = runs(values)
    if modality in FLAT_S:
        longest = max(CLIP_SAMPLES, FLAT_S[modality] * signal.rate_hz)
        yield "flat", _share(length, (length >= longest) & known[first], values.size)
    if modality in CLIPPED:
        extreme = (values[first] == low) | (values[first] == high)
        yield "clipped", _share(length, (length >= CLIP_SAMPLES) & extreme, values.size)


def runs(values: FloatArray) -> tuple[IntArray, IntArray]:
    """Return first index and length of each stretch of equal values of (samples,); NaN equals nothing."""
    edges = np.flatnonzero(values[1:] != values[:-1]) + 1
    first = np.r_[0, edges].astype(np.int64)
    return first, np.diff(np.r_[first, len(values)]).astype(np.int64)


def _share(length: IntArray, chosen: BoolArray, samples: int) -> float:
    return float(length[chosen].sum() / samples)
