"""What people's traits add: the model beside itself without them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from insula.evaluation.rows import NO_TRAITS
from insula.evaluation.scores import paired
from insula.explain import wording
from insula.explain.analysis import Analysis, Evaluated, Shown
from insula.explain.facts import Facts
from insula.explain.pairs import Difference, difference, interval_text
from insula.explain.replay import again, answer
from insula.learning.gathering import TRAITS as HIDDEN


@dataclass(frozen=True)
class Traits:
    """Gain by traits over people (their names in ``used``); ``trained`` says whether the other one was trained so."""

    used: tuple[str, ...]
    gain: Difference
    trained: bool = False


def _run(evaluated: Evaluated) -> Traits | None:
    used, result = evaluated.windows.schema.traits, evaluated.result
    if not used:
        return None
    without = f"{result.systems[0].name}{NO_TRAITS}"
    trained = any(s.name == without for s in result.systems)
    main = result.systems[0].name if trained else evaluated.main
    table = result.of(without) if trained else again(evaluated, partial(answer, absent=HIDDEN))
    found = paired(result.of(main), table, result.main_metric)
    return Traits(used, difference("traits", found), trained)


def _sentence(found: Traits, gain: str, span: str) -> str:
    how = "trained without them" if found.trained else "shown everybody's mean in their place, not trained again"
    if not math.isfinite(found.gain.lo):
        said = f"add {gain}; there are too few people for an interval"
    elif found.gain.lo > 0:
        said = f"add {gain} ({span})"
    elif found.gain.hi < 0:
        said = f"make it worse: {gain} ({span})"
    else:
        said = f"were not shown to add anything: {gain} ({span})"
    return f"People\u2019s traits ({', '.join(found.used)}) {said}, against the same network {how}."


def _show(found: Traits, facts: Facts) -> Shown:
    gain = wording.difference_text(facts, found.gain.difference)
    said = _sentence(found, gain, wording.difference_range(facts, found.gain.lo, found.gain.hi))
    return Shown((said, *filter(None, ("" if found.trained else wording.looked_into(facts),))))


def _lines(found: Traits) -> Iterator[tuple[str, str]]:
    yield "traits add", interval_text(found.gain)


TRAITS: Analysis[Traits] = Analysis(
    "traits",
    Traits,
    _run,
    _show,
    _lines,
    methods="What traits add was measured person by person against the same network without them.",
    part="data",
)
