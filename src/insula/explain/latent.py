"""The latent space: a t-SNE map of held-out windows and a silhouette with its shuffled reference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from insula import plots
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Fitted, Shown, known
from insula.explain.facts import Facts
from insula.explain.separation import inputs
from insula.explain.wording import minus
from insula.types import DoubleArray
from insula.windows.table import Windows

_POINTS = 600
_SHUFFLES = 50
FEW = 30
"""Places below which a map is a handful of specks (windows of a trial lie on one), and no picture is made of it."""
_GRID = 24
_UNTESTED = "cannot be tested, since a fold tests one trial a class"


@dataclass(frozen=True)
class Latent:
    """Map of n windows with the label and the person of each; mean silhouette of the labels, and shuffled ones.

    ``inputs_xy`` maps the hand-made features of the same windows (empty where there are none).

    The silhouette is NaN where it cannot be tested: every fold tests one trial a class.
    """

    xy: tuple[tuple[float, float], ...] = ()
    label: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    silhouette: float = math.nan
    silhouette_shuffled: tuple[float, ...] = ()
    inputs_xy: tuple[tuple[float, float], ...] = ()
    note: str = ""


def latent_space(fitted: Fitted, seed: int = 0) -> Latent | None:
    """Map the held-out windows of the fold that has most of them, and average the silhouette over the folds.

    Folds have networks of their own, so that only windows of one fold share a map. The reference permutes labels
    between whole trials; folds that test one trial a class have no silhouette, since every permutation has the same.
    None for a continuous target or folds with a single class.
    """
    if fitted[0][0].schema.continuous:
        return None
    rng = np.random.default_rng(seed)
    scores, shuffled, apart = [], [], 0
    for model, held_out in fitted:
        trials, classes = _trials_and_classes(held_out)
        if classes < 2:
            continue
        apart += 1
        if trials == classes:
            continue
        points = model.embed(held_out).astype(np.float64)
        score = _silhouette(points, np.asarray(held_out.y))
        if score is not None:
            scores.append(score)
            shuffled.append(_shuffled(points, held_out, rng))
    if not apart:
        return None
    model, held_out = max(fitted, key=lambda pair: len(pair[1]))
    rows = np.sort(rng.permutation(len(held_out))[:_POINTS])
    points = model.embed(held_out)[rows].astype(np.float64)
    perplexity = float(np.clip(len(points) / 8, 2, 30))
    features = inputs(model, held_out)[rows].astype(np.float64)
    table = held_out.table.iloc[rows]
    over = f"{len(scores)} folds, beside {_SHUFFLES} permutations of labels between trials"
    tested = f"; silhouette is the mean over {over}" if scores else ""
    return Latent(
        xy=_mapped(points, perplexity, seed),
        label=tuple(model.schema.classes[int(v)] for v in table["y"]),
        subject=tuple(table["subject"]),
        silhouette=float(np.mean(scores)) if scores else math.nan,
        silhouette_shuffled=tuple(np.mean(shuffled, 0).tolist()) if scores else (),
        inputs_xy=_mapped(features, perplexity, seed) if features.shape[1] > 1 else (),
        note=f"held-out windows of one fold ({len(rows)} points, perplexity {perplexity:.0f}){tested}",
    )


def _mapped(points: DoubleArray, perplexity: float, seed: int) -> tuple[tuple[float, float], ...]:
    from sklearn.manifold import TSNE

    xy = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(points)
    return tuple(map(tuple, xy.astype(np.float64).round(3).tolist()))


def _trials_and_classes(windows: Windows) -> tuple[int, int]:
    """How many trials and how many classes these windows have."""
    return len(windows.table[["subject", "session", "trial"]].drop_duplicates()), len(np.unique(windows.y))


def _silhouette(points: DoubleArray, labels: Any) -> float | None:
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(labels)) < len(labels):
        return None
    keep = np.linspace(0, len(points) - 1, min(len(points), 800)).astype(int)
    if len(np.unique(labels[keep])) < 2:
        return None
    return float(silhouette_score(points[keep], labels[keep]))


def _shuffled(points: DoubleArray, held_out: Windows, rng: np.random.Generator) -> list[float]:
    trial = held_out.table.groupby(["subject", "session", "trial"], sort=True).ngroup().to_numpy()
    first = np.unique(trial, return_index=True)[1]
    labels = np.asarray(held_out.y)[first]
    found = [_silhouette(points, rng.permutation(labels)[trial]) for _ in range(_SHUFFLES)]
    return [0.0 if v is None else v for v in found]


def _run(evaluated: Evaluated) -> Latent | None:
    return latent_space(evaluated.fitted)


def _show(found: Latent, facts: Facts) -> Shown:
    xy = np.asarray(found.xy, dtype=np.float64)
    if len(xy) < 3:
        return Shown()
    silent = []
    places = _places(xy)
    if places < FEW:
        silent.append(
            f"What it holds alike: the {len(xy)} windows of the largest fold fall on {places} specks of a map, one a "
            f"trial or so, which shows nothing ({FEW} places or more are drawn)."
        )
    shuffled = known(found.silhouette_shuffled)
    told = ""
    if not shuffled:
        told = f"Silhouette of the labels: {_UNTESTED}."
        silent += [told] if places < FEW else []
    else:
        told = f"Silhouette of the labels: {minus(f'{found.silhouette:.2f}')}"
        told += f"; with shuffled labels {minus(f'{min(shuffled):.2f} to {max(shuffled):.2f}')}."
    if places < FEW:
        return Shown(silent=tuple(silent))
    classes, labels = _classes(found, facts)
    subjects = list(found.subject or ("",) * len(xy))
    caption = f"""Windows the network finds alike lie close (t-SNE of the latent vector). If islands follow people
        rather than labels, it has learned who, not how. Distances between islands mean nothing.
        {told}{picture.sentence(found.note)}"""
    made = picture.make(
        "latent", "What it holds alike", caption, f"Map of {len(xy)} windows of {len(set(subjects))} people. {told}",
        plots.latent, xy, labels, subjects, classes,
    )  # fmt: skip
    drawn = [made]
    beside = np.asarray(found.inputs_xy, dtype=np.float64)
    if len(beside) == len(xy):
        caption = """The same windows by their hand-made features, which the network has beside it or learns from raw
            signals anew. Where labels lie as well apart here, the latent adds nothing to them."""
        alt = f"Map of the hand-made features of the same {len(xy)} windows."
        drawn.append(
            picture.make(
                "inputs", "What the features hold alike", caption, alt, plots.latent, beside, labels, subjects, classes
            )
        )
    return Shown(pictures=tuple(drawn), silent=tuple(silent))


def _places(xy: DoubleArray) -> int:
    """Count the cells of a coarse grid over the map that hold a window."""
    size = np.maximum(np.ptp(xy, axis=0), 1e-9)
    cells = np.floor((xy - xy.min(0)) / size * (_GRID - 1e-6)).astype(int)
    return len(np.unique(cells, axis=0))


def _classes(found: Latent, facts: Facts) -> tuple[list[str], list[str]]:
    """Classes and the class of each window; thirds of a continuous target."""
    if facts.result.classes:
        return list(facts.result.classes), list(found.label)
    classes = ["low", "middle", "high"]
    value = np.asarray([float(v) for v in found.label])
    return classes, [classes[i] for i in np.searchsorted(np.nanquantile(value, [1 / 3, 2 / 3]), value)]


def _lines(found: Latent) -> Iterator[tuple[str, str]]:
    shuffled = known(found.silhouette_shuffled)
    mean = sum(shuffled) / len(shuffled) if shuffled else math.nan
    yield "latent silhouette", f"{found.silhouette:.3f} (shuffled labels {mean:.3f})" if shuffled else _UNTESTED


LATENT = Analysis(
    "latent",
    Latent,
    _run,
    _show,
    _lines,
    methods=(
        "Latent vectors of held-out windows were mapped with t-SNE (van der Maaten and Hinton 2008, JMLR 9) and their "
        "silhouette (Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7) compared with labels permuted between trials."
    ),
)
