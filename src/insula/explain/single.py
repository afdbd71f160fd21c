"""One prediction explained: which sensor, electrode, band, second and feature moved an answer, and whether that holds.

It is checked by deletion: what moved the answer most is set to the person's usual level, and the chance of the answer
must fall further than when as many cells of the same kinds are deleted at random (Samek et al. 2017,
arXiv 1509.06321).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from insula import plots
from insula.errors import InputError, MissingDependencyError
from insula.evaluation.results import Result
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Shown
from insula.explain.attribution import Cell, Parts, network_parts
from insula.explain.facts import Facts
from insula.explain.linear import linear_parts
from insula.learning.classical import ClassicalEstimator
from insula.learning.estimator import Estimator
from insula.learning.learner import Learner
from insula.learning.prior import WithPrior
from insula.types import BoolArray, DoubleArray
from insula.windows.table import Windows, label_text

DELETED = (0.05, 0.1, 0.2, 0.4)
"""Shares of the cells that are deleted."""
DRAWS = 40
FEATURES = 8
"""Features that are named, those that moved the answer most."""


@dataclass(frozen=True)
class Moved:
    """How much one thing moved the answer: above 0 towards it, below against."""

    name: str
    value: float


@dataclass(frozen=True)
class Deletion:
    """Chance of the answer (value of a continuous target) after shares of the cells were deleted.

    ``chosen`` deletes what moved the answer towards itself most, ``random`` the mean of draws of the same kinds with
    their 5 and 95 % points; ``as_low`` is the share of all draws, the choice among them, that did as much as the
    choice (1 / (draws + 1) at least).
    """

    shares: tuple[float, ...] = ()
    chosen: tuple[float, ...] = ()
    random: tuple[float, ...] = ()
    lo: tuple[float, ...] = ()
    hi: tuple[float, ...] = ()
    as_low: float = math.nan


@dataclass(frozen=True)
class Explained:
    """One window's answer: what was said and how sure, what was true, and what moved it.

    ``sensors``, ``electrodes``, ``bands``, ``features`` and ``seconds`` (named by their begin on the session's clock)
    split one sum in different ways; ``gap`` is what integration missed of it.
    """

    row: str
    title: str
    kind: str
    subject: str
    session: str
    trial: str
    start_s: float
    stop_s: float
    said: str
    truth: str
    chance: float
    right: bool | None
    method: str
    sensors: tuple[Moved, ...] = ()
    electrodes: tuple[Moved, ...] = ()
    bands: tuple[Moved, ...] = ()
    features: tuple[Moved, ...] = ()
    seconds: tuple[Moved, ...] = ()
    gap: float = 0.0
    deletion: Deletion = Deletion()
    note: str = ""


@dataclass(frozen=True)
class Single:
    """Explained windows; ``missing`` says why there are none."""

    windows: tuple[Explained, ...] = ()
    missing: str = ""


def explain_window(model: Learner, windows: Windows, row: int, name: str, title: str, kind: str) -> Explained:
    """Explain a fitted row's answer for one of these windows.

    Raises
    ------
    InputError : a row that is neither a network nor linear.
    MissingDependencyError : captum is not installed and the row is a network.
    """
    if isinstance(model, WithPrior):
        found = explain_window(model.own, windows, row, name, title, kind)
        return replace(found, note="; ".join(filter(None, (found.note, _beside(model, windows, row)))))
    if isinstance(model, Estimator):
        parts = network_parts(model, windows, row)
    elif isinstance(model, ClassicalEstimator):
        parts = linear_parts(model, windows, row)
    else:
        raise InputError(f"{model!r} explained; expected a network or a linear row. Name another with --row.")
    place = windows.table.iloc[row]
    schema = windows.schema
    chance = float(parts.without(np.zeros((1, len(parts.cells)), bool))[0])
    known = bool(schema.continuous and np.isfinite(place["y"])) or bool(not schema.continuous and place["y"] >= 0)
    views = _views(parts, float(place["stop_s"]))
    return Explained(
        row=name,
        title=title,
        kind=kind,
        subject=str(place["subject"]),
        session=str(place["session"]),
        trial=str(place["trial"]),
        start_s=float(place["start_s"]),
        stop_s=float(place["stop_s"]),
        said=f"{chance:.3g}" if schema.continuous else schema.classes[parts.said],
        truth=str(label_text(schema, place["y"])) if known else "",
        chance=chance,
        right=None if schema.continuous or not known else bool(place["y"] == parts.said),
        method=parts.method,
        sensors=views["sensors"],
        electrodes=views["electrodes"],
        bands=views["bands"],
        features=views["features"],
        seconds=views["seconds"],
        gap=parts.gap,
        note=parts.missed,
        deletion=_deletion(parts, bool(schema.continuous)),
    )


def _beside(model: WithPrior, windows: Windows, row: int) -> str:
    """What the answer is with other people's prior, which is not split into what moved it."""
    if windows.schema.continuous:
        whole = f"{model.predict(windows)[row]:.3g}"
    else:
        chances = model.predict_proba(windows)[row]
        whole = f"{windows.schema.classes[chances.argmax()]} with a chance of {chances.max():.2f}"
    return (
        f"it is the person's own model that is explained; with other people's prior, which counts {model.weight:g} "
        f"beside it, the answer is {whole}"
    )


def _views(parts: Parts, stop_s: float) -> dict[str, tuple[Moved, ...]]:
    """The same sum by sensor, electrode, band, feature and second."""
    sensors: dict[str, float] = {}
    channels: dict[str, float] = {}
    features: dict[str, float] = {}
    seconds: dict[float, float] = {}
    for cell, value in zip(parts.cells, parts.moved.tolist(), strict=True):
        sensors[cell.modality] = sensors.get(cell.modality, 0.0) + value
        if cell.channel and cell.modality == "eeg":
            channels[cell.channel] = channels.get(cell.channel, 0.0) + value
        elif cell.modality == "eeg" and (own := _electrode(cell, parts.cells)):
            channels[own] = channels.get(own, 0.0) + value
        if cell.feature:
            features[f"{cell.modality} {cell.feature}"] = value
        if cell.second is not None:
            begin = round(stop_s + cell.second - 1, 3)
            seconds[begin] = seconds.get(begin, 0.0) + value
    strongest = sorted((n for n in features if features[n]), key=lambda n: -abs(features[n]))[:FEATURES]
    return {
        "sensors": _ranked(sensors),
        "electrodes": _ranked(channels),
        "bands": tuple(Moved(n, v) for n, v in parts.bands.items()) if any(parts.bands.values()) else (),
        "features": tuple(Moved(n, features[n]) for n in strongest),
        "seconds": tuple(Moved(f"{s:g}", v) for s, v in sorted(seconds.items())) if any(seconds.values()) else (),
    }


def _electrode(cell: Cell, cells: Sequence[Cell]) -> str:
    last = cell.feature.rsplit("_", 1)[-1]
    return last if any(c.channel == last and c.modality == cell.modality for c in cells) else ""


def _ranked(values: Mapping[str, float]) -> tuple[Moved, ...]:
    return tuple(Moved(n, values[n]) for n in sorted(values, key=lambda n: -abs(values[n])))


def _deletion(parts: Parts, value: bool) -> Deletion:
    """Delete what moved the answer towards itself most, and as many cells of each kind at random."""
    order = np.argsort(-parts.moved, kind="stable")
    order = order[parts.moved[order] > 0]
    if not len(order):
        return Deletion()
    kinds = [cell.kind for cell in parts.cells]
    groups = {kind: np.flatnonzero([k == kind for k in kinds]) for kind in dict.fromkeys(kinds)}
    rng = np.random.default_rng(0)
    before = float(parts.without(np.zeros((1, len(kinds)), bool))[0])
    chosen, drawn = [], []
    for share in DELETED:
        count = min(len(order), max(1, round(share * len(kinds))))
        masks = np.zeros((DRAWS + 1, len(kinds)), bool)
        masks[0, order[:count]] = True
        for mask in masks[1:]:
            for own in groups.values():
                mask[rng.permutation(own)[: int(masks[0, own].sum())]] = True
        out = parts.without(masks)
        chosen.append(float(out[0]))
        drawn.append(out[1:])
    random = np.stack(drawn)  # (shares, draws)
    fell = before - np.asarray(chosen)
    others = before - random
    if value:  # any change counts for a number
        fell, others = np.abs(fell), np.abs(others)
    low, high = np.quantile(random, (0.05, 0.95), axis=1)
    least = (1 + int((others.mean(0) >= fell.mean()).sum())) / (1 + DRAWS)
    return Deletion(DELETED, tuple(chosen), _plain(random.mean(1)), _plain(low), _plain(high), least)


def _plain(values: DoubleArray) -> tuple[float, ...]:
    return tuple(values.tolist())


# -- which windows -----------------------------------------------------------------------------------------------------


def _run(evaluated: Evaluated) -> Single | None:
    """The most certain right and the most certain wrong window of the first system (of a number: nearest, farthest)."""
    picked = []
    table = evaluated.result.of(evaluated.main)
    for right in (True, False):
        found = _surest(table, evaluated.result.classes, right)
        if found is not None:
            picked.append(found)
    first = evaluated.result.systems[0]
    title = evaluated.result.system(first.bare).title
    out = []
    for asked in picked:
        for fold, (model, held_out) in zip(evaluated.models, evaluated.fitted, strict=True):
            if fold.split.fold != asked["fold"]:
                continue
            at = np.flatnonzero(_same(held_out.table, asked))
            if len(at):
                try:
                    out.append(explain_window(model, held_out, int(at[0]), first.bare, title, first.kind))
                except MissingDependencyError as error:
                    return Single(missing=str(error))
    return Single(tuple(out)) if out else None


def _surest(table: pd.DataFrame, classes: Sequence[str], right: bool) -> Any:
    if not classes:
        apart = (table["y_pred"] - table["y_true"]).abs()
        return table.loc[apart.idxmin() if right else apart.idxmax()]
    own = table[(table["y_pred"] == table["y_true"]) == right]
    if own.empty:
        return None
    return own.loc[own[[f"p_{c}" for c in classes]].max(axis=1).idxmax()]


def _same(table: pd.DataFrame, asked: Any) -> BoolArray:
    same = np.ones(len(table), bool)
    for name in ("subject", "session", "trial"):
        same &= (table[name].astype(str) == str(asked[name])).to_numpy()
    return np.asarray(same & np.isclose(table["stop_s"], asked["stop_s"]))


def trial_rows(windows: Windows, trial: str) -> Any:
    """Rows of the one trial that an id names: TRIAL, PERSON/TRIAL or PERSON/SESSION/TRIAL; InputError otherwise."""
    table = windows.table
    ids = table["subject"].astype(str) + "/" + table["session"].astype(str) + "/" + table["trial"].astype(str)
    short = table["subject"].astype(str) + "/" + table["trial"].astype(str)
    for names in (ids, short, table["trial"].astype(str)):
        same = (names == trial).to_numpy()
        if same.any() and ids[same].nunique() == 1:
            return np.flatnonzero(same)
    near = list(dict.fromkeys(ids[table["trial"].astype(str) == trial])) or list(dict.fromkeys(ids))
    more = " ..." if len(near) > 8 else ""
    raise InputError(f"trial {trial!r}; expected one of {', '.join(near[:8])}{more}. Name one with --trial.")


def explain_trial(model: Learner, windows: Windows, rows: Any, name: str, title: str, kind: str) -> Explained:
    """Explain the window of a trial that a row is surest of (of a continuous target: the trial's last one)."""
    own = windows.take(rows)
    at = len(own) - 1 if windows.schema.continuous else int(model.predict_proba(own).max(1).argmax())
    return explain_window(model, own, at, name, title, kind)


# -- what the page says ------------------------------------------------------------------------------------------------


def _show(found: Single, facts: Facts) -> Shown:
    if found.missing:
        return Shown(silent=(f"One prediction explained: {found.missing}",))
    made = []
    for i, one in enumerate(found.windows):
        made.append(
            picture.make(
                f"single-{i}", f"Why {one.said}? {_where(one)}", _caption(one, facts), "; ".join(_told(one)),
                plots.single, _drawn(one), facts.chance if one.right is not None else math.nan,
            )
        )  # fmt: skip
    return Shown(pictures=tuple(made))


def _drawn(one: Explained) -> plots.SingleWindow:
    def bars(moved: Sequence[Moved], count: int) -> tuple[tuple[str, float], ...]:
        least = 1e-3 * max((abs(m.value) for m in moved), default=0.0)
        return tuple((m.name, m.value) for m in moved[:count] if abs(m.value) > least)

    d = one.deletion
    all_of_it = sum(abs(m.value) for m in one.sensors)
    seconds = one.seconds if max((abs(m.value) for m in one.seconds), default=0.0) > 0.01 * all_of_it else ()
    return plots.SingleWindow(
        sensors=bars(one.sensors, 8), electrodes=bars(one.electrodes, 8), bands=bars(one.bands, 8),
        features=bars(one.features, FEATURES),
        seconds=tuple((float(m.name) - one.stop_s, m.value) for m in seconds),
        window_s=one.stop_s - one.start_s, before=one.chance, shares=d.shares, chosen=d.chosen, random=d.random,
        lo=d.lo, hi=d.hi,
    )  # fmt: skip


def _where(one: Explained) -> str:
    return f"{one.subject}, trial {one.trial}, {one.start_s:g} to {one.stop_s:g} s ({one.title})"


def _caption(one: Explained, facts: Facts) -> str:
    how = "a number" if one.right is None else ("right" if one.right else f"wrong: it was {one.truth}")
    sure = "" if facts.continuous else f" with a chance of {one.chance:.2f}"
    return f"""It said {one.said}{sure}, {how}. Bars to the right moved the answer towards itself, to the left against
        it ({one.method}; every panel splits the same sum). {_judged(one.deletion)}{picture.sentence(one.note)} What
        moved a model is not what causes an emotion."""


def _judged(deletion: Deletion) -> str:
    if not deletion.shares:
        return "Nothing moved it towards itself, so there is nothing to delete."
    holds = deletion.as_low <= 0.05
    told = "Deleting what moved it most changes the answer more than deleting as much at random" if holds else (
        "Deleting what moved it most changes the answer no more than deleting as much at random: do not lean on this"
    )  # fmt: skip
    return f"{told} (p = {deletion.as_low:.2f} against {DRAWS} random deletions)."


def _told(one: Explained) -> Iterator[str]:
    for what, moved in (
        ("sensors", one.sensors), ("electrodes", one.electrodes), ("bands", one.bands), ("features", one.features)
    ):  # fmt: skip
        strongest = sorted(moved, key=lambda m: -abs(m.value))[:4]
        if strongest:
            yield f"{what} {', '.join(f'{m.name} {m.value:+.2f}' for m in strongest)}"
    if any(m.value for m in one.seconds):
        top = max(one.seconds, key=lambda m: abs(m.value))
        yield f"second from {top.name} s {top.value:+.2f}"


def _lines(found: Single) -> Iterator[tuple[str, str]]:
    if found.missing:
        yield "one prediction explained", found.missing
    for one in found.windows:
        truth = "" if not one.truth else f", was {one.truth}"
        yield f"why {one.said} ({_where(one)}{truth})", "; ".join((*_told(one), _judged(one.deletion)))
        if one.note:
            yield "note", one.note


def _renew(old: Single, _before: Result, after: Result) -> Single:
    left = set(after.predictions["subject"].astype(str))
    return replace(old, windows=tuple(one for one in old.windows if one.subject in left))


SINGLE: Analysis[Single] = Analysis(
    "single",
    Single,
    _run,
    _show,
    _lines,
    methods="Single answers were explained by integrated gradients (networks) or exactly (linear rows) and checked "
    "by deletion against random deletion.",
    renew=_renew,
)
"""The most certain right and wrong windows of an evaluation, and those that `insula explain --trial` asked for."""
