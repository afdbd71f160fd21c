"""Which electrodes move together, by band, and whether that differs between classes: of the data, not of a model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from insula import plots
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Shown
from insula.explain.electrodes import positions
from insula.explain.facts import Facts
from insula.explain.wording import p_text
from insula.signals.features import connectivity
from insula.types import DoubleArray, IntArray
from insula.windows.table import Windows

MEASURE = "wpli"
"""Blind to what one source spreads over all electrodes at once (volume conduction)."""
STRONGEST = 0.1
"""Share of links that is drawn."""
SHUFFLES = 99
_WINDOWS = 1200
_CHUNK = 200


@dataclass(frozen=True)
class BandGraph:
    """One band: its strongest links, and the strongest links of the difference between two classes."""

    band: str = ""
    links: tuple[tuple[int, int, float], ...] = ()
    p: float = math.nan
    classes: tuple[str, ...] = ()
    apart: tuple[tuple[int, int, float], ...] = ()


@dataclass(frozen=True)
class Graphs:
    """Graphs of all bands over electrodes at ``xy``; p by permuting labels among a person's trials."""

    channels: tuple[str, ...] = ()
    xy: tuple[tuple[float, float] | None, ...] = ()
    bands: tuple[BandGraph, ...] = ()
    trials: int = 0
    note: str = ""


def connectivity_graphs(windows: Windows, seed: int = 0) -> Graphs | None:
    """Average the weighted phase-lag index over windows and trials; None without EEG of three channels or a band.

    The statistic of a band is the variance between classes of trial means, each person's own mean taken away, summed
    over links; labels are permuted among the trials of each person.
    """
    spec = windows.schema.modalities.get("eeg")
    if spec is None or len(spec.channels) < 3:
        return None
    names = connectivity.valid_bands(spec.rate_hz, windows.recipe.window_s)
    scored = windows.take((windows.table["role"] == "scored").to_numpy())
    if not names or not len(scored):
        return None
    scored = scored.take(np.unique(np.linspace(0, len(scored) - 1, min(_WINDOWS, len(scored))).astype(int)))
    links = np.triu_indices(len(spec.channels), 1)
    measure = list(connectivity.MEASURES).index(MEASURE)
    parts = []
    for first in range(0, len(scored), _CHUNK):
        values, observed = scored.signals(np.arange(first, min(first + _CHUNK, len(scored))))
        found = connectivity.connectivity(values["eeg"], observed["eeg"], spec.rate_hz, names)
        parts.append(found[:, measure][:, :, links[0], links[1]])
    edges = np.concatenate(parts).astype(np.float64)  # (N, bands, links)
    trial, first_row = _trials(scored)
    means = np.stack([_mean(edges[trial == t]) for t in range(len(first_row))])  # (trials, bands, links)
    whole = np.isfinite(means).all((1, 2))
    if whole.sum() < 2:
        return None
    table = scored.table.iloc[first_row[whole]]
    person = np.unique(table["subject"].to_numpy(), return_inverse=True)[1]
    means = means[whole]
    centred = means - np.stack([means[person == k].mean(0) for k in range(person.max() + 1)])[person]
    y = None if windows.schema.continuous else scored.y[first_row[whole]].astype(np.int64)
    rng = np.random.default_rng(seed)
    made = tuple(
        _band(band, means[:, b], centred[:, b], y, person, windows.schema.classes, links, rng)
        for b, band in enumerate(names)
    )
    return Graphs(
        channels=tuple(spec.channels),
        xy=tuple(positions(spec.channels)),
        bands=made,
        trials=int(whole.sum()),
        note=f"{len(scored)} windows of {int(whole.sum())} trials; {SHUFFLES} permutations of labels among trials",
    )


def _band(
    band: str,
    means: DoubleArray,
    centred: DoubleArray,
    y: IntArray | None,
    person: IntArray,
    classes: tuple[str, ...],
    links: tuple[IntArray, IntArray],
    rng: np.random.Generator,
) -> BandGraph:
    strongest = _top(means.mean(0), links)
    if y is None or len(np.unique(y)) < 2:
        return BandGraph(band, strongest)
    real = _between(centred, y)
    shuffled = [_between(centred, _permuted(y, person, rng)) for _ in range(SHUFFLES)]
    p = (1 + sum(s >= real - 1e-12 for s in shuffled)) / (1 + SHUFFLES)
    there = np.unique(y)
    of = {int(k): centred[y == k].mean(0) for k in there}
    pairs = [(a, b) for i, a in enumerate(of) for b in list(of)[i + 1 :]]
    a, b = max(pairs, key=lambda pair: float(np.abs(of[pair[0]] - of[pair[1]]).mean()))
    return BandGraph(band, strongest, p, (classes[a], classes[b]), _top(of[a] - of[b], links))


