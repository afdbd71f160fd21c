"""The ledger: a row a system and data set, from the cells of one or more grids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insula.errors import InputError
from insula.evaluation.results import Result
from insula.evaluation.scores import Paired
from insula.evaluation.seeds import joined_rows
from insula.evaluation.system import System
from insula.explain.energy import ENERGY
from insula.grid import statistics
from insula.grid.cell import NO_DATA, Outcome
from insula.grid.claims import Published, claims, claims_for
from insula.grid.grid import Cell, Grid
from insula.grid.run import outcomes
from insula.grid.statistics import Pair, Ranks
from insula.grid.texts import row_title
from insula.protocols.protocols import PROTOCOLS

SIMULATED = "simulate"
"""Reader whose rows stand apart: its truth, and so the drop, is built in."""
RANDOM_LABELS = "pseudo_trials"
"""Reader of real signals whose labels are drawn at random: all that is scored above chance is leak."""


@dataclass(frozen=True)
class Span:
    """A number with its interval."""

    mean: float
    lo: float
    hi: float


@dataclass(frozen=True)
class Entry:
    """One system under one protocol; ``why`` says why there is no score.

    ``baseline`` and ``classical`` are the best baseline without a clock and the best classical row there, as (title,
    score); ``over`` holds this system's difference from the best ``baseline``, the best ``classical`` row and the
    ``clock`` (time and time in trial), person by person, under the first clean protocol, ``behind`` names those whose
    whole interval lies below 0. ``budget`` says how long a network was trained and with what loss it ended.
    """

    protocol: str
    why: str = ""
    mean: float = float("nan")
    lo: float = float("nan")
    hi: float = float("nan")
    people: int = 0
    unit: str = ""
    verdict: str = ""
    behind: tuple[str, ...] = ()
    baseline: tuple[str, float] | None = None
    classical: tuple[str, float] | None = None
    clock: float = float("nan")
    over: Mapping[str, Paired] = field(default_factory=dict)
    contrast: Span | None = None
    null_p: float = float("nan")
    budget: str = ""
    converged: bool | None = None


@dataclass(frozen=True)
class Row:
    """One system on one data set and target, under every protocol of the section."""

    system: str
    title: str
    kind: str
    marks: str
    claims: tuple[Published, ...]
    entries: Mapping[str, Entry]
    drop: Paired | None = None
    parameters: int | None = None
    joules: float | None = None
    p50_ms: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Systems against each other under one protocol: ranks (where people suffice) and each against the best row."""

    protocol: str
    against: str
    pairs: tuple[Pair, ...]
    ranks: Ranks | None
    why: str = ""


@dataclass(frozen=True)
class Section:
    """All systems on one data set and target.

    ``leaky`` and ``clean`` are protocols in the order of the grid; the first of each are compared in ``drop``.
    """

    label: str
    data: str
    target: str
    metric: str
    chance: float
    leaky: tuple[str, ...]
    clean: tuple[str, ...]
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...] = ()
    people: int = 0
    windows: int = 0
    seeds: int = 1
    notes: tuple[str, ...] = ()

    @property
    def simulated(self) -> bool:
        return self.data == SIMULATED

    @property
    def random_labels(self) -> bool:
        return self.data == RANDOM_LABELS

    @property
    def empty(self) -> bool:
        """Whether no cell has a score."""
        return not any(np.isfinite(e.mean) for r in self.rows for e in r.entries.values())


@dataclass(frozen=True)
class Ledger:
    """Sections in the order of the grids, and the published figures whose data are not here."""

    title: str
    sections: tuple[Section, ...]
    not_run: tuple[Published, ...]
    provenance: Mapping[str, str] = field(default_factory=dict)


def build(grids: Sequence[tuple[Grid, Path]], title: str = "") -> Ledger:
    """Read the cells of grids from their folders and put the ledger together."""
    if not grids:
        raise InputError("a ledger of no grid; expected one or more. Name grid files.")
    sections = []
    dates: list[str] = []
    for grid, folder in grids:
        known = outcomes(grid, folder)
        for entry in grid.data:
            for target in entry.targets:
                cells = [c for c in grid.cells if c.label == entry.label and c.target == target]
                loaded = _load(cells, known, folder)
                dates += [str(r.provenance.get("date", "")) for _, r in loaded]
                sections.append(_section(entry.label, entry.name, target, cells, known, loaded))
    standing = {c for s in sections for r in s.rows for c in r.claims}
    rest = tuple(c for c in claims() if c not in standing)
    return Ledger(title or grids[0][0].title, tuple(sections), rest, {"until": max(dates, default="")})


Loaded = tuple[Cell, Result]


