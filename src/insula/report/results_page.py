"""A page of results: a section an experiment, with verdict, budget and what was really used of every row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from insula.evaluation.results import Result
from insula.evaluation.scores import mean_over_people

HEAD = """# Results on recordings

Made by `make results` from the experiments in `experiments/results`; do not edit. Every figure is a mean over people
with Student's t interval (95 %), per window. The contrast is the person-swap contrast with its share of the ceiling
that perfect predictions would reach. The verdict is one of five sentences ([how](fakes.md), [what the audit
finds](audit.md)). Rows named elapsed see time and no signal; the design oracle also sees the trial's number, which the
cut of the table gives away.
"""


def page(results: Sequence[tuple[str, Result]]) -> str:
    """Write the page of named results, in the order given."""
    return "\n".join([HEAD, _first(results), *(_section(name, result) for name, result in results)])


def _first(results: Sequence[tuple[str, Result]]) -> str:
    """One sentence a result: what its first row may be said to show."""
    lines = ["## In a sentence each", ""]
    for name, result in results:
        head = result.systems[0]
        lines.append(f"- **{name}**, {result.target}: {head.title}: {result.verdict(head.name).text}.")
    return "\n".join([*lines, ""])


def _section(name: str, result: Result) -> str:
    table = result.table()
    people = result.predictions["subject"].nunique()
    chance = f", chance {_n(result.chance)}" if result.classes else ""
    pooled = "all people pooled" if result.protocol.get("pooled") else "a model a person"
    leaky = " **LEAKY**" if result.leaky else ""
    seed = result.provenance.get("seed")
    command = f"    insula evaluate --experiment experiments/results/{name}.toml"
    lines = [
        f"## {name}: {result.target}, {people} people, {str(result.protocol['name']).replace('_', ' ')}{leaky}",
        "",
        command,
        "",
        f"{result.main_metric.replace('_', ' ').capitalize()}{chance}; {pooled}; "
        f"{int(table['windows'].iloc[0]):,} windows in {int(table['trials'].iloc[0]):,} trials; seed {seed}.",
        "",
        "| system | score | contrast | of ceiling | reset, scaling | training | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    order = sorted(table.to_dict("records"), key=lambda r: -_real(r[result.main_metric]))
    lines += [_row(r, result) for r in order]
    head = result.systems[0]
    lines += ["", f"{head.title}: {result.verdict(head.name).sentence}.", *_declared(result), *_apart(result)]
    notes = list(result.protocol.get("notes", ()))[:6]
    lines += [f"Noted: {'; '.join(map(str, notes))}." if notes else "", ""]
    return "\n".join(lines)


def _row(row: Mapping[Any, Any], result: Result) -> str:
    main = result.main_metric
    score = f"{_n(row[main])} [{_n(row[f'{main}_lo'])}, {_n(row[f'{main}_hi'])}]"
    swap, ceiling = _real(row["contrast"]), _real(row["contrast_ceiling"])
    contrast = f"{swap:+.3f} [{row['contrast_lo']:+.3f}, {row['contrast_hi']:+.3f}]" if math.isfinite(swap) else "–"
    share = f"{100 * swap / ceiling:.0f} % of {_n(ceiling)}" if ceiling >= 0.05 else "–"
    title = f"**{row['title']}**" if row["name"] == result.systems[0].name else row["title"]
    cells = [title, score, contrast, share, f"{row['scope']}, {row['scaling']}", row["budget"] or "–", row["verdict"]]
    return "| " + " | ".join(str(c) for c in cells) + " |"


def _declared(result: Result) -> list[str]:
    """The one comparison named before, and the others as exploratory ones."""
    declared = result.declared
    if declared is None:
        return []
    found = result.compare(*declared)
    other = result.system(declared[1])
    sign = "above" if found.lo > 0 else "below" if found.hi < 0 else "not told apart from"
    note = f" ({other.notes[0]})" if other.notes else ""
    return [
        "",
        f"Declared before: {result.system(declared[0]).title} is {sign} {other.title}{note}, {found.mean:+.3f} "
        f"[{found.lo:+.3f}, {found.hi:+.3f}], p = {found.p:.2g} over {found.people} people. Every other comparison "
        "in the table is exploratory.",
    ]


def _apart(result: Result) -> list[str]:
    """Scores of the people whom the experiment wants shown on their own."""
    experiment: Any = result.config.get("experiment") or {}
    wanted = set(experiment.get("data", {}).get("apart") or ())
    if not wanted:
        return []
    parts = []
    for system in result.systems:
        if system.kind == "ablation":
            continue
        rows: pd.DataFrame = result.of(system.name)
        rows = rows[rows["subject"].astype(str).isin(wanted)]
        if len(rows):
            parts.append(f"{system.title} {mean_over_people(rows, result.main_metric).text}")
    return ["", f"Of {', '.join(sorted(wanted))} alone: {'; '.join(parts)}."] if parts else []


def _real(value: Any) -> float:
    return math.nan if value is None else float(value)


def _n(value: Any) -> str:
    found = _real(value)
    return "–" if not math.isfinite(found) else f"{found:.3f}".replace("0.", ".", 1)
