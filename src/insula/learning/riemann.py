"""EEG windows as covariance matrices in the tangent space, plain or with time delays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from insula.errors import InputError
from insula.learning.align import WHOLE, covariances, people_turns, require_align, session_turn, turn
from insula.types import DoubleArray

if TYPE_CHECKING:
    from insula.windows.table import Windows

_METRIC = {"mean": "logeuclid", "map": "riemann"}


class TangentReader:
    """Read windows as tangent vectors, (windows, d (d + 1) / 2) for d = channels x delays; NaN without EEG.

    Published: covariance matrices mapped to the tangent space at their mean (Barachant et al. 2012,
    doi 10.1109/TBME.2011.2172210), and augmented by time delays (Carrara and Papadopoulo, arXiv 2302.04508).
    Chosen here: shrinkage after Chen et al. (OAS), so that short windows and the average reference leave full rank, the
    log-Euclidean mean as reference, and delays of consecutive samples (the paper searches order and lag).
    With ``align`` each person's matrices are first turned so that their mean is the identity, by the rows that ``kind``
    (of a normaliser) allows (see `insula.learning.align`); training people stand in where there are none, and ``notes``
    say so where the kind knows none.
    """

    def __init__(self, delays: int = 1, align: str = "none", kind: str = "opening") -> None:
        if delays < 1:
            raise InputError(f"delays {delays}; expected 1 (no delay) or more. Use 4.")
        require_align(align)
        self.notes: tuple[str, ...] = ()
        if align != "none" and kind not in WHOLE:
            self.notes = (f"no windows of each person to re-centre by under {kind}: all turned alike",)
        self.delays, self.align, self.kind = delays, align, kind
        self.common: DoubleArray | None = None
        self.people: dict[str, DoubleArray] = {}
        self.tangent: Any = None

    def fit(self, windows: Windows) -> TangentReader:
        """Find the reference point: the mean of the training windows' matrices."""
        from pyriemann.tangentspace import TangentSpace

        if self.align != "none":
            self.common = turn(covariances(windows, self.delays), self.align)
            if self.kind == "person_trials":
                self.people = people_turns(windows, self.align, self.delays)
        matrices = self._matrices(windows)
        valid = np.isfinite(matrices).all(axis=(1, 2))
        if not valid.any():
            raise InputError("no training window with EEG; expected some. Use a row on features instead.")
        self.tangent = TangentSpace(metric=_METRIC).fit(matrices[valid])
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        plain = {"delays": self.delays, "reference": self.tangent.reference_.tolist()}
        if self.align == "none" or self.common is None:
            return plain
        people = {name: own.tolist() for name, own in self.people.items()}
        return {**plain, "align": self.align, "kind": self.kind, "common": self.common.tolist(), "people": people}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TangentReader:
        """Read what `to_dict` wrote."""
        from pyriemann.tangentspace import TangentSpace

        reader = cls(int(data["delays"]), data.get("align", "none"), data.get("kind", "opening"))
        reader.common = np.asarray(data["common"], np.float64) if "common" in data else None
        reader.people = {name: np.asarray(own, np.float64) for name, own in data.get("people", {}).items()}
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
        """Covariance (windows, d, d) of the cleaned EEG, each person's turned if so asked; NaN where it is absent."""
        out = covariances(windows, self.delays)
        if self.align == "none":
            return out
        keys = list(zip(windows.table["subject"], windows.table["session"], strict=True))
        for key in dict.fromkeys(keys):
            if self.kind not in WHOLE:
                own = None
            elif self.kind == "person_trials":
                own = self.people.get(str(key[0]))
            else:
                own = session_turn(windows, key, self.kind, self.align, self.delays)
            own = self.common if own is None else own
            if own is not None:
                rows = [i for i, other in enumerate(keys) if other == key]
                out[rows] = own @ out[rows] @ own
        return out
