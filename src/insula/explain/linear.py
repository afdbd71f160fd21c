"""What of a window moved the answer of a linear row: exactly its weights times its columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from insula.errors import InputError
from insula.explain.attribution import Cell, Parts, by_band
from insula.learning.classical import ClassicalEstimator
from insula.signals.features import connectivity
from insula.types import BoolArray, DoubleArray
from insula.windows.table import Windows


def linear(row: ClassicalEstimator) -> bool:
    """Whether a fitted row's answer is a weighted sum of its columns."""
    return hasattr(row.model, "coef_") and row.info.sees


def linear_parts(row: ClassicalEstimator, windows: Windows, at: int) -> Parts:
    """Take one window's answer of a linear row apart: weight of the class, less the mean of all, times the column."""
    if not linear(row):
        raise InputError(f"{row.info.name} explained; expected a network or a linear row. Name another with --row.")
    columns = row.columns(windows.take([at]))[0]  # (F,)
    weights, offset = _weights(row.model, windows.schema.continuous)
    said = 0 if windows.schema.continuous else int(np.argmax(weights @ columns + offset))
    slope = weights[said] - (0.0 if windows.schema.continuous else weights.mean(0))

    def without(masks: BoolArray) -> DoubleArray:
        logits = np.where(masks, 0.0, columns) @ weights.T + offset  # (k, K)
        if windows.schema.continuous:
            return np.asarray(logits[:, 0])
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(shifted[:, said] / shifted.sum(1))

    moved = slope * columns
    code = said if windows.schema.continuous else int(row.model.classes_[said])
    cells = _named(row, windows)
    return Parts(cells, moved, without, code, "exact, linear", by_band(cells, moved), 0.0)


def _weights(model: Any, continuous: bool) -> tuple[DoubleArray, DoubleArray]:
    coef, offset = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    if not continuous and len(coef) == 1:
        coef, offset = np.concatenate([0 * coef, coef]), np.concatenate([0 * offset, offset])
    return coef, offset


def _named(row: ClassicalEstimator, windows: Windows) -> list[Cell]:
    """Name the columns that the row reads."""
    schema = windows.schema
    if row.info.inputs == "features":
        plain = [Cell(m, _channel(f, schema.modalities[m].channels), None, f) for m in schema.modalities
                 for f in schema.features.get(m, ())]  # fmt: skip
    elif row.info.inputs == "connectivity":
        spec = schema.modalities["eeg"]
        found = connectivity.columns(spec, windows.recipe.window_s)
        plain = [Cell("eeg", _channel(c.name, spec.channels), None, c.name) for c in found]
    else:
        plain = _pairs(schema.modalities["eeg"].channels, int(row.options.get("delays", 1)))
    cells = list(plain)
    if row.context:
        cells += [Cell(c.modality, c.channel, None, f"{c.feature}, mean of the {row.context} so far") for c in plain]
    if row.traits:
        cells += [Cell("traits", feature=name) for name in schema.traits]
    return [c for c, kept in zip(cells, row.kept, strict=True) if kept]


def _channel(feature: str, channels: tuple[str, ...]) -> str:
    """The electrode that a feature is of, by its last word."""
    last = feature.rsplit("_", 1)[-1]
    return last if last in channels else ""


def _pairs(channels: tuple[str, ...], delays: int) -> list[Cell]:
    """Columns of a tangent vector: the upper triangle of the matrix, row by row."""
    names = [f"{c}{f' {d} back' if d else ''}" for d in range(delays) for c in channels]
    owner = [c for _ in range(delays) for c in channels]
    pairs = [(i, k) for i in range(len(names)) for k in range(i, len(names))]
    return [
        Cell("eeg", owner[i] if owner[i] == owner[k] else "", None,
             f"variance of {names[i]}" if i == k else f"{names[i]} with {names[k]}")
        for i, k in pairs
    ]  # fmt: skip
