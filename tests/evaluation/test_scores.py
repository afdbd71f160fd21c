"""Scores against hand-computed values and scikit-learn, intervals, paired differences, the null test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle
from windows_double import make_table, predictions

from insula.errors import InputError
from insula.evaluation import scores
from insula.evaluation.nulls import null_test
from insula.learning import metrics

SOME = np.array([0, 0, 0, 1, 1, 2])


def test_hand_computed_values():
    true, guess = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0])
    assert metrics.balanced_accuracy(true, guess) == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert metrics.macro_f1(true, guess) == pytest.approx((2 * 3 / 8 + 2 * 1 / 4) / 2)
    # observed 4/6, expected (4 * 4 + 2 * 2) / 36
    assert metrics.kappa(true, guess) == pytest.approx((4 / 6 - 20 / 36) / (1 - 20 / 36))
    probability = np.array([[0.9, 0.1], [0.8, 0.2], [0.65, 0.35], [0.35, 0.65]])
    # bins (.6, .7]: two windows of confidence .65, one right; .8: one, right; .9: one, wrong
    assert metrics.ece(np.array([1, 0, 0, 0]), probability) == pytest.approx((abs(1.3 - 1) + 0.2 + 0.9) / 4)
    assert metrics.auc(np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]])) == 0.75
    x, y = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])
    # covariance 4/3, variances 2/3 and 8/3, means 2 and 4
    assert metrics.ccc(x, y) == pytest.approx(2 * (4 / 3) / (2 / 3 + 8 / 3 + 4))
    assert metrics.pearson(x, y) == pytest.approx(1.0)
    assert metrics.rmse(x, y) == pytest.approx(np.sqrt((1 + 4 + 9) / 3))


def test_ordinal_scores_by_hand():
    true = np.array([1, 1, 0, 3])
    probability = np.array([[0.3, 0.6, 0.1, 0], [0.1, 0.4, 0, 0.5], [0.1, 0.5, 0.4, 0], [0, 0, 0.7, 0.3]])
    # two most probable: 1 0 (hit, neighbours), 3 1 (hit, apart), 1 2 (neighbours, no hit), 2 3 (hit, neighbours)
    assert metrics.top_two(true, probability) == pytest.approx(3 / 4)
    assert metrics.sequential_top_two(true, probability) == pytest.approx(2 / 4)
    # class 0: 1 away; class 1: 0 and 2 away; class 3: 1 away
    assert metrics.class_distance(true, probability.argmax(1)) == pytest.approx((1 + 1 + 1) / 3)
    plain, ordered = metrics.metrics_for(False), metrics.metrics_for(False, ordered=True)
    assert set(ordered) - set(plain) == {"top_2", "seq_2", "class_distance"}
    assert plain[0] == ordered[0] == "balanced_accuracy"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40), st.integers(0, 999))
def test_scores_agree_with_scikit_learn(pairs, seed):
    true, guess = (np.array(v) for v in zip(*pairs, strict=True))
    labels = list(range(4))
    if set(guess) <= set(true) and len(set(true)) > 1:
        assert metrics.balanced_accuracy(true, guess) == pytest.approx(oracle.balanced_accuracy_score(true, guess))
    assert metrics.macro_f1(true, guess) == pytest.approx(
        oracle.f1_score(true, guess, average="macro", zero_division=0)
    )
    assert metrics.accuracy(true, guess) == pytest.approx(oracle.accuracy_score(true, guess))
    assert metrics.macro_precision(true, guess) == pytest.approx(
        oracle.precision_score(true, guess, average="macro", labels=np.unique(true), zero_division=0)
    )
    assert metrics.weighted_f1(true, guess) == pytest.approx(
        oracle.f1_score(true, guess, average="weighted", zero_division=0)
    )
    if len(set(true)) > 1:
        assert metrics.kappa(true, guess) == pytest.approx(oracle.cohen_kappa_score(true, guess))
    probability = np.random.default_rng(seed).dirichlet(np.ones(4), len(true)).round(1)
    if set(true) == set(labels):
        areas = [oracle.roc_auc_score(true == k, probability[:, k]) for k in labels]
        assert metrics.auc(true, probability) == pytest.approx(np.mean(areas))


def test_degenerate_inputs_give_nan_not_warnings():
    nothing = np.array([], np.int64)
    assert np.isnan(
        [metrics.balanced_accuracy(nothing, nothing), metrics.kappa(np.zeros(3, int), np.zeros(3, int))]
    ).all()
    assert np.isnan(metrics.auc(np.zeros(3, int), np.full((3, 2), 0.5)))
    flat = np.ones(4)
    assert np.isnan(metrics.pearson(flat, np.arange(4.0)))
    assert np.isnan(metrics.ccc(flat, flat))


def test_mean_over_people_is_not_pooled():
    table = make_table(people=9, trials=4, windows=3)
    y = table["y"].to_numpy()
    guess = np.where(table["subject"].isin(["S0", "S1", "S2"]), y, 1 - y)
    rows = predictions(table, guess)
    heavy = pd.concat([rows, *[rows[rows["subject"] == "S0"].assign(session=f"x{i}") for i in range(20)]])
    found = scores.mean_over_people(heavy, "balanced_accuracy")
    assert found.mean == pytest.approx(3 / 9)
    assert scores.pooled(heavy, "balanced_accuracy") > 0.6
    assert found.unit == "people"
    assert found.people == 9
    assert -0.1 < found.lo < 3 / 9 < found.hi < 0.8


@pytest.mark.parametrize("people", [8, 19])
def test_interval_covers_the_truth_as_often_as_it_says(people):
    """Skewed scores of few people, where the percentile bootstrap covered 89 to 92 %."""
    rng = np.random.default_rng(0)
    skills = rng.beta(7, 3, (2000, people))  # mean .7
    hits = sum(found.lo <= 0.7 <= found.hi for found in map(scores.over_people, skills))
    assert 0.925 <= hits / 2000 <= 0.965


def test_interval_over_people_is_students():
    found = scores.over_people([0.5, 0.6, np.nan, 0.7])
    half = 4.302653 * 0.1 / np.sqrt(3)
    assert (found.mean, found.lo, found.hi) == pytest.approx((0.6, 0.6 - half, 0.6 + half))
    assert (found.people, found.unit) == (3, "people")
    assert "fewer than 6" in found.text
    assert np.isnan(scores.over_people([]).mean)


def test_one_person_has_an_interval_over_trials_and_says_so():
    table = make_table(people=1, trials=24, windows=3)
    y = table["y"].to_numpy()
    wrong = table["trial_index"].to_numpy() < 6
    found = scores.mean_over_people(predictions(table, np.where(wrong, 1 - y, y)), "balanced_accuracy")
    assert found.unit == "trials of one person"
    assert found.lo < 0.75 < found.hi
    assert 0.25 < found.hi - found.lo < 0.45  # 24 trials, 18 of them right: t says about .37
    other = scores.paired(predictions(table, y), predictions(table, np.where(wrong, 1 - y, y)))
    assert other.unit == "trials of one person"
    assert other.lo > 0
    assert np.isnan(scores.mean_over_people(predictions(table[:6], y[:6]), "balanced_accuracy").lo)


def test_labels_exchanged_between_trials_of_one_person():
    table = make_table(people=1, trials=24, windows=3)
    y = table["y"].to_numpy()
    assert scores.exchanged_trials(predictions(table, y), "balanced_accuracy") == 1 / 200
    other = np.random.default_rng(1).permutation(2)[table["trial_index"].to_numpy() // 4 % 2]
    assert scores.exchanged_trials(predictions(table, other), "balanced_accuracy") > 0.05


def test_trial_scores_average_probabilities():
    table = make_table(people=1, trials=2, windows=3)
    rows = predictions(table, table["y"].to_numpy())
    trial = rows["trial"] == "t0"
    name = rows.loc[trial, "y_true"].iloc[0]
    other = {"a": "b", "b": "a"}[name]
    # two weak windows for the truth, one strong against it: the mean is against it, the majority for it
    rows.loc[trial, f"p_{name}"] = [0.55, 0.55, 0.05]
    rows.loc[trial, f"p_{other}"] = [0.45, 0.45, 0.95]
    trials = scores.to_trials(rows)
    assert len(trials) == 2
    assert trials.set_index("trial").loc["t0", "y_pred"] == other
    assert trials.set_index("trial").loc["t0", f"p_{other}"] == pytest.approx(1.85 / 3)
    numbers = rows.drop(columns=["p_a", "p_b"]).assign(y_true=1.0, y_pred=np.arange(6.0))
    assert scores.to_trials(numbers)["y_pred"].tolist() == [1.0, 4.0]


def test_paired_difference():
    table = make_table(people=10, trials=6, windows=4)
    y = table["y"].to_numpy()
    rng = np.random.default_rng(1)
    good = predictions(table, np.where(rng.random(len(y)) < 0.9, y, 1 - y))
    poor = predictions(table, np.where(rng.random(len(y)) < 0.6, y, 1 - y))
    found = scores.paired(good, poor.sample(frac=1, random_state=0))
    assert found.lo > 0
    assert found.p < 0.01
    assert found.effect > 0.8
    assert found.people == 10
    back = scores.paired(poor, good)
    assert (back.mean, back.effect) == pytest.approx((-found.mean, -found.effect))
    same = scores.paired(good, good)
    assert (same.mean, same.lo, same.hi) == (0, 0, 0)
    assert np.isnan(same.p)
    with pytest.raises(InputError, match="same windows"):
        scores.paired(good, poor.iloc[1:])


def test_paired_p_is_that_of_the_interval_and_can_be_small_with_few_people():
    """Wilcoxon's smallest p with 8 people is .008, so that Holm over 17 rows could never reject."""
    from scipy.stats import ttest_1samp

    table = make_table(people=8, trials=6, windows=4)
    y = table["y"].to_numpy()
    rng = np.random.default_rng(1)
    good = predictions(table, np.where(rng.random(len(y)) < 0.95, y, 1 - y))
    poor = predictions(table, np.where(rng.random(len(y)) < 0.5, y, 1 - y))
    found = scores.paired(good, poor)
    each = scores.per_person(good, "balanced_accuracy") - scores.per_person(poor, "balanced_accuracy")
    assert found.p == pytest.approx(ttest_1samp(each, 0).pvalue)
    assert found.p < 0.05 / 17


