"""Tables on the terminal: whole where they fit, a block a row where they do not; no name is cut."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table

from insula.notebook import counted

if TYPE_CHECKING:
    from insula.evaluation.results import Result

CROWDED = 2.2
"""A table whose whole cells would need so many times the width there is becomes blocks."""


LIMITS = {"balanced_accuracy": (0.0, 1.0), "contrast": (-1.0, 1.0), "ccc": (-1.0, 1.0)}
"""Where scores end, and so do the intervals that are shown of them."""


def fitted(table: Table, width: int) -> RenderableType:
    """Return the table where ``width`` columns hold its longest words, else a block of lines for each of its rows."""
    columns = [[str(column.header), *map(str, column.cells)] for column in table.columns]
    frame = 3 * len(columns) + 1
    words = frame + sum(max(len(word) for cell in column for word in cell.split() or [""]) for column in columns)
    whole = frame + sum(max(map(len, column)) for column in columns)
    return table if words <= width and whole <= CROWDED * width else _blocks(str(table.title or ""), columns)


def _blocks(title: str, columns: list[list[str]]) -> RenderableType:
    (_, *heads), *others = columns
    parts: list[RenderableType] = [title] if title else []
    broadest = max(len(names[0]) for names in others)
    for i, head in enumerate(heads, start=1):
        block = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
        block.add_column(no_wrap=True, width=broadest + 2)
        block.add_column(overflow="fold")
        for name, *cells in others:
            if cells[i - 1]:
                block.add_row(f"  {name}", cells[i - 1])
        top = Table(show_header=False, box=None, pad_edge=False)
        top.add_column(style="bold", overflow="fold")
        top.add_row(head)
        parts += [top, block]
    return Group(*parts)


WIDE = 120
"""Columns of a terminal from which on a table of results shows everything."""


def result_table(result: Result, width: int = 160) -> Table:
    """One row a system: score with interval, by trial, contrast, marks, verdict; the main ones where it is narrow."""
    frame = result.table()
    if width < WIDE:
        return _narrow(result, frame)
    main = result.main_metric
    table = Table(title=title(result), title_justify="left")
    columns = ["system", f"{main.replace('_', ' ')} [95 %]", "per trial", "AUC" if result.classes else "RMSE"]
    swaps = result.contrasts
    if any(swaps.values()):
        columns += ["person-swap contrast [95 %]", "of ceiling"]
    trained = any(s.budget for s in result.systems)
    columns += ["reset, scaling", *(["training"] if trained else []), "marks", "verdict"]
    left = ("reset, scaling", "training", "marks", "verdict")
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i == 0 or name in left else "right")
    for _, row in frame.iterrows():
        cells = [row["title"], _interval(row, main), _number(row[f"trial_{main}"])]
        cells.append(_number(row["auc" if result.classes else "rmse"]))
        if any(swaps.values()):
            cells += [_interval(row, "contrast"), _number(row["contrast_ceiling"])]
        cells += [f"{row['scope']}, {row['scaling']}", *([row["budget"]] if trained else [])]
        table.add_row(*cells, row["marks"], row["verdict"])
    return table


def _narrow(result: Result, frame: Any) -> Table:
    """System, score and verdict, for 80 columns; the report has the rest."""
    main = result.main_metric
    table = Table(title=title(result), title_justify="left")
    table.add_column("system", overflow="fold")
    table.add_column(f"{main.replace('_', ' ')} [95 %]", justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for _, row in frame.iterrows():
        verdict = f"{row['verdict']} ({row['marks']})" if row["marks"] else str(row["verdict"])
        table.add_row(str(row["title"]), _interval(row, main), verdict)
    return table


def verdict_lines(result: Result) -> list[str]:
    """What the models of a result may be said to show, each in a sentence with its numbers."""
    wanted = [s for s in result.systems if s.kind == "model"] or list(result.systems[:1])
    return [f"{s.title}: {result.verdict(s.name).sentence.replace('`', '')}." for s in wanted]


def calibration_lines(result: Result) -> list[str]:
    """How many labels a new person needs, where the protocol asked."""
    from insula.explain.personal import PERSONAL, controls, lead

    curve = PERSONAL.read(result)
    return [] if curve is None else [*lead(curve), *controls(curve)]


def title(result: Result) -> str:
    """Say in a line what was evaluated."""
    people = result.predictions["subject"].nunique()
    leaky = " — LEAKY: windows of one trial on both sides" if result.leaky else ""
    chance = f", chance {result.chance:.3f}" if result.classes else ""
    return f"{result.target}: {result.protocol['name']}, {counted(people, 'person')}, mean over people{chance}{leaky}"


def _interval(row: Any, name: str) -> str:
    if not math.isfinite(row[name]):
        return "–"
    low, high = LIMITS.get(name, (-math.inf, math.inf))
    inside = (_number(min(max(row[f"{name}_{end}"], low), high)) for end in ("lo", "hi"))
    return f"{_number(row[name])} [{', '.join(inside)}]"


def _number(value: float) -> str:
    return "–" if not math.isfinite(value) else f"{value:.3f}"
