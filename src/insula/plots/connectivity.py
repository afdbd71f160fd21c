"""Picture of a graph on the head: the strongest links between electrodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from insula.plots.electrodes import draw_head
from insula.plots.style import WIDE_PX, draw, ink, is_narrow


@dataclass(frozen=True)
class HeadGraph:
    """Links of one head: (first, second, weight) by electrode number; a weight below 0 has the other colour."""

    title: str
    links: Sequence[tuple[int, int, float]]


def head_graphs(
    graphs: Sequence[HeadGraph],
    channels: Sequence[str],
    xy: NDArray[np.float64],
    *,
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw a head a graph, seen from above; a heavier link is thicker. ``xy`` (C, 2), NaN where unknown."""
    narrow = is_narrow(width_px)
    columns = min(len(graphs), 1 if narrow else 2)
    rows = -(-len(graphs) // columns)
    reach = max(1.0, float(np.nanmax(np.hypot(*xy.T))))
    heaviest = max((abs(w) for g in graphs for _, _, w in g.links), default=1.0) or 1.0

    def paint(figure: Figure) -> None:
        axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
        for ax in axes[len(graphs) :]:
            ax.axis("off")
        for ax, graph in zip(axes, graphs, strict=False):
            draw_head(ax, reach)
            for i, j, weight in graph.links:
                if np.isfinite(xy[[i, j]]).all():
                    share = abs(weight) / heaviest
                    colour = ink("c2") if weight >= 0 else ink("model")
                    ax.plot(*xy[[i, j]].T, color=colour, lw=0.6 + 4 * share, alpha=0.35 + 0.45 * share, zorder=2)
            for channel, place in zip(channels, xy, strict=True):
                if np.isfinite(place).all():
                    ax.plot(*place, marker="o", ms=5, color=ink("ink"), mew=0, zorder=3)
                    if len(channels) <= 20:
                        ax.annotate(
                            channel, place, (0, -6), textcoords="offset points", ha="center", va="top", fontsize=10,
                            color=ink("ink"), bbox={"facecolor": ink("paper"), "edgecolor": "none", "pad": 0.5},
                            zorder=2.5,
                        )  # fmt: skip
            ax.set_title(graph.title, pad=4)

    return draw(width_px, 345 * rows, name, alt, paint)
