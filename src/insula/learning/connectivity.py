"""Graph measures of EEG connectivity as columns of classical rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from insula.errors import InputError
from insula.signals.features import connectivity
from insula.types import FloatArray

if TYPE_CHECKING:
    from insula.windows.table import Windows

_CHUNK = 256


def connectivity_columns(windows: Windows) -> FloatArray:
    """Strength, clustering, centrality and efficiency by measure and band, (windows, F); NaN where not valid."""
    if "eeg" not in windows.schema.modalities:
        raise InputError("connectivity without EEG; expected the modality eeg. Use a row on features instead.")
    spec = windows.schema.modalities["eeg"]
    names = connectivity.columns(spec, windows.recipe.window_s)
    if not names or len(spec.channels) < 3:
        raise InputError(
            f"connectivity of {len(spec.channels)} channels in windows of {windows.recipe.window_s:g} s; expected 3 or "
            "more channels and windows that hold a band. Use longer windows."
        )
    out = np.empty((len(windows), 0), np.float32)
    for first in range(0, len(windows), _CHUNK):
        rows = np.arange(first, min(first + _CHUNK, len(windows)))
        values, observed = windows.signals(rows)
        found = connectivity.compute(values["eeg"], observed["eeg"], spec)
        if not out.shape[1]:
            out = np.full((len(windows), found.shape[1]), np.nan, np.float32)
        out[rows] = found
    return out
