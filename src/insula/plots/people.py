"""Pictures of people: one row a person, and predictions along a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from insula.plots.style import WIDE_PX, class_inks, draw, ink, is_narrow, shorten, strip_axes

_NAMED_PEOPLE = 45


@dataclass(frozen=True)
class PersonScore:
    """One person's score under the model and under the best baseline (NaN where there is none)."""

    name: str
    model: float
    baseline: float


def per_person(
    people: Sequence[PersonScore],
    *,
    titles: tuple[str, str],
    chance: float,
    axis: str,
    text: Callable[[float], str],
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw a dot a person for the model and one for the baseline, joined, best person first."""
    rows = sorted(people, key=lambda p: p.model, reverse=True)
    named = len(rows) <= _NAMED_PEOPLE
    pitch = 23 if named else 8
    longest = 12 if is_narrow(width_px) else 26

    def paint(figure: Figure) -> None:
        ax = figure.subplots()
        y = np.arange(len(rows))[::-1]
        ax.axvline(chance, color=ink("soft"), lw=1.2, ls=(0, (4, 3)), zorder=1)
        ax.hlines(
            y, [min(r.model, r.baseline) for r in rows], [max(r.model, r.baseline) for r in rows], lw=1.6,
            color=[ink("model" if r.model >= r.baseline else "clock") for r in rows], alpha=0.55, zorder=2,
        )  # fmt: skip
        size = 7 if named else 4
        ax.plot(
            [r.baseline for r in rows], y, ls="none", marker="s", ms=size - 1, mfc=ink("paper"), mew=1.4,
            color=ink("baseline"), label=shorten(titles[1], 52), zorder=3,
        )  # fmt: skip
        ax.plot(
            [r.model for r in rows], y, ls="none", marker="o", ms=size, color=ink("model"),
            label=shorten(titles[0], 52), zorder=4,
        )  # fmt: skip
        ax.set_ylim(-0.7, len(rows) - 0.3)
        ax.set_yticks(y if named else [], [shorten(r.name, longest) for r in rows] if named else [])
        for tick in ax.get_yticklabels():
            tick.set_color(ink("ink"))
        ax.annotate(
            "chance", (chance, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", va="bottom", fontsize=12, color=ink("soft"),
        )  # fmt: skip
        ax.grid(axis="x", color=ink("rule"), lw=0.7)
        ax.xaxis.set_major_formatter(lambda v, _: text(v))
        ax.locator_params(axis="x", nbins=4 if is_narrow(width_px) else 7)
        strip_axes(ax, "bottom")
        ax.set_xlabel(axis)
        figure.legend(loc="outside upper left", ncols=1 if is_narrow(width_px) else 2, handletextpad=0.2, borderpad=0)

    height = 100 + pitch * len(rows) + (18 if is_narrow(width_px) else 0)
    return draw(width_px, height, name, alt, paint)


@dataclass(frozen=True)
class Strip:
    """Predictions along one person's session, one entry a window.

    start_s, stop_s (n,) seconds on the session's clock; true (n,) class codes; probability (n, K); trial (n,) codes.
    ``score`` is written beside the name.
    """

    name: str
    score: str
    start_s: NDArray[np.float64]
    stop_s: NDArray[np.float64]
    true: NDArray[np.int64]
    probability: NDArray[np.float64]
    trial: NDArray[np.int64]


def timeline(strips: Sequence[Strip], classes: Sequence[str], *, name: str, alt: str, width_px: int = WIDE_PX) -> str:
    """Draw for each person the true label as a band and the predicted probabilities below it, along the session.

    With two classes the probability of the second one is a line; with more, probabilities are stacked.
    A window stands at its end, when it becomes known, as wide as the step to the next one.
    """
    inks = class_inks(classes)

    def paint(figure: Figure) -> None:
        axes = figure.subplots(len(strips), 1, sharex=True, squeeze=False)[:, 0]
        for ax, strip in zip(axes, strips, strict=True):
            _strip(ax, strip, classes, inks, is_narrow(width_px))
        axes[-1].set_xlabel("minutes into the session")
        handles: list[Patch] = [Patch(color=ink(inks[c]), label=shorten(c, 14)) for c in classes]
        columns = 3 if is_narrow(width_px) else 7
        figure.legend(handles=handles, loc="outside upper left", ncols=columns, handlelength=1, columnspacing=1.1)

    columns = 3 if is_narrow(width_px) else 7
    height = 50 + 21 * -(-len(classes) // columns) + 126 * len(strips)
    return draw(width_px, height, name, alt, paint)


def _strip(ax: Axes, strip: Strip, classes: Sequence[str], inks: Mapping[str, str], narrow: bool) -> None:
    order = np.argsort(strip.stop_s, kind="stable")
    stop, true, trial, p = (a[order] for a in (strip.stop_s, strip.true, strip.trial, strip.probability))
    steps = np.diff(stop)
    hop_s = float(np.median(steps[steps > 0])) if np.any(steps > 0) else float(np.median(strip.stop_s - strip.start_s))
    bands: dict[str, list[tuple[float, float]]] = {}
    x: list[NDArray[np.float64]] = []
    held: list[NDArray[np.float64]] = []
    for code in dict.fromkeys(trial.tolist()):
        rows = trial == code
        # edges (n + 1,): every window holds until the next one is known; NaN leaves a gap after the trial
        edges = np.append(stop[rows], stop[rows][-1] + hop_s) / 60
        bands.setdefault(classes[int(true[rows][0])], []).append((float(edges[0]), float(edges[-1] - edges[0])))
        x += [edges, np.array([np.nan])]
        held += [p[rows], p[rows][-1:], np.full((1, len(classes)), np.nan)]
    for label, spans in bands.items():
        ax.broken_barh(spans, (1.1, 0.2), color=ink(inks[label]), lw=0)
    at, shown = np.concatenate(x), np.concatenate(held)
    if len(classes) == 2:
        color = ink(inks[classes[1]])
        ax.fill_between(at, shown[:, 1], step="post", color=color, alpha=0.3, lw=0)
        ax.plot(at, shown[:, 1], drawstyle="steps-post", color=color, lw=1.4)
    else:
        top = np.cumsum(shown, axis=1)
        for k, label in enumerate(classes):
            low = top[:, k - 1] if k else 0 * top[:, 0]
            ax.fill_between(at, low, top[:, k], step="post", color=ink(inks[label]), lw=0, alpha=0.85)
    if len(classes) == 2:
        ax.axhline(0.5, color=ink("soft"), lw=0.9, ls=(0, (4, 3)))
    ax.set_xlim(left=max(0.0, float(strip.start_s.min()) / 60 - 0.5))
    ax.set_ylim(0, 1.32)
    ax.set_yticks([0, 0.5, 1, 1.2], ["0", ".5", "1", "true"])
    ax.tick_params(axis="y", length=0)
    strip_axes(ax, "bottom")
    ax.set_title(f"{shorten(strip.name, 18 if narrow else 40)} · {strip.score}", pad=3)
