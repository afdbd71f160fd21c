"""Picture of how alike two modalities of one window are, against those of different windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from insula.plots.style import WIDE_PX, draw, ink


def agreement(same: Sequence[float], other: Sequence[float], *, name: str, alt: str, width_px: int = WIDE_PX) -> str:
    """Draw shares of cosines in equal bins from -1 to 1: of the same window filled, of different ones as an outline."""
    edges = np.linspace(-1, 1, len(same) + 1)

    def paint(figure: Figure) -> None:
        ax = figure.subplots()
        ax.stairs(np.asarray(same) * 100, edges, fill=True, color=ink("model"), alpha=0.5, label="same window")
        ax.stairs(np.asarray(other) * 100, edges, color=ink("ink"), lw=1.4, label="different trials")
        ax.set_xlabel("cosine of the two modalities")
        ax.set_ylabel("share of pairs (%)")
        ax.set_xlim(-1, 1)
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2)

    return draw(width_px, 260, name, alt, paint)
