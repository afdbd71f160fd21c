"""Picture of one explained prediction: bars by sensor, band, electrode and feature, a line over time, and deletion."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insula.plots.style import WIDE_PX, draw, ink, is_narrow, shorten, strip_axes

Bars = Sequence[tuple[str, float]]


@dataclass(frozen=True)
class SingleWindow:
    """What moved one answer: named bars; ``seconds`` (begin before the window's end, value); the deletion curve.

    ``before`` is the chance of the answer with nothing deleted.
    """

    sensors: Bars
    electrodes: Bars
    bands: Bars
    features: Bars
    seconds: Sequence[tuple[float, float]]
    window_s: float
    before: float
    shares: Sequence[float]
    chosen: Sequence[float]
    random: Sequence[float]
    lo: Sequence[float]
    hi: Sequence[float]


def single(one: SingleWindow, chance: float, *, name: str, alt: str, width_px: int = WIDE_PX) -> str:
    """Draw the panels that have something, two beside each other on a wide page."""
    narrow = is_narrow(width_px)
    letters = 22 if narrow else 16
    panels: list[tuple[int, Callable[[Axes], None]]] = []
    groups = (
        ("by sensor", one.sensors), ("by band of EEG", one.bands), ("by electrode", one.electrodes),
        ("strongest features", one.features),
    )  # fmt: skip
    for title, bars in groups:
        if bars and (title != "by sensor" or len(bars) > 1):
            panels.append((len(bars), _bars(title, bars, 26 if title == "strongest features" else letters)))
    if len(one.seconds) > 1:
        panels.append((5, lambda ax: _seconds(ax, one)))
    if one.shares:
        panels.append((5, lambda ax: _deletion(ax, one, chance)))
    columns = 1 if narrow else 2
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    heights = [max(70 + 19 * n if n != 5 else 170 for n, _ in row) for row in rows]

    def paint(figure: Figure) -> None:
        grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
        for r, row in enumerate(rows):
            for c in range(columns):
                if c < len(row):
                    row[c][1](grid[r, c])
                else:
                    grid[r, c].remove()

    return draw(width_px, sum(heights) + 20, name, alt, paint)


def _bars(title: str, bars: Bars, letters: int) -> Callable[[Axes], None]:
    def paint(ax: Axes) -> None:
        places = range(len(bars))
        colors = [ink("good" if value >= 0 else "bad") for _, value in bars]
        ax.barh(places, [value for _, value in bars], color=colors, height=0.62)
        ax.axvline(0, color=ink("soft"), lw=0.8)
        ax.set_yticks(places, [shorten(name, letters) for name, _ in bars])
        ax.set_ylim(len(bars) - 0.5, -0.5)
        ax.locator_params(axis="x", nbins=4)
        ax.set_title(title)
        strip_axes(ax)

    return paint


def _seconds(ax: Axes, one: SingleWindow) -> None:
    at = [begin + 0.5 for begin, _ in one.seconds]
    values = [value for _, value in one.seconds]
    ax.bar(at, values, width=0.9, color=[ink("good" if v >= 0 else "bad") for v in values])
    ax.axhline(0, color=ink("soft"), lw=0.8)
    if at[0] < -one.window_s:
        ax.axvline(-one.window_s, color=ink("soft"), lw=1.2, ls=(0, (4, 3)))
    ax.set_title("by second")
    ax.set_xlabel("seconds before the window's end", fontsize=12)
    ax.locator_params(nbins=4)


def _deletion(ax: Axes, one: SingleWindow, chance: float) -> None:
    x = [0.0, *(100 * s for s in one.shares)]
    ax.fill_between(x, [one.before, *one.lo], [one.before, *one.hi], color=ink("soft"), alpha=0.2, lw=0)
    ax.plot(x, [one.before, *one.random], color=ink("soft"), ls=(0, (4, 2)), marker="v", ms=4.5, label="at random")
    ax.plot(x, [one.before, *one.chosen], color=ink("model"), marker="o", ms=4.5, label="what moved it")
    if math.isfinite(chance):
        ax.axhline(chance, color=ink("rule"), lw=1.2)
        ax.set_ylim(0, 1.02)
    ax.set_title("deleted")
    ax.set_xlabel("cells deleted (%)", fontsize=12)
    ax.set_ylabel("chance of the answer" if math.isfinite(chance) else "value", fontsize=12)
    ax.locator_params(nbins=4)
    ax.legend(loc="best")
