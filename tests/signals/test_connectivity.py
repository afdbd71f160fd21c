"""Connectivity against its textbook formulas, graphs against networkx, validity of short and broken windows."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy.signal import csd

from insula.signals.features.connectivity import (
    MEASURES,
    columns,
    compute,
    connectivity,
    graph_measures,
    segment_samples,
    valid_bands,
)
from insula.types import ChannelSpec

RATE_HZ = 128.0
NAMES = list(MEASURES)


def windows(seed: int = 0, count: int = 2, channels: int = 4, seconds: float = 8.0) -> np.ndarray:
    """Channels 0 and 1 share an alpha rhythm, 1 a quarter of a cycle late; 2 copies 0; the others are alone."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    out = rng.standard_normal((count, channels, len(time)))
    phase = np.cumsum(2 * np.pi * (10 + 0.5 * rng.standard_normal((count, len(time)))) / RATE_HZ, axis=1)
    out[:, 0] += 4 * np.cos(phase)
    out[:, 1] += 4 * np.sin(phase)
    out[:, 2] = out[:, 0] + 0.01 * out[:, 2]
    return out.astype(np.float32)


def everywhere(values: np.ndarray) -> np.ndarray:
    return np.ones((len(values), values.shape[2]), bool)


def test_coherence_is_that_of_welch() -> None:
    values = windows()
    found = connectivity(values, everywhere(values), RATE_HZ, ("alpha",))[:, NAMES.index("coherence"), 0]
    size = segment_samples("alpha", RATE_HZ)

    def spectrum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return csd(a, b, RATE_HZ, "hann", size, size - size // 2, detrend="constant")

    for i, j in ((0, 1), (0, 3), (1, 2)):
        a, b = values[0, i].astype(float), values[0, j].astype(float)
        bins, cross = spectrum(a, b)
        coherency = cross / np.sqrt(spectrum(a, a)[1].real * spectrum(b, b)[1].real)
        picked = (bins >= 8) & (bins < 13)
        assert found[0, i, j] == pytest.approx(np.abs(coherency)[picked].mean(), rel=1e-4)
        other = connectivity(values, everywhere(values), RATE_HZ, ("alpha",))[0, :, 0, i, j]
        assert other[NAMES.index("imaginary")] == pytest.approx(abs(coherency.imag[picked].mean()), rel=1e-3, abs=1e-5)
        expected = -np.log(1 - np.abs(coherency[picked]) ** 2).mean()
        assert other[NAMES.index("information")] == pytest.approx(expected, rel=1e-3)


def test_what_each_measure_is_blind_to() -> None:
    values = windows(count=6)
    alpha = connectivity(values, everywhere(values), RATE_HZ, ("alpha",))[:, :, 0].mean(0)
    of = {name: alpha[i] for i, name in enumerate(NAMES)}
    assert min(of[n][0, 1] for n in ("coherence", "imaginary", "plv", "wpli")) > 0.8  # locked, a quarter late
    assert of["pearson"][0, 1] < 0.3  # and so uncorrelated at lag 0
    assert of["pearson"][0, 2] > 0.99  # a copy without lag: volume conduction
    assert of["imaginary"][0, 2] < 0.02
    assert of["information"][0, 2] > of["information"][0, 1] > 3 * of["information"][0, 3]
    assert all(m[0, 3] < 0.6 for n, m in of.items() if n != "wpli")


def test_matrices_are_symmetric_with_an_empty_diagonal() -> None:
    values = windows()
    found = connectivity(values, everywhere(values), RATE_HZ)
    assert found.shape == (2, 6, 4, 4, 4)  # theta to gamma: 8 s hold no five segments of delta
    np.testing.assert_array_equal(found, found.swapaxes(-1, -2))
    assert (np.diagonal(found, axis1=-2, axis2=-1) == 0).all()
    assert found[:, : NAMES.index("information")].max() <= 1 + 1e-6
    louder = connectivity(values * np.array([1, 10, 0.1, 3], np.float32)[:, None], everywhere(values), RATE_HZ)
    np.testing.assert_allclose(louder, found, rtol=5e-3, atol=1e-4)


def test_a_window_too_short_for_a_band_has_no_value() -> None:
    assert valid_bands(RATE_HZ, 1.0) == ()
    assert valid_bands(RATE_HZ, 2.0) == ("alpha", "beta", "gamma")
    assert valid_bands(RATE_HZ, 4.0) == ("theta", "alpha", "beta", "gamma")
    assert valid_bands(RATE_HZ, 10.0) == ("delta", "theta", "alpha", "beta", "gamma")
    assert valid_bands(32.0, 10.0) == ("delta", "theta", "alpha")
    short = windows(seconds=2.0)
    assert np.isnan(connectivity(short, everywhere(short), RATE_HZ, ("theta",))).all()


def test_gaps_and_dead_channels_have_no_value() -> None:
    values = windows(count=3)
    seen = everywhere(values)
    seen[1, 100:] = False  # less than five segments are left
    values[2, 3] = 0.0
    found = connectivity(values, seen, RATE_HZ, ("alpha",))[:, 0, 0]
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()
    assert np.isnan(found[2][3, :3]).all()
    assert np.isfinite(found[2][:3, :3]).all()
    some = everywhere(values)
    some[:, 512:] = False  # half a window is like a window of half the length
    half = connectivity(values[:, :, :512], some[:, :512], RATE_HZ, ("alpha",))
    with_gap = connectivity(values, some, RATE_HZ, ("alpha",))
    assert np.nanmax(np.abs(half - with_gap)[:, 0]) < 0.1


def test_graphs_are_those_of_networkx() -> None:
    rng = np.random.default_rng(1)
    weights = rng.random((3, 7, 7))
    weights = (weights + weights.swapaxes(1, 2)) / 2
    weights[1][weights[1] < 0.45] = 0.0
    for one in weights:
        np.fill_diagonal(one, 0)
    nodes, efficiency = graph_measures(weights)
    for k, one in enumerate(weights):
        graph = nx.from_numpy_array(one)
        clustering = nx.clustering(graph, weight="weight")
        centrality = nx.eigenvector_centrality_numpy(graph, weight="weight")
        for u, v, data in graph.edges(data=True):
            graph[u][v]["length"] = 1 / data["weight"]
        lengths = dict(nx.all_pairs_dijkstra_path_length(graph, weight="length"))
        pairs = [1 / lengths[i][j] for i in lengths for j in lengths[i] if i != j]
        np.testing.assert_allclose(nodes[k, 0], one.sum(0) / 6, rtol=1e-5)
        np.testing.assert_allclose(nodes[k, 1], [clustering[i] for i in range(7)], rtol=1e-5)
        np.testing.assert_allclose(nodes[k, 2], np.abs([centrality[i] for i in range(7)]), rtol=1e-3, atol=1e-4)
        assert efficiency[k] == pytest.approx(sum(pairs) / 42, rel=1e-5)
    weights[0, 2, 3] = weights[0, 3, 2] = np.nan
    nodes, efficiency = graph_measures(weights)
    assert np.isnan(nodes[0]).all()
    assert np.isnan(efficiency[0])
    assert np.isfinite(nodes[1:]).all()


def test_columns_name_what_is_computed() -> None:
    spec = ChannelSpec(("Fz", "Cz", "Pz", "Oz"), RATE_HZ, "uV")
    values = windows(seconds=4.0)
    names = [c.name for c in columns(spec, 4.0)]
    found = compute(values, everywhere(values), spec)
    assert found.shape == (2, len(names)) == (2, 6 * 4 * (3 * 4 + 1))
    assert len(set(names)) == len(names)
    matrix = connectivity(values, everywhere(values), RATE_HZ)[:, NAMES.index("plv"), 1]
    at = names.index("plv_alpha_strength_Pz")
    np.testing.assert_allclose(found[:, at], matrix[:, 2].sum(1) / 3, rtol=1e-5)
