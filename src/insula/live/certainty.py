"""How sure a decision is, and when to say "don't know"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from insula.types import DoubleArray

KNOWN = 0.25
"""(?) Our choice: the best class must be a quarter of the way from chance to certainty."""


def certainty(chances: DoubleArray) -> float:
    """One minus the entropy of chances (K,) as a share of its greatest: 0 knows nothing, 1 is sure."""
    if len(chances) < 2:
        return 0.0
    p = np.clip(chances, 1e-12, 1.0)
    return float(1 + (p * np.log(p)).sum() / np.log(len(p)))


def verdict(chances: DoubleArray, spread: DoubleArray | None, classes: Sequence[str]) -> tuple[int | None, str]:
    """Code of the class to name, or None, and why.

    A class is named when its chance is far enough above 1 / K and, where there is a spread, above the second by it.
    """
    if not len(chances):
        return None, "no sensor is measured well enough"
    k = len(chances)
    order = np.argsort(chances)[::-1]
    best, second = int(order[0]), int(order[1])
    if chances[best] < 1 / k + KNOWN * (1 - 1 / k):
        return None, "no state stands out"
    if spread is not None and chances[best] - chances[second] < spread[best]:
        return None, f"{classes[best]} perhaps, but it could be {classes[second]}"
    return best, ""
