"""One figure of the page, and what all figures share: how they are drawn for two screens, their axes and words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from insula.report import plots, words
from insula.report.facts import Facts, Row


@dataclass(frozen=True)
class Picture:
    """A figure of the page: SVG for wide and narrow screens, and a caption that says what to look at."""

    name: str
    title: str
    caption: str
    wide: str
    narrow: str


def make(
    name: str, title: str, caption: str, alt: str, function: Callable[..., str], *args: Any, **options: Any
) -> Picture:
    wide = function(*args, name=f"{name}-w", alt=alt, width_px=plots.WIDE_PX, **options)
    narrow = function(*args, name=f"{name}-n", alt=alt, width_px=plots.NARROW_PX, **options)
    return Picture(name, title, re.sub(r"[ \n]+", " ", caption), wide, narrow)


def axis(facts: Facts) -> str:
    return f"{facts.score_name} (95 % interval)"


def tick(facts: Facts) -> Callable[[float], str]:
    return lambda value: words.tick_text(facts, value)


def written(facts: Facts) -> Callable[[float], str]:
    return lambda value: words.score_text(facts, value)


def points(facts: Facts) -> Callable[[float], str]:
    def text(value: float) -> str:
        return words.minus(f"{value:+.2g}" if facts.continuous else f"{100 * value:+.3g}") if abs(value) > 1e-9 else "0"

    return text


def say(facts: Facts, rows: Sequence[plots.Interval]) -> str:
    return "; ".join(
        f"{r.name} {words.score_text(facts, r.value)} ({words.range_text(facts, r.lo, r.hi)})" for r in rows
    )


def interval(facts: Facts, row: Row) -> plots.Interval:
    return plots.Interval(
        row.title, row.score, row.lo, row.hi, row.ink, row is facts.headline, row.leaky or row.transductive
    )


def differences(
    facts: Facts, name: str, title: str, caption: str, rows: Sequence[plots.Interval], sides: tuple[str, str]
) -> Picture:
    alt = "; ".join(
        f"{r.name} {words.difference_text(facts, r.value)} ({words.difference_text(facts, r.lo)} to "
        f"{words.difference_text(facts, r.hi)})"
        for r in rows
    )
    unit = "CCC" if facts.continuous else "percentage points"

    def text(value: float) -> str:
        return words.difference_text(facts, value)

    return make(
        name, title, caption, alt, plots.intervals, rows, (plots.Line("no difference", 0.0),),
        axis=f"difference in {unit}", text=text, tick=points(facts), sides=sides,
    )  # fmt: skip


def note(facts: Facts, key: str) -> str:
    """Return the note of an analysis as a sentence after a space, nothing where there is none."""
    text = str((facts.analyses.get(key) or {}).get("note") or "").strip()
    return f" {words.capital(text).rstrip('.')}." if text else ""
