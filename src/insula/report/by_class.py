"""How well each class is told from the others: ROC curves, precision, recall, F1 and AUC, means over people."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from insula import plots
from insula.evaluation.scores import Interval, over_people
from insula.explain import facts as read
from insula.explain import picture
from insula.explain.analysis import Cell, Table, TableRow
from insula.explain.facts import Facts
from insula.explain.picture import Picture
from insula.learning.metrics import auc
from insula.types import BoolArray, DoubleArray

_GRID = np.linspace(0, 1, 101)
_WORDS = {
    "accuracy": "plain accuracy",
    "macro_precision": "macro precision",
    "balanced_accuracy": "macro recall (balanced accuracy)",
    "weighted_f1": "weighted F1",
}
"""Scores that papers print, and what to call them."""


@dataclass(frozen=True)
class ClassScore:
    """One class against the rest: windows, means over people (NaN where nobody has one), and the ROC at 101 places."""

    name: str
    windows: int
    precision: float
    recall: float
    f1: float
    area: Interval
    found: DoubleArray


def class_scores(facts: Facts) -> tuple[ClassScore, ...]:
    """Score each class of the headline; empty for a continuous target or without chances."""
    classes = facts.result.classes
    frame = facts.predictions(facts.headline.system)
    p = read.probabilities(frame, classes)
    if p is None:
        return ()
    people = frame["subject"].astype(str).to_numpy()
    true, said = read.codes(frame, "y_true", classes), read.codes(frame, "y_pred", classes)
    out = []
    for k, name in enumerate(classes):
        rows: list[tuple[float, float, float, float]] = []
        curves = []
        for who in facts.people:
            own = people == who
            truth, answer, chance = true[own] == k, said[own] == k, p[own, k]
            both = int((truth & answer).sum())
            own_area, curve = _roc(truth, chance)
            share = both / truth.sum() if truth.any() else math.nan
            right = both / answer.sum() if answer.any() else math.nan
            total = int(truth.sum() + answer.sum())
            rows.append((right, share, 2 * both / total if truth.any() else math.nan, own_area))
            if curve is not None:
                curves.append(curve)
        table = np.array(rows)
        middle = [float(np.nanmean(c)) if np.isfinite(c).any() else math.nan for c in table.T[:3]]
        found = np.mean(curves, axis=0) if curves else np.full(len(_GRID), np.nan)
        area = over_people(table[:, 3])
        out.append(ClassScore(name, int((true == k).sum()), middle[0], middle[1], middle[2], area, found))
    return tuple(out)


def _roc(truth: BoolArray, chance: DoubleArray) -> tuple[float, DoubleArray | None]:
    """Area and true alarms at each share of false alarms of one person; NaN where only one side occurs."""
    from sklearn.metrics import roc_curve

    if truth.all() or not truth.any():
        return math.nan, None
    false, found, _ = roc_curve(truth, chance)
    curve = np.interp(_GRID, false, found)
    curve[0] = 0.0
    return auc(truth.astype(np.int64), np.column_stack([1 - chance, chance])), curve


def roc(facts: Facts) -> Picture | None:
    """Draw the ROC curve of each class, mean over people."""
    scores = [s for s in class_scores(facts) if np.isfinite(s.found).all()]
    if not scores:
        return None
    best, worst = max(scores, key=lambda s: s.area.mean), min(scores, key=lambda s: s.area.mean)
    caption = f"""Each label against all others as the bar for naming it is lowered: the share of its windows that are
        found, over the share of other windows named by mistake; mean over people. Guessing lies on the dashed line
        (area .5). Told best: {best.name} ({best.area.mean:.2f}); worst: {worst.name} ({worst.area.mean:.2f})."""
    curves = [plots.Roc(s.name, _GRID, s.found, s.area.mean) for s in scores]
    alt = "Area under the curve: " + ", ".join(f"{s.name} {s.area.mean:.2f}" for s in scores)
    return picture.make("roc", "Each label against the others", caption, alt, plots.roc, curves)


def class_table(facts: Facts) -> Table | None:
    """Precision, recall, F1 and AUC of each class, and under it the scores that papers print of them together."""
    scores = class_scores(facts)
    if not scores:
        return None
    rows = []
    for s in scores:
        span = f"{s.area.lo:.2f} to {s.area.hi:.2f}" if math.isfinite(s.area.lo) else ""
        cells = [Cell(f"{s.windows:,}", s.windows)]
        cells += [_cell(v) for v in (s.precision, s.recall, s.f1)]
        rows.append(TableRow(s.name, (*cells, _cell(s.area.mean, span))))
    table = facts.result.table()
    shown = [r for r in (facts.headline, facts.rival) if r is not None]
    legend = ["means over people; precision and recall of people who have the label, precision where it was named"]
    for row in shown:
        own = table[table["name"] == row.system].iloc[0]
        told = ", ".join(f"{title} {read.real(own.get(name)):.3f}" for name, title in _WORDS.items())
        legend.append(f"{row.title}: {told}")
    columns = ("label", "windows", "precision", "recall", "F1", "AUC")
    return Table("classes", "Scores of each label", columns, tuple(rows), tuple(legend))


def _cell(value: float, small: str = "") -> Cell:
    return Cell(f"{value:.2f}" if math.isfinite(value) else "–", value if math.isfinite(value) else None, small)
