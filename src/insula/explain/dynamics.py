"""How fast liquid neurons react along a trial, class by class: tau_sys(t), tested over trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from insula import plots
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Fitted, Shown
from insula.explain.by_class import ByClass, compared, per_trial
from insula.explain.facts import Facts
from insula.explain.time_constants import liquid_layers, observed_stretches
from insula.learning.batches import to_device
from insula.learning.estimator import Estimator
from insula.learning.feed import Feed, run
from insula.types import DoubleArray
from insula.windows.table import Windows

PLACES = 16
"""Places along a trial, evenly from its first to its last observed step."""
STILL = 0.05
"""Curves that stay within this share of their mean, end to end and between classes, are one line of text."""


@dataclass(frozen=True)
class Dynamics:
    """System time constants of every liquid layer by name, in seconds at `PLACES` along a trial, class by class."""

    layers: Mapping[str, ByClass] = field(default_factory=dict)
    trial_s: float = math.nan
    note: str = ""


def dynamics(fitted: Fitted, seed: int = 0) -> Dynamics | None:
    """Geometric mean of tau_sys over the neurons of each layer along held-out trials, compared between classes.

    None for a model without liquid layers, whose state is not reset at trials, or of a continuous target.
    """
    first = fitted[0][0]
    if first.schema.continuous or first.scope != "trial" or not liquid_layers(first.networks[0]):
        return None
    curves: dict[str, list[dict[int, DoubleArray]]] = {}
    for model, windows in fitted:
        for name, found in along_trials(model, windows).items():
            curves.setdefault(name, []).append(found)
    layers = {}
    for name, folds in curves.items():
        trials = per_trial(fitted, _in_turn(folds))
        if len(trials.values):
            layers[name] = _in_seconds(compared(trials, first.schema.classes, seed))
    tables = pd.concat([windows.table for _, windows in fitted])
    lengths = tables.groupby(["subject", "session", "trial"]).agg({"start_s": "min", "stop_s": "max"})
    how = next(iter(layers.values())).how if layers else ""
    return Dynamics(
        layers,
        float((lengths["stop_s"] - lengths["start_s"]).median()),
        f"geometric mean over the neurons of a layer, {PLACES} places along a trial; {how}",
    )


def _in_turn(folds: Sequence[dict[int, DoubleArray]]) -> Callable[[Estimator, Windows], dict[int, DoubleArray]]:
    each = iter(folds)
    return lambda *_: next(each)


def along_trials(model: Estimator, windows: Windows) -> dict[str, dict[int, DoubleArray]]:
    """Mean log tau_sys over neurons at `PLACES` along each trial (R,), by layer and by the trial's last window."""
    network = model.networks[0]
    layers = liquid_layers(network)
    calls: dict[str, tuple[Tensor, ...]] = {}
    handles = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: calls.__setitem__(name, inputs))
        for name, layer in layers.items()
    ]
    out: dict[str, dict[int, DoubleArray]] = {name: {} for name in layers}
    feed = Feed(model.prepare(windows), model.scope)
    with torch.no_grad():
        for part in feed.each(feed.fitting(32)):
            run(network, to_device(part, model.device), model.scope)
            last = part.row.max(1).values.tolist()
            for name, layer in layers.items():
                tau = layer.time_constants(*calls[name])  # (B, T, H) seconds
                for i, row in enumerate(last):
                    own = [x[i : i + 1] for x in (tau, *calls[name][1:3])]
                    if own[2].dim() == 3:  # observed a column: a step is where any is
                        own[2] = own[2].any(-1)
                    for steps, _ in observed_stretches(own[0], own[1], own[2]):
                        out[name][row] = _placed(steps.log().mean(1).cpu().numpy().astype(np.float64))
    for handle in handles:
        handle.remove()
    return out


def _placed(values: DoubleArray) -> DoubleArray:
    """A curve of any length at `PLACES` even places."""
    return np.interp(np.linspace(0, 1, PLACES), np.linspace(0, 1, len(values)), values)


def _in_seconds(found: ByClass) -> ByClass:
    def seconds(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(np.exp(values).tolist())

    interval = {n: (seconds(low), seconds(high)) for n, (low, high) in found.interval.items()}
    return ByClass({n: seconds(v) for n, v in found.classes.items()}, interval, found.p, found.trials)


def _run(evaluated: Evaluated) -> Dynamics | None:
    return dynamics(evaluated.fitted)


def _show(found: Dynamics, _: Facts) -> Shown:
    made, silent = [], []
    for number, (name, layer) in enumerate(found.layers.items()):
        means = np.array(list(layer.classes.values()))
        if means.ndim != 2 or means.shape[1] < 2:
            continue
        span = float((means.max() - means.min()) / means.mean())
        middle = plots.seconds(float(np.median(means)))
        told = ", ".join(layer.differing) or "none"
        if span < STILL:
            silent.append(
                f"How fast the {name} layer reacts: {middle} throughout the trial and for all labels (within "
                f"{100 * span:.1f} %); told from the others at p < .05: {told}."
            )
            continue
        rows = []
        for label, mean in layer.classes.items():
            low, high = layer.interval.get(label) or ((math.nan,) * len(mean),) * 2
            curves = [np.asarray(c, np.float64) for c in (mean, low, high)]
            rows.append(plots.ClassCurve(label, curves[0], curves[1], curves[2], layer.p.get(label, math.nan)))
        x = np.linspace(0, 100, means.shape[1])
        long = f" (median {plots.seconds(found.trial_s)})" if math.isfinite(found.trial_s) else ""
        caption = f"""The system time constant of the {name} layer along a trial{long}, label by label: low where its
            neurons react fast, high where they hold on. The dashed line is the mean of all labels, the band a 95 %
            interval over trials. Told from the others at p < .05: {told}.{picture.sentence(found.note)}"""
        alt = f"Time constant of the {name} layer along a trial, {middle} in the middle; told apart: {told}."
        made.append(
            picture.make(
                f"dynamics-{number}", f"How fast it reacts, {name} layer", caption, alt, plots.class_curves, x, rows,
                axes=("percent of the trial", "time constant"), from_zero=False, tick=plots.seconds,
            )
        )  # fmt: skip
    return Shown(pictures=tuple(made), silent=tuple(silent))


def _lines(found: Dynamics) -> Iterator[tuple[str, str]]:
    for name, layer in found.layers.items():
        yield f"time constants along a trial, {name}", ", ".join(f"{n} p = {p:.3f}" for n, p in layer.p.items())


DYNAMICS = Analysis(
    "dynamics",
    Dynamics,
    _run,
    _show,
    _lines,
    methods=(
        "System time constants were followed along held-out trials and compared between classes by permuting labels "
        "between whole trials of a person."
    ),
)