def _trials(windows: Windows) -> tuple[IntArray, IntArray]:
    """Number of each window's trial, and the first row of each trial."""
    number = np.asarray(windows.table.groupby(["subject", "session", "trial"], sort=False).ngroup(), np.int64)
    first: IntArray = np.unique(number, return_index=True)[1].astype(np.int64)
    return number, first


def _mean(rows: DoubleArray) -> DoubleArray:
    """Mean over windows that have values; NaN without one."""
    valid = np.isfinite(rows).all((1, 2))
    return np.asarray(rows[valid].mean(0) if valid.any() else np.full(rows.shape[1:], np.nan))


def _between(values: DoubleArray, y: IntArray) -> float:
    """Variance between classes, summed over links."""
    return float(sum((y == k).mean() * (values[y == k].mean(0) ** 2).sum() for k in np.unique(y)))


def _permuted(y: IntArray, person: IntArray, rng: np.random.Generator) -> IntArray:
    out = y.copy()
    for one in np.unique(person):
        rows = np.flatnonzero(person == one)
        out[rows] = y[rng.permutation(rows)]
    return out


def _top(weights: DoubleArray, links: tuple[IntArray, IntArray]) -> tuple[tuple[int, int, float], ...]:
    """The strongest tenth of links (3 at least) by size."""
    count = max(3, round(STRONGEST * len(weights)))
    chosen = np.argsort(-np.abs(weights), kind="stable")[:count]
    return tuple((int(links[0][k]), int(links[1][k]), float(weights[k])) for k in chosen)


def _show(found: Graphs, _: Facts) -> Shown:
    xy = np.asarray([(math.nan, math.nan) if p is None else p for p in found.xy], dtype=np.float64)
    if not found.bands or xy.ndim != 2 or np.isfinite(xy[:, 0]).sum() < 3:
        return Shown()
    heads = [plots.HeadGraph(one.band, one.links) for one in found.bands]
    caption = f"""The strongest tenth of links between electrodes in each band (weighted phase-lag index: a steady lag
        between two places, which one source seen by both cannot make). It is a fact of these recordings, not of a
        model.{picture.sentence(found.note)}"""
    made = [
        picture.make(
            "connectivity", "Which places move together", caption, f"Strongest links in {len(heads)} bands.",
            plots.head_graphs, heads, found.channels, xy,
        )
    ]  # fmt: skip
    tested = [one for one in found.bands if math.isfinite(one.p)]
    if tested:
        least = min(tested, key=lambda one: one.p)
        p = min(1.0, least.p * len(tested))
        word = "differs between classes" if p <= 0.05 else "is not shown to differ between classes"
        told = f"Connectivity {word}: {p_text(p)} after Holm over {len(tested)} bands, {least.band} lowest."
        each = ", ".join(f"{one.band} {p_text(one.p)}" for one in tested)
        one, other = least.classes
        caption = f"""Where {least.band} links of {one} and {other}, the two classes furthest apart, differ most: thick
            for a large difference, in the two colours for stronger in {one} and stronger in {other}. {told} By band:
            {each}. Labels were permuted among the trials of each person."""
        graphs = [
            plots.HeadGraph(f"stronger in {one}", [link for link in least.apart if link[2] >= 0]),
            plots.HeadGraph(f"stronger in {other}", [link for link in least.apart if link[2] < 0]),
        ]
        made.append(
            picture.make(
                "connectivity-classes", "Does it differ between classes?", caption, told,
                plots.head_graphs, graphs, found.channels, xy,
            )
        )  # fmt: skip
    return Shown(pictures=tuple(made))


def _lines(found: Graphs) -> list[tuple[str, str]]:
    told = ", ".join(f"{one.band} {p_text(one.p)}" for one in found.bands if math.isfinite(one.p))
    return [("connectivity between classes", told)] if told else []


def _run(evaluated: Evaluated) -> Graphs | None:
    return connectivity_graphs(evaluated.windows)


CONNECTIVITY = Analysis(
    "connectivity",
    Graphs,
    _run,
    _show,
    _lines,
    methods="Weighted phase-lag indices between electrodes were compared between classes, labels shuffled by trial.",
    part="signals",
    needs_models=False,
)
