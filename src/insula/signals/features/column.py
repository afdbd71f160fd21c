"""What every feature family shares: the column noun, the rule of enough observed samples, and masked moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from insula.types import BoolArray, DoubleArray, FloatArray

MIN_OBSERVED = 0.5
"""A value needs at least this fraction of its window observed."""


Operations = tuple[int, int, int]
"""What one window costs when every sample is observed: multiply-accumulates, additions and comparisons, and others
(divisions, roots, logarithms). Work that is done once a beat or a response, not once a sample, is left out."""


@dataclass(frozen=True)
class FeatureColumn:
    """Name and unit of one feature."""

    name: str
    unit: str


def enough(observed: BoolArray) -> BoolArray:
    """Say which windows (N, T) are observed for at least `MIN_OBSERVED` of their length."""
    return np.asarray(observed.mean(axis=1) >= MIN_OBSERVED)


def moments_work(channels: int, samples: int) -> Operations:
    """Count `moments` of one window."""
    return (3 + 4 * channels) * samples, (2 + channels) * samples, 3 * channels


def moments(values: FloatArray, observed: BoolArray, rate_hz: float) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Mean, standard deviation and least-squares slope a second over observed samples.

    values (N, C, T), observed (N, T) -> three (N, C); NaN where fewer than half of the samples are observed, the slope
    also where fewer than 3 are.
    """
    weight = observed.astype(np.float64)  # (N, T)
    count = np.maximum(weight.sum(axis=1), 1.0)  # (N,)
    time_s = np.arange(values.shape[2]) / rate_hz
    centred = (time_s - (weight @ time_s / count)[:, None]) * weight  # (N, T)
    mean = np.einsum("nct,nt->nc", values, weight) / count[:, None]
    apart = (values - mean[:, :, None]) * weight[:, None, :]  # (N, C, T)
    deviation = np.sqrt(np.einsum("nct,nct->nc", apart, apart) / count[:, None])
    spread = np.einsum("nt,nt->n", centred, centred)  # (N,)
    cross = np.einsum("nct,nt->nc", apart, centred)
    steep = np.where((spread > 0)[:, None], cross / np.where(spread > 0, spread, 1.0)[:, None], np.nan)
    valid = enough(observed)[:, None]
    slope = np.where(valid & (count >= 3)[:, None], steep, np.nan)
    return np.where(valid, mean, np.nan), np.where(valid, deviation, np.nan), slope
