"""One person's signals reduced to curves and spoiled seconds."""

from __future__ import annotations

import json

import numpy as np
import pytest

from insula.data.looking import POINTS, curve, look
from insula.errors import DataError
from insula.signals.recipe import Recipe, SignalRecipe
from insula.types import Recording, Signal, Trial

RECIPE = Recipe(signals={"eda": SignalRecipe(rate_hz=4.0)}, window_s=10.0, hop_s=5.0)


def recording(values: np.ndarray) -> Recording:
    eda = Signal(values[None].astype(np.float32), 4.0, ("EDA",), "uS", start_s=100.0)
    return Recording(
        "p1", "only", (Trial("p1", "only", "t1", 100.0, 100.0 + len(values) / 4, {"eda": eda}, {"mood": "calm"}),)
    )


def test_a_curve_keeps_every_extreme() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=4 * 600)
    values[1234] = 9.0
    one = recording(values).trials[0]
    found = curve(one.signals["eda"], 0, one)
    assert len(found.low) == len(found.high) == POINTS
    assert max(v for v in found.high if v is not None) == 9.0
    assert found.high.index(9.0) == 1234 * POINTS // len(values)
    assert all(a is not None and b is not None and a <= b for a, b in zip(found.low, found.high, strict=True))


def test_spoiled_seconds_are_told_and_what_is_missing_has_no_curve() -> None:
    values = 2 + np.random.default_rng(1).normal(size=240) * 0.1
    values[80:120] = np.nan
    values[160:240] = values[160]
    found = look([recording(values)], RECIPE)
    signal = found.trials[0].signals[0]
    assert signal.spoiled == (*range(20, 30), *range(40, 60))
    assert signal.told == "flat 33%, gap 17%"
    assert signal.curves[0].low[100] is None
    assert json.loads(json.dumps(found.to_dict()))["trials"][0]["labels"] == {"mood": "calm"}


def test_nobody_is_an_error() -> None:
    with pytest.raises(DataError, match="0 recordings of this person"):
        look([], RECIPE)
