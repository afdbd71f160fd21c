"""What rows see that see no signal: columns of time, and which stimulus was on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from insula.types import DoubleArray

if TYPE_CHECKING:
    from insula.windows.table import Windows


def clock_columns(windows: Windows, columns: Sequence[str]) -> DoubleArray:
    """Columns of the table that a clock reads, and the time of a window's end since its trial began, (windows, F)."""
    table = windows.table
    if "in_trial_s" in columns:
        keys = ["subject", "session", "trial"]
        begin = windows.everything().table.groupby(keys, sort=False)["start_s"].min()
        own = begin.loc[list(table[keys].itertuples(index=False, name=None))].to_numpy()
        table = table.assign(in_trial_s=table["stop_s"].to_numpy() - own)
    return np.asarray(table[list(columns)].to_numpy(np.float64))


def by_stimulus(training: Windows) -> dict[str, Any]:
    """Class frequencies, classes weighed alike, or mean of each named stimulus of training."""
    names = training.table["stimulus"]
    y, classes = training.y, len(training.schema.classes)
    rarity = 1 / np.maximum(np.bincount(y, minlength=classes), 1) if classes else np.empty(0)
    found: dict[str, Any] = {}
    for name in names.dropna().unique():
        own = y[(names == name).to_numpy()]
        if not classes:
            found[str(name)] = float(own.mean())
            continue
        counts = np.bincount(own, minlength=classes) * rarity
        found[str(name)] = counts / counts.sum()
    return found
