"""How like a person the training people are, by traits and by signals that nobody labelled."""

from __future__ import annotations

import warnings

import numpy as np

from insula.types import DoubleArray, FloatArray
from insula.windows.table import Windows


def likeness(others: Windows, person: Windows) -> FloatArray:
    """Weight of each window of ``others``: how like ``person`` its person is, 1 on average over people.

    A person is the traits (one half) and the level of every feature in reference windows, the person's own ones where
    there are none (the other half), in units of the training people's deviation; a feature counts by the share of that
    deviation that is between people, not inside them. The weight falls with the squared distance d as
    exp(-d / median d).
    """
    who = others.table["subject"].astype(str).to_numpy(object)
    names = list(dict.fromkeys(who.tolist()))
    each = [_level(others.take(np.flatnonzero(who == name))) for name in names]
    level = np.array([mean for mean, _ in each])  # (people, F)
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a feature that nobody has
        inside = np.nanmean(np.array([error for _, error in each]), axis=0) / np.nanvar(level, axis=0)
    share = np.where(np.isfinite(inside), np.clip(1 - inside, 0.0, 1.0), 0.0)
    distance = _distance(level, _level(person)[0], share)
    if others.schema.traits:
        first = np.array([int(np.flatnonzero(who == name)[0]) for name in names])
        theirs, mine = others.take(first).traits(), person.take(np.array([0])).traits()[0]
        traits = _distance(theirs.astype(np.float64), mine.astype(np.float64), np.ones(theirs.shape[1]))
        distance = (distance + traits) / 2
    weight = np.exp(-distance / max(float(np.median(distance)), 1e-9))
    weight *= len(weight) / weight.sum()
    place = {name: i for i, name in enumerate(names)}
    return np.asarray(weight[[place[w] for w in who]], np.float32)


def _level(windows: Windows) -> tuple[DoubleArray, DoubleArray]:
    """Mean of every feature over a person's past reference windows, and the variance of that mean, (F,) each."""
    everything = windows.everything()
    mine = everything.table["subject"].astype(str).to_numpy() == str(windows.table["subject"].iloc[0])
    last = windows.table.groupby(windows.table["session"].astype(str))["stop_s"].max()
    until = everything.table["session"].astype(str).map(last).to_numpy(np.float64)  # NaN: a session not begun
    past = everything.table["stop_s"].to_numpy(np.float64) <= until + 1e-9
    reference = np.flatnonzero(mine & past & (everything.table["role"].to_numpy() == "reference"))
    found = everything.take(reference) if reference.size else windows
    values = np.hstack([np.asarray(v, np.float64) for v in found.features().values()])
    seen = np.isfinite(values).sum(axis=0)
    count = np.maximum(seen, 1)
    mean = np.where(np.isfinite(values), values, 0.0).sum(axis=0) / count
    apart = np.where(np.isfinite(values), values - mean, 0.0)
    variance = (apart**2).sum(axis=0) / np.maximum(count - 1, 1) / count
    return np.where(seen > 0, mean, np.nan), np.where(seen > 1, variance, np.nan)


def _distance(people: DoubleArray, person: DoubleArray, weight: DoubleArray) -> DoubleArray:
    """Weighted mean squared distance of each row to a person, in deviations over rows; what is missing counts 1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns that nobody has
        spread = np.nanstd(people, axis=0)
    apart = ((people - person) / np.where(spread > 1e-9, spread, 1.0)) ** 2
    apart = np.where(np.isfinite(apart), apart, 1.0)
    return np.asarray((apart * weight).sum(axis=1) / max(float(weight.sum()), 1e-9), np.float64)
