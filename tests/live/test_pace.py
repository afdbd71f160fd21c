"""Even times from stamps that jitter, drift and break off."""

from __future__ import annotations

import numpy as np
import pytest

from insula.live.sources.pace import Pace


def run(stamps: np.ndarray, rate_hz: float, size: int) -> np.ndarray:
    pace = Pace(rate_hz)
    return np.concatenate([pace.times(stamps[k : k + size]) for k in range(0, len(stamps), size)])


@pytest.mark.parametrize("size", [1, 7, 32])
def test_jitter_is_evened_out_and_drift_followed(size: int) -> None:
    rng = np.random.default_rng(0)
    true_s = 100 + np.arange(256 * 60) / 256 * (1 + 2e-4)
    found = run(true_s + rng.normal(0, 0.004, len(true_s)), 256.0, size)
    assert np.diff(found).min() > 0.5 / 256
    assert np.abs(found - true_s)[2560:].max() < 0.02


def test_a_gap_is_kept() -> None:
    stamps = np.concatenate([np.arange(500) / 100, 8 + np.arange(500) / 100])
    np.testing.assert_allclose(run(stamps, 100.0, 16), stamps, atol=1e-3)


def test_one_lost_sample_of_exact_stamps_is_a_gap() -> None:
    stamps = np.delete(np.arange(4000) / 100, 3000)
    np.testing.assert_allclose(run(stamps, 100.0, 10), stamps, atol=1e-3)
