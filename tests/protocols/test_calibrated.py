"""The first labels of a new person adapt, later trials test, and one test set serves every amount."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from windows_double import make_table

from insula.errors import InputError, ProtocolError
from insula.protocols.protocol import Amounts, Unit
from insula.protocols.protocols import Split, split


def dealt(table: pd.DataFrame, amounts: list[float], unit: Unit) -> list[Split]:
    return split("calibrated", table, amounts=Amounts(tuple(amounts), unit))


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
        parts = dealt(table, amounts, unit)
    except ProtocolError:
        return
    assert len(parts) + len(parts[0].notes) == people
    for part in parts:
        one = part.calibration
        assert one is not None
        mine = table.iloc[part.test]
        assert set(mine["subject"]) == {part.fold}
        assert part.fold not in set(table["subject"].iloc[part.train])
        assert part.then is not None
        assert set(part.then) == set(one.given[max(one.given)])
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
        assert (table["role"].iloc[np.r_[part.test, one.before]] == "scored").all()


def test_minutes_count_labelled_time_of_each_class():
    table = make_table(people=2, trials=8, windows=5, hop_s=10.0, window_s=20.0, seed=1)  # trials of 60 s
    one = dealt(table, [0, 0.5, 1, 1.5], "minutes")[0].calibration
    assert one is not None
    for amount, windows in ((0.5, 2), (1.0, 5), (1.5, 5 + 2)):
        counts = table["y"].iloc[one.given[amount]].value_counts()
        assert counts.to_dict() == {0: windows, 1: windows}


def test_people_who_cannot_give_enough_are_named():
    table = make_table(people=3, trials=16)
    table.loc[(table["subject"] == "S1") & (table["trial_index"] > 1), "y"] = 0
    parts = dealt(table, [0, 2], "trials")
    assert [part.fold for part in parts] == ["S0", "S2"]
    assert len(parts[0].notes) == 1
    assert parts[0].notes[0].startswith("S1:")
    assert set(table["subject"].iloc[parts[0].train]) == {"S1", "S2"}, "who is not tested still trains"


def test_the_unit_is_that_of_the_trials_where_nothing_is_asked_for():
    short = split("calibrated", make_table(people=2, trials=8, windows=2, window_s=10.0))[0].calibration
    long = split("calibrated", make_table(people=2, trials=8, windows=12))[0].calibration
    assert short is not None
    assert long is not None
    assert (short.unit, sorted(short.given)) == ("trials", [0, 1, 2])
    assert (long.unit, sorted(long.given)) == ("minutes", [0, 0.5, 1, 2])


@pytest.mark.parametrize(
    ("amounts", "unit", "kind"),
    [([0], "trials", InputError), ([-1, 1], "trials", InputError), ([0.5], "trials", InputError),
     ([9], "trials", ProtocolError), ([0, 99], "minutes", ProtocolError)],
)  # fmt: skip
def test_impossible_amounts_are_refused(amounts, unit, kind):
    with pytest.raises(kind, match="expected"):
        dealt(make_table(people=3, trials=6), amounts, unit)


def test_the_tenth_session_comes_after_the_second() -> None:
    table = make_table(people=2, trials=8, sessions=2, windows=2)
    table["session"] = table["session"].map(dict(zip(sorted(table["session"].unique()), ("2", "10"), strict=True)))
    given = dealt(table, [0, 1], "trials")[0].calibration
    assert given is not None
    assert set(table["session"].iloc[given.given[1]]) == {"2"}
