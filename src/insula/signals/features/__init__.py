"""Hand-made features of one window: pure functions a modality, with a name and a unit for each column.

A window's features read that window's samples and nothing else, so they are the same offline, live, and when the
trial is cut short right after the window. A column that a window is too short for is left out by `columns`; a value
that the data in hand do not support (too little observed, too few beats) is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from insula.errors import InputError
from insula.signals.features import eda, eeg, eye, level, muscle, picture, pulse
from insula.signals.features.column import MIN_OBSERVED, FeatureColumn, Operations
from insula.types import BoolArray, ChannelSpec, FloatArray, IntArray

__all__ = [
    "FAMILIES",
    "MIN_OBSERVED",
    "Family",
    "FeatureColumn",
    "columns",
    "compute",
    "trial_features",
    "words_of",
    "work",
]

Columns = Callable[[ChannelSpec, float], tuple[FeatureColumn, ...]]
Compute = Callable[[FloatArray, BoolArray, ChannelSpec], FloatArray]
Count = Callable[[ChannelSpec, float], Operations]
OverTrial = Callable[[FloatArray, BoolArray, ChannelSpec, IntArray, int], FloatArray]

BLOCK_VALUES = 4_000_000
"""Windows of a trial are worked on in blocks of at most this many values."""


@dataclass(frozen=True)
class Family:
    """Features of one kind of signal; ``over_trial`` shares work between overlapping windows where that pays.

    ``work`` counts the arithmetic of one window, ``words`` says what they are in a sentence.
    """

    columns: Columns
    compute: Compute
    work: Count
    over_trial: OverTrial | None = None
    words: str = ""


_PULSE = Family(pulse.columns, pulse.compute, pulse.work, words="beats, rate, variability and amplitude")
_LEVEL = Family(level.columns, level.compute, level.work, words="level, deviation and slope")
_MUSCLE = Family(muscle.columns, muscle.compute, muscle.work, words="log rectified amplitude, slope and onset")
FAMILIES: Mapping[str, Family] = {
    "eeg": Family(
        eeg.columns,
        eeg.compute,
        eeg.work,
        eeg.over_trial,
        "differential entropy and relative power of five bands, frontal alpha asymmetry",
    ),
    "eda": Family(
        eda.columns, eda.compute, eda.work, words="level, slope and fast responses above a causal tonic level"
    ),
    "bvp": _PULSE,
    "ppg": _PULSE,
    "emg": _MUSCLE,
    "emg_envelope": _MUSCLE,
    "ecg": Family(pulse.ecg_columns, pulse.ecg_compute, pulse.ecg_work, words="beats, rate and variability"),
    "eye": Family(
        eye.columns,
        eye.compute,
        eye.work,
        words="fixations, saccades, blinks, pupil by period and without the light, dispersion; level of a slow signal",
    ),
    "video": Family(picture.columns, picture.compute, picture.work, words="brightness, contrast and motion"),
}
"""Feature family a modality; every other modality has mean, deviation and slope of each channel."""


def words_of(modality: str) -> str:
    """Say what the features of a modality are."""
    return FAMILIES.get(modality, _LEVEL).words


def work(modality: str, spec: ChannelSpec, window_s: float) -> Operations:
    """Count the arithmetic of one window's features of one modality."""
    return FAMILIES.get(modality, _LEVEL).work(spec, window_s)


def columns(modality: str, spec: ChannelSpec, window_s: float) -> tuple[FeatureColumn, ...]:
    """Name the feature columns of windows of ``window_s`` seconds of one modality."""
    return FAMILIES.get(modality, _LEVEL).columns(spec, window_s)


def compute(modality: str, values: FloatArray, observed: BoolArray, spec: ChannelSpec) -> FloatArray:
    """Compute features of cut windows: values (N, C, T), observed (N, T) -> (N, F) float32, NaN where not valid."""
    if (
        values.ndim != 3
        or values.shape[1] != len(spec.channels)
        or observed.shape != (values.shape[0], values.shape[2])
    ):
        raise InputError(
            f"windows of shape {values.shape} with mask {observed.shape}; expected (windows, {len(spec.channels)}, "
            "samples) and (windows, samples). Cut values and mask with the same starts."
        )
    return FAMILIES.get(modality, _LEVEL).compute(values, observed, spec)


def trial_features(
    modality: str, values: FloatArray, observed: BoolArray, spec: ChannelSpec, starts: IntArray, length: int
) -> FloatArray:
    """Compute the features of a trial's windows, equal to `compute` on the windows cut out one by one.

    Parameters
    ----------
    values, observed : (C, T) cleaned trial and (T,) mask.
    starts, length : first sample of each window (N,) and samples a window.

    Returns
    -------
    (N, F) float32, NaN where not valid.
    """
    starts = np.asarray(starts, np.int64)
    width = len(columns(modality, spec, length / spec.rate_hz))
    if len(starts) == 0 or width == 0:
        return np.empty((len(starts), width), np.float32)
    if starts.min() < 0 or starts.max() + length > values.shape[1]:
        raise InputError(
            f"windows from sample {starts.min()} to {starts.max() + length} of a trial of {values.shape[1]}; "
            "expected all of them inside the trial. Drop the windows that reach beyond it."
        )
    family = FAMILIES.get(modality, _LEVEL)
    if family.over_trial is not None:
        return family.over_trial(values, observed, spec, starts, length)
    windows = np.lib.stride_tricks.sliding_window_view(values, length, axis=1)  # (C, T - length + 1, length)
    masks = np.lib.stride_tricks.sliding_window_view(observed, length)
    block = max(1, BLOCK_VALUES // (length * values.shape[0]))
    parts = []
    for k in range(0, len(starts), block):
        at = starts[k : k + block]
        parts.append(family.compute(windows[:, at].transpose(1, 0, 2), masks[at], spec))  # (C, n, T) -> (n, C, T)
    return np.concatenate(parts)
