"""The HTML page: fills the template and writes it, with its JSON twin, in one step."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from insula.errors import DataError
from insula.evaluation.results import Result
from insula.explain import ANALYSES, Shown, wording
from insula.explain.data import DATA, DataSummary
from insula.explain.facts import OTHER_SCORES, Facts, gather
from insula.files import put
from insula.learning.metrics import METRICS
from insula.plots import Format, css_variables, keeping
from insula.report import outside, prose, sources, words
from insula.report.by_class import class_table
from insula.report.numbers import numbers_of


def render(result: Result) -> str:
    """Return the report of a result as one HTML page that asks nothing of the network.

    Raises
    ------
    InputError
        If the result has no system or no prediction.
    """
    return _render(gather(sources.public(result)))


def write(result: Result, path: str | os.PathLike[str]) -> Path:
    """Write the page to ``path`` and its numbers beside it (.json); neither file is ever seen half-written.

    Returns the path of the page.
    """
    target = Path(path)
    facts = gather(sources.public(result))
    page = _render(facts)
    numbers = json.dumps(numbers_of(facts), indent=1, ensure_ascii=False, allow_nan=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    put(target.with_suffix(".json"), numbers)
    put(target, page)
    return target


def templates() -> Environment:
    """Return the templates with their filters, and style and script of every page as globals."""
    environment = Environment(
        loader=PackageLoader("insula.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["value"] = plain
    environment.filters["nice"] = nice
    environment.filters["date"] = date
    environment.filters["minus"] = wording.minus
    environment.filters["svg"] = Markup
    environment.filters["linked"] = sources.linked
    environment.filters["commands"] = _commands
    environment.tests["many"] = lambda value: isinstance(value, Mapping)
    environment.tests["number"] = lambda v: isinstance(v, int | float) and math.isfinite(v)
    files = resources.files("insula.report") / "templates"
    environment.globals.update(
        variables=Markup(css_variables()),
        style=Markup((files / "report.css").read_text(encoding="utf-8")),
        script=Markup((files / "report.js").read_text(encoding="utf-8")),
    )
    return environment


def _commands(text: str) -> Markup:
    """Set what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _render(facts: Facts) -> str:
    template = templates().get_template("report.html.j2")
    parts, unreadable = shown(facts)
    try:
        data = DATA.read(facts.result) or DataSummary()
    except DataError:  # said among the unreadable ones
        data = DataSummary()
    return template.render(
        facts=facts,
        head=facts.headline,
        result=facts.result,
        provenance=facts.result.provenance,
        study=sources.study(facts),
        references=sources.references(facts),
        banner=words.LEAKY_BANNER if facts.result.leaky else "",
        notes=(*_notes(facts, data), *unreadable),
        verdict=words.verdict(facts),
        checks=words.checks(facts),
        meter=_meter(facts),
        normalisers=sorted({r.normaliser for r in facts.rows if r.normaliser}),
        columns=[(name, METRICS[name].column, 3) for name in OTHER_SCORES if _any(facts, name) and METRICS[name].shown],
        class_table=class_table(facts),
        has_contrast=any(math.isfinite(r.contrast) for r in facts.rows),
        has_trial=any(math.isfinite(r.trial) for r in facts.rows),
        best=max((r.score for r in facts.rows if math.isfinite(r.score)), default=math.nan),
        pictures=outside.pictures(facts),
        parts=parts,
        looked_into=wording.looked_into(facts),
        shared=facts.result.shared_schedule,
        data=data.record,
        problems=data.problems,
        meaning=prose.meaning(facts),
        misuse=prose.MISUSE,
        methods=prose.methods(facts),
        score=partial(wording.score_text, facts),
        span=partial(wording.range_text, facts),
        difference=partial(wording.difference_text, facts),
        difference_span=partial(wording.difference_range, facts),
        p_text=wording.p_text,
    )


def figures(result: Result, format: Format) -> dict[str, tuple[str, bytes]]:
    """Draw every figure of the page as a file: name to title and content."""
    facts = gather(sources.public(result))
    with keeping(format) as kept:
        made = list(outside.pictures(facts).values())
        made += [p for parts in shown(facts)[0].values() for one in parts for p in one.pictures]
    return {p.name: (p.title, kept.files[p.name]) for p in made}


def shown(facts: Facts) -> tuple[dict[str, list[Shown]], tuple[str, ...]]:
    """Let every analysis show what it found: by section of the page, and notes on those that cannot be read."""
    parts: dict[str, list[Shown]] = {}
    notes = []
    for one in ANALYSES.values():
        try:
            found = one.read(facts.result)
        except DataError as error:
            notes.append(str(error))
            continue
        made = Shown() if found is None else one.show(found, facts)
        if made != Shown():
            parts.setdefault(one.part, []).append(made)
    return parts, tuple(notes)


def _notes(facts: Facts, data: DataSummary) -> tuple[str, ...]:
    """Return the notes of the protocol, each once, without those listed with the data; a text counts as one note."""
    notes = facts.result.protocol.get("notes") or ()
    texts = dict.fromkeys([notes] if isinstance(notes, str) else map(str, notes))
    return tuple(text for text in texts if text not in data.problems)


def _any(facts: Facts, name: str) -> bool:
    return any(math.isfinite(r.others[name]) for r in facts.rows)


def _meter(facts: Facts) -> Mapping[str, Any]:
    """Place score, interval, chance and clock on a bar, in percent of its width."""
    head = facts.headline
    low = min(0.0, *(v for v in (head.lo, head.score) if math.isfinite(v)))
    low = math.floor(low * 10) / 10

    def place(value: float) -> float:
        return round(100 * (min(max(value, low), 1) - low) / (1 - low), 2)

    marks = [("chance", facts.chance, "soft")]
    if facts.clock is not None and facts.clock is not head and math.isfinite(facts.clock.score):
        marks.append(("time alone", facts.clock.score, "clock"))
    known = math.isfinite(head.lo) and math.isfinite(head.hi)
    return {
        "at": place(head.score) if math.isfinite(head.score) else 0.0,
        "lo": place(head.lo) if known else 0.0,
        "width": place(head.hi) - place(head.lo) if known else 0.0,
        "left": wording.tick_text(facts, low),
        "right": wording.tick_text(facts, 1.0),
        "clock": next((place(value) for name, value, ink in marks if ink == "clock"), 50.0),
        "marks": [(name, place(value), wording.tick_text(facts, value), ink) for name, value, ink in marks],
    }


def date(text: str) -> str:
    """Write an ISO date for people; what is no ISO date stays as it is."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{when.day} {when:%B %Y, %H:%M} {when.tzname() or ''}".strip()


def plain(value: Any) -> str:
    """Write a recorded value for people: numbers short, lists with commas, an en dash for nothing."""
    if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return wording.minus(f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}")
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "; ".join(f"{nice(str(k))}: {plain(v)}" for k, v in value.items()) or "–"
    if isinstance(value, Sequence):
        return ", ".join(plain(v) for v in value) or "–"
    return str(value)


def nice(key: str) -> str:
    """Turn a key with its unit into words: ``window_s`` becomes ``window (s)``."""
    for ending, unit in (("_s", "s"), ("_hz", "Hz"), ("_ms", "ms"), ("_uv", "µV")):
        if key.endswith(ending):
            return f"{key.removesuffix(ending).replace('_', ' ')} ({unit})"
    return key.replace("_", " ")
