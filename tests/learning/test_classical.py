"""Every classical row keeps the Estimator's interface, learns what it should and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from windows_double import WindowsDouble, make_table, make_windows

from insula.errors import InputError, SchemaError
from insula.evaluation.nulls import null_test
from insula.learning.classical import ClassicalEstimator
from insula.learning.classical_rows import CLASSICAL
from insula.learning.metrics import balanced_accuracy, ccc
from insula.protocols.protocols import exchangeable_labellings, permute_labels, scored_rows, split

QUICK = {"random_forest": {"trees": 30}, "gradient_boosting": {"rounds": 20}, "clock": {"trees": 30}}


def data(classes=2, eeg=True, effect=2.0, **options):
    table = make_table(people=5, trials=6, windows=5, classes=classes, reference=5, **options)
    return make_windows(table, effect=effect, classes=tuple("abcd"[:classes]), eeg=eeg)


def numbers(effect=1.0, people=5):
    table = make_table(people=people, trials=6, windows=5, reference=5, seed=4)
    value = np.random.default_rng(0).normal(size=len(table))
    features = make_windows(table, effect=0.0)._all[1]["eda"]
    features[:, 0] += 3 * effect * value
    return WindowsDouble(table.assign(y=value), {"eda": features}, ())


def loso(windows, name, **options):
    """Mean leave-one-subject-out balanced accuracy."""
    found = []
    for part in split("leave_one_subject_out", windows.table):
        row = ClassicalEstimator(name, **options).fit(windows.take(part.train))
        test = windows.take(part.test)
        found.append(balanced_accuracy(test.y, row.predict(test)))
    return float(np.mean(found))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", [n for n, i in CLASSICAL.items() if i.discrete])
def test_contract_of_discrete_rows(name, classes):
    windows = data(classes)
    rows = scored_rows(windows.table)
    train, test = windows.take(rows[windows.table["subject"].to_numpy()[rows] != "S4"]), windows.take(rows[-20:])
    options = QUICK.get(name, {})
    one = ClassicalEstimator(name, options=options).fit(train)
    p = one.predict_proba(test)
    assert p.shape == (20, classes)
    assert p.sum(axis=1) == pytest.approx(np.ones(20))
    assert (p >= 0).all()
    assert np.array_equal(one.predict(test), p.argmax(axis=1))
    assert np.array_equal(ClassicalEstimator(name, options=options).fit(train).predict_proba(test), p), "same seed"
    single = np.vstack([one.predict_proba(test.take([i])) for i in range(3)])
    assert single == pytest.approx(p[:3], abs=1e-6), "a window's answer does not depend on its companions"
    if one.info.inputs in ("features", "covariance"):
        assert balanced_accuracy(train.y, one.predict(train)) > 0.7


@pytest.mark.parametrize("name", [n for n, i in CLASSICAL.items() if i.continuous])
def test_contract_of_continuous_rows(name):
    windows = numbers()
    rows = scored_rows(windows.table)
    options = QUICK.get(name, {}) | ({"alpha": 1.0} if name == "ridge" else {})
    row = ClassicalEstimator(name, options=options).fit(windows.take(rows[:-30]))
    test = windows.take(rows[-30:])
    assert row.predict(test).shape == (30,)
    assert np.isfinite(row.predict(test)).all()
    if row.info.inputs == "features":
        assert ccc(test.y, row.predict(test)) > 0.5
    with pytest.raises(InputError, match="Use predict"):
        row.predict_proba(test)


def test_registry_is_complete():
    baselines = {"majority", "prior", "clock", "elapsed", "elapsed_trial", "stimulus_prior"}
    assert {n for n, i in CLASSICAL.items() if i.kind == "baseline"} == baselines
    assert all(n == i.name and (i.discrete or i.continuous) and i.description for n, i in CLASSICAL.items())


def test_constant_rows():
    windows = data(eeg=False)
    rows = scored_rows(windows.table)
    train = windows.take(np.r_[rows[windows.y[rows] == 1], rows[windows.y[rows] == 0][:10]])
    n = len(train)
    assert ClassicalEstimator("majority").fit(train).predict_proba(train)[0].tolist() == [0, 1]
    assert ClassicalEstimator("prior").fit(train).predict_proba(train)[0] == pytest.approx([10 / n, 1 - 10 / n])


def test_clock_reads_a_shared_schedule_and_nothing_else():
    options = {"people": 8, "trials": 7, "windows": 12}
    shared = make_table(schedule="shared", jitter_s=20.0, **options)
    assert loso(make_windows(shared, effect=0.0), "clock", options=QUICK["clock"]) > 0.87
    assert loso(make_windows(make_table(**options), effect=4.0), "clock", options=QUICK["clock"]) < 0.65
    blind = make_windows(shared, effect=0.0)
    assert loso(blind, "elapsed", options=QUICK["clock"]) > 0.75
    row = ClassicalEstimator("clock").fit(blind)
    louder = make_windows(shared, effect=9.0, seed=5)
    assert np.array_equal(row.predict_proba(blind), row.predict_proba(louder)), "no signal"
    assert row.scope == "session"


def test_time_in_trial_reads_labels_from_the_length_of_trials():
    """Class a lasts 4 windows and b 12; late in a trial the label is known, whatever the order."""
    table = make_table(people=8, trials=8, windows=12)
    long = (table["y"] == 1) | (table.groupby(["subject", "session", "trial"]).cumcount() < 4)
    table = table[long].reset_index(drop=True)
    start = 10.0 * table.groupby("subject").cumcount() + 20.0 * table["trial_index"]
    table = table.assign(start_s=start, stop_s=start + 20.0, elapsed_s=start + 20.0)
    windows = make_windows(table, effect=0.0)
    assert loso(windows, "elapsed_trial", options=QUICK["clock"]) > 0.7
    assert loso(windows, "elapsed", options=QUICK["clock"]) < 0.65
    row = ClassicalEstimator("elapsed_trial", options=QUICK["clock"]).fit(windows)
    assert row.scope == "session"
    assert np.array_equal(row.predict_proba(windows), row.predict_proba(make_windows(table, effect=9.0, seed=5)))


def test_stimulus_prior_knows_stimuli_of_training_and_nothing_else():
    table = make_table(people=6, trials=6, windows=4)
    windows = make_windows(table, effect=0.0)
    assert loso(windows, "stimulus_prior") == 1.0  # the label is the stimulus here
    row = ClassicalEstimator("stimulus_prior").fit(windows)
    unknown = make_windows(table.assign(stimulus="new"), effect=0.0)
    assert np.allclose(row.predict_proba(unknown), row.share)
    ratings = numbers()
    named = WindowsDouble(
        ratings.table.assign(stimulus=np.where(ratings.table["y"] > 0, "up", "down")),
        {"eda": ratings._all[1]["eda"]},
        (),
    )
    found = ClassicalEstimator("stimulus_prior").fit(named).predict(named)
    scored = named.table.iloc[scored_rows(named.table)]
    assert set(np.round(found, 6)) == set(scored.groupby("stimulus")["y"].mean().round(6))


def test_logistic_regression_profits_from_the_persons_level():
    windows = make_windows(make_table(people=8, trials=6, reference=8), effect=1.5, person_shift=4.0)
    assert loso(windows, "logistic_regression", normaliser="opening") > 0.7
    assert loso(windows, "logistic_regression", normaliser="population") < 0.7


def test_context_is_causal_and_stays_in_its_trial():
    windows = data(eeg=False, effect=0.7)
    rows = scored_rows(windows.table)
    table = windows.table
    train, test = windows.take(rows[table["subject"].to_numpy()[rows] != "S4"]), windows.take(rows[-30:])
    values = windows._all[1]["eda"]
    now = test.rows[12]
    same_trial = np.flatnonzero((table["trial"] == table["trial"][now]) & (table["subject"] == "S4"))
    for scope in ("trial", "session"):
        row = ClassicalEstimator("logistic_regression", context=scope, normaliser="population").fit(train)
        before = row.predict_proba(windows.take([now]))
        for rows_changed, matters in (
            (same_trial[same_trial > now], False),
            (same_trial[same_trial < now], True),
            (test.rows[test.rows < same_trial[0]], scope == "session"),
        ):
            other = values.copy()
            other[rows_changed] += 3.0
            after = row.predict_proba(WindowsDouble(table, {"eda": other}, traits=windows._all[3]).take([now]))
            assert (not np.array_equal(before, after)) == matters
        assert row.scope == scope
    assert ClassicalEstimator("logistic_regression", context=True).scope == "trial"
    assert ClassicalEstimator("logistic_regression").scope == "window"
    assert ClassicalEstimator("logistic_regression", normaliser="running").scope == "session"
    noisy = make_windows(make_table(people=6, trials=8, windows=8), effect=0.7, person_shift=0.0)
    alone, helped = (loso(noisy, "logistic_regression", context=c, normaliser="population") for c in (False, True))
    assert helped > alone + 0.03


def test_gaps_are_filled_from_training():
    windows = data(eeg=False)
    values = windows._all[1]["eda"].copy()
    values[:, 2] = np.nan
    values[::3, 0] = np.nan
    gappy = WindowsDouble(windows.table, {"eda": values})
    rows = scored_rows(windows.table)
    row = ClassicalEstimator("logistic_regression").fit(gappy.take(rows[:-30]))
    assert row.kept.tolist() == [True, True, False]
    assert np.isfinite(row.predict_proba(gappy.take(rows[-30:]))).all()
    values[:] = np.nan
    with pytest.raises(InputError, match="without a valid feature"):
        ClassicalEstimator("logistic_regression").fit(WindowsDouble(windows.table, {"eda": values}))


def test_a_class_that_training_lacks_gets_zero():
    windows = data(classes=3, eeg=False)
    rows = scored_rows(windows.table)
    train = windows.take(rows[windows.y[rows] != 1])
    p = ClassicalEstimator("logistic_regression").fit(train).predict_proba(windows.take(rows))
    assert (p[:, 1] == 0).all()
    assert p.sum(axis=1) == pytest.approx(np.ones(len(rows)))


def test_tuning_uses_inner_groups_of_the_training_windows():
    windows = data(eeg=False, effect=1.0)
    part = split("leave_one_subject_out", windows.table)[0]
    train = windows.take(part.train)
    row = ClassicalEstimator("logistic_regression", tune={"C": [1e-6, 0.1]}, group=part.group).fit(train)
    assert row.options["C"] in (1e-6, 0.1)
    alone = ClassicalEstimator("logistic_regression", tune={"C": [1e-6, 0.1]}).fit(train)
    assert alone.options == row.options, "without a group whole people stay together"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["within_subject", "random_windows"])
def test_shuffled_labels_score_at_chance_under_clean_protocols_only(name):
    windows = make_windows(make_table(people=4, trials=14, windows=6, seed=3), effect=0.0, fingerprint=2.0, columns=12)
    rng = np.random.default_rng(0)
    shuffled = []
    for _ in range(20):
        view = windows.take(np.arange(len(windows)))
        view.table["y"] = permute_labels(windows.table, rng)
        found = []
        for part in split(name, view.table):
            row = ClassicalEstimator("logistic_regression", normaliser="person_trials").fit(view.take(part.train))
            test = view.take(part.test)
            found.append(balanced_accuracy(test.y, row.predict(test)))
        shuffled.append(float(np.mean(found)))
    outcome = null_test(1.0, shuffled, chance=0.5, labellings=exchangeable_labellings(windows.table))
    assert outcome.p == outcome.floor == 1 / 21
    assert outcome.at_chance == (name == "within_subject")
    if name == "random_windows":
        assert outcome.lo > 0.7


def test_traits_may_be_columns():
    windows = data(eeg=False)
    train = windows.take(scored_rows(windows.table))
    assert ClassicalEstimator("logistic_regression", traits=True).fit(train).kept.size == 4


def test_mistakes():
    windows = data(eeg=False)
    train = windows.take(scored_rows(windows.table))
    with pytest.raises(InputError, match="logistic_regression"):
        ClassicalEstimator("logistic_regresion")
    with pytest.raises(InputError, match="option of svm"):
        ClassicalEstimator("svm", options={"gamma": 1})
    with pytest.raises(InputError, match="context 'week'"):
        ClassicalEstimator("svm", context="week")
    with pytest.raises(InputError, match="fit first"):
        ClassicalEstimator("svm").predict(train)
    with pytest.raises(InputError, match="expected classes"):
        ClassicalEstimator("logistic_regression").fit(numbers())
    with pytest.raises(InputError, match="continuous target"):
        ClassicalEstimator("ridge").fit(train)
    with pytest.raises(InputError, match="without EEG"):
        ClassicalEstimator("tangent_space").fit(train)
    with pytest.raises(InputError, match="connectivity without EEG"):
        ClassicalEstimator("connectivity_features").fit(train)
    with pytest.raises(SchemaError, match="eda features"):
        ClassicalEstimator("svm").fit(train).predict(make_windows(windows.table, columns=4))
    with pytest.raises(InputError, match="without scored"):
        ClassicalEstimator("svm").fit(windows.take(np.flatnonzero(windows.table["role"] == "reference")))
