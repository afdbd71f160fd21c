"""Pictures of scores: intervals, differences, null test, confusion, reliability, true against predicted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from insula.plots.style import WIDE_PX, draw, fold, ink, is_narrow, shorten, strip_axes

Formatter = Callable[[float], str]

_MARKERS = {"model": "o", "ablation": "D", "classical": "s", "baseline": "o", "clock": "^"}


@dataclass(frozen=True)
class Interval:
    """A named value with its interval; ``ink`` is a kind of system (model, ablation, classical, baseline, clock)."""

    name: str
    value: float
    lo: float
    hi: float
    ink: str = "model"
    strong: bool = False
    struck: bool = False


@dataclass(frozen=True)
class Line:
    """A reference line over all rows: chance, the clock, zero."""

    name: str
    value: float
    ink: str = "soft"


def intervals(
    rows: Sequence[Interval],
    lines: Sequence[Line],
    *,
    axis: str,
    text: Formatter,
    tick: Formatter,
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
    sides: tuple[str, str] | None = None,
    ends: tuple[float, float] = (-math.inf, math.inf),
) -> str:
    """Draw one row a value with its interval, and reference lines through all rows.

    ``text`` writes a value beside its row and ``tick`` at the axis; ``sides`` names what lies left and right of a line.
    ``ends`` are the least and largest value that can be: the axis ends there, an interval that goes on has an arrow.
    """
    narrow = is_narrow(width_px)
    pitch = 48 if narrow else 34

    def paint(figure: Figure) -> None:
        ax = figure.subplots()
        y = np.arange(len(rows))[::-1].astype(float)
        for line in lines:
            ax.axvline(line.value, color=ink(line.ink), lw=1.2, ls=(0, (4, 3)), zorder=1)
        for row, at in zip(rows, y, strict=True):
            _interval(ax, row, at, ends)
            _names(ax, row, at, text(row.value), narrow)
        _limits(ax, rows, lines, ends)
        ax.set_ylim(-0.6, len(rows) - (0.1 if narrow else 0.4))
        ax.set_yticks([])
        ax.xaxis.set_major_formatter(lambda v, _: tick(v))
        ax.locator_params(axis="x", nbins=4 if narrow else 7)
        ax.grid(axis="x", color=ink("rule"), lw=0.7)
        strip_axes(ax, "bottom")
        ax.set_xlabel(axis, labelpad=24 if sides and narrow else 4)
        for words, x, ha in ((sides[0], 0, "left"), (sides[1], 1, "right")) if sides else ():
            ax.annotate(
                f"← {words}" if x == 0 else f"{words} →", (x, 0), (0, -35), xycoords="axes fraction",
                textcoords="offset points", ha=ha, fontsize=12, color=ink("soft"),
            )  # fmt: skip
        _line_names(ax, lines)

    return draw(width_px, (96 if sides and narrow else 74) + pitch * len(rows), name, alt, paint)


def _names(ax: Axes, row: Interval, at: float, value: str, narrow: bool) -> None:
    """Write a row's name and value: beside the row, or on a phone above it on a patch of paper."""
    look: dict[str, Any] = {
        "xycoords": ("axes fraction", "data"), "textcoords": "offset points", "fontsize": 12.5, "color": ink("ink"),
        "fontweight": "bold" if row.strong else "normal", "va": "bottom" if narrow else "center", "zorder": 2.5,
    }  # fmt: skip
    if narrow:
        patch = {"facecolor": ink("paper"), "edgecolor": "none", "pad": 1}
        ax.annotate(shorten(row.name, 52), (0, at), (0, 9), ha="left", bbox=patch, **look)
        ax.annotate(value, (1, at), (0, 9), ha="right", bbox=patch, **look)
        return
    parts = fold(row.name, 30)
    for i, part in enumerate(parts):
        ax.annotate(part, (0, at), (-10, 7.5 * (len(parts) - 1) - 15 * i), ha="right", **look)
    ax.annotate(value, (1, at), (10, 0), ha="left", **look)


