"""Picture of answers withheld: how many of those given are right, against the share that is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from insula.plots.style import WIDE_PX, draw, ink


def coverage(
    shares: Sequence[float],
    accuracy: Sequence[float],
    *,
    tick: Callable[[float], str],
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw ``accuracy`` of the surest ``shares`` of answers, both from 0 to 1, all answers at the left."""

    def paint(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.plot(shares, accuracy, color=ink("model"), marker="o", ms=4.5, lw=2.2, zorder=3)
        ax.axhline(accuracy[0], color=ink("soft"), lw=1.2, ls=(0, (4, 3)), zorder=1)
        ax.set_xlim(1.04, 0.0)
        ax.set_ylim(max(0.0, min(accuracy) - 0.1), min(1.03, max(accuracy) + 0.1))
        ax.xaxis.set_major_formatter(lambda v, _: tick(v))
        ax.yaxis.set_major_formatter(lambda v, _: tick(v))
        ax.locator_params(axis="y", nbins=5)
        ax.grid(axis="y", color=ink("rule"), lw=0.7)
        ax.set_xlabel("windows answered, the surest last to go")
        ax.set_ylabel("right of these")

    return draw(width_px, 260, name, alt, paint)
