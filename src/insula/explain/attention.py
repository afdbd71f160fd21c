"""Where in the window a model looks, per class, tested against labels permuted between trials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from insula import plots
from insula.errors import InputError
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Fitted, Shown
from insula.explain.by_class import compared, per_trial
from insula.explain.facts import Facts
from insula.explain.wording import p_text
from insula.learning.estimator import Estimator
from insula.types import DoubleArray
from insula.windows.table import Windows

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
    """Class means of the temporal attention over held-out trials (see `by_class.compared`), each trial counted once.

    None where the model has no temporal attention or the target is continuous.
    """
    first, held_out = fitted[0]
    if first.schema.continuous or not attends(first, held_out, "time"):
        return None
    trials = per_trial(fitted, _over_time)
    found = compared(trials, first.schema.classes, seed)
    tokens = trials.values.shape[1]
    token_s = first.recipe.window_s / tokens
    return Attention(
        tokens_s=tuple(((tokens - 1 - np.arange(tokens)) * token_s).tolist()),
        classes=found.classes,
        interval=found.interval,
        p=found.p,
        trials=found.trials,
        note=found.how,
    )


def _over_time(model: Estimator, held_out: Windows) -> DoubleArray:
    """Attention (windows, R), mean over heads."""
    found = model.outputs(held_out, ("attention:time",))["attention:time"]
    return np.asarray(found.reshape(len(held_out), -1, found.shape[-1]).mean(1), np.float64)


def attends(model: Estimator, windows: Windows, name: str) -> bool:
    """Whether a model gives an attention of this name, tried on one window."""
    try:
        model.outputs(windows.take([0]), (f"attention:{name}",))
    except InputError:
        return False
    return True


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
        rows.append(plots.ClassCurve(name, curves[0], curves[1], curves[2], found.p.get(name, math.nan)))
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
        pictures=(picture.make("attention", "Which seconds it weighs", caption, alt, plots.class_curves, -ages, rows),)
    )


def _flat(span: float, rows: list[plots.ClassCurve]) -> str:
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
