"""One window as a network reads it: its signals, and how much each moment of it was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from insula.plots.style import WIDE_PX, draw, ink, shorten

LEAST_REACH = 0.05
"""Attention that differs by less from an even share is not blown up further."""


@dataclass(frozen=True)
class Trace:
    """One signal of a window: its name and samples (T,) from the window's begin to its end."""

    name: str
    values: NDArray[np.floating]


def window(
    traces: Sequence[Trace],
    seconds: float,
    weights: NDArray[np.floating],
    *,
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw the signals of one window over its ``seconds``, and below them the attention of each head.

    weights (heads, R) are shares of tokens of equal length that fill the window, oldest first; drawn is by how much
    they are above or below an even share. Where the mean over heads is above, the signals lie on a tint, deepest at
    twice an even share.
    """
    heads, tokens = weights.shape
    edges = np.linspace(-seconds, 0, tokens + 1)  # seconds before the window's end
    above = weights * tokens - 1  # (heads, R) 0: an even share
    mean = above.mean(axis=0)
    tint = np.clip(mean, 0, 1)

    def paint(figure: Figure) -> None:
        ratios = [1.0] * len(traces) + [2.0]
        axes = figure.subplots(len(traces) + 1, 1, sharex=True, gridspec_kw={"height_ratios": ratios})
        for ax, trace in zip(axes, traces, strict=False):
            x = np.linspace(-seconds, 0, len(trace.values), endpoint=False)
            for k in np.flatnonzero(tint > 0.02):
                ax.axvspan(edges[k], edges[k + 1], color=ink("model"), alpha=0.32 * float(tint[k]), lw=0)
            ax.plot(x, trace.values, color=ink("ink"), lw=0.9 if len(trace.values) > 400 else 1.4)
            ax.set_yticks([])
            ax.set_ylabel(shorten(trace.name, 9), rotation=0, ha="right", va="center", fontsize=13)
            ax.tick_params(bottom=False)
            for side in ("left", "bottom"):
                ax.spines[side].set_visible(False)
        last = axes[-1]
        for h in range(heads):
            last.stairs(100 * above[h], edges, color=ink("soft"), lw=1.0, alpha=0.8, baseline=None)
        last.stairs(100 * mean, edges, color=ink("model"), lw=2.2, baseline=None)
        last.axhline(0, color=ink("soft"), lw=1.1, ls=(0, (4, 3)))
        reach = 1.15 * max(LEAST_REACH, float(np.abs(above).max()))
        last.set_ylim(-100 * reach, 100 * reach)
        last.yaxis.set_major_formatter(lambda v, _: f"{v:+.3g} %" if abs(v) > 1e-9 else "even")
        last.locator_params(axis="y", nbins=5)
        last.set_xlabel("seconds before the window's end")
        last.set_ylabel("attention")

    return draw(width_px, 170 + 56 * len(traces), name, alt, paint)
