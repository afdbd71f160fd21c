"""Does a person drift: a bet, trial by trial, that trials stopped being like those before; says when to recalibrate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from insula.errors import InputError
from insula.types import DoubleArray

ALARM = 20.0
"""Capital at which the bet is believed: reached by at most 1 in 20 sessions without drift (Ville's inequality)."""
FEWEST = 10
"""With fewer trials the capital can hardly reach `ALARM`."""
_BETS = np.array([-1.0, 0.0, 1.0])
_JUMP = 0.01


@dataclass(frozen=True)
class Drift:
    """Capital of the bet after each trial, (trials,); it begins at 1 and stays near or below it without drift."""

    capital: DoubleArray

    @property
    def at(self) -> int | None:
        """Number of the trial at which the alarm came, from 0; None where none came."""
        reached = np.flatnonzero(self.capital >= ALARM)
        return int(reached[0]) if reached.size else None


def drift(trials: DoubleArray, seed: int = 0) -> Drift:
    """Test whether rows (trials, H) in time order, one a trial, come in an order that tells nothing.

    Conformal test martingale: how odd a trial is among those up to it (distance to their mean, in their deviations) has
    a uniform rank as long as all orders are equally likely, and the Simple Jumper bets on ranks that are not (Vovk et
    al. 2021, Retrain or not retrain: conformal test martingales for change-point detection, arXiv 2102.10439). Ties are
    drawn by ``seed``. Windows of one trial are alike: take their mean. Labels in a fixed order are a drift too.
    """
    x = np.asarray(trials, np.float64)
    if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
        raise InputError(f"trials of shape {x.shape}; expected finite numbers, (trials, columns), two trials or more.")
    rng = np.random.default_rng(seed)
    share = np.full(3, 1 / 3)  # of the capital behind each bet
    capital = []
    for n in range(1, len(x) + 1):
        odd = _oddness(x[:n])
        rank = ((odd > odd[-1]).sum() + rng.random() * (odd == odd[-1]).sum()) / n
        share = (1 - _JUMP) * share + _JUMP * share.mean()
        share = share * (1 + _BETS * (rank - 0.5))
        capital.append(share.sum())
    return Drift(np.asarray(capital, np.float64))


def _oddness(x: DoubleArray) -> DoubleArray:
    """Mean squared distance of each row to the mean of all, in deviations, (rows,)."""
    spread = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    return np.asarray((z**2).mean(axis=1).round(9), np.float64)
