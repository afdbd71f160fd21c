"""A person's own level, kept while it is measured, as normaliser and scaler read it offline from whole tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from insula.learning.scale import Level
from insula.types import BoolArray, DoubleArray, FloatArray


class Running:
    """Mean and variance of each column over the valid values so far (Welford 1962; Chan et al. 1983 for blocks)."""

    def __init__(self, width: int) -> None:
        self.count = np.zeros(width)
        self.mean = np.zeros(width)
        self.squares = np.zeros(width)

    def add(self, rows: FloatArray | DoubleArray) -> None:
        """Take in rows (n, F), NaN where not valid."""
        block = np.asarray(rows, np.float64)
        valid = np.isfinite(block)
        count = valid.sum(axis=0)
        some = count > 0
        if not some.any():
            return
        mean = np.where(valid, block, 0.0).sum(axis=0) / np.maximum(count, 1)
        squares = np.where(valid, block - mean, 0.0) ** 2
        total = self.count + count
        apart = np.where(some, mean - self.mean, 0.0)
        self.squares += squares.sum(axis=0) + apart**2 * self.count * count / np.maximum(total, 1)
        self.mean += apart * count / np.maximum(total, 1)
        self.count = total

    @property
    def level(self) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
        """Mean, variance and count of each column, NaN where nothing was valid."""
        known = self.count > 0
        variance = self.squares / np.maximum(self.count, 1)
        return np.where(known, self.mean, np.nan), np.where(known, variance, np.nan), self.count

    def to_dict(self) -> dict[str, Any]:
        return {"count": self.count, "mean": self.mean, "squares": self.squares}

    @classmethod
    def restored(cls, tree: Mapping[str, Any]) -> Running:
        """Go on from what `to_dict` gave."""
        out = cls(len(tree["count"]))
        out.count, out.mean, out.squares = (np.asarray(tree[k], np.float64) for k in ("count", "mean", "squares"))
        return out


class Own:
    """A person's level: features over reference windows (over all of them for ``running``), samples by modality.

    Parameters
    ----------
    widths : channels of each modality.
    columns : feature columns in all.
    """

    def __init__(self, widths: Mapping[str, int], columns: int) -> None:
        self.features = Running(columns)
        self.samples = {name: Running(width) for name, width in widths.items()}

    def add_samples(self, name: str, values: FloatArray, observed: BoolArray) -> None:
        """Take in cleaned samples (C, T) of one modality where they were observed (T,)."""
        self.samples[name].add(values[:, observed].T)

    @property
    def signal_levels(self) -> dict[str, Level]:
        """Mean and variance (C,) of the modalities that have been observed, as the scaler takes them."""
        found = {name: running.level for name, running in self.samples.items() if running.count.any()}
        return {
            n: Level(mean.astype(np.float32), variance.astype(np.float32)) for n, (mean, variance, _) in found.items()
        }

    def to_dict(self) -> dict[str, Any]:
        return {"features": self.features.to_dict(), "samples": {n: r.to_dict() for n, r in self.samples.items()}}

    def restore(self, tree: Mapping[str, Any]) -> None:
        """Go on from what `to_dict` gave."""
        self.features = Running.restored(tree["features"])
        self.samples = {n: Running.restored(r) for n, r in tree["samples"].items()}