def merged(results: Sequence[Loaded]) -> Result:
    """Join results of the same windows and protocol, one a system and seed, into one with all systems.

    Seeds are stacked: a person's score is then that of all seeds together, which for recalls is their mean.
    """
    if not results:
        raise InputError("no result to join; expected one or more. Run insula compare first.")
    tables: list[pd.DataFrame] = []
    systems: dict[str, list[System]] = {}
    nulls: dict[str, object] = {}
    for cell, result in results:
        old = cell.experiment.model.name
        for system in result.systems:
            name = cell.system + system.name.removeprefix(old)
            title = system.title if system.title != system.name else _title(old, [cell])
            title = title if cell.system == old else row_title(title, cell.system)
            systems.setdefault(name, []).append(replace(system, name=name, title=title))
            own = result.predictions[result.predictions["system"] == system.name]
            tables.append(own.assign(system=name, seed=cell.experiment.seed))
            if system.name in result.nulls:
                nulls.setdefault(name, result.nulls[system.name])
    first = results[0][1]
    return Result(
        target=first.target,
        classes=first.classes,
        protocol=first.protocol,
        systems=tuple(map(joined_rows, systems.values())),
        predictions=pd.concat(tables, ignore_index=True),
        config=first.config,
        provenance=first.provenance,
        nulls=nulls,
        shared_schedule=first.shared_schedule,
    )


def _load(cells: Sequence[Cell], known: Mapping[str, Outcome], folder: Path) -> list[Loaded]:
    done = [c for c in cells if (o := known.get(c.key)) is not None and o.state == "done"]
    return [(c, Result.load(folder / "cells" / c.key)) for c in done]


def _section(
    label: str, data: str, target: str, cells: Sequence[Cell], known: Mapping[str, Outcome], loaded: Sequence[Loaded]
) -> Section:
    protocols = tuple(dict.fromkeys(c.protocol for c in cells))
    leaky = tuple(p for p in protocols if PROTOCOLS[p].leaky)
    clean = tuple(p for p in protocols if not PROTOCOLS[p].leaky)
    together = {p: merged(found) for p in protocols if (found := [(c, r) for c, r in loaded if c.protocol == p])}
    tables = {p: {s.name: r.of(s.name) for s in r.systems} for p, r in together.items()}
    entries = {p: _entries(p, r, tables[p] if p in clean[:1] else {}) for p, r in together.items()}
    systems: dict[str, System] = {s.name: s for r in together.values() for s in r.systems}
    names = _names(cells, systems)
    costs = _costs(loaded)
    some = next(iter(together.values()), None)
    continuous = some is not None and some.continuous
    rows = []
    for name in names:
        own = {p: entries.get(p, {}).get(name) or Entry(p, why=_why(name, p, cells, known)) for p in protocols}
        parameters, joules, latency = _cost_of(name, costs, systems.get(name))
        one = systems.get(name)
        rows.append(
            Row(
                system=name,
                title=one.title if one else _title(name, cells),
                kind=one.kind if one else _kind(name, cells),
                marks=one.marks.replace("leaky", "").strip(", ") if one and one.kind != "baseline" else "",
                claims=() if continuous or data == SIMULATED else tuple(claims_for(name, data, target)),
                entries=own,
                drop=_drop(name, leaky, clean, together, tables),
                parameters=parameters if parameters is not None else (one.parameters if one else None),
                joules=joules,
                p50_ms=latency,
            )
        )
    return Section(
        label=label,
        data=data,
        target=target,
        metric=some.main_metric if some else "balanced_accuracy",
        chance=some.chance if some else float("nan"),
        leaky=leaky,
        clean=clean,
        rows=tuple(rows),
        comparisons=tuple(_comparison(p, together[p], tables[p]) for p in clean if p in together),
        people=some.predictions["subject"].nunique() if some else 0,
        windows=len(some.of(some.systems[0].name)) // max(1, len({c.experiment.seed for c in cells})) if some else 0,
        seeds=len({c.experiment.seed for c in cells}),
        notes=tuple(dict.fromkeys(str(n) for r in together.values() for n in r.protocol.get("notes", ()))),
    )


def _names(cells: Sequence[Cell], systems: Mapping[str, System]) -> list[str]:
    """Rows in the order of the grid, each followed by its ablations and variants."""
    names: list[str] = []
    labels = list(dict.fromkeys(c.system for c in cells))
    for label in labels:
        names.append(label)
        names += [n for n in systems if n.startswith(f"{label}_") and n not in labels and n not in names]
    return names


def _title(name: str, cells: Sequence[Cell]) -> str:
    """Title of a row that has not run, or was written before its network had one."""
    from insula.learning.classical_rows import CLASSICAL
    from insula.models import card

    model = next((c.experiment.model for c in cells if name in (c.system, c.experiment.model.name)), None)
    if model is None:
        return name
    title = CLASSICAL[model.name].title if model.name in CLASSICAL else card(model.name).title_of(model.options)
    return title if name == model.name else row_title(title, name)


def _kind(name: str, cells: Sequence[Cell]) -> str:
    from insula.learning.classical_rows import CLASSICAL

    model = next((c.experiment.model.name for c in cells if c.system == name), name)
    return CLASSICAL[model].kind if model in CLASSICAL else "model"


