"""Do predictions follow the person or the timetable: the person-swap contrast."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from insula.evaluation.scores import Interval, classes_of, over_people
from insula.learning.metrics import ccc
from insula.protocols.schedule import half_hop, session_rank
from insula.types import BoolArray, DoubleArray, IntArray

LEAST_CEILING = 0.05
"""Below this contrast of perfect labels people's timetables are too alike for anything to be tested."""
_SAME = 0.02
"""Two timetables are one where perfect labels have less contrast than this between them."""
_PERMUTATIONS = 999


@dataclass(frozen=True)
class Contrast:
    """Score against own labels minus that against other people's labels at equal elapsed time.

    ``own``, ``other`` and ``mean`` are means over people, ``lo`` and ``hi`` Student's t interval of ``mean`` over
    people, ``ceiling`` the contrast that perfect predictions would have. ``p`` = (1 + b) / (1 + m) with b of m random
    exchanges of whole label timelines among people that fit the predictions at least as well; ``labellings`` counts the
    distinct ones. ``pairs`` ordered pairs of people could be compared; ``by_person`` holds each person's contrast.
    """

    own: float
    other: float
    mean: float
    lo: float
    hi: float
    ceiling: float
    p: float
    labellings: int
    people: int
    pairs: int
    by_person: Mapping[str, float] = field(repr=False)

    @property
    def includes_zero(self) -> bool:
        """Whether nothing beyond the timetable is shown."""
        return not self.lo > 0

    @property
    def share(self) -> tuple[float, float, float]:
        """Mean and interval as shares of the ceiling, which an interval ends at; NaN below `LEAST_CEILING`."""
        if not self.ceiling >= LEAST_CEILING:
            return (math.nan,) * 3
        return self.mean / self.ceiling, self.lo / self.ceiling, min(1.0, self.hi / self.ceiling)

    @property
    def text(self) -> str:
        found = f"contrast {self.mean:+.3f} [{self.lo:+.3f}, {self.hi:+.3f}] of {self.ceiling:.3f} attainable"
        return f"{found} over {self.people} people, p = {self.p:.3g}"


def contrast(
    predictions: pd.DataFrame, *, tolerance_s: float | None = None, permutations: int = _PERMUTATIONS, seed: int = 0
) -> Contrast | None:
    """Person-swap contrast of one system's predictions; None where no two people can be compared.

    For every ordered pair of people, each window of the first is matched to the window of the second nearest in
    elapsed time within ``tolerance_s`` (default half the hop), session by session in order. Both scores (balanced
    accuracy, CCC for a continuous target) use the matched windows only, and the classes that both people have there,
    so a constant guess, or any function of elapsed time alone, has contrast 0 in the mean.
    """
    tolerance_s = half_hop(predictions) if tolerance_s is None else tolerance_s
    found = _swaps(predictions, classes_of(predictions), tolerance_s)
    usable = np.isfinite(found.own) & ~np.eye(len(found.people), dtype=bool)
    rows = np.flatnonzero(usable.any(axis=1))
    if not rows.size:
        return None
    own, other, perfect = (_row_means(m, usable)[rows] for m in (found.own, found.other, found.perfect))
    difference = own - other
    interval = over_people(difference)
    return Contrast(
        own=float(own.mean()),
        other=float(other.mean()),
        mean=interval.mean,
        lo=interval.lo,
        hi=interval.hi,
        ceiling=float((1 - perfect).mean()),
        p=_exchanged(found.own - found.other, usable, permutations, np.random.default_rng(seed)),
        labellings=_labellings(1 - found.perfect, usable),
        people=int(rows.size),
        pairs=int(usable.sum()),
        by_person={found.people[i]: float(d) for i, d in zip(rows, difference, strict=True)},
    )


def lead(one: Contrast, other: Contrast) -> Interval:
    """Difference of two systems' contrasts, paired over the people that both have."""
    both = [p for p in one.by_person if p in other.by_person]
    return over_people([one.by_person[p] - other.by_person[p] for p in both])


@dataclass(frozen=True)
class _Swaps:
    """Scores of each person's (rows) predictions on the windows matched to another person (columns), (P, P) each.

    ``own`` against own labels, ``other`` against the other's, ``perfect`` of own labels against the other's.
    """

    people: tuple[str, ...]
    own: DoubleArray
    other: DoubleArray
    perfect: DoubleArray


