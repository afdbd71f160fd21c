"""EEG windows as covariance matrices in the tangent space, plain or with time delays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from insula.errors import InputError
from insula.types import DoubleArray

if TYPE_CHECKING:
    from insula.windows.table import Windows

_CHUNK = 256
_METRIC = {"mean": "logeuclid", "map": "riemann"}


class TangentReader:
    """Read windows as tangent vectors, (windows, d (d + 1) / 2) for d = channels x delays; NaN without EEG.

    Published: covariance matrices mapped to the tangent space at their mean (Barachant et al. 2012,
    doi 10.1109/TBME.2011.2172210), and augmented by time delays (Carrara and Papadopoulo, arXiv 2302.04508).
    Chosen here: shrinkage after Chen et al. (OAS), so that short windows and the average reference leave full rank, the
    log-Euclidean mean as reference, and delays of consecutive samples (the paper searches order and lag).
    """

    def __init__(self, delays: int = 1) -> None:
        if delays < 1:
            raise InputError(f"delays {delays}; expected 1 (no delay) or more. Use 4.")
        self.delays = delays
        self.tangent: Any = None

    def fit(self, windows: Windows) -> TangentReader:
        """Find the reference point: the mean of the training windows' matrices."""
        from pyriemann.tangentspace import TangentSpace

        matrices = self._matrices(windows)
        valid = np.isfinite(matrices).all(axis=(1, 2))
        if not valid.any():
            raise InputError("no training window with EEG; expected some. Use a row on features instead.")
        self.tangent = TangentSpace(metric=_METRIC).fit(matrices[valid])
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"delays": self.delays, "reference": self.tangent.reference_.tolist()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TangentReader:
        """Read what `to_dict` wrote."""
        from pyriemann.tangentspace import TangentSpace

        reader = cls(int(data["delays"]))
        reader.tangent = TangentSpace(metric=_METRIC)
        reader.tangent.reference_ = np.asarray(data["reference"], np.float64)
        return reader

    def __call__(self, windows: Windows) -> DoubleArray:
        """Tangent vectors of the windows."""
        matrices = self._matrices(windows)
        size = matrices.shape[1]
        out = np.full((len(windows), size * (size + 1) // 2), np.nan)
        valid = np.isfinite(matrices).all(axis=(1, 2))
        if valid.any():
            out[valid] = self.tangent.transform(matrices[valid])
        return out

    def _matrices(self, windows: Windows) -> DoubleArray:
        """Covariance (windows, d, d) of the cleaned EEG, scaled to a mean variance near 1; NaN where it is absent."""
        from pyriemann.estimation import Covariances, TimeDelayCovariances

        if "eeg" not in windows.schema.modalities:
            raise InputError("tangent space without EEG; expected the modality eeg. Use a row on features instead.")
        size = len(windows.schema.modalities["eeg"].channels) * self.delays
        estimate = Covariances("oas") if self.delays == 1 else TimeDelayCovariances(self.delays, "oas")
        out = np.full((len(windows), size, size), np.nan)
        for first in range(0, len(windows), _CHUNK):
            rows = np.arange(first, min(first + _CHUNK, len(windows)))
            values, observed = windows.signals(rows)
            there = (observed["eeg"].mean(axis=1) > 0.5) & (values["eeg"].std(axis=2).max(axis=1) > 0)
            if there.any():
                # (n, C, T) in microvolts, by 10 so that entries are near 1
                out[rows[there]] = estimate.fit_transform(values["eeg"][there].astype(np.float64) / 10.0)
        return out
