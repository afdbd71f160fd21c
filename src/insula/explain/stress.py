"""How much a model bears: its score when recordings are spoiled by rule, beside the rows that it is compared with.

Nothing is trained again: the models of the folds answer windows that are cut from spoiled recordings of people they
have not seen. The faults are those of `insula.signals.faults`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from insula import plots
from insula.errors import InputError, unknown_name
from insula.evaluation.kept import KeptRow
from insula.evaluation.results import Result
from insula.evaluation.run import prediction_table
from insula.evaluation.scores import mean_over_people, paired
from insula.explain import picture, wording
from insula.explain.analysis import Analysis, Cell, Evaluated, Shown, Table, TableRow
from insula.explain.electrodes import positions
from insula.explain.facts import Facts
from insula.learning.learner import Learner
from insula.protocols.own_median import for_fold
from insula.signals.faults import FAULTS, Fault, Person, Sizes
from insula.types import FloatArray, Recording
from insula.windows.cutting import cut
from insula.windows.table import Windows

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Point:
    """Score of a row at one level of a fault, with its interval over people, and its change from the clean recordings.

    ``unread`` is the share of windows in which nothing was left to read; they are answered by chance.
    """

    level: float
    score: float = math.nan
    lo: float = math.nan
    hi: float = math.nan
    change: float = math.nan
    change_lo: float = math.nan
    change_hi: float = math.nan
    unread: float = 0.0


@dataclass(frozen=True)
class Curve:
    """One row under one fault, its points from the clean recordings on."""

    fault: str
    row: str
    title: str
    kind: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Stress:
    """All curves, and how many people they stand on."""

    curves: tuple[Curve, ...] = ()
    people: int = 0
    note: str = ""


def stress(
    result: Result,
    recordings: Sequence[Recording],
    windows: Windows,
    rows: Sequence[KeptRow],
    faults: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Stress:
    """Draw every row's curve under every fault that the recordings can have.

    Parameters
    ----------
    result : the one that the windows and rows belong to.
    recordings : raw ones, of which ``windows`` were cut.
    rows : with their fold models.
    faults : names of `FAULTS`; all that apply by default.
    """
    for name in faults or ():
        if name not in FAULTS:
            raise unknown_name("fault", name, FAULTS)
    there = list(windows.schema.modalities)
    wanted = [FAULTS[n] for n in faults or FAULTS if not FAULTS[n].reads or FAULTS[n].reads in there]
    wanted = [f for f in wanted if f.name != "sensors" or len(there) > 1]
    if not wanted:
        raise InputError(
            f"faults {', '.join(faults or ())} for {', '.join(there)}; expected one that applies. Leave --faults out."
        )
    ready = _ready(recordings, windows)
    clean = {row.name: _table(row, windows, windows) for row in rows}
    found: dict[tuple[str, str], list[Point]] = {
        (f.name, row.name): [_point(f.clean, clean[row.name], clean[row.name], result.main_metric, 0.0)]
        for f in wanted
        for row in rows
    }
    levels = [(f, level) for f in wanted for level in f.levels if f.name != "sensors" or level < len(there)]
    for done, (fault, level) in enumerate(levels):
        spoiled = _cut(fault, level, ready, windows, seed)
        for row in rows:
            table = _table(row, windows, spoiled)
            unread = float(table.pop("unread").mean())
            point = _point(level, table, clean[row.name], result.main_metric, unread)
            found[fault.name, row.name].append(point)
        if progress is not None:
            progress("stress tests", done + 1, len(levels))
    titles = {row.name: (row.title, row.kind) for row in rows}
    curves = tuple(Curve(f, row, *titles[row], tuple(points)) for (f, row), points in found.items())
    return Stress(curves, int(windows.table["subject"].nunique()))


def _ready(recordings: Sequence[Recording], windows: Windows) -> list[tuple[Recording, Sizes, Mapping[str, Any]]]:
    """Each recording with the sizes of its channels and the places of its electrodes."""
    spec = windows.schema.modalities.get("eeg")
    channels = list(dict.fromkeys([*(spec.channels if spec else ()), *_eeg_names(recordings)]))
    places = dict(zip(channels, positions(channels), strict=True)) if channels else {}
    return [(one, _sizes_of(one, windows), places) for one in recordings]


def _eeg_names(recordings: Sequence[Recording]) -> list[str]:
    own = [t.signals["eeg"].channels for r in recordings for t in r.trials if "eeg" in t.signals]
    return [name for names in dict.fromkeys(own) for name in names]


def _sizes_of(recording: Recording, windows: Windows) -> dict[str, FloatArray]:
    """Deviation of the cleaned samples of each channel, the median over trials."""
    found: dict[str, list[Any]] = {}
    for trial in recording.trials:
        clean = windows.clean.get(trial.key)
        for m in trial.signals if clean is not None else ():
            if clean is not None and m in clean.specs and clean.observed[m].sum() > 1:
                found.setdefault(m, []).append(clean.signals[m][:, clean.observed[m]].std(axis=1))
    return {m: np.median(np.stack(each), axis=0).astype(np.float32) for m, each in found.items()}


def _cut(fault: Fault, level: float, ready: Sequence[Any], windows: Windows, seed: int) -> Windows:
    """Spoil every recording and cut it as the windows were cut, labels and all."""
    spoiled = []
    for i, (one, sizes, places) in enumerate(ready):
        rng = np.random.default_rng([seed, i, list(FAULTS).index(fault.name), round(1000 * level)])
        spoiled.append(fault.spoil(Person(one, sizes, places, rng), level))
    try:
        return cut(spoiled, windows.recipe, None, traits=bool(windows.schema.traits), schema=windows.schema)
    except InputError:  # nothing is left that could be read
        return windows.take(np.empty(0, np.int64))


def _table(row: KeptRow, windows: Windows, spoiled: Windows) -> pd.DataFrame:
    """Predictions of a row's fold models for the windows tested, read from the spoiled ones; chance where none is."""
    place = {key: i for i, key in enumerate(_keys(spoiled))}
    parts = []
    rng = np.random.default_rng(0)
    for part, model in zip(row.splits, row.models, strict=True):
        if model is None:
            continue
        asked = for_fold(windows, part).take(part.test)
        at = np.asarray([place.get(key, -1) for key in _keys(asked)])
        answer = _by_chance(asked, rng)
        seen = at >= 0
        if seen.any():
            answer[seen] = _answer(model, spoiled.take(at[seen]).with_y(asked.y[seen]))
        table = prediction_table(windows, part, row.name, answer)
        parts.append(table.assign(unread=~seen))
    return pd.concat(parts, ignore_index=True)


