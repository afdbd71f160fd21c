"""The small cohort with skin conductance that stands still: for twelve seconds of some trials, or for whole ones."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from small_cohort import RECIPE, recording

from insula.types import Recording
from insula.windows.cutting import cut
from insula.windows.table import Windows

SPOILED = {("ann", "t1"): (6, 18), ("bob", "t0"): (0, 24), ("bob", "t3"): (0, 24), ("cyd", "t2"): (8, 20)}
"""Trials whose conductance is flat, and from which to which second of their 24."""


@cache
def people() -> tuple[Recording, ...]:
    return tuple(_spoiled(recording(name, trial_s=24.0)) for name in ("ann", "bob", "cyd"))


def _spoiled(one: Recording) -> Recording:
    trials = []
    for trial in one.trials:
        if (one.subject, trial.trial) in SPOILED:
            first, last = SPOILED[one.subject, trial.trial]
            eda = trial.signals["eda"]
            values = eda.values.copy()
            values[0, 4 * first : 4 * last] = 3.0
            trial = replace(trial, signals={**trial.signals, "eda": replace(eda, values=values)})
        trials.append(trial)
    return replace(one, trials=tuple(trials))


@cache
def windows(*modalities: str, target: str = "state") -> Windows:
    """Windows of the three people, of the named modalities."""
    return cut(people(), RECIPE, target, modalities=modalities or ("eda",))


def scored(*modalities: str, target: str = "state") -> Windows:
    """Only those that may be scored."""
    found = windows(*modalities, target=target)
    return found.take((found.table["role"] == "scored").to_numpy())


def flat_share(of: Windows) -> list[float]:
    """Share of each window in which conductance stands still, from the table alone."""
    out = []
    starts = {t.key: t.start_s for p in people() for t in p.trials}
    for row in of.table.itertuples():
        first, last = SPOILED.get((row.subject, row.trial), (0, 0))
        begin = row.start_s - starts[row.subject, row.session, row.trial]
        out.append(max(0.0, min(last, begin + 4) - max(first, begin)) / 4)
    return out
