"""Pictures of attention between electrodes: on the head and as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from insula.plots.style import WIDE_PX, draw, ink, is_narrow

_LINKS = 12
_LEVELS = 9


@dataclass(frozen=True)
class ElectrodeMap:
    """Attention between electrodes: matrix (C, C), row attends to column, and a title."""

    title: str
    matrix: NDArray[np.float64]


def electrode_heads(
    maps: Sequence[ElectrodeMap],
    channels: Sequence[str],
    xy: NDArray[np.float64],
    outside: Sequence[str],
    *,
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw a head a map, seen from above: discs for the attention an electrode receives, lines for the strongest links.

    The same share has the same size in all maps, from the least of all to the largest. ``xy`` (C, 2) is 1 at the rim
    and NaN where unknown; electrodes ``outside`` are written in bold.
    """
    narrow = is_narrow(width_px)
    share = [m.matrix.mean(0) * len(channels) for m in maps]  # 1: an even share
    least, most = min(float(s.min()) for s in share), max(float(s.max()) for s in share)
    links = [(m.matrix + m.matrix.T) / 2 * len(channels) for m in maps]
    thickest = max(float(np.triu(both, 1).max()) for both in links)
    reach = float(np.nanmax(np.hypot(*xy.T)))

    def paint(figure: Figure) -> None:
        axes = np.ravel(figure.subplots(*((len(maps), 1) if narrow else (1, len(maps))), squeeze=False))
        for ax, one, received, both in zip(axes, maps, share, links, strict=True):
            draw_head(ax, max(1.0, reach))
            _linked(ax, both, xy, thickest)
            for i, channel in enumerate(channels):
                if np.isnan(xy[i, 0]):
                    continue
                size = (received[i] - least) / max(most - least, 1e-9)
                ax.plot(*xy[i], marker="o", ms=4 + 14 * size, color=ink("model"), mew=0, zorder=3)
                strong = channel in outside and one is maps[0]
                ax.annotate(
                    channel, xy[i], (0, -10), textcoords="offset points", ha="center", va="top", fontsize=11,
                    color=ink("ink"), fontweight="bold" if strong else "normal", zorder=2.5,
                    bbox={"facecolor": ink("paper"), "edgecolor": "none", "pad": 0.5},
                )  # fmt: skip
            ax.set_title(one.title, pad=4)

    return draw(width_px, 345 * (len(maps) if narrow else 1), name, alt, paint)


def draw_head(ax: Axes, rim: float) -> None:
    """Draw the outline of a head seen from above, nose up."""
    turn = np.linspace(0, 2 * np.pi, 120)
    ax.plot(rim * np.cos(turn), rim * np.sin(turn), color=ink("soft"), lw=1.2, zorder=1)
    ax.plot([-0.1 * rim, 0, 0.1 * rim], [0.995 * rim, 1.12 * rim, 0.995 * rim], color=ink("soft"), lw=1.2, zorder=1)
    for side in (-1, 1):
        ear = np.array([[1.0, 0.13], [1.06, 0.1], [1.06, -0.1], [1.0, -0.13]]) * rim
        ax.plot(side * ear[:, 0], ear[:, 1], color=ink("soft"), lw=1.2, zorder=1)
    ax.set_aspect("equal")
    ax.set_xlim(-1.16 * rim, 1.16 * rim)
    ax.set_ylim(-1.2 * rim, 1.16 * rim)
    ax.axis("off")


def _linked(ax: Axes, both: NDArray[np.float64], xy: NDArray[np.float64], thickest: float) -> None:
    """Draw the strongest links above an even share."""
    rows, columns = np.triu_indices(len(both), 1)
    known = np.isfinite(xy[rows, 0]) & np.isfinite(xy[columns, 0]) & (both[rows, columns] > 1)
    rows, columns = rows[known], columns[known]
    for k in np.argsort(-both[rows, columns])[:_LINKS]:
        i, j = rows[k], columns[k]
        width = (both[i, j] - 1) / max(thickest - 1, 1e-9)
        ax.plot(*xy[[i, j]].T, color=ink("c2"), lw=0.6 + 4 * width, alpha=0.35 + 0.4 * width, zorder=2)


def electrode_matrices(
    maps: Sequence[ElectrodeMap],
    channels: Sequence[str],
    *,
    name: str,
    alt: str,
    axis: str = "attends to",
    width_px: int = WIDE_PX,
) -> str:
    """Draw each map as a square of shades from the least to the largest share of all maps; row attends to column."""
    narrow = is_narrow(width_px)
    low, top = min(float(m.matrix.min()) for m in maps), max(float(m.matrix.max()) for m in maps)
    every = max(1, -(-len(channels) // 16))

    def paint(figure: Figure) -> None:
        axes = np.ravel(figure.subplots(*((len(maps), 1) if narrow else (1, len(maps))), squeeze=False))
        for ax, one in zip(axes, maps, strict=True):
            _shades(ax, (one.matrix - low) / max(top - low, 1e-12))
            places = range(0, len(channels), every)
            ax.set_xticks([i + 0.5 for i in places], [channels[i] for i in places], rotation=90, fontsize=11)
            ax.set_yticks([i + 0.5 for i in places], [channels[i] for i in places], fontsize=11)
            ax.tick_params(length=0, pad=2)
            ax.set_title(one.title, pad=6)
            ax.set_xlabel(axis)

    return draw(width_px, 375 * (len(maps) if narrow else 1), name, alt, paint)


def _shades(ax: Axes, share: NDArray[np.float64]) -> None:
    """Paint cells of equal shade as one shape each, so that 62 electrodes stay a small picture."""
    level = np.clip(np.round(share * _LEVELS), 0, _LEVELS).astype(int)
    n = len(share)
    for k in range(1, _LEVELS + 1):
        cells = [_cell(i, j) for i, j in zip(*np.nonzero(level == k), strict=True)]
        if cells:
            shape = Path.make_compound_path(*cells)
            ax.add_patch(PathPatch(shape, facecolor=ink("model"), alpha=k / _LEVELS, lw=0))
    ax.set_xlim(0, n)
    ax.set_ylim(n, 0)
    ax.set_aspect("equal")
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color(ink("rule"))


def _cell(row: int, column: int) -> Path:
    corners = [(column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1), (column, row)]
    return Path(np.asarray(corners, np.float64), closed=True)
