"""The ledger as one HTML page that works offline, and as Markdown; both say the same."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from insula.evaluation.scores import Paired
from insula.evaluation.writing import jsonable
from insula.explain.cost import joules_text
from insula.grid.cell import NO_DATA
from insula.grid.claims import Published
from insula.grid.ledger import Comparison, Entry, Ledger, Row, Section, Span
from insula.grid.opening import opening
from insula.grid.statistics import Pair
from insula.grid.texts import SPACE, milliseconds_text, p_text, points_range, points_text, range_text, score_text
from insula.notebook import counted
from insula.plots import NARROW_PX, WIDE_PX, css_variables
from insula.plots.ranks import ranks
from insula.report.page import date
from insula.report.sources import linked

"""Keeps a number and its sign on one line."""
BUILT_IN = "the drop is built in"
LEAD = (
    "One row a system. A leaky protocol puts windows of one trial on both sides, as much published work does; a clean "
    "one holds whole trials, sessions or people out. The drop is what the leak is worth. Each row says what it may be "
    "said to show, in one of five sentences, and how long a network was trained: a drop is that of its budget. The "
    "clock sees elapsed time and time in the trial, no signal. Differences are taken person by person, in points."
)
_GROUPS = (
    ("real", "Real recordings", ""),
    (
        "random",
        "Real EEG with labels drawn at random",
        "There is nothing to recognise here: what leaky scores have above chance is the trials' own fingerprint. Clean "
        "scores scatter widely around chance, since this is one draw of labels over a few trials in a row: neighbours "
        "that happen to share a label let even the clock score, and no interval shows that.",
    ),
    (
        "simulated",
        f"Simulated people: {BUILT_IN}",
        "The simulator gives every trial a fingerprint that has nothing to do with its label, so that leaky protocols "
        "score too high by design. These rows show that the measuring works; they say nothing about real people.",
    ),
)


@dataclass(frozen=True)
class TableCell:
    """What stands in a table: text, a second small line, the value it sorts by, whether it is a warning."""

    text: str
    small: str = ""
    value: float | None = None
    bad: bool = False
    numeric: bool = True


@dataclass(frozen=True)
class Line:
    """One row of a section's table, its name first."""

    name: str
    kind: str
    small: tuple[str, ...]
    cells: tuple[TableCell, ...]


