"""Do people share a schedule: does elapsed time, or a trial's place, give another person's label away?

The one definition: `insula data check`, `evaluate` and the report all ask here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from insula.data.schedule import Schedule
from insula.protocols.grouping import exchangeable_labellings, is_continuous, permute_labels, scored_rows
from insula.types import DoubleArray, IntArray

FEW_LABELLINGS = 20
"""Below this many exchangeable labellings shuffling says nothing."""
_SHARED = 0.25
"""People share a schedule where other people's labels at a time give this share of the way from chance to 1."""
_TWIN = 0.9
"""A person has a twin where somebody else's labels at the same times score this against the own ones."""
_SHUFFLES = 39


def schedule(table: pd.DataFrame) -> Schedule | None:
    """Compare the labels of a Windows table between people; None where no two of them can be compared."""
    labels = _discrete(table, table["y"].to_numpy())
    agreement = clock_agreement(table)
    if not np.isfinite(agreement):
        return None
    classes = np.unique(labels[scored_rows(table)]).size
    return Schedule(agreement, clock_agreement(_order(table)), 1 / max(1, classes), shares_schedule(table))


def clock_agreement(table: pd.DataFrame) -> float:
    """Balanced accuracy of guessing a window's label from the other people's labels at that elapsed time.

    Mean over people; NaN where no two people can be compared. ``table`` is a Windows table; a continuous target is
    split at each person's median.
    """
    return _agreement(_place(table), _discrete(table, table["y"].to_numpy()))


def twins(table: pd.DataFrame) -> float:
    """Share of people with a twin: somebody else whose labels at equal elapsed times are nearly the own ones.

    Two mirror-image orders give everybody a twin although no clock knows who is in which order.
    """
    return _twins(_place(table), _discrete(table, table["y"].to_numpy()))


def shares_schedule(table: pd.DataFrame) -> bool:
    """Say whether people go through the labels at about the same times, in one order or in a few.

    True where `clock_agreement` is a quarter of the way from chance to 1 or half of the people have `twins`, and that
    beyond each of 39 shuffles of the labels between a person's trials (where that many labellings exist).
    """
    place = _place(table)
    labels = _discrete(table, table["y"].to_numpy())
    chance = 1 / max(1, np.unique(labels[place.rows]).size)
    measure = _agreement
    score = _agreement(place, labels)
    if not score >= chance + _SHARED * (1 - chance):
        measure, score = _twins, _twins(place, labels)
        if score < 0.5:
            return False
    if exchangeable_labellings(table) < FEW_LABELLINGS:
        return True
    rng = np.random.default_rng(0)
    shuffled = (measure(place, _discrete(table, permute_labels(table, rng))) for _ in range(_SHUFFLES))
    return not any(s >= score for s in shuffled)


def fixed_order(table: pd.DataFrame) -> bool:
    """Say whether people meet the stimuli in one fixed order: at 4 of 5 places in the session the same one."""
    trials = table.iloc[scored_rows(table)].drop_duplicates(["subject", "session", "trial"])
    trials = trials[trials["stimulus"].notna()]
    if trials["subject"].nunique() < 2 or trials["stimulus"].nunique() < 2:
        return False
    rank = trials.groupby(["subject", "session"])["trial_index"].rank(method="first")
    counts = trials.groupby([session_rank(trials), rank, "stimulus"]).size()
    place = counts.groupby(level=[0, 1])
    shared = place.sum() > 1
    return bool(shared.any() and place.max()[shared].sum() >= 0.8 * place.sum()[shared].sum())


def session_rank(table: pd.DataFrame) -> IntArray:
    """Number each person's sessions 0.. in order of their names."""
    rank = table["session"].astype(str).groupby(table["subject"].astype(str)).rank(method="dense")
    return np.asarray(rank.to_numpy() - 1, np.int64)


