"""The bet on drift is seldom won without drift, and soon with it."""

from __future__ import annotations

import numpy as np
import pytest

from insula.errors import InputError
from insula.learning.personal.drift import ALARM, drift


def test_without_drift_at_most_one_in_twenty_sessions_gives_an_alarm() -> None:
    rng = np.random.default_rng(0)
    alarms = [drift(rng.normal(size=(40, 3)), seed).at is not None for seed in range(200)]
    assert np.mean(alarms) <= 0.05


def test_the_capital_is_fair_without_drift() -> None:
    rng = np.random.default_rng(1)
    ends = [drift(rng.normal(size=(12, 2)), seed).capital[-1] for seed in range(400)]
    assert np.mean(ends) == pytest.approx(1, abs=0.25)


def test_a_change_is_found_after_it_came() -> None:
    rng = np.random.default_rng(2)
    found = []
    for seed in range(20):
        x = rng.normal(size=(80, 4))
        x[30:] += np.linspace(0, 12, 50)[:, None]
        found.append(drift(x, seed).at)
    here = [at for at in found if at is not None]
    assert len(here) >= 18
    assert min(here) > 30
    assert np.median(here) < 60


def test_trials_that_are_alike_tell_nothing() -> None:
    assert drift(np.ones((30, 2))).capital.max() < ALARM
    with pytest.raises(InputError, match="two trials"):
        drift(np.ones((1, 2)))
