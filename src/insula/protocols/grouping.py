"""Units of a window table (trials, sessions, people): dealing, choosing and shuffling them whole."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from insula.errors import InputError, ProtocolError
from insula.protocols.protocol import TRIAL
from insula.types import BoolArray, DoubleArray, IntArray


def inner_split(
    table: pd.DataFrame, train_rows: IntArray, group: Sequence[str], seed: int, fraction: float = 0.2
) -> tuple[IntArray, IntArray]:
    """Split training rows into (fit, validation) rows, grouped like the outer split, all classes on both sides.

    Raises ProtocolError where no such split exists.
    """
    if not 0 < fraction < 1:
        raise InputError(f"fraction {fraction}; expected between 0 and 1. Use 0.2.")
    rows = np.sort(np.asarray(train_rows, np.int64))
    unit = codes(table, rows, group) if group else np.arange(rows.size)
    n_units = int(unit.max()) + 1 if rows.size else 0
    what = "/".join(group) if group else "window"
    if n_units < 2:
        raise ProtocolError(
            f"inner split of {n_units} {what}; expected at least 2. Train for a fixed number of epochs without "
            "validation, or choose a protocol that leaves more for training."
        )
    y = table["y"].to_numpy()[rows]
    rng = np.random.default_rng(seed)
    chosen: BoolArray | None
    if is_continuous(y):
        chosen = spread_by_rank(unit_mean(y, unit, n_units), max(1, min(n_units - 1, round(fraction * n_units))), rng)
    else:
        classes, code = np.unique(y, return_inverse=True)
        counts = np.zeros((n_units, classes.size), np.int64)  # (units, classes)
        np.add.at(counts, (unit, code), 1)
        holders = (counts > 0).sum(axis=0)
        if holders.min() < 2:
            raise ProtocolError(
                f"inner split with class {classes[holders.argmin()]} in 1 {what} of training; expected at least 2, one "
                "to fit and one to validate. Train for a fixed number of epochs without validation, or record more."
            )
        chosen = stratified_choice(counts, fraction, rng)
        if chosen is None:
            raise ProtocolError(
                f"inner split of {n_units} {what} units with all classes on both sides does not exist; expected "
                "classes spread over more units. Train for a fixed number of epochs without validation."
            )
    return rows[~chosen[unit]], rows[chosen[unit]]


def permute_labels(table: pd.DataFrame, rng: np.random.Generator) -> IntArray | DoubleArray:
    """Permute labels between whole trials inside each person; returns the new y, unscored rows unchanged."""
    found: IntArray | DoubleArray = table["y"].to_numpy()[permuted_rows(table, rng)]
    return found


def permuted_rows(table: pd.DataFrame, rng: np.random.Generator) -> IntArray:
    """Row whose label each row receives when labels are permuted between whole trials inside each person.

    A target that varies inside a trial moves as a curve, stretched to the length of the trial that receives it.
    """
    rows = scored_rows(table)
    trial = codes(table, rows, TRIAL)
    order = np.argsort(trial, kind="stable")
    members = np.split(rows[order], np.flatnonzero(np.diff(trial[order])) + 1)  # rows of each trial, in table order
    person = codes(table, np.array([m[0] for m in members], np.int64), ("subject",))
    out = np.arange(len(table))
    for one in np.unique(person):
        own = np.flatnonzero(person == one)
        for target, source in zip(own, rng.permutation(own), strict=True):
            n, m = len(members[target]), len(members[source])
            place = ((np.arange(n) + 0.5) * m / n).astype(np.int64)
            out[members[target]] = members[source][place]
    return out


def exchangeable_labellings(table: pd.DataFrame) -> int:
    """Count the distinct ways to permute labels between whole trials inside people."""
    rows = scored_rows(table)
    if not rows.size:
        return 0
    trials = trial_labels(table, rows)
    total = 1
    for _, labels in trials.groupby("subject", sort=False)["label"]:
        total *= math.factorial(len(labels))
        for count in labels.value_counts():
            total //= math.factorial(int(count))
    return total


def scored_rows(table: pd.DataFrame) -> IntArray:
    """Row numbers that are scored and have a label."""
    y = table["y"].to_numpy()
    keep = np.isfinite(y) if is_continuous(y) else y >= 0
    if "role" in table:
        keep = keep & (table["role"].to_numpy() == "scored")
    return np.flatnonzero(keep).astype(np.int64)


def is_continuous(y: IntArray | DoubleArray) -> bool:
    """Say whether a target is a number (float) or a class code (integer)."""
    return bool(np.issubdtype(y.dtype, np.floating))


def balanced_folds(labels: IntArray, count: int) -> IntArray:
    """Deal trials in time order to folds, to and fro inside each class: balanced over classes and over time.

    Folds of single trials leave each time fewer of the tested class to train on, which puts a model that knows nothing
    far below chance.
    """
    order = np.r_[np.arange(count), np.arange(count)[::-1]]
    fold = np.empty(len(labels), np.int64)
    for k, c in enumerate(np.unique(labels)):
        mine = np.flatnonzero(labels == c)
        fold[mine] = np.resize(order if k % 2 == 0 else order[::-1], mine.size)
    return fold


def codes(table: pd.DataFrame, rows: IntArray, columns: Sequence[str]) -> IntArray:
    """Number the units that the columns identify among the given rows, 0.. in order of appearance."""
    part = table.iloc[rows]
    return np.asarray(part.groupby(list(columns), sort=False, dropna=False).ngroup(), np.int64)


def natural(text: str) -> list[tuple[int, int, str]]:
    """Key that sorts names as people do: s2 before s10."""
    pieces = re.split(r"([0-9]+)", text)
    return [(0, int(piece), "") if piece.isascii() and piece.isdigit() else (1, 0, piece.lower()) for piece in pieces]


def in_time(table: pd.DataFrame, rows: IntArray) -> IntArray:
    """Sort rows of one person by session, numbers in their names as numbers, and then by their start."""
    session = table["session"].astype(str).to_numpy()[rows]
    rank = {name: i for i, name in enumerate(sorted(set(session), key=natural))}
    return rows[np.lexsort((table["start_s"].to_numpy(np.float64)[rows], np.array([rank[s] for s in session])))]


def on_both_sides(table: pd.DataFrame, left: IntArray, right: IntArray, columns: Sequence[str]) -> list[str]:
    """Name the units of the columns that stand among the left and the right rows."""
    unit = codes(table, np.concatenate([left, right]), columns)
    shared, first, _ = np.intersect1d(unit[left.size :], unit[: left.size], return_indices=True)
    if not shared.size:
        return []
    found = table.iloc[right[first]][list(columns)].astype(str)
    return ["/".join(values) for values in found.to_numpy().tolist()]


def overlapping(table: pd.DataFrame, left: IntArray, right: IntArray) -> IntArray:
    """Return the right rows whose time overlaps that of a left row of the same person and session."""
    if not left.size or not right.size:
        return np.empty(0, np.int64)
    start, stop = table["start_s"].to_numpy(np.float64), table["stop_s"].to_numpy(np.float64)
    both = np.concatenate([left, right])
    span = float(np.nanmax(stop[both]) - np.nanmin(start[both])) + 1.0
    offset = codes(table, both, ("subject", "session")) * (2 * span) - float(np.nanmin(start[both]))
    left_start, left_stop = start[left] + offset[: left.size], stop[left] + offset[: left.size]
    order = np.argsort(left_start)
    latest = np.maximum.accumulate(left_stop[order])
    before = np.searchsorted(left_start[order], stop[right] + offset[left.size :] - 1e-6, "left")
    reaches = (before > 0) & (latest[np.maximum(before - 1, 0)] > start[right] + offset[left.size :] + 1e-6)
    found: IntArray = right[reaches]
    return found


def trial_labels(table: pd.DataFrame, rows: IntArray) -> pd.DataFrame:
    """One row a trial, in order of appearance: subject and label (the most frequent class, or the mean)."""
    unit = codes(table, rows, TRIAL)
    y = table["y"].to_numpy()[rows]
    n = int(unit.max()) + 1
    first = np.unique(unit, return_index=True)[1]
    if is_continuous(y):
        label: IntArray | DoubleArray = unit_mean(y, unit, n)
    else:
        classes, code = np.unique(y, return_inverse=True)
        counts = np.zeros((n, classes.size), np.int64)  # (trials, classes)
        np.add.at(counts, (unit, code), 1)
        label = classes[counts.argmax(axis=1)]
    return pd.DataFrame({"subject": table["subject"].astype(str).to_numpy()[rows[first]], "label": label})


def unit_mean(y: DoubleArray, unit: IntArray, n: int) -> DoubleArray:
    return np.bincount(unit, weights=y, minlength=n) / np.bincount(unit, minlength=n)


def stratified_folds(labels: IntArray | DoubleArray, k: int, rng: np.random.Generator) -> IntArray:
    """Deal units to k folds: class by class, or block by block of equal rank for a continuous label."""
    fold = np.zeros(labels.size, np.int64)
    if is_continuous(labels):
        order = np.argsort(labels, kind="stable")
        for block in (order[i : i + k] for i in range(0, order.size, k)):
            fold[block] = rng.permutation(k)[: block.size]
        return fold
    dealt = 0
    for one in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == one))
        fold[own] = (np.arange(own.size) + dealt) % k
        dealt += own.size
    return fold


def spread_by_rank(value: DoubleArray, n_chosen: int, rng: np.random.Generator) -> BoolArray:
    chosen = np.zeros(value.size, bool)
    for block in np.array_split(np.argsort(value, kind="stable"), n_chosen):
        chosen[rng.choice(block)] = True
    return chosen


def stratified_choice(counts: IntArray, fraction: float, rng: np.random.Generator) -> BoolArray | None:
    """Choose units (of a (units, classes) count table) holding about a fraction of every class."""
    holds = counts > 0
    chosen = np.zeros(counts.shape[0], bool)
    if (holds.sum(axis=1) == 1).all():
        for k in range(counts.shape[1]):
            own = rng.permutation(np.flatnonzero(holds[:, k]))
            chosen[own[: int(np.clip(round(fraction * own.size), 1, own.size - 1))]] = True
        return chosen
    best: tuple[float, BoolArray] | None = None
    for _ in range(50):
        draw = _cover(holds, max(1, round(fraction * counts.shape[0])), rng)
        if draw is not None:
            error = float(np.abs(counts[draw].sum(axis=0) / counts.sum(axis=0) - fraction).sum())
            if best is None or error < best[0]:
                best = (error, draw)
    return best[1] if best else None


def _cover(holds: BoolArray, n_chosen: int, rng: np.random.Generator) -> BoolArray | None:
    """Draw units at random until every class is among them, always leaving each class another unit."""
    chosen = np.zeros(holds.shape[0], bool)
    left = holds.sum(axis=0)
    for k in np.argsort(left, kind="stable"):
        if holds[chosen, k].any():
            continue
        options = [u for u in rng.permutation(np.flatnonzero(holds[:, k])) if (left - holds[u] >= 1).all()]
        if not options:
            return None
        chosen[options[0]] = True
        left = left - holds[options[0]]
    for u in rng.permutation(np.flatnonzero(~chosen)):
        if chosen.sum() >= n_chosen:
            break
        if (left - holds[u] >= 1).all():
            chosen[u] = True
            left = left - holds[u]
    return chosen
