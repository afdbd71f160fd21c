"""Do the time constants matter? The score with them frozen and equal (trained so) and shuffled (after training)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from insula.evaluation.calibration import CURVE
from insula.evaluation.results import Result
from insula.evaluation.scores import mean_over_people, paired
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Shown
from insula.explain.facts import Facts
from insula.explain.replay import again, answer
from insula.explain.time_constants import liquid_layers, shuffled_time_constants
from insula.learning.estimator import Estimator
from insula.learning.personal.personal import DEFAULT
from insula.plots import Interval
from insula.windows.table import Windows


@dataclass(frozen=True)
class Control:
    """Score of a control with its interval, and its difference from the model over people."""

    name: str
    score: float = math.nan
    lo: float = math.nan
    hi: float = math.nan
    difference: float = math.nan
    difference_lo: float = math.nan
    difference_hi: float = math.nan


@dataclass(frozen=True)
class Controls:
    """One row a control."""

    rows: tuple[Control, ...] = ()
    note: str = ""


def _run(evaluated: Evaluated) -> Controls | None:
    if not liquid_layers(evaluated.models[0].model.networks[0]):
        return None
    result = evaluated.result
    tables = [("shuffled", again(evaluated, _with_shuffled), result.of(evaluated.main))]
    name, like = trained_alike(result)
    if like:
        trained = [s.name for s in result.systems if s.role == "control"]
        tables += [(one.removeprefix(f"{name}_"), result.of(one), result.of(like)) for one in trained]
    rows = []
    for how, table, whole in tables:
        found, score = paired(table, whole, result.main_metric), mean_over_people(table, result.main_metric)
        name = f"time constants {how}"
        rows.append(Control(name, score.mean, score.lo, score.hi, found.mean, found.lo, found.hi))
    return Controls(tuple(rows), "difference: control minus model, over people; shuffled after training")


def trained_alike(result: Result) -> tuple[str, str]:
    """Name that those of the trained controls begin with, and the row that is what they are but for time constants.

    Without other people's prior; under a protocol that calibrates, where they are adapted in the usual way, the row
    that is adapted so, empty where there is none.
    """
    first, names = result.systems[0].bare, {s.name for s in result.systems}
    if CURVE not in result.analyses:
        return first, first
    adapted = f"{first}_{DEFAULT}"
    return first, adapted if adapted in names else ""


def _with_shuffled(model: Estimator, windows: Windows) -> Any:
    kept = model.networks
    model.networks = shuffled_time_constants(model, np.random.default_rng(0))
    try:
        return answer(model, windows)
    finally:
        model.networks = kept


def _show(found: Controls, facts: Facts) -> Shown:
    rows = [
        Interval(r.name, r.difference, r.difference_lo, r.difference_hi, "ablation")
        for r in found.rows
        if math.isfinite(r.difference)
    ]
    if not rows:
        return Shown()
    caption = f"""What the score loses when the time constants are tampered with. Intervals that include 0 mean that the
        very values of the time constants do not matter for the score here.{picture.sentence(found.note)}"""
    made = picture.differences(
        facts, "controls", "Do the time constants matter?", caption, rows, ("control is worse", "control is better")
    )
    return Shown(pictures=(made,))


def _lines(found: Controls) -> Iterator[tuple[str, str]]:
    for row in found.rows:
        yield row.name, f"{row.difference:+.3f} [{row.difference_lo:+.3f}, {row.difference_hi:+.3f}]"


CONTROLS = Analysis(
    "controls",
    Controls,
    _run,
    _show,
    _lines,
    methods=(
        "As controls, time constants were shuffled among neurons after training and, where such rows were run, frozen "
        "or made equal before it."
    ),
)
