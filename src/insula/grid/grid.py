"""A grid from TOML: data sets x targets x models x protocols x seeds, each cell one `Experiment`.

title = "..."                      # of the ledger
seeds = [0]
protocols = ["random_windows", "within_subject", {name = "leave_subjects_out", folds = 6}]
models = ["NAME", {name = "OTHER", size = "medium", label = "other_medium"}]
time_limit_s = 120                 # a cell; none without

[compare]                          # rows are cells of their own; variants ride with the network that has them
[train]  [recipe]  [tune]          # for every network, every data set

[[data]]                           # one a data set; root is relative to the working folder
name = "simulate"
targets = ["emotion"]
recipe = {}                        # these four replace the tables above for this data set
train = {}
protocols = []
models = []
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from insula.errors import InputError, unknown_name
from insula.evaluation.experiment import (
    CompareWith,
    DataPart,
    Experiment,
    ModelPart,
    ProtocolPart,
    experiment_from,
    with_variants,
)
from insula.files import read_toml

ROWS = CompareWith().rows
"""Classical rows and baselines of every grid that names none."""

_GRID = ("title", "seeds", "protocols", "models", "time_limit_s", "compare", "train", "recipe", "tune", "data")
_DATA_OWN = ("label", "targets", "recipe", "train", "protocols", "models")
_MODEL_OWN = ("label", "train")
_TUNE = ("candidates", "folds")


@dataclass(frozen=True)
class Cell:
    """One evaluation: ``label`` names the data set and ``system`` the row in tables; neither is part of its key."""

    label: str
    system: str
    experiment: Experiment

    @cached_property
    def key(self) -> str:
        """Content hash over what the cell asks for, and nothing else: options added later leave it as it is."""
        text = json.dumps(self.experiment.asked(), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    @property
    def target(self) -> str:
        return self.experiment.data.target or ""

    @property
    def protocol(self) -> str:
        return self.experiment.protocol.name

    @property
    def source(self) -> str:
        """Name of what is read from disk: cells of equal source share one reading."""
        data = dataclasses.asdict(self.experiment.data)
        return json.dumps({k: data[k] for k in ("name", "root", "subjects", "options")}, sort_keys=True, default=str)

    def __str__(self) -> str:
        return f"{self.label} · {self.target} · {self.protocol} · {self.system} · seed {self.experiment.seed}"


@dataclass(frozen=True)
class DataEntry:
    """One data set of a grid: its label and the targets asked of it."""

    label: str
    name: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """All cells in the order of the file, and the time limit of a cell in seconds (None: no limit)."""

    title: str
    cells: tuple[Cell, ...]
    data: tuple[DataEntry, ...]
    time_limit_s: float | None = None
    name: str = "grid"
    protocols: tuple[str, ...] = field(default=())


def read_grid(path: str | Path) -> Grid:
    """Read a grid from TOML; an unknown key is an error that names the nearest known one."""
    file = Path(path)
    return grid_from(read_toml(file, "a grid with models, protocols and [[data]] tables"), file.stem)


def grid_from(tables: Mapping[str, Any], name: str = "grid") -> Grid:
    """Build a grid from nested plain tables.

    Raises
    ------
    InputError : an unknown key or name, a list that is empty, a cell that stands in the grid twice.
    """
    _known("grid key", tables, _GRID)
    compare = _compare(tables.get("compare", {}))
    _known("[tune] key", tables.get("tune", {}), _TUNE)
    _require_variants(compare["variants"] or (), tables)
    cells: list[Cell] = []
    entries: list[DataEntry] = []
    data = tables.get("data", [])
    if not isinstance(data, list) or not data:
        raise InputError("a grid without [[data]]; expected at least one data set. Add [[data]] with a name.")
    for table in data:
        entry = _entry(table)
        entries.append(entry)
        cells += _cells(entry, table, tables, compare)
    _require_apart(cells)
    _require_keys(cells)
    limit = tables.get("time_limit_s")
    if limit is not None and not (isinstance(limit, int | float) and limit > 0):
        raise InputError(f"time_limit_s {limit!r}; expected seconds above 0. Leave it out for no limit.")
    return Grid(
        title=str(tables.get("title", name)),
        cells=tuple(cells),
        data=tuple(entries),
        time_limit_s=None if limit is None else float(limit),
        name=name,
        protocols=tuple(dict.fromkeys(c.protocol for c in cells)),
    )


def _require_variants(variants: Sequence[str], tables: Mapping[str, Any]) -> None:
    """Refuse a variant that no network of the grid has."""
    from insula.models import ENCODERS, MODELS, card

    asked = [m for part in (tables, *tables.get("data", ())) for m in part.get("models") or ()]
    names = {m if isinstance(m, str) else m.get("name") for m in asked}
    known = [v for name in names if name in (*MODELS, *ENCODERS) for v in card(name).variants]
    for variant in variants:
        if variant not in known:
            raise unknown_name("[compare] variant", variant, known)


def _entry(table: Mapping[str, Any]) -> DataEntry:
    if not isinstance(table, Mapping) or "name" not in table:
        raise InputError('[[data]] without a name; expected one. Add name = "simulate", for instance.')
    own = [f.name for f in dataclasses.fields(DataPart) if f.name != "target"]
    _known("[[data]] key", table, [*own, *_DATA_OWN])
    targets = tuple(table.get("targets") or (_first_target(table["name"]),))
    return DataEntry(str(table.get("label", table["name"])), str(table["name"]), targets)


def _first_target(name: str) -> str:
    from insula.data import info

    return next(iter(info(name).targets))


def _cells(entry: DataEntry, table: Mapping[str, Any], grid: Mapping[str, Any], compare: dict[str, Any]) -> list[Cell]:
    part = {k: v for k, v in table.items() if k not in _DATA_OWN}
    recipe = {**grid.get("recipe", {}), **table.get("recipe", {})}
    train = {**grid.get("train", {}), **table.get("train", {})}
    protocols = [_protocol(p) for p in _filled("protocols", table.get("protocols") or grid.get("protocols"))]
    seeds = _filled("seeds", grid.get("seeds", [0]))
    systems = [_model(m) for m in table.get("models") or grid.get("models") or []]
    systems += [({"name": row}, row, {}) for row in compare["rows"]]
    cells = []
    for target in entry.targets:
        for protocol in protocols:
            for seed in seeds:
                for model, label, own in systems:
                    built = {
                        "data": {**part, "target": target},
                        "model": model,
                        "protocol": protocol,
                        "compare": _beside(model["name"], compare),
                        "recipe": recipe,
                        "seed": seed,
                    }
                    if not _is_row(model["name"]):
                        built["train"] = {**train, **own}
                        built["tune"] = grid.get("tune", {})
                    cells.append(Cell(entry.label, label, experiment_from(built)))
    return cells


def _beside(model: str, compare: dict[str, Any]) -> dict[str, Any]:
    """What rides in a cell: its variants with a network, the trial's mean with a classical row."""
    from insula.models import card

    alone: dict[str, Any] = {"rows": [], "context": False, "variants": [], "session": False}
    if _is_row(model):
        return {**alone, "context": compare["context"]}
    variants = [v for v in compare["variants"] or () if v in card(model).variants]
    return {**alone, "variants": variants, "session": compare["session"]}


