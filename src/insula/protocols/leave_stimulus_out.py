"""No stimulus on both sides, all people together or a model a person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from insula.errors import ProtocolError
from insula.protocols.dealing import by_person, held_out
from insula.protocols.grouping import codes, is_continuous, stratified_folds, unit_mean
from insula.protocols.protocol import Design, Part, Parts, Protocol
from insula.types import DoubleArray, IntArray

NAME = "leave_stimulus_out"
_INSTEAD = "Use within_subject or leave_one_subject_out."


def deal(d: Design) -> Parts:
    """Deal stimuli to at most 5 stratified folds; windows without a stimulus are left out."""
    named = d.table["stimulus"].notna().to_numpy()[d.rows]
    rows, dropped = d.rows[named], int((~named).sum())
    notes = [f"{dropped} windows without a stimulus left out"] if dropped else []
    unit = codes(d.table, rows, ("stimulus",)) if rows.size else np.empty(0, np.int64)
    n = int(unit.max()) + 1 if rows.size else 0
    if n < 2:
        raise ProtocolError(f"{NAME} with {n} stimuli; expected at least 2. {_INSTEAD}")
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
                f"{NAME} with class {classes[holders.argmin()]} shown by 1 stimulus; expected at least 2 stimuli a "
                f"class, or nothing is left to train it on. {_INSTEAD}"
            )
        labels = counts.argmax(axis=1)
        k = min(d.folds or 5, int(holders.min()))
    if d.folds and k < d.folds:
        notes.append(f"{k} folds instead of {d.folds}: too few stimuli of a class")
    fold = stratified_folds(labels, k, d.rng)[unit]
    parts, more = _dealt(replace(d, rows=rows), fold, k)
    return parts, notes + more


def _dealt(d: Design, fold: IntArray, k: int) -> Parts:
    """Hold out each fold of stimuli, from everybody at once or from each person's own windows."""
    if not d.personal:
        return held_out(d, [(str(i), fold == i) for i in range(k)], ("stimulus",))
    parts: list[Part] = []
    notes: list[str] = []
    subject = d.table["subject"].astype(str).to_numpy()[d.rows]
    for person, rows in by_person(d):
        own = fold[subject == person]
        folds = [(f"{person}:{i}", own == i) for i in range(k) if (own == i).any() and (own != i).any()]
        found, more = held_out(replace(d, rows=rows), folds, ("stimulus",))
        parts += [replace(part, subject=person) for part in found]
        notes += more
    return parts, notes


PROTOCOL = Protocol(
    name=NAME,
    question="Does it know the emotion, or the film that was shown?",
    where="for stimuli it has never seen",
    how="no stimulus stood on both sides of a split",
    limits="Stimuli are new to the model, but the people may not be.",
    needs="several stimuli a class",
    instead=_INSTEAD,
    deal=deal,
    either=True,
    forbids=("stimulus",),
)
