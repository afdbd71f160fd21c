"""Sentences that were once said and must never be said again, each from the numbers that led to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from insula.evaluation.contrast import Contrast
from insula.evaluation.scores import Interval
from insula.evaluation.verdict import Evidence, Opponent, decide


def span(mean: float, half: float, people: int = 15) -> Interval:
    return Interval(mean, mean - half, mean + half, people, "people")


def swapped(mean: float, half: float, ceiling: float, p: float, people: int = 15) -> Contrast:
    return Contrast(
        0.5 + mean, 0.5, mean, mean - half, mean + half, ceiling, p, 10_000, people, people * (people - 1), {}
    )


STRONG = Evidence(
    score=span(0.7, 0.05), chance=0.5, people=15, trials=300, labellings=10_000,
    contrast=swapped(0.19, 0.04, 0.45, 0.001), opponent=Opponent("Elapsed time and time in trial", span(0.15, 0.05)),
    null={"enough": True, "shuffles": 20, "p": 0.048},
)  # fmt: skip
"""A row that follows the person by every test."""


def test_the_reference_is_a_claim() -> None:
    found = decide(STRONG)
    assert (found.step, found.tone, found.provisional) == (4, "good", False)


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        pytest.param({"people": 2, "score": span(0.507, 0.001, 2)}, 1, id="two people and 50.7 %"),
        pytest.param({"people": 1, "trials": 12, "contrast": None}, 1, id="12 trials of one person"),
        pytest.param({"contrast": swapped(0.005, 0.004, 0.045, 0.001)}, 1, id="a ceiling of .045"),
        pytest.param({"score": span(0.52, 0.03)}, 2, id="a mean above chance whose interval holds it"),
        pytest.param({"null": {"enough": True, "shuffles": 20, "p": 1.0}}, 2, id="p of 1"),
        pytest.param({"contrast": swapped(0.01, 0.03, 0.45, 0.4)}, 3, id="other people's labels fit as well"),
        pytest.param({"opponent": Opponent("Elapsed", span(0.05, 0.08))}, 3, id="a tie with the clock"),
    ],
)
def test_what_is_not_shown_is_not_claimed(changes: dict[str, Any], step: int) -> None:
    found = decide(replace(STRONG, **changes))
    assert found.step == step
    assert not found.claims
    assert found.tone != "good"
    assert found.why
    assert "does not recognise" not in found.sentence


@pytest.mark.parametrize("null", [None, {"enough": True, "shuffles": 1, "p": 0.5}])
def test_without_enough_shuffles_a_claim_is_provisional(null: dict[str, Any] | None) -> None:
    found = decide(replace(STRONG, null=null))
    assert found.claims
    assert found.provisional
    assert found.tone == "unclear"
    assert found.text.startswith("provisional: ")


@pytest.mark.parametrize("marks", ["leaky", "session scope", "transductive"])
def test_marked_rows_have_their_mark_first_and_no_tick(marks: str) -> None:
    found = decide(replace(STRONG, marks=marks))
    assert found.text.startswith(f"{marks}: ")
    assert found.tone != "good"


def test_better_needs_a_declared_row_and_an_interval_above_0() -> None:
    tie, lead = Opponent("Forest", span(0.02, 0.05)), Opponent("Forest", span(0.08, 0.05))
    assert decide(replace(STRONG, declared=tie)).step == 4
    assert decide(replace(STRONG, declared=lead)).step == 5


def test_a_real_effect_is_found_although_the_trials_number_is_the_label() -> None:
    """Four classes, 15 people, contrast .19 [.15, .23]: the design oracle is perfect and no opponent."""
    found = decide(replace(STRONG, score=span(0.42, 0.04), chance=0.25, null=None))
    assert found.step == 4
    assert found.text.startswith("provisional: follows the person, 42 % [33, 51]")


def test_rows_without_signal_are_judged_by_nothing() -> None:
    found = decide(replace(STRONG, signal_free=True))
    assert (found.text, found.tone, found.claims) == ("signal-free row", "none", False)
