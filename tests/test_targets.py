"""Targets: what the user writes, the codes it makes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insula.errors import InputError
from insula.targets import Target, require_target

NAMES = st.from_regex(r"[A-Za-z_][\w.-]{0,8}", fullmatch=True)


@given(NAMES, st.sampled_from([">=", ">", "<=", "<"]), st.floats(allow_nan=False, allow_infinity=False))
def test_threshold_survives_text(name: str, op: str, value: float) -> None:
    target = Target(name, "threshold", op, value)
    assert Target.parse(str(target)) == target


@given(NAMES, st.sampled_from(["auto", "classes", "continuous"]))
def test_kind_survives_text(name: str, kind: str) -> None:
    target = Target(name, kind)  # type: ignore[arg-type]
    assert Target.parse(str(target)) == target


@pytest.mark.parametrize("text", ["", "a b:c", "stress>", "stress>=high", "stress:number", ">=5", "a=5"])
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
    assert classes == (f"not valence{op}5", f"valence{op}5")


def test_wrong_kind_of_label_is_refused() -> None:
    with pytest.raises(InputError, match="text labels"):
        Target.parse("state>=1").encode(["calm"])
    with pytest.raises(InputError, match="continuous"):
        Target.parse("state:continuous").encode(["calm"])


def test_unknown_target_names_the_nearest() -> None:
    require_target(Target("state"), ["state", "valence"])
    with pytest.raises(InputError, match="Did you mean 'valence'"):
        require_target(Target("valance"), ["state", "valence"])
