"""Scores, their mean over people with intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from insula.errors import InputError, unknown_name
from insula.learning.metrics import METRICS, Metric
from insula.types import DoubleArray, IntArray

FEW_PEOPLE = 8
"""Below this many people the bootstrap draws trials within people instead of people."""


def classes_of(predictions: pd.DataFrame) -> tuple[str, ...]:
    """Class names of a prediction table, from its ``p_<class>`` columns; empty for a continuous target."""
    return tuple(str(c)[2:] for c in predictions.columns if str(c).startswith("p_"))


def pooled(predictions: pd.DataFrame, metric: str) -> float:
    """Score all windows together, people mixed: report it only under the name pooled."""
    return _Rows.of(predictions, metric).score(np.arange(len(predictions)))


def per_person(predictions: pd.DataFrame, metric: str) -> pd.Series:
    """Score each person's windows of one system; indexed by subject."""
    rows = _Rows.of(predictions, metric)
    scores = {s: rows.score(i) for s, i in _people(predictions).items()}
    return pd.Series(scores, name=metric, dtype=float)


@dataclass(frozen=True)
class Interval:
    """A mean over people and its interval; ``unit`` says what the bootstrap drew, ``people`` how many have a score."""

    mean: float
    lo: float
    hi: float
    people: int
    unit: str

    @property
    def text(self) -> str:
        few = "" if self.unit == "people" else f" ({self.unit} drawn: fewer than {FEW_PEOPLE} people)"
        return f"{self.mean:.3f} [{self.lo:.3f}, {self.hi:.3f}] over {self.people} people{few}"


