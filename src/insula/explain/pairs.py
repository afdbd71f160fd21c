"""The first system of a result against every other one, person by person."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from insula.evaluation.results import Result
from insula.evaluation.scores import Paired
from insula.explain.analysis import Analysis, Evaluated


@dataclass(frozen=True)
class Pair:
    """A paired comparison over ``n`` people: score of ``a`` minus score of ``b``."""

    a: str
    b: str
    difference: float = math.nan
    lo: float = math.nan
    hi: float = math.nan
    p: float = math.nan
    n: int = 0

    @property
    def people(self) -> int:
        """Number of people compared."""
        return self.n

    @property
    def turned(self) -> Pair:
        """The same comparison the other way round."""
        return Pair(self.b, self.a, -self.difference, -self.hi, -self.lo, self.p, self.n)


@dataclass(frozen=True)
class Difference:
    """A difference of scores over people under a name, with its interval."""

    name: str
    difference: float = math.nan
    lo: float = math.nan
    hi: float = math.nan


def difference(name: str, found: Paired) -> Difference:
    """Name a paired difference."""
    return Difference(name, found.mean, found.lo, found.hi)


def pairs(result: Result) -> tuple[Pair, ...]:
    """Compare the first system with every other one over people."""
    main = result.systems[0].name
    return tuple(pair(result, main, other.name) for other in result.systems[1:])


def pair(result: Result, a: str, b: str) -> Pair:
    """Compare two systems over people."""
    found = result.compare(a, b)
    return Pair(a, b, found.mean, found.lo, found.hi, found.p, found.people)


def _run(evaluated: Evaluated) -> tuple[Pair, ...]:
    return pairs(evaluated.result)


def _lines(found: tuple[Pair, ...]) -> Iterator[tuple[str, str]]:
    for one in found:
        p = f"{one.p:.3f}" if math.isfinite(one.p) else "–"
        yield f"{one.a} minus {one.b}", f"{interval_text(one)}, p = {p} over {one.n} people"


def interval_text(one: Pair | Difference) -> str:
    """Write a difference and its interval for a terminal."""
    return f"{one.difference:+.3f} [{one.lo:+.3f}, {one.hi:+.3f}]"


PAIRS = Analysis(
    "pairs",
    tuple[Pair, ...],
    _run,
    lines=_lines,
    needs_models=False,
    renew=lambda _old, _before, after: pairs(after),
)
