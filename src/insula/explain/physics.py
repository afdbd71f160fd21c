"""What a network with an equation of conductance found, beside the same equation fitted to each person's recording."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from insula import plots
from insula.evaluation.scores import Interval, over_people
from insula.explain import picture
from insula.explain.analysis import Analysis, Cell, Evaluated, Fitted, Shown, Table, TableRow
from insula.explain.decay import decay_of, sensitivity_of, stretches
from insula.explain.facts import Facts
from insula.explain.wording import minus
from insula.learning.batches import to_device
from insula.learning.estimator import Estimator
from insula.learning.feed import Feed
from insula.types import DoubleArray
from insula.windows.table import Windows

_WINDOWS = 2000


@dataclass(frozen=True)
class Parameter:
    """A parameter over people: mean and interval of ``n`` people, and what each fold's network found."""

    name: str
    mean: float = math.nan
    lo: float = math.nan
    hi: float = math.nan
    n: int = 0
    folds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Told:
    """Conductance that a network said of windows it had not seen: one person's error, the error of saying
    the training people's mean, correlation, and curve."""

    person: str
    rmse: float = math.nan
    rmse_mean: float = math.nan
    r: float = math.nan
    minutes: tuple[float, ...] = ()
    said: tuple[float, ...] = ()
    measured: tuple[float, ...] = ()


@dataclass(frozen=True)
class PhysicsFound:
    """Parameters (decay first, then sensitivity to each answer), who had none, and the held-out conductance."""

    parameters: tuple[Parameter, ...] = ()
    without: tuple[str, ...] = ()
    told: tuple[Told, ...] = ()


def physics(fitted: Fitted, windows: Windows) -> PhysicsFound | None:
    """Read equations and held-out conductance; None for a network without an equation."""
    networks: list[Any] = [model.networks[0] for model, _ in fitted]
    if not all(callable(getattr(n, "equation", None)) for n in networks):
        return None
    scales = windows.schema.modalities["self_report"].channels[:-1]
    equations = [network.equation() for network in networks]
    people = stretches(windows)
    decays = {person: decay_of(person, trials) for person, trials in people.items()}
    clear = {person: one for person, one in decays.items() if math.isfinite(one.per_min)}
    logs = over_people([math.log(one.per_min) for one in clear.values()])
    slopes = [sensitivity_of(people[person], one.tends_to) for person, one in clear.items()]
    parameters = [
        Parameter(
            "decay", math.exp(logs.mean), math.exp(logs.lo), math.exp(logs.hi), logs.people,
            tuple(e.decay_per_min for e in equations),
        )
    ]  # fmt: skip
    for k, scale in enumerate(scales):
        over = over_people([one[k] for one in slopes])
        folds = tuple(e.sensitivity[k] * _us_a_point(model, k) for e, (model, _) in zip(equations, fitted, strict=True))
        parameters.append(Parameter(scale, over.mean, over.lo, over.hi, over.people, folds))
    return PhysicsFound(tuple(parameters), tuple(p for p in decays if p not in clear), _told(fitted))


def _us_a_point(model: Estimator, answer: int) -> float:
    """Microsiemens a point of an answer for one deviation of conductance a deviation of that answer."""
    return float(model.scaler.spread["eda"][0] / model.scaler.spread["self_report"][answer])


def _told(fitted: Fitted) -> tuple[Told, ...]:
    """Held-out conductance by person, in deviations of the training people's."""
    parts: dict[str, list[tuple[DoubleArray, DoubleArray, DoubleArray]]] = {}
    for model, held_out in fitted:
        rows = np.unique(np.linspace(0, len(held_out) - 1, min(len(held_out), _WINDOWS)).astype(int))
        chosen = held_out.take(rows)
        part = next(Feed(model.prepare(chosen), "window").each(len(rows)))
        with torch.no_grad():
            extras = model.networks[0](to_device(part, model.device).batch).extras
        order = part.row[:, 0].numpy()
        table = chosen.table.iloc[order]
        said, measured = (extras[name].double().cpu().numpy() for name in ("eda", "eda_measured"))  # (n, points)
        share = np.linspace(0, 1, said.shape[1])
        start, stop = table["start_s"].to_numpy()[:, None], table["stop_s"].to_numpy()[:, None]
        minutes = (start + share * (stop - start)) / 60
        for person in table["subject"].unique():
            mine = (table["subject"] == person).to_numpy()
            parts.setdefault(str(person), []).append((minutes[mine], said[mine], measured[mine]))
    return tuple(_person(person, *map(np.concatenate, zip(*found, strict=True))) for person, found in parts.items())


