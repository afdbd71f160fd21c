"""How good answers are, on arrays: labels, probabilities and numbers; the scores by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insula.types import DoubleArray, IntArray


def balanced_accuracy(true: IntArray, predicted: IntArray) -> float:
    """Mean recall over the classes that occur in ``true`` (class codes); NaN without rows."""
    if not true.size:
        return float("nan")
    n = np.bincount(true)
    hits = np.bincount(true[true == predicted], minlength=n.size)
    there = n > 0
    return float((hits[there] / n[there]).mean())


def macro_f1(true: IntArray, predicted: IntArray) -> float:
    """Mean F1 over the classes that occur in ``true`` or ``predicted``; NaN without rows."""
    if not true.size:
        return float("nan")
    k = int(max(true.max(), predicted.max())) + 1
    both = np.bincount(true[true == predicted], minlength=k)
    total = np.bincount(true, minlength=k) + np.bincount(predicted, minlength=k)
    there = total > 0
    return float((2 * both[there] / total[there]).mean())


def accuracy(true: IntArray, predicted: IntArray) -> float:
    """Share of windows that are right, whatever their class; NaN without rows."""
    return float((true == predicted).mean()) if true.size else float("nan")


def macro_precision(true: IntArray, predicted: IntArray) -> float:
    """Mean precision over the classes that occur in ``true``, 0 for one never predicted; NaN without rows."""
    if not true.size:
        return float("nan")
    right, there = _right(true, predicted), np.bincount(true) > 0
    said = np.bincount(predicted, minlength=there.size)[: there.size]
    return float((right / np.maximum(said, 1))[there].mean())


def weighted_f1(true: IntArray, predicted: IntArray) -> float:
    """Mean F1 over the classes, each counting by how often it occurs in ``true``; NaN without rows."""
    if not true.size:
        return float("nan")
    share = np.bincount(true) / true.size
    total = np.bincount(true) + np.bincount(predicted, minlength=share.size)[: share.size]
    return float((share * 2 * _right(true, predicted) / np.maximum(total, 1)).sum())


def _right(true: IntArray, predicted: IntArray) -> IntArray:
    """Right answers of each class that may occur in ``true``, (K,)."""
    return np.bincount(true[true == predicted], minlength=int(true.max()) + 1)


def kappa(true: IntArray, predicted: IntArray) -> float:
    """Cohen's kappa (Cohen 1960); NaN where chance agreement is complete."""
    if not true.size:
        return float("nan")
    k = int(max(true.max(), predicted.max())) + 1
    expected = float((np.bincount(true, minlength=k) * np.bincount(predicted, minlength=k)).sum()) / true.size**2
    observed = float((true == predicted).mean())
    return (observed - expected) / (1 - expected) if expected < 1 else float("nan")


def auc(true: IntArray, probability: DoubleArray) -> float:
    """Area under the ROC curve, mean of one class against the rest; NaN where only one class occurs.

    ``probability`` is (windows, K).
    """
    from scipy.stats import rankdata

    areas = []
    for k in range(probability.shape[1]):
        positive = true == k
        n, m = int(positive.sum()), int((~positive).sum())
        if n and m:
            ranks = rankdata(probability[:, k])
            areas.append((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))
    return float(np.mean(areas)) if areas else float("nan")


def ece(true: IntArray, probability: DoubleArray, bins: int = 10) -> float:
    """Expected calibration error of the predicted class, equal-width bins (Guo et al. 2017, arXiv 1706.04599)."""
    if not true.size:
        return float("nan")
    confidence = probability.max(axis=1)
    right = (probability.argmax(axis=1) == true).astype(np.float64)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)  # bins are (lo, hi]
    gap = np.bincount(place, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / true.size)


def top_two(true: IntArray, probability: DoubleArray) -> float:
    """Share of windows whose class is one of the two most probable ones; NaN without rows."""
    return float((_two(probability) == true[:, None]).any(1).mean()) if true.size else float("nan")


