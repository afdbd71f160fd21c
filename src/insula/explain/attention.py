"""Where in the window a model looks, per class, tested against labels permuted between trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from insula.learning.estimator import Estimator
from insula.types import DoubleArray
from insula.windows.store.arrays import TrialKey
from insula.windows.table import Windows, by_trial

_SHUFFLES = 500
_RESAMPLES = 300


def temporal_attention(fitted: Sequence[tuple[Estimator, Windows]], seed: int = 0) -> dict[str, Any] | None:
    """Class means of the temporal attention over held-out trials.

    Each trial counts once (mean over its windows and heads). The interval is a bootstrap over trials. The test
    statistic of a class is the largest absolute difference of its mean from the mean over all trials, in units of the
    token's deviation over trials; labels are permuted between trials of the same person. None where the model has no
    temporal attention or the target is continuous.
    """
    first = fitted[0][0]
    if first.schema.continuous or not hasattr(first.networks[0], "attend"):
        return None
    weights, labels, people = _per_trial(fitted)
    classes = first.schema.classes
    rng = np.random.default_rng(seed)
    spread = weights.std(0) + 1e-12
    relative = (weights - weights.mean(0)) / spread  # (trials, R)
    found = _distances(relative, labels, len(classes))
    shuffled = np.stack(
        [_distances(relative, _permuted(labels, people, rng), len(classes)) for _ in range(_SHUFFLES)]
    )  # (shuffles, K)
    p = (1 + (shuffled >= found).sum(0)) / (1 + _SHUFFLES)
    token_s = first.recipe.window_s / weights.shape[1]
    means, intervals = {}, {}
    for k, name in enumerate(classes):
        own = weights[labels == k]
        if not len(own):
            continue
        means[name] = own.mean(0).tolist()
        drawn = np.stack([own[rng.integers(0, len(own), len(own))].mean(0) for _ in range(_RESAMPLES)])
        intervals[name] = np.percentile(drawn, [2.5, 97.5], axis=0).tolist()
    return {
        "tokens_s": ((weights.shape[1] - 1 - np.arange(weights.shape[1])) * token_s).tolist(),
        "classes": means,
        "interval": intervals,
        "p": {name: float(p[k]) for k, name in enumerate(classes) if name in means},
        "trials": len(labels),
        "note": (
            f"mean over {len(labels)} held-out trials; p by {_SHUFFLES} permutations of labels between trials of a "
            f"person, smallest possible {1 / (1 + _SHUFFLES):.3f}, not corrected for {len(means)} classes"
        ),
    }


def _per_trial(fitted: Sequence[tuple[Estimator, Windows]]) -> tuple[DoubleArray, Any, Any]:
    """Attention (trials, R), class codes and people of the held-out trials."""
    rows: dict[TrialKey, list[Any]] = {}
    labels: dict[TrialKey, int] = {}
    for model, held_out in fitted:
        attention = model.outputs(held_out, ("attention:time",))["attention:time"].mean(1)  # (windows, R)
        for key, group in by_trial(held_out.table):
            rows.setdefault(key, []).extend(attention[group.index])
            labels[key] = int(group["y"].iloc[0])
    means = np.asarray([np.mean(rows[key], axis=0) for key in rows], np.float64)
    return means, np.asarray([labels[key] for key in rows]), np.asarray([key[0] for key in rows])


def _distances(relative: DoubleArray, labels: Any, classes: int) -> DoubleArray:
    sums = np.zeros((classes, relative.shape[1]))
    np.add.at(sums, labels, relative)
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    return np.asarray(np.abs(sums / counts[:, None]).max(1))


def _permuted(labels: Any, people: Any, rng: np.random.Generator) -> Any:
    out = labels.copy()
    for _, members in pd.Series(people).groupby(people).indices.items():
        out[members] = labels[rng.permutation(members)]
    return out