def _person(person: str, minutes: DoubleArray, said: DoubleArray, measured: DoubleArray) -> Told:
    known = np.isfinite(measured)
    if known.sum() < 3:
        return Told(person)
    a, b = said[known], measured[known]
    r = float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > 1e-9 else math.nan
    middle = said.shape[1] // 2
    order = np.argsort(minutes[:, middle])
    curves = (tuple(values[order, middle].tolist()) for values in (minutes, said, measured))
    return Told(person, float(np.sqrt(np.square(a - b).mean())), float(np.sqrt(np.square(b).mean())), r, *curves)


def _over(found: PhysicsFound) -> tuple[Interval, Interval]:
    return over_people([t.rmse for t in found.told]), over_people([t.r for t in found.told])


def _decay_text(one: Parameter) -> str:
    if not math.isfinite(one.mean):
        return "no decay could be told from anybody's recording"
    interval = f" [{one.lo:.2g}, {one.hi:.2g}]" if math.isfinite(one.lo) else ""
    return f"{one.mean:.2g} a minute{interval} over {one.n} people, a time scale of {60 / one.mean:.0f} s"


def _run(evaluated: Evaluated) -> PhysicsFound | None:
    return physics(evaluated.fitted, evaluated.windows)


def _show(found: PhysicsFound, _: Facts) -> Shown:
    if not found.parameters or not found.told:
        return Shown()
    rmse, r = _over(found)
    nothing = over_people([t.rmse_mean for t in found.told])
    decay = found.parameters[0]
    networks = f"{min(decay.folds):.2g} to {max(decay.folds):.2g}" if decay.folds else "none"
    told = (
        f"Held-out conductance: RMSE {rmse.mean:.2f} (saying the training people's mean: {nothing.mean:.2f}), "
        f"r {minus(f'{r.mean:.2f}')}, mean over {rmse.people} people, in "
        "deviations of the training people's conductance."
    )
    words = (
        "This network reads what people said after each trial and the clock: it recognises nothing from the body.",
        told,
        f"Decay, fitted to each person's own conductance: {_decay_text(decay)}; the networks of the "
        f"folds found {networks} a minute. Only gamma alpha0 and beta / alpha0 leave a trace in data.",
        *((f"No decay could be told for {', '.join(found.without)}.",) if found.without else ()),
    )
    shown = sorted((t for t in found.told if t.minutes), key=lambda t: t.rmse)
    pictures: tuple[picture.Picture, ...] = ()
    if shown:
        one = shown[len(shown) // 2]
        caption = f"""Conductance of {one.person}, the person with the middle error, over the session: measured, and as
            the network said it without having seen these windows. {told}"""
        pictures = (
            picture.make(
                "physics", "Conductance, measured and said", caption, told, plots.conductance, one.minutes,
                one.measured, one.said,
            ),
        )  # fmt: skip
    return Shown(sentences=words, tables=(_table(found),), pictures=pictures)


def _table(found: PhysicsFound) -> Table:
    rows = []
    for one in found.parameters:
        unit = "1/min" if one is found.parameters[0] else "uS a point"
        people = f"{one.mean:.3g} [{one.lo:.3g}, {one.hi:.3g}]" if math.isfinite(one.mean) else "not told"
        folds = f"{min(one.folds):.2g} to {max(one.folds):.2g}"
        cells = (Cell(minus(people), one.mean), Cell(str(one.n), one.n), Cell(minus(folds), float(np.mean(one.folds))))
        rows.append(TableRow(f"{one.name.replace('_', ' ')} ({unit})", cells))
    return Table(
        "physics", "What the equation says",
        ("parameter", "people, own recordings (95 %)", "people", "networks of the folds"), tuple(rows),
        (
            "decay: gamma alpha0; the others: beta / alpha0, how far conductance tends to move for a point more of an "
            "answer, each answer alone.",
        ),
    )  # fmt: skip


def _lines(found: PhysicsFound) -> Iterator[tuple[str, str]]:
    if found.parameters:
        yield "conductance's decay", _decay_text(found.parameters[0])
    if found.told:
        rmse, r = _over(found)
        yield "held-out conductance", f"RMSE {rmse.mean:.3f} deviations, r {r.mean:.3f} over {rmse.people} people"


PHYSICS = Analysis(
    "physics",
    PhysicsFound,
    _run,
    _show,
    _lines,
    methods="Decay and sensitivity of skin conductance were also fitted to each person's recording alone.",
)
