"""Shares of windows from shares of seconds: exact, with fractions of seconds and seconds without a verdict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insula.signals.quality import window_shares

NAN = float("nan")


def test_shares_of_whole_and_partial_seconds() -> None:
    seconds = np.array([[0.0, 1.0, 1.0, 0.0, 0.5], [NAN] * 5, [NAN, 1.0, 0.0, NAN, NAN]], np.float32)
    found = window_shares(seconds, np.array([0.0, 1.0, 0.5, 3.5, 3.0]), 2.0)
    assert found.dtype == np.float32
    expected = [[0.5, NAN, 1.0], [1.0, NAN, 0.5], [0.75, NAN, 2 / 3], [1 / 3, NAN, NAN], [0.25, NAN, NAN]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_window_outside_the_trial_has_no_verdict() -> None:
    found = window_shares(np.ones((2, 3), np.float32), np.array([3.0, -5.0, 2.0]), 2.0)
    assert np.isnan(found[:2]).all()
    assert (found[2] == 1).all()
    assert np.isnan(window_shares(np.zeros((2, 0), np.float32), np.array([0.0]), 2.0)).all()


@given(
    st.lists(st.sampled_from([0.0, 0.25, 1.0, NAN]), min_size=1, max_size=12),
    st.floats(0, 12),
    st.sampled_from([0.5, 1.0, 2.5, 4.0]),
)
def test_equal_to_fine_sampling(row: list[float], first_s: float, window_s: float) -> None:
    first_s = round(first_s * 8) / 8
    fine = np.repeat(np.array(row), 8)[round(first_s * 8) : round((first_s + window_s) * 8)]
    found = window_shares(np.array([row], np.float32), np.array([first_s]), window_s)[0, 0]
    judged = fine[np.isfinite(fine)]
    if judged.size:
        assert found == pytest.approx(judged.mean(), abs=1e-6)
    else:
        assert np.isnan(found)
