"""Are classes further apart in the latent than in the hand-made features? Held-out trials, nearest training centre."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from insula import plots
from insula.evaluation.scores import over_people
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Shown
from insula.explain.by_class import SHUFFLES, permuted
from insula.explain.facts import Facts
from insula.explain.wording import p_text
from insula.learning.estimator import Estimator
from insula.learning.level import stacked
from insula.learning.metrics import person_mean
from insula.protocols.own_median import for_fold
from insula.types import DoubleArray, FloatArray, IntArray
from insula.windows.table import Windows, by_trial


@dataclass(frozen=True)
class Space:
    """Share of held-out trials that lie nearest to their own class's training centre, with interval and p."""

    score: float = math.nan
    lo: float = math.nan
    hi: float = math.nan
    p: float = math.nan


@dataclass(frozen=True)
class Separation:
    """The latent and the features that stand beside it; ``gain`` is their difference over people."""

    latent: Space = field(default_factory=Space)
    features: Space = field(default_factory=Space)
    gain: float = math.nan
    gain_lo: float = math.nan
    gain_hi: float = math.nan
    chance: float = math.nan
    trials: int = 0
    note: str = ""


def inputs(model: Estimator, windows: Windows) -> FloatArray:
    """Hand-made features as the model's person-level normaliser gives them, (windows, F), 0 where not valid."""
    if not stacked(windows).shape[1]:
        return np.zeros((len(windows), 0), np.float32)
    found: FloatArray = np.nan_to_num(model.normaliser.features(windows))
    return found


def nearest(train: DoubleArray, labels: IntArray, test: DoubleArray, classes: int) -> IntArray:
    """Class of the nearest mean of training rows for each test row, columns in units of the training's deviation."""
    spread = train.std(0)
    scale = np.where(spread > 1e-9, spread, np.inf)
    known = [k for k in range(classes) if (labels == k).any()]
    centres = np.stack([train[labels == k].mean(0) for k in known]) / scale  # (K, D)
    apart = ((test[:, None] / scale - centres[None]) ** 2).sum(-1)
    found: IntArray = np.asarray(known, np.int64)[apart.argmin(1)]
    return found


def _trial_means(values: FloatArray, windows: Windows) -> tuple[DoubleArray, IntArray, list[str]]:
    """Mean (trials, D), class and person of each trial."""
    groups = [(key, group.index.to_numpy()) for key, group in by_trial(windows.table)]
    means = np.stack([values[rows].astype(np.float64).mean(0) for _, rows in groups])
    return means, np.asarray([int(windows.y[rows[0]]) for _, rows in groups]), [key[0] for key, _ in groups]


def _run(evaluated: Evaluated) -> Separation | None:
    first = evaluated.models[0].model
    if first.schema.continuous:
        return None
    classes = len(first.schema.classes)
    said: dict[str, list[IntArray]] = {"latent": [], "features": []}
    labels: list[IntArray] = []
    people: list[str] = []
    for fold in evaluated.models:
        decided = for_fold(evaluated.windows, fold.split)
        training, held_out = decided.take(fold.split.train), decided.take(fold.split.test)
        for name, read in (("latent", Estimator.embed), ("features", inputs)):
            train, own, _ = _trial_means(read(fold.model, training), training)
            test, true, who = _trial_means(read(fold.model, held_out), held_out)
            if not train.shape[1]:
                return None
            said[name].append(nearest(train, own, test, classes))
        labels.append(true)
        people += who
    answers = {name: np.concatenate(each) for name, each in said.items()}
    return compared(np.concatenate(labels), answers, np.asarray(people), classes)


def compared(true: IntArray, said: dict[str, IntArray], people: Any, classes: int, seed: int = 0) -> Separation:
    """Score both spaces over people and test each by permuting labels between a person's held-out trials."""
    rng = np.random.default_rng(seed)
    orders = [permuted(true, people, rng) for _ in range(SHUFFLES)]
    spaces, each = {}, {}
    for name, answer in said.items():
        own = [
            person_mean(people[people == p], true[people == p], answer[people == p], False) for p in np.unique(people)
        ]
        score = float(np.mean(own))
        drawn = np.array([person_mean(people, order, answer, False) for order in orders])
        found = over_people(own)
        p = float((1 + (drawn >= score - 1e-12).sum()) / (1 + SHUFFLES))
        spaces[name], each[name] = Space(score, found.lo, found.hi, p), np.asarray(own)
    gain = over_people(each["latent"] - each["features"])
    return Separation(
        spaces["latent"], spaces["features"], gain.mean, gain.lo, gain.hi, 1 / classes, len(true),
        f"{len(true)} held-out trials, nearest class centre of the fold's training trials; p by {SHUFFLES} "
        "permutations of labels between held-out trials of a person",
    )  # fmt: skip


def _show(found: Separation, facts: Facts) -> Shown:
    rows = [
        plots.Interval(f"{name} ({p_text(one.p)})", one.score, one.lo, one.hi, ink, ink == "model")
        for name, one, ink in (
            ("latent vector", found.latent, "model"),
            ("input features", found.features, "classical"),
        )
        if math.isfinite(one.score)
    ]
    if not rows:
        return Shown()
    told = "The latent separates better" if found.gain_lo > 0 else "The features separate better"
    told = told if found.gain_lo > 0 or found.gain_hi < 0 else "The two are not told apart"
    caption = f"""Held-out trials that lie nearest to the centre of their own label, in the network's latent vector and
        in the hand-made features. {told}: latent minus features {100 * found.gain:+.1f} points, 95 % interval
        {100 * found.gain_lo:+.1f} to {100 * found.gain_hi:+.1f} over people. Labels that cannot be told in the features
        and can in the latent are what a network adds.{picture.sentence(found.note)}"""
    made = picture.make(
        "separation", "Is the latent better sorted than its inputs?", caption, picture.say(facts, rows),
        plots.intervals, rows, (plots.Line("chance", found.chance),), axis="balanced accuracy (95 % interval)",
        text=picture.written(facts), tick=picture.tick(facts),
    )  # fmt: skip
    return Shown(pictures=(made,))


def _lines(found: Separation) -> Iterator[tuple[str, str]]:
    latent, features = found.latent, found.features
    yield (
        "classes nearest to their centre",
        f"latent {latent.score:.3f} (p = {latent.p:.3f}), features {features.score:.3f} (p = {features.p:.3f}); "
        f"difference {found.gain:+.3f} [{found.gain_lo:+.3f}, {found.gain_hi:+.3f}]",
    )


SEPARATION = Analysis(
    "separation",
    Separation,
    _run,
    _show,
    _lines,
    methods=(
        "Held-out trials were given to the nearest class centre of the training trials, in the latent and in the "
        "hand-made features, and both compared with labels permuted between held-out trials of a person."
    ),
)