def _why(name: str, protocol: str, cells: Sequence[Cell], known: Mapping[str, Outcome]) -> str:
    """Say in a few words why a cell has no score."""
    cell = next((c for c in cells if c.protocol == protocol and (c.system == name)), None)
    if cell is None:
        return "not asked"
    outcome = known.get(cell.key)
    if outcome is None:
        root = cell.experiment.data.root
        return f"not run: {NO_DATA}" if root is not None and not Path(root).exists() else "not run yet"
    if outcome.why.startswith(NO_DATA):
        return f"not run: {NO_DATA}"
    return f"not run: {outcome.why.split(';')[0]}"


def _entries(protocol: str, result: Result, tables: Mapping[str, pd.DataFrame]) -> dict[str, Entry]:
    """Entries of all systems under one protocol; ``tables`` of predictions where they are compared person by person."""
    rows = {str(row["name"]): row for row in result.table().to_dict("records")}
    main = result.main_metric
    best: dict[str, tuple[str, float]] = {}
    against: dict[str, str] = {}
    for kind, names in (
        ("baseline", [s.name for s in result.systems if s.name in ("majority", "prior")]),
        ("classical", [s.name for s in result.systems if s.kind == "classical"]),
    ):
        if names:
            top = max(names, key=lambda n: float(rows[n][main]))
            best[kind] = (str(rows[top]["title"]), float(rows[top][main]))
            against[kind] = top
    timed = next((n for n in ("elapsed_trial", "elapsed", "clock") if n in rows), None)
    against |= {"clock": timed} if timed else {}
    clock = float(rows[timed][main]) if timed else float("nan")
    found = {}
    for system in result.systems:
        row = rows[system.name]
        mean = float(row[main])
        over = {
            kind: statistics.difference(tables[system.name], tables[other], main)
            for kind, other in against.items()
            if tables and other != system.name
        }
        found[system.name] = Entry(
            protocol=protocol,
            mean=mean,
            lo=float(row[f"{main}_lo"]),
            hi=float(row[f"{main}_hi"]),
            people=int(row["people"]),
            unit=str(row["unit"]),
            verdict=str(row["verdict"]),
            behind=tuple(k for k in ("classical", "clock") if k in over and over[k].hi < 0),
            baseline=best.get("baseline"),
            classical=best.get("classical"),
            clock=clock,
            over=over,
            contrast=Span(*(float(row[f"contrast{end}"]) for end in ("", "_lo", "_hi"))),
            null_p=float(row["null_p"]),
            budget=system.budget,
            converged=system.converged,
        )
    return found


def _drop(
    name: str,
    leaky: Sequence[str],
    clean: Sequence[str],
    together: Mapping[str, Result],
    tables: Mapping[str, Mapping[str, pd.DataFrame]],
) -> Paired | None:
    """Difference between the first leaky and the first clean protocol that train alike, on windows that both test.

    Alike: a model a person on both sides or all people pooled on both, and one normaliser. Without such two protocols
    there is no drop: what differs would be the model, not the leak.
    """
    for one, other in ((a, b) for a in leaky for b in clean if a in together and b in together):
        if name not in tables[one] or name not in tables[other]:
            continue
        pooled = [bool(together[p].protocol.get("pooled")) for p in (one, other)]
        scaled = [together[p].system(name).normaliser for p in (one, other)]
        if pooled[0] == pooled[1] and scaled[0] == scaled[1]:
            return statistics.difference(tables[one][name], tables[other][name])
    return None


def _comparison(protocol: str, result: Result, tables: Mapping[str, pd.DataFrame]) -> Comparison:
    scores = statistics.person_scores(tables)
    rows = [s.name for s in result.systems if s.kind == "classical"] or [s.name for s in result.systems]
    against = max(rows, key=lambda n: float(scores[n].mean()))
    titles = {s.name: s.title for s in result.systems}
    found: tuple[Pair, ...] = ()
    if len(tables) > 1 and len(scores) > 1:
        models = [s.name for s in result.systems if s.kind == "model" or s.role == "core"]
        made = statistics.pairs(tables, against, result.main_metric, models)
        found = tuple(replace(p, a=titles[p.a], b=titles[p.b]) for p in made)
    try:
        ranked = statistics.ranks(scores.rename(columns=titles))
    except InputError as error:
        return Comparison(protocol, titles[against], found, None, str(error).split(";")[0])
    return Comparison(protocol, titles[against], found, ranked)


def _costs(loaded: Sequence[Loaded]) -> dict[str, tuple[int | None, float | None, float | None]]:
    """Parameters, joules a decision and median latency in ms of each row, from the first of its cells."""
    found: dict[str, tuple[int | None, float | None, float | None]] = {}
    for cell, result in loaded:
        costs = ENERGY.read(result)
        for sheet in costs.rows if costs else ():
            name = cell.system + sheet.system.removeprefix(cell.experiment.model.name)
            found.setdefault(name, (sheet.parameters, sheet.joules_decision, sheet.latency.p50_ms))
    return found


def _cost_of(name: str, costs: Mapping[str, tuple[int | None, float | None, float | None]], one: System | None) -> Any:
    """Costs of a row; a control costs what its network costs."""
    like = name.rsplit("_", 1)[0] if one is not None and one.role == "control" else name
    return costs.get(name) or costs.get(like) or (None, None, None)
