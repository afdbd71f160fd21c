"""Classes in the latent beside the features: a test over trials that can fail."""

from __future__ import annotations

import numpy as np
import pytest
from fake_result import gathered
from scipy.stats import norm
from small_cohort import fresh, scored

from insula.explain.latent import LATENT, latent_space
from insula.explain.separation import SEPARATION, compared, inputs, nearest
from insula.explain.time_constants import _over_folds

PEOPLE = np.repeat([f"s{i}" for i in range(8)], 12)
TRUE = np.tile(np.arange(12) % 3, 8)


def test_the_nearest_centre_is_that_of_the_training_class() -> None:
    train = np.array([[0.0, 0.0, 7.0], [1.0, 0.0, 7.0], [10.0, 100.0, 7.0], [11.0, 100.0, 7.0]])
    labels = np.array([0, 0, 2, 2])
    assert nearest(train, labels, np.array([[1.0, 20.0, 99.0], [9.0, 80.0, 0.0]]), 3).tolist() == [0, 2]


def test_a_space_that_sorts_is_found_and_one_that_guesses_is_not() -> None:
    rng = np.random.default_rng(0)
    good = np.where(rng.random(TRUE.size) < 0.6, TRUE, rng.integers(0, 3, TRUE.size))
    guessed = rng.integers(0, 3, TRUE.size)
    found = compared(TRUE, {"latent": good, "features": guessed}, PEOPLE, 3)
    assert found.latent.p < 0.01
    assert found.features.p > 0.05
    assert found.gain == pytest.approx(found.latent.score - found.features.score)
    assert found.gain_lo > 0
    assert "latent separates better" in SEPARATION.show(found, gathered("stress")).pictures[0].caption
    other = compared(TRUE, {"latent": guessed, "features": good}, PEOPLE, 3)
    assert "features separate better" in SEPARATION.show(other, gathered("stress")).pictures[0].caption


def test_people_who_differ_are_no_separation() -> None:
    """Answers that know the person alone do not pass: labels are permuted inside people."""
    answer = (np.unique(PEOPLE, return_inverse=True)[1]) % 3
    assert compared(TRUE, {"latent": answer, "features": answer}, PEOPLE, 3).latent.p > 0.05


def test_the_map_of_the_features_is_of_the_same_windows() -> None:
    model = fresh("tcn")
    found = latent_space([(model, scored())])
    assert found is not None
    assert len(found.inputs_xy) == len(found.xy) == len(found.label)
    assert inputs(model, scored()).shape == scored().shape
    assert np.isfinite(inputs(model, scored())).all()
    names = [p.name for p in LATENT.show(found, gathered("stress")).pictures]
    assert names in ([], ["latent", "inputs"])


def test_time_constants_are_told_of_every_fold() -> None:
    even = norm.ppf((np.arange(40) + 0.5) / 40)
    before = np.exp(0.5 * even)

    def fold(spread: float) -> dict[str, np.ndarray]:
        return {"tau_sys_s": np.exp(1 + spread * even), "window": np.linspace(0, 1, 40)}

    found = _over_folds([fold(0.5), fold(2.0)], before)
    assert found.p[0] > 0.05 > found.p[1]
    assert found.spread == pytest.approx((1, 4))
    assert found.memory == (0.5, 0.5)
    assert "Over 2 folds" in found.text
    assert "p < .05 in 1 (Brown-Forsythe)" in found.text
    assert _over_folds([fold(0.5)], before).text == ""
