"""Normalisers read only the rows they may, forward in time where they say so, and leave NaN alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from windows_double import WindowsDouble, make_table, make_windows

from insula.errors import InputError
from insula.learning.level import KINDS as ALL
from insula.learning.level import Normaliser

KINDS = [kind for kind in ALL if kind != "pre_trial"]  # test_pre_trial.py


def parts(seed=0, reference=6, sessions=1):
    table = make_table(people=4, sessions=sessions, trials=6, windows=5, reference=reference, seed=seed)
    windows = make_windows(table, person_shift=5.0, seed=seed)
    scored = (table["role"] == "scored").to_numpy()
    test = scored & (table["subject"] == "S3").to_numpy()
    return windows, windows.take(np.flatnonzero(scored & ~test)), windows.take(np.flatnonzero(test))


def changed(windows, rows, value=100.0):
    """The same windows with other features in some rows."""
    table, features, eeg, traits = windows._all
    values = features["eda"].copy()
    values[rows] += value
    return WindowsDouble(table, {"eda": values}, windows.schema.classes, eeg, traits)


@pytest.mark.parametrize("kind", KINDS)
def test_training_rows_come_out_standardised(kind):
    _, train, _ = parts()
    z = Normaliser(kind).fit(train).features(train)
    assert z.dtype == np.float32
    assert z.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-5)
    assert z.std(axis=0) == pytest.approx(np.ones(3), abs=0.02)


@pytest.mark.parametrize("kind", ["opening", "running", "whole_session"])
def test_a_persons_level_is_removed(kind):
    _, train, test = parts(reference=25)
    assert np.abs(Normaliser("population").fit(train).features(test).mean(axis=0)).max() > 0.7
    assert np.abs(Normaliser(kind).fit(train).features(test).mean(axis=0)).max() < 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_what_each_kind_reads_of_the_test_session(kind):
    windows, train, test = parts()
    fitted = Normaliser(kind).fit(train)
    before = fitted.features(test)
    now = test.rows[10]
    for what, rows, free in (
        ("later rows", test.rows[11:], kind != "whole_session"),
        ("earlier scored rows", test.rows[:10], kind not in ("whole_session", "running")),
        ("reference rows", np.flatnonzero((windows.table["subject"] == "S3") & (windows.table["role"] == "reference")),
         kind in ("population", "person_trials")),
        ("other people", np.flatnonzero(windows.table["subject"] != "S3"), True),
    ):  # fmt: skip
        after = fitted.features(changed(windows, rows).take(test.rows))[test.rows == now]
        assert np.array_equal(after, before[test.rows == now]) == free, what
    assert fitted.transductive == (kind == "whole_session")
    assert fitted.scope == ("session" if kind in ("running", "whole_session") else "trial")


def test_opening_uses_its_own_session():
    windows, train, test = parts(sessions=2)
    fitted = Normaliser("opening").fit(train)
    before = fitted.features(test)
    table = windows.table
    other = (table["subject"] == "S3") & (table["session"] == "1") & (table["role"] == "reference")
    after = fitted.features(changed(windows, np.flatnonzero(other)).take(test.rows))
    first = (test.table["session"] == "0").to_numpy()
    assert np.array_equal(after[first], before[first])
    assert not np.array_equal(after[~first], before[~first])


def test_opening_without_reference_rows_falls_back_and_says_so():
    _, train, test = parts(reference=0)
    fitted = Normaliser("opening").fit(train)
    fitted.features(test)
    assert any("S3/0" in note and "no reference windows" in note for note in fitted.notes)


def test_unknown_person_in_person_trials_is_noted():
    _, train, test = parts()
    fitted = Normaliser("person_trials").fit(train)
    fitted.features(test)
    assert fitted.notes == ("S3: no training windows of this person",)


def test_person_trials_does_not_read_the_test_rows():
    table = make_table(people=2, trials=6)
    windows = make_windows(table, person_shift=5.0)
    train = windows.take(np.flatnonzero(table["trial_index"] < 4))
    z = Normaliser("person_trials").fit(train).features(train)
    means = [z[(train.table["subject"] == s).to_numpy()].mean() for s in ("S0", "S1")]
    assert np.abs(means).max() < 0.05


def test_a_flat_opening_does_not_blow_up():
    windows, train, test = parts()
    opening = np.flatnonzero((windows.table["subject"] == "S3") & (windows.table["role"] == "reference"))
    table, features, *_ = windows._all
    values = features["eda"].copy()
    values[opening] = values[opening].mean(axis=0)
    z = Normaliser("opening").fit(train).features(WindowsDouble(table, {"eda": values}).take(test.rows))
    assert np.abs(z).max() < 8


@pytest.mark.parametrize("kind", KINDS)
def test_gaps_stay_gaps_and_do_not_spread(kind):
    windows, _, test = parts()
    table, features, *_ = windows._all
    values = features["eda"].copy()
    values[::7, 1] = np.nan
    values[:, 2] = np.nan
    gappy = WindowsDouble(table, {"eda": values})
    scored = (table["role"] == "scored") & (table["subject"] != "S3")
    fitted = Normaliser(kind).fit(gappy.take(np.flatnonzero(scored)))
    z = fitted.features(gappy.take(test.rows))
    assert np.array_equal(np.isnan(z), np.isnan(values[test.rows]))


def test_running_is_the_mean_and_deviation_so_far():
    windows, train, test = parts()
    fitted = Normaliser("running").fit(train)
    values = fitted.read(test)
    relative = fitted._relative(values, fitted._own(test, values), slice(None))
    everything = windows._all[1]["eda"].astype(np.float32).astype(float)
    mine = np.flatnonzero(windows.table["subject"] == "S3")
    for i in (0, 7, 29):
        past = everything[mine[mine <= test.rows[i]]]
        n = len(past)
        variance = n / (n + 10) * past.var(axis=0) + 10 / (n + 10) * fitted.within**2
        assert relative[i] == pytest.approx((past[-1] - past.mean(axis=0)) / np.sqrt(variance), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_json_round_trip_is_exact(kind):
    _, train, test = parts()
    fitted = Normaliser(kind).fit(train)
    again = Normaliser.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    known = train if kind == "person_trials" else test
    assert np.array_equal(again.features(known), fitted.features(known))


def test_mistakes():
    windows, train, _ = parts()
    with pytest.raises(InputError, match="opening"):
        Normaliser("openin")
    with pytest.raises(InputError, match="fit first"):
        Normaliser().features(train)
    table = windows.table
    with pytest.raises(InputError, match="2 feature columns"):
        Normaliser().fit(train).features(make_windows(table, columns=2))
