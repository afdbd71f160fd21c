"""Picture of a quantity over a session: as measured, and as a network said it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from insula.plots.style import WIDE_PX, draw, ink

_GAP = 1.9
"""Lines break where nothing was scored for longer than so many usual steps."""


def conductance(
    minutes: Sequence[float],
    measured: Sequence[float],
    said: Sequence[float],
    *,
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw both curves over minutes of the session, broken where windows are missing."""
    at, values, answers = (np.asarray(v, dtype=float) for v in (minutes, measured, said))
    steps = np.diff(at)
    breaks = np.flatnonzero(steps > _GAP * np.median(steps)) + 1 if len(steps) else np.empty(0, np.int64)
    at, values, answers = (np.insert(v, breaks, np.nan) for v in (at, values, answers))

    def paint(figure: Figure) -> None:
        ax = figure.subplots()
        ax.plot(at, values, color=ink("soft"), lw=1.4, marker="o", ms=2.5, label="measured")
        ax.plot(at, answers, color=ink("model"), lw=2.0, marker="o", ms=2.5, label="said by the network")
        ax.axhline(0, color=ink("rule"), lw=0.8, zorder=0)
        ax.set_xlabel("minutes of the session")
        ax.set_ylabel("conductance (deviations)")
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2)

    return draw(width_px, 270, name, alt, paint)
