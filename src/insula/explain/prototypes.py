"""What a network with prototypes learned of its emotions: how alike they are, and which it expects together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from insula import plots
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Shown
from insula.explain.facts import Facts
from insula.types import DoubleArray, FloatArray
from insula.windows.table import Windows

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Prototypes:
    """Mean over the folds' networks: cosines (K, K); what goes with each emotion as learned and as rated (K, K).

    ``learned`` is empty where the network has no co-occurrence, ``rated`` where the target is no mixture.
    """

    classes: tuple[str, ...] = ()
    cosines: Matrix = ()
    learned: Matrix = ()
    rated: Matrix = ()
    folds: int = 0


def prototypes(evaluated: Evaluated) -> Prototypes | None:
    """Read the prototypes of the fold models; None for networks without."""
    networks: list[Any] = [model.networks[0] for model, _ in evaluated.fitted]
    if evaluated.windows.schema.continuous or not all(callable(getattr(n, "prototypes", None)) for n in networks):
        return None
    learned = [n.co_occurrence() for n in networks]
    windows = evaluated.windows
    return Prototypes(
        windows.schema.classes,
        _rows(np.mean([n.prototypes().cpu().numpy() for n in networks], 0)),
        _rows(np.mean([one.cpu().numpy() for one in learned], 0)) if learned[0] is not None else (),
        _rows(felt_together(mix)) if (mix := _trial_shares(windows)) is not None else (),
        len(networks),
    )


def felt_together(mix: FloatArray) -> DoubleArray:
    """Mean shares (K, K) where emotion i (row) is felt, each trial counted by its share of i; rows sum to 1."""
    whole = mix.astype(np.float64)
    found = whole.T @ whole
    return np.asarray(found / np.clip(found.sum(1, keepdims=True), 1e-12, None))


def _trial_shares(windows: Windows) -> FloatArray | None:
    scored = windows.scored
    if scored.mix is None:
        return None
    first = ~scored.table.duplicated(["subject", "session", "trial"]).to_numpy()
    return np.asarray(scored.mix[first], np.float32)


def _rows(matrix: DoubleArray) -> Matrix:
    return tuple(tuple(float(v) for v in row) for row in matrix)


def _show(found: Prototypes, _: Facts) -> Shown:
    cosines = np.asarray(found.cosines)
    if cosines.ndim != 2 or len(cosines) < 2:
        return Shown()
    apart = cosines[~np.eye(len(cosines), dtype=bool)]
    i, j = np.unravel_index(np.argmax(cosines - 3 * np.eye(len(cosines))), cosines.shape)
    told = (
        f"Most alike: {found.classes[i]} and {found.classes[j]} (cosine {cosines[i, j]:.2f}); cosines from "
        f"{apart.min():.2f} to {apart.max():.2f}, mean of {found.folds} networks."
    )
    caption = f"""How alike the prototypes of the emotions are: dark for alike. {told} Prototypes that are all alike, or
        differ from fold to fold, hold nothing of the emotions."""
    made = [
        picture.make(
            "prototypes", "Prototypes of the emotions", caption, told, plots.electrode_matrices,
            [plots.ElectrodeMap("likeness of prototypes", cosines)], found.classes, axis="compared with",
        )
    ]  # fmt: skip
    if found.learned:
        maps = [plots.ElectrodeMap("learned", np.asarray(found.learned))]
        said = "The network learned it with its weights."
        if found.rated:
            maps.append(plots.ElectrodeMap("rated", np.asarray(found.rated)))
            said += " Beside it: what people rated together, all trials."
        caption = f"""Where an emotion (row) is felt, the shares of all emotions (columns): dark for large. {said} Every
            diagonal is strong by construction."""
        made.append(
            picture.make(
                "co-occurrence", "Which emotions go together", caption, said, plots.electrode_matrices, maps,
                found.classes, axis="share of",
            )
        )  # fmt: skip
    return Shown(pictures=tuple(made))


PROTOTYPES = Analysis("prototypes", Prototypes, prototypes, _show)
