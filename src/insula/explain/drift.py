"""When to recalibrate: whether people's trials stop being like those before, in the eyes of the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from insula.explain.analysis import Analysis, Evaluated, Shown
from insula.explain.facts import Facts
from insula.learning.learner import Learner
from insula.learning.personal.drift import ALARM, FEWEST, drift
from insula.protocols.grouping import codes, in_time
from insula.protocols.protocol import TRIAL
from insula.protocols.protocols import PROTOCOLS
from insula.types import DoubleArray
from insula.windows.table import Windows


@dataclass(frozen=True)
class Session:
    """A session: its trials, the largest capital of the bet on drift, and the trial of the alarm (from 1; 0: none)."""

    person: str
    session: str
    trials: int
    capital: float
    alarm: int


@dataclass(frozen=True)
class Drifts:
    """Sessions long enough to tell, and how many were too short."""

    sessions: tuple[Session, ...]
    short: int = 0
    note: str = ""


def _run(evaluated: Evaluated) -> Drifts | None:
    if not evaluated.fitted or evaluated.models[0].split.subject is not None:
        return None  # a person's own model has learned from the same session
    protocol = PROTOCOLS[evaluated.models[0].split.name]
    if protocol.trains_on_tested and not protocol.calibrates:
        return None  # the model knows other trials of the session, which is tested in many folds
    found, short = [], 0
    scored = evaluated.windows.scored
    people = scored.table["subject"].astype(str).to_numpy()
    for model, held in evaluated.fitted:
        for person in dict.fromkeys(held.table["subject"].astype(str)):
            own = scored.take(np.flatnonzero(people == person))
            for name in dict.fromkeys(own.table["session"].astype(str)):
                rows = np.flatnonzero(own.table["session"].astype(str).to_numpy() == name)
                trials = trial_means(model, own.take(rows))
                if len(trials) < FEWEST:
                    short += 1
                    continue
                seen = drift(trials)
                alarm = 0 if seen.at is None else seen.at + 1
                found.append(Session(person, name, len(trials), float(seen.capital.max()), alarm))
    return Drifts(tuple(found), short)


def trial_means(model: Learner, windows: Windows) -> DoubleArray:
    """Mean embedding of each trial in time order, (trials, H)."""
    order = in_time(windows.table, np.arange(len(windows)))
    embedding = model.embed(windows).astype(np.float64)[order]
    trial = codes(windows.table, order, TRIAL)
    count = np.bincount(trial)[:, None]
    total = np.zeros((len(count), embedding.shape[1]))
    np.add.at(total, trial, embedding)
    return np.asarray(total / count)


def sentence(found: Drifts) -> str:
    """How many sessions drifted, and after how many trials."""
    count = len(found.sessions)
    if not count:
        return f"Whether people drift cannot be told: no session has {FEWEST} trials."
    alarms = [s.alarm for s in found.sessions if s.alarm]
    if not alarms:
        return (
            f"In none of {count} sessions did trials stop being like those before (a bet on drift never reached "
            f"{ALARM:g} times its stake)."
        )
    middle = int(np.median(alarms))
    return (
        f"In {len(alarms)} of {count} sessions trials stopped being like those before, after {middle} trials (median): "
        f"calibrate anew there. A bet on drift came to {ALARM:g} times its stake, which happens in at most 1 of 20 "
        "without drift; labels in a fixed order count as drift."
    )


def _show(found: Drifts, _facts: Facts) -> Shown:
    return Shown((sentence(found),) if found.sessions else ())


def _lines(found: Drifts) -> Iterator[tuple[str, str]]:
    yield "drift", sentence(found)


DRIFT: Analysis[Drifts] = Analysis(
    "drift",
    Drifts,
    _run,
    _show,
    _lines,
    methods="Drift within sessions was tested by a conformal test martingale on trials' mean embeddings.",
    part="signals",
)
