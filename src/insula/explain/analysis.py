"""What an analysis is: one object that runs on an evaluation, is kept as JSON, and says what it found."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import msgspec
import numpy as np

from insula.errors import DataError
from insula.evaluation.results import Result
from insula.evaluation.run import FoldModel
from insula.learning.estimator import Estimator
from insula.protocols.own_median import for_fold
from insula.windows.table import Windows

if TYPE_CHECKING:
    from insula.explain.facts import Facts
    from insula.explain.picture import Picture

T = TypeVar("T")
Part = Literal["personal", "inside", "energy", "data", "signals"]
"""Section of the page: a new person's labels, inside the model, what a decision costs, the data, the signals."""
Fitted = Sequence[tuple[Estimator, Windows]]
"""A model of each fold with the windows held out from it."""


@dataclass(frozen=True)
class Evaluated:
    """What an analysis may look at: the result, all windows, and the fold models of the result's first system."""

    result: Result
    windows: Windows
    models: Sequence[FoldModel] = ()

    @property
    def main(self) -> str:
        """Name of the system that the fold models are: the result's first one, unless they were adapted for it."""
        return self.models[0].system if self.models else self.result.systems[0].name

    @cached_property
    def fitted(self) -> Fitted:
        """Each fold's model with its held-out windows, their classes decided by what the fold may know."""
        return [(m.model, for_fold(self.windows, m.split).take(m.split.test)) for m in self.models]


@dataclass(frozen=True)
class Cell:
    """One cell of a table: its text, the number or text it is sorted by (None: last), and a small second line."""

    text: str
    value: float | str | None = None
    small: str = ""


@dataclass(frozen=True)
class TableRow:
    """A row: its name, the ink of its mark (empty: none), small lines under the name, and its cells."""

    name: str
    cells: tuple[Cell, ...]
    ink: str = ""
    small: tuple[str, ...] = ()
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table of the page; ``columns`` names the first column and all others, ``legend`` explains them."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    legend: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """What an analysis shows on the page, in this order.

    ``silent`` says in a line each which pictures were left out because they would say nothing; ``details`` is folded
    away under its first line.
    """

    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    details: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    silent: tuple[str, ...] = ()


def _nothing(*_: Any) -> Shown:
    return Shown()


@dataclass(frozen=True)
class Analysis(Generic[T]):
    """One analysis: all that is known of it, in one object.

    Parameters
    ----------
    name : key under which a Result keeps it; lower case with underscores.
    form : type of what `run` returns, of frozen dataclasses that msgspec can write and read; what may be missing (NaN)
        has a default.
    run : made from an evaluation; None where the model, the data or the protocol have nothing to analyse.
    show : what the page says of it.
    lines : (what, finding) for the terminal.
    methods : sentence of the methods paragraph, where the analysis was made.
    part : section of the page.
    needs_models : whether it looks into fold models (and is left out where none were kept).
    people : whether its figures come from people's data: they are marked as old when a person is removed.
    renew : the figures without a removed person, from the old ones and the results before and after.
    """

    name: str
    form: Any
    run: Callable[[Evaluated], T | None]
    show: Callable[[T, Facts], Shown] = _nothing
    lines: Callable[[T], Iterable[tuple[str, str]]] = field(default=lambda _: ())
    methods: str = ""
    part: Part = "inside"
    needs_models: bool = True
    people: bool = True
    renew: Callable[[T, Result, Result], T] | None = None

    def read(self, result: Result) -> T | None:
        """Return what a Result keeps of this analysis, None where there is nothing.

        Raises
        ------
        DataError
            If what it keeps has another form.
        """
        kept = result.analyses.get(self.name)
        if not kept:
            return None
        try:
            found: T = msgspec.convert(_filled(kept), self.form)
        except msgspec.ValidationError as error:
            raise DataError(
                f"analysis {self.name} of a result cannot be read ({error}); expected {self.form.__name__}. "
                "Evaluate again with this version of insula."
            ) from None
        return found

    def write(self, found: T) -> Any:
        """Plain values for JSON, without names that have no value."""
        return _filled(msgspec.to_builtins(found, enc_hook=_plain))


def _plain(value: Any) -> Any:
    """Turn numpy's numbers and arrays into plain ones."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise NotImplementedError


def _filled(kept: Any) -> Any:
    """Undo what JSON made of numbers that are not finite: None among numbers is NaN, None under a name is no entry."""
    if isinstance(kept, Mapping):
        return {name: _filled(value) for name, value in kept.items() if value is not None}
    if isinstance(kept, list | tuple):
        blank = None if any(isinstance(v, list | tuple) for v in kept) else math.nan
        return [blank if value is None else _filled(value) for value in kept]
    return kept


def known(values: Iterable[float]) -> list[float]:
    """Return the finite ones of some numbers."""
    return [v for v in values if math.isfinite(v)]
