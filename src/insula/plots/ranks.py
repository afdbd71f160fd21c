"""Mean ranks of systems over people, with bars over those that cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from insula.plots.style import WIDE_PX, draw, ink, is_narrow, shorten, strip_axes

_MARKERS = {"model": "o", "ablation": "D", "classical": "s", "baseline": "o", "clock": "^"}
"""Marks of the kinds of system, as in the table beside."""


def ranks(
    systems: Sequence[str],
    mean_rank: Sequence[float],
    cliques: Sequence[Sequence[str]],
    critical: float,
    *,
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
    inks: Sequence[str] | None = None,
) -> str:
    """Draw one row a system, best first; vertical bars join systems that are not told apart.

    ``inks`` names the ink of each system: model, ablation, classical, baseline or clock.
    ``critical`` is drawn to scale at the top: mean ranks further apart than this differ by Nemenyi's test.
    """
    narrow = is_narrow(width_px)
    pitch = 40 if narrow else 28
    place = {system: len(systems) - 1 - i for i, system in enumerate(systems)}

    def paint(figure: Figure) -> None:
        ax = figure.subplots()
        top = len(systems) - 0.1
        kinds = inks if inks is not None else ["model"] * len(systems)
        for system, rank, kind in zip(systems, mean_rank, kinds, strict=True):
            at = place[system]
            hollow: dict[str, Any] = {"mfc": ink("paper"), "mew": 2} if kind == "baseline" else {}
            ax.plot([rank], [at], marker=_MARKERS[kind], ms=8, color=ink(kind), zorder=3, **hollow)
            look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 12.5, "color": ink("ink")}
            if narrow:
                ax.annotate(
                    shorten(system, 50), (0, at), (0, 7), xycoords=("axes fraction", "data"), va="bottom", **look
                )
            else:
                ax.annotate(
                    shorten(system, 50), (0, at), (-10, 0), xycoords=("axes fraction", "data"), ha="right",
                    va="center", **look,
                )  # fmt: skip
            ax.annotate(f"{rank:.2f}", (1, at), (10, 0), xycoords=("axes fraction", "data"), va="center", **look)
        span = max(len(systems) - 1.0, 1.0)
        for i, clique in enumerate(cliques):
            rows = [place[s] for s in clique]
            x = len(systems) + 0.35 + 0.12 * span * i / max(len(cliques), 1)
            ax.plot([x, x], [min(rows) - 0.25, max(rows) + 0.25], color=ink("soft"), lw=4, solid_capstyle="round")
        ax.plot([1, 1 + critical], [top, top], color=ink("soft"), lw=2, marker="|", ms=9)
        ax.annotate(
            f"critical difference {critical:.2f}", (1 + critical, top), (8, 0), textcoords="offset points",
            va="center", fontsize=12, color=ink("soft"),
        )  # fmt: skip
        ax.set_xlim(0.7, len(systems) + 0.5 + 0.12 * span)
        ax.set_ylim(-0.6, top + 0.5)
        ax.set_yticks([])
        ax.set_xticks(np.arange(1, len(systems) + 1, -(-len(systems) // (5 if narrow else 10))))
        ax.grid(axis="x", color=ink("rule"), lw=0.7)
        strip_axes(ax, "bottom")
        ax.set_xlabel("mean rank over people (1 is best)")

    return draw(width_px, 84 + pitch * len(systems), name, alt, paint)
