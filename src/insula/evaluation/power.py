"""How many people and trials a study needs: power by simulation over people and trials, from a pilot result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from insula.errors import InputError
from insula.evaluation.results import Result
from insula.types import DoubleArray

_CHANCE = "chance"


@dataclass(frozen=True)
class Pilot:
    """What a pilot says about the spread between and within people.

    ``effect`` is the mean over people of the score above ``against``; ``between_sd`` the deviation of people's true
    values; ``residuals`` one array a class of single trials' values around their person's mean.
    """

    system: str
    against: str
    effect: float
    lo: float
    hi: float
    between_sd: float
    within_sd: float
    residuals: tuple[DoubleArray, ...]
    people: int
    trials_per_class: float


@dataclass(frozen=True)
class Cell:
    """Power of one design: the share of simulated studies whose 95 % interval over people lies above the opponent."""

    people: int
    trials_per_class: int
    power: float
    half_width: float


@dataclass(frozen=True)
class Plan:
    """Power of all designs, and for each number of trials the smallest number of people that reaches ``wanted``."""

    pilot: Pilot
    effect: float
    wanted: float
    studies: int
    cells: tuple[Cell, ...]
    needed: dict[int, int | None]

    def table(self) -> pd.DataFrame:
        """Power by people (rows) and trials a class (columns)."""
        frame = pd.DataFrame([asdict(c) for c in self.cells])
        return frame.pivot(index="people", columns="trials_per_class", values="power")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        pilot = {k: v for k, v in asdict(self.pilot).items() if k != "residuals"}
        return {
            "pilot": pilot,
            "effect": self.effect,
            "wanted": self.wanted,
            "studies": self.studies,
            "cells": [asdict(c) for c in self.cells],
            "needed": {str(k): v for k, v in self.needed.items()},
            "assumptions": list(ASSUMPTIONS),
        }


ASSUMPTIONS = (
    "people of the study are like those of the pilot, and so are its trials and its system",
    "people's true values are normal; the trials' scatter around them is drawn from the pilot",
    "more trials make each person's score more certain; that a model also learns from them is not counted",
    "a study succeeds when the two-sided 95 % interval (Student's t over people) lies above the opponent",
)


def pilot_of(result: Result, system: str | None = None, against: str = _CHANCE) -> Pilot:
    """Measure effect and spreads in a pilot result.

    The unit is a trial: the share of its windows that are right, averaged within classes first, as balanced accuracy
    is. ``against`` is ``chance`` or another system of the result, on the same trials.

    Raises
    ------
    InputError : a continuous target, fewer than 3 people, or nobody with two trials of a class.
    """
    name = system or result.systems[0].name
    if result.continuous:
        raise InputError("a continuous target; expected classes. Take a threshold, e.g. --target 'valence>=5'.")
    trials = _trials(result, name)
    if against == _CHANCE:
        trials["value"] -= result.chance
    else:
        both = trials.merge(_trials(result, against), on=[*_KEYS, "y_true"], suffixes=("", "_other"))
        trials = both.assign(value=both["value"] - both["value_other"])
    by_class = trials.groupby(["subject", "y_true"])["value"]
    means = by_class.mean().unstack("y_true")
    whole = means.dropna()
    if len(whole) < 3:
        raise InputError(f"a pilot with {len(whole)} people who have all classes; expected 3 or more. Record more.")
    people = whole.mean(axis=1).to_numpy(np.float64)
    trials = trials[trials["subject"].isin(whole.index)]
    count = trials.groupby(["subject", "y_true"])["value"].transform("size")
    residual = trials["value"] - trials.groupby(["subject", "y_true"])["value"].transform("mean")
    # A mean taken from n trials swallows 1/n of their variance.
    residual = residual * np.sqrt(count / np.maximum(count - 1, 1))
    several = count > 1
    if not several.any():
        raise InputError("a pilot with one trial a class and person; expected two or more for somebody. Record more.")
    residuals = tuple(
        np.asarray(residual[several & (trials["y_true"] == c)], np.float64) for c in whole.columns
    )  # fmt: skip
    everything = np.asarray(residual[several], np.float64)
    residuals = tuple(r if r.size else everything for r in residuals)
    k = whole.shape[1]
    sizes = trials.groupby(["subject", "y_true"])["value"].size().unstack("y_true").to_numpy(np.float64)
    noise = float(np.mean(sum(np.mean(r**2) / sizes[:, i] for i, r in enumerate(residuals)) / k**2))
    between = math.sqrt(max(0.0, float(people.var(ddof=1)) - noise))
    lo, hi = _interval(people[None, :])
    within = math.sqrt(float(np.mean([np.mean(r**2) for r in residuals])))
    return Pilot(
        name, against, float(people.mean()), float(lo[0]), float(hi[0]), between, within, residuals, len(people),
        float(sizes.mean()),
    )  # fmt: skip


def power(
    pilot: Pilot,
    *,
    people: Sequence[int] = (5, 8, 10, 12, 15, 20, 25, 30, 40, 60, 80),
    trials: Sequence[int] = (2, 4, 8, 16),
    wanted: float = 0.8,
    effect: float | None = None,
    studies: int = 2000,
    seed: int = 0,
) -> Plan:
    """Simulate studies of every design and count those that succeed.

    Parameters
    ----------
    people, trials : numbers of people, and of trials a class and person, to try.
    wanted : power to reach.
    effect : the smallest effect worth finding, in the score's unit (default: the pilot's own).
    studies : simulated a design.
    """
    if not 0 < wanted < 1:
        raise InputError(f"wanted power {wanted}; expected between 0 and 1. Use 0.8.")
    if studies < 100 or min(people, default=0) < 3 or min(trials, default=0) < 1:
        raise InputError(
            f"{studies} studies of {min(people, default=0)} people and {min(trials, default=0)} trials at least; "
            "expected 100 studies, 3 people and 1 trial or more. Ask for more."
        )
    assumed = pilot.effect if effect is None else effect
    rng = np.random.default_rng(seed)
    cells = []
    for n_trials in sorted(set(trials)):
        for n in sorted(set(people)):
            scores = _studies(pilot, assumed, n, n_trials, studies, rng)
            lo, hi = _interval(scores)
            cells.append(Cell(n, n_trials, float((lo > 0).mean()), float(np.mean(hi - lo) / 2)))
    needed = {
        t: next((c.people for c in cells if c.trials_per_class == t and c.power >= wanted), None)
        for t in sorted(set(trials))
    }
    return Plan(pilot, assumed, wanted, studies, tuple(cells), needed)


_KEYS = ["subject", "session", "trial"]


def _trials(result: Result, name: str) -> pd.DataFrame:
    """Share of right windows of each trial: subject, session, trial, y_true, value."""
    rows = result.of(name)
    rows = rows.assign(value=(rows["y_true"].astype(str) == rows["y_pred"].astype(str)).astype(float))
    return rows.groupby([*_KEYS, "y_true"], sort=True)["value"].mean().reset_index()


def _studies(
    pilot: Pilot, effect: float, people: int, trials: int, studies: int, rng: np.random.Generator
) -> DoubleArray:
    """Scores above the opponent of every person of every simulated study, (studies, people)."""
    scores = rng.normal(effect, pilot.between_sd, (studies, people))
    for residuals in pilot.residuals:
        drawn = residuals[rng.integers(0, residuals.size, (studies, people, trials))]
        scores += drawn.mean(axis=2) / len(pilot.residuals)
    return np.asarray(scores)


def _interval(scores: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Student's 95 % interval of the mean over people, a study (studies, people) a row."""
    from scipy.stats import t

    n = scores.shape[1]
    half = float(t.ppf(0.975, n - 1)) * scores.std(axis=1, ddof=1) / math.sqrt(n)
    mean = scores.mean(axis=1)
    return mean - half, mean + half