def _compare(table: Mapping[str, Any]) -> dict[str, Any]:
    from insula.learning.classical_rows import CLASSICAL

    table = with_variants(table)
    _known("[compare] key", table, [f.name for f in dataclasses.fields(CompareWith)])
    found = {"rows": list(ROWS), "context": True, "variants": [], "session": False, **table}
    for row in found["rows"]:
        if row not in CLASSICAL:
            raise unknown_name("row", row, CLASSICAL)
    return found


def _protocol(given: Any) -> dict[str, Any]:
    from insula.protocols.protocols import PROTOCOLS

    table = _named("protocol", given)
    _known("protocol key", table, [f.name for f in dataclasses.fields(ProtocolPart)])
    if table.get("name") not in PROTOCOLS:
        raise unknown_name("protocol", str(table.get("name")), PROTOCOLS)
    return table


def _model(given: Any) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Table of [model], the row's name, the model's own [train] keys."""
    from insula.learning.classical_rows import CLASSICAL
    from insula.models import ENCODERS, MODELS

    table = _named("model", given)
    _known("model key", table, [*(f.name for f in dataclasses.fields(ModelPart)), *_MODEL_OWN])
    known = (*MODELS, *CLASSICAL, *ENCODERS)
    if table.get("name") not in known:
        raise unknown_name("model", str(table.get("name")), known)
    label, own = str(table.pop("label", table["name"])), dict(table.pop("train", {}))
    return table, label, own


def _named(kind: str, given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        return {"name": given}
    if not isinstance(given, Mapping):
        raise InputError(f'{kind} {given!r}; expected a name or a table with a name. Write name = "...".')
    return dict(given)


def _is_row(name: str) -> bool:
    from insula.learning.classical_rows import CLASSICAL

    return name in CLASSICAL


def _filled(name: str, values: Any) -> list[Any]:
    if not isinstance(values, list) or not values:
        raise InputError(f"{name} {values!r}; expected a list with at least one entry. Add {name} = [...].")
    return values


def _require_apart(cells: Sequence[Cell]) -> None:
    """Refuse two cells of one configuration, and two configurations under one name."""
    for what, names in (("configuration", [c.key for c in cells]), ("name", [str(c) for c in cells])):
        seen: set[str] = set()
        for cell, one in zip(cells, names, strict=True):
            if one in seen:
                raise InputError(
                    f"cell {cell} twice in the grid (same {what}); expected each once. "
                    "Give one of them another label, or remove it."
                )
            seen.add(one)


def _require_keys(cells: Sequence[Cell]) -> None:
    """Find unknown keys of [recipe], [train] and [tune] before any cell takes time."""
    from insula.data import info
    from insula.evaluation.experiment import apply_recipe
    from insula.evaluation.rows import require_names

    seen = set()
    for cell in cells:
        one = cell.experiment
        like = json.dumps([one.data.name, one.recipe, one.model.name, one.train, one.tune.candidates], default=str)
        if like not in seen:
            apply_recipe(info(one.data.name).recipe, one.recipe)
            require_names(one)
            seen.add(like)


def _known(kind: str, table: Mapping[str, Any], allowed: Sequence[str]) -> None:
    if not isinstance(table, Mapping):
        raise InputError(f"{kind.removesuffix(' key')} {table!r}; expected a table. Write it with its keys below it.")
    for key in table:
        if key not in allowed:
            raise unknown_name(kind, key, allowed)