def half_hop(table: pd.DataFrame) -> float:
    keys = [c for c in ("subject", "session", "trial") if c in table]
    step = table.sort_values("elapsed_s").groupby(keys)["elapsed_s"].diff()
    step = step[step > 1e-6]
    if len(step):
        return float(step.median()) / 2
    return float((table["stop_s"] - table["start_s"]).median()) / 2


def _order(table: pd.DataFrame) -> pd.DataFrame:
    """One row a labelled trial with its place in the session instead of a time."""
    trials = table.iloc[scored_rows(table)].drop_duplicates(["subject", "session", "trial"]).reset_index(drop=True)
    place = trials.groupby(["subject", "session"])["trial_index"].rank(method="first").to_numpy(np.float64)
    return trials.assign(elapsed_s=place, start_s=place, stop_s=place + 1)


@dataclass(frozen=True)
class _Place:
    """Where each scored row lies: row number, person and cell of the common time grid."""

    rows: IntArray
    person: IntArray
    cell: IntArray


def _place(table: pd.DataFrame) -> _Place:
    rows = scored_rows(table)
    part = table.iloc[rows]
    if part.empty:
        return _Place(rows, rows, rows)
    step = max(2 * half_hop(part), 1e-6)
    bins = np.round(part["elapsed_s"].to_numpy(np.float64) / step).astype(np.int64)
    cell = session_rank(part) * (int(bins.max()) + 1) + bins
    person = np.unique(part["subject"].astype(str).to_numpy(), return_inverse=True)[1]
    return _Place(rows, person, np.unique(cell, return_inverse=True)[1])


def _discrete(table: pd.DataFrame, y: IntArray | DoubleArray) -> IntArray:
    if not is_continuous(y):
        return y.astype(np.int64)
    median = pd.Series(y).groupby(table["subject"].astype(str).to_numpy()).transform("median")
    return (y > median.to_numpy()).astype(np.int64)


def _agreement(place: _Place, labels: IntArray) -> float:
    if not place.rows.size:
        return float("nan")
    y = np.unique(labels[place.rows], return_inverse=True)[1]
    n_people, n_cells, k = int(place.person.max()) + 1, int(place.cell.max()) + 1, int(y.max()) + 1
    votes = np.zeros((n_people, n_cells, k))  # each person has one vote a cell, shared by the windows there
    np.add.at(votes, (place.person, place.cell, y), 1.0)
    votes /= np.maximum(votes.sum(axis=2, keepdims=True), 1.0)
    total = votes.sum(axis=0)
    share = np.maximum(total.sum(axis=0), 1e-12)  # votes are weighed by the rarity of the class
    scores = []
    for one in range(n_people):
        own = place.person == one
        others = (total - votes[one])[place.cell[own]]  # (windows, K)
        known = others.sum(axis=1) > 1e-9
        truth, guess = y[own][known], (others / share)[known].argmax(axis=1)
        recalls = [float((guess[truth == c] == c).mean()) for c in np.unique(truth)]
        if len(recalls) > 1:
            scores.append(float(np.mean(recalls)))
    return float(np.mean(scores)) if scores else float("nan")


def _twins(place: _Place, labels: IntArray) -> float:
    if not place.rows.size:
        return 0.0
    y = np.unique(labels[place.rows], return_inverse=True)[1]
    k = int(y.max()) + 1
    votes = np.zeros((k, int(place.person.max()) + 1, int(place.cell.max()) + 1))
    np.add.at(votes, (y, place.person, place.cell), 1.0)
    own = (votes == votes.max(axis=0)) & (votes > 0)  # (K, people, cells), the label each person has in a cell
    hits = np.einsum("kic,kjc->kij", own, own, dtype=np.float64)
    known = own.any(axis=0)
    rows = np.einsum("kic,jc->kij", own, known, dtype=np.float64)
    seen = rows > 0
    recall = np.divide(hits, rows, out=np.zeros_like(hits), where=seen)
    score = recall.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    score[seen.sum(axis=0) < 2] = 0.0
    np.fill_diagonal(score, 0.0)
    return float((score.max(axis=1, initial=0.0) >= _TWIN).mean())
