"""Which sensors a model leans on: its score when one modality is taken away at prediction, nothing retrained."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from insula.evaluation.scores import paired
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Shown
from insula.explain.facts import Facts
from insula.explain.pairs import Difference, difference, interval_text
from insula.explain.replay import again, answer


@dataclass(frozen=True)
class Modalities:
    """Change of the score without each modality."""

    rows: tuple[Difference, ...] = ()
    note: str = ""


def _run(evaluated: Evaluated) -> Modalities | None:
    names = list(evaluated.windows.schema.modalities)
    if len(names) < 2:
        return None
    result, rows = evaluated.result, []
    for name in names:
        table = again(evaluated, partial(answer, absent=name))
        found = paired(table, result.of(evaluated.main), result.main_metric)
        rows.append(difference(f"without {name}", found))
    return Modalities(tuple(rows), "the modality is absent at prediction; the model was trained with it")


def _show(found: Modalities, facts: Facts) -> Shown:
    rows = [picture.change(r, "model") for r in found.rows if math.isfinite(r.difference)]
    if not rows:
        return Shown()
    caption = f"""Each sensor left out in turn. Far left of the line: the model leans on it. On the line: it could be
        left at home, at least beside the others.{picture.sentence(found.note)}"""
    made = picture.differences(
        facts, "modalities", "Which sensors matter?", caption, rows, ("needed", "better without it")
    )
    return Shown(pictures=(made,))


def _lines(found: Modalities) -> Iterator[tuple[str, str]]:
    for row in found.rows:
        yield row.name, interval_text(row)


MODALITIES = Analysis(
    "modalities",
    Modalities,
    _run,
    _show,
    _lines,
    methods="Each modality was withheld at prediction in turn, without retraining, and scores compared over people.",
)
