"""How numbers and systems are written for people: scores, differences, intervals, p values."""

from __future__ import annotations

import math
import re

from insula.explain.cost.operations import joules_text
from insula.explain.facts import Facts, Row


def minus(text: str) -> str:
    """Write a real minus sign before every number that has one."""
    return re.sub(r"(?<![\w-])-(?=[.\d])", "−", text)


def score_text(facts: Facts, value: float) -> str:
    """Write a score the way people say it: percent for balanced accuracy, two decimals for CCC, an en dash for NaN."""
    if not math.isfinite(value):
        return "–"
    return minus(f"{value:.2f}") if facts.continuous else minus(f"{100 * value:.1f}\u00a0%")


def tick_text(facts: Facts, value: float) -> str:
    """Write a score at an axis tick."""
    return minus(f"{value:.2f}") if facts.continuous else minus(f"{100 * value:.0f}\u00a0%")


def difference_text(facts: Facts, value: float) -> str:
    """Write a difference of scores with its sign, in percentage points or CCC."""
    if not math.isfinite(value):
        return "–"
    return minus(f"{value:+.2f}") if facts.continuous else minus(f"{100 * value:+.1f}\u00a0pts")


def range_text(facts: Facts, lo: float, hi: float) -> str:
    """Write an interval of scores."""
    if not (math.isfinite(lo) and math.isfinite(hi)):
        return "no interval"
    if facts.continuous:
        return minus(f"{lo:.2f} to {hi:.2f}")
    return minus(f"{100 * lo:.1f} to {100 * hi:.1f}\u00a0%")


def p_text(p: float) -> str:
    """Write a p value."""
    return (
        ""
        if not math.isfinite(p)
        else ("p\u00a0<\u00a0.001" if p < 0.001 else f"p\u00a0=\u00a0{p:.3f}".replace("0.", ".", 1))
    )


def the(row: Row) -> str:
    """Write a system's title inside a sentence."""
    title = row.title
    plain = f"{title[0].lower()}{title[1:]}" if title[:1].isupper() and title[1:2].islower() else title
    return plain if row.kind == "classical" else f"the {plain}"


def looked_into(facts: Facts) -> str:
    """Say which row the fold models are, where that is not the headline; empty where it is."""
    row = next((r for r in facts.rows if r.system == facts.result.modelled), facts.headline)
    if row is facts.headline:
        return ""
    return (
        f"Looked into is the row \u201c{row.title}\u201d: differences are from its score, not from that of "
        f"\u201c{facts.headline.title}\u201d."
    )


def capital(text: str) -> str:
    """Write the first letter large."""
    return text[:1].upper() + text[1:]


def difference_range(facts: Facts, lo: float, hi: float) -> str:
    """Write an interval of differences, within what a difference of shares can be."""
    if not facts.continuous:
        lo, hi = (min(max(v, -1.0), 1.0) if math.isfinite(v) else v for v in (lo, hi))
    return f"{difference_text(facts, lo)} to {difference_text(facts, hi)}".replace("\u00a0pts to", " to")


def joules(value: float) -> str:
    """Write joules: a micro sign, an en dash for nothing."""
    return joules_text(value).replace("uJ", "µJ") if value > 0 else "–"


def percent(share: float) -> str:
    """Write a share: 0, < 0.1 %, 3.4 %, 62 %; an en dash for none."""
    if not math.isfinite(share):
        return "–"
    if share == 0:
        return "0"
    if share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"


def short(value: float) -> str:
    """Write a size with three figures, whole from 100 on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