def _swaps(predictions: pd.DataFrame, classes: tuple[str, ...], tolerance_s: float) -> _Swaps:
    code = {c: k for k, c in enumerate(classes)}

    def values(column: str) -> DoubleArray:
        found = predictions[column]
        return np.asarray(found.astype(str).map(code) if classes else found, np.float64)

    table = pd.DataFrame(
        {
            "subject": predictions["subject"].astype(str).to_numpy(),
            "clock": _one_clock(predictions, tolerance_s),
            "true": values("y_true"),
            "guess": values("y_pred"),
        }
    ).sort_values(["subject", "clock"], kind="stable")
    parts = {str(s): part for s, part in table.groupby("subject", sort=True)}
    people = tuple(parts)
    columns = [tuple(parts[p][c].to_numpy() for c in ("clock", "true", "guess")) for p in people]
    own, other, perfect = (np.full((len(people), len(people)), np.nan) for _ in range(3))
    for i, (clock, true, guess) in enumerate(columns):
        for j, (their_clock, their_true, _) in enumerate(columns):
            if i == j:
                continue
            near = _nearest(their_clock, clock)
            match = np.abs(their_clock[near] - clock) <= tolerance_s + 1e-6
            if match.any():
                score = _recalls if classes else _agreements
                own[i, j], other[i, j], perfect[i, j] = score(true[match], their_true[near][match], guess[match])
    return _Swaps(people, own, other, perfect)


def _recalls(own: DoubleArray, theirs: DoubleArray, guess: DoubleArray) -> tuple[float, float, float]:
    """Balanced accuracies over the classes that both have; NaN below two."""
    k = int(max(own.max(), theirs.max(), guess.max())) + 1
    mine, other, said = (v.astype(np.int64) for v in (own, theirs, guess))

    def recall(true: IntArray, answer: IntArray) -> DoubleArray:
        rows = np.bincount(true, minlength=k)
        return np.bincount(true[true == answer], minlength=k) / np.maximum(rows, 1)

    both = (np.bincount(mine, minlength=k) > 0) & (np.bincount(other, minlength=k) > 0)
    if both.sum() < 2:
        return (math.nan,) * 3
    found = (recall(true, answer)[both].mean() for true, answer in ((mine, said), (other, said), (other, mine)))
    one, two, three = (float(v) for v in found)
    return one, two, three


def _agreements(own: DoubleArray, theirs: DoubleArray, guess: DoubleArray) -> tuple[float, float, float]:
    """CCC of a continuous target; NaN where one does not vary. A constant guess agrees with nobody."""
    if own.size < 3 or np.ptp(own) == 0 or np.ptp(theirs) == 0:
        return (math.nan,) * 3
    one, two = (0.0, 0.0) if np.ptp(guess) == 0 else (ccc(own, guess), ccc(theirs, guess))
    return one, two, ccc(theirs, own)


def _exchanged(difference: DoubleArray, usable: BoolArray, permutations: int, rng: np.random.Generator) -> float:
    """p of the own labels against other people's: how often exchanged timelines fit at least as well."""
    n = len(difference)
    loss = np.where(usable, difference, 0.0)  # a person keeping the own labels loses nothing
    drawn = rng.permuted(np.tile(np.arange(n), (permutations, 1)), axis=1)
    total = loss[np.arange(n), drawn].sum(axis=1)
    return float((1 + (total <= 1e-12).sum()) / (1 + permutations))


def _labellings(apart: DoubleArray, usable: BoolArray) -> int:
    """Count the distinct ways to hand people's timelines round, equal timelines counted as one."""
    left = list(np.flatnonzero(usable.any(axis=1)))
    total = math.factorial(len(left))
    while left:
        first = left[0]
        same = [j for j in left if j == first or (usable[first, j] and apart[first, j] < _SAME)]
        total //= math.factorial(len(same))
        left = [j for j in left if j not in same]
    return total


def _row_means(matrix: DoubleArray, usable: BoolArray) -> DoubleArray:
    return np.asarray(np.where(usable, matrix, 0.0).sum(axis=1) / np.maximum(usable.sum(axis=1), 1))


def _one_clock(table: pd.DataFrame, tolerance_s: float) -> DoubleArray:
    """Elapsed time on one clock over sessions: each session has its own stretch, far from the others, (rows,)."""
    elapsed = table["elapsed_s"].to_numpy(np.float64)
    stretch = float(elapsed.max() - elapsed.min()) + 10 * tolerance_s + 1
    return np.asarray(elapsed + session_rank(table) * stretch)


def _nearest(sorted_values: DoubleArray, wanted: DoubleArray) -> IntArray:
    right = np.clip(np.searchsorted(sorted_values, wanted), 0, sorted_values.size - 1)
    left = np.maximum(right - 1, 0)
    closer = np.abs(sorted_values[left] - wanted) <= np.abs(sorted_values[right] - wanted)
    return np.where(closer, left, right).astype(np.int64)
