"""Muscle activity: log rectified amplitude, its slope, and its steepest onset inside a window.

The logarithm makes a contraction a difference: against the seconds before the trial (normaliser ``pre_trial``) the
amplitude column is the log ratio that work on facial EMG reports (Fridlund and Cacioppo 1986,
doi:10.1111/j.1469-8986.1986.tb00676.x, on rectification and averaging). Block length and onset are our choice.
"""

from __future__ import annotations

import numpy as np

from insula.signals.features import level
from insula.signals.features.column import FeatureColumn, Operations, enough
from insula.types import BoolArray, ChannelSpec, DoubleArray, FloatArray

BLOCK_S = 0.25
"""Amplitudes are averaged over so much before slope and onset are taken."""
MIN_RATE_HZ = 16.0
"""A slower signal is no EMG but somebody's summary of it, and has level, deviation and slope instead."""
LEAST = 1e-3
"""A block counts as at least this share of the window's mean, so that a silent one is no abyss."""


def columns(spec: ChannelSpec, window_s: float) -> tuple[FeatureColumn, ...]:
    """Name the columns of each channel; slope and onset need four blocks."""
    if spec.rate_hz < MIN_RATE_HZ:
        return level.columns(spec, window_s)
    out = [FeatureColumn(f"log_amplitude_{c}", f"ln {spec.unit}") for c in spec.channels]
    if round(window_s / BLOCK_S) >= 4:
        out += [FeatureColumn(f"slope_{c}", "ln/s") for c in spec.channels]
        out += [FeatureColumn(f"onset_{c}", "ln") for c in spec.channels]
    return tuple(out)


def compute(values: FloatArray, observed: BoolArray, spec: ChannelSpec) -> FloatArray:
    """Compute the columns: values (N, C, T) raw or rectified, observed (N, T) -> (N, F).

    ``log_amplitude`` is the logarithm of the mean rectified value; ``slope`` the least-squares slope of the log block
    means; ``onset`` the largest rise of a log block mean above the lowest one before it (0 where it only falls).
    """
    if spec.rate_hz < MIN_RATE_HZ:
        return level.compute(values, observed, spec)
    size = max(1, round(BLOCK_S * spec.rate_hz))
    rectified = np.abs(values.astype(np.float64)) * observed[:, None, :]  # (N, C, T)
    mean = rectified.sum(-1) / np.maximum(observed.sum(-1), 1)[:, None]  # (N, C)
    valid = enough(observed)[:, None] & (mean > 0)
    amplitude = np.log(np.where(valid, mean, 1.0))
    blocks = values.shape[2] // size
    parts = [np.where(valid, amplitude, np.nan)]
    if round(values.shape[2] / spec.rate_hz / BLOCK_S) >= 4:
        whole = valid[..., None] & np.ones(blocks, bool)
        logs = np.log(np.where(whole, _block_means(rectified, observed, blocks, size, mean), 1.0))  # (N, C, blocks)
        time_s = (np.arange(blocks) - (blocks - 1) / 2) * size / spec.rate_hz
        lowest = np.minimum.accumulate(logs, axis=-1)
        parts += [np.where(valid, v, np.nan) for v in (logs @ time_s / (time_s @ time_s), (logs - lowest).max(-1))]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _block_means(rectified: DoubleArray, observed: BoolArray, blocks: int, size: int, mean: DoubleArray) -> DoubleArray:
    """Mean amplitude of each block (N, C, blocks), the window's own where nothing was observed."""
    total = rectified[..., : blocks * size].reshape(*rectified.shape[:2], blocks, size).sum(-1)
    count = observed[:, : blocks * size].reshape(len(observed), 1, blocks, size).sum(-1)
    found = np.where(count > 0, total / np.maximum(count, 1), mean[..., None])
    return np.maximum(found, LEAST * mean[..., None])


def work(spec: ChannelSpec, window_s: float) -> Operations:
    """Count `compute` of one window: rectified sum, block means, their logarithms, slope and lowest value so far."""
    if spec.rate_hz < MIN_RATE_HZ:
        return level.work(spec, window_s)
    samples, channels = round(window_s * spec.rate_hz), len(spec.channels)
    blocks = samples // max(1, round(BLOCK_S * spec.rate_hz)) if round(window_s / BLOCK_S) >= 4 else 0
    adds = (3 if blocks else 2) * samples + 4 * blocks
    return channels * (samples + blocks), channels * adds, channels * (2 + 2 * blocks)
