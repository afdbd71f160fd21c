"""One experiment under several seeds: results of the same labels joined, results of drawn labels put side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from insula.errors import InputError
from insula.evaluation.results import Result
from insula.evaluation.scores import mean_over_people, over_people
from insula.evaluation.system import System


def joined(results: Sequence[Result]) -> Result:
    """Join results of one experiment under several seeds: a person's score becomes the mean over seeds.

    A row that only some seeds have keeps those. The null test is that of the first seed.
    """
    if not results:
        raise InputError("no result to join; expected one or more. Evaluate first.")
    first = results[0]
    if len(results) == 1:
        return first
    tables = [r.predictions.assign(seed=int(r.provenance.get("seed") or 0)) for r in results]
    names = dict.fromkeys(s.name for r in results for s in r.systems)
    return replace(
        first,
        systems=tuple(joined_rows([s for r in results for s in r.systems if s.name == name]) for name in names),
        predictions=pd.concat(tables, ignore_index=True),
        provenance={**first.provenance, "seeds": [r.provenance.get("seed") for r in results]},
    )


def joined_rows(rows: Sequence[System]) -> System:
    """Join one row of several seeds: fewest steps, mean loss, converged where all did."""
    first = rows[0]
    losses = [r.loss for r in rows if r.loss is not None]
    steps = [r.steps for r in rows if r.steps] or [r.steps for r in rows if r.steps is not None]
    return replace(
        first,
        seconds=sum(r.seconds for r in rows),
        steps=min(steps, default=None),
        loss=float(np.mean(losses)) if losses else None,
        converged=None if first.converged is None else all(r.converged for r in rows),
        readout_alone=sum(r.readout_alone for r in rows),
        fits=sum(r.fits for r in rows),
    )


@dataclass(frozen=True)
class Draws:
    """Scores of one row over draws of labels: mean with Student's t interval over draws, lowest and highest.

    ``claims`` counts draws in which the row was said to follow the person.
    """

    title: str
    mean: float
    lo: float
    hi: float
    least: float
    most: float
    draws: int
    claims: int


def over_draws(results: Sequence[Result]) -> list[Draws]:
    """Scores of each row that every draw has, over the draws."""
    found = []
    for system in results[0].systems:
        if not all(system.name in {s.name for s in r.systems} for r in results):
            continue
        scores = [mean_over_people(r.of(system.name), r.main_metric).mean for r in results]
        span = over_people(scores)
        claims = sum(r.verdict(system.name).claims for r in results)
        found.append(
            Draws(system.title, span.mean, span.lo, span.hi, min(scores), max(scores), len(scores), int(claims))
        )
    return found
