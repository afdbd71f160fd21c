"""Pictures of what recognition costs: energy against score, and what the gate of a cascade saves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insula.plots.style import WIDE_PX, draw, ink, is_narrow, shorten, spread

Formatter = Callable[[float], str]
_MARKERS = {"model": "o", "ablation": "D", "classical": "s", "baseline": "o", "clock": "^"}
LEAST_SPAN = 0.1
"""Scores that differ by less than this share of the scale are not blown up."""
_PITCH = 19.0
"""Pixels from one name to the next."""


@dataclass(frozen=True)
class CostPoint:
    """One system: joules of a decision, score with interval, ink of its kind."""

    name: str
    joules: float
    score: float
    lo: float
    hi: float
    ink: str = "model"
    strong: bool = False


def energy(
    points: Sequence[CostPoint],
    chance: float,
    *,
    axis: str,
    tick: Formatter,
    joules: Formatter,
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw score against joules a decision on a log axis; names stand in a column joined to their points by lines.

    On a phone points are numbered, and the names stand below.
    """
    narrow = is_narrow(width_px)
    height = 300.0 + (_PITCH * len(points) + 8 if narrow else max(0.0, _PITCH * (len(points) - 11)))

    def paint(figure: Figure) -> None:
        figure.get_layout_engine().set(rect=_room(len(points), height, narrow))  # type: ignore[union-attr, call-arg]
        ax = figure.subplots()
        ax.axhline(chance, color=ink("soft"), lw=1.2, ls=(0, (4, 3)), zorder=1)
        for one in points:
            color = ink(one.ink)
            if np.isfinite(one.lo) and np.isfinite(one.hi):
                ax.plot([one.joules] * 2, [one.lo, one.hi], color=color, lw=1.6, alpha=0.55, zorder=2)
            ax.plot(
                [one.joules], [one.score], marker=_MARKERS.get(one.ink, "o"), ms=10 if one.strong else 8, color=color,
                mfc=ink("paper") if one.ink == "baseline" else color, mew=1.6, zorder=3,
            )  # fmt: skip
        _scales(ax, points, chance, narrow)
        ax.xaxis.set_major_formatter(lambda v, _: joules(v))
        ax.yaxis.set_major_formatter(lambda v, _: tick(v))
        ax.grid(color=ink("rule"), lw=0.7)
        ax.set_xlabel("energy a decision at 45 nm (log scale)")
        ax.set_ylabel(axis)
        ax.annotate(
            "chance", (_free(ax, points), chance), (0, 3), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="center", fontsize=12, color=ink("soft"),
        )  # fmt: skip
        (_numbered if narrow else _joined)(figure, ax, points, height)

    return draw(width_px, height, name, alt, paint)


def _room(count: int, height: float, narrow: bool) -> tuple[float, float, float, float]:
    """Leave a column on the right for names, on a phone rows at the bottom."""
    below = (_PITCH * count + 8) / height
    return (0, below, 1, 1 - below) if narrow else (0, 0, 0.6, 1)


