"""The latent space: a t-SNE map of held-out windows and a silhouette with its shuffled reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from insula.learning.estimator import Estimator
from insula.types import DoubleArray
from insula.windows.table import Windows

_POINTS = 600
_SHUFFLES = 50


def latent_space(fitted: Sequence[tuple[Estimator, Windows]], seed: int = 0) -> dict[str, Any] | None:
    """Map the held-out windows of the fold that has most of them, and average the silhouette over the folds.

    Folds have networks of their own, so that only windows of one fold share a map. The reference permutes labels
    between whole trials. None for a continuous target or folds with a single class.
    """
    from sklearn.manifold import TSNE

    if fitted[0][0].schema.continuous:
        return None
    rng = np.random.default_rng(seed)
    scores, shuffled = [], []
    for model, held_out in fitted:
        points = model.embed(held_out).astype(np.float64)
        score = _silhouette(points, np.asarray(held_out.y))
        if score is not None:
            scores.append(score)
            shuffled.append(_shuffled(points, held_out, rng))
    if not scores:
        return None
    model, held_out = max(fitted, key=lambda pair: len(pair[1]))
    rows = np.sort(rng.permutation(len(held_out))[:_POINTS])
    points = model.embed(held_out)[rows].astype(np.float64)
    perplexity = float(np.clip(len(points) / 8, 2, 30))
    xy = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(points)
    table = held_out.table.iloc[rows]
    return {
        "xy": xy.astype(np.float64).round(3).tolist(),
        "label": [model.schema.classes[int(v)] for v in table["y"]],
        "subject": table["subject"].tolist(),
        "silhouette": float(np.mean(scores)),
        "silhouette_shuffled": np.mean(shuffled, 0).tolist(),
        "note": (
            f"held-out windows of one fold ({len(rows)} points, perplexity {perplexity:.0f}); silhouette is the mean "
            f"over {len(scores)} folds, beside {_SHUFFLES} permutations of labels between trials"
        ),
    }


def _silhouette(points: DoubleArray, labels: Any) -> float | None:
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(labels)) < len(labels):
        return None
    keep = np.linspace(0, len(points) - 1, min(len(points), 800)).astype(int)
    if len(np.unique(labels[keep])) < 2:
        return None
    return float(silhouette_score(points[keep], labels[keep]))


def _shuffled(points: DoubleArray, held_out: Windows, rng: np.random.Generator) -> list[float]:
    trial = held_out.table.groupby(["subject", "session", "trial"], sort=True).ngroup().to_numpy()
    first = np.unique(trial, return_index=True)[1]
    labels = np.asarray(held_out.y)[first]
    found = [_silhouette(points, rng.permutation(labels)[trial]) for _ in range(_SHUFFLES)]
    return [0.0 if v is None else v for v in found]
