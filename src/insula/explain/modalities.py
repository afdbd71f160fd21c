"""Which sensors a model leans on: its score with every part of them taken away at prediction, nothing retrained."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations

from insula.evaluation.scores import mean_over_people, paired
from insula.explain import picture, wording
from insula.explain.analysis import Analysis, Cell, Evaluated, Shown, Table, TableRow
from insula.explain.facts import Facts
from insula.explain.pairs import Difference, difference, interval_text
from insula.explain.replay import again, answer

MOST = 4
"""With more modalities than this not every subset is answered: those without one, and each alone."""


@dataclass(frozen=True)
class Subset:
    """Score with these sensors alone, with its interval, and its difference from that with all, over people."""

    sensors: tuple[str, ...]
    score: float = math.nan
    lo: float = math.nan
    hi: float = math.nan
    difference: float = math.nan
    difference_lo: float = math.nan
    difference_hi: float = math.nan


@dataclass(frozen=True)
class Modalities:
    """Change of the score without each modality; the score with every subset of them."""

    rows: tuple[Difference, ...] = ()
    note: str = ""
    subsets: tuple[Subset, ...] = ()


def _run(evaluated: Evaluated) -> Modalities | None:
    names = list(evaluated.windows.schema.modalities)
    if len(names) < 2:
        return None
    result, metric = evaluated.result, evaluated.result.main_metric
    whole = result.of(evaluated.main)
    rows, subsets = [], []
    for there in parts(names):
        absent = tuple(n for n in names if n not in there)
        table = again(evaluated, partial(answer, absent=absent)) if absent else whole
        found, score = paired(table, whole, metric), mean_over_people(table, metric)
        if len(absent) == 1:
            rows.append(difference(f"without {absent[0]}", found))
        subsets.append(Subset(there, score.mean, score.lo, score.hi, found.mean, found.lo, found.hi))
    rows.sort(key=lambda row: names.index(row.name.removeprefix("without ")))
    return Modalities(
        tuple(rows), "the modality is absent at prediction; the model was trained with it", tuple(subsets)
    )


def parts(names: list[str]) -> list[tuple[str, ...]]:
    """Subsets of sensors, the whole first: all of them where there are few, else without one and each alone."""
    sizes = range(len(names), 0, -1) if len(names) <= MOST else (len(names), len(names) - 1, 1)
    return [there for size in sizes for there in combinations(names, size)]


def _show(found: Modalities, facts: Facts) -> Shown:
    rows = [picture.change(r, "model") for r in found.rows if math.isfinite(r.difference)]
    if not rows:
        return Shown()
    caption = f"""Each sensor left out in turn. Far left of the line: the model leans on it. On the line: it could be
        left at home, at least beside the others.{picture.sentence(found.note)}"""
    made = picture.differences(
        facts, "modalities", "Which sensors matter?", caption, rows, ("needed", "better without it")
    )
    return Shown(tables=(_table(found, facts),) if found.subsets else (), pictures=(made,))


def _table(found: Modalities, facts: Facts) -> Table:
    rows = []
    for i, one in enumerate(found.subsets):
        span = wording.range_text(facts, max(one.lo, -1.0 if facts.continuous else 0.0), min(one.hi, 1.0))
        change = wording.difference_range(facts, one.difference_lo, one.difference_hi)
        cells = (
            Cell(wording.score_text(facts, one.score), one.score, span),
            Cell("–") if i == 0 else Cell(wording.difference_text(facts, one.difference), one.difference, change),
        )
        rows.append(TableRow("all sensors" if i == 0 else ", ".join(one.sensors), cells, strong=i == 0))
    legend = "One model, trained with sensors dropped at random; nothing was trained again for a row."
    return Table("subsets", "Score with only some sensors", ("sensors", "score", "change"), tuple(rows), (legend,))


def _lines(found: Modalities) -> Iterator[tuple[str, str]]:
    for row in found.rows:
        yield row.name, interval_text(row)
    for one in found.subsets[1:]:
        if len(one.sensors) < len(found.subsets[0].sensors) - 1:
            yield f"with {', '.join(one.sensors)} only", f"{one.score:.3f} [{one.lo:.3f}, {one.hi:.3f}]"


MODALITIES = Analysis(
    "modalities",
    Modalities,
    _run,
    _show,
    _lines,
    methods="Each modality was withheld at prediction in turn, without retraining, and scores compared over people.",
)
