"""The decay of skin conductance, estimated from each person's own recording: no network has a part in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from insula.types import DoubleArray
from insula.windows.table import Windows

SLOWEST, FASTEST = 0.02, 30.0
"""Decays a minute that are looked at; an estimate at an end of the range is none."""
_GRID = 80
_PER_S = 1.0
"""Conductance is read once a second."""
_SHORTEST_S = 20.0


@dataclass(frozen=True)
class Stretch:
    """Conductance (n,) of one trial at ``minutes`` (n,) since its start, and the answers given after it (Q,)."""

    minutes: DoubleArray
    level: DoubleArray
    answers: DoubleArray


@dataclass(frozen=True)
class Decay:
    """One person: decay a minute (NaN where the recording does not tell), and the level that each trial tends to."""

    person: str
    per_min: float = math.nan
    tends_to: tuple[float, ...] = ()


def stretches(windows: Windows) -> dict[str, list[Stretch]]:
    """Read each person's labelled trials once a second."""
    out: dict[str, list[Stretch]] = {}
    table = windows.table[windows.table["role"] == "scored"]
    for key in dict.fromkeys(zip(table["subject"], table["session"], table["trial"], strict=True)):
        trial = windows.clean[key]
        if not {"eda", "self_report"} <= set(trial.specs):
            continue
        every = max(1, round(trial.specs["eda"].rate_hz / _PER_S))
        seen = trial.observed["eda"][::every]
        level = np.asarray(trial.signals["eda"][0, ::every], np.float64)
        minutes = np.arange(len(level)) * every / trial.specs["eda"].rate_hz / 60
        answers = np.asarray(trial.signals["self_report"][:-1, 0], np.float64)
        if seen.sum() >= _SHORTEST_S * _PER_S:
            out.setdefault(key[0], []).append(Stretch(minutes[seen], level[seen], answers))
    return out


def decay_of(person: str, trials: Sequence[Stretch]) -> Decay:
    """Fit E(t) = E0 exp(-kt) + L (1 - exp(-kt)) with one k for all trials, E0 and L free in each (least squares).

    This is dE/dt = gamma (-alpha0 E + beta q) with q constant in a trial: k = gamma alpha0, L = beta q / alpha0.
    """
    if not trials:
        return Decay(person)
    grid = np.geomspace(SLOWEST, FASTEST, _GRID)
    errors = [_error(k, trials) for k in grid]
    best = int(np.argmin(errors))
    if best in (0, _GRID - 1):
        return Decay(person)
    low, high = math.log(grid[best - 1]), math.log(grid[best + 1])
    golden = (math.sqrt(5) - 1) / 2
    for _ in range(40):
        a, b = high - golden * (high - low), low + golden * (high - low)
        if _error(math.exp(a), trials) < _error(math.exp(b), trials):
            high = b
        else:
            low = a
    k = math.exp((low + high) / 2)
    return Decay(person, k, tuple(float(_solved(k, one)[0][1]) for one in trials))


def sensitivity_of(trials: Sequence[Stretch], tends_to: Sequence[float]) -> DoubleArray:
    """Slope (Q,) of a person's levels on each answer alone; NaN below three trials or where an answer never varied."""
    answers = np.stack([one.answers for one in trials])  # (trials, Q)
    apart = answers - answers.mean(0)
    spread = np.square(apart).sum(0)
    levels = np.asarray(tends_to) - np.mean(tends_to)
    found = (apart * levels[:, None]).sum(0) / np.where(spread > 0, spread, np.nan)
    return np.asarray(found if len(trials) >= 3 else np.full(answers.shape[1], np.nan))


def _solved(k: float, one: Stretch) -> tuple[DoubleArray, float]:
    """Start and limit (2,) of a trial at a decay, and the squared error."""
    left = np.exp(-k * one.minutes)
    design = np.stack([left, 1 - left], 1)  # (n, 2)
    found = np.linalg.lstsq(design, one.level, rcond=None)[0]
    return found, float(np.square(design @ found - one.level).sum())


def _error(k: float, trials: Sequence[Stretch]) -> float:
    return sum(_solved(k, one)[1] for one in trials)
