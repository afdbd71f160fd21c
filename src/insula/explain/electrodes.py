"""Which electrodes a model attends to, beside the same with electrodes shuffled, and where they sit on the head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from insula import plots
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Fitted, Shown
from insula.explain.facts import Facts
from insula.explain.wording import minus
from insula.learning.batches import to_device
from insula.learning.estimator import Estimator
from insula.learning.feed import Feed
from insula.models import build
from insula.models.blocks.electrodes import electrode_matrix, shuffle_electrodes
from insula.models.blocks.scalp import places_10_05
from insula.protocols.own_median import for_fold
from insula.types import Batch, DoubleArray, InputSpec
from insula.windows.table import Windows

SHUFFLES = 19
_FOLDS, _TRAINED = 4, 2
"""Folds looked at; fewer where a control is trained for each."""
_WINDOWS = 48
_LANDMARKS = ("Fpz", "Oz", "T7", "T8")


@dataclass(frozen=True)
class Electrodes:
    """Attention between C electrodes: places ``xy``, ``matrix`` and its control ``shuffled`` (C, C), row to column.

    ``received`` is 1 for an even share, ``outside`` names the electrodes outside the range of the control. ``trained``
    says that the control was trained on shuffled electrodes, not only shown them.
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
    trained: bool = False


def electrode_attention(
    fitted: Fitted, seed: int = 0, shuffles: int = SHUFFLES, training: Sequence[Windows] = ()
) -> Electrodes | None:
    """Average the electrode x electrode attention over held-out windows of some folds.

    The control shuffles the electrodes of every window before the network reads it: what stays the same comes from the
    identity the network has learned for each place, not from what the electrode measured. A graph that was learned and
    is the same for every window cannot change by that; its control is trained anew on the folds' ``training`` windows
    with electrodes shuffled. ``received`` is the mean attention an electrode gets from all of them, times their
    number: 1 is an even share. None for a model without ``attention["electrode"]``.
    """
    first = fitted[0][0]
    if "eeg" not in first.schema.modalities or not _attends(*fitted[0]):
        return None
    rng = np.random.default_rng(seed)
    matrices, shuffled, n_windows = [], [], 0
    learned = bool(training) and _is_learned(*fitted[0])
    folds = fitted[: _TRAINED if learned else _FOLDS]
    for k, (model, held_out) in enumerate(folds):
        rows = np.sort(rng.permutation(len(held_out))[:_WINDOWS])
        batch = _batch(model, held_out, rows)
        n_windows += len(rows)
        network = model.networks[0]
        matrices.append(electrode_matrix(network, [batch]))
        if learned:
            control = trained_on_shuffled(model, training[k], seed + k).networks[0]
            shuffled.append(electrode_matrix(control, [batch])[None])
            continue
        seeds = rng.integers(0, 2**31, shuffles)
        shuffled.append(np.stack([electrode_matrix(network, [batch], shuffle_seed=int(s)) for s in seeds]))
    matrix = np.mean(matrices, 0)  # (C, C)
    control = np.mean(shuffled, 0)  # (shuffles, C, C)
    channels = first.schema.modalities["eeg"].channels
    count = len(channels)
    received, by_luck = matrix.mean(0) * count, control.mean(1) * count  # (C,), (shuffles, C)
    low, high = by_luck.min(0), by_luck.max(0)
    told = (
        f"a graph learned with the weights, the same for every window; mean over {len(folds)} folds; control: the same "
        "network trained on the same windows, the electrodes of each in a random order"
        if learned
        else f"mean over {n_windows} held-out windows of {len(folds)} folds, layers and heads; control: {shuffles} "
        f"shuffles of the electrodes of every window; by luck alone about {2 / (1 + shuffles):.0%} of the "
        "electrodes lie outside its range"
    )
    return Electrodes(
        channels=tuple(channels),
        xy=tuple(positions(channels)),
        matrix=_rows(matrix),
        shuffled=_rows(control.mean(0)),
        received=tuple(received.tolist()),
        received_shuffled=_rows(np.stack([low, high])),
        outside=()
        if learned
        else tuple(c for c, r, lo, hi in zip(channels, received, low, high, strict=True) if not lo <= r <= hi),
        correlation=_correlation(matrix, control.mean(0)),
        note=told,
        trained=learned,
    )


