"""The null test: a score against refits on labels shuffled between trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from insula.errors import InputError
from insula.protocols.schedule import FEW_LABELLINGS

FEW_SHUFFLES = 19
"""Below this many shuffles p cannot reach .05, and a verdict that stands on it is provisional."""


@dataclass(frozen=True)
class NullTest:
    """A score against scores of refits on labels shuffled between trials.

    ``p`` = (1 + b) / (1 + m) with b shuffles at least as good as the score, ``floor`` = 1 / (1 + m). ``mean`` and its
    interval are those of the shuffles; ``at_chance`` says whether the interval holds chance, two-sided.
    ``enough`` is False where fewer than 20 exchangeable labellings exist; p is NaN then.
    """

    score: float
    p: float
    floor: float
    shuffles: int
    mean: float
    lo: float
    hi: float
    chance: float
    at_chance: bool
    enough: bool
    labellings: int

    @property
    def text(self) -> str:
        if not self.enough:
            return f"too few trials to test: {self.labellings} exchangeable labellings, {FEW_LABELLINGS} needed"
        within = "chance lies within" if self.at_chance else "chance lies outside"
        return (
            f"p = {self.p:.3g} (floor {self.floor:.3g}, {self.shuffles} shuffles); shuffled labels score "
            f"{self.mean:.3f} [{self.lo:.3f}, {self.hi:.3f}]: {within} ({self.chance:.3f}, two-sided)"
        )


def null_test(
    score: float,
    shuffled: Sequence[float],
    *,
    chance: float,
    labellings: int,
    more_is_better: bool = True,
    level: float = 0.95,
) -> NullTest:
    """Test a score against the same pipeline on shuffled labels; the interval of their mean is Student's t."""
    from scipy.stats import t

    scores = np.asarray(shuffled, np.float64)
    scores = scores[np.isfinite(scores)]
    m = scores.size
    if m == 0:
        raise InputError("a null test without shuffles; expected at least 1, better 20. Raise the number of shuffles.")
    beaten = int((scores >= score - 1e-12).sum() if more_is_better else (scores <= score + 1e-12).sum())
    mean = float(scores.mean())
    half = float(t.ppf(0.5 + level / 2, m - 1) * scores.std(ddof=1) / np.sqrt(m)) if m > 1 else float("inf")
    enough = labellings >= FEW_LABELLINGS
    return NullTest(
        score=float(score),
        p=(1 + beaten) / (1 + m) if enough else float("nan"),
        floor=1 / (1 + m),
        shuffles=m,
        mean=mean,
        lo=mean - half,
        hi=mean + half,
        chance=chance,
        at_chance=bool(mean - half - 1e-12 <= chance <= mean + half + 1e-12),
        enough=enough,
        labellings=labellings,
    )
