"""One figure of the page, and what all figures share: how they are drawn for two screens, their axes and wording."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from insula import plots
from insula.explain import wording
from insula.explain.facts import Facts, Row
from insula.explain.pairs import Difference
from insula.notebook import picture_html


@dataclass(frozen=True)
class Picture:
    """A figure of the page: SVG for wide and narrow screens, and a caption that says what to look at."""

    name: str
    title: str
    caption: str
    wide: str
    narrow: str

    def _repr_html_(self) -> str:
        return picture_html(self.title, self.caption, self.wide, self.narrow)


def make(
    name: str, title: str, caption: str, alt: str, function: Callable[..., str], *args: Any, **options: Any
) -> Picture:
    wide = function(*args, name=f"{name}-w", alt=alt, width_px=plots.WIDE_PX, **options)
    narrow = function(*args, name=f"{name}-n", alt=alt, width_px=plots.NARROW_PX, **options)
    return Picture(name, title, re.sub(r"[ \n]+", " ", caption), wide, narrow)


def axis(facts: Facts) -> str:
    return f"{facts.score_name} (95 % interval)"


def tick(facts: Facts) -> Callable[[float], str]:
    return lambda value: wording.tick_text(facts, value)


def written(facts: Facts) -> Callable[[float], str]:
    return lambda value: wording.score_text(facts, value)


def points(facts: Facts) -> Callable[[float], str]:
    def text(value: float) -> str:
        return (
            wording.minus(f"{value:+.2g}" if facts.continuous else f"{100 * value:+.3g}") if abs(value) > 1e-9 else "0"
        )

    return text


def change(row: Difference, ink: str) -> plots.Interval:
    """Turn a difference into a row of a picture."""
    return plots.Interval(row.name, row.difference, row.lo, row.hi, ink)


def say(facts: Facts, rows: Sequence[plots.Interval]) -> str:
    return "; ".join(
        f"{r.name} {wording.score_text(facts, r.value)} ({wording.range_text(facts, r.lo, r.hi)})" for r in rows
    )


def interval(facts: Facts, row: Row) -> plots.Interval:
    return plots.Interval(
        row.title, row.score, row.lo, row.hi, row.ink, row is facts.headline, row.leaky or row.transductive
    )


def differences(
    facts: Facts, name: str, title: str, caption: str, rows: Sequence[plots.Interval], sides: tuple[str, str]
) -> Picture:
    alt = "; ".join(
        f"{r.name} {wording.difference_text(facts, r.value)} ({wording.difference_range(facts, r.lo, r.hi)})"
        for r in rows
    )
    unit = "CCC" if facts.continuous else "percentage points"

    def text(value: float) -> str:
        return wording.difference_text(facts, value)

    most = 2.0 if facts.continuous else 1.0  # of two scores of -1 to 1, or of 0 to 1
    if any(abs(end) > most for r in rows for end in (r.lo, r.hi) if math.isfinite(end)):
        caption += " An arrow: so few people that the interval goes on past what a difference can be."
    return make(
        name, title, caption, alt, plots.intervals, rows, (plots.Line("no difference", 0.0),),
        axis=f"difference in {unit}", text=text, tick=points(facts), sides=sides,
        ends=(-most, most),
    )  # fmt: skip


def sentence(note: str) -> str:
    """Return the note of an analysis as a sentence after a space, nothing where there is none."""
    text = note.strip()
    return f" {wording.capital(text).rstrip('.')}." if text else ""
