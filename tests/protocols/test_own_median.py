"""A person's own median comes from training trials only, counts each trial once, and needs training trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_cohort import RECIPE, trial, windows

from insula.errors import InputError, ProtocolError
from insula.evaluation.experiment import Experiment, experiment_from
from insula.evaluation.fits import run_fold
from insula.evaluation.rows import make_plans
from insula.evaluation.run import evaluate
from insula.explain import explain
from insula.learning.classical import ClassicalEstimator
from insula.protocols.own_median import decided, for_fold, medians, split_windows, undecided
from insula.protocols.protocols import scored_rows
from insula.types import Recording
from insula.windows.cutting import cut
from insula.windows.table import Windows

TARGET = "valence>median"
CLASSES = ("valence<=median", "valence>median")


def person(
    name: str, ratings: Sequence[float], seconds: Sequence[float] | None = None, session: str = "s1"
) -> Recording:
    """One trial a rating; higher ratings come with higher skin conductance."""
    rng = np.random.default_rng(len(name))
    trials, clock_s = [], 0.0
    for i, rating in enumerate(ratings):
        length_s = 10.0 if seconds is None else seconds[i]
        labels = {"valence": float(rating)}
        trials.append(trial(rng, name, f"t{i}", clock_s, length_s, float(rating), labels=labels, session=session))
        clock_s += length_s
    return Recording(name, session, tuple(trials))


def rated(*people: Recording) -> Windows:
    return cut(people, RECIPE, TARGET)


def rows_of(table: Any, subject: str, trials: Sequence[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.flatnonzero((table["subject"] == subject) & table["trial"].isin([f"t{i}" for i in trials]))


def test_windows_keep_ratings_and_classes() -> None:
    found = rated(person("ann", [3, 7.5, 5]))
    assert undecided(found)
    assert found.schema.classes == CLASSES
    assert found.schema.target == TARGET
    assert sorted(set(found.y.tolist())) == [3.0, 5.0, 7.5]
    assert not undecided(decided(found))


def test_a_test_trial_is_labelled_by_the_training_median() -> None:
    ratings = [1, 1, 5.5, 5, 6, 7]  # of all 5.25; of the last three, which train, 6
    found = rated(person("ann", ratings))
    train, test = rows_of(found.table, "ann", [3, 4, 5]), rows_of(found.table, "ann", [2])
    assert set(decided(found).y[test].tolist()) == {1}
    assert set(decided(found, train).y[test].tolist()) == {0}
    assert medians(found.table, train) == {"ann": 6.0}


def test_a_long_trial_counts_once() -> None:
    found = rated(person("ann", [2, 6, 8], seconds=[60, 10, 10]))
    assert medians(found.table, scored_rows(found.table)) == {"ann": 6.0}


def test_a_rating_equal_to_the_median_is_not_above_it() -> None:
    found = decided(rated(person("ann", [4, 5, 5, 5, 6])))
    by_trial = found.table.groupby("trial")["y"].unique().map(list).to_dict()
    assert by_trial == {"t0": [0], "t1": [0], "t2": [0], "t3": [0], "t4": [1]}


@given(st.floats(0.1, 9), st.integers(1, 30))
@settings(max_examples=20, deadline=None)
def test_a_tie_is_a_tie_whatever_its_digits_and_windows(rating: float, windows_each: int) -> None:
    found = decided(rated(person("ann", [rating - 0.1, rating, rating + 0.1], seconds=[6 + 2 * windows_each] * 3)))
    assert set(found.y[(found.table["trial"] == "t1").to_numpy()].tolist()) == {0}
    assert set(found.y[(found.table["trial"] == "t2").to_numpy()].tolist()) == {1}


def test_each_person_has_an_own_median() -> None:
    found = decided(rated(person("ann", [1, 2, 3]), person("bob", [7, 8, 9])))
    high = found.table[found.table["y"] == 1]
    assert sorted(set(zip(high["subject"], high["trial"], strict=True))) == [("ann", "t2"), ("bob", "t2")]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=6, max_size=6), st.lists(st.integers(1, 9), min_size=2, max_size=2))
def test_a_test_rating_never_moves_a_threshold(ratings: list[int], other: list[int]) -> None:
    changed = [*ratings[:4], *other]
    answers = []
    for told in (ratings, changed):
        found = rated(person("ann", [*told, 0, 10]))  # 0 and 10 train, too: more than one rating
        train = rows_of(found.table, "ann", [0, 1, 2, 3, 6, 7])
        answers.append((medians(found.table, train), decided(found, train).y[train].tolist()))
    assert answers[0] == answers[1]


def experiment(protocol: str, model: str = "logistic_regression", null: int = 0) -> Experiment:
    tables = {
        "data": {"name": "manifest", "target": TARGET},
        "protocol": {"name": protocol, "null": null},
        "model": {"name": model},
        "compare": {"rows": ["majority"], "variants": []},
        "train": {"epochs": 2, "batch_trials": 6},
    }
    return experiment_from(tables)


def two_people() -> Windows:
    return rated(person("ann", [1, 2, 3, 4, 6, 7, 8, 9]), person("bob", [5, 9, 5, 8, 2, 7, 5, 1]))


def test_every_fold_of_an_evaluation_has_thresholds_of_its_own() -> None:
    found = two_people()
    done = evaluate(found, experiment("within_subject", null=2)).result
    told = done.of("logistic_regression")
    assert set(told["y_true"]) == set(CLASSES)
    splits = {part.fold: part for part in split_windows(found, "within_subject")}
    assert set(told["fold"]) == set(splits)
    thresholds = set()
    for row in told.itertuples():
        own = medians(found.table, splits[row.fold].train)[row.subject]
        thresholds.add((row.subject, own))
        place = (found.table["subject"] == row.subject) & (found.table["trial"] == row.trial)
        rating = found.table["y"][place].iloc[0]
        assert row.y_true == CLASSES[int(rating > own)]
    assert len(thresholds) > 2, "the training median should differ between folds"
    assert any("each person's median of the training trials" in note for note in done.protocol["notes"])
    assert done.nulls["logistic_regression"]["shuffles"] == 2


@pytest.mark.slow
def test_networks_and_analyses_read_the_labels_of_the_fold() -> None:
    found = two_people()
    done = evaluate(found, experiment("within_subject", "liquid"))
    answers = explain(done.result, found, done.models).analyses
    assert set(answers["latent"]["label"]) <= set(CLASSES)  # of the largest fold
    assert {m.model.schema.classes for m in done.models} == {CLASSES}


def test_a_fit_takes_the_median_of_what_it_is_given() -> None:
    found = rated(person("ann", [1, 1, 1, 1, 5, 6, 7]))
    row = ClassicalEstimator("prior").fit(found.take(rows_of(found.table, "ann", [4, 5, 6])))
    np.testing.assert_allclose(row.share, [2 / 3, 1 / 3])


@pytest.mark.parametrize("protocol", ["leave_one_subject_out", "leave_subjects_out"])
def test_a_person_nobody_trained_on_has_no_median(protocol: str) -> None:
    with pytest.raises(ProtocolError, match="no training trials to take the median from") as caught:
        evaluate(two_people(), experiment(protocol))
    for instead in ("within_subject", "cross_session", "'valence>=5'"):
        assert instead in str(caught.value)


def test_sessions_held_out_take_the_median_of_the_others() -> None:
    found = rated(person("ann", [1, 2, 3, 4]), person("ann", [6, 7, 8, 9], session="s2"))
    parts = {part.fold: part for part in split_windows(found, "cross_session")}
    assert medians(found.table, parts["ann:s2"].train) == {"ann": 2.5}
    assert set(for_fold(found, parts["ann:s2"]).y[parts["ann:s2"].test].tolist()) == {1}


def test_a_person_tested_without_training_trials_is_named() -> None:
    found = two_people()
    part = split_windows(found, "within_subject")[0]
    alien = rows_of(found.table, "bob", [0])
    with pytest.raises(ProtocolError, match="bob is tested without a training trial"):
        for_fold(found, type(part)(part.name, part.fold, part.train, alien, part.group, part.leaky))


def test_ratings_that_are_never_above_the_median_are_told() -> None:
    found = rated(person("ann", [1, 2, 3, 4, 6, 7]), person("bob", [5, 9, 9, 9, 9, 9]))
    parts = split_windows(found, "within_subject")
    assert {part.subject for part in parts} == {"ann"}
    assert any("no training rating of bob is above" in note for note in parts[0].notes)
    with pytest.raises(ProtocolError, match="in no fold is a training rating above"):
        split_windows(rated(person("bob", [5, 9, 9, 9, 9, 9])), "within_subject")
    with pytest.raises(InputError, match="one rating only, 9"):
        rated(person("bob", [9, 9, 9]))


def test_other_targets_stay_as_they_are() -> None:
    found = windows()
    assert decided(found) is found
    part = split_windows(found, "leave_one_subject_out")[0]
    assert for_fold(found, part) is found


def test_a_fold_runs_alone_as_in_an_evaluation() -> None:
    found = two_people()
    asked = experiment("within_subject")
    parts = split_windows(found, "within_subject")
    plan = make_plans(found, asked, parts[0])[0]
    fold = run_fold(found, parts[0], 0, plan, asked.seed)
    assert fold.predictions.shape == (len(parts[0].test), 2)
