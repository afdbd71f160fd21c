"""One window as a network reads it: its signals, and how much each moment of it was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from insula.plots.style import WIDE_PX, draw, ink, is_narrow, shorten


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

    weights (heads, R) are shares of tokens of equal length that fill the window, oldest first. Where the mean over
    heads is above an even share, the signals lie on a tint that is the deeper, the more.
    """
    narrow = is_narrow(width_px)
    heads, tokens = weights.shape
    edges = np.linspace(-seconds, 0, tokens + 1)  # seconds before the window's end
    mean = weights.mean(axis=0)
    tint = np.clip(mean * tokens - 1, 0, 1.5) / 1.5  # (R,) 0: an even share or less

    def paint(figure: Figure) -> None:
        ratios = [1.0] * len(traces) + [1.7]
        axes = figure.subplots(len(traces) + 1, 1, sharex=True, gridspec_kw={"height_ratios": ratios})
        for ax, trace in zip(axes, traces, strict=False):
            x = np.linspace(-seconds, 0, len(trace.values), endpoint=False)
            for k in np.flatnonzero(tint > 0.02):
                ax.axvspan(edges[k], edges[k + 1], color=ink("model"), alpha=0.32 * float(tint[k]), lw=0)
            ax.plot(x, trace.values, color=ink("ink"), lw=0.9 if len(trace.values) > 400 else 1.4)
            ax.set_yticks([])
            ax.set_ylabel(shorten(trace.name, 9), rotation=0, ha="right", va="center", fontsize=13)
            ax.spines["left"].set_visible(False)
        last = axes[-1]
        for h in range(heads):
            last.stairs(weights[h], edges, color=ink("soft"), lw=1.0, alpha=0.8)
        last.stairs(mean, edges, color=ink("model"), lw=2.2, baseline=None)
        last.axhline(1 / tokens, color=ink("soft"), lw=1.1, ls=(0, (4, 3)))
        last.set_ylim(bottom=0)
        last.locator_params(axis="y", nbins=4)
        last.set_xlabel("seconds before the window's end")
        last.set_ylabel("attention" if narrow else "attention of each head")

    return draw(width_px, 150 + 62 * len(traces), name, alt, paint)
