"""A new person's first labelled trials (or minutes) adapt the model; one fixed set of later trials tests it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from insula.errors import ProtocolError
from insula.protocols.dealing import people_of
from insula.protocols.grouping import codes, in_time, is_continuous, trial_labels
from insula.protocols.protocol import TRIAL, Amounts, Calibration, Design, Part, Parts, Protocol
from insula.types import DoubleArray, IntArray

NAME = "calibrated"
SHORT_S = 60.0
"""Trials shorter than this (their median) are counted, longer ones measured in minutes, where nothing is asked for."""


def deal(d: Design) -> Parts:
    """Hold out each person; the first ``amounts`` labelled trials (or minutes) of each class, in time order, adapt.

    The test set of a person is all trials after the calibration of the largest amount; the trial in which that ends is
    never tested. People who cannot give the largest amount, or have one class left to test, are named in the notes and
    still train for the others.
    """
    y = d.table["y"].to_numpy()
    if is_continuous(y):
        raise ProtocolError(f"{NAME} for a number; expected classes. Choose two classes, e.g. 'valence>=5'.")
    subject, people = people_of(d, NAME)
    amounts = d.amounts or _usual(d.table, d.rows)
    parts: list[Part] = []
    notes: list[str] = []
    for person in people:
        dealt = _person(d.table, d.rows[subject == person], np.unique(y[d.rows]), amounts)
        if isinstance(dealt, str):
            notes.append(f"{person}: {dealt}")
            continue
        given, test = dealt
        then = given.given[amounts.largest]
        parts.append(Part(person, d.rows[subject != person], test, ("subject",), then=then, calibration=given))
    return parts, notes


def _usual(table: pd.DataFrame, rows: IntArray) -> Amounts:
    spans = table.iloc[rows].groupby([*TRIAL], sort=False).agg(start_s=("start_s", "min"), stop_s=("stop_s", "max"))
    short = float((spans["stop_s"] - spans["start_s"]).median()) < SHORT_S
    return Amounts((0, 1, 2), "trials") if short else Amounts((0, 0.5, 1, 2), "minutes")


def _person(
    table: pd.DataFrame, own: IntArray, classes: NDArray[np.int64], amounts: Amounts
) -> tuple[Calibration, IntArray] | str:
    """What one person's rows give and what is tested; or why they cannot."""
    y, largest = table["y"].to_numpy(), amounts.largest
    own = in_time(table, own)
    done = _progress(table, own, amounts)
    given = {a: np.sort(own[done <= a + 1e-9]) for a in amounts.values}
    for c in classes:
        mine = y[own] == c
        if not np.isin(own[mine], given[largest]).any() or done[mine].max() < largest - 1e-9:
            return f"cannot give {largest:g} {amounts.unit} of class {c} and be tested after"
    trial = codes(table, own, TRIAL)
    last = trial[np.isin(own, given[largest])].max()
    test = np.sort(own[trial > last])
    if np.unique(y[test]).size < 2:
        return f"one class only after {largest:g} {amounts.unit} of each"
    return Calibration(given, np.sort(own[trial <= last]), amounts.unit), test


def _progress(table: pd.DataFrame, own: IntArray, amounts: Amounts) -> DoubleArray:
    """How much of its class a window completes: the number of its trial, or labelled minutes up to its end."""
    trial = codes(table, own, TRIAL)  # 0.. in time order
    labels = trial_labels(table, own)["label"].to_numpy()
    number = np.zeros(len(labels))
    for c in np.unique(labels):
        number[labels == c] = np.arange(1, (labels == c).sum() + 1)
    if amounts.unit == "trials":
        return np.asarray(number[trial], np.float64)
    start, stop = table["start_s"].to_numpy()[own], table["stop_s"].to_numpy()[own]
    n = len(labels)
    begin = np.array([start[trial == t].min() for t in range(n)])
    length = np.array([stop[trial == t].max() for t in range(n)]) - begin
    before = np.array([length[:t][labels[:t] == labels[t]].sum() for t in range(n)])
    return np.asarray((before[trial] + stop - begin[trial]) / 60)


PROTOCOL = Protocol(
    name=NAME,
    question="How well does it do on a new person who labels a little first?",
    where="in later trials of people who had labelled their first ones",
    how="one person at a time was held out, the others trained on, and that person's first labelled trials of each "
    "class adapted the model; later trials, the same for every amount, tested it",
    limits="Calibration and test are of one sitting; another day is another question.",
    needs="two people with labelled trials of each class, and trials of two classes after those",
    instead="Ask for less, or record more trials.",
    deal=deal,
    forbids=TRIAL,
    folds="people",
    calibrates=True,
)
