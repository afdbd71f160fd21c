"""Connectivity between EEG channels by band, and the graph that it makes of the head.

A window is cut into Hann segments that overlap by half, of three cycles of the band's lowest frequency and half a
second at least; a band of which the window holds fewer than five observed segments has no value (NaN): few segments
make any two channels look coherent. Spectra are averaged over segments, measures over the bins of the band.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import fft

from insula.errors import InputError
from insula.signals.features.column import MIN_OBSERVED, FeatureColumn
from insula.signals.features.eeg import BANDS_HZ, DEAD_SHARE
from insula.types import BoolArray, ChannelSpec, FloatArray

MEASURES: Mapping[str, str] = {
    "coherence": "|mean S_xy| / sqrt(mean S_xx mean S_yy), 0 to 1",
    "imaginary": "|imaginary part of coherency|: what volume conduction cannot make (Nolte et al. 2004)",
    "plv": "phase-locking value: |mean of S_xy / |S_xy|| (Lachaux et al. 1999)",
    "wpli": "weighted phase-lag index: |mean Im S_xy| / mean |Im S_xy| (Vinck et al. 2011)",
    "pearson": "|correlation| of the band-limited signals: power of the band's cross-spectrum, real part",
    "information": "-mean ln(1 - coherence squared): mutual information of Gaussian signals, nats (Brillinger 2007)",
}
"""Measures between two channels, in the order of the arrays."""
CYCLES, LEAST_SEGMENT_S, LEAST_SEGMENTS = 3.0, 0.5, 5
BLOCK = 128
"""Windows worked on at once."""
GRAPH = ("strength", "clustering", "centrality")
"""What a graph says of each electrode; ``efficiency`` is said of the whole."""


def segment_samples(band: str, rate_hz: float) -> int:
    """Samples of a segment of a band."""
    return round(max(CYCLES / BANDS_HZ[band][0], LEAST_SEGMENT_S) * rate_hz)


def valid_bands(rate_hz: float, window_s: float) -> tuple[str, ...]:
    """Bands below half of the rate of which a window of this length holds enough segments."""
    found = []
    for band, (_, high) in BANDS_HZ.items():
        size = segment_samples(band, rate_hz)
        fits = (round(window_s * rate_hz) - size) // max(1, size // 2) + 1
        if high <= rate_hz / 2 and fits >= LEAST_SEGMENTS:
            found.append(band)
    return tuple(found)


def connectivity(
    values: FloatArray, observed: BoolArray, rate_hz: float, bands: tuple[str, ...] | None = None
) -> FloatArray:
    """Measure all pairs of channels.

    Parameters
    ----------
    values, observed : (N, C, T) windows and (N, T) masks.
    bands : names; by default those that the windows are long enough for.

    Returns
    -------
    (N, measures, bands, C, C) float32, symmetric, diagonal 0; NaN where too few segments are observed or a channel is
    dead.
    """
    if values.ndim != 3 or observed.shape != (len(values), values.shape[2]):
        raise InputError(f"windows {values.shape} with mask {observed.shape}; expected (N, C, T) and (N, T).")
    names = valid_bands(rate_hz, values.shape[2] / rate_hz) if bands is None else bands
    count, channels, _ = values.shape
    out = np.full((count, len(MEASURES), len(names), channels, channels), np.nan, np.float32)
    for first in range(0, count, BLOCK):
        at = slice(first, first + BLOCK)
        for k, band in enumerate(names):
            out[at, :, k] = _band(values[at], observed[at], rate_hz, band)
    return out


def _band(values: FloatArray, observed: BoolArray, rate_hz: float, band: str) -> FloatArray:
    """All measures in one band, (n, measures, C, C)."""
    from insula.signals.features.connectivity_numba import pairs

    size = segment_samples(band, rate_hz)
    offsets = np.arange(0, values.shape[2] - size + 1, max(1, size // 2))
    blank = np.full((len(values), len(MEASURES), values.shape[1], values.shape[1]), np.nan, np.float32)
    if len(offsets) < LEAST_SEGMENTS:
        return blank
    cut = np.lib.stride_tricks.sliding_window_view(values, size, axis=2)[:, :, offsets]  # (n, C, S, size)
    seen = np.lib.stride_tricks.sliding_window_view(observed, size, axis=1)[:, offsets].mean(2) >= MIN_OBSERVED
    taper = np.hanning(size + 1)[:-1].astype(np.float32)
    segments = (cut - cut.mean(3, keepdims=True)) * taper
    bins_hz = np.fft.rfftfreq(size, 1 / rate_hz)
    low, high = BANDS_HZ[band]
    picked = np.flatnonzero((bins_hz >= low) & (bins_hz < high))
    spectra = fft.rfft(segments.astype(np.float32), axis=3)[..., picked]  # (n, C, S, bins)
    power = (np.abs(spectra) ** 2 * seen[:, None, :, None]).sum((2, 3))  # (n, C)
    alive = power > np.maximum(DEAD_SHARE * np.median(power, axis=1, keepdims=True), 1e-24)
    found: FloatArray = pairs(np.ascontiguousarray(spectra.transpose(0, 1, 3, 2)), seen, alive, LEAST_SEGMENTS)
    return found


def graph_measures(weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Describe weighted graphs.

    Parameters
    ----------
    weights : (..., C, C) symmetric, 0 or more; a graph with a NaN off its diagonal has no description.

    Returns
    -------
    (..., 3, C) strength (mean weight), clustering (Onnela et al. 2005) and eigenvector centrality of each electrode,
    and (...) global efficiency: mean of 1 / distance, an edge being 1 / weight long.
    """
    from insula.signals.features.connectivity_numba import describe

    shape = weights.shape
    flat = np.ascontiguousarray(weights.reshape(-1, shape[-1], shape[-1]), np.float64)
    nodes, whole = describe(flat)
    return (
        nodes.reshape(*shape[:-2], len(GRAPH), shape[-1]).astype(np.float32),
        whole.reshape(shape[:-2]).astype(np.float32),
    )


def columns(spec: ChannelSpec, window_s: float) -> tuple[FeatureColumn, ...]:
    """Name the columns of `compute`: measure by measure, band by band, what each electrode and the whole graph is."""
    out = []
    for measure in MEASURES:
        for band in valid_bands(spec.rate_hz, window_s):
            out += [FeatureColumn(f"{measure}_{band}_{what}_{c}", "1") for what in GRAPH for c in spec.channels]
            out.append(FeatureColumn(f"{measure}_{band}_efficiency", "1"))
    return tuple(out)


def compute(values: FloatArray, observed: BoolArray, spec: ChannelSpec) -> FloatArray:
    """Compute graph measures of windows: values (N, C, T), observed (N, T) -> (N, F) float32, NaN where not valid."""
    matrices = connectivity(values, observed, spec.rate_hz)  # (N, M, bands, C, C)
    nodes, whole = graph_measures(matrices)
    per_graph = np.concatenate([nodes.reshape(*nodes.shape[:3], -1), whole[..., None]], -1)  # (N, M, bands, 3 C + 1)
    return per_graph.reshape(len(values), math.prod(per_graph.shape[1:]))
