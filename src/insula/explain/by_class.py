"""Does something that a model computes differ between classes? Means over held-out trials, tested over trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from insula.explain.analysis import Fitted
from insula.learning.estimator import Estimator
from insula.types import DoubleArray
from insula.windows.store.arrays import TrialKey
from insula.windows.table import Windows, by_trial

SHUFFLES = 500
_RESAMPLES = 300


@dataclass(frozen=True)
class ByClass:
    """Mean of each class over trials (R,), its interval as (R,) lower and upper ends, and p: one number a class."""

    classes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    interval: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = field(default_factory=dict)
    p: Mapping[str, float] = field(default_factory=dict)
    trials: int = 0

    @property
    def differing(self) -> list[str]:
        """Classes told from the others at p < .05."""
        return [name for name, p in self.p.items() if p < 0.05]

    @property
    def how(self) -> str:
        """What was tested, for a note."""
        return (
            f"mean over {self.trials} held-out trials; p by {SHUFFLES} permutations of labels between trials of a "
            f"person, smallest possible {1 / (1 + SHUFFLES):.3f}, not corrected for {len(self.classes)} classes"
        )


@dataclass(frozen=True)
class Trials:
    """What a model computed of each held-out trial: values (trials, R), class codes (trials,), people (trials,)."""

    values: DoubleArray
    labels: Any
    people: Any


def per_trial(fitted: Fitted, read: Callable[[Estimator, Windows], Mapping[int, DoubleArray] | DoubleArray]) -> Trials:
    """Gather what ``read`` gives of every held-out window, a row a window, as one mean a trial.

    A trial that is held out in several folds counts once. ``read`` may give some windows only, by their row.
    """
    rows: dict[TrialKey, list[Any]] = {}
    labels: dict[TrialKey, int] = {}
    for model, held_out in fitted:
        found = read(model, held_out)
        for key, group in by_trial(held_out.table):
            own = [found[i] for i in group.index if not isinstance(found, Mapping) or i in found]
            if own:
                rows.setdefault(key, []).extend(own)
                labels[key] = int(group["y"].iloc[0])
    means = np.asarray([np.mean(rows[key], axis=0) for key in rows], np.float64)
    return Trials(means, np.asarray([labels[key] for key in rows]), np.asarray([key[0] for key in rows]))


def compared(found: Trials, classes: Sequence[str], seed: int = 0) -> ByClass:
    """Class means with bootstrap intervals over trials, and a permutation test for each.

    The statistic of a class is the largest absolute difference of its mean from the mean over all trials, in units of
    the deviation over trials; labels are permuted between trials of the same person.
    """
    rng = np.random.default_rng(seed)
    values, labels = found.values, found.labels
    relative = (values - values.mean(0)) / (values.std(0) + 1e-12)  # (trials, R)
    seen = distances(relative, labels, len(classes))
    drawn = [distances(relative, permuted(labels, found.people, rng), len(classes)) for _ in range(SHUFFLES)]
    p = (1 + (np.stack(drawn) >= seen - 1e-12).sum(0)) / (1 + SHUFFLES)
    means, intervals = {}, {}
    for k, name in enumerate(classes):
        own = values[labels == k]
        if not len(own):
            continue
        means[name] = tuple(own.mean(0).tolist())
        again = np.stack([own[rng.integers(0, len(own), len(own))].mean(0) for _ in range(_RESAMPLES)])
        low, high = np.percentile(again, [2.5, 97.5], axis=0).tolist()
        intervals[name] = (tuple(low), tuple(high))
    return ByClass(means, intervals, {n: float(p[k]) for k, n in enumerate(classes) if n in means}, len(labels))


def distances(relative: DoubleArray, labels: Any, classes: int) -> DoubleArray:
    """Largest absolute class mean over the columns of relative (trials, R): (classes,)."""
    sums = np.zeros((classes, relative.shape[1]))
    np.add.at(sums, labels, relative)
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    return np.asarray(np.abs(sums / counts[:, None]).max(1))


def permuted(labels: Any, people: Any, rng: np.random.Generator) -> Any:
    """Permute labels between the trials of each person."""
    who = np.unique(people, return_inverse=True)[1]
    out = np.empty_like(labels)
    out[np.argsort(who, kind="stable")] = labels[np.lexsort((rng.random(len(who)), who))]
    return out
