"""Predict again with the fold models, changed in one respect, on the windows they have not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from insula.evaluation.run import prediction_table
from insula.explain.analysis import Evaluated
from insula.learning.estimator import Estimator
from insula.windows.table import Windows


def again(evaluated: Evaluated, predict: Callable[[Estimator, Windows], Any]) -> pd.DataFrame:
    """Return the predictions of all folds as a result keeps them."""
    windows = evaluated.windows
    parts = [
        prediction_table(windows, m.split, "control", predict(m.model, windows.take(m.split.test)))
        for m in evaluated.models
    ]
    return pd.concat(parts, ignore_index=True)


def answer(model: Estimator, windows: Windows, absent: str | Sequence[str] | None = None) -> Any:
    """Values or probabilities of windows, without the modalities (or traits) that are named."""
    return model.predict(windows, absent) if windows.schema.continuous else model.predict_proba(windows, absent)
