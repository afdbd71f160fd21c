"""How well the autoencoder rebuilds its branches, class by class, tested over trials."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from insula import plots
from insula.errors import InputError
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Fitted, Shown
from insula.explain.by_class import ByClass, compared, per_trial
from insula.explain.facts import Facts
from insula.explain.wording import p_text
from insula.learning.estimator import Estimator
from insula.types import DoubleArray
from insula.windows.table import Windows


@dataclass(frozen=True)
class Reconstruction:
    """Mean squared error of each class's held-out windows, in units of the branches' variance (1: nothing rebuilt)."""

    by_class: ByClass = field(default_factory=ByClass)
    note: str = ""


def reconstruction(fitted: Fitted, seed: int = 0) -> Reconstruction | None:
    """Class means of the error; None where the model has no autoencoder or the target is continuous."""
    first, held_out = fitted[0]
    if first.schema.continuous:
        return None
    try:
        _errors(first, held_out.take([0]))
    except InputError:
        return None
    found = compared(per_trial(fitted, _errors), first.schema.classes, seed)
    return Reconstruction(found, found.how)


def _errors(model: Estimator, held_out: Windows) -> DoubleArray:
    found = model.outputs(held_out, ("extras:reconstruction",))["extras:reconstruction"]
    return found.astype(np.float64).reshape(len(held_out), 1)


def _run(evaluated: Evaluated) -> Reconstruction | None:
    return reconstruction(evaluated.fitted)


def _show(found: Reconstruction, _: Facts) -> Shown:
    one = found.by_class
    rows = []
    for label, (mean,) in one.classes.items():
        (low,), (high,) = one.interval.get(label, ((math.nan,), (math.nan,)))
        rows.append(plots.Interval(f"{label} ({p_text(one.p.get(label, math.nan))})", mean, low, high, "model"))
    if not rows:
        return Shown()
    told = ", ".join(one.differing) or "none"
    overall = float(np.mean([r.value for r in rows]))
    caption = f"""Error of the shared autoencoder on held-out windows, label by label, against the variance of what it
        rebuilds: 1 means that nothing is rebuilt. A label that stands out has signals unlike the training's.
        Told from the others at p < .05: {told}.{picture.sentence(found.note)}"""
    alt = "; ".join(f"{r.name} {r.value:.3f} ({r.lo:.3f} to {r.hi:.3f})" for r in rows)
    made = picture.make(
        "reconstruction", "How well it rebuilds its inputs", caption, alt, plots.intervals, rows,
        (plots.Line("mean of all labels", overall),), axis="reconstruction error (95 % interval over trials)",
        text=lambda v: f"{v:.3f}", tick=lambda v: f"{v:.3g}",
    )  # fmt: skip
    return Shown(pictures=(made,))


def _lines(found: Reconstruction) -> Iterator[tuple[str, str]]:
    one = found.by_class
    yield "reconstruction error", ", ".join(f"{n} {v[0]:.3f} (p = {one.p[n]:.3f})" for n, v in one.classes.items())


RECONSTRUCTION = Analysis(
    "reconstruction",
    Reconstruction,
    _run,
    _show,
    _lines,
    methods=(
        "Reconstruction errors of the autoencoder were averaged over held-out trials and compared between classes by "
        "permuting labels between whole trials of a person."
    ),
)
