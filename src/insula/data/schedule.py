"""Do people share a schedule: the same label at the same elapsed time, or at the same place in the order?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from insula.types import BoolArray, DoubleArray, IntArray, Recording

LONGEST_GRID = 20_000
SHARED_KAPPA = 0.3
"""Agreement beyond chance from which a schedule counts as shared."""


@dataclass(frozen=True)
class Schedule:
    """Agreement of two different people's labels, and what equal label frequencies alone would give.

    ``agreement`` compares equal seconds of elapsed session time, ``order_agreement`` equal places in the order of
    trials; ``kappa`` = (agreement - chance) / (1 - chance). ``shared`` holds where either kappa reaches .3.
    """

    pairs: int
    agreement: float
    chance: float
    order_agreement: float
    order_chance: float

    @property
    def kappa(self) -> float:
        return _kappa(self.agreement, self.chance)

    @property
    def order_kappa(self) -> float:
        return _kappa(self.order_agreement, self.order_chance)

    @property
    def shared(self) -> bool:
        return max(self.kappa, self.order_kappa) >= SHARED_KAPPA


def schedule(recordings: Sequence[Recording], target: str) -> Schedule | None:
    """Compare labels of a discrete target between people; None with fewer than two people or no common time.

    Sessions are compared with sessions of the same name where there are such, else all with all.
    """
    labelled = [r for r in recordings if any(target in t.labels for t in r.trials)]
    if len({r.subject for r in labelled}) < 2:
        return None
    names = sorted({str(t.labels[target]) for r in labelled for t in r.trials if target in t.labels})
    by_time, by_order = _time_codes(labelled, target, names), _order_codes(labelled, target, names)
    subject = np.array([r.subject for r in labelled])
    session = np.array([r.session for r in labelled])
    pairs = np.triu(subject[:, None] != subject[None, :])
    same = pairs & (session[:, None] == session[None, :])
    pairs = same if same.any() else pairs
    agreement, chance, used = _agreement(by_time, len(names), pairs)
    order_agreement, order_chance, _ = _agreement(by_order, len(names), pairs)
    if not used:
        return None
    return Schedule(used, agreement, chance, order_agreement, order_chance)


def _time_codes(recordings: Sequence[Recording], target: str, names: Sequence[str]) -> IntArray:
    """Label codes (recordings, steps) on a grid of elapsed time, 1 s or as wide as needed; -1 where unlabelled."""
    begin = [r.trials[0].start_s for r in recordings]
    last = max(t.stop_s - b for r, b in zip(recordings, begin, strict=True) for t in r.trials)
    step = max(1.0, last / LONGEST_GRID)
    codes = np.full((len(recordings), int(np.ceil(last / step))), -1, np.int64)
    for row, recording, zero in zip(codes, recordings, begin, strict=True):
        for trial in recording.trials:
            if target in trial.labels:
                first, stop = round((trial.start_s - zero) / step), round((trial.stop_s - zero) / step)
                row[first:stop] = names.index(str(trial.labels[target]))
    return codes


def _order_codes(recordings: Sequence[Recording], target: str, names: Sequence[str]) -> IntArray:
    """Label codes (recordings, places) in the order of labelled trials; -1 past the end."""
    orders = [[names.index(str(t.labels[target])) for t in r.trials if target in t.labels] for r in recordings]
    codes = np.full((len(orders), max(map(len, orders))), -1, np.int64)
    for row, order in zip(codes, orders, strict=True):
        row[: len(order)] = order
    return codes


def _agreement(codes: IntArray, classes: int, pairs: BoolArray) -> tuple[float, float, int]:
    """Mean over pairs of the fraction of common places with equal labels, the same by chance, and the pairs used."""
    known = (codes >= 0).astype(np.float64)
    common = known @ known.T  # (recordings, recordings)
    equal = np.zeros_like(common)
    expected = np.zeros_like(common)
    for code in range(classes):
        one = (codes == code).astype(np.float64)
        equal += one @ one.T
        mine = one @ known.T  # how often the row's person has this label where both are labelled
        expected += mine * mine.T
    usable = pairs & (common > 0)
    if not usable.any():
        return float("nan"), float("nan"), 0
    n: DoubleArray = common[usable]
    return float((equal[usable] / n).mean()), float((expected[usable] / n**2).mean()), int(usable.sum())


def _kappa(agreement: float, chance: float) -> float:
    return (agreement - chance) / (1 - chance) if chance < 1 else float("nan")
