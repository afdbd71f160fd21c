"""The person-swap contrast tells the body from the timetable."""

from __future__ import annotations

import numpy as np
import pytest
from windows_double import make_table, predictions

from insula.evaluation.contrast import contrast, lead
from insula.protocols.schedule import clock_agreement, fixed_order, shares_schedule, twins


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
    assert found.p < 0.05
    assert found.share[0] == pytest.approx(found.mean / found.ceiling)


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


def test_contrast_of_ratings_is_in_concordance():
    table = make_table(people=8, trials=8, windows=3, seed=4)
    rng = np.random.default_rng(0)
    rows = predictions(table, table["y"].to_numpy()).drop(columns=["p_a", "p_b"])
    rows["y_true"] = table["y"].to_numpy() * 2.0 + np.repeat(rng.normal(0, 1, len(table) // 3), 3)
    found = contrast(rows.assign(y_pred=rows["y_true"] + rng.normal(0, 0.3, len(rows))))
    assert found.own > 0.9
    assert found.mean == pytest.approx(found.ceiling, abs=0.15)
    assert found.p == 0.001
    clock = rows.assign(y_pred=rows.groupby("elapsed_s")["y_true"].transform("mean"))
    assert abs(contrast(clock).mean) < 0.35
    constant = contrast(rows.assign(y_pred=1.0))
    assert (constant.mean, constant.p) == (0, 1)


def two_orders(people=12, windows=4):
    """NHAHAHANHNAN and its mirror image, half of the people each, as class codes N 0, A 1, H 2."""
    order = np.array(["NAH".index(c) for c in "NHAHAHANHNAN"])
    table = make_table(people=people, trials=12, windows=windows, classes=3, schedule="shared", stimuli=False)
    mirrored = (table["subject"].str[1:].astype(int) % 2).to_numpy() == 1
    place = table["trial_index"].to_numpy()
    return table.assign(y=np.where(mirrored, order[::-1][place], order[place]))


THREE = ("neutral", "angry", "happy")


def test_two_mirrored_orders_are_a_shared_schedule_and_have_a_ceiling():
    table = two_orders()
    assert shares_schedule(table)
    assert clock_agreement(table) < 0.6, "no clock knows who is in which order"
    assert twins(table) == 1
    found = contrast(predictions(table, table["y"].to_numpy(), THREE))
    assert found.ceiling > 0.3
    assert found.mean == found.ceiling
    assert found.share == pytest.approx((1, found.lo / found.ceiling, found.hi / found.ceiling))
    assert found.p == 0.001
    assert found.labellings == 924  # 12 people in two orders of 6: 12! / (6! 6!)


@pytest.mark.slow
def test_the_permutation_test_holds_its_level_on_mirrored_orders():
    table = two_orders(people=10, windows=2)
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        guess = rng.integers(0, 3, (10, 12))[table["subject"].str[1:].astype(int), table["trial_index"]]
        hits += contrast(predictions(table, guess, THREE), permutations=199).p <= 0.05
    assert hits <= 20


def test_a_ceiling_near_zero_has_no_share():
    table = make_table(people=8, trials=8, windows=6, schedule="shared", jitter_s=1.0)
    found = contrast(predictions(table, table["y"].to_numpy()))
    assert found.ceiling < 0.05
    assert np.isnan(found.share).all()
    assert found.labellings == 1


def test_lead_is_paired_over_people():
    table = make_table(people=9, trials=8, windows=4, seed=2)
    y = table["y"].to_numpy()
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(len(y)) < 0.7, y, 1 - y)
    a, b = (contrast(predictions(table, g)) for g in (y, noisy))
    found = lead(a, b)
    assert found.mean == pytest.approx(a.mean - b.mean)
    assert found.lo > 0
    assert found.people == 9


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
