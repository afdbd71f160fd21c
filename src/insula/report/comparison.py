"""Several runs on one page: what differs between them, all their systems in one table and one picture."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from insula import plots
from insula.errors import InputError
from insula.evaluation.results import Result
from insula.explain import picture
from insula.explain.facts import Facts, gather
from insula.explain.picture import Picture
from insula.files import put
from insula.report import paper
from insula.report.page import templates
from insula.report.sources import public, study


def write_comparison(results: Sequence[Result], names: Sequence[str], path: str | os.PathLike[str]) -> Path:
    """Write one page that compares runs; returns its path.

    Raises
    ------
    InputError
        With fewer than two runs, or runs of classes beside runs of numbers.
    """
    if len(results) < 2:
        raise InputError(f"{len(results)} run to compare; expected two or more. Name more folders.")
    if len({r.continuous for r in results}) > 1:
        raise InputError("runs of classes beside runs of numbers; expected one kind. Compare them apart.")
    every = [gather(public(r)) for r in results]
    names = _apart(names)
    page = (
        templates()
        .get_template("comparison.html.j2")
        .render(
            title=f"{len(results)} runs of {', '.join(dict.fromkeys(r.target for r in results))}",
            differ=differences(every, names),
            table=paper.systems(results, names),
            picture=_picture(every, names),
            simulated=any(study(f).simulated for f in every),
            leaky=any(r.leaky for r in results),
        )
    )
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    put(target, page)
    return target


def _apart(names: Sequence[str]) -> list[str]:
    """Make names of runs that are each one of a kind."""
    return [n if list(names).count(n) == 1 else f"{n} ({i + 1})" for i, n in enumerate(names)]


def differences(every: Sequence[Facts], names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Say in what the runs differ, as (what, each run's): figures compare only where nothing but the system does."""
    looked = {
        "study": [study(f).title or "not recorded" for f in every],
        "target": [f.result.target for f in every],
        "protocol": [str(f.result.protocol.get("name")) for f in every],
        "people": [", ".join(f.people) for f in every],
        "windows": [_windows(f) for f in every],
        "data": [str(f.result.provenance.get("data_hash") or "not recorded")[:14] for f in every],
        "seed": [str(f.result.provenance.get("seed")) for f in every],
    }
    return tuple(
        (what, "; ".join(f"{n}: {_short(v)}" for n, v in zip(names, values, strict=True)))
        for what, values in looked.items()
        if len(set(values)) > 1
    )


def _windows(facts: Facts) -> str:
    frame = facts.predictions(facts.headline.system)
    return f"{len(frame.drop_duplicates(['subject', 'session', 'trial', 'stop_s'])):,} scored"


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text.count(',') + 1} people ({text[:40]}…)"


def _picture(every: Sequence[Facts], names: Sequence[str]) -> Picture:
    rows = [
        plots.Interval(
            f"{r.title} ({name})", r.score, r.lo, r.hi, r.ink, r is facts.headline, r.leaky or r.transductive
        )
        for facts, name in zip(every, names, strict=True)
        for r in facts.rows
        if math.isfinite(r.score)
    ]
    rows.sort(key=lambda r: -r.value)
    first = every[0]
    caption = """Best first, the run in brackets; the model of each run is in bold, open marks leak or saw the whole
        session. Intervals of different runs may overlap and the systems still differ: only rows of one run are
        compared person by person."""
    return picture.make(
        "runs", "All systems of all runs", caption, picture.say(first, rows), plots.intervals, rows,
        (plots.Line("chance", first.chance),), axis=picture.axis(first), text=picture.written(first),
        tick=picture.tick(first),
    )  # fmt: skip