def _scales(ax: Axes, points: Sequence[CostPoint], chance: float, narrow: bool) -> None:
    costs = [p.joules for p in points]
    low, high = np.log10(min(costs)), np.log10(max(costs))
    pad = 0.08 * max(1.0, high - low)
    ax.set_xscale("log")
    ax.set_xlim(10 ** (low - pad), 10 ** (high + pad))
    decades = np.arange(np.ceil(low - pad), np.floor(high + pad) + 1)
    ax.set_xticks(10.0 ** decades[:: max(1, -(-len(decades) // (4 if narrow else 6)))])
    ax.xaxis.set_minor_formatter(lambda *_: "")
    heights = [v for p in points for v in (p.score, p.lo, p.hi) if np.isfinite(v)] + [chance]
    span = max(heights) - min(heights) or 1.0
    ax.set_ylim(min(heights) - 0.06 * span, max(heights) + 0.08 * span)
    ax.locator_params(axis="y", nbins=6)


def _free(ax: Axes, points: Sequence[CostPoint]) -> float:
    """Place along the axis (0 to 1) that is farthest from every point's."""
    low, high = np.log10(ax.get_xlim())
    taken = np.asarray([(np.log10(p.joules) - low) / (high - low) for p in points])
    places = np.linspace(0.12, 0.88, 39)
    return float(places[np.abs(places[:, None] - taken).min(axis=1).argmax()])


def _joined(figure: Figure, ax: Axes, points: Sequence[CostPoint], height: float) -> None:
    """Write names in a column on the right, best on top, each joined to its point."""
    order = sorted(points, key=lambda p: -p.score)
    figure.draw_without_rendering()
    top = np.asarray([height - ax.transData.transform((p.joules, p.score))[1] for p in order])  # pixels from the top
    at = spread(top, _PITCH, 12.0, height - 40.0)
    for one, y in zip(order, at, strict=True):
        ax.annotate(
            shorten(one.name, 52), xy=(one.joules, one.score), xytext=(0.62, 1 - y / height), fontsize=12.5,
            textcoords="figure fraction", va="center", color=ink("ink"), annotation_clip=False,
            fontweight="bold" if one.strong else "normal",
            arrowprops={"arrowstyle": "-", "color": ink(one.ink), "lw": 0.8, "alpha": 0.7, "shrinkA": 2, "shrinkB": 5},
        ).set_in_layout(False)  # fmt: skip


def _numbered(figure: Figure, ax: Axes, points: Sequence[CostPoint], height: float) -> None:
    """Number the points, best first, and write the names below."""
    for i, one in enumerate(sorted(points, key=lambda p: -p.score), start=1):
        ax.annotate(
            str(i), (one.joules, one.score), (7, 0), textcoords="offset points", va="center", fontsize=12,
            color=ink("ink"), fontweight="bold" if one.strong else "normal", zorder=4,
        )  # fmt: skip
        below = _PITCH * (len(points) - i) + 12
        for x, text, color in ((0.01, f"{i}", ink(one.ink)), (0.08, shorten(one.name, 52), ink("ink"))):
            figure.text(
                x, below / height, text, fontsize=12.5, va="center", color=color,
                fontweight="bold" if one.strong else "normal",
            ).set_in_layout(False)  # fmt: skip


@dataclass(frozen=True)
class GatePoint:
    """A cascade at one threshold: share of windows that woke the second branch, joules a decision, score."""

    woken: float
    joules: float
    score: float


def gate(
    curve: Sequence[GatePoint],
    alone: GatePoint,
    chance: float,
    *,
    axis: str,
    tick: Formatter,
    joules: Formatter,
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw the score of a cascade against energy and against the share of woken windows; one marker: second alone."""
    narrow = is_narrow(width_px)
    scores = [p.score for p in (*curve, alone) if np.isfinite(p.score)] + [chance]
    middle = (min(scores) + max(scores)) / 2
    half = max(LEAST_SPAN, 1.24 * (max(scores) - min(scores))) / 2

    def paint(figure: Figure) -> None:
        axes = figure.subplots(2, 1, sharey=True) if narrow else figure.subplots(1, 2, sharey=True)
        for ax, key in zip(axes, ("joules", "woken"), strict=True):
            ax.axhline(chance, color=ink("soft"), lw=1.2, ls=(0, (4, 3)), label="chance")
            x = [getattr(p, key) for p in curve]
            ax.plot(x, [p.score for p in curve], color=ink("model"), marker="o", ms=4.5, label="cascade")
            ax.plot(
                [getattr(alone, key)], [alone.score], ls="none", marker="D", ms=8, color=ink("ablation"),
                label="second branch alone",
            )  # fmt: skip
            ax.grid(color=ink("rule"), lw=0.7)
            ax.locator_params(axis="x", nbins=4)
            ax.locator_params(axis="y", nbins=6, steps=[1, 2, 5, 10])
            ax.margins(x=0.06)
            ax.set_ylim(middle - half, middle + half)
        axes[0].set_xlabel("energy a decision")
        axes[1].set_xlabel("windows that woke the second branch")
        axes[0].xaxis.set_major_formatter(lambda v, _: joules(v) if v > 0 else "0")
        axes[1].xaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f} %")
        for ax in axes if narrow else axes[:1]:
            ax.set_ylabel(axis)
        axes[0].yaxis.set_major_formatter(lambda v, _: tick(v))
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2 if narrow else 3, columnspacing=1.2
        )

    return draw(width_px, 520 if narrow else 290, name, alt, paint)
