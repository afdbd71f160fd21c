"""A page of results: a section an experiment, with verdict, budget and what was really used of every row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

from insula.evaluation.results import Result
from insula.evaluation.scores import mean_over_people
from insula.evaluation.seeds import Draws, joined, over_draws
from insula.notebook import counted

HEADS = ("contrast", "of ceiling", "reset, scaling", "training", "seeds", "verdict")
HEAD = """# Results on recordings

Made by `make results` from the experiments in `experiments/results`; do not edit. Every figure is a mean over people
with Student's t interval (95 %), per window. The contrast is the person-swap contrast with its share of the ceiling
that perfect predictions would reach. The verdict is one of five sentences ([how](fakes.md), [what the audit
finds](audit.md)). Rows named elapsed see time and no signal; the design oracle also sees the trial's number, which the
cut of the table gives away.
"""


def page(results: Sequence[tuple[str, Sequence[Result]]]) -> str:
    """Write the page of named experiments, each with the results of its seeds, in the order given."""
    parts = [HEAD, _first(results)]
    for name, found in results:
        parts.append(_drawn(name, found) if _draws(found) else _section(name, joined(found)))
    return "\n".join(parts)


def _draws(results: Sequence[Result]) -> bool:
    """Whether the labels were drawn anew with each seed."""
    experiment: Any = results[0].config.get("experiment") or {}
    return len(results) > 1 and experiment.get("data", {}).get("draw") is not None


def _first(results: Sequence[tuple[str, Sequence[Result]]]) -> str:
    """One sentence a result: what its first row may be said to show."""
    lines = ["## In a sentence each", ""]
    for name, found in results:
        head = found[0].systems[0]
        if _draws(found):
            said = f": {_draw_text(over_draws(found)[0], found[0].chance)}"
        else:
            every = joined(found)
            score = mean_over_people(every.of(head.name), every.main_metric)
            text = _score(every.main_metric, score.mean, score.lo, score.hi)
            chance = f", chance {_n(every.chance)}" if every.classes else ""
            said = f" {text}{chance}: {every.verdict(head.name).text}"
        lines.append(f"- **{name}**, {found[0].target}: {head.title}{said}.")
    return "\n".join([*lines, ""])


def _draw_text(row: Draws, chance: float) -> str:
    return f"{_n(row.mean)} [{_n(row.lo)}, {_n(row.hi)}] over {row.draws} draws of labels, chance {_n(chance)}"


def _drawn(name: str, results: Sequence[Result]) -> str:
    """A section of an experiment whose labels were drawn at random with each seed."""
    first = results[0]
    rows = sorted(over_draws(results), key=lambda r: -r.mean)
    lines = [
        *_opening(name, first, [r.provenance.get("seed") for r in results]),
        "| system | mean over draws | lowest | highest | said to follow the person |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row.title, f"{_n(row.mean)} [{_n(row.lo)}, {_n(row.hi)}]", _n(row.least), _n(row.most)]
        lines.append("| " + " | ".join([*cells, f"{row.claims} of {row.draws}"]) + " |")
    return "\n".join([*lines, ""])


def _opening(name: str, result: Result, seeds: Sequence[Any]) -> list[str]:
    """Heading, command and what the figures of a section are."""
    table = result.of(result.systems[0].name)
    people = table["subject"].nunique()
    chance = f", chance {_n(result.chance)}" if result.classes else ""
    pooled = "all people pooled" if result.protocol.get("pooled") else "a model a person"
    leaky = " **LEAKY**" if result.leaky else ""
    windows = len(table.drop_duplicates(["subject", "session", "trial", "start_s"]))
    trials = len(table.drop_duplicates(["subject", "session", "trial"]))
    said = f"seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]}"
    who = counted(people, "person")
    return [
        f"## {name}: {result.target}, {who}, {str(result.protocol['name']).replace('_', ' ')}{leaky}",
        "",
        f"    insula results experiments/results --only {name}",
        "",
        f"{result.main_metric.replace('_', ' ').capitalize()}{chance}; {pooled}; {windows:,} windows in {trials:,} "
        f"trials; {said}.",
        "",
    ]


def _section(name: str, result: Result) -> str:
    table = result.table()
    seeds: Any = result.provenance.get("seeds") or [result.provenance.get("seed")]
    apart = _apart(result)
    heads = ["system", "score", *(["apart"] if apart else []), *HEADS]
    lines = [
        *_opening(name, result, seeds),
        *([f"Apart: {', '.join(sorted(apart))} alone, {len(apart)} of them.", ""] if apart else []),
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
    ]
    order = sorted(table.to_dict("records"), key=lambda r: -_real(r[result.main_metric]))
    lines += [_row(r, result, apart) for r in order]
    head = result.systems[0]
    lines += ["", f"{head.title}: {result.verdict(head.name).sentence}.", *_declared(result)]
    notes = list(result.protocol.get("notes", ()))[:6]
    lines += [f"Noted: {'; '.join(map(str, notes))}." if notes else "", ""]
    return "\n".join(lines)


def _row(row: Mapping[Any, Any], result: Result, apart: Set[str]) -> str:
    main = result.main_metric
    swap, ceiling = _real(row["contrast"]), _real(row["contrast_ceiling"])
    contrast = f"{swap:+.3f} [{row['contrast_lo']:+.3f}, {row['contrast_hi']:+.3f}]" if math.isfinite(swap) else "–"
    share = f"{100 * swap / ceiling:.0f} % of {_n(ceiling)}" if ceiling >= 0.05 else "–"
    title = f"**{row['title']}**" if row["name"] == result.systems[0].name else row["title"]
    used = f"{row['scope']}, {row['scaling']}"
    own = result.of(str(row["name"]))
    seeds = own["seed"].nunique() if "seed" in own else 1
    scores = [_score(main, _real(row[main]), _real(row[f"{main}_lo"]), _real(row[f"{main}_hi"]))]
    if apart:
        alone = mean_over_people(own[own["subject"].astype(str).isin(apart)], main)
        scores.append(_score(main, alone.mean, alone.lo, alone.hi))
    cells = [title, *scores, contrast, share, used, row["budget"] or "–", seeds, row["verdict"]]
    return "| " + " | ".join(str(c) for c in cells) + " |"


def _score(metric: str, mean: float, lo: float, hi: float) -> str:
    """A score with its interval; that of a share ends at 0 and 1."""
    if metric == "balanced_accuracy" and math.isfinite(lo + hi):
        lo, hi = max(0.0, lo), min(1.0, hi)
    return f"{_n(mean)} [{_n(lo)}, {_n(hi)}]"


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


def _apart(result: Result) -> set[str]:
    """People whom the experiment wants shown on their own too, of those who were tested."""
    experiment: Any = result.config.get("experiment") or {}
    wanted = set(experiment.get("data", {}).get("apart") or ())
    return wanted & set(result.predictions["subject"].astype(str))


def _real(value: Any) -> float:
    return math.nan if value is None else float(value)


def _n(value: Any) -> str:
    found = _real(value)
    return (
        "–"
        if not math.isfinite(found)
        else f"{found:.3f}".replace("-0.", "-.").removeprefix("0")
        if abs(found) < 1
        else f"{found:.3f}"
    )