def _interval(ax: Axes, row: Interval, at: float, ends: tuple[float, float]) -> None:
    color = ink(row.ink)
    if np.isfinite(row.lo) and np.isfinite(row.hi):
        drawn = np.clip([row.lo, row.hi], *ends)
        ax.plot(drawn, [at, at], color=color, lw=3 if row.strong else 2.2, solid_capstyle="round", zorder=2)
        for end, asked, arrow in zip(drawn, (row.lo, row.hi), "<>", strict=True):
            if end != asked:
                ax.plot([end], [at], marker=arrow, ms=8, color=color, mew=0, zorder=2.2, clip_on=False)
    hollow = row.ink == "baseline" or row.struck
    ax.plot(
        [row.value], [at], marker=_MARKERS.get(row.ink, "o"), ms=8.5 if row.strong else 7.5, color=color, zorder=3,
        mfc=ink("paper") if hollow else color, mew=1.6,
    )  # fmt: skip


def _limits(ax: Axes, rows: Sequence[Interval], lines: Sequence[Line], ends: tuple[float, float]) -> None:
    values = [v for r in rows for v in (r.value, r.lo, r.hi) if np.isfinite(v)] + [line.value for line in lines]
    lo, hi = np.clip([min(values), max(values)], *ends)
    pad = 0.06 * (hi - lo or 1.0)
    ax.set_xlim(max(lo - pad, ends[0] - 0.02), min(hi + pad, ends[1] + 0.02))


def _line_names(ax: Axes, lines: Sequence[Line]) -> None:
    low, high = ax.get_xlim()
    placed: list[float] = []
    for line in sorted(lines, key=lambda line: line.value):
        at = (line.value - low) / (high - low)
        level = sum(abs(at - p) < 0.16 for p in placed)
        ha = "left" if at < 0.12 else "right" if at > 0.88 else "center"
        ax.annotate(
            line.name, (at, 1), (0, 3 + 14 * level), xycoords="axes fraction", textcoords="offset points", ha=ha,
            va="bottom", fontsize=12, color=ink(line.ink),
        )  # fmt: skip
        placed.append(at)


