"""Splits keep units whole, say why they are impossible, and shuffle labels between whole trials."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windows_double import make_table

from insula.errors import InputError, InsulaError, ProtocolError
from insula.protocols.protocols import (
    PROTOCOLS,
    TRIAL,
    Split,
    allowed,
    exchangeable_labellings,
    inner_split,
    permute_labels,
    scored_rows,
    split,
)

CLEAN = [n for n, i in PROTOCOLS.items() if not i.leaky]
LEAKY = [n for n, i in PROTOCOLS.items() if i.leaky]


def keys(table, rows, columns=TRIAL):
    return set(map(tuple, table.iloc[rows][list(columns)].astype(str).to_numpy()))


tables = st.builds(
    make_table,
    people=st.integers(1, 5),
    sessions=st.integers(1, 3),
    trials=st.integers(2, 8),
    windows=st.integers(1, 4),
    classes=st.integers(2, 3),
    seed=st.integers(0, 1000),
    reference=st.integers(0, 3),
)


@settings(max_examples=40, deadline=None)
@given(table=tables, shuffle=st.integers(0, 99), name=st.sampled_from(CLEAN))
def test_clean_protocols_keep_units_whole(table, shuffle, name):
    table = table.sample(frac=1, random_state=shuffle).reset_index(drop=True)
    try:
        parts = split(name, table, seed=shuffle)
    except ProtocolError:
        return
    assert parts
    for part in parts:
        assert not keys(table, part.train) & keys(table, part.test)
        assert not keys(table, part.train, PROTOCOLS[name].forbids) & keys(table, part.test, PROTOCOLS[name].forbids)
        assert (table["role"].iloc[np.r_[part.train, part.test]] == "scored").all()
        assert not part.leaky
        if PROTOCOLS[name].personal:
            assert keys(table, np.r_[part.train, part.test], ["subject"]) == {(part.subject,)}
    tested = np.concatenate([p.test for p in parts])
    assert len(tested) == len(set(tested))


@settings(max_examples=40, deadline=None)
@given(table=tables, seed=st.integers(0, 99), name=st.sampled_from(list(PROTOCOLS)))
def test_inner_split_groups_like_the_outer_one(table, seed, name):
    try:
        part = split(name, table, seed=seed)[0]
        fit, validation = inner_split(table, part.train, part.group, seed)
    except ProtocolError:
        return
    assert sorted([*fit, *validation]) == sorted(part.train)
    if part.group:
        assert not keys(table, fit, part.group) & keys(table, validation, part.group)
    y = table["y"].to_numpy()
    assert set(y[fit]) == set(y[validation]) == set(y[part.train])


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_every_protocol_runs_and_repeats(name):
    table = make_table(people=4, sessions=3, trials=8, windows=10, classes=2)
    once, again = split(name, table, seed=3), split(name, table, seed=3)
    assert all((a.train == b.train).all() and (a.test == b.test).all() for a, b in zip(once, again, strict=True))
    tested = np.concatenate([p.test for p in once] + [p.then for p in once if p.then is not None])
    told = [p.calibration.before[~np.isin(p.calibration.before, p.then)] for p in once if p.calibration is not None]
    assert sorted(np.concatenate([tested, *told])) == sorted(scored_rows(table)), "each is tested once, or comes before"


@pytest.mark.parametrize("name", LEAKY)
def test_leaky_protocols_put_trials_on_both_sides(name):
    table = make_table(people=2, trials=4, windows=10)
    for part in split(name, table):
        assert part.leaky
        assert keys(table, part.learned) >= keys(table, part.test)


def test_leaky_protocols_may_pool_people_and_clean_ones_may_not():
    table = make_table(people=3, windows=6)
    assert len(split("random_windows", table, personal=False)) == 5
    assert {p.subject for p in split("random_windows", table)} == {"S0", "S1", "S2"}
    with pytest.raises(InputError, match="personal"):
        split("leave_one_subject_out", table, personal=True)


def test_within_trial_cuts_in_time_order():
    table = make_table(people=1, trials=4, windows=10)
    for part in split("within_trial", table, folds=5):
        for _, rows in table.iloc[part.test].groupby("trial"):
            assert len(rows) == 2
            assert rows["start_s"].diff().iloc[1] == 10


def test_within_subject_folds_never_exceed_the_rarest_class():
    table = make_table(people=2, trials=6, classes=2)
    assert len(split("within_subject", table)) == 2 * 3
    parts = split("within_subject", table, folds=5)
    assert len(parts) == 2 * 3
    assert "3 folds instead of 5" in parts[0].notes[0]
    for part in parts:
        assert set(table["y"].iloc[part.train]) == {0, 1} == set(table["y"].iloc[part.test])


def test_people_who_cannot_be_split_are_listed():
    table = make_table(people=3, trials=6)
    table = table[
        ~(
            (table["subject"] == "S1")
            & (table["y"] == 1)
            & (table["trial"] != table[(table["subject"] == "S1") & (table["y"] == 1)]["trial"].iloc[0])
        )
    ]
    parts = split("within_subject", table.reset_index(drop=True))
    assert {p.subject for p in parts} == {"S0", "S2"}
    assert all(any("S1" in note and "1 trial of class 1" in note for note in p.notes) for p in parts)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("within_subject", {"trials": 2}, "1 trial of class.*2 trials.*leave_one_subject_out"),
        ("cross_session", {"sessions": 1}, "1 session.*within_subject"),
        ("leave_one_subject_out", {"people": 1}, "1 person.*within_subject"),
        ("leave_subjects_out", {"people": 1}, "1 person.*within_subject"),
        ("leave_stimulus_out", {"stimuli": False}, "0 stimuli"),
        ("leave_stimulus_out", {"trials": 2}, "1 stimulus"),
        ("within_trial", {"windows": 1}, "too few windows"),
    ],
)
def test_impossible_requests_say_why(name, options, words):
    with pytest.raises(ProtocolError, match=words):
        split(name, make_table(**options))


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_one_class_only_is_refused(name):
    table = make_table(sessions=2)
    table["y"] = 1
    with pytest.raises(ProtocolError, match="one class only"):
        split(name, table)
    assert "one class only" in allowed(table)[name]


def test_allowed_names_what_is_possible():
    found = allowed(make_table(people=1, sessions=2, trials=6))
    assert found["within_subject"] is None
    assert found["cross_session"] is None
    assert "1 person" in found["leave_one_subject_out"]


def test_unknown_names_and_folds():
    table = make_table()
    with pytest.raises(InputError, match="leave_one_subject_out"):
        split("leave_one_subject", table)
    with pytest.raises(InputError, match="design fixes"):
        split("leave_one_subject_out", table, folds=3)
    with pytest.raises(ProtocolError, match="9 folds of 4 people"):
        split("leave_subjects_out", table, folds=9)
    with pytest.raises(InsulaError):
        split("within_subject", table, folds=1)


def test_leave_subjects_out_holds_out_groups():
    table = make_table(people=7)
    parts = split("leave_subjects_out", table, folds=3)
    assert sorted(len(keys(table, p.test, ["subject"])) for p in parts) == [2, 2, 3]


@pytest.mark.parametrize("side", ["trial", "time", "rows", "role"])
def test_make_refuses_shared_sides(side):
    table = make_table(people=2, trials=4, windows=4, reference=2)
    rows = scored_rows(table)
    train, test = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    options = {"group": TRIAL, "leaky": False}
    Split.make(table, "within_subject", "0", train, test, **options)
    if side == "trial":
        train, test = np.r_[train, test[0]], test[1:]
    elif side == "rows":
        train = np.r_[train, test[0]]
    elif side == "role":
        train = np.r_[train, np.flatnonzero(table["role"] == "reference")[:1]]
    else:
        table = table.copy()
        table.loc[test, "subject"] = "S0"
        table.loc[test, "trial"] += "x"
    with pytest.raises(
        ProtocolError, match={"time": "overlapping", "rows": "both sides", "trial": "trial", "role": "not scored"}[side]
    ):
        Split.make(table, "within_subject", "0", train, test, **options)


def test_continuous_target_is_stratified_by_rank():
    table = make_table(people=1, trials=20, windows=3)
    rank = table["trial_index"].to_numpy(float)
    table["y"] = rank / 20
    parts = split("within_subject", table)
    assert len(parts) == 5
    means = [table["y"].iloc[p.test].mean() for p in parts]
    assert max(means) - min(means) < 0.25
    fit, validation = inner_split(table, parts[0].train, parts[0].group, 0)
    assert not keys(table, fit) & keys(table, validation)


def test_inner_split_impossible_says_what_to_do():
    table = make_table(people=1, trials=4)
    part = split("within_subject", table)[0]
    with pytest.raises(ProtocolError, match="fixed number of epochs"):
        inner_split(table, part.train, part.group, 0)
    with pytest.raises(ProtocolError, match="1 subject"):
        inner_split(table, scored_rows(table), ("subject",), 0)


def test_inner_split_takes_about_the_fraction():
    table = make_table(people=10, trials=10, windows=6)
    for group in ((), TRIAL, ("subject",)):
        _, validation = inner_split(table, scored_rows(table), group, 1, fraction=0.2)
        assert 0.15 <= len(validation) / len(table) <= 0.25


@settings(max_examples=30, deadline=None)
@given(table=tables, seed=st.integers(0, 99))
def test_permutation_moves_whole_trials_inside_people(table, seed):
    y = permute_labels(table, np.random.default_rng(seed))
    moved = table.assign(y=y)
    scored = moved[moved["role"] == "scored"]
    assert (scored.groupby(list(TRIAL))["y"].nunique() == 1).all()
    before = table[table["role"] == "scored"].drop_duplicates(list(TRIAL))
    after = scored.drop_duplicates(list(TRIAL))
    for person in before["subject"].unique():
        assert sorted(before[before["subject"] == person]["y"]) == sorted(after[after["subject"] == person]["y"])
    assert (moved["y"] == table["y"])[table["role"] != "scored"].all()


def test_permutation_carries_curves_between_trials_of_different_length():
    table = pd.DataFrame(
        {"subject": "S", "session": "1", "trial": ["a"] * 4 + ["b"] * 2, "role": "scored",
         "y": [0.0, 1.0, 2.0, 3.0, 10.0, 20.0]}
    )  # fmt: skip
    found = {tuple(permute_labels(table, np.random.default_rng(s))) for s in range(20)}
    assert found == {(0.0, 1.0, 2.0, 3.0, 10.0, 20.0), (10.0, 10.0, 20.0, 20.0, 1.0, 3.0)}


def test_exchangeable_labellings_are_counted_by_hand():
    assert exchangeable_labellings(make_table(people=2, trials=4, classes=2)) == 6 * 6
    assert exchangeable_labellings(make_table(people=1, trials=6, classes=3)) == 90
    one = make_table(people=3, trials=2)
    assert exchangeable_labellings(one) == 8


def test_the_first_ten_seconds_of_tested_trials_train_further_and_are_never_tested():
    table = make_table(people=3, trials=4, windows=6, window_s=4.0, hop_s=2.0)
    parts = split("tuned_on_test_trials", table)
    assert len(parts) == 3
    for part in parts:
        assert part.leaky
        assert not keys(table, part.train, ["subject"]) & keys(table, part.test, ["subject"])
        assert not np.intersect1d(part.then, part.test).size
        assert keys(table, part.then) == keys(table, part.test), "every tested trial gave its label"
        begin = table.iloc[part.then].groupby([*TRIAL])["start_s"].min()
        given = table.iloc[part.then].set_index([*TRIAL])["stop_s"] - begin
        assert (given <= 10 + 1e-9).all()
        np.testing.assert_array_equal(part.learned, np.union1d(part.train, part.then))
