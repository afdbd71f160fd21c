"""The convex start of a network: a linear readout whose columns count by how well trials tell the classes apart.

(?) Ours. A column's relevance is its F ratio between classes over trial means, so that windows of one trial are no
independent witnesses; columns are shrunk by it before a ridge-penalised logistic (or linear) regression. How strongly,
and the penalty, are chosen on inner splits grouped like the outer one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from insula.learning.classical import one_thread
from insula.types import DoubleArray, FloatArray, IntArray

SHRINKS = ("none", "soft", "hard")
"""Every column alike; by 1 - 1/F; by F - 1, in shares of the best column."""
PENALTIES = (0.01, 0.1, 1.0)
"""Inverse strength C of the logistic penalty, and of the linear one."""
USUAL = ("hard", 0.1)
"""Where no inner split exists to choose by."""
CHOOSE_TRIALS = 60
"""With fewer trials the losses of inner splits say too little to choose by."""
MOST_ROWS = 4000
"""Longer training sets are thinned evenly inside trials: neighbouring windows say much the same."""

Split = tuple[IntArray, IntArray]
"""Rows that fit and rows that judge."""


@dataclass(frozen=True)
class Readout:
    """weight (D, K) and bias (K,) of a linear readout (K = 1 for a continuous target), and how it was chosen."""

    weight: FloatArray
    bias: FloatArray
    shrink: str
    penalty: float

    def answer(self, columns: FloatArray) -> DoubleArray:
        """Logits or values of columns (n, D): (n, K)."""
        return np.asarray(columns @ self.weight + self.bias, np.float64)


@dataclass(frozen=True)
class Rows:
    """What a readout learns from: columns (n, D), targets (n,), weights (n,), the trial of each row (n,)."""

    columns: FloatArray
    y: DoubleArray | IntArray
    weight: FloatArray
    trial: IntArray

    def take(self, rows: IntArray) -> Rows:
        return Rows(self.columns[rows], self.y[rows], self.weight[rows], self.trial[rows])

    def thinned(self) -> Rows:
        """At most about `MOST_ROWS` rows."""
        step = -(-len(self.y) // MOST_ROWS)
        return self if step < 2 else self.take(np.arange(0, len(self.y), step, dtype=np.int64))


def fit_readout(rows: Rows, splits: Sequence[Split], classes: int) -> Readout:
    """Choose shrink and penalty by the held-out loss of inner splits, then fit on all rows.

    The usual ones stay unless others have a lower loss in every split: with few trials the losses say little.

    ``classes`` is 0 for a continuous target.
    """
    enough = len(np.unique(rows.trial)) >= CHOOSE_TRIALS
    with one_thread():
        shrink, penalty = _choice(rows, splits, classes) if splits and enough else USUAL
        return _fitted(rows.thinned(), shrink, penalty, classes)


def refitted(rows: Rows, like: Readout, classes: int) -> Readout:
    """Fit other rows with the shrink and penalty of a readout."""
    with one_thread():
        return _fitted(rows.thinned(), like.shrink, like.penalty, classes)


def loss(logits: DoubleArray, y: DoubleArray | IntArray, classes: int) -> float:
    """Cross entropy, each class counting alike (mean squared error of a continuous target)."""
    if not classes:
        return float(np.square(logits[:, 0] - y).mean())
    shifted = logits - logits.max(1, keepdims=True)
    each = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(y)), y.astype(np.int64)]
    return float(np.mean([each[y == one].mean() for one in np.unique(y)]))


def relevance(rows: Rows, classes: int) -> DoubleArray:
    """F ratio of every column over trial means, (D,)."""
    names, unit = np.unique(rows.trial, return_inverse=True)
    count = np.bincount(unit, minlength=len(names)).astype(np.float64)
    means = np.zeros((len(names), rows.columns.shape[1]))
    np.add.at(means, unit, rows.columns)
    means /= count[:, None]
    y = np.bincount(unit, rows.y, minlength=len(names)) / count
    if not classes:
        centred, y = means - means.mean(0), y - y.mean()
        r2 = (y @ centred) ** 2 / np.maximum((y @ y) * (centred**2).sum(0), 1e-12)
        return np.asarray(r2 * max(len(y) - 2, 1) / np.maximum(1 - r2, 1e-9))
    labels = np.round(y).astype(np.int64)
    between = np.zeros(means.shape[1])
    within = np.zeros(means.shape[1])
    found = np.unique(labels)
    for one in found:
        own = means[labels == one]
        between += len(own) * (own.mean(0) - means.mean(0)) ** 2
        within += ((own - own.mean(0)) ** 2).sum(0)
    freedom = max(len(labels) - len(found), 1)
    return np.asarray(between / max(len(found) - 1, 1) / np.maximum(within / freedom, 1e-9))


def shrunk(ratio: DoubleArray, how: str) -> DoubleArray:
    """How much of each column is kept, 0 to 1; all of all where none tells anything."""
    if how == "none":
        return np.ones_like(ratio)
    kept = np.maximum(1 - 1 / np.maximum(ratio, 1e-9), 0) if how == "soft" else np.maximum(ratio - 1, 0)
    return kept / kept.max() if kept.max() > 0 else np.ones_like(ratio)


def _choice(rows: Rows, splits: Sequence[Split], classes: int) -> tuple[str, float]:
    found: dict[tuple[str, float], list[float]] = {(how, c): [] for how in SHRINKS for c in PENALTIES}
    for inside, held_out in splits:
        judge = rows.take(held_out).thinned()
        fitting = rows.take(inside).thinned()
        for (how, c), losses in found.items():
            losses.append(loss(_fitted(fitting, how, c, classes).answer(judge.columns), judge.y, classes))
        usual = found[USUAL]
        found = {one: losses for one, losses in found.items() if one == USUAL or losses[-1] < usual[-1]}
    return min(found, key=lambda one: (one == USUAL, sum(found[one])))


def _fitted(rows: Rows, shrink: str, penalty: float, classes: int) -> Readout:
    spread = rows.columns.std(0)
    keep = shrunk(relevance(rows, classes), shrink) / np.where(spread > 1e-6, spread, 1.0)
    columns = rows.columns * keep
    used = keep > 0
    width = max(classes, 1)
    weight, bias = np.zeros((rows.columns.shape[1], width)), np.zeros(width)
    if not classes:
        from sklearn.linear_model import Ridge

        model: Any = Ridge(alpha=10 / penalty).fit(columns[:, used], rows.y, rows.weight)
        weight[used, 0], bias[0] = model.coef_, model.intercept_
    elif len(np.unique(rows.y)) > 1:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=1000)
        model.fit(columns[:, used], rows.y.astype(np.int64), rows.weight)
        coef, intercept = model.coef_, model.intercept_
        if len(coef) == 1:
            coef, intercept = np.concatenate([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
        bias[:] = intercept.min() - 10  # a class that training lacks
        weight[np.ix_(used, model.classes_)], bias[model.classes_] = coef.T, intercept
    weight *= keep[:, None]
    return Readout(weight.astype(np.float32), bias.astype(np.float32), shrink, penalty)
