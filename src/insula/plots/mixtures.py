"""Picture of mixed emotions: what was rated and what was predicted, a pair of stacked bars a trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from insula.plots.style import WIDE_PX, class_inks, draw, ink, is_narrow, shorten, strip_axes


@dataclass(frozen=True)
class MixedTrial:
    """Rated and predicted shares (K,) of one trial."""

    name: str
    rated: Sequence[float]
    said: Sequence[float]


def mixtures(
    trials: Sequence[MixedTrial], classes: Sequence[str], *, name: str, alt: str, width_px: int = WIDE_PX
) -> str:
    """Draw each trial's rating (upper bar) above its prediction (lower, paler bar), emotions in the order given."""
    inks = class_inks(classes)
    pitch = 34.0

    def paint(figure: Figure) -> None:
        ax = figure.subplots()
        for at, trial in enumerate(trials):
            for values, shift, alpha in ((trial.rated, -0.19, 1.0), (trial.said, 0.19, 0.55)):
                left = 0.0
                for label, value in zip(classes, values, strict=True):
                    ax.barh(
                        at + shift, 100 * value, left=left, height=0.36, color=ink(inks[label]), alpha=alpha,
                        edgecolor=ink("paper"), linewidth=0.6, label=label if not at and shift < 0 else None,
                    )  # fmt: skip
                    left += 100 * value
        letters = 12 if is_narrow(width_px) else 24
        ax.set_yticks(np.arange(len(trials)), [shorten(t.name, letters) for t in trials])
        ax.set_ylim(len(trials) - 0.5, -0.5)
        ax.set_xlim(0, 100)
        ax.xaxis.set_major_formatter(lambda v, _: f"{v:.0f} %")
        strip_axes(ax)
        ax.set_xlabel("share of each emotion; upper bar rated, lower predicted")
        figure.legend(loc="outside upper left", ncols=3 if is_narrow(width_px) else 5, columnspacing=1.2)

    rows = -(-len(classes) // (3 if is_narrow(width_px) else 5))
    return draw(width_px, 62 + 20 * rows + pitch * len(trials), name, alt, paint)
