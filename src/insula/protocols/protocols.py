"""Splits by name: which windows train, which are tested, and which unit is kept whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from insula.errors import InputError, ProtocolError, unknown_name
from insula.protocols.grouping import (
    TRIAL,
    codes,
    exchangeable_labellings,
    inner_split,
    is_continuous,
    on_both_sides,
    overlapping,
    permute_labels,
    scored_rows,
    stratified_folds,
    trial_labels,
    unit_mean,
)
from insula.types import BoolArray, DoubleArray, IntArray

__all__ = ["PROTOCOLS", "TRIAL", "ProtocolInfo", "Split", "allowed", "exchangeable_labellings", "inner_split",
           "permute_labels", "scored_rows", "split"]  # fmt: skip


@dataclass(frozen=True)
class ProtocolInfo:
    """What a protocol is: whether it leaks, which scopes of state it allows, whether each person has an own model.

    ``forbids`` names the columns whose values may not stand on both sides; ``folds`` says whether their number is free.
    """

    name: str
    leaky: bool
    description: str
    scopes_allowed: tuple[str, ...]
    personal: bool
    forbids: tuple[str, ...]
    folds: bool


_ANY = ("trial", "session")
PROTOCOLS: dict[str, ProtocolInfo] = {
    info.name: info
    for info in (
        ProtocolInfo("within_subject", False, "a model a person, whole trials held out", ("trial",), True, TRIAL, True),
        ProtocolInfo(
            "cross_session", False, "a model a person, whole sessions held out", _ANY, True, ("subject", "session"),
            False,
        ),
        ProtocolInfo("leave_one_subject_out", False, "one person held out at a time", _ANY, False, ("subject",), False),
        ProtocolInfo("leave_subjects_out", False, "groups of whole people held out", _ANY, False, ("subject",), True),
        ProtocolInfo("leave_stimulus_out", False, "no stimulus on both sides", ("trial",), False, ("stimulus",), True),
        ProtocolInfo(
            "random_windows", True, "LEAKY: windows shuffled, a trial on both sides", ("trial",), True, (), True
        ),
        ProtocolInfo("within_trial", True, "LEAKY: each trial cut into time folds", ("trial",), True, (), True),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Split:
    """One fold: row numbers of the Windows table that train and that are tested.

    ``group`` names the columns whose values identify the unit kept whole, inner validation groups by the same ones
    (empty: single windows). ``subject`` is the person of a personal protocol. ``notes`` lists what was left out of the
    whole protocol, the same for each of its folds.
    """

    name: str
    fold: str
    train: IntArray
    test: IntArray
    group: tuple[str, ...]
    leaky: bool
    subject: str | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def make(
        cls,
        table: pd.DataFrame,
        name: str,
        fold: str,
        train: IntArray,
        test: IntArray,
        *,
        group: tuple[str, ...],
        leaky: bool,
        subject: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> Split:
        """Check that the sides are apart, then build the split; ProtocolError names what stands on both."""
        what = f"{name} fold {fold!r}"
        train, test = np.sort(np.asarray(train, np.int64)), np.sort(np.asarray(test, np.int64))
        for side, rows in (("training", train), ("test", test)):
            if not rows.size:
                raise ProtocolError(f"{what} without {side} windows; expected at least one. Use fewer folds.")
            if rows[0] < 0 or rows[-1] >= len(table) or (np.diff(rows) == 0).any():
                raise ProtocolError(f"{what} with {side} rows out of range or twice; expected each row once.")
            if "role" in table and (table["role"].to_numpy()[rows] != "scored").any():
                raise ProtocolError(f"{what} with {side} rows that are not scored; expected role 'scored' only.")
        if np.intersect1d(train, test).size:
            raise ProtocolError(f"{what} with windows on both sides; expected none. Split again.")
        if not leaky:
            forbidden = dict.fromkeys((TRIAL, *((group,) if group else ()), PROTOCOLS[name].forbids))
            for columns in (c for c in forbidden if c):
                shared = on_both_sides(table, train, test, columns)
                if shared:
                    raise ProtocolError(
                        f"{what} with {'/'.join(columns)} {shared[0]} on both sides; expected {len(shared)} fewer. "
                        "Keep each one whole."
                    )
            if overlapping(table, train, test).size:
                raise ProtocolError(f"{what} with overlapping time on both sides; expected none. Hold out more.")
        return cls(name, fold, train, test, group, leaky, subject, notes)


def split(
    name: str, table: pd.DataFrame, *, folds: int | None = None, seed: int = 0, personal: bool | None = None
) -> list[Split]:
    """Split the scored rows of a Windows table by a named protocol.

    ``folds`` (default at most 5) is refused where the design fixes it. ``personal`` lets the leaky protocols train on
    all people at once (False) instead of one model a person (None: the protocol's own way). Raises ProtocolError where
    the data do not allow the protocol; people who cannot be split are in the notes of each Split.
    """
    if name not in PROTOCOLS:
        raise unknown_name("protocol", name, PROTOCOLS)
    info = PROTOCOLS[name]
    if folds is not None and not info.folds:
        raise InputError(f"folds {folds} for {name}; expected none, the design fixes them. Leave folds out.")
    if folds is not None and folds < 2:
        raise InputError(f"folds {folds}; expected 2 or more. Use 2.")
    if personal is not None and personal != info.personal and not info.leaky:
        raise InputError(f"personal={personal} for {name}; expected {info.personal}. Leave personal out.")
    rows = scored_rows(table)
    if not rows.size:
        raise ProtocolError(
            f"{name} without scored windows; expected labelled trials. Check the labels and the recipe."
        )
    _require_two_classes(name, table, rows)
    design = _Design(
        name, table, rows, folds, np.random.default_rng(seed), info.personal if personal is None else personal
    )
    parts, notes = _MAKERS[name](design)
    if not parts:
        reasons = "; ".join(notes[:3]) + ("; ..." if len(notes) > 3 else "")
        raise ProtocolError(
            f"{name} impossible for every person ({reasons}); expected {_NEEDS[name][0]}. {_NEEDS[name][1]}"
        )
    return [
        Split.make(
            table, name, p.fold, p.train, p.test, group=p.group, leaky=info.leaky, subject=p.subject, notes=tuple(notes)
        )
        for p in parts
    ]


def allowed(table: pd.DataFrame) -> dict[str, str | None]:
    """Say for each protocol why the data do not allow it, or None where they do."""
    reasons: dict[str, str | None] = {}
    for name in PROTOCOLS:
        try:
            split(name, table)
            reasons[name] = None
        except ProtocolError as error:
            reasons[name] = str(error)
    return reasons


@dataclass(frozen=True)
class _Design:
    name: str
    table: pd.DataFrame
    rows: IntArray
    folds: int | None
    rng: np.random.Generator
    personal: bool


@dataclass(frozen=True)
class _Part:
    fold: str
    train: IntArray
    test: IntArray
    group: tuple[str, ...]
    subject: str | None = None


_Parts = tuple[list[_Part], list[str]]

_SHORTER = "Use shorter windows or a shorter hop."
_NEEDS: dict[str, tuple[str, str]] = {
    "within_subject": (
        "a person with 2 trials or more of each of 2 classes", "Use leave_one_subject_out, or record more trials."
    ),
    "cross_session": ("a person with 2 labelled sessions or more", "Use within_subject or leave_one_subject_out."),
    "leave_one_subject_out": ("people with different labels", "Use within_subject."),
    "leave_subjects_out": ("people with different labels", "Use within_subject."),
    "leave_stimulus_out": ("several stimuli a class", "Use within_subject or leave_one_subject_out."),
    "random_windows": ("at least 2 windows of each class", _SHORTER),
    "within_trial": ("trials of at least 2 windows", _SHORTER),
}  # fmt: skip
"""What a protocol needs, and what to do without it."""


def _within_subject(d: _Design) -> _Parts:
    parts: list[_Part] = []
    notes: list[str] = []
    for subject, rows in _by_person(d):
        trials = trial_labels(d.table, rows)
        labels = trials["label"].to_numpy()
        if is_continuous(labels):
            smallest, why = len(trials), f"{subject}: {len(trials)} trial"
        else:
            classes, counts = np.unique(labels, return_counts=True)
            if classes.size < 2:
                notes.append(f"{subject}: one class only")
                continue
            smallest, why = int(counts.min()), f"{subject}: {counts.min()} trial of class {classes[counts.argmin()]}"
        if smallest < 2:
            notes.append(why)
            continue
        k = min(d.folds or 5, smallest)
        if d.folds and k < d.folds:
            notes.append(f"{why}s: {k} folds instead of {d.folds}")
        fold = stratified_folds(labels, k, d.rng)[codes(d.table, rows, TRIAL)]
        parts += [_Part(f"{subject}:{i}", rows[fold != i], rows[fold == i], TRIAL, subject) for i in range(k)]
    return parts, notes


def _cross_session(d: _Design) -> _Parts:
    parts: list[_Part] = []
    notes: list[str] = []
    y = d.table["y"].to_numpy()
    for subject, rows in _by_person(d):
        session = d.table["session"].to_numpy()[rows].astype(str)
        names = list(dict.fromkeys(session))
        if len(names) < 2:
            notes.append(f"{subject}: 1 session")
            continue
        for one in names:
            train = rows[session != one]
            if not is_continuous(y) and np.unique(y[train]).size < 2:
                notes.append(f"{subject}: one class only outside session {one}")
                continue
            group = ("subject", "session") if len(names) > 2 else TRIAL
            if len(names) == 2:
                notes.append(f"{subject}: one session left to train on, inner validation holds out whole trials")
            parts.append(_Part(f"{subject}:{one}", train, rows[session == one], group, subject))
    return parts, list(dict.fromkeys(notes))


def _leave_one_subject_out(d: _Design) -> _Parts:
    subject, names = _people(d, d.name)
    return _held_out(d, [(name, subject == name) for name in names], ("subject",))


def _leave_subjects_out(d: _Design) -> _Parts:
    subject, names = _people(d, d.name)
    if d.folds and d.folds > len(names):
        raise ProtocolError(
            f"{d.name} with {d.folds} folds of {len(names)} people; expected at most one fold a person. "
            f"Use folds {len(names)} or leave_one_subject_out."
        )
    groups = np.array_split(d.rng.permutation(np.array(names, dtype=object)), min(d.folds or 5, len(names)))
    return _held_out(d, [(str(i), np.isin(subject, g.astype(str))) for i, g in enumerate(groups)], ("subject",))


def _leave_stimulus_out(d: _Design) -> _Parts:
    named = d.table["stimulus"].notna().to_numpy()[d.rows]
    rows, dropped = d.rows[named], int((~named).sum())
    notes = [f"{dropped} windows without a stimulus left out"] if dropped else []
    unit = codes(d.table, rows, ("stimulus",)) if rows.size else np.empty(0, np.int64)
    n = int(unit.max()) + 1 if rows.size else 0
    if n < 2:
        raise ProtocolError(f"{d.name} with {n} stimuli; expected at least 2. {_NEEDS[d.name][1]}")
    y = d.table["y"].to_numpy()[rows]
    if is_continuous(y):
        labels: IntArray | DoubleArray = unit_mean(y, unit, n)
        k = min(d.folds or 5, n)
    else:
        classes, code = np.unique(y, return_inverse=True)
        counts = np.zeros((n, classes.size), np.int64)  # (stimuli, classes)
        np.add.at(counts, (unit, code), 1)
        holders = (counts > 0).sum(axis=0)
        if holders.min() < 2:
            raise ProtocolError(
                f"{d.name} with class {classes[holders.argmin()]} shown by 1 stimulus; expected at least 2 stimuli a "
                f"class, or nothing is left to train it on. {_NEEDS[d.name][1]}"
            )
        labels = counts.argmax(axis=1)
        k = min(d.folds or 5, int(holders.min()))
    if d.folds and k < d.folds:
        notes.append(f"{k} folds instead of {d.folds}: too few stimuli of a class")
    fold = stratified_folds(labels, k, d.rng)[unit]
    inner = _Design(d.name, d.table, rows, d.folds, d.rng, d.personal)
    parts, more = _held_out(inner, [(str(i), fold == i) for i in range(k)], ("stimulus",))
    return parts, notes + more


def _random_windows(d: _Design) -> _Parts:
    def assign(rows: IntArray) -> IntArray:
        return stratified_folds(d.table["y"].to_numpy()[rows], d.folds or 5, d.rng)

    return _leaky(d, assign)


def _within_trial(d: _Design) -> _Parts:
    k = d.folds or 5
    start = d.table["start_s"].to_numpy()

    def assign(rows: IntArray) -> IntArray:
        part = pd.DataFrame({"trial": codes(d.table, rows, TRIAL), "start": start[rows]})
        place = part.groupby("trial")["start"].rank(method="first").to_numpy() - 1
        size = part.groupby("trial")["start"].transform("size").to_numpy()
        return np.asarray(place * k // np.maximum(size, k), np.int64)

    return _leaky(d, assign)


def _leaky(d: _Design, assign: Callable[[IntArray], IntArray]) -> _Parts:
    parts: list[_Part] = []
    notes: list[str] = []
    y = d.table["y"].to_numpy()
    people: list[tuple[str, IntArray]] = _by_person(d) if d.personal else [("all", d.rows)]
    for subject, rows in people:
        fold = assign(rows)
        usable = [i for i in np.unique(fold) if is_continuous(y) or np.unique(y[rows[fold != i]]).size > 1]
        if np.unique(fold).size < 2 or not usable:
            notes.append(f"{subject}: too few windows or one class only")
            continue
        name = subject if d.personal else None
        parts += [_Part(f"{subject}:{i}", rows[fold != i], rows[fold == i], (), name) for i in usable]
    return parts, notes


_MAKERS: dict[str, Callable[[_Design], _Parts]] = {
    "within_subject": _within_subject,
    "cross_session": _cross_session,
    "leave_one_subject_out": _leave_one_subject_out,
    "leave_subjects_out": _leave_subjects_out,
    "leave_stimulus_out": _leave_stimulus_out,
    "random_windows": _random_windows,
    "within_trial": _within_trial,
}


def _held_out(d: _Design, folds: list[tuple[str, BoolArray]], group: tuple[str, ...]) -> _Parts:
    y = d.table["y"].to_numpy()
    parts: list[_Part] = []
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
        parts.append(_Part(name, train, test, group))
    return parts, notes


def _people(d: _Design, name: str) -> tuple[NDArray[np.object_], list[str]]:
    subject = _subjects(d)
    names = list(dict.fromkeys(subject))
    if len(names) < 2:
        raise ProtocolError(f"{name} with {len(names)} person; expected at least 2. Use within_subject for one person.")
    return subject, names


def _subjects(d: _Design) -> NDArray[np.object_]:
    return d.table["subject"].astype(str).to_numpy(object)[d.rows]


def _by_person(d: _Design) -> list[tuple[str, IntArray]]:
    subject = _subjects(d)
    return [(name, d.rows[subject == name]) for name in dict.fromkeys(subject)]


def _require_two_classes(name: str, table: pd.DataFrame, rows: IntArray) -> None:
    y = table["y"].to_numpy()[rows]
    if not is_continuous(y) and np.unique(y).size < 2:
        raise ProtocolError(
            f"{name} with one class only ({y[0]}); expected at least 2 classes among the scored windows. "
            "Choose another target or add trials of another label."
        )
