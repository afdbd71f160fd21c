"""A result for a paper: the table of systems as LaTeX, CSV or Markdown, and every prediction as rows."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from typing import Literal

import pandas as pd

from insula.evaluation.results import Result
from insula.evaluation.scores import to_trials
from insula.explain.analysis import Cell, Table, TableRow
from insula.explain.facts import OTHER_SCORES, Facts, Row, gather
from insula.explain.wording import difference_range, difference_text, minus, range_text, score_text
from insula.learning.metrics import METRICS
from insula.report.sources import public, study

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "−": "$-$", "–": "--", "\u00a0": "~", "×": r"$\times$", "µ": r"\textmu{}", "≥": r"$\ge$", "≤": r"$\le$",
}  # fmt: skip


def systems(results: Sequence[Result], names: Sequence[str] = ()) -> Table:
    """Put the systems of one or more results into one table; with several, each row says which run it is of."""
    every = [gather(public(r)) for r in results]
    shown = [k for k in OTHER_SCORES if any(math.isfinite(row.others[k]) for f in every for row in f.rows)]
    swaps = any(math.isfinite(row.contrast) for f in every for row in f.rows)
    many, trained = len(every) > 1, any(row.budget for f in every for row in f.rows)
    scores = list(dict.fromkeys(f.score_name for f in every))
    columns = (
        "system", *(("run",) if many else ()), " / ".join(scores), "95 % interval", "per trial",
        *(METRICS[k].column for k in shown), *(("contrast", "contrast 95 % interval") if swaps else ()),
        "marks", "people", "parameters", *(("training",) if trained else ()),
    )  # fmt: skip
    rows = [
        TableRow(row.title, (*((Cell(name),) if many else ()), *_cells(facts, row, shown, swaps, trained)), row.ink)
        for name, facts in zip(names or [f"run {i + 1}" for i in range(len(every))], every, strict=True)
        for row in facts.rows
    ]
    return Table("systems", _title(every), columns, tuple(rows))


def _title(every: Sequence[Facts]) -> str:
    said = dict.fromkeys(
        f"{f.result.target} in {study(f).title or 'one study'}, {f.result.protocol['name']}, {len(f.people)} people"
        for f in every
    )
    return "; ".join(said)


def _cells(facts: Facts, row: Row, shown: Sequence[str], swaps: bool, trained: bool) -> tuple[Cell, ...]:
    marks = [name for name, there in (("leaky", row.leaky), ("transductive", row.transductive)) if there]
    marks += ["session scope"] if row.scope == "session" and row.kind != "baseline" else []
    others = [Cell(_number(row.others[k]), row.others[k]) for k in shown]
    contrast = (
        Cell(difference_text(facts, row.contrast), row.contrast),
        Cell(difference_range(facts, row.contrast_lo, row.contrast_hi) if math.isfinite(row.contrast_lo) else "–"),
    )
    return (
        Cell(score_text(facts, row.score), row.score),
        Cell(range_text(facts, row.lo, row.hi)),
        Cell(score_text(facts, row.trial), row.trial),
        *others,
        *(contrast if swaps else ()),
        Cell(", ".join(marks)),
        Cell(str(row.people), row.people),
        Cell(f"{row.parameters:,}" if row.parameters else "–", row.parameters),
        *((Cell(row.budget or "–"),) if trained else ()),
    )


def _number(value: float) -> str:
    return minus(f"{value:.3f}") if math.isfinite(value) else "–"


def systems_csv(results: Sequence[Result], names: Sequence[str] = ()) -> str:
    """Write all that is known of the systems of one or more runs as numbers, a row a system, for R, SPSS and pandas."""
    frames = [
        public(r).table().drop(columns="title").assign(run=name, system=[s.title for s in r.systems])
        for r, name in zip(results, names or [f"run {i + 1}" for i in range(len(results))], strict=True)
    ]
    every = pd.concat(frames, ignore_index=True)
    first = ["system", "run"] if len(results) > 1 else ["system"]
    columns = [*first, *(c for c in every.columns if c not in ("system", "run"))]
    return csv_text([columns, *every[columns].itertuples(index=False, name=None)])


def as_markdown(table: Table) -> str:
    """Write a table for a README or a notebook."""

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(re.sub(r"\s+", " ", c).replace("|", r"\|") for c in cells) + " |"

    rule = line(["---", *("---:" for _ in table.columns[1:])])
    body = [line((r.name, *(c.text for c in r.cells))) for r in table.rows]
    return "\n".join([line(table.columns), rule, *body]) + "\n"


def as_latex(table: Table) -> str:
    """Write a table for LaTeX with the package booktabs."""

    def line(cells: Iterable[str]) -> str:
        return " & ".join("".join(_LATEX.get(c, c) for c in text) for text in cells) + r" \\"

    name = re.sub(r"[^a-z0-9]+", "-", table.name.lower())
    caption = "".join(_LATEX.get(c, c) for c in table.title)
    return "\n".join(
        [
            r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", rf"\label{{tab:{name}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}", r"\toprule", line(table.columns), r"\midrule",
            *(line((r.name, *(c.text for c in r.cells))) for r in table.rows),
            r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
        ]
    )  # fmt: skip


def rows(result: Result, per: Literal["window", "trial"]) -> pd.DataFrame:
    """Every prediction of every system, a row a window or a trial, with the title and kind of its system."""
    frame = result.predictions if per == "window" else to_trials(result.predictions)
    known = {s.name: s for s in result.systems}
    out = frame.copy()
    out.insert(1, "title", [known[s].title for s in frame["system"]])
    out.insert(2, "kind", [known[s].kind for s in frame["system"]])
    return out.rename(columns=lambda name: re.sub(r"\s+", "_", str(name)))


def rows_csv(result: Result, per: Literal["window", "trial"]) -> str:
    """Write `rows` as CSV that R, SPSS and pandas read; cells that a spreadsheet would run are disarmed."""
    frame = rows(result, per)
    return csv_text([list(frame.columns), *frame.itertuples(index=False, name=None)])


def csv_text(lines: Iterable[Sequence[object]]) -> str:
    """Write lines as CSV; missing numbers are empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([disarmed(cell) for cell in line] for line in lines)
    return out.getvalue()


def disarmed(cell: object) -> object:
    """Put an apostrophe before a text that a spreadsheet would run as a formula; numbers stay numbers."""
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else ""
    if cell is None or cell is pd.NA:
        return ""
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return cell
