"""Whose clock times of a table run on, the session's or each trial's, and what trials' times say about labels."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from insula.types import DoubleArray
from insula.windows.table import Windows

Clock = Literal["session", "trial"]
_TRIAL = ["subject", "session", "trial"]


def clock_of(table: pd.DataFrame) -> Clock:
    """Find whether ``start_s`` counts from the session's beginning or from each trial's.

    On a session's clock a person's trials follow each other; times that begin anew in every trial overlap.
    """
    spans = table.groupby(_TRIAL, sort=False).agg(first=("start_s", "min"), last=("stop_s", "max")).reset_index()
    overlapping, several = 0, 0
    for _, own in spans.groupby(["subject", "session"], sort=False):
        if len(own) < 2:
            continue
        own = own.sort_values("first")
        reach = np.maximum.accumulate(own["last"].to_numpy(np.float64))[:-1]
        starts = own["first"].to_numpy(np.float64)
        same_start = np.ptp(starts) <= 0.1 * float((own["last"] - own["first"]).median())
        several += 1
        overlapping += bool(same_start and (starts[1:] < reach).all())
    return "trial" if several and overlapping >= 0.9 * several else "session"


def length_tells(table: pd.DataFrame) -> float:
    """How well a trial's number of windows tells its label, as balanced accuracy over all trials.

    Each trial is judged by the other trials of the most similar length, so that lengths which are all different tell
    nothing by being so. Batches of trials sorted by length hold one class each where this is high.
    """
    trials = table.groupby(_TRIAL, sort=False).agg(windows=("label", "size"), label=("label", "first"))
    classes, label = np.unique(trials["label"].astype(str), return_inverse=True)
    if classes.size < 2:
        return float("nan")
    length = trials["windows"].to_numpy()
    sizes, size = np.unique(length, return_inverse=True)
    counts = np.zeros((sizes.size, classes.size))
    np.add.at(counts, (size, label), 1)
    told = np.zeros(len(label))
    for i, (k, own) in enumerate(zip(size, label, strict=True)):
        others = counts.copy()
        others[k, own] -= 1
        there = np.flatnonzero(others.any(1))
        apart = np.abs(sizes[there] - sizes[k])
        near = others[there[apart == apart.min()]].sum(0) / np.maximum(others.sum(0), 1)
        told[i] = near[own] / near.sum()
    return float(np.mean([told[label == c].mean() for c in range(classes.size)]))


def boundaries_are_labels(table: pd.DataFrame) -> bool:
    """Say whether every trial ends where the label changes and the next begins there: trials were cut by labels."""
    trials = table.groupby(_TRIAL, sort=False).agg(
        first=("start_s", "min"), last=("stop_s", "max"), label=("label", "first"), windows=("label", "size")
    )
    trials = trials.reset_index().sort_values(["subject", "session", "first"])
    step = float((table["stop_s"] - table["start_s"]).median())
    pairs = changed = 0
    for _, own in trials.groupby(["subject", "session"], sort=False):
        gap = own["first"].to_numpy()[1:] - own["last"].to_numpy()[:-1]
        labels = own["label"].astype(str).to_numpy()
        near = gap <= step
        pairs += int(near.sum())
        changed += int((near & (labels[1:] != labels[:-1])).sum())
    uneven = trials.groupby(["subject", "session"])["windows"].std().median()
    return pairs >= 10 and changed == pairs and bool(uneven > 0)


def clocks_among(table: pd.DataFrame, values: DoubleArray, names: list[str]) -> list[str]:
    """Name columns that rise or fall with session time in nearly every session (rank correlation above .95)."""
    from scipy.stats import spearmanr

    found = []
    groups = [i for i in table.groupby(["subject", "session"], sort=False).indices.values() if len(i) > 9]
    for k, name in enumerate(names):
        strong = []
        for rows in groups:
            column = values[rows, k]
            if np.ptp(column) == 0 or not np.isfinite(column).all():
                strong.append(0.0)
                continue
            strong.append(abs(float(spearmanr(column, table["start_s"].to_numpy()[rows]).statistic)))
        if strong and np.mean(np.array(strong) > 0.95) >= 0.8:
            found.append(name)
    return found


def clock_features(windows: Windows) -> list[str]:
    """Name the features of windows that read the time, as ``MODALITY: FEATURE``."""
    values, schema = windows.features(), windows.schema.features
    names = [f"{m}: {name}" for m, columns in schema.items() for name in columns]
    if not names:
        return []
    joined = np.concatenate([values[m] for m in schema], 1).astype(np.float64)
    return clocks_among(windows.table, joined, names)
