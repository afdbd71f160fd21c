"""How the ledger begins: one sentence and one picture, from published over leaky to clean figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from insula.explain import picture
from insula.explain.picture import Picture
from insula.grid.ledger import Ledger, Row, Section
from insula.plots.slopes import Slope, slopes


def opening(ledger: Ledger) -> tuple[str, Picture | None]:
    """Say in a sentence what leaks are worth for the models of a ledger, and draw it.

    Real recordings with real labels speak alone where there are any; simulated people only where there is nothing else.
    """
    kinds = (
        ("real recordings", [s for s in ledger.sections if not s.simulated and not s.random_labels]),
        ("real EEG with random labels", [s for s in ledger.sections if s.random_labels]),
        ("simulated people", [s for s in ledger.sections if s.simulated]),
    )
    for where, sections in kinds:
        found = [(s, r, one) for s in sections for r in s.rows if (one := _slope(s, r)) is not None]
        both = [one for _, _, one in found if math.isfinite(one.leaky) and math.isfinite(one.clean)]
        if both:
            rows = [one for *_, one in found]
            text = _sentence(where, both, rows)
            single = len({s.label for s, *_ in found}) == 1  # then its name need not stand at every line
            return text, _picture(text, [replace(one, name=r.title) if single else one for _, r, one in found])
    return "No system has both a leaky and a clean figure yet.", None


def _slope(section: Section, row: Row) -> Slope | None:
    """Figures of one model in balanced accuracy; None for other rows, numbers, and where there are fewer than two."""
    if row.kind != "model" or not section.leaky or not section.clean or section.metric != "balanced_accuracy":
        return None
    published = [p.claim.value / 100 for p in row.claims if p.claim.metric in ("accuracy", "balanced accuracy")]
    leaky, clean = (row.entries[p[0]].mean for p in (section.leaky, section.clean))
    figures = (max(published, default=math.nan), leaky, clean)
    if sum(map(math.isfinite, figures)) < 2:
        return None
    return Slope(f"{row.title}, {section.label}", *figures, section.chance)


def _sentence(where: str, both: Sequence[Slope], every: Sequence[Slope]) -> str:
    drop = 100 * median(one.leaky - one.clean for one in both)
    leaky, clean = (100 * median(getattr(one, k) for one in both) for k in ("leaky", "clean"))
    said = [one.published for one in every if math.isfinite(one.published)]
    published = f" Published figures of these systems lie at {100 * median(said):.0f} %." if said else ""
    count = f"1 model on {where} scores" if len(both) == 1 else f"{len(both)} models on {where} score"
    return (
        f"Leaks are worth {drop:.0f} points: {count} {leaky:.0f} % where windows of one trial stand on both "
        f"sides, and {clean:.0f} % where whole trials, sessions or people are held out (medians).{published}"
    )


def _picture(text: str, rows: Sequence[Slope]) -> Picture:
    told = any(math.isfinite(one.published) for one in rows)
    first = "what was published for it, " if told else ""
    more = " Published figures are mostly plain accuracy, ours are balanced accuracy." if told else ""
    caption = f"""Each line is a system on a data set: {first}what it scores here when windows of one trial stand on
        both sides, and what is left when they do not. Dashed: guessing.{more}"""
    title = "Published, leaky, clean" if told else "Leaky and clean"
    return picture.make("slopes", title, caption, text, slopes, rows)
