"""What protocols share: rows by person, folds of held-out rows, folds that leak."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from insula.errors import ProtocolError
from insula.protocols.grouping import is_continuous
from insula.protocols.protocol import Design, Part, Parts
from insula.types import BoolArray, IntArray


def held_out(d: Design, folds: list[tuple[str, BoolArray]], group: tuple[str, ...]) -> Parts:
    """Hold out named rows, (rows,) marks each; folds whose training has one class only are left out and noted."""
    y = d.table["y"].to_numpy()
    parts: list[Part] = []
    notes: list[str] = []
    for name, out in folds:
        train, test = d.rows[~out], d.rows[out]
        if not is_continuous(y):
            seen = np.unique(y[train])
            if seen.size < 2:
                notes.append(f"fold {name} left out: one class only outside it")
                continue
            missing = np.setdiff1d(y[test], seen)
            if missing.size:
                notes.append(f"fold {name}: class {', '.join(map(str, missing))} has no training window")
        parts.append(Part(name, train, test, group))
    return parts, notes


def leaking(d: Design, assign: Callable[[IntArray], IntArray]) -> Parts:
    """Deal single windows: ``assign`` gives rows their fold, person by person or over all of them."""
    parts: list[Part] = []
    notes: list[str] = []
    y = d.table["y"].to_numpy()
    people: list[tuple[str, IntArray]] = by_person(d) if d.personal else [("all", d.rows)]
    for subject, rows in people:
        fold = assign(rows)
        usable = [i for i in np.unique(fold) if is_continuous(y) or np.unique(y[rows[fold != i]]).size > 1]
        if np.unique(fold).size < 2 or not usable:
            notes.append(f"{subject}: too few windows or one class only")
            continue
        name = subject if d.personal else None
        parts += [Part(f"{subject}:{i}", rows[fold != i], rows[fold == i], (), name) for i in usable]
    return parts, notes


def people_of(d: Design, name: str) -> tuple[NDArray[np.object_], list[str]]:
    """Each row's person and the people's names; ProtocolError for one person only."""
    subject = _subjects(d)
    names = list(dict.fromkeys(subject))
    if len(names) < 2:
        raise ProtocolError(f"{name} with {len(names)} person; expected at least 2. Use within_subject for one person.")
    return subject, names


def by_person(d: Design) -> list[tuple[str, IntArray]]:
    """Rows of each person, in order of appearance."""
    subject = _subjects(d)
    return [(name, d.rows[subject == name]) for name in dict.fromkeys(subject)]


def _subjects(d: Design) -> NDArray[np.object_]:
    return d.table["subject"].astype(str).to_numpy(object)[d.rows]
