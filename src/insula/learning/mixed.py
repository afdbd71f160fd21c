"""Targets that are shares of emotions, for what learns classes: a window stands once for each emotion in it."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insula.types import DoubleArray, FloatArray, IntArray


def apart(mix: FloatArray) -> tuple[IntArray, IntArray, DoubleArray]:
    """Return row, class and weight of each emotion that has a share: weights of a window sum to 1."""
    row, code = np.nonzero(mix > 0)
    return row.astype(np.int64), code.astype(np.int64), mix[row, code].astype(np.float64)


def fit_mixed(model: Any, x: DoubleArray, mix: FloatArray, weight: NDArray[Any] | None = None) -> bool:
    """Fit a classifier to shares, its classes not balanced; False (and nothing done) where it takes no weights.

    The weighted log loss of a window standing once for each of its emotions is the divergence of its shares from the
    classifier's answer, but for a constant.
    """
    if "sample_weight" not in inspect.signature(model.fit).parameters:
        return False
    if "class_weight" in model.get_params():
        model.set_params(class_weight=None)
    row, code, share = apart(mix)
    model.fit(x[row], code, sample_weight=share if weight is None else share * weight[row])
    return True
