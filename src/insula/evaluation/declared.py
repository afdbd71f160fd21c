"""The comparison declared before figures are seen: the first model against the best classical row on inner people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from insula.errors import ProtocolError
from insula.evaluation.rows import RowPlan
from insula.evaluation.scores import mean_over_people
from insula.evaluation.system import System
from insula.learning.metrics import metrics_for
from insula.protocols.own_median import for_fold
from insula.protocols.protocols import Split, inner_split
from insula.windows.table import Windows

BEST = "best_classical"
_TITLE = "Best classical row, chosen on inner people"


def candidates(plans: Sequence[RowPlan]) -> list[RowPlan]:
    """Classical rows that a model is fairly compared with: nothing of the session, nothing of the future."""
    fair = [p for p in plans[1:] if p.kind == "classical" and p.scope != "session"]
    return [p for p in fair if p.normaliser != "whole_session"]


def inner_parts(windows: Windows, parts: Sequence[Split], seed: int) -> list[Split | None]:
    """Split the training windows of each fold like the outer split does; None where that is impossible."""
    found: list[Split | None] = []
    for part in parts:
        table = for_fold(windows, part).table
        try:
            train, test = inner_split(table, part.train, part.group, seed + 7, 0.3)
        except ProtocolError:
            found.append(None)
            continue
        found.append(replace(part, train=train, test=test))
    return found


def choose_rows(
    plans: Sequence[RowPlan],
    parts: Sequence[Split | None],
    predict: Callable[[RowPlan, Split], pd.DataFrame],
    continuous: bool,
) -> list[str]:
    """Name the candidate with the best mean over inner people for each fold; ties and impossible splits: the first."""
    metric = metrics_for(continuous)[0]
    chosen = []
    for part in parts:
        if part is None:
            chosen.append(plans[0].name)
            continue
        scores = [mean_over_people(predict(plan, part), metric).mean for plan in plans]
        chosen.append(plans[int(np.argmax(np.nan_to_num(scores, nan=-1.0)))].name)
    return chosen


def composite(
    chosen: Sequence[str], parts: Sequence[Split], predictions: pd.DataFrame, systems: Sequence[System]
) -> tuple[System, pd.DataFrame]:
    """The row that answers in each fold what the row chosen there answers."""
    tables = [
        predictions[(predictions["system"] == name) & (predictions["fold"] == part.fold)]
        for name, part in zip(chosen, parts, strict=True)
    ]
    used = [s for s in systems if s.name in chosen]
    counts: dict[str, Any] = {s.title: chosen.count(s.name) for s in used}
    note = "chosen: " + ", ".join(f"{title} in {n} of {len(chosen)} folds" for title, n in counts.items())
    scope = "trial" if any(s.scope == "trial" for s in used) else used[0].scope
    row = replace(used[0], name=BEST, title=_TITLE, scope=scope, seconds=sum(s.seconds for s in used), notes=(note,))
    return row, pd.concat(tables, ignore_index=True).assign(system=BEST)