def trained_on_shuffled(model: Estimator, training: Windows, seed: int = 0) -> Estimator:
    """Train the same network anew, the electrodes of every window it reads in a random order of its own."""
    generator = torch.Generator().manual_seed(seed)

    def shuffling(spec: InputSpec) -> torch.nn.Module:
        config = model.config
        network = model.factory(spec) if model.factory else build(
            config.model, spec, config.size, **dict(config.options or {})
        )  # fmt: skip
        network.register_forward_pre_hook(lambda _, given: (shuffle_electrodes(given[0], generator), *given[1:]))
        return network

    return Estimator(replace(model.config, members=1), shuffling).fit(training)


def _is_learned(model: Estimator, held_out: Windows) -> bool:
    """Whether the graph is the same for every window, so that shuffling a window's electrodes cannot change it."""
    found = model.networks[0](_batch(model, held_out, np.arange(min(2, len(held_out))))).attention["electrode"]
    return bool(torch.allclose(found[0], found[-1], atol=1e-6)) and len(found) > 1


def _rows(matrix: DoubleArray) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, matrix.tolist()))


def positions(channels: Sequence[str]) -> list[tuple[float, float] | None]:
    """Place of each electrode seen from above, nose up; None for an unknown name.

    About 1 from the centre on the circle through Fpz, T7, T8 and Oz. From mne's montage of the 10-05 system,
    azimuthal equidistant.
    """
    places = {name.lower(): np.asarray(xyz, np.float64) for name, xyz in places_10_05().items()}
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
    training = [for_fold(evaluated.windows, m.split).take(m.split.train) for m in evaluated.models]
    return electrode_attention(evaluated.fitted, training=training)


def _show(found: Electrodes, _: Facts) -> Shown:
    control = "trained on shuffled electrodes" if found.trained else "electrodes shuffled"
    titles = ((found.matrix, "learned" if found.trained else "measured"), (found.shuffled, control))
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
    how = (
        "In the second map the same network learned from windows whose electrodes were shuffled: what looks the same "
        "there comes from chance and starting weights, not from places."
        if found.trained
        else "In the second map the electrodes of every window were shuffled before the network read them: what looks "
        "the same there has nothing to do with what an electrode measured."
    )
    told = (
        f"In bold, outside the range of the control: {', '.join(outside)}; at most {apart:.2f} of an even share apart."
        if outside
        else f"At most {apart:.2f} of an even share apart."
        if found.trained
        else "No electrode lies outside the range of the control: the map shows places learned, not brains measured."
    )
    shares = [*received, *control]
    caption = f"""Seen from above, nose up. A larger disc receives more attention, {min(shares):.2f} to
        {max(shares):.2f} times an even share; the 12 strongest links above an even share are drawn. {how}
        {told}{picture.sentence(found.note)}"""
    ranked = sorted(zip(channels, received, strict=True), key=lambda pair: -pair[1])
    alt = "Attention received, even share 1: " + ", ".join(f"{c} {v:.2f}" for c, v in ranked)
    return picture.make(
        "electrodes", "Which electrodes it attends to", caption, alt, plots.electrode_heads, maps, channels, xy,
        outside,
    )  # fmt: skip


def _matrices(found: Electrodes, maps: Sequence[plots.ElectrodeMap]) -> picture.Picture:
    r = found.correlation
    told = (
        f"Correlation of the two off the diagonal: {minus(f'{r:.2f}')}; near 1, "
        + ("the graph owes nothing to places." if found.trained else "attention goes by place alone.")
        if math.isfinite(r)
        else ""
    )
    low, top = (100 * f([float(f(m.matrix.ravel())) for m in maps]) for f in (min, max))
    control = "control trained with electrodes shuffled" if found.trained else "control with electrodes shuffled"
    caption = f"""How much each electrode (row) attends to each other (column), from {low:.1f} % of a row (lightest) to
        {top:.1f} % (darkest); an even share is {100 / len(maps[0].matrix):.1f} %. Beside it the {control}. {told}"""
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