def test_null_test():
    rng = np.random.default_rng(0)
    clean = null_test(0.8, rng.normal(0.5, 0.05, 39), chance=0.5, labellings=10**6)
    assert clean.p == clean.floor == 1 / 40
    assert clean.at_chance
    assert "floor 0.025" in clean.text
    assert "two-sided" in clean.text
    leaky = null_test(0.9, rng.normal(0.85, 0.03, 39), chance=0.5, labellings=10**6)
    assert not leaky.at_chance
    below = null_test(0.5, rng.normal(0.40, 0.03, 39), chance=0.5, labellings=10**6)
    assert not below.at_chance, "two-sided"
    tied = null_test(0.5, [0.5, 0.4, 0.6], chance=0.5, labellings=100)
    assert tied.p == (1 + 2) / (1 + 3)
    few = null_test(0.8, [0.5] * 3, chance=0.5, labellings=6)
    assert not few.enough
    assert np.isnan(few.p)
    assert "too few trials to test" in few.text
    assert null_test(0.1, [0.5, 0.4], chance=0.5, labellings=99, more_is_better=False).p == 1 / 3


def test_metrics_know_their_target():
    table = make_table()
    rows = predictions(table, table["y"].to_numpy())
    with pytest.raises(InputError, match="ccc"):
        scores.pooled(rows, "ccc")
    with pytest.raises(InputError, match="balanced_accuracy"):
        scores.pooled(rows, "balanced_acuracy")
    with pytest.raises(InputError, match="label 'z'"):
        scores.pooled(rows.assign(y_true="z"), "kappa")
    for name in metrics.metrics_for(False):
        assert np.isfinite(scores.per_person(rows, name)).all()
    numbers = rows.drop(columns=["p_a", "p_b"]).assign(
        y_true=np.arange(len(rows)) * 1.0, y_pred=1.0 * np.arange(len(rows))
    )
    assert [scores.pooled(numbers, m) for m in metrics.metrics_for(True)] == pytest.approx([1, 0, 1])
