"""Published, leaky, clean: one line a system, falling where the figure came from the leak."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure

from insula.plots.style import WIDE_PX, draw, ink, is_narrow, spread

_STEPS = ("published", "ours, leaky", "ours, clean")
_INKS = ("c1", "c2", "c3", "c4", "c6", "c7", "c8", "c9")
_PITCH_PX = 15.0


@dataclass(frozen=True)
class Slope:
    """One system on one data set: figures as shares of 1 (NaN where there is none), and chance."""

    name: str
    published: float
    leaky: float
    clean: float
    chance: float


def slopes(rows: Sequence[Slope], *, name: str, alt: str, width_px: int = WIDE_PX) -> str:
    """Draw each system from its published figure over our leaky one to our clean one; names stand at the right.

    A step of which no system has a figure is left out.
    """
    narrow = is_narrow(width_px)
    names = [textwrap.wrap(row.name, 20 if narrow else 32) for row in rows]
    tall = [3 + (_PITCH_PX - 3) * len(lines) for lines in names]
    height = max(360 if narrow else 380, 60 + sum(tall))
    every = np.array([[row.published, row.leaky, row.clean] for row in rows]) * 100  # (rows, steps)
    kept = np.flatnonzero(np.isfinite(every).any(0))
    last = len(kept) - 1

    def paint(figure: Figure) -> None:
        ax = figure.subplots()
        ends = []
        for i, (lines, px, values) in enumerate(zip(names, tall, every[:, kept], strict=True)):
            there = np.flatnonzero(np.isfinite(values))
            color = ink(_INKS[i % len(_INKS)])
            ax.plot(there, values[there], color=color, marker="o", ms=5, lw=1.8, alpha=0.9)
            ends.append((float(values[there[-1]]), px, "\n".join(lines), color))
        for chance in sorted({row.chance for row in rows if math.isfinite(row.chance)}):
            ax.axhline(100 * chance, color=ink("soft"), lw=1.0, ls=(0, (4, 3)))
            ax.annotate(f"chance {100 * chance:.0f} %", (0, 100 * chance), (0, 3), textcoords="offset points",
                        fontsize=11.5, color=ink("soft"), ha="left", va="bottom")  # fmt: skip
        ax.set_xlim(-0.075 * last, 1.025 * last)
        ax.set_ylim(0, 103)
        ax.set_xticks(range(len(kept)), [_STEPS[step] for step in kept])
        ax.yaxis.set_major_formatter(lambda v, _: f"{v:.0f} %")
        ax.grid(axis="y", color=ink("rule"), lw=0.7)
        ax.tick_params(axis="x", length=0, pad=7)
        ends.sort(key=lambda e: e[0])
        gaps = np.array([(one[1] + other[1]) / 2 for one, other in pairwise(ends)])
        at = spread(np.array([end[0] for end in ends]), 103 * gaps / (height - 46), 0.0, 103.0)
        for (value, _, text, color), y in zip(ends, at, strict=True):
            ax.annotate(
                text, (last, value), (1.06 * last, y), textcoords="data", va="center",
                fontsize=11.5, color=color, annotation_clip=False,
                arrowprops={"arrowstyle": "-", "color": ink("rule"), "lw": 0.7, "shrinkA": 1, "shrinkB": 4,
                            "relpos": (0, 0.5)},
            )  # fmt: skip

    return draw(width_px, height, name, alt, paint)
