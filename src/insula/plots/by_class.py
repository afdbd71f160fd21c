"""Pictures of every class at once: shares of branches, ROC curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from insula.plots.style import WIDE_PX, class_inks, draw, ink, is_narrow, shorten


@dataclass(frozen=True)
class ClassShares:
    """Share of each part for one class, with lower and upper ends (NaN where none)."""

    name: str
    mean: NDArray[np.float64]
    lo: NDArray[np.float64]
    hi: NDArray[np.float64]


def class_shares(
    parts: Sequence[str], classes: Sequence[ClassShares], *, name: str, alt: str, width_px: int = WIDE_PX
) -> str:
    """Draw the share of every part, one mark a class beside the others, with the line of an even share."""
    narrow = is_narrow(width_px)
    inks = class_inks([c.name for c in classes])
    columns = 3 if narrow else 7
    step = 0.72 / max(len(classes), 1)

    def paint(figure: Figure) -> None:
        ax = figure.subplots()
        ax.axvline(100 / len(parts), color=ink("soft"), lw=1.2, ls=(0, (4, 3)))
        for k, one in enumerate(classes):
            at = np.arange(len(parts))[::-1] + 0.36 - step * (k + 0.5)
            color = ink(inks[one.name])
            for y, lo, hi in zip(at, one.lo, one.hi, strict=True):
                ax.plot([100 * lo, 100 * hi], [y, y], color=color, lw=2, solid_capstyle="round", alpha=0.6)
            ax.plot(100 * one.mean, at, ls="none", marker="o", ms=5.5, color=color, label=shorten(one.name, 14))
        for line in range(1, len(parts)):
            ax.axhline(line - 0.5, color=ink("rule"), lw=0.7)
        ax.set_yticks(range(len(parts)), [shorten(p, 12) for p in parts[::-1]])
        ax.set_ylim(-0.5, len(parts) - 0.5)
        ax.set_xlim(left=0)
        ax.grid(axis="x", color=ink("rule"), lw=0.7)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel("share of attention (%)")
        figure.legend(loc="outside upper left", ncols=columns, handletextpad=0.1, columnspacing=1.0)

    legend_px = 20 * -(-len(classes) // columns)
    pitch = max(46, 11 * len(classes))
    return draw(width_px, 70 + legend_px + pitch * len(parts), name, alt, paint)


@dataclass(frozen=True)
class Roc:
    """ROC of one class against the others: false and true alarms (points,), and the area under it."""

    name: str
    false: NDArray[np.float64]
    true: NDArray[np.float64]
    area: float


def roc(curves: Sequence[Roc], *, name: str, alt: str, width_px: int = WIDE_PX) -> str:
    """Draw the ROC curve of every class with the diagonal of guessing; the legend has the areas."""
    narrow = is_narrow(width_px)
    inks = class_inks([c.name for c in curves])
    side = min(width_px, 430)

    def paint(figure: Figure) -> None:
        ax = figure.subplots()
        ax.plot([0, 100], [0, 100], color=ink("soft"), lw=1.2, ls=(0, (4, 3)))
        for one in curves:
            label = f"{shorten(one.name, 14)} {one.area:.2f}".replace(" 0.", " .")
            ax.plot(100 * one.false, 100 * one.true, color=ink(inks[one.name]), lw=1.8, label=label)
        ax.set_xlim(-1, 101)
        ax.set_ylim(-1, 101)
        ax.set_aspect("equal")
        ax.grid(color=ink("rule"), lw=0.7)
        ax.set_xlabel("false alarms (%)")
        ax.set_ylabel("found (%)")
        look: dict[str, Any] = {"title": "area under the curve", "alignment": "left"}
        if narrow:
            figure.legend(loc="outside lower center", ncols=2, **look)
        else:
            figure.legend(loc="outside right center", **look)

    beside = 0 if narrow else 190
    below = (40 + 20 * -(-len(curves) // 2)) if narrow else 0
    return draw(min(width_px, side + beside), side * 0.95 + below, name, alt, paint)