def sequential_top_two(true: IntArray, probability: DoubleArray) -> float:
    """Share of windows whose class is one of the two most probable ones and these two are neighbours in order.

    Seq2HR, the sequential top-2 hit rate of HiSTN (arXiv 2408.15255): an answer that is near the truth and does not
    contradict itself. No formula is published under that name; the released code counts these windows and, apart, those
    whose first answer is right: this is our choice of the two. NaN without rows.
    """
    if not true.size:
        return float("nan")
    two = _two(probability)
    beside = np.abs(two[:, 0] - two[:, 1]) == 1
    return float((beside & (two == true[:, None]).any(1)).mean())


def class_distance(true: IntArray, predicted: IntArray) -> float:
    """Mean distance of the predicted class from the true one, in classes, mean over the classes that occur.

    Macro-averaged absolute error (Baccianella et al. 2009), which a majority class does not flatter; NaN without rows.
    """
    if not true.size:
        return float("nan")
    there = np.bincount(true)
    apart = np.bincount(true, np.abs(true - predicted), minlength=there.size)
    return float((apart[there > 0] / there[there > 0]).mean())


def _two(probability: DoubleArray) -> IntArray:
    """Codes of the two most probable classes, (windows, 2)."""
    return np.asarray(np.argsort(-probability, axis=1, kind="stable")[:, :2], np.int64)


def divergence(true: DoubleArray, said: DoubleArray) -> float:
    """Kullback-Leibler divergence of the true shares (rows, K) from those said, in nats, mean over rows."""
    t, p = _positive(true), _positive(said)
    return float((t * np.log(t / p)).sum(1).mean()) if len(t) else float("nan")


def jensen_shannon(true: DoubleArray, said: DoubleArray) -> float:
    """Jensen-Shannon divergence in nats, 0 to log 2, mean over rows."""
    t, p = _positive(true), _positive(said)
    m = (t + p) / 2
    return float(((t * np.log(t / m) + p * np.log(p / m)).sum(1) / 2).mean()) if len(t) else float("nan")


def cosine(true: DoubleArray, said: DoubleArray) -> float:
    """Cosine of the angle between shares, mean over rows."""
    length = np.linalg.norm(true, axis=1) * np.linalg.norm(said, axis=1)
    return float(((true * said).sum(1) / length).mean()) if len(true) else float("nan")


def clark(true: DoubleArray, said: DoubleArray) -> float:
    """Clark distance: root of the sum of ((t - p) / (t + p)) squared, mean over rows."""
    return float(np.sqrt(np.square(_relative(true, said)).sum(1)).mean()) if len(true) else float("nan")


def canberra(true: DoubleArray, said: DoubleArray) -> float:
    """Canberra distance: sum of |t - p| / (t + p), mean over rows."""
    return float(np.abs(_relative(true, said)).sum(1).mean()) if len(true) else float("nan")


def chebyshev(true: DoubleArray, said: DoubleArray) -> float:
    """Largest difference of a share, mean over rows."""
    return float(np.abs(true - said).max(1).mean()) if len(true) else float("nan")


def intersection(true: DoubleArray, said: DoubleArray) -> float:
    """Sum of the smaller of both shares, 1 for equal ones, mean over rows."""
    return float(np.minimum(true, said).sum(1).mean()) if len(true) else float("nan")


def _positive(shares: DoubleArray) -> DoubleArray:
    return np.clip(shares, 1e-6, None)


def _relative(true: DoubleArray, said: DoubleArray) -> DoubleArray:
    """(t - p) / (t + p), 0 where both are nothing."""
    total = true + said
    return np.asarray(np.divide(true - said, total, out=np.zeros_like(total), where=total > 0))


def ccc(true: DoubleArray, predicted: DoubleArray) -> float:
    """Concordance correlation coefficient (Lin 1989); NaN where neither side varies and the means agree."""
    if true.size < 2:
        return float("nan")
    spread = true.var() + predicted.var() + (true.mean() - predicted.mean()) ** 2
    covariance = ((true - true.mean()) * (predicted - predicted.mean())).mean()
    return float(2 * covariance / spread) if spread > 0 else float("nan")


