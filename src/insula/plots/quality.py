"""Picture of the signals' quality: a strip of people for every flag of every modality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from insula.plots.style import WIDE_PX, draw, ink, is_narrow, shorten
from insula.types import DoubleArray

SHADES = ((0.0, "none"), (0.01, "to 1 %"), (0.05, "to 5 %"), (0.2, "to 20 %"), (0.5, "to 50 %"), (1.0, "more"))
"""Upper limits of the shades, and what each is called."""
_ALPHA = (0.0, 0.18, 0.36, 0.56, 0.78, 1.0)
_PITCH, _GAP, _HEAD = 19, 9, 20


@dataclass(frozen=True)
class Strips:
    """One modality: its flags, their share of all time as text, shares (flags, people) with NaN where not judged."""

    name: str
    flags: tuple[str, ...]
    texts: tuple[str, ...]
    shares: DoubleArray


def quality(
    modalities: Sequence[Strips], people: Sequence[str], *, name: str, alt: str, width_px: int = WIDE_PX
) -> str:
    """Draw one row a flag and one cell a person, shaded by the share of time that the flag marks."""
    narrow = is_narrow(width_px)
    left, right = (76, 62) if narrow else (92, 70)
    height = sum(_HEAD + _PITCH * len(m.flags) + _GAP for m in modalities)
    letters = min(max((len(p) for p in people), default=0), 12)
    room = (width_px - left - right) / max(1, len(people))
    level = room > 7.5 * letters + 6
    named = level or room > 13
    foot = 22 if level or not named else 14 + 6.4 * letters
    legend = 46 if narrow else 26

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("none")
        whole = legend + height + foot
        ax = figure.add_axes((left / width_px, foot / whole, (width_px - left - right) / width_px, height / whole))
        ax.set_xlim(0, max(1, len(people)))
        ax.set_ylim(height, 0)
        top = 0.0
        for one in modalities:
            ax.annotate(one.name, (0, top + _HEAD / 2), (-left + 2, 0), textcoords="offset points", va="center",
                        fontsize=13, fontweight="bold", color=ink("ink"), annotation_clip=False)  # fmt: skip
            top = _rows(ax, one, top + _HEAD, left, min(0.12, 1 / room)) + _GAP
        _people(ax, people if named else (), len(people), 0 if level else 90)
        handles: list[Patch] = [
            Patch(facecolor=ink("fill"), edgecolor=ink("rule"), lw=0.8, label=SHADES[0][1]),
            *(
                Patch(color=ink("clock"), alpha=a, lw=0, label=t)
                for a, (_, t) in zip(_ALPHA[1:], SHADES[1:], strict=True)
            ),
        ]
        figure.legend(handles=handles, loc="upper left", ncols=3 if narrow else 6, handlelength=1, columnspacing=1.2,
                      borderaxespad=0, bbox_to_anchor=(0, 1))  # fmt: skip

    return draw(width_px, legend + height + foot, name, alt, paint)


def _rows(ax: Axes, one: Strips, top: float, left: float, edge: float) -> float:
    level = np.searchsorted([s for s, _ in SHADES], np.nan_to_num(one.shares) - 1e-9)
    level = np.clip(level, 0, len(SHADES) - 1)
    known = np.isfinite(one.shares)
    for k, alpha in enumerate(_ALPHA):
        cells = [_cell(top + _PITCH * i, j, edge) for i, j in zip(*np.nonzero((level == k) & known), strict=True)]
        if cells:
            shape = Path.make_compound_path(*cells)
            ax.add_patch(PathPatch(shape, facecolor=ink("clock" if k else "fill"), alpha=alpha or None, lw=0))
    for i, (flag, text) in enumerate(zip(one.flags, one.texts, strict=True)):
        middle = top + _PITCH * (i + 0.5)
        look: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 12, "annotation_clip": False}
        ax.annotate(flag, (0, middle), (-left + 2, 0), color=ink("soft"), **look)
        ax.annotate(text, (ax.get_xlim()[1], middle), (8, 0), color=ink("ink"), **look)
    return top + _PITCH * len(one.flags)


def _people(ax: Axes, names: Sequence[str], count: int, rotation: float) -> None:
    for side in ax.spines.values():
        side.set_visible(False)
    ax.set_yticks([])
    ax.set_xticks([i + 0.5 for i in range(len(names))], [shorten(n, 12) for n in names], rotation=rotation, fontsize=11)
    ax.tick_params(axis="x", length=0, pad=2)
    if not names:
        ax.set_xlabel(f"{count} people, one a column", fontsize=12)


def _cell(top: float, column: int, edge: float) -> Path:
    x, y, right, low = column + edge, top + 1, column + 1 - edge, top + _PITCH - 1
    return Path(np.asarray([(x, y), (right, y), (right, low), (x, low), (x, y)], np.float64), closed=True)