def null_histogram(
    scores: Sequence[float],
    observed: float,
    chance: float,
    *,
    axis: str,
    tick: Formatter,
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw the scores reached with shuffled labels, chance, and the score reached with the true ones."""
    values = np.asarray(scores, dtype=float)

    def paint(figure: Figure) -> None:
        ax = figure.subplots()
        low, high = min(values.min(), observed, chance), max(values.max(), observed, chance)
        bins = np.linspace(values.min(), values.max(), int(np.clip(np.sqrt(len(values)) * 2, 6, 30)) + 1).tolist()
        ax.hist(values, bins=bins, color=ink("baseline"), alpha=0.55, label="shuffled labels")
        pad = 0.12 * (high - low or 1)
        ax.set_xlim(low - pad, high + pad)
        top = ax.get_ylim()[1] * 1.05
        ax.set_ylim(0, top)
        ax.axvline(observed, color=ink("model"), lw=2.6)
        ax.axvline(chance, color=ink("soft"), lw=1.2, ls=(0, (4, 3)))
        _line_names(ax, (Line("chance", chance), Line("true labels", observed, "model")))
        ax.xaxis.set_major_formatter(lambda v, _: tick(v))
        ax.locator_params(axis="x", nbins=4 if is_narrow(width_px) else 7)
        ax.locator_params(axis="y", nbins=4, integer=True)
        ax.set_xlabel(axis)
        ax.set_ylabel("shuffles")

    return draw(width_px, 240, name, alt, paint)


def confusion(
    counts: NDArray[np.int64], classes: Sequence[str], *, name: str, alt: str, width_px: int = WIDE_PX
) -> str:
    """Draw counts (K, K), rows true and columns predicted, as shares of a row: right and wrong in two inks."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    strongest = max(0.6, float(shares.max()))
    k = len(classes)
    narrow = is_narrow(width_px)
    crowded = k > (5 if narrow else 10)

    def paint(figure: Figure) -> None:
        ax = figure.subplots()
        for i in range(k):
            for j in range(k):
                share = float(shares[i, j])
                color = ink("model" if i == j else "clock")
                ax.add_patch(
                    Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, color=color, alpha=max(share / strongest, 0.04), lw=0)
                )
                letters = ink("paper" if share > (0.65 if i == j else 0.9) * strongest else "ink")
                ax.text(
                    j, i, f"{100 * share:.0f}", ha="center", va="center", fontsize=11 if crowded else 13,
                    fontweight="bold" if i == j else "normal", color=letters,
                )  # fmt: skip
        labels = [shorten(c, 14 if k <= 3 else 11) for c in classes]
        turned = (k > 3 and narrow) or max(map(len, labels)) > 8
        ax.set_xticks(range(k), labels, rotation=45 if turned else 0, ha="right" if turned else "center")
        ax.set_yticks(range(k), labels)
        for tick in (*ax.get_xticklabels(), *ax.get_yticklabels()):
            tick.set_color(ink("ink"))
        for tick in ax.get_xticklabels():
            tick.set_rotation_mode("anchor" if turned else "default")
        ax.set_xlim(-0.5, k - 0.5)
        ax.set_ylim(k - 0.5, -0.5)
        ax.set_aspect("equal")
        ax.tick_params(length=0)
        strip_axes(ax, "none")
        ax.set_xlabel("predicted")
        ax.set_ylabel("true")

    side = min(width_px, 130 + 62 * k)
    return draw(side, side * 0.96, name, alt, paint)


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of confidence: mean confidence, share right, number of windows."""

    confidence: float
    right: float
    count: int


def reliability(bins: Sequence[ReliabilityBin], lowest: float, *, name: str, alt: str, width_px: int = WIDE_PX) -> str:
    """Draw how often a prediction of a given confidence was right, over how many windows had that confidence."""
    side = min(width_px, 440)

    def paint(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        upper.plot([lowest, 1], [lowest, 1], color=ink("soft"), lw=1.2, ls=(0, (4, 3)))
        x = [b.confidence for b in bins]
        y = [b.right for b in bins]
        most = max(b.count for b in bins)
        upper.plot(x, y, color=ink("model"), lw=1.2, alpha=0.6)
        for b in bins:
            upper.plot([b.confidence] * 2, [b.confidence, b.right], color=ink("bad"), lw=2, alpha=0.5)
            upper.plot([b.confidence], [b.right], color=ink("model"), marker="o", ms=4 + 8 * (b.count / most) ** 0.5)
        upper.text(
            0.985,
            0.03,
            "dashed: as sure as right",
            transform=upper.transAxes,
            ha="right",
            color=ink("soft"),
            fontsize=12,
        )
        upper.set_ylabel("share right")
        upper.set_ylim(max(-0.02, min(lowest, *y) - 0.08), 1.02)
        upper.set_xlim(lowest - 0.02, 1.02)
        upper.grid(color=ink("rule"), lw=0.7)
        span = 0.8 * (1 - lowest) / 10
        lower.bar(x, [b.count for b in bins], width=span, color=ink("baseline"), alpha=0.6)
        lower.set_ylabel("windows")
        lower.locator_params(axis="y", nbins=2, integer=True)
        lower.set_xlabel("confidence of the prediction")
        for axes in (upper, lower):
            axes.xaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f} %")
        upper.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.0f} %")

    return draw(side, side * 0.95, name, alt, paint)


def true_against_predicted(
    true: NDArray[np.float64],
    predicted: NDArray[np.float64],
    *,
    axis: str,
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw the predicted against the true value of at most 3,000 evenly chosen windows, with the line of equality."""
    every = max(1, int(np.ceil(len(true) / 3000)))
    x, y = true[::every], predicted[::every]
    side = min(width_px, 460)

    def paint(figure: Figure) -> None:
        ax = figure.subplots()
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        pad = 0.04 * (high - low or 1)
        ax.plot([low, high], [low, high], color=ink("soft"), lw=1.2, ls=(0, (4, 3)))
        ax.plot(x, y, ls="none", marker="o", ms=4, mew=0, alpha=0.35, color=ink("model"))
        ax.set_xlim(low - pad, high + pad)
        ax.set_ylim(low - pad, high + pad)
        ax.set_aspect("equal")
        ax.grid(color=ink("rule"), lw=0.7)
        ax.set_xlabel(f"true {axis}")
        ax.set_ylabel(f"predicted {axis}")

    return draw(side, side * 0.98, name, alt, paint)
