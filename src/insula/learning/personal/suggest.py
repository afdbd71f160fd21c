"""Which moment to label next: what the model is least sure of, and least like what it has seen labels of."""

from __future__ import annotations

import numpy as np
import pandas as pd

from insula.errors import InputError
from insula.learning.learner import Learner
from insula.learning.personal.personal import head_inputs, head_of
from insula.protocols.grouping import codes
from insula.protocols.protocol import TRIAL
from insula.types import BoolArray
from insula.windows.table import Windows


def suggest(model: Learner, windows: Windows, labelled: BoolArray | None = None, count: int = 5) -> pd.DataFrame:
    """Rank a person's unlabelled trials: a row each with subject, session, trial, start_s, stop_s and value.

    Greedy and by trial: the value is the mean posterior deviation of a Bayesian head that has seen the labelled windows
    and the trials already suggested (what a label tells depends on where, not on which it is), times the entropy of the
    head's answer. Deviation covers, entropy doubts.
    """
    if count < 1:
        raise InputError(f"count {count}; expected 1 or more.")
    known = np.zeros(len(windows), bool) if labelled is None else np.asarray(labelled, bool)
    x = head_inputs(model, windows)
    trial = codes(windows.table, np.arange(len(windows)), TRIAL)
    head = head_of(model, x, len(windows) / (trial.max() + 1))
    if known.any():
        head.fit(x[known], windows.y[known].astype(np.int64))
    rows = []
    left = [int(t) for t in np.unique(trial) if not known[trial == t].any()]
    for _ in range(min(count, len(left))):
        chances = head.predict_proba(x)
        doubt = -(chances * np.log(np.maximum(chances, 1e-12))).sum(axis=1)
        value = np.asarray(head.uncertainty(x)) * doubt
        best = max(left, key=lambda t: float(value[trial == t].mean()))
        left.remove(best)
        place = windows.table[trial == best]
        first = place.iloc[0]
        rows.append(
            {
                "subject": first["subject"], "session": first["session"], "trial": first["trial"],
                "start_s": float(place["start_s"].min()), "stop_s": float(place["stop_s"].max()),
                "value": float(value[trial == best].mean()),
            }
        )  # fmt: skip
        for row in x[trial == best]:  # the covariance does not depend on the label
            mean = head.mean
            head.update(row, 0)
            head.mean = mean
    return pd.DataFrame(rows, columns=["subject", "session", "trial", "start_s", "stop_s", "value"])
