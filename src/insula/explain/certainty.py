"""Can it say "don't know": prediction sets calibrated over people, and accuracy when only sure answers count."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from insula import plots
from insula.evaluation.results import Result
from insula.explain import picture
from insula.explain.analysis import Analysis, Cell, Evaluated, Shown, Table, TableRow
from insula.explain.facts import Facts
from insula.learning.personal.conformal import ENOUGH_PEOPLE, ConformalSets, accuracy_when_answering
from insula.types import IntArray

LEVEL = 0.9
SHARES = (1.0, 0.9, 0.75, 0.5, 0.25, 0.1)


@dataclass(frozen=True)
class Certainty:
    """What sets and abstention of the first system came to, each person's sets calibrated on the other people.

    ``covered`` is the mean share of a person's windows whose set held the truth, ``least`` that of the worst person,
    ``size`` the mean number of classes in a set; ``accuracy`` belongs to ``shares`` of the windows answered.
    """

    level: float
    people: int
    classes: int
    covered: float = math.nan
    least: float = math.nan
    size: float = math.nan
    shares: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()


def certainty(result: Result) -> Certainty | None:
    """Measure sets and abstention on a result's predictions; None for numbers, and for one person."""
    if not result.classes:
        return None
    own = result.predictions[result.predictions["system"] == result.systems[0].name]
    people = own["subject"].astype(str).to_numpy(object)
    names = list(dict.fromkeys(people.tolist()))
    if len(names) < 2:
        return None
    chances = own[[f"p_{c}" for c in result.classes]].to_numpy(np.float64)
    code = {c: i for i, c in enumerate(result.classes)}
    y: IntArray = np.asarray(own["y_true"].astype(str).map(code), np.int64)
    covered, size = [], []
    for one in names:
        mine = people == one
        inside = ConformalSets.fit(chances[~mine], y[~mine], people[~mine], LEVEL).sets(chances[mine])
        covered.append(float(inside[np.arange(mine.sum()), y[mine]].mean()))
        size.append(float(inside.sum(axis=1).mean()))
    accuracy = tuple(accuracy_when_answering(chances, y, people, share) for share in SHARES)
    mean_covered, mean_size = float(np.mean(covered)), float(np.mean(size))
    return Certainty(
        LEVEL, len(names), len(result.classes), mean_covered, min(covered), mean_size, SHARES, accuracy
    )  # fmt: skip


def _run(evaluated: Evaluated) -> Certainty | None:
    return certainty(evaluated.result)


def sentences(found: Certainty) -> tuple[str, ...]:
    """Say what the figures are worth."""
    guarantee = (
        "" if found.people > ENOUGH_PEOPLE else f" With {found.people} people there is no guarantee behind it "
        f"(fewer than {ENOUGH_PEOPLE} calibrate a person's sets)."
    )  # fmt: skip
    useless = (
        " Sets of nearly all classes say that the model is seldom sure of anything."
        if found.size > 0.9 * found.classes
        else ""
    )
    quarter = min(range(len(found.shares)), key=lambda i: abs(found.shares[i] - 0.25))
    gain = found.accuracy[quarter] - found.accuracy[0]
    sure = (
        "its surest answers are not better than the others"
        if gain < 0.02
        else f"its surest quarter of answers is right more often by {100 * gain:.0f} points"
    )
    return (
        f"Prediction sets meant to hold the truth in {100 * found.level:.0f} % of windows, calibrated on the other "
        f"people, held it in {100 * found.covered:.0f} % (worst person {100 * found.least:.0f} %) with "
        f"{found.size:.1f} of {found.classes} classes a set.{guarantee}{useless}",
        f"Allowed to say \u201cdon\u2019t know\u201d, {sure}.",
    )


def _show(found: Certainty, _facts: Facts) -> Shown:
    told = "; ".join(f"{s:.0%} answered {a:.1%} right" for s, a in zip(found.shares, found.accuracy, strict=True))
    made = picture.make(
        "coverage", "Accuracy when only sure answers count",
        """The surest answers of every person, by the highest chance. A line that rises to the right knows when it does
        not know; one that stays at the dashed line, accuracy of all answers, withholds the wrong ones no more often
        than the right ones.""",
        told, plots.coverage, found.shares, found.accuracy, tick=lambda v: f"{100 * v:.0f}\u00a0%",
    )  # fmt: skip
    rows = tuple(
        TableRow(f"{100 * share:.0f}\u00a0%", (Cell(f"{100 * right:.1f}\u00a0%", right),))
        for share, right in zip(found.shares, found.accuracy, strict=True)
    )
    table = Table(
        "certainty", "Accuracy when only sure answers count", ("windows answered", "of these right"), rows,
        ("Each person's windows with the highest top probability; plain accuracy, mean over people.",),
    )  # fmt: skip
    return Shown(sentences(found), (table,), pictures=(made,))


def _lines(found: Certainty) -> Iterator[tuple[str, str]]:
    yield "prediction sets", sentences(found)[0]
    yield "don't know", sentences(found)[1]


def _renew(old: Certainty, _before: Result, after: Result) -> Certainty:
    return certainty(after) or old


CERTAINTY: Analysis[Certainty] = Analysis(
    "certainty",
    Certainty,
    _run,
    _show,
    _lines,
    methods="Prediction sets were calibrated over people by hierarchical conformal prediction.",
    needs_models=False,
    renew=_renew,
)
