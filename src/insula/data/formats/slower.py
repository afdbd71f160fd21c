"""Resampling to a lower rate while reading, for files whose rate is far above what anybody models."""

from __future__ import annotations

import math

import numpy as np

from insula.signals.cleaner import CHUNK_VALUES, Cleaner
from insula.signals.recipe import SignalRecipe
from insula.types import ChannelSpec, Signal


def slower(signal: Signal, rate_hz: float | None) -> Signal:
    """Resample a regular signal to a lower rate with the causal anti-alias filter of `insula.signals.cleaner.Cleaner`.

    A signal that is no faster, and any signal for None, comes back as it is. Samples without a value stay without one.
    What is below 0.4 of the new rate passes; it comes late by half the filter (46 ms from 1000 to 200 Hz).
    """
    if rate_hz is None or signal.timestamps_s is not None or signal.rate_hz <= rate_hz:
        return signal
    cleaner = Cleaner(SignalRecipe(rate_hz), ChannelSpec(signal.channels, signal.rate_hz, signal.unit))
    values = np.full((len(signal.channels), math.ceil(signal.duration_s * rate_hz - 1e-6)), np.nan, np.float32)
    state, filled = cleaner.init(), 0
    size = max(1024, CHUNK_VALUES // len(signal.channels))
    for first in range(0, signal.n_samples, size):
        clean, observed, state = cleaner.step(signal.values[:, first : first + size], state)
        values[:, filled : filled + clean.shape[1]] = np.where(observed, clean, np.nan)
        filled += clean.shape[1]
    return Signal(values, rate_hz, signal.channels, signal.unit, signal.start_s)
