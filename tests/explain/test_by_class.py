"""What a network computes, compared between classes: tested over trials, each counted once."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from fake_result import gathered
from small_cohort import fresh, scored

from insula.explain.analysis import Fitted
from insula.explain.attention import temporal_attention
from insula.explain.branches import BRANCHES, branch_attention
from insula.explain.by_class import ByClass, Trials, compared, per_trial
from insula.explain.dynamics import DYNAMICS, PLACES, Dynamics, along_trials, dynamics
from insula.explain.reconstruction import RECONSTRUCTION, reconstruction
from insula.explain.time_constants import liquid_layers
from insula.learning.estimator import Estimator
from insula.learning.feed import Feed, run
from insula.windows.table import by_trial

CLASSES = ("calm", "tense")


@cache
def published() -> Estimator:
    torch.manual_seed(0)
    return fresh("liquid", variant="published")


def folds() -> Fitted:
    """Every trial is held out twice, by halves of its windows and whole."""
    windows = scored()
    return [(published(), windows.take(np.arange(0, len(windows), 2))), (published(), windows)]


def trials(planted: float, rng: np.random.Generator) -> Trials:
    labels = np.arange(40) % 2
    values = rng.normal(size=(40, 5))
    values[labels == 1, 3] += planted
    return Trials(values, labels, np.repeat(["a", "b"], 20))


def test_a_planted_difference_is_found_and_luck_is_not() -> None:
    assert max(compared(trials(2.0, np.random.default_rng(0)), CLASSES).p.values()) < 0.01
    lucky = [min(compared(trials(0.0, np.random.default_rng(k)), CLASSES).p.values()) < 0.05 for k in range(20)]
    assert sum(lucky) <= 3


def test_a_difference_between_people_is_no_difference_between_classes() -> None:
    """Whoever has higher values and more trials of one class does not make the classes differ."""
    people = np.repeat(["a", "b"], 20)
    labels = np.r_[np.zeros(15, int), np.ones(5, int), np.zeros(5, int), np.ones(15, int)]
    values = (people == "b")[:, None] * 3.0 + np.random.default_rng(1).normal(size=(40, 1))
    assert min(compared(Trials(values, labels, people), CLASSES).p.values()) > 0.05


def test_class_means_and_intervals_are_over_trials() -> None:
    found = compared(trials(1.0, np.random.default_rng(0)), CLASSES)
    for name in CLASSES:
        low, high = map(np.asarray, found.interval[name])
        assert ((low < np.asarray(found.classes[name])) & (np.asarray(found.classes[name]) < high)).all()
    assert found.trials == 40


def test_shares_of_branches_sum_to_one_and_are_means_over_trials() -> None:
    found = branch_attention(folds())
    assert found is not None
    assert found.branches == ("eda", "bvp", "hr", "traits")
    assert found.by_class.trials == 18
    for shares in found.by_class.classes.values():
        assert sum(shares) == pytest.approx(1, abs=1e-5)
    weights = published().outputs(scored(), ("attention:branches",))["attention:branches"]
    assert weights.shape == (len(scored()), 4)
    shown = BRANCHES.show(found, gathered("stress"))
    assert [p.name for p in shown.pictures] == ["branches"]
    assert "counts most" in shown.pictures[0].caption


def test_reconstruction_error_is_that_of_the_network() -> None:
    windows = scored()
    found = reconstruction([(published(), windows)])
    assert found is not None
    feed = Feed(published().prepare(windows), "trial")
    errors = np.zeros(len(windows))
    with torch.no_grad():
        for part in feed.each(4):
            gap = run(published().networks[0], part, "trial").extras["reconstruction"]
            errors[part.row[part.row >= 0].numpy()] = gap[part.row >= 0].numpy()
    own = [errors[group.index].mean() for _, group in by_trial(windows.table) if group["y"].iloc[0] == 1]
    assert found.by_class.classes["tense"][0] == pytest.approx(np.mean(own), rel=1e-5)
    assert "rebuilds" in RECONSTRUCTION.show(found, gathered("stress")).pictures[0].title


def test_time_constants_along_a_trial_are_those_of_the_layer() -> None:
    windows = scored()
    found = along_trials(published(), windows)
    assert set(found) == {"eda", "bvp", "hr"}
    for name, layer in liquid_layers(published().networks[0]).items():
        assert len(found[name]) == 18
        tau_s, gain = layer.tau_s.detach(), layer.log_gain.detach().exp()
        longest, shortest = float(tau_s.log().mean()), float((tau_s / (1 + gain * tau_s)).log().mean())
        for curve in found[name].values():
            assert curve.shape == (PLACES,)
            assert ((shortest <= curve) & (curve <= longest)).all()
            assert np.ptp(curve) > 0
    again = along_trials(published(), windows.take(np.arange(len(windows))[::-1]))
    last = {row: len(windows) - 1 - row for row in range(len(windows))}
    for row, curve in found["eda"].items():
        own = windows.table.iloc[row]
        match = next(r for r in again["eda"] if windows.table.iloc[last[r]]["trial"] == own["trial"]
                     and windows.table.iloc[last[r]]["subject"] == own["subject"])  # fmt: skip
        np.testing.assert_allclose(again["eda"][match], curve, atol=1e-6)


def test_time_constants_along_a_trial_are_compared_by_class() -> None:
    found = dynamics(folds())
    assert found is not None
    assert {layer.trials for layer in found.layers.values()} == {18}
    assert all(0 < v < 1000 for layer in found.layers.values() for c in layer.classes.values() for v in c)
    assert found.trial_s == pytest.approx(10)


def test_still_time_constants_are_a_line_and_moving_ones_a_picture() -> None:
    def shown(height: float) -> tuple[int, int]:
        curve = tuple(2 * (1 + height * np.linspace(0, 1, PLACES)))
        layer = ByClass({"rest": curve, "stress": curve}, {"rest": (curve, curve), "stress": (curve, curve)},
                        {"rest": 0.4, "stress": 0.01}, 12)  # fmt: skip
        made = DYNAMICS.show(Dynamics({"fast": layer}, 20.0, ""), gathered("stress"))
        assert "stress" in (made.silent or (made.pictures[0].caption,))[0]
        return len(made.pictures), len(made.silent)

    assert shown(0.01) == (0, 1)
    assert shown(0.5) == (1, 0)


def test_a_network_without_these_parts_has_none_of_these_analyses() -> None:
    plain = fresh("tcn")
    assert branch_attention([(plain, scored())]) is None
    assert reconstruction([(plain, scored())]) is None
    assert dynamics([(plain, scored())]) is None
    assert temporal_attention([(plain, scored())]) is None


def test_windows_that_were_not_read_are_left_out() -> None:
    windows = scored()
    first = next(iter(by_trial(windows.table)))[1].index[0]
    found = per_trial([(published(), windows)], lambda *_: {int(first): np.ones(2)})
    assert found.values.tolist() == [[1.0, 1.0]]
