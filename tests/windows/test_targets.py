"""Targets: what the user writes, the codes it makes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_cohort import RECIPE, trial

from insula.errors import InputError
from insula.types import Label, Recording
from insula.windows.cutting import cut
from insula.windows.table import label_text
from insula.windows.targets import Target, is_ordered, require_target

NAMES = st.from_regex(r"[A-Za-z_][\w.-]{0,8}", fullmatch=True)


@given(NAMES, st.sampled_from([">=", ">", "<=", "<"]), st.floats(allow_nan=False, allow_infinity=False))
def test_threshold_survives_text(name: str, op: str, value: float) -> None:
    target = Target(name, "threshold", op, value)
    assert Target.parse(str(target)) == target


@given(NAMES, st.sampled_from(["auto", "classes", "continuous"]))
def test_kind_survives_text(name: str, kind: str) -> None:
    target = Target(name, kind)  # type: ignore[arg-type]
    assert Target.parse(str(target)) == target


@given(NAMES, NAMES, st.sampled_from([">=", ">"]), st.floats(allow_nan=False, allow_infinity=False))
def test_quadrants_survive_text(one: str, other: str, op: str, value: float) -> None:
    target = Target(f"{one},{other}", "quadrants", op, value)
    if one == other:
        with pytest.raises(InputError, match="two ratings"):
            Target.parse(str(target))
        return
    assert Target.parse(str(target)) == target
    assert target.names == (one, other)


@given(NAMES)
def test_own_median_survives_text(name: str) -> None:
    target = Target(name, "median", ">")
    assert Target.parse(str(target)) == target


@pytest.mark.parametrize(
    "text", ["", "a b:c", "stress>", "stress>=high", "stress:number", ">=5", "a=5", "a,b,c>5", "a,>5", "a>medians"]
)
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(InputError, match="expected NAME"):
        Target.parse(text)


def test_text_labels_become_sorted_classes() -> None:
    codes, classes = Target.parse("state").encode(["tense", "calm", "tense"])
    assert classes == ("calm", "tense")
    assert codes.tolist() == [1, 0, 1]
    assert codes.dtype == np.int64


def test_numbers_are_continuous_unless_classes_are_asked_for() -> None:
    values, none = Target.parse("valence").encode([3.0, 7.5])
    assert none == ()
    assert values.tolist() == [3.0, 7.5]
    codes, classes = Target.parse("level:classes").encode([10.0, 2.0, 10.0])
    assert classes == ("2", "10")
    assert codes.tolist() == [1, 0, 1]


@pytest.mark.parametrize(("op", "codes"), [(">=", [0, 1, 1]), (">", [0, 0, 1]), ("<=", [1, 1, 0]), ("<", [1, 0, 0])])
def test_threshold_makes_two_classes(op: str, codes: list[int]) -> None:
    found, classes = Target.parse(f"valence {op} 5").encode([4.0, 5.0, 6.0])
    assert found.tolist() == codes
    other = {">=": "<", ">": "<=", "<=": ">", "<": ">="}[op]
    assert classes == (f"valence{other}5", f"valence{op}5")


def test_wrong_kind_of_label_is_refused() -> None:
    with pytest.raises(InputError, match="text labels"):
        Target.parse("state>=1").encode(["calm"])
    with pytest.raises(InputError, match="continuous"):
        Target.parse("state:continuous").encode(["calm"])


def test_unknown_target_names_the_nearest() -> None:
    require_target(Target("state"), ["state", "valence"])
    with pytest.raises(InputError, match="Did you mean 'valence'"):
        require_target(Target("valance"), ["state", "valence"])
    with pytest.raises(InputError, match="Did you mean 'arousal'"):
        require_target(Target.parse("valence,arousel>=5"), ["arousal", "valence"])


def test_quadrants_make_four_classes_named_in_words() -> None:
    target = Target.parse("valence, arousal >= 5")
    ratings = [(4.9, 4.0), (1.0, 5.0), (5.0, 4.9), (9.0, 9.0)]
    codes, classes = target.encode(ratings)
    assert codes.tolist() == [0, 1, 2, 3]
    assert codes.dtype == np.int64
    assert classes == (
        "low valence, low arousal",
        "low valence, high arousal",
        "high valence, low arousal",
        "high valence, high arousal",
    )
    assert Target.parse("valence,arousal>5").encode([(5.0, 5.0)])[0].tolist() == [0]


@pytest.mark.parametrize("text", ["valence,arousal", "valence,arousal<5", "valence,arousal>median", "a,b:classes"])
def test_quadrants_need_a_number_to_be_above(text: str) -> None:
    with pytest.raises(InputError, match="expected NAME,NAME>=NUMBER"):
        Target.parse(text)


def test_a_trial_needs_both_ratings_of_quadrants() -> None:
    target = Target.parse("valence,arousal>=5")
    assert target.of({"valence": 3.0, "arousal": 7.0, "emotion": "calm"}) == (3.0, 7.0)
    assert target.of({"valence": 3.0}) is None
    assert target.of({"valence": 3.0, "arousal": float("nan")}) is None
    assert Target("emotion").of({"emotion": "calm"}) == "calm"
    assert Target("emotion").of({}) is None


def test_own_median_keeps_the_ratings() -> None:
    values, classes = Target.parse("valence>median").encode([3.0, 7.5, 5.0])
    assert values.tolist() == [3.0, 7.5, 5.0]
    assert values.dtype == np.float64
    assert classes == ("valence<=median", "valence>median")
    with pytest.raises(InputError, match="text labels"):
        Target.parse("state>median").encode(["calm"])
    with pytest.raises(InputError, match="equal to the median is not above"):
        Target.parse("valence>=median")


def test_windows_of_quadrants_carry_the_class_of_their_trial() -> None:
    rng = np.random.default_rng(0)
    ratings: list[dict[str, Label]] = [
        {"valence": 2.0, "arousal": 8.0},
        {"valence": 8.0, "arousal": 2.0},
        {"valence": 5.0, "arousal": 5.0},
        {"valence": 5.0},
        {"valence": 1.0, "arousal": 1.0},
    ]
    trials = tuple(trial(rng, "ann", f"t{i}", 12.0 * i, 12.0, 0.0, labels=r) for i, r in enumerate(ratings))
    found = cut([Recording("ann", "s1", trials)], RECIPE, "valence,arousal>=5")
    assert found.schema.target == "valence,arousal>=5"
    assert found.y.dtype == np.int64
    classes = {t: label_text(found.schema, y) for t, y in zip(found.table["trial"], found.y, strict=True)}
    assert classes == {
        "t0": "low valence, high arousal",
        "t1": "high valence, low arousal",
        "t2": "high valence, high arousal",
        "t4": "low valence, low arousal",
    }
    with pytest.raises(InputError, match="one class only, 'low valence, low arousal'"):
        cut([Recording("ann", "s1", trials)], RECIPE, "valence,arousal>9")


def test_bins_make_ordered_classes_of_any_rating():
    target = Target.parse("valence:bins=3,5.5,7")
    assert str(target) == "valence:bins=3,5.5,7"
    assert Target.parse(str(target)) == target
    codes, classes = target.encode([1.0, 3.0, 2.99, 5.4999, 5.5, 7, 9])
    assert classes == ("valence<3", "3<=valence<5.5", "5.5<=valence<7", "valence>=7")
    assert codes.tolist() == [0, 1, 0, 1, 2, 3, 3]
    assert is_ordered(classes)
    assert is_ordered(Target.parse("valence:classes").encode([2, 10, 9.5])[1])
    assert not is_ordered(("happy", "sad"))
    assert not is_ordered(())
    with pytest.raises(InputError, match="rise"):
        Target.parse("valence:bins=5,3")
    with pytest.raises(InputError, match="text labels"):
        target.encode(["low"])
    with pytest.raises(InputError, match="bins=NUMBER"):
        Target.parse("valence:bins=")
