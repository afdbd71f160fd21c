"""Pictures of stress tests: a panel a fault, a line a row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insula.plots.style import WIDE_PX, draw, ink, is_narrow, shorten

_DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (1, 1)))
_MARKERS = {"model": "o", "classical": "s", "ablation": "D"}
_INKS = ("model", "classical", "ablation", "c2", "c6", "c4")


@dataclass(frozen=True)
class StressLine:
    """Scores of one row at each level, with their intervals (NaN where none)."""

    name: str
    kind: str
    levels: tuple[float, ...]
    scores: tuple[float, ...]
    lo: tuple[float, ...]
    hi: tuple[float, ...]


@dataclass(frozen=True)
class StressPanel:
    """One fault: its title, the unit of its levels, a line a row (the first is the one that it is about)."""

    title: str
    unit: str
    lines: tuple[StressLine, ...]


def stress(
    panels: Sequence[StressPanel],
    *,
    chance: float,
    axis: str,
    tick: Callable[[float], str],
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw score against level, one small panel a fault; levels stand evenly apart, level 0 first."""
    narrow = is_narrow(width_px)
    columns = min(len(panels), 2 if narrow else 3)
    rows = -(-len(panels) // columns)
    names = [line.name for line in panels[0].lines]
    inks = _inks(panels[0].lines)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for ax in grid.ravel()[len(panels) :]:
            ax.remove()
        handles: list[Any] = []
        for i, (ax, panel) in enumerate(zip(grid.ravel(), panels, strict=False)):
            drawn = [_line(ax, line, k, inks[k]) for k, line in enumerate(panel.lines)]
            handles = handles or drawn
            if math.isfinite(chance):
                ax.axhline(chance, color=ink("soft"), lw=1.2, ls=(0, (4, 3)), zorder=1)
            levels = panel.lines[0].levels
            ax.set_xticks(range(len(levels)), [f"{v:g}" for v in levels])
            ax.set_title(shorten(panel.title, 20))
            ax.set_xlabel(shorten(panel.unit, 24), fontsize=12)
            ax.yaxis.set_major_formatter(lambda v, _: tick(v))
            ax.locator_params(axis="y", nbins=4)
            ax.grid(axis="y", color=ink("rule"), lw=0.7)
            ax.margins(x=0.08)
            if i % columns == 0:
                ax.set_ylabel("score" if narrow else shorten(axis, 20))
        letters = 40 if narrow else 60
        figure.legend(
            handles, [shorten(n, letters) for n in names], loc="outside upper left", ncols=1 if narrow else 2,
            columnspacing=1.4, handlelength=2.6,
        )  # fmt: skip

    legend = 22 * (len(names) if narrow else -(-len(names) // 2))
    return draw(width_px, 26 + legend + 176 * rows, name, alt, paint)


def _line(ax: Axes, line: StressLine, place: int, color: str) -> Any:
    x = range(len(line.levels))
    if place == 0 and all(map(math.isfinite, line.lo)):
        ax.fill_between(x, line.lo, line.hi, color=ink(color), alpha=0.18, lw=0)
    return ax.plot(
        x, line.scores, color=ink(color), ls=_DASHES[place % len(_DASHES)], marker=_MARKERS.get(line.kind, "v"),
        ms=4.5, zorder=4 if place == 0 else 3,
    )[0]  # fmt: skip


def _inks(lines: Sequence[StressLine]) -> list[str]:
    """The first row in the model's ink, classical ones in theirs, further ones apart from each other."""
    free = [i for i in _INKS if i not in ("model", "classical")]
    out = []
    for i, line in enumerate(lines):
        out.append("model" if i == 0 else "classical" if line.kind == "classical" else free.pop(0) if free else "soft")
    return out
