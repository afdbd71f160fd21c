"""Pictures of what is inside a model: curves of each class, time constants, memory, the latent map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from insula.plots.style import WIDE_PX, class_inks, draw, ink, is_narrow, shorten


@dataclass(frozen=True)
class ClassCurve:
    """Mean curve of one class, its interval (NaN where none) and p by permutation over trials."""

    name: str
    mean: NDArray[np.float64]
    lo: NDArray[np.float64]
    hi: NDArray[np.float64]
    p: float


def class_curves(
    x: NDArray[np.float64],
    classes: Sequence[ClassCurve],
    *,
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
    axes: tuple[str, str] = ("seconds before the window's end", "attention"),
    from_zero: bool = True,
    tick: Callable[[float], str] | None = None,
) -> str:
    """Draw a curve over x, one panel a class, against the mean of all classes.

    ``axes`` names x and y; ``from_zero`` begins y at 0; ``tick`` writes a value at the y axis.
    """
    narrow = is_narrow(width_px)
    columns = min(len(classes), 2 if narrow else (4 if len(classes) > 3 else 3))
    rows = -(-len(classes) // columns)
    inks = class_inks([c.name for c in classes])
    order = np.argsort(x)
    x = x[order]
    overall = np.mean([c.mean for c in classes], axis=0)[order]

    def paint(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax in grid.ravel()[len(classes) :]:
            ax.remove()
        for i, (ax, one) in enumerate(zip(grid.ravel(), classes, strict=False)):
            color = ink(inks[one.name])
            if np.isfinite(one.lo).all():
                ax.fill_between(x, one.lo[order], one.hi[order], color=color, alpha=0.22, lw=0)
            ax.plot(x, overall, color=ink("soft"), lw=1.2, ls=(0, (4, 3)))
            ax.plot(x, one.mean[order], color=color)
            ax.set_title(shorten(one.name, 16), pad=19 if np.isfinite(one.p) else 6)
            if np.isfinite(one.p):
                ax.annotate(
                    _p(one.p), (0, 1), (0, 2), xycoords="axes fraction", textcoords="offset points", fontsize=12,
                    va="bottom", color=ink("ink" if one.p < 0.05 else "soft"),
                )  # fmt: skip
            ax.grid(axis="y", color=ink("rule"), lw=0.7)
            ax.locator_params(axis="both", nbins=4)
            if from_zero:
                ax.set_ylim(bottom=0)
            if tick is not None:
                ax.yaxis.set_major_formatter(lambda v, _: tick(v))
            ax.tick_params(labelbottom=i + columns >= len(classes))
        figure.supxlabel(axes[0], fontsize=13, color=ink("soft"))
        figure.supylabel(axes[1], fontsize=13, color=ink("soft"))

    return draw(width_px, 54 + 160 * rows, name, alt, paint)


def _p(p: float) -> str:
    return f"p = {p:.3f}".replace("0.", ".", 1) if p >= 0.001 else "p < .001"


def time_constants(
    trained_s: Sequence[float],
    untrained_s: Sequence[float],
    groups: Mapping[str, Sequence[int]],
    *,
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw the spread of mean system time constants on a log axis, trained filled, untrained as an outline.

    ``groups`` maps fast and slow to neuron numbers; they are drawn as ticks under the axis (empty: no groups).
    """
    trained = np.asarray(trained_s, dtype=float)
    untrained = np.asarray(untrained_s, dtype=float)
    every = np.concatenate([trained, untrained])
    edges = np.geomspace(every.min() * 0.9, every.max() * 1.1, 22).tolist()

    def paint(figure: Figure) -> None:
        ax = figure.subplots()
        count, _, _ = ax.hist(trained, bins=edges, color=ink("model"), alpha=0.5, label="trained")
        most = float(np.max(count))
        if untrained.size:
            count, _ = np.histogram(untrained, bins=edges)
            most = max(most, float(count.max()))
            ax.stairs(count, edges, color=ink("ink"), lw=1.4, label="untrained")
        for group, color in (("fast", "c2"), ("slow", "c1")):
            members = [i for i in groups.get(group, ()) if 0 <= i < len(trained)]
            if members:
                ax.plot(
                    trained[members], np.full(len(members), -0.07 * most), ls="none", marker="|", ms=10, mew=1.6,
                    color=ink(color), label=f"{group} group",
                )  # fmt: skip
        ax.set_ylim(-0.13 * most, 1.08 * most)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda v, _: seconds(v))
        ax.xaxis.set_minor_formatter(lambda *_: "")
        ax.yaxis.set_major_formatter(lambda v, _: f"{v:.0f}" if v >= 0 else "")
        ax.locator_params(axis="y", nbins=4, integer=True)
        ax.set_xlabel("mean system time constant (log scale)")
        ax.set_ylabel("neurons")
        figure.legend(loc="outside upper left", ncols=2 if is_narrow(width_px) else 4, columnspacing=1.2)

    return draw(width_px, 290, name, alt, paint)


def seconds(value: float) -> str:
    """Write a time in the unit people would say it in: ms, s or min."""
    if value < 0.9995:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g} s" if value < 119.5 else f"{value / 60:.3g} min"