def _answer(model: Learner, windows: Windows) -> Any:
    return model.predict(windows) if windows.schema.continuous else model.predict_proba(windows)


def _by_chance(windows: Windows, rng: np.random.Generator) -> Any:
    if windows.schema.continuous:
        return np.full(len(windows), float(np.mean(windows.y)))
    return rng.dirichlet(np.ones(len(windows.schema.classes)), len(windows))


def _keys(windows: Windows) -> list[tuple[Any, ...]]:
    t = windows.table
    return list(zip(t["subject"], t["session"], t["trial"], t["hop"], strict=True))


def _point(level: float, table: pd.DataFrame, clean: pd.DataFrame, metric: str, unread: float) -> Point:
    score, found = mean_over_people(table, metric), paired(table, clean, metric)
    return Point(level, score.mean, score.lo, score.hi, found.mean, found.lo, found.hi, unread)


# -- what the page says --------------------------------------------------------------------------------------------


def _show(found: Stress, facts: Facts) -> Shown:
    if not found.curves:
        return Shown()
    names = list(dict.fromkeys(c.fault for c in found.curves))
    panels = [
        plots.StressPanel(
            FAULTS[name].title if name in FAULTS else name,
            FAULTS[name].unit if name in FAULTS else "",
            tuple(
                plots.StressLine(
                    c.title, c.kind, tuple(p.level for p in c.points), tuple(p.score for p in c.points),
                    tuple(p.lo for p in c.points), tuple(p.hi for p in c.points),
                )
                for c in found.curves
                if c.fault == name
            ),
        )
        for name in names
    ]  # fmt: skip
    caption = f"""The score over {found.people} people when their recordings are spoiled by rule and nothing is trained
        again; the first point is the clean recordings, the band the 95 % interval of the first row, the dashed line
        chance. Each model answers windows that it has not seen.{picture.sentence(found.note)}"""
    alt = "; ".join(f"{FAULTS[c.fault].title}: {_said(c, facts)}" for c in found.curves if c.fault in FAULTS)
    made = picture.make(
        "stress", "What does it bear?", caption, alt, plots.stress, panels,
        chance=facts.chance, axis=facts.score_name, tick=picture.tick(facts),
    )  # fmt: skip
    return Shown(tables=(_worst(found, facts),), pictures=(made,))


def _said(curve: Curve, facts: Facts) -> str:
    last = curve.points[-1]
    return f"{curve.title} {wording.difference_text(facts, last.change)} at the worst"


def _worst(found: Stress, facts: Facts) -> Table:
    """Change of the score at each fault's worst level."""
    faults = list(dict.fromkeys(c.fault for c in found.curves))
    rows = []
    for row in dict.fromkeys(c.row for c in found.curves):
        own = {c.fault: c for c in found.curves if c.row == row}
        cells = []
        for fault in faults:
            point = own[fault].points[-1]
            span = wording.difference_range(facts, point.change_lo, point.change_hi)
            unread = f"; {wording.percent(point.unread)} unread" if point.unread else ""
            cells.append(Cell(wording.difference_text(facts, point.change), point.change, f"{span}{unread}"))
        first = next(iter(own.values()))
        rows.append(TableRow(first.title, tuple(cells), first.kind))
    heads = []
    for name in faults:
        one = next(c for c in found.curves if c.fault == name)
        level = f"{one.points[-1].level:g}"
        known = FAULTS.get(name)
        heads.append(f"{known.title.lower()} ({level} {known.unit})" if known is not None else f"{name} ({level})")
    return Table(
        "stress", "Change of the score at the worst level", ("system", *heads), tuple(rows),
        ("Paired over people against the unspoiled recordings; the second line is the 95 % interval.",),
    )  # fmt: skip


def _lines(found: Stress) -> Iterator[tuple[str, str]]:
    for c in found.curves:
        title = FAULTS[c.fault].title.lower() if c.fault in FAULTS else c.fault
        levels = ", ".join(f"{p.level:g}: {p.score:.3f}" for p in c.points)
        unread = f" ({c.points[-1].unread:.0%} of windows unread at the worst)" if c.points[-1].unread else ""
        yield f"{title}, {c.title}", f"{levels}{unread}"


def _renew(old: Stress, _before: Result, after: Result) -> Stress:
    return replace(old, note=f"measured before a person was removed; {after.predictions['subject'].nunique()} are left")


def _later(_: Evaluated) -> None:
    """Needs the raw recordings: `insula stress` writes it."""


STRESS: Analysis[Stress] = Analysis(
    "stress",
    Stress,
    _later,
    _show,
    _lines,
    methods="Recordings of test people were spoiled by rule (noise, artefacts, lost sensors, clock drift, lower rates) "
    "and answered by the same fold models, without retraining.",
    part="signals",
    renew=_renew,
)
