"""Leaky: each trial cut into time folds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from insula.protocols.dealing import leaking
from insula.protocols.grouping import codes
from insula.protocols.protocol import TRIAL, Design, Parts, Protocol
from insula.types import IntArray


def deal(d: Design) -> Parts:
    """Cut every trial into equal stretches of time, one a fold."""
    k = d.folds or 5
    start = d.table["start_s"].to_numpy()

    def assign(rows: IntArray) -> IntArray:
        part = pd.DataFrame({"trial": codes(d.table, rows, TRIAL), "start": start[rows]})
        place = part.groupby("trial")["start"].rank(method="first").to_numpy() - 1
        size = part.groupby("trial")["start"].transform("size").to_numpy()
        return np.asarray(place * k // np.maximum(size, k), np.int64)

    return leaking(d, assign)


PROTOCOL = Protocol(
    name="within_trial",
    question="What would the figure be with parts of one trial on both sides?",
    where="when parts of one trial stand on both sides",
    how="each trial was cut into a training and a test part (leaky)",
    limits="Only splits like this one are measured here.",
    needs="trials of at least 2 windows",
    instead="Use shorter windows or a shorter hop.",
    deal=deal,
    leaky=True,
    personal=True,
)
