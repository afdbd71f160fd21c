"""Whether two modalities of a window know each other to a network that holds them together, on windows not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from insula import plots
from insula.evaluation.scores import over_people
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Fitted, Shown
from insula.explain.facts import Facts
from insula.explain.wording import minus
from insula.learning.batches import to_device
from insula.learning.feed import Feed
from insula.types import DoubleArray

_BINS = 20
_WINDOWS = 400


@dataclass(frozen=True)
class Agreement:
    """Cosines of a window's two vectors (``same``) and of two windows of one person in different trials (``other``).

    Shares of pairs in bins from -1 to 1. ``found`` is how often the larger of a same and an other cosine is the same
    one, mean and interval over people: .5 is chance.
    """

    same: tuple[float, ...] = ()
    other: tuple[float, ...] = ()
    found: float = math.nan
    lo: float = math.nan
    hi: float = math.nan
    people: int = 0


def agreement(fitted: Fitted) -> Agreement | None:
    """Compare the vectors that a network holds together; None for networks that hold nothing together."""
    same: list[DoubleArray] = []
    other: list[DoubleArray] = []
    scores: list[float] = []
    for model, held_out in fitted:
        rows = np.unique(np.linspace(0, len(held_out) - 1, min(len(held_out), _WINDOWS)).astype(int))
        part = next(Feed(model.prepare(held_out.take(rows)), "window").each(len(rows)))
        with torch.no_grad():
            extras = model.networks[0](to_device(part, model.device).batch).extras
        if "agreement" not in extras:
            return None
        both = extras["agreement"].double().cpu().numpy()
        table = held_out.take(rows).table.iloc[part.row[:, 0].numpy()]
        a, b = np.split(both, 2, axis=1)
        likeness = a @ b.T
        trial = table.groupby(["subject", "session", "trial"], sort=False).ngroup().to_numpy()
        person = table["subject"].to_numpy()
        for one in np.unique(person):
            mine = np.flatnonzero(person == one)
            apart = trial[mine][:, None] != trial[mine][None]
            if not apart.any():
                continue
            own, others = likeness[mine, mine], likeness[np.ix_(mine, mine)][apart]
            ranked = np.sort(others)
            scores.append(float(np.searchsorted(ranked, own).mean() / len(ranked)))
            same.append(own)
            other.append(others)
    if not scores:
        return None
    over = over_people(scores)
    return Agreement(_shares(same), _shares(other), over.mean, over.lo, over.hi, over.people)


def _shares(values: list[DoubleArray]) -> tuple[float, ...]:
    counts, _ = np.histogram(np.clip(np.concatenate(values), -1, 1), _BINS, (-1, 1))
    return tuple((counts / max(1, counts.sum())).tolist())


def _run(evaluated: Evaluated) -> Agreement | None:
    return agreement(evaluated.fitted)


def _text(found: Agreement) -> str:
    word = "above" if found.lo > 0.5 else "below" if found.hi < 0.5 else "not apart from"
    return (
        f"A window's own pair beats a pair from another trial of the same person in {100 * found.found:.0f} % of cases "
        f"[{minus(f'{100 * found.lo:.0f}')}, {100 * found.hi:.0f}] over {found.people} people: {word} chance, 50 %."
    )


def _show(found: Agreement, _: Facts) -> Shown:
    if not found.same:
        return Shown()
    told = _text(found)
    caption = f"""How alike the network makes the two modalities of one window, against those of windows from different
        trials of the same person, on people or trials it has not seen. Curves that lie on each other say that what it
        learned to hold together in training does not hold elsewhere. {told}"""
    made = picture.make(
        "agreement", "Do the modalities know each other?", caption, told, plots.agreement, found.same, found.other
    )
    return Shown(pictures=(made,))


AGREEMENT = Analysis(
    "agreement",
    Agreement,
    _run,
    _show,
    lambda found: [("modalities of one window", _text(found))] if found.same else [],
)
