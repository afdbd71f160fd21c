"""Which electrodes a model attends to, beside the same with electrodes shuffled, and where they sit on the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from insula.learning.batches import to_device
from insula.learning.estimator import Estimator
from insula.learning.train import Feed
from insula.models.rbtransformer import electrode_matrix
from insula.types import Batch, DoubleArray
from insula.windows.table import Windows

SHUFFLES = 19
_FOLDS = 4
_WINDOWS = 48
_MONTAGES = ("colin27_1005", "standard_1005")
"""The same positions under mne's newer and older name."""
_LANDMARKS = ("Fpz", "Oz", "T7", "T8")


def electrode_attention(
    fitted: Sequence[tuple[Estimator, Windows]], seed: int = 0, shuffles: int = SHUFFLES
) -> dict[str, Any] | None:
    """Average the electrode x electrode attention over held-out windows of some folds.

    The control shuffles the electrodes of every window before the network reads it: what stays the same comes from the
    identity the network has learned for each place, not from what the electrode measured. ``received`` is the mean
    attention an electrode gets from all of them, times their number: 1 is an even share. None for a model without
    ``attention["electrode"]``.
    """
    first = fitted[0][0]
    if "eeg" not in first.schema.modalities or not _attends(*fitted[0]):
        return None
    rng = np.random.default_rng(seed)
    matrices, shuffled, n_windows = [], [], 0
    folds = fitted[:_FOLDS]
    for model, held_out in folds:
        rows = np.sort(rng.permutation(len(held_out))[:_WINDOWS])
        batch = _batch(model, held_out, rows)
        n_windows += len(rows)
        network = model.networks[0]
        matrices.append(electrode_matrix(network, [batch]))
        seeds = rng.integers(0, 2**31, shuffles)
        shuffled.append(np.stack([electrode_matrix(network, [batch], shuffle_seed=int(s)) for s in seeds]))
    matrix = np.mean(matrices, 0)  # (C, C)
    control = np.mean(shuffled, 0)  # (shuffles, C, C)
    channels = first.schema.modalities["eeg"].channels
    count = len(channels)
    received, by_luck = matrix.mean(0) * count, control.mean(1) * count  # (C,), (shuffles, C)
    low, high = by_luck.min(0), by_luck.max(0)
    return {
        "channels": list(channels),
        "xy": positions(channels),
        "matrix": matrix.tolist(),
        "shuffled": control.mean(0).tolist(),
        "received": received.tolist(),
        "received_shuffled": [low.tolist(), high.tolist()],
        "outside": [c for c, r, lo, hi in zip(channels, received, low, high, strict=True) if not lo <= r <= hi],
        "correlation": _correlation(matrix, control.mean(0)),
        "note": (
            f"mean over {n_windows} held-out windows of {len(folds)} folds, layers and heads; control: {shuffles} "
            f"shuffles of the electrodes of every window; by luck alone about {2 / (1 + shuffles):.0%} of the "
            "electrodes lie outside its range"
        ),
    }


def positions(channels: Sequence[str]) -> list[list[float] | None]:
    """Place of each electrode seen from above, nose up; None for an unknown name.

    About 1 from the centre on the circle through Fpz, T7, T8 and Oz. From mne's montage of the 10-05 system,
    azimuthal equidistant.
    """
    import mne

    montage = next(n for n in _MONTAGES if n in mne.channels.get_builtin_montages())
    known = mne.channels.make_standard_montage(montage).get_positions()["ch_pos"]
    places = {name.lower(): np.asarray(xyz, np.float64) for name, xyz in known.items()}
    centre = np.mean([places[name.lower()] for name in _LANDMARKS], 0)
    out: list[list[float] | None] = []
    for channel in channels:
        if channel.lower() not in places:
            out.append(None)
            continue
        x, y, z = places[channel.lower()] - centre
        flat = float(np.hypot(x, y))
        reach = float(np.arctan2(flat, z)) / (np.pi / 2)
        out.append([reach * x / flat, reach * y / flat] if flat > 1e-9 else [0.0, 0.0])
    return out


def _attends(model: Estimator, held_out: Windows) -> bool:
    output = model.networks[0](_batch(model, held_out, np.arange(1)))
    return "electrode" in output.attention


def _batch(model: Estimator, windows: Windows, rows: Any) -> Batch:
    """Some windows as the network reads them, one by one."""
    part = next(Feed(model.prepare(windows.take(rows)), "window").each(len(rows)))
    return to_device(part, model.device).batch


def _correlation(matrix: DoubleArray, control: DoubleArray) -> float | None:
    """Correlation of two matrices off the diagonal; None where one of them does not vary."""
    off = ~np.eye(len(matrix), dtype=bool)
    a, b = matrix[off], control[off]
    if a.std() < 1e-12 or b.std() < 1e-12:
        return None
    return float(np.corrcoef(a, b)[0, 1])
