"""Fold models that outlive an evaluation: which rows keep them, how they are written, and how they are read again.

``folds/ROW/NUMBER`` beside a result holds the model of a fold; it has never seen the windows tested there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insula.errors import DataError, InputError
from insula.evaluation.folds import folds_of
from insula.evaluation.results import Result
from insula.evaluation.story import Seen, merged, read_story, records
from insula.learning.learner import Learner
from insula.learning.prior import WithPrior
from insula.learning.saving import load_model
from insula.protocols.lending import lent
from insula.protocols.protocols import Split
from insula.windows.table import Windows

if TYPE_CHECKING:
    from insula.evaluation.experiment import Experiment
    from insula.evaluation.rows import RowPlan

FOLDS = "folds"
"""Folder of the fold models beside a result."""


@dataclass(frozen=True)
class KeptRow:
    """A row of a result with its model of each fold, in the order of ``splits``; None for a fold without one."""

    name: str
    title: str
    kind: str
    splits: tuple[Split, ...]
    models: tuple[Learner | None, ...]


def keeps(plan: RowPlan) -> bool:
    """Whether a row beside the first may be needed: classical ones, and networks of the same shape as the first."""
    return plan.kind == "classical" or plan.role in ("core", "twin")


def kept_rows(
    plans: Sequence[RowPlan],
    splits: Sequence[Split],
    models: Mapping[tuple[str, int], Learner | None],
    best: Sequence[str],
) -> tuple[KeptRow, ...]:
    """The first row, networks in its place, and the classical row that was the best on inner people of each fold."""
    rows, titles = [], {plan.name: plan.title for plan in plans}
    for plan in plans:
        if plan.keep and plan.kind != "classical":
            own = tuple(models[plan.name, i] for i in range(len(splits)))
            rows.append(KeptRow(plan.name, plan.title, plan.kind, tuple(splits), own))
    names = list(dict.fromkeys(best))
    if names and plans[0].kind != "classical":
        title = titles[names[0]] if len(names) == 1 else "Best classical row"
        own = tuple(models[name, i] for i, name in enumerate(best))
        rows.append(KeptRow("classical", title, "classical", tuple(splits), own))
    elif plans[0].kind == "classical":
        own = tuple(models[plans[0].name, i] for i in range(len(splits)))
        rows.insert(0, KeptRow(plans[0].name, plans[0].title, "classical", tuple(splits), own))
    return tuple(rows)


def save_kept(
    rows: Sequence[KeptRow], windows: Windows, folder: Path, story: Mapping[str, Any], data: str, seen: Seen
) -> None:
    """Write every model with the people of ``data`` it learned from, by its prior too, and by its elders (``seen``)."""
    names = windows.table["subject"].astype(str)
    for row in rows:
        for i, (part, model) in enumerate(zip(row.splits, row.models, strict=True)):
            if model is not None:
                people = sorted(names.iloc[part.train].unique())
                own = {**story, "row": {"title": row.title, "kind": row.kind}, "subjects": people}
                others = {data: names.iloc[lent(windows, part)]} if isinstance(model, WithPrior) else {}
                known = merged(others, {} if row.kind == "classical" else seen)
                own |= {"seen": records(known)} if known else {}
                model.save(folder / row.name / str(i), own)


def require_folds(folder: Path) -> Path:
    """Return the folder of a result's fold models; InputError where there is none."""
    place = folder / FOLDS
    if not place.is_dir():
        raise InputError(
            f"{folder} without {FOLDS}/; expected the models of its folds, which have not seen the windows tested. "
            "Evaluate again with --keep-folds."
        )
    return place


def load_kept(result: Result, experiment: Experiment, windows: Windows, folder: Path) -> tuple[KeptRow, ...]:
    """Read the fold models of a result again; ``windows`` are those of its experiment.

    Raises
    ------
    InputError : the folder keeps none.
    DataError : the windows are not those of the result.
    """
    place = require_folds(folder)
    if windows.fingerprint() != result.provenance.get("data_hash"):
        raise DataError(
            f"the data of {folder} are not those it was made from; expected the same recordings, people and recipe. "
            "Evaluate again with --keep-folds."
        )
    splits = tuple(folds_of(windows, experiment))
    found = []
    order = {s.name: i for i, s in enumerate(result.systems)}
    for one in sorted((p for p in place.iterdir() if p.is_dir()), key=lambda p: order.get(p.name, len(order))):
        there = [one / str(i) for i in range(len(splits))]
        models = tuple(load_model(p) if (p / "estimator.json").is_file() else None for p in there)
        named = next((read_story(p).row for p, model in zip(there, models, strict=True) if model is not None), None)
        if named is not None:
            found.append(KeptRow(one.name, named.title, named.kind, splits, models))
    if not found:
        raise InputError(f"{place} holds no model; expected one a fold. Evaluate again with --keep-folds.")
    return tuple(found)
