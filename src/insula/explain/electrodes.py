"""Which electrodes a model attends to, beside the same with electrodes shuffled, and where they sit on the head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from insula import plots
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Fitted, Shown
from insula.explain.facts import Facts
from insula.explain.wording import minus
from insula.learning.batches import to_device
from insula.learning.estimator import Estimator
from insula.learning.feed import Feed
from insula.models.blocks.electrodes import electrode_matrix
from insula.types import Batch, DoubleArray
from insula.windows.table import Windows

SHUFFLES = 19
_FOLDS = 4
_WINDOWS = 48
_MONTAGES = ("colin27_1005", "standard_1005")
"""The same positions under mne's newer and older name."""
_LANDMARKS = ("Fpz", "Oz", "T7", "T8")


@dataclass(frozen=True)
class Electrodes:
    """Attention between C electrodes: places ``xy``, ``matrix`` and its control ``shuffled`` (C, C), row to column.

    ``received`` is 1 for an even share, ``outside`` names the electrodes outside the range of the control.
    """

    channels: tuple[str, ...] = ()
    xy: tuple[tuple[float, float] | None, ...] = ()
    matrix: tuple[tuple[float, ...], ...] = ()
    shuffled: tuple[tuple[float, ...], ...] = ()
    received: tuple[float, ...] = ()
    received_shuffled: tuple[tuple[float, ...], ...] = ()
    outside: tuple[str, ...] = ()
    correlation: float = math.nan
    note: str = ""


def electrode_attention(fitted: Fitted, seed: int = 0, shuffles: int = SHUFFLES) -> Electrodes | None:
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
    return Electrodes(
        channels=tuple(channels),
        xy=tuple(positions(channels)),
        matrix=_rows(matrix),
        shuffled=_rows(control.mean(0)),
        received=tuple(received.tolist()),
        received_shuffled=_rows(np.stack([low, high])),
        outside=tuple(c for c, r, lo, hi in zip(channels, received, low, high, strict=True) if not lo <= r <= hi),
        correlation=_correlation(matrix, control.mean(0)),
        note=(
            f"mean over {n_windows} held-out windows of {len(folds)} folds, layers and heads; control: {shuffles} "
            f"shuffles of the electrodes of every window; by luck alone about {2 / (1 + shuffles):.0%} of the "
            "electrodes lie outside its range"
        ),
    )


def _rows(matrix: DoubleArray) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, matrix.tolist()))


def positions(channels: Sequence[str]) -> list[tuple[float, float] | None]:
    """Place of each electrode seen from above, nose up; None for an unknown name.

    About 1 from the centre on the circle through Fpz, T7, T8 and Oz. From mne's montage of the 10-05 system,
    azimuthal equidistant.
    """
    import mne

    montage = next(n for n in _MONTAGES if n in mne.channels.get_builtin_montages())
    known = mne.channels.make_standard_montage(montage).get_positions()["ch_pos"]
    places = {name.lower(): np.asarray(xyz, np.float64) for name, xyz in known.items()}
    centre = np.mean([places[name.lower()] for name in _LANDMARKS], 0)
    out: list[tuple[float, float] | None] = []
    for channel in channels:
        if channel.lower() not in places:
            out.append(None)
            continue
        x, y, z = places[channel.lower()] - centre
        flat = float(np.hypot(x, y))
        reach = float(np.arctan2(flat, z)) / (np.pi / 2)
        out.append((reach * x / flat, reach * y / flat) if flat > 1e-9 else (0.0, 0.0))
    return out


def _attends(model: Estimator, held_out: Windows) -> bool:
    output = model.networks[0](_batch(model, held_out, np.arange(1)))
    return "electrode" in output.attention


def _batch(model: Estimator, windows: Windows, rows: Any) -> Batch:
    """Some windows as the network reads them, one by one."""
    part = next(Feed(model.prepare(windows.take(rows)), "window").each(len(rows)))
    return to_device(part, model.device).batch


def _correlation(matrix: DoubleArray, control: DoubleArray) -> float:
    """Correlation of two matrices off the diagonal; NaN where one of them does not vary."""
    off = ~np.eye(len(matrix), dtype=bool)
    a, b = matrix[off], control[off]
    if a.std() < 1e-12 or b.std() < 1e-12:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def _run(evaluated: Evaluated) -> Electrodes | None:
    return electrode_attention(evaluated.fitted)


def _show(found: Electrodes, _: Facts) -> Shown:
    titles = ((found.matrix, "measured"), (found.shuffled, "electrodes shuffled"))
    maps = [plots.ElectrodeMap(title, np.asarray(values, dtype=np.float64)) for values, title in titles]
    if not all(m.matrix.ndim == 2 and len(m.matrix) > 1 for m in maps):
        return Shown()
    made = (_heads(found, maps), _matrices(found, maps))
    return Shown(pictures=tuple(one for one in made if one is not None))


def _heads(found: Electrodes, maps: Sequence[plots.ElectrodeMap]) -> picture.Picture | None:
    channels, outside = found.channels, found.outside
    xy = np.asarray([(math.nan, math.nan) if p is None else p for p in found.xy], dtype=np.float64)
    if xy.ndim != 2 or np.isfinite(xy[:, 0]).sum() < 3:
        return None
    received, control = (m.matrix.mean(0) * len(channels) for m in maps)
    apart = float(np.abs(received - control).max())
    told = (
        f"In bold, outside the range of the control: {', '.join(outside)}; at most {apart:.2f} of an even share apart."
        if outside
        else "No electrode lies outside the range of the control: the map shows places learned, not brains measured."
    )
    shares = [*received, *control]
    caption = f"""Seen from above, nose up. A larger disc receives more attention, {min(shares):.2f} to
        {max(shares):.2f} times an even share; the 12 strongest links above an even share are drawn. In the second map
        the electrodes of every window were shuffled before the network read them: what looks the same there has nothing
        to do with what an electrode measured. {told}{picture.sentence(found.note)}"""
    ranked = sorted(zip(channels, received, strict=True), key=lambda pair: -pair[1])
    alt = "Attention received, even share 1: " + ", ".join(f"{c} {v:.2f}" for c, v in ranked)
    return picture.make(
        "electrodes", "Which electrodes it attends to", caption, alt, plots.electrode_heads, maps, channels, xy,
        outside,
    )  # fmt: skip


def _matrices(found: Electrodes, maps: Sequence[plots.ElectrodeMap]) -> picture.Picture:
    r = found.correlation
    told = (
        f"Correlation of the two off the diagonal: {minus(f'{r:.2f}')}; near 1, attention goes by place alone."
        if math.isfinite(r)
        else ""
    )
    low, top = (100 * f([float(f(m.matrix.ravel())) for m in maps]) for f in (min, max))
    caption = f"""How much each electrode (row) attends to each other (column), from {low:.1f} % of a row (lightest) to
        {top:.1f} % (darkest); an even share is {100 / len(maps[0].matrix):.1f} %. Beside it the control with electrodes
        shuffled. {told}"""
    return picture.make(
        "electrode-matrix", "Who attends to whom", caption, f"Two matrices of attention. {told}",
        plots.electrode_matrices, maps, found.channels,
    )  # fmt: skip


ELECTRODES = Analysis(
    "electrodes",
    Electrodes,
    _run,
    _show,
    methods="Attention between electrodes was compared with that on windows whose electrodes had been shuffled.",
)