def rmse(true: DoubleArray, predicted: DoubleArray) -> float:
    """Root mean squared error, in the target's unit."""
    return float(np.sqrt(np.mean((true - predicted) ** 2))) if true.size else float("nan")


def pearson(true: DoubleArray, predicted: DoubleArray) -> float:
    """Pearson's correlation; NaN where a side does not vary."""
    if true.size < 2 or true.std() < 1e-12 or predicted.std() < 1e-12:
        return float("nan")
    return float(((true - true.mean()) * (predicted - predicted.mean())).mean() / (true.std() * predicted.std()))


def person_mean(people: NDArray[Any], true: Any, predicted: Any, continuous: bool) -> float:
    """Mean over people of balanced accuracy, or of CCC (0 where a person's target does not vary)."""
    metric: Callable[..., float] = ccc if continuous else balanced_accuracy
    scores = [metric(true[people == p], predicted[people == p]) for p in np.unique(people)]
    return float(np.mean(np.nan_to_num(scores)))


@dataclass(frozen=True)
class Metric:
    """A score by name: whether it is for numbers, what it reads (labels or probabilities), whether more is better.

    ``ordered`` ones are for classes that have an order, three of them or more; ``mixed`` ones compare the shares of a
    mixture of emotions (Geng 2016, "Label distribution learning", doi:10.1109/TKDE.2016.2545658, lists them). Those not
    ``shown`` stand in files and among the scores of each class, not in the first table of a page.
    """

    name: str
    title: str
    continuous: bool
    probabilities: bool
    more_is_better: bool
    function: Callable[..., float]
    ordered: bool = False
    mixed: bool = False
    short: str = ""
    shown: bool = True

    @property
    def column(self) -> str:
        """Head of its column in a table."""
        return self.short or self.title


METRICS: Mapping[str, Metric] = {
    m.name: m
    for m in (
        Metric("balanced_accuracy", "balanced accuracy", False, False, True, balanced_accuracy),
        Metric("macro_f1", "macro F1", False, False, True, macro_f1),
        Metric("accuracy", "accuracy", False, False, True, accuracy, shown=False),
        Metric(
            "macro_precision", "macro precision", False, False, True, macro_precision, short="precision", shown=False
        ),
        Metric("weighted_f1", "weighted F1", False, False, True, weighted_f1, shown=False),
        Metric("kappa", "Cohen's kappa", False, False, True, kappa, short="kappa"),
        Metric("auc", "AUC", False, True, True, auc),
        Metric("ece", "calibration error", False, True, False, ece, short="ECE"),
        Metric("top_2", "top-2 accuracy", False, True, True, top_two, ordered=True, short="top-2"),
        Metric("seq_2", "Seq2HR", False, True, True, sequential_top_two, ordered=True),
        Metric(
            "class_distance", "distance in classes", False, False, False, class_distance, ordered=True, short="distance"
        ),
        Metric("kl", "KL divergence", False, True, False, divergence, mixed=True, short="KL"),
        Metric("js", "Jensen-Shannon divergence", False, True, False, jensen_shannon, mixed=True, short="JS"),
        Metric("cosine", "cosine", False, True, True, cosine, mixed=True),
        Metric("clark", "Clark distance", False, True, False, clark, mixed=True, short="Clark"),
        Metric("canberra", "Canberra distance", False, True, False, canberra, mixed=True, short="Canberra"),
        Metric("chebyshev", "Chebyshev distance", False, True, False, chebyshev, mixed=True, short="Chebyshev"),
        Metric("intersection", "intersection", False, True, True, intersection, mixed=True),
        Metric("ccc", "CCC", True, False, True, ccc),
        Metric("rmse", "RMSE", True, False, False, rmse),
        Metric("pearson", "Pearson's r", True, False, True, pearson, short="Pearson r"),
    )
}


def metrics_for(continuous: bool, ordered: bool = False, mixed: bool = False) -> tuple[str, ...]:
    """Names of the scores for a continuous or a discrete target, the main one first; the others add their own."""
    return tuple(
        name
        for name, m in METRICS.items()
        if m.continuous == continuous and (ordered or not m.ordered) and (mixed or not m.mixed)
    )