def render(ledger: Ledger) -> str:
    """Return the ledger as one HTML page that asks nothing of the network."""
    environment = Environment(
        loader=PackageLoader("insula.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = Markup
    environment.filters["linked"] = linked
    files = resources.files("insula.report") / "templates"
    return environment.get_template("ledger.html.j2").render(
        ledger=ledger,
        lead=LEAD,
        opening=opening(ledger),
        groups=[(name, title, text, found) for name, title, text in _GROUPS if (found := group(ledger, name))],
        heads=heads,
        lines=lines,
        facts=facts,
        bare=_bare,
        pictures=_pictures,
        nice=nice,
        until=date(ledger.provenance.get("until", "")),
        pair=pair_text,
        claim=lambda one: claim_line(ledger, one),
        variables=Markup(css_variables()),
        style=Markup((files / "report.css").read_text(encoding="utf-8")),
        script=Markup((files / "report.js").read_text(encoding="utf-8")),
    )


def markdown(ledger: Ledger) -> str:
    """Return the ledger as Markdown."""
    out = [f"# {ledger.title}", "", opening(ledger)[0], "", LEAD, ""]
    if ledger.provenance.get("until"):
        out += [f"Last cell finished {date(ledger.provenance['until'])}.", ""]
    for name, title, text in _GROUPS:
        found = group(ledger, name)
        if not found:
            continue
        out += [f"## {title}", "", *([text, ""] if text else [])]
        for section in found:
            out += [f"### {section.label}: {section.target}", "", facts(section), ""]
            if _bare(section):
                continue
            out += _table([h for h, _ in heads(section)], [_plain(line) for line in lines(section)])
            for comparison in section.comparisons:
                out += _comparison(section, comparison)
            out += [f"- {note}" for note in section.notes[:8]] + [""]
    if ledger.not_run:
        out += ["## Published figures without ours beside them", ""]
        head = ["system", "data", "target", "published", "protocol", "source", "ours"]
        out += _table(head, [claim_line(ledger, c) for c in ledger.not_run])
    return "\n".join(out).rstrip() + "\n"


def write(ledger: Ledger, page: Path | None, text: Path | None) -> list[Path]:
    """Write the page and the Markdown, each whole or not at all; return what was written."""
    import os
    import uuid

    made = []
    for path, content in ((page, render), (text, markdown)):
        if path is None:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        work = path.with_name(f".{path.name}-{uuid.uuid4().hex}.partial")
        try:
            work.write_text(content(ledger), encoding="utf-8", newline="\n")
            os.replace(work, path)
        finally:
            work.unlink(missing_ok=True)
        made.append(path)
    return made


def numbers(ledger: Ledger) -> str:
    """Return every number of the ledger as JSON text."""
    return json.dumps(jsonable(ledger), indent=1, ensure_ascii=False, allow_nan=False)


def group(ledger: Ledger, name: str) -> list[Section]:
    """Sections that belong under one heading: simulated ones never stand among real ones."""
    return [s for s in ledger.sections if _group_of(s) == name]


def _group_of(section: Section) -> str:
    return "simulated" if section.simulated else "random" if section.random_labels else "real"


def nice(protocol: str) -> str:
    """A protocol's name in words."""
    return protocol.replace("_", " ")


def facts(section: Section) -> str:
    """Say in a few sentences what a section's scores are and what they are measured against."""
    if section.empty:
        return f"Nothing has run yet of {', '.join(dict.fromkeys(row.title for row in section.rows))}."
    people = counted(section.people, "person")
    chance = f", chance {score_text(section.metric, section.chance)}" if section.metric == "balanced_accuracy" else ""
    seeds = f", {section.seeds} seeds together" if section.seeds > 1 else ""
    entries = [e for r in section.rows for e in r.entries.values() if math.isfinite(e.mean)]
    few = " Intervals are over trials, there being one person." if any(e.unit != "people" for e in entries) else ""
    null = "" if _has_null(section) else " Null test: not run."
    return (
        f"{section.metric.replace('_', ' ').capitalize()}, mean over {people} with 95{SPACE}% interval"
        f"{chance}; {section.windows:,} windows{seeds}.{few}{_references(section)}{null}"
    )


def _references(section: Section) -> str:
    """Name what the rows are compared with under the first clean protocol."""
    main = next((e for p in section.clean[:1] for r in section.rows if math.isfinite((e := r.entries[p]).mean)), None)
    if main is None:
        return ""
    parts = []
    for what, found in (("baseline", main.baseline), ("classical row", main.classical)):
        if found is not None:
            parts.append(f"best {what} {score_text(section.metric, found[1])} ({found[0]})")
    if math.isfinite(main.clock):
        parts.append(f"clock {score_text(section.metric, main.clock)}")
    return f" To beat under {nice(main.protocol)}: {', '.join(parts)}." if parts else ""


def heads(section: Section) -> list[tuple[str, bool]]:
    """Column names of a section's table, and whether their cells are numbers."""
    columns = [("system", False)]
    if _has_claims(section):
        columns.append(("published", True))
    columns += [(f"{nice(p)} (leaky)", True) for p in section.leaky]
    if section.leaky and section.clean:
        columns.append((f"drop to {nice(section.clean[0])}", True))
    columns += [(nice(p), True) for p in section.clean]
    columns += [("over best baseline", True), ("over best classical row", True), ("over the clock", True)]
    columns += [("contrast", True)] + ([("null test", True)] if _has_null(section) else [])
    columns += [("training", False)] if _has_budget(section) else []
    return [*columns, ("parameters", True), ("energy a decision", True), ("latency", True)]


def lines(section: Section) -> list[Line]:
    """Rows of a section's table, cells in the order of `heads`."""
    return [_line(section, row) for row in section.rows]


def _line(section: Section, row: Row) -> Line:
    cells = []
    if _has_claims(section):
        cells.append(_published(row.claims))
    cells += [_entry(section, row.entries[p]) for p in section.leaky]
    if section.leaky and section.clean:
        cells.append(_difference(section, row.drop))
    cells += [_entry(section, row.entries[p]) for p in section.clean]
    main = row.entries[section.clean[0]] if section.clean else None
    for what in ("baseline", "classical", "clock"):
        cells.append(_difference(section, None if main is None else main.over.get(what)))
    cells.append(_difference(section, main.contrast if main is not None else None))
    if _has_null(section):
        p = main.null_p if main is not None else math.nan
        cells.append(TableCell(f"p = {p:.2g}", value=p) if math.isfinite(p) else TableCell("not run"))
    if _has_budget(section):
        cells.append(_budget(section, row))
    cells.append(TableCell("–" if row.parameters is None else f"{row.parameters:,}", value=row.parameters))
    cells.append(TableCell("–" if row.joules is None else joules_text(row.joules), value=row.joules))
    cells.append(TableCell(milliseconds_text(row.p50_ms), value=row.p50_ms))
    small = (*_said(section, row), *filter(None, [row.marks]))
    return Line(row.title, row.kind if row.system != "clock" else "clock", small, tuple(cells))


def _said(section: Section, row: Row) -> tuple[str, ...]:
    """What must be said of a row under the clean protocols, each thing once."""
    said: dict[str, list[str]] = {}
    for protocol in section.clean if row.kind != "baseline" else ():
        entry = row.entries[protocol]
        if not math.isfinite(entry.mean):
            continue
        names = {"classical": "the best classical row", "clock": "the clock"}
        behind = " and ".join(names[b] for b in entry.behind)
        text = "; ".join(filter(None, [entry.verdict, f"below {behind}" if behind else ""]))
        if text:
            said.setdefault(text, []).append(nice(protocol))
    if len(section.clean) == 1:
        return tuple(said)
    return tuple(f"{', '.join(where)}: {text}" for text, where in said.items())


def _entry(section: Section, entry: Entry) -> TableCell:
    if not math.isfinite(entry.mean):
        return TableCell(entry.why or "–", bad=bool(entry.why))
    return TableCell(score_text(section.metric, entry.mean), range_text(section.metric, entry.lo, entry.hi), entry.mean)


def _difference(section: Section, found: Paired | Span | None) -> TableCell:
    """A difference with its interval; one that is not above 0 is no warning in itself."""
    if found is None or not math.isfinite(found.mean):
        return TableCell("–")
    return TableCell(
        points_text(section.metric, found.mean),
        points_range(section.metric, found.lo, found.hi),
        found.mean,
    )


def _budget(section: Section, row: Row) -> TableCell:
    """Steps and final training loss under each protocol; a warning where a loss was still falling."""
    said: dict[str, list[str]] = {}
    for protocol in (*section.leaky, *section.clean):
        if row.entries[protocol].budget:
            said.setdefault(row.entries[protocol].budget, []).append(nice(protocol))
    text = "; ".join(f"{', '.join(where)}: {budget}" for budget, where in said.items()) or "–"
    return TableCell(text, bad=any(e.converged is False for e in row.entries.values()), numeric=False)


def _published(claims: Sequence[Published]) -> TableCell:
    if not claims:
        return TableCell("–")
    first = claims[0].claim
    inferred = " (protocol inferred)" if first.inferred else ""
    return TableCell(claims[0].text, f"{first.protocol}{inferred}; {first.citation}", first.value)


def claim_line(ledger: Ledger, published: Published) -> list[str]:
    """One published figure without one of ours beside it, and why there is none."""
    here, claim = {s.data for s in ledger.sections if not s.empty}, published.claim
    why = "not built" if not published.built else NO_DATA if claim.data not in here else "not asked of these data"
    inferred = " (inferred)" if claim.inferred else ""
    what = [published.title, claim.data, claim.target, published.text]
    return [*what, claim.protocol + inferred, claim.citation, f"not run: {why}"]


def pair_text(section: Section, pair: Pair) -> list[str]:
    """One comparison: the system, its difference with interval, effect size, p and Holm's p."""
    found = pair.found
    return [
        pair.a,
        points_text(section.metric, found.mean),
        points_range(section.metric, found.lo, found.hi),
        f"{found.effect:+.2f}".replace("-", "−"),
        p_text(found.p),
        p_text(pair.p_holm),
    ]


def _pictures(section: Section, comparison: Comparison, number: int) -> tuple[str, str] | None:
    found = comparison.ranks
    if found is None:
        return None
    inks = {row.title: "clock" if row.system == "clock" else row.kind for row in section.rows}
    alt = "; ".join(f"{s} mean rank {r:.2f}" for s, r in zip(found.systems, found.mean_rank, strict=True))
    made = [
        ranks(
            found.systems, found.mean_rank, found.cliques, found.critical, name=f"ranks-{number}-{w}", alt=alt,
            width_px=w, inks=[inks[s] for s in found.systems],
        )
        for w in (WIDE_PX, NARROW_PX)
    ]  # fmt: skip
    return made[0], made[1]


def _comparison(section: Section, comparison: Comparison) -> list[str]:
    out = []
    if comparison.pairs:
        out += [
            f"Minus {comparison.against} under {nice(comparison.protocol)}, person by person (Student's t, Holm over "
            "the models):",
            "",
        ]
    columns = ["system", "difference", "95 % interval", "effect", "p", "p (Holm, models)"]
    out += _table(columns, [pair_text(section, p) for p in comparison.pairs])
    if comparison.ranks is not None:
        found = comparison.ranks
        listed = ", ".join(f"{s} {r:.2f}" for s, r in zip(found.systems, found.mean_rank, strict=True))
        out += [
            f"Mean ranks over {found.people} people: {listed}. Friedman p = {p_text(found.friedman_p)}, critical "
            f"difference {found.critical:.2f}.",
            "",
        ]
    elif comparison.why:
        out += [f"Under {nice(comparison.protocol)} no {comparison.why}.", ""]
    return out


def _plain(line: Line) -> list[str]:
    name = line.name + (f" ({'; '.join(line.small)})" if line.small else "")
    return [name, *(c.text + (f" ({c.small})" if c.small else "") for c in line.cells)]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(r)} |" for r in escaped), ""]


def _has_budget(section: Section) -> bool:
    return any(e.budget for row in section.rows for e in row.entries.values())


def _has_null(section: Section) -> bool:
    return any(math.isfinite(row.entries[p].null_p) for row in section.rows for p in section.clean[:1])


def _bare(section: Section) -> bool:
    return section.empty and not _has_claims(section)


def _has_claims(section: Section) -> bool:
    return any(row.claims for row in section.rows)
