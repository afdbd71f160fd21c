"""Prediction sets that hold the truth as often as promised for a new person, and answers that may be "don't know"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insula.errors import InputError
from insula.types import BoolArray, DoubleArray, IntArray

ENOUGH_PEOPLE = 20
"""Below this many people sets carry no guarantee that is worth its name."""


@dataclass(frozen=True)
class ConformalSets:
    """Classes whose probability is at least 1 - ``threshold`` make a window's set.

    The threshold is the ``level`` quantile of 1 - p(truth) over people: every person weighs the same, and the new
    person has a weight of its own at infinity, the finite-sample correction (hierarchical conformal prediction, Lee,
    Barber and Willett 2023, arXiv 2306.06342). A window of a new person, exchangeable with those of calibration, has
    its truth in the set with probability of at least ``level``. With fewer people than level / (1 - level) every set
    holds all classes.
    """

    threshold: float
    level: float
    people: int

    @classmethod
    def fit(
        cls, probability: DoubleArray, y: IntArray, people: NDArray[np.object_], level: float = 0.9
    ) -> ConformalSets:
        """Calibrate on predictions (windows, K) for people the model was not trained on, true codes and persons."""
        if not 0 < level < 1:
            raise InputError(f"level {level}; expected between 0 and 1. Use 0.9.")
        if not len(y) or len(probability) != len(y) or len(people) != len(y):
            raise InputError(f"{len(probability)} predictions, {len(y)} labels; expected some, one person each.")
        score = 1 - probability[np.arange(len(y)), y]
        unit = np.unique(people.astype(str), return_inverse=True)[1]
        count = int(unit.max()) + 1
        weight = 1 / (np.bincount(unit)[unit] * (count + 1))
        order = np.argsort(score, kind="stable")
        reached = np.cumsum(weight[order]) >= level - 1e-12
        threshold = float(score[order][reached.argmax()]) if reached.any() else float("inf")
        return cls(threshold, level, count)

    @property
    def guaranteed(self) -> bool:
        """Whether enough people calibrated it."""
        return self.people >= ENOUGH_PEOPLE

    def sets(self, probability: DoubleArray) -> BoolArray:
        """Which classes each window's set holds, (windows, K); the most probable one always."""
        inside = 1 - probability <= self.threshold + 1e-12
        inside[np.arange(len(inside)), probability.argmax(axis=1)] = True
        return np.asarray(inside)


def accuracy_when_answering(probability: DoubleArray, y: IntArray, people: NDArray[np.object_], share: float) -> float:
    """Mean over people of the accuracy on the ``share`` of each person's windows with the highest top probability."""
    if not 0 < share <= 1:
        raise InputError(f"share {share}; expected above 0 and at most 1.")
    right, sure = probability.argmax(axis=1) == y, probability.max(axis=1)
    found = []
    for one in dict.fromkeys(people.tolist()):
        own = np.flatnonzero(people == one)
        kept = own[np.argsort(-sure[own], kind="stable")[: max(1, round(share * own.size))]]
        found.append(float(right[kept].mean()))
    return float(np.mean(found))
