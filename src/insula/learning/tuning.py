"""The choice among candidates on inner splits of the training windows, grouped exactly like the outer split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from insula.learning.learner import Learner
from insula.protocols.grouping import inner_split
from insula.types import DoubleArray

if TYPE_CHECKING:
    from insula.windows.table import Windows

HELD_OUT = 0.3
"""Share of the groups that an inner split holds out."""


def inner_scores(
    training: Windows,
    group: Sequence[str],
    seeds: Sequence[int],
    candidates: Sequence[Callable[[], Learner]],
    progress: Callable[[int, int], None] | None = None,
) -> DoubleArray:
    """Sum of each candidate's `Learner.score` on what the inner splits hold out, one split a seed.

    The best is the first of the highest; the outer test windows are not among ``training``. ``progress`` hears
    (trainings done, all).
    """
    totals = np.zeros(len(candidates))
    for k, seed in enumerate(seeds):
        chosen, held_out = inner_split(training.table, np.arange(len(training)), tuple(group), seed, HELD_OUT)
        fit, validation = training.take(chosen), training.take(held_out)
        for i, make in enumerate(candidates):
            totals[i] += make().fit(fit).score(validation)
            if progress is not None:
                progress(k * len(candidates) + i + 1, len(seeds) * len(candidates))
    return totals
