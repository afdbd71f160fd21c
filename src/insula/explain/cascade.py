"""What a cascade costs and what it gives: accuracy against energy and against the share of windows that woke it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from insula.errors import InputError, KindError
from insula.explain.cost import Costs, count, joules_text
from insula.learning.batches import to_device
from insula.learning.estimator import Estimator
from insula.learning.feed import Feed
from insula.learning.metrics import balanced_accuracy
from insula.models.cascade import Cascade, entropy_share, fuse, narrowed, taken
from insula.types import DoubleArray, IntArray
from insula.windows.table import Windows

SHARES = tuple(i / 20 for i in range(21))
"""Shares of windows that wake the second branch at which the curve is read unless thresholds are given."""


@dataclass(frozen=True)
class BranchAnswers:
    """What both branches say about the same n windows, and what one decision of each costs in joules.

    first, second : (n, K) log probabilities. y : (n,) class codes. subjects : n names. beta : of the fusion.
    """

    first: DoubleArray
    second: DoubleArray
    y: IntArray
    subjects: tuple[str, ...]
    joules_first: float
    joules_second: float
    beta: float

    def __add__(self, more: BranchAnswers) -> BranchAnswers:
        """Join the windows of two folds; joules are averaged by windows."""
        n, m = len(self.y), len(more.y)
        return BranchAnswers(
            np.concatenate([self.first, more.first]),
            np.concatenate([self.second, more.second]),
            np.concatenate([self.y, more.y]),
            self.subjects + more.subjects,
            (n * self.joules_first + m * more.joules_first) / (n + m),
            (n * self.joules_second + m * more.joules_second) / (n + m),
            self.beta,
        )


@dataclass(frozen=True)
class CurvePoint:
    """The cascade at one threshold (share of the maximum entropy).

    ``woken`` is the share of windows that woke the second branch, ``joules`` the mean energy of a decision,
    ``balanced_accuracy`` the mean over people.
    """

    threshold: float
    woken: float
    joules: float
    accuracy: float
    balanced_accuracy: float


@dataclass(frozen=True)
class CascadeCurve:
    """The cascade over thresholds, from always asleep to always awake, with the second branch alone beside it."""

    points: tuple[CurvePoint, ...]
    second_alone: CurvePoint
    joules_first: float
    joules_second: float
    windows: int
    basis: tuple[str, ...]


def branch_answers(
    estimator: Estimator, windows: Windows, *, costs: Costs | None = None, counted: int = 16
) -> BranchAnswers:
    """Ask both branches of a fitted cascade (its first network) about windows and count what they cost.

    ``counted`` windows are counted operation by operation, since the work of spiking branches follows the data.
    """
    network = _cascades(estimator)[0]
    if network.spec.continuous:
        raise InputError(
            "a cascade with a continuous target; expected classes: only they have an entropy. Bin the target."
        )
    price = costs or Costs()
    network.eval()
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    spent: tuple[float, float] | None = None
    with torch.no_grad():
        for part in Feed(estimator.prepare(windows), "window").each(2):
            batch = to_device(part, estimator.device).batch
            first_p, second_p = network.branches(batch)
            found.append((first_p.cpu(), second_p.cpu(), part.row[:, 0]))
            if spent is None:
                few = taken(batch, slice(counted))
                n = len(few.traits)
                spent = (
                    price.joules(count(network.first, narrowed(few, network.cheap))) / n,
                    price.joules(count(network.second, narrowed(few, network.costly))) / n,
                )
    if spent is None:
        raise InputError("no windows; expected at least one. Give scored windows.")
    order = torch.cat([rows for *_, rows in found]).numpy()
    first, second = (torch.cat([f[i] for f in found]).double().numpy() for i in (0, 1))
    subjects = windows.table["subject"].to_numpy()[order]
    y: IntArray = windows.y[order].astype(np.int64)
    return BranchAnswers(first, second, y, tuple(map(str, subjects)), *spent, network.beta)


def set_threshold(estimator: Estimator, share: float) -> None:
    """Have a fitted cascade wake its second branch above this share of the maximum entropy, from now on."""
    for network in _cascades(estimator):
        network.threshold = share


def woken_share(estimator: Estimator, windows: Windows) -> float:
    """Share of windows that wake the second branch at the threshold in force (mean over networks)."""
    shares = []
    prepared = Feed(estimator.prepare(windows), "window")
    for network in _cascades(estimator):
        if network.spec.continuous:
            return 1.0
        network.eval()
        woken = 0
        with torch.no_grad():
            for part in prepared.each(2):
                cheap = narrowed(to_device(part, estimator.device).batch, network.cheap)
                entropy = entropy_share(torch.log_softmax(network.first(cheap).logits, -1))
                woken += int((entropy > network.threshold).sum())
        shares.append(woken / max(1, len(windows)))
    return float(np.mean(shares))


def _cascades(estimator: Estimator) -> list[Cascade]:
    found = [n for n in estimator.networks if isinstance(n, Cascade)]
    if not found or len(found) < len(estimator.networks):
        kind = type(estimator.networks[0]).__name__ if estimator.networks else type(None).__name__
        raise KindError(
            f"an Estimator of {kind}; expected a fitted cascade. "
            "Choose the cascade among `insula models` and name any registered model as its first or second branch."
        )
    return found


def cascade_curve(answers: BranchAnswers, thresholds: Sequence[float] | None = None) -> CascadeCurve:
    """Read accuracy, energy and the share of woken windows over thresholds.

    By default at thresholds that wake 0, 5, .. 100 % of these windows. The curve describes; a threshold that is to be
    used must be chosen on other people or trials than it is reported on.
    """
    first, second = (torch.from_numpy(np.asarray(a, np.float64)) for a in (answers.first, answers.second))
    if first.shape != second.shape or len(first) != len(answers.y) or not len(first):
        raise InputError(
            f"answers of {tuple(first.shape)} and {tuple(second.shape)} for {len(answers.y)} labels; "
            "expected (n, K) of both branches, n of 1 or more. Give those of the same windows."
        )
    entropy = entropy_share(first).clamp(0, 1).numpy()
    both = fuse((first, second), answers.beta).argmax(1).numpy()
    early, late = first.argmax(1).numpy(), second.argmax(1).numpy()
    levels = [_wakes(entropy, share) for share in SHARES] if thresholds is None else list(thresholds)
    points = []
    for threshold in dict.fromkeys(levels):
        woken = entropy > threshold
        joules = answers.joules_first + float(woken.mean()) * answers.joules_second
        points.append(_point(threshold, woken, np.where(woken, both, early), joules, answers))
    alone = _point(0.0, np.ones(len(late), bool), late, answers.joules_second, answers)
    basis = (
        f"first branch {joules_text(answers.joules_first)}, second {joules_text(answers.joules_second)} a decision, "
        "counted operations on these windows",
        "a decision costs the first branch and, where its entropy is above the threshold, the second",
        "cleaning and hand-made features are not included",
    )
    ranked = tuple(sorted(points, key=lambda p: p.woken))
    return CascadeCurve(ranked, alone, answers.joules_first, answers.joules_second, len(answers.y), basis)


def _wakes(entropy: DoubleArray, share: float) -> float:
    """Threshold above which a share of the entropies lies."""
    k = round(share * len(entropy))
    ranked = np.sort(entropy)
    return 0.0 if k == len(ranked) else float(ranked[len(ranked) - 1 - k])


def _point(threshold: float, woken: Any, said: IntArray, joules: float, answers: BranchAnswers) -> CurvePoint:
    who = np.asarray(answers.subjects)
    people = [balanced_accuracy(answers.y[who == p], said[who == p]) for p in np.unique(who)]
    accuracy = float((said == answers.y).mean())
    return CurvePoint(float(threshold), float(woken.mean()), joules, accuracy, float(np.mean(people)))