def mean_over_people(
    predictions: pd.DataFrame, metric: str, *, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Mean score over people of one system, with a percentile bootstrap interval.

    Whole people are drawn; below 8 people trials within people, and ``unit`` says so. People without a defined score
    (one class only for AUC, say) are not counted.
    """
    return _interval(predictions, [_Rows.of(predictions, metric)], lambda s: s[0], resamples, seed, level)


def to_trials(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row a trial: mean probability over its windows and the class it favours, or the mean value.

    Trials are told apart by system (where the column exists), subject, session and trial.
    """
    keys = [c for c in ("system", "subject", "session", "trial") if c in predictions]
    classes = classes_of(predictions)
    grouped = predictions.groupby(keys, sort=False, dropna=False)
    rules: dict[str, str] = {f"p_{c}": "mean" for c in classes}
    rules |= {c: "first" for c in ("fold", "stimulus") if c in predictions}
    rules |= {c: r for c, r in (("start_s", "min"), ("stop_s", "max"), ("elapsed_s", "max")) if c in predictions}
    rules |= {"y_true": "first"} if classes else {"y_true": "mean", "y_pred": "mean"}
    trials = grouped.agg(rules).reset_index()
    if classes:
        best = trials[[f"p_{c}" for c in classes]].to_numpy().argmax(axis=1)
        trials["y_pred"] = np.array(classes, object)[best]
    return trials[[c for c in predictions.columns if c in trials]]


@dataclass(frozen=True)
class Paired:
    """Difference a - b of two systems over people: mean, interval, Wilcoxon signed-rank p, rank-biserial effect.

    ``p`` is NaN where no person differs; ``floor`` is the smallest p this many people can give.
    """

    mean: float
    lo: float
    hi: float
    p: float
    effect: float
    people: int
    floor: float
    unit: str


def paired(
    a: pd.DataFrame,
    b: pd.DataFrame,
    metric: str = "balanced_accuracy",
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Paired:
    """Compare two systems on the same windows, person by person; InputError where their windows differ."""
    keys = [c for c in ("subject", "session", "trial", "start_s") if c in a and c in b]
    a, b = (f.sort_values(keys, kind="stable").reset_index(drop=True) for f in (a, b))
    if len(a) != len(b) or not a[keys].equals(b[keys]):
        raise InputError(
            f"systems with {len(a)} and {len(b)} predictions of different windows; expected the same windows. "
            "Evaluate both under one protocol on one table."
        )
    rows = [_Rows.of(a, metric), _Rows.of(b, metric)]
    interval = _interval(a, rows, lambda s: s[0] - s[1], resamples, seed, level)
    difference = (per_person(a, metric) - per_person(b, metric)).dropna().to_numpy()
    p, effect = _wilcoxon(difference)
    n = int((difference != 0).sum())
    return Paired(interval.mean, interval.lo, interval.hi, p, effect, difference.size, 2.0 ** (1 - n), interval.unit)


@dataclass(frozen=True)
class _Rows:
    """Arrays of one system's predictions and the score of any rows of them."""

    metric: Metric
    true: NDArray[np.generic]
    other: NDArray[np.generic]

    @classmethod
    def of(cls, predictions: pd.DataFrame, metric: str) -> _Rows:
        if metric not in METRICS:
            raise unknown_name("metric", metric, METRICS)
        found = METRICS[metric]
        classes = classes_of(predictions)
        if found.continuous == bool(classes):
            kind = "a continuous" if found.continuous else "a discrete"
            raise InputError(f"metric {metric!r}; expected one for this target, it is for {kind} one. Use another.")
        if found.continuous:
            true, predicted = (predictions[c].to_numpy(np.float64) for c in ("y_true", "y_pred"))
            return cls(found, true, predicted)
        code = _encode(predictions["y_true"], classes)
        if found.probabilities:
            return cls(found, code, predictions[[f"p_{c}" for c in classes]].to_numpy(np.float64))
        return cls(found, code, _encode(predictions["y_pred"], classes))

    def score(self, rows: IntArray) -> float:
        return self.metric.function(self.true[rows], self.other[rows])


def _encode(labels: pd.Series, classes: tuple[str, ...]) -> IntArray:
    found = pd.Categorical(labels.astype(str), categories=list(classes)).codes.astype(np.int64)
    if (found < 0).any():
        odd = labels[found < 0].iloc[0]
        raise InputError(f"label {odd!r} among the predictions; expected one of {', '.join(classes)}. Check the table.")
    return np.asarray(found, np.int64)


def _people(predictions: pd.DataFrame) -> dict[str, IntArray]:
    grouped = predictions.groupby(predictions["subject"].astype(str), sort=True).indices
    return {str(s): np.asarray(i, np.int64) for s, i in grouped.items()}


def _interval(
    predictions: pd.DataFrame,
    rows: list[_Rows],
    combine: Callable[[list[float]], float],
    resamples: int,
    seed: int,
    level: float,
) -> Interval:
    people = _people(predictions)
    values = [combine([r.score(i) for r in rows]) for i in people.values()]
    scores = np.array([v for v in values if np.isfinite(v)])
    if not scores.size:
        nan = float("nan")
        return Interval(nan, nan, nan, 0, "people")
    rng = np.random.default_rng(seed)
    if scores.size >= FEW_PEOPLE:
        drawn = scores[rng.integers(0, scores.size, (resamples, scores.size))].mean(axis=1)
        unit = "people"
    else:
        drawn = _trial_bootstrap(predictions, people, rows, combine, min(resamples, 500), rng)
        unit = "trials within people"
    tail = 100 * (1 - level) / 2
    lo, hi = np.nanpercentile(drawn, [tail, 100 - tail])
    return Interval(float(scores.mean()), float(lo), float(hi), scores.size, unit)


def _trial_bootstrap(
    predictions: pd.DataFrame,
    people: dict[str, IntArray],
    rows: list[_Rows],
    combine: Callable[[list[float]], float],
    resamples: int,
    rng: np.random.Generator,
) -> DoubleArray:
    means = np.full((resamples, len(people)), np.nan)
    keys = [c for c in ("session", "trial") if c in predictions]
    for column, own in enumerate(people.values()):
        trial = np.asarray(predictions.iloc[own].groupby(keys, sort=False, dropna=False).ngroup(), np.int64)
        parts = [own[trial == t] for t in range(int(trial.max()) + 1)]
        for b in range(resamples):
            drawn = np.concatenate([parts[t] for t in rng.integers(0, len(parts), len(parts))])
            means[b, column] = combine([r.score(drawn) for r in rows])
    valid = np.isfinite(means)
    total, count = np.where(valid, means, 0.0).sum(axis=1), valid.sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(resamples, np.nan), where=count > 0))


def _wilcoxon(difference: DoubleArray) -> tuple[float, float]:
    """Two-sided p and matched-pairs rank-biserial correlation; NaN and 0 where nothing differs."""
    from scipy.stats import rankdata, wilcoxon

    kept = difference[difference != 0]
    if not kept.size:
        return float("nan"), 0.0
    ranks = rankdata(np.abs(kept))
    effect = float((ranks[kept > 0].sum() - ranks[kept < 0].sum()) / ranks.sum())
    return float(wilcoxon(kept).pvalue), effect
