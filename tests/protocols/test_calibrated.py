"""The first labels of a new person adapt, later trials test, and one test set serves every amount."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windows_double import make_table

from insula.errors import InputError, ProtocolError
from insula.protocols.calibrated import calibrations


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 200), people=st.integers(2, 4), trials=st.integers(6, 12), sessions=st.integers(1, 2),
    largest=st.integers(1, 2), unit=st.sampled_from(["trials", "minutes"]), shuffle=st.integers(0, 9),
)  # fmt: skip
def test_calibration_comes_first_and_no_trial_is_on_both_sides(seed, people, trials, sessions, largest, unit, shuffle):
    table = make_table(people=people, trials=trials, sessions=sessions, seed=seed, reference=2)
    table = table.sample(frac=1, random_state=shuffle).reset_index(drop=True)
    amounts = [0, 1, largest] if unit == "trials" else [0, 0.3, 0.5 * largest]
    try:
        found, left_out = calibrations(table, amounts, unit)
    except ProtocolError:
        return
    assert len(found) + len(left_out) == people
    for one in found:
        mine = table.iloc[one.test]
        assert set(mine["subject"]) == {one.subject}
        assert one.subject not in set(table["subject"].iloc[one.train])
        keys = ["session", "start_s"]
        last = max(map(tuple, table.iloc[one.before][keys].to_numpy().tolist()))
        assert all(tuple(k) > last for k in mine[keys].to_numpy().tolist())
        assert not set(map(tuple, mine[["session", "trial"]].to_numpy())) & set(
            map(tuple, table.iloc[one.before][["session", "trial"]].to_numpy())
        )
        smaller = np.empty(0, np.int64)
        for amount in sorted(one.given):
            assert np.isin(smaller, one.given[amount]).all(), "more calibration holds the less"
            assert np.isin(one.given[amount], one.before).all()
            smaller = one.given[amount]
            chosen = table.iloc[smaller]
            if unit == "trials":
                trials_of = chosen.drop_duplicates(["session", "trial"])["y"].value_counts()
                assert set(trials_of) == ({int(amount)} if amount else set())
        assert not len(one.given[0.0])
        assert (table["role"].iloc[np.r_[one.test, one.before]] == "scored").all()


def test_minutes_count_labelled_time_of_each_class():
    table = make_table(people=2, trials=8, windows=5, hop_s=10.0, window_s=20.0, seed=1)  # trials of 60 s
    found, _ = calibrations(table, [0, 0.5, 1, 1.5], "minutes")
    one = found[0]
    for amount, windows in ((0.5, 2), (1.0, 5), (1.5, 5 + 2)):
        counts = table["y"].iloc[one.given[amount]].value_counts()
        assert counts.to_dict() == {0: windows, 1: windows}


def test_people_who_cannot_give_enough_are_named():
    table = make_table(people=3, trials=16)
    table.loc[(table["subject"] == "S1") & (table["trial_index"] > 1), "y"] = 0
    found, left_out = calibrations(table, [0, 2], "trials")
    assert [one.subject for one in found] == ["S0", "S2"]
    assert len(left_out) == 1
    assert left_out[0].startswith("S1:")
    assert set(table["subject"].iloc[found[0].train]) == {"S1", "S2"}, "who is not tested still trains"


@pytest.mark.parametrize(
    ("amounts", "unit", "kind"),
    [([0], "trials", InputError), ([-1, 1], "trials", InputError), ([0.5], "trials", InputError),
     ([9], "trials", ProtocolError), ([0, 99], "minutes", ProtocolError)],
)  # fmt: skip
def test_impossible_amounts_are_refused(amounts, unit, kind):
    with pytest.raises(kind, match="expected"):
        calibrations(make_table(people=3, trials=6), amounts, unit)
