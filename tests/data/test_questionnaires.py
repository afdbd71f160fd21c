"""Questionnaires scored by hand and by insula."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from insula.data.questionnaires import QUESTIONNAIRES, recognise, score
from insula.errors import InputError


def sheet(prefix: str, answers: list[int]) -> tuple[pd.DataFrame, list[str]]:
    names = [f"{prefix}{i}" for i in range(1, len(answers) + 1)]
    return pd.DataFrame([list(map(str, answers))], columns=names), names


def test_bfi_10_by_hand() -> None:
    table, names = sheet("bfi_", [2, 4, 1, 2, 3, 5, 2, 4, 4, 5])
    scores, notes = score(table, "bfi10", names)
    # (6-2+5)/2, (4+6-2)/2, (6-1+4)/2, (6-2+4)/2, (6-3+5)/2
    assert {k: v[0] for k, v in scores.items()} == {
        "extraversion": 4.5, "agreeableness": 4, "conscientiousness": 4.5, "neuroticism": 4, "openness": 4,
    }  # fmt: skip
    assert notes == ["BFI-10 scored after Rammstedt & John 2007; 5 of 10 items reversed"]


def test_panas_and_stai_by_hand() -> None:
    positive = {1, 3, 5, 9, 10, 12, 14, 16, 17, 19}
    table, names = sheet("PANAS", [4 if i in positive else 2 for i in range(1, 21)])
    scores, _ = score(table, "panas", names)
    assert (scores["positive_affect"][0], scores["negative_affect"][0]) == (40, 20)
    for name, at_ease in (("stai_state", 10), ("stai_trait", 9)):
        table, names = sheet("STAI-S", [4] * 20)
        scores, _ = score(table, name, names)
        assert next(iter(scores.values()))[0] == at_ease * 1 + (20 - at_ease) * 4


def test_neo_ffi_covers_sixty_items_and_shifts_answers_of_one_to_five() -> None:
    one = QUESTIONNAIRES["neo_ffi"]
    assert sorted(i for items in one.scales.values() for i in items) == list(range(1, 61))
    table, names = sheet("neo_ffi_", [5 if i % 2 else 1 for i in range(60)])
    scores, notes = score(table, "neo_ffi", names)
    assert all(0 <= v[0] <= 48 for v in scores.values())
    assert notes[-1] == "NEO-FFI: answers of 1 to 5 taken as 0 to 4"


@pytest.mark.parametrize("name", list(QUESTIONNAIRES))
def test_turning_every_answer_round_turns_every_score_round(name: str) -> None:
    one = QUESTIONNAIRES[name]
    answers = np.random.default_rng(0).integers(one.low, one.high + 1, size=one.items)
    answers[:2] = one.low, one.high
    table, names = sheet("q", answers.tolist())
    other, _ = sheet("q", (one.low + one.high - answers).tolist())
    for scale, items in one.scales.items():
        a, b = score(table, name, names)[0][scale][0], score(other, name, names)[0][scale][0]
        assert a + b == pytest.approx((one.low + one.high) * (len(items) if one.how == "sum" else 1))


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ([f"BFI-10_{i}" for i in range(1, 11)], ["bfi10"]),
        ([f"bfi{i:02d}" for i in range(1, 11)], ["bfi10"]),
        ([f"panas_q{i}" for i in range(1, 21)], ["panas"]),
        ([f"STAI_S{i}" for i in range(1, 21)], ["stai_state"]),
        ([f"STAI_T_{i}" for i in range(1, 21)], ["stai_trait"]),
        ([f"stai{i}" for i in range(1, 41)], ["stai_state", "stai_trait"]),
        ([f"NEO-FFI.{i}" for i in range(1, 61)], ["neo_ffi"]),
        ([f"bfi{i}" for i in range(1, 10)], []),
        (["age", "sex", "time"], []),
    ],
)
def test_questionnaires_are_recognised_by_their_columns(columns: list[str], found: list[str]) -> None:
    assert list(recognise(["code", *columns])) == found


def test_answers_off_the_scale_and_missing_ones() -> None:
    table, names = sheet("bfi", [9] * 10)
    with pytest.raises(InputError, match="BFI-10 answers of 9 to 9; expected 1 to 5"):
        score(table, "bfi10", names)
    table.loc[0, "bfi6"] = ""
    table = table.replace("9", "3")
    scores, _ = score(table, "bfi10", names)
    assert np.isnan(scores["extraversion"][0])
    assert scores["openness"][0] == 3
    with pytest.raises(InputError, match="questionnaire 'bfi44'; expected one of"):
        score(table, "bfi44", names)
    with pytest.raises(InputError, match="9 columns for BFI-10; expected 10"):
        score(table, "bfi10", names[:9])
