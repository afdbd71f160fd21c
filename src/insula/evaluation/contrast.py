"""Do predictions follow the person or the timetable: the person-swap contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from insula.errors import InputError
from insula.evaluation.scores import FEW_PEOPLE, classes_of
from insula.protocols.schedule import half_hop, session_rank
from insula.types import DoubleArray, IntArray


@dataclass(frozen=True)
class Contrast:
    """Balanced accuracy against own labels minus that against other people's labels at equal elapsed time.

    ``own``, ``other`` and ``mean`` are means over people, ``lo`` and ``hi`` the bootstrap interval of ``mean`` over
    ``unit``. ``pairs`` ordered pairs of people could be compared.
    """

    own: float
    other: float
    mean: float
    lo: float
    hi: float
    people: int
    pairs: int
    unit: str

    @property
    def includes_zero(self) -> bool:
        """Whether nothing beyond the timetable is shown."""
        return not self.lo > 0

    @property
    def text(self) -> str:
        few = "" if self.unit == "people" else f" ({self.unit} drawn: fewer than {FEW_PEOPLE} people)"
        return f"contrast {self.mean:+.3f} [{self.lo:+.3f}, {self.hi:+.3f}] over {self.people} people{few}"


@dataclass(frozen=True)
class _Pair:
    """Hits and rows by trial of the first person and class, (trials, K) each, on the windows that match."""

    own_hits: DoubleArray
    own_rows: DoubleArray
    other_hits: DoubleArray
    other_rows: DoubleArray

    def scores(self, weight: DoubleArray) -> tuple[float, float]:
        """Balanced accuracy against own and other labels with trials drawn ``weight`` times; NaN below 2 classes."""
        rows, other = weight @ self.own_rows, weight @ self.other_rows
        both = (rows > 0) & (other > 0)
        if both.sum() < 2:
            return float("nan"), float("nan")
        own = (weight @ self.own_hits)[both] / rows[both]
        return float(own.mean()), float(((weight @ self.other_hits)[both] / other[both]).mean())


def contrast(
    predictions: pd.DataFrame, *, tolerance_s: float | None = None, resamples: int = 2000, seed: int = 0
) -> Contrast | None:
    """Person-swap contrast of one system's predictions; None where no two people can be compared.

    For every ordered pair of people, each window of the first is matched to the window of the second nearest in
    elapsed time within ``tolerance_s`` (default half the hop), session by session in order. Both scores use the matched
    windows only and the classes that both people have there, so a constant guess, or any function of elapsed time
    alone, has contrast 0 in the mean. Whole people are drawn for the interval; below 8 people trials within people.
    """
    classes = classes_of(predictions)
    if not classes:
        raise InputError("person-swap contrast of a continuous target; expected classes. Use CCC against the clock.")
    tolerance_s = half_hop(predictions) if tolerance_s is None else tolerance_s
    pairs = _pairs(predictions, classes, tolerance_s)
    whole = {key: p.scores(np.ones(len(p.own_hits))) for key, p in pairs.items()}
    whole = {key: scores for key, scores in whole.items() if np.isfinite(scores[0])}
    if not whole:
        return None
    firsts = list(dict.fromkeys(i for i, _ in whole))
    own = np.array([np.mean([o for (i, _), (o, _) in whole.items() if i == f]) for f in firsts])
    other = np.array([np.mean([o for (i, _), (_, o) in whole.items() if i == f]) for f in firsts])
    difference = own - other
    rng = np.random.default_rng(seed)
    if len(firsts) >= FEW_PEOPLE:
        drawn = difference[rng.integers(0, len(firsts), (resamples, len(firsts)))].mean(axis=1)
        unit = "people"
    else:
        drawn = _draw_trials({key: pairs[key] for key in whole}, firsts, min(resamples, 500), rng)
        unit = "trials within people"
    lo, hi = np.nanpercentile(drawn, [2.5, 97.5])
    return Contrast(
        float(own.mean()),
        float(other.mean()),
        float(difference.mean()),
        float(lo),
        float(hi),
        len(firsts),
        len(whole),
        unit,
    )


def _pairs(predictions: pd.DataFrame, classes: tuple[str, ...], tolerance_s: float) -> dict[tuple[str, str], _Pair]:
    code = {c: k for k, c in enumerate(classes)}
    table = pd.DataFrame(
        {
            "subject": predictions["subject"].astype(str).to_numpy(),
            "session": session_rank(predictions),
            "trial": np.asarray(predictions.groupby(["subject", "session", "trial"], sort=False).ngroup()),
            "elapsed_s": predictions["elapsed_s"].to_numpy(np.float64),
            "true": predictions["y_true"].astype(str).map(code).to_numpy(np.int64),
            "guess": predictions["y_pred"].astype(str).map(code).to_numpy(np.int64),
        }
    ).sort_values(["subject", "session", "elapsed_s"], kind="stable")
    # one clock over sessions: each session gets its own stretch, far from the others
    stretch = float(table["elapsed_s"].max() - table["elapsed_s"].min()) + 10 * tolerance_s + 1
    table["clock"] = table["elapsed_s"] + table["session"] * stretch
    people = {str(s): part for s, part in table.groupby("subject", sort=True)}
    pairs: dict[tuple[str, str], _Pair] = {}
    for i, a in people.items():
        trial = np.unique(a["trial"].to_numpy(), return_inverse=True)[1]
        for j, b in people.items():
            if i == j:
                continue
            near = _nearest(b["clock"].to_numpy(), a["clock"].to_numpy())
            match = np.abs(b["clock"].to_numpy()[near] - a["clock"].to_numpy()) <= tolerance_s + 1e-6
            if match.any():
                mine, theirs = a["true"].to_numpy()[match], b["true"].to_numpy()[near][match]
                guess = a["guess"].to_numpy()[match]
                pairs[i, j] = _count(trial[match], int(trial.max()) + 1, mine, theirs, guess, len(classes))
    return pairs


def _count(trial: IntArray, n_trials: int, own: IntArray, theirs: IntArray, guess: IntArray, k: int) -> _Pair:
    def by_trial(label: IntArray, keep: IntArray) -> DoubleArray:
        flat = np.bincount(trial * k + label, weights=keep.astype(np.float64), minlength=n_trials * k)
        return np.asarray(flat.reshape(n_trials, k))  # (trials * K,) -> (trials, K)

    every = np.ones(guess.size, np.int64)
    return _Pair(
        by_trial(own, guess == own), by_trial(own, every), by_trial(theirs, guess == theirs), by_trial(theirs, every)
    )


def _draw_trials(
    pairs: dict[tuple[str, str], _Pair], firsts: list[str], resamples: int, rng: np.random.Generator
) -> DoubleArray:
    """Contrast of ``resamples`` draws of trials within each first person of a pair, (resamples,)."""
    means = np.full((resamples, len(firsts)), np.nan)
    for column, one in enumerate(firsts):
        own = [p for (i, _), p in pairs.items() if i == one]
        n = len(own[0].own_hits)
        for r in range(resamples):
            weight = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
            difference = [o - t for o, t in (p.scores(weight) for p in own) if np.isfinite(o)]
            means[r, column] = np.mean(difference) if difference else np.nan
    valid = np.isfinite(means)
    total, count = np.where(valid, means, 0.0).sum(axis=1), valid.sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(resamples, np.nan), where=count > 0))


def _nearest(sorted_values: DoubleArray, wanted: DoubleArray) -> IntArray:
    right = np.clip(np.searchsorted(sorted_values, wanted), 0, sorted_values.size - 1)
    left = np.maximum(right - 1, 0)
    closer = np.abs(sorted_values[left] - wanted) <= np.abs(sorted_values[right] - wanted)
    return np.where(closer, left, right).astype(np.int64)
