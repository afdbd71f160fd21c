"""Temperature and bias from a few labels: the cheapest way to make probabilities a person's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from insula.errors import DataError, InputError
from insula.types import DoubleArray, IntArray


@dataclass(frozen=True)
class Recalibration:
    """Probabilities softmax((logits + bias) / temperature); temperature 1 and bias 0 change nothing.

    Temperature scaling after Guo et al. 2017 (arXiv 1706.04599); the bias, and the pull of both towards no change with
    the strength of about one trial, are our choice, since a person gives few labels.
    """

    temperature: float
    bias: DoubleArray

    @classmethod
    def fit(cls, logits: DoubleArray, y: IntArray, trials: IntArray | None = None) -> Recalibration:
        """Learn from logits (rows, K) and class codes; rows of one trial (its number) count as one label together."""
        from scipy.optimize import minimize

        if logits.ndim != 2 or len(logits) != len(y) or not len(y):
            raise InputError(f"logits of shape {logits.shape} for {len(y)} labels; expected one row a label.")
        k = logits.shape[1]
        unit = np.arange(len(y)) if trials is None else np.unique(trials, return_inverse=True)[1]
        weight = 1 / np.bincount(unit)[unit]

        def cost(values: DoubleArray) -> tuple[float, DoubleArray]:
            inverse, bias = np.exp(-values[0]), values[1:]
            z = (logits + bias) * inverse
            shifted = z - z.max(axis=1, keepdims=True)
            log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
            error = (np.exp(log_p) - np.eye(k)[y]) * weight[:, None]  # (rows, K)
            loss = -float((weight * log_p[np.arange(len(y)), y]).sum()) + 0.5 * float(values @ values)
            gradient = np.concatenate([[-(error * z).sum()], error.sum(axis=0) * inverse]) + values
            return loss, gradient

        found = minimize(cost, np.zeros(k + 1), jac=True, method="L-BFGS-B", bounds=[(-3, 3)] + [(-10, 10)] * k)
        return cls(float(np.exp(found.x[0])), np.asarray(found.x[1:], np.float64))

    def predict_proba(self, logits: DoubleArray) -> DoubleArray:
        """Probabilities (rows, K) of logits (rows, K)."""
        z = (logits + self.bias) / self.temperature
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"temperature": self.temperature, "bias": self.bias.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recalibration:
        """Read what `to_dict` wrote; DataError where it is not whole."""
        try:
            found = cls(float(data["temperature"]), np.asarray(data["bias"], np.float64))
            whole = found.bias.ndim == 1 and bool(np.isfinite([found.temperature, *found.bias]).all())
        except (LookupError, TypeError, ValueError):
            whole = False
        if not whole or not found.temperature > 0:
            raise DataError("a recalibration that cannot be read; expected what to_dict wrote. Personalise again.")
        return found

    def answers(self, classes: Sequence[str]) -> bool:
        """Whether its answers are of as many classes as these."""
        return len(self.bias) == len(classes)
