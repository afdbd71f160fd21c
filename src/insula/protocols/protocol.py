"""What a protocol is: one object with its facts, its sentences and its way to deal windows into folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from insula.errors import InputError
from insula.types import IntArray

TRIAL = ("subject", "session", "trial")
"""Columns that identify a trial."""
ANY_SCOPE = ("trial", "session")


Unit = Literal["trials", "minutes"]


@dataclass(frozen=True)
class Amounts:
    """How much of each class is labelled by a new person: trials, or minutes, in ascending order."""

    values: tuple[float, ...]
    unit: Unit = "trials"

    def __post_init__(self) -> None:
        wanted = tuple(sorted(set(map(float, self.values))))
        if not wanted or wanted[0] < 0 or wanted[-1] <= 0:
            raise InputError(f"amounts {list(self.values)}; expected 0 or more, one above 0. Use 0,1,2.")
        if self.unit == "trials" and any(a != int(a) for a in wanted):
            raise InputError(f"trials {list(self.values)}; expected whole numbers. Use minutes for parts of trials.")
        object.__setattr__(self, "values", wanted)

    @classmethod
    def asked(cls, trials: Sequence[float], minutes: Sequence[float]) -> Amounts | None:
        """Amounts of which at most one kind is given; None where neither is."""
        if trials and minutes:
            raise InputError("trials and minutes; expected one of them. Leave one out.")
        return cls(tuple(trials), "trials") if trials else cls(tuple(minutes), "minutes") if minutes else None

    @property
    def largest(self) -> float:
        return self.values[-1]


@dataclass(frozen=True)
class Calibration:
    """What a tested person labelled: ``given[amount]`` rows adapt a model, the larger amount holds the smaller.

    ``before`` are all rows of the person before the test, more than those of the largest amount where one class came
    more often.
    """

    given: Mapping[float, IntArray]
    before: IntArray
    unit: Unit


@dataclass(frozen=True)
class Design:
    """What a protocol deals: the scored ``rows`` of a Windows table, and how.

    ``folds`` and ``amounts`` are None where the caller leaves them to the protocol; ``personal`` says whether each
    person has an own model.
    """

    table: pd.DataFrame
    rows: IntArray
    folds: int | None
    rng: np.random.Generator
    personal: bool
    amounts: Amounts | None = None


@dataclass(frozen=True)
class Part:
    """One fold as a protocol deals it: rows that train and that are tested, the columns of the unit kept whole.

    ``then`` are rows on which a network trained on ``train`` is trained further (a classical row learns from both), or
    with a ``calibration`` the rows of its largest amount, which adapt the network to the tested person.
    """

    fold: str
    train: IntArray
    test: IntArray
    group: tuple[str, ...]
    subject: str | None = None
    then: IntArray | None = None
    calibration: Calibration | None = None


Parts = tuple[list[Part], list[str]]
"""The folds, and in words who or what was left out of them."""


@dataclass(frozen=True)
class Protocol:
    """A way to split windows into training and test.

    Parameters
    ----------
    name : by which it is asked for and stored.
    where : what it tests, after "recognised ..."; for a page.
    how : what was done, in the past tense; for the methods of a paper.
    limits : what its figures cannot show.
    needs, instead : what data must have for it, and what to do with others.
    deal : makes the folds.
    leaky : a trial may stand on both sides.
    personal : each person has an own model.
    either : a clean protocol that can also give each person an own model, where asked.
    scopes : scopes of state that it allows.
    forbids : columns whose values may not stand on both sides.
    folds : whether their number is ``free`` or fixed by the ``people`` or ``sessions``.
    then_epochs : epochs of the further training on a fold's ``then`` rows.
    question : what it answers, as one would ask it.
    calibrates : whether tested people label some of their own first, in amounts that can be asked for.
    """

    name: str
    where: str
    how: str
    limits: str
    needs: str
    instead: str
    deal: Callable[[Design], Parts]
    leaky: bool = False
    personal: bool = False
    either: bool = False
    scopes: tuple[str, ...] = ("trial",)
    forbids: tuple[str, ...] = ()
    folds: Literal["free", "people", "sessions"] = "free"
    then_epochs: int = 0
    question: str = ""
    calibrates: bool = False

    @property
    def trains_on_tested(self) -> bool:
        """Whether a tested person's other trials may train."""
        return self.forbids != ("subject",)

    def parts(self, people: int, folds: int | None) -> int:
        """About how many folds it makes of so many people (each person's, where it is personal)."""
        return people if self.folds == "people" else folds or 5
