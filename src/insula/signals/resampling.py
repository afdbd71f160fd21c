"""Time grids: a causal anti-alias kernel for any ratio of rates, and values held on a regular grid."""

from __future__ import annotations

import math

import numpy as np
from scipy import signal as sps

from insula.types import DoubleArray, FloatArray, IntArray, Signal

STOP_DB = 60.0
"""Attenuation of the anti-alias filter in decibels."""
GAP_PERIODS = 3.0
"""An irregular value is held for this many nominal periods before the grid counts as unobserved."""
GAP_S = 5.0
"""The same limit in seconds for irregular series without a nominal rate."""
FEW_PHASES = 64
"""Up to this many phases are evaluated one by one over strided views, which copies nothing."""


def kaiser_phases(pass_band: float, stop_band: float, phases: int) -> DoubleArray:
    """Windowed-sinc low-pass (phases, taps) between two edges in cycles a sample, each phase with unit gain at 0 Hz.

    Row p holds the weights of inputs of age j + p / phases, j = 0, 1, ...; the delay is taps / 2 samples.
    Length after Kaiser (1974).
    """
    taps = math.ceil((STOP_DB - 7.95) / (2.285 * 2 * math.pi * (stop_band - pass_band))) + 1
    age = np.arange(taps)[None, :] + np.arange(phases)[:, None] / phases  # (phases, taps)
    centred = age - taps / 2
    beta = float(sps.kaiser_beta(STOP_DB))
    window = np.i0(beta * np.sqrt(np.maximum(0.0, 1 - (2 * centred / taps) ** 2)))
    kernel = np.sinc((pass_band + stop_band) * centred) * window
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True))


def evaluate(line: DoubleArray, kernel: DoubleArray, newest: IntArray, phase: IntArray, downs: int) -> DoubleArray:
    """Weigh, for each output, the inputs up to its newest one: (rows, tail + T) -> (rows, T')."""
    taps = kernel.shape[1]
    windows = np.lib.stride_tricks.sliding_window_view(line, taps, axis=1)  # (rows, T, taps), row t ends at input t
    out = np.empty((line.shape[0], len(newest)))
    period = kernel.shape[0]
    if period <= FEW_PHASES:
        for k in range(min(period, len(newest))):
            weights = kernel[phase[k], ::-1]
            out[:, k::period] = np.einsum(
                "rtj,j->rt", windows[:, newest[k] :: downs][:, : len(newest[k::period])], weights
            )
        return out
    for k in range(0, len(newest), 4096):  # bounds the memory of the gathered windows
        part = slice(k, k + 4096)
        out[:, part] = np.einsum("rtj,tj->rt", windows[:, newest[part]], kernel[phase[part], ::-1])
    return out


def on_trial_grid(signal: Signal, start_s: float, stop_s: float, rate_hz: float) -> tuple[FloatArray, float]:
    """Place a signal on a regular grid from ``start_s`` to ``stop_s``, NaN where it has no value.

    A regular signal keeps its rate; a sample between two grid times goes to the later one, so that nothing is seen
    before it happened. An irregular one is held on a grid of its nominal rate (``rate_hz`` if it has none).

    Returns
    -------
    values (C, T), rate in Hz.
    """
    if signal.timestamps_s is not None:
        grid_hz = signal.rate_hz if signal.rate_hz > 0 else rate_hz
        limit_s = GAP_PERIODS / signal.rate_hz if signal.rate_hz > 0 else GAP_S
        grid_s = start_s + np.arange(math.floor((stop_s - start_s) * grid_hz + 1e-6)) / grid_hz
        return hold_on_grid(signal.timestamps_s, signal.values, grid_s, limit_s), grid_hz
    length = math.floor((stop_s - start_s) * signal.rate_hz + 1e-6)
    skip = math.ceil((signal.start_s - start_s) * signal.rate_hz - 1e-6)
    out = np.full((len(signal.channels), length), np.nan, np.float32)
    source = signal.values[:, max(0, -skip) : max(0, length - skip)]
    out[:, max(0, skip) : max(0, skip) + source.shape[1]] = source
    return out, signal.rate_hz


def hold_on_grid(times_s: DoubleArray, values: FloatArray, grid_s: DoubleArray, limit_s: float) -> FloatArray:
    """Hold each value from its own time on, for at most ``limit_s``: (C, n) at times -> (C, len(grid_s)), else NaN."""
    if len(times_s) == 0:
        return np.full((values.shape[0], len(grid_s)), np.nan, np.float32)
    at = np.searchsorted(times_s, grid_s + 1e-9, side="right") - 1
    seen = (at >= 0) & (grid_s - times_s[np.maximum(at, 0)] <= limit_s + 1e-9)
    return np.where(seen, values[:, np.maximum(at, 0)], np.float32(np.nan))
