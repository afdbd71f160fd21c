"""People's EEG brought together: each person's covariance turned into the identity, by rows that are allowed.

Euclidean alignment (He and Wu 2020, doi 10.1109/TBME.2019.2913914) takes the arithmetic mean of a person's
covariance matrices, Riemannian re-centring (Zanini et al. 2018, doi 10.1109/TBME.2017.2742541) their affine-invariant
mean; samples are multiplied by its inverse square root, matrices from both sides. Which rows may be read is said by the
normaliser's kind: opening minutes, training trials, or the whole session, which is transductive and marked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from insula.errors import InputError, unknown_name
from insula.types import DoubleArray, IntArray

if TYPE_CHECKING:
    from insula.windows.table import Windows

Align = Literal["none", "euclidean", "riemannian"]
MODALITY = "eeg"
MEANS: Mapping[str, str] = {"euclidean": "euclid", "riemannian": "riemann"}
LEAST = 1e-3
"""Directions with less than this share of the mean variance are not blown up further (the average reference)."""
UNIT_UV = 10.0
"""Samples are divided by this many microvolts, so that entries of covariance matrices are near 1."""
WHOLE = ("opening", "running", "whole_session", "person_trials")
_CHUNK = 256


def require_align(how: str) -> None:
    """Raise for an unknown way."""
    if how not in get_args(Align):
        raise unknown_name("align", how, get_args(Align))


def require_rows(kind: str) -> None:
    """Raise for a normaliser that knows no person's windows."""
    if kind not in WHOLE:
        raise InputError(
            f"align with normaliser {kind!r}; expected one that reads windows of each person: {', '.join(WHOLE)}. "
            "Use --normaliser opening, or whole_session (transductive, marked)."
        )


def covariances(windows: Windows, delays: int = 1) -> DoubleArray:
    """Shrunk covariance (windows, d, d) of the cleaned EEG in units of 10 uV; NaN where it is absent."""
    from pyriemann.estimation import Covariances, TimeDelayCovariances

    if MODALITY not in windows.schema.modalities:
        raise InputError("covariance without EEG; expected the modality eeg. Use a row on features instead.")
    size = len(windows.schema.modalities[MODALITY].channels) * delays
    estimate = Covariances("oas") if delays == 1 else TimeDelayCovariances(delays, "oas")
    out = np.full((len(windows), size, size), np.nan)
    for first in range(0, len(windows), _CHUNK):
        rows = np.arange(first, min(first + _CHUNK, len(windows)))
        values, observed = windows.signals(rows)
        there = (observed[MODALITY].mean(axis=1) > 0.5) & (values[MODALITY].std(axis=2).max(axis=1) > 0)
        if there.any():
            out[rows[there]] = estimate.fit_transform(values[MODALITY][there].astype(np.float64) / UNIT_UV)
    return out


def turn(matrices: DoubleArray, how: str) -> DoubleArray | None:
    """Inverse square root (d, d) of the mean of matrices (n, d, d); None without a valid one."""
    from pyriemann.tangentspace import TangentSpace

    valid = matrices[np.isfinite(matrices).all(axis=(1, 2))]
    if not len(valid):
        return None
    mean = TangentSpace(metric={"mean": MEANS[how], "map": "riemann"}).fit(valid).reference_
    values, vectors = np.linalg.eigh(mean)
    values = np.maximum(values, LEAST * values.mean())
    return np.asarray((vectors / np.sqrt(values)) @ vectors.T)


def session_rows(windows: Windows, session: tuple[str, str], kind: str) -> tuple[Windows, IntArray]:
    """Rows of a session that a kind of normaliser may read, and the windows they are rows of."""
    from insula.learning.level import opening_rows  # this module is read for its names before anything is computed

    everything = windows.everything()
    table = everything.table
    mask = ((table["subject"] == session[0]) & (table["session"] == session[1])).to_numpy()
    if kind != "whole_session":
        mask = mask & opening_rows(table)
    return everything, np.flatnonzero(mask)


def session_turn(
    windows: Windows, session: tuple[str, str], kind: str, how: str, delays: int = 1
) -> DoubleArray | None:
    """A session's turn from the rows that a kind allows, made once for all views of a table."""
    span = "whole" if kind == "whole_session" else "opening"

    def make() -> DoubleArray | None:
        everything, rows = session_rows(windows, session, kind)
        return turn(covariances(everything.take(rows), delays), how) if len(rows) else None

    return windows.once(("turn", session, span, how, delays), make)


def people_turns(windows: Windows, how: str, delays: int = 1) -> dict[str, DoubleArray]:
    """Each person's turn from these very windows."""
    out = {}
    people = windows.table["subject"].to_numpy()
    for person in dict.fromkeys(people):
        found = turn(covariances(windows.take(people == person), delays), how)
        if found is not None:
            out[str(person)] = found
    return out
