"""Recipes refuse what cannot be cut, and survive a round trip through JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insula.errors import InputError
from insula.signals.recipe import DEFAULT_SIGNALS, Recipe, SignalRecipe


@given(
    st.integers(1, 12),
    st.sampled_from([0.5, 1.0, 2.0, 7.0]),
    st.integers(0, 5),
    st.sets(st.sampled_from(sorted(DEFAULT_SIGNALS)), min_size=1),
)
def test_json_round_trip(hops: int, hop_s: float, guard: int, modalities: set[str]) -> None:
    recipe = Recipe(window_s=hops * hop_s, hop_s=hop_s, guard_s=guard * hop_s)
    if hop_s >= 1:
        recipe = recipe.only(sorted(modalities))
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"window_s": 0.0}, "window_s"),
        ({"hop_s": -1.0}, "hop_s"),
        ({"window_s": math.nan}, "window_s"),
        ({"window_s": math.inf}, "window_s"),
        ({"guard_s": math.nan}, "guard_s"),
        ({"guard_s": -1.0}, "guard_s"),
        ({"opening_s": -5.0}, "opening_s"),
        ({"window_s": 10.0, "hop_s": 3.0}, "whole number of hops"),
        ({"window_s": 10.0, "hop_s": 20.0}, "Use hop_s 10"),
        ({"window_s": 1e-12, "hop_s": 10.0}, "whole number of hops"),
        ({"window_s": 1e308, "hop_s": 1e-3}, "whole number of hops"),
        ({"min_observed": 0.0}, "min_observed"),
        ({"min_observed": 1.5}, "min_observed"),
    ],
)
def test_bad_cutting_is_refused(changes: dict[str, float], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Recipe(**{"window_s": 10.0, "hop_s": 5.0, **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rate_hz": 0.0}, "rate_hz"),
        ({"rate_hz": math.inf}, "rate_hz"),
        ({"lowpass_hz": 64.0}, "half of rate_hz 128"),
        ({"notch_hz": 0.0}, "notch_hz"),
        ({"order": 0}, "order"),
        ({"reference": "avrage"}, "Did you mean 'average'"),
        ({"limits": (5.0, 1.0)}, "limits"),
    ],
)
def test_bad_cleaning_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        SignalRecipe(**{"rate_hz": 128.0, **changes})


def test_only_keeps_order_and_wants_whole_samples() -> None:
    recipe = Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0)
    assert list(recipe.only(["hr", "eda"]).signals) == ["hr", "eda"]
    with pytest.raises(InputError, match="SignalRecipe for 'audio'"):
        recipe.only(["audio"])
    with pytest.raises(InputError, match=r"hop_s 0.5 is 0.5 samples of hr"):
        Recipe(window_s=4.0, hop_s=0.5, guard_s=0.0).only(["hr"])
    with pytest.raises(InputError, match=r"guard_s 2.5 is 2.5 samples of hr"):
        Recipe(window_s=4.0, hop_s=2.0, guard_s=2.5).only(["hr"])