def retention(
    horizons: Mapping[str, Sequence[float]],
    trained_share: float,
    untrained_share: float,
    seed_shares: Sequence[float],
    *,
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw how much of a neuron's state is left after each horizon, and the share of neurons that keep over half.

    The second panel has the untrained network, the trained one and each further seed.
    """
    narrow = is_narrow(width_px)
    shares = any(np.isfinite(v) for v in (trained_share, untrained_share))

    def paint(figure: Figure) -> None:
        panels = 1 + shares
        shape = (panels, 1) if narrow else (1, panels)
        ratios = {"height_ratios" if narrow else "width_ratios": (3, 2)[:panels]}
        axes = figure.subplots(*shape, squeeze=False, gridspec_kw=ratios).ravel()
        _retained(axes[0], horizons)
        if shares:
            _shares(axes[1], trained_share, untrained_share, seed_shares)
        handles = [h for ax in axes for h in ax.get_legend_handles_labels()[0]]
        figure.legend(handles=handles, loc="outside upper left", ncols=2 if narrow else 4)

    height = (260 + 180 * shares) if narrow else 280
    return draw(width_px, height, name, alt, paint)


def _retained(ax: Axes, horizons: Mapping[str, Sequence[float]]) -> None:
    for (label, values), color, style in zip(
        horizons.items(), ("model", "c2", "c3"), ("-", (0, (5, 2)), ":"), strict=False
    ):
        ordered = np.sort(np.asarray(values, dtype=float))[::-1]
        rank = 100 * (np.arange(len(ordered)) + 1) / len(ordered)
        ax.plot(rank, 100 * ordered, color=ink(color), ls=style, label=f"after {label}")
    ax.axhline(50, color=ink("soft"), lw=1.0, ls=(0, (4, 3)))
    ax.set_xlim(0, 100)
    ax.set_ylim(-2, 102)
    ax.grid(axis="y", color=ink("rule"), lw=0.7)
    ax.set_xlabel("neurons, most retentive first (%)")
    ax.set_ylabel("state kept (%)")


def _shares(ax: Axes, trained: float, untrained: float, seeds: Sequence[float]) -> None:
    ax.bar([0], [100 * untrained], width=0.6, color=ink("baseline"), alpha=0.5)
    ax.bar([1], [100 * trained], width=0.6, color=ink("model"), alpha=0.6)
    if len(seeds):
        across = 1 + np.linspace(-0.18, 0.18, len(seeds)) if len(seeds) > 1 else np.array([1.0])
        ax.plot(across, 100 * np.asarray(seeds), ls="none", marker="o", ms=5, color=ink("ink"), label="each seed")
    ax.set_xlim(-0.6, 1.6)
    ax.set_ylim(0, 102)
    ax.set_yticks([0, 50, 100])
    ax.set_xticks([0, 1], ["untrained", "trained"])
    ax.set_ylabel("memory-dominant (%)")
    ax.grid(axis="y", color=ink("rule"), lw=0.7)


def latent(
    xy: NDArray[np.float64],
    labels: Sequence[str],
    subjects: Sequence[str],
    classes: Sequence[str],
    *,
    name: str,
    alt: str,
    width_px: int = WIDE_PX,
) -> str:
    """Draw the latent map (n, 2) twice, coloured by class and by person, at most 1,200 evenly chosen windows."""
    every = max(1, -(-len(xy) // 1200))
    xy, labels, subjects = xy[::every], list(labels)[::every], list(subjects)[::every]
    narrow = is_narrow(width_px)
    people = sorted(set(subjects))
    by_class = class_inks(classes)
    pool = ("c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8")
    by_person = {person: pool[i % len(pool)] for i, person in enumerate(people)}
    markers = ("o", "s", "^", "D", "v", "P", "X")
    columns = 3 if narrow else 7

    def paint(figure: Figure) -> None:
        axes = figure.subplots(2, 1) if narrow else figure.subplots(1, 2)
        for label in classes:
            rows = np.array([v == label for v in labels])
            axes[0].plot(
                *xy[rows].T, ls="none", marker="o", ms=3.6, mew=0, alpha=0.75, color=ink(by_class[label]),
                label=shorten(label, 14),
            )  # fmt: skip
        for i, person in enumerate(people):
            rows = np.array([v == person for v in subjects])
            axes[1].plot(
                *xy[rows].T, ls="none", marker=markers[(i // len(pool)) % len(markers)], ms=3.6, mew=0, alpha=0.75,
                color=ink(by_person[person]),
            )  # fmt: skip
        for ax, title in zip(axes, ("coloured by label", f"coloured by person ({len(people)})"), strict=True):
            ax.set_title(title, pad=4)
            ax.set_xticks([])
            ax.set_yticks([])
            for spine in ax.spines.values():
                spine.set_visible(True)
                spine.set_color(ink("rule"))
        legend = figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=columns, handletextpad=0.1,
            columnspacing=1.0, markerscale=2,
        )  # fmt: skip
        legend.set_zorder(5)

    legend_px = 20 * -(-len(classes) // columns)
    return draw(width_px, legend_px + (620 if narrow else 340), name, alt, paint)
