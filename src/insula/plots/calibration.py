"""Picture of a calibration curve: score against labelled calibration, a line a strategy, controls dashed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from insula.plots.style import WIDE_PX, draw, ink, is_narrow, shorten


@dataclass(frozen=True)
class CurveLine:
    """One line: amounts, means and interval ends of the same length.

    A control is dashed; only a ``strong`` line is thick and has its interval as a band.
    """

    title: str
    colour: str
    amounts: tuple[float, ...]
    mean: tuple[float, ...]
    lo: tuple[float, ...]
    hi: tuple[float, ...]
    control: bool = False
    strong: bool = False


def calibration(
    lines: Sequence[CurveLine],
    *,
    unit: str,
    chance: float,
    own: float,
    name: str = "calibration",
    alt: str = "",
    width_px: int = WIDE_PX,
) -> str:
    """Draw the curves; ``own`` is the score of people's own full models, ``chance`` a constant guess."""
    narrow = is_narrow(width_px)
    legend_rows = -(-len(lines) // (1 if narrow else 2))

    def paint(figure: Figure) -> None:
        ax = figure.add_subplot()
        every = [a for line in lines for a in line.amounts]
        for line in lines:
            colour = ink(line.colour)
            style = (0, (4, 3)) if line.control else "-"
            ax.plot(line.amounts, line.mean, color=colour, linestyle=style, marker="o", markersize=4,
                    linewidth=2.8 if line.strong else 1.4, zorder=4 if line.strong else 3,
                    label=shorten(line.title, 36 if narrow else 42))  # fmt: skip
            if line.strong and len(line.amounts) > 1:
                ax.fill_between(line.amounts, line.lo, line.hi, color=colour, alpha=0.12, linewidth=0)
        for level, text in ((chance, "chance"), (own, "own full model")):
            if not math.isfinite(level):
                continue
            ax.axhline(level, color=ink("soft"), linewidth=0.9, linestyle=":")
            ax.annotate(text, (max(every), level), (0, 3), textcoords="offset points", ha="right", fontsize=12,
                        color=ink("soft"))  # fmt: skip
        low = min([chance, *(v for line in lines for v in line.mean)])
        high = max([own if math.isfinite(own) else 0.0, *(v for line in lines for v in line.mean)])
        ax.set_ylim(max(0.0, low - 0.12), min(1.02, high + 0.12))
        ax.set_xticks(sorted(set(every)))
        ax.set_xlabel(f"labelled {unit} of each class")
        ax.set_ylabel("balanced accuracy")
        figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=1 if narrow else 2)

    return draw(width_px, 300 + 24 * legend_rows, name, alt, paint)
