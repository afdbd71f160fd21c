"""A new person's first labelled trials (or minutes) adapt the model; one fixed set of later trials tests it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from insula.errors import InputError, ProtocolError
from insula.protocols.grouping import codes, is_continuous, scored_rows, trial_labels
from insula.protocols.protocol import TRIAL
from insula.protocols.protocols import Split
from insula.types import DoubleArray, IntArray

Unit = Literal["trials", "minutes"]
NAME = "calibrated"
HOW = "one person at a time was held out, and that person's first labelled {unit} of each class adapted the model"


@dataclass(frozen=True)
class Calibration:
    """One held-out person: the others' rows train, ``given[amount]`` adapt, ``test`` is the same for every amount.

    ``before`` are all of the person's rows before the test: what an own model may learn from.
    """

    subject: str
    train: IntArray
    test: IntArray
    given: dict[float, IntArray]
    before: IntArray


def calibrations(
    table: pd.DataFrame, amounts: Sequence[float], unit: Unit = "trials"
) -> tuple[list[Calibration], list[str]]:
    """Deal a Windows table: the first ``amounts`` labelled trials (or minutes) of each class, in time order.

    The test set of a person is all trials after the calibration of the largest amount; the trial in which that ends is
    never tested. People who cannot give the largest amount, or have one class left to test, are named in the second
    list and still train for the others. Raises ProtocolError where nobody can.
    """
    wanted = sorted(set(map(float, amounts)))
    if not wanted or wanted[0] < 0 or wanted[-1] <= 0:
        raise InputError(f"amounts {list(amounts)}; expected 0 or more, one above 0. Use 0,1,2.")
    if unit == "trials" and any(a != int(a) for a in wanted):
        raise InputError(f"trials {list(amounts)}; expected whole numbers. Use minutes for parts of trials.")
    rows = scored_rows(table)
    y = table["y"].to_numpy()
    if is_continuous(y):
        raise InputError(f"{NAME} for a continuous target; expected classes. Choose two classes, e.g. 'valence>=5'.")
    subject = table["subject"].astype(str).to_numpy(object)
    classes = np.unique(y[rows])
    people = list(dict.fromkeys(subject[rows]))
    if len(people) < 2 or classes.size < 2:
        raise ProtocolError(f"{NAME} with {len(people)} people and {classes.size} classes; expected 2 of both or more.")
    found: list[Calibration] = []
    left_out: list[str] = []
    for person in people:
        own = rows[subject[rows] == person]
        own = own[np.lexsort((table["start_s"].to_numpy()[own], table["session"].astype(str).to_numpy()[own]))]
        amount = _progress(table, own, unit)
        given = {a: np.sort(own[amount <= a + 1e-9]) for a in wanted}
        short = [c for c in classes if not _gives(y, own, given[wanted[-1]], amount, c, wanted[-1])]
        if short:
            left_out.append(f"{person}: cannot give {wanted[-1]:g} {unit} of class {short[0]} and be tested after")
            continue
        trial = codes(table, own, TRIAL)
        last = trial[np.isin(own, given[wanted[-1]])].max()
        test = np.sort(own[trial > last])
        if np.unique(y[test]).size < 2:
            left_out.append(f"{person}: one class only after {wanted[-1]:g} {unit} of each")
            continue
        found.append(Calibration(person, rows[subject[rows] != person], test, given, np.sort(own[trial <= last])))
    if not found:
        raise ProtocolError(
            f"{NAME} impossible for every person ({'; '.join(left_out[:3])}); expected trials left after "
            f"{wanted[-1]:g} {unit} of each class. Ask for less."
        )
    for one in found:
        for name, given_rows in (("others", one.train), ("calibration", one.before)):
            Split.make(table, "within_subject", f"{one.subject} {name}", given_rows, one.test, group=TRIAL, leaky=False)
    return found, left_out


def _progress(table: pd.DataFrame, own: IntArray, unit: Unit) -> DoubleArray:
    """How much of its class a window completes: the number of its trial, or labelled minutes up to its end."""
    trial = codes(table, own, TRIAL)  # 0.. in time order
    labels = trial_labels(table, own)["label"].to_numpy()
    number = np.zeros(len(labels))
    for c in np.unique(labels):
        number[labels == c] = np.arange(1, (labels == c).sum() + 1)
    if unit == "trials":
        return np.asarray(number[trial], np.float64)
    start, stop = table["start_s"].to_numpy()[own], table["stop_s"].to_numpy()[own]
    n = len(labels)
    begin = np.array([start[trial == t].min() for t in range(n)])
    length = np.array([stop[trial == t].max() for t in range(n)]) - begin
    before = np.array([length[:t][labels[:t] == labels[t]].sum() for t in range(n)])
    return np.asarray((before[trial] + stop - begin[trial]) / 60)


def _gives(y: IntArray, own: IntArray, given: IntArray, amount: DoubleArray, code: int, largest: float) -> bool:
    """Whether a class has windows in the calibration and more of it than the largest amount, or exactly as much."""
    mine = y[own] == code
    return bool(np.isin(own[mine], given).any() and amount[mine].max() >= largest - 1e-9)
