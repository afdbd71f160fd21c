"""The person-swap contrast tells the body from the timetable."""

from __future__ import annotations

import numpy as np
import pytest
from windows_double import make_table, predictions

from insula.errors import InputError
from insula.evaluation.contrast import contrast
from insula.protocols.schedule import clock_agreement, fixed_order, shares_schedule


def by_clock(table):
    """The best guess that knows nothing but elapsed time: the most frequent label at that time."""
    return table.groupby("elapsed_s")["y"].transform(lambda y: y.mode().iloc[0]).to_numpy()


@pytest.mark.parametrize("people", [5, 12])
@pytest.mark.parametrize("schedule", ["random", "shared"])
def test_clock_only_predictor_has_no_contrast(people, schedule):
    table = make_table(people=people, trials=10, windows=4, schedule=schedule, seed=1)
    found = contrast(predictions(table, by_clock(table)))
    assert abs(found.mean) < 0.02
    assert found.includes_zero
    constant = contrast(predictions(table, np.zeros(len(table), int)))
    assert constant.mean == 0
    assert constant.own == pytest.approx(0.5)


@pytest.mark.parametrize("people", [5, 12])
def test_body_predictor_on_differing_schedules_has_contrast(people):
    table = make_table(people=people, trials=10, windows=4, seed=2)
    y, rng = table["y"].to_numpy(), np.random.default_rng(0)
    guess = np.where(rng.random(len(y)) < 0.8, y, 1 - y)
    found = contrast(predictions(table, guess))
    assert found.lo > 0
    assert not found.includes_zero
    assert found.own == pytest.approx(0.8, abs=0.1)
    assert found.other == pytest.approx(0.5, abs=0.08)
    assert found.mean == pytest.approx(found.own - found.other)
    assert found.people == people
    assert found.pairs == people * (people - 1)
    assert found.unit == ("people" if people >= 8 else "trials within people")


def test_same_labels_at_all_times_give_nothing():
    table = make_table(people=8, trials=6, schedule="shared")
    found = contrast(predictions(table, table["y"].to_numpy()))
    assert (found.own, found.other, found.mean) == (1, 1, 0)
    assert found.includes_zero


def test_times_are_matched_within_half_a_hop_and_session_by_session():
    table = make_table(people=2, trials=4, windows=3, sessions=2, seed=5)
    late = table["subject"] == "S1"
    rows = predictions(table, table["y"].to_numpy())
    full = contrast(rows)
    rows.loc[late, "elapsed_s"] += 4.0
    assert contrast(rows).mean == full.mean
    rows.loc[late, "session"] = "9" + rows.loc[late, "session"]
    assert contrast(rows).mean == full.mean
    rows.loc[late, "elapsed_s"] += 10_000.0
    assert contrast(rows) is None


def test_contrast_needs_two_people_and_classes():
    table = make_table(people=1)
    rows = predictions(table, table["y"].to_numpy())
    assert contrast(rows) is None
    with pytest.raises(InputError, match="continuous"):
        contrast(rows.drop(columns=["p_a", "p_b"]))


@pytest.mark.parametrize("classes", [2, 4])
def test_shared_schedules_are_recognised(classes):
    options = {"people": 8, "trials": 8, "windows": 4, "classes": classes}
    shared = make_table(schedule="shared", jitter_s=15.0, **options)
    assert shares_schedule(shared)
    assert clock_agreement(shared) > 0.75
    assert sum(shares_schedule(make_table(**options, seed=s)) for s in range(20)) <= 1


def test_schedule_of_ratings_and_of_one_person():
    table = make_table(people=8, trials=8, schedule="shared")
    ratings = table.assign(y=table["y"] * 3.0 + np.random.default_rng(0).normal(0, 0.3, len(table)))
    assert shares_schedule(ratings)
    assert not shares_schedule(table[table["subject"] == "S0"].reset_index(drop=True))
    assert np.isnan(clock_agreement(table[table["subject"] == "S0"].reset_index(drop=True)))


def test_two_trials_in_one_order_are_a_clock():
    table = make_table(people=2, trials=2, schedule="shared")
    assert shares_schedule(table)


def test_fixed_order_of_stimuli():
    assert fixed_order(make_table(people=5, trials=6, schedule="shared"))
    assert not fixed_order(make_table(people=5, trials=6, schedule="random", seed=3))
    assert not fixed_order(make_table(people=5, trials=6, schedule="shared", stimuli=False))
