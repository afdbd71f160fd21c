"""Picture of a spiking network's bill: how often each layer fires, and what causes the energy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from insula.plots.style import WIDE_PX, draw, ink, is_narrow, shorten, strip_axes

CAUSES = (("spikes", "c1"), ("membranes", "c6"), ("analogue", "c9"))
_PITCH = 19.0


@dataclass(frozen=True)
class SpikeBill:
    """Joules a decision of one network by cause: spikes in weights and attention, membranes, analogue layers."""

    name: str
    spikes: float
    membranes: float
    analogue: float


def spikes(
    rates: Sequence[tuple[str, float]],
    bills: Sequence[SpikeBill],
    *,
    joules: Callable[[float], str],
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw the rate of each layer (name, share of neurons and steps that fired) and the bills as stacked bars."""
    narrow = is_narrow(width_px)
    upper, lower = _PITCH * len(rates) + 62, 30.0 * len(bills) + 88

    def paint(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, height_ratios=[upper, lower])
        _rates(above, rates, 26 if narrow else 40)
        _bills(below, bills, joules)
        above.set_title("fired (%)" if narrow else "share of neurons and steps that fired (%)")
        below.set_title("energy a decision" if narrow else "energy a decision, by cause")
        figure.align_titles([above, below])
        figure.legend(*below.get_legend_handles_labels(), loc="outside lower left", ncols=3, columnspacing=1.2)

    return draw(width_px, upper + lower, name, alt, paint)


def _rates(ax: Axes, rates: Sequence[tuple[str, float]], letters: int) -> None:
    places = range(len(rates))
    shares = [100 * rate for _, rate in rates]
    ax.barh(places, shares, color=ink("model"), height=0.62)
    for place, share in zip(places, shares, strict=True):
        ax.annotate(
            f"{share:.0f} %" if share >= 0.95 or share == 0 else f"{share:.1f} %", (share, place), (4, 0),
            textcoords="offset points", va="center", fontsize=12, color=ink("soft"),
        )  # fmt: skip
    ax.set_yticks(places, [shorten(name, letters) for name, _ in rates])
    ax.set_ylim(len(rates) - 0.5, -0.5)
    ax.set_xlim(0, 1.15 * max(20.0, *shares))
    ax.locator_params(axis="x", nbins=5)
    strip_axes(ax)


def _bills(ax: Axes, bills: Sequence[SpikeBill], joules: Callable[[float], str]) -> None:
    left = [0.0] * len(bills)
    for cause, color in CAUSES:
        parts = [getattr(bill, cause) for bill in bills]
        ax.barh(range(len(bills)), parts, left=left, color=ink(color), height=0.6, label=cause)
        left = [a + b for a, b in zip(left, parts, strict=True)]
    for place, total in enumerate(left):
        ax.annotate(
            joules(total), (total, place), (4, 0), textcoords="offset points", va="center", fontsize=12,
            color=ink("soft"),
        )  # fmt: skip
    ax.set_yticks(range(len(bills)), [bill.name for bill in bills])
    ax.set_ylim(len(bills) - 0.5, -0.5)
    ax.set_xlim(0, 1.3 * max(left))
    ax.xaxis.set_major_formatter(lambda v, _: joules(v) if v > 0 else "0")
    ax.locator_params(axis="x", nbins=3)
    strip_axes(ax)
