"""Which seconds stand before a trial: the baseline trial that ends where it begins."""

from __future__ import annotations

import numpy as np

from insula.types import IntArray
from insula.windows.store.arrays import TrialKey
from insula.windows.table import Windows, by_trial

GAP_S = 0.5
"""A baseline that ends longer before its trial than this belongs to something else."""


def rows_before(windows: Windows) -> tuple[dict[TrialKey, IntArray], Windows]:
    """Rows of `Windows.everything` that lie in the baseline right before each trial, and those windows themselves.

    Trials without such seconds are left out. A baseline is a trial all of whose windows are reference.
    """
    everything = windows.everything()
    ends = windows.once("baselines", lambda: _baselines(everything))
    out: dict[TrialKey, IntArray] = {}
    asked = windows.table
    for key in dict.fromkeys(zip(asked["subject"], asked["session"], asked["trial"], strict=True)):
        begin_s = windows.clean[key].start_s
        near = [rows for stop_s, rows in ends.get(key[:2], []) if -1e-6 <= begin_s - stop_s <= GAP_S]
        if near:
            out[key] = near[-1]
    return out, everything


def _baselines(everything: Windows) -> dict[tuple[str, str], list[tuple[float, IntArray]]]:
    """End and rows of each baseline trial, by person and session."""
    reference = everything.table["role"].to_numpy() == "reference"
    ends: dict[tuple[str, str], list[tuple[float, IntArray]]] = {}
    for key, part in by_trial(everything.table):
        rows = part.index.to_numpy(np.int64)
        if reference[rows].all():
            ends.setdefault(key[:2], []).append((everything.clean[key].stop_s, rows))
    return ends
