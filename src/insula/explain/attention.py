"""Where in the window a model looks, per class, tested against labels permuted between trials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from insula import plots
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Fitted, Shown
from insula.explain.facts import Facts
from insula.explain.wording import p_text
from insula.types import DoubleArray
from insula.windows.store.arrays import TrialKey
from insula.windows.table import by_trial

_SHUFFLES = 500
_RESAMPLES = 300
FLAT = 0.1
"""Attention whose means stay within this share of an even one, end to end, is flat: a picture of it says nothing."""


@dataclass(frozen=True)
class Attention:
    """Mean attention of each class over R tokens, ``tokens_s`` before the window's end.

    ``interval`` holds (R,) lower and upper ends, ``p`` one number a class.
    """

    tokens_s: tuple[float, ...] = ()
    classes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    interval: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = field(default_factory=dict)
    p: Mapping[str, float] = field(default_factory=dict)
    trials: int = 0
    note: str = ""


def temporal_attention(fitted: Fitted, seed: int = 0) -> Attention | None:
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
    return Attention(
        tokens_s=tuple(((weights.shape[1] - 1 - np.arange(weights.shape[1])) * token_s).tolist()),
        classes=means,
        interval=intervals,
        p={name: float(p[k]) for k, name in enumerate(classes) if name in means},
        trials=len(labels),
        note=(
            f"mean over {len(labels)} held-out trials; p by {_SHUFFLES} permutations of labels between trials of a "
            f"person, smallest possible {1 / (1 + _SHUFFLES):.3f}, not corrected for {len(means)} classes"
        ),
    )


def _per_trial(fitted: Fitted) -> tuple[DoubleArray, Any, Any]:
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


def _run(evaluated: Evaluated) -> Attention | None:
    return temporal_attention(evaluated.fitted)


def _show(found: Attention, _: Facts) -> Shown:
    ages = np.asarray(found.tokens_s)
    if len(ages) < 2 or not found.classes:
        return Shown()
    rows = []
    for name, mean in found.classes.items():
        lo, hi = found.interval.get(name) or ((math.nan,) * len(ages),) * 2
        curves = [np.asarray(curve, dtype=np.float64) for curve in (mean, lo, hi)]
        rows.append(plots.Attention(name, curves[0], curves[1], curves[2], found.p.get(name, math.nan)))
    span = max(float(np.ptp(r.mean) / max(r.mean.mean(), 1e-12)) for r in rows)
    if span < FLAT:
        return Shown(silent=(_flat(span, rows),))
    told = [r.name for r in rows if r.p < 0.05]
    different = ""
    if any(math.isfinite(r.p) for r in rows):
        different = f"""Different from the others at p < .05: {", ".join(told) or "none"}. p comes from shuffling labels
            between whole trials, not windows."""
    caption = f"""Which seconds of a window the model weighs, label by label; the dashed line is the mean of all labels
        and the band a 95 % interval. {different}
        Attention tells what this network weighs, not what the body does.{picture.sentence(found.note)}"""
    alt = "; ".join(
        f"{r.name} looks most at {ages[int(r.mean.argmax())]:.3g} s before the end {p_text(r.p)}".strip() for r in rows
    )
    return Shown(
        pictures=(picture.make("attention", "Which seconds it weighs", caption, alt, plots.attention, ages, rows),)
    )


def _flat(span: float, rows: list[plots.Attention]) -> str:
    told = [r.name for r in rows if r.p < 0.05]
    same = f"though {', '.join(told)} differ{'s' * (len(told) == 1)} at p < .05" if told else "and alike for all labels"
    return f"Which seconds it weighs: all of them about equally (within {100 * span:.1f} % of an even share), {same}."


def _lines(found: Attention) -> Iterator[tuple[str, str]]:
    yield "attention over time", ", ".join(f"{name} p = {p:.3f}" for name, p in found.p.items())


ATTENTION = Analysis(
    "attention",
    Attention,
    _run,
    _show,
    _lines,
    methods=(
        "Attention over time was averaged over held-out trials and tested by permuting labels between whole trials of "
        "a person."
    ),
)
