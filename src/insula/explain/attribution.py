"""What of a window moved a network's answer: integrated gradients of everything it reads, cell by cell.

The answer is the logit of the class that the network says, less the mean of all logits (the value of a continuous
target). Gradients are integrated from the person's usual level (zero after scaling) to what was recorded (Sundararajan
et al. 2017, arXiv 1703.01365; by captum). They add up to the difference of the two answers. Bands of EEG share a
sample's gradient by the sample's parts in each band, which adds up as well (Vielhaben et al. 2023, arXiv 2303.06365).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from insula.errors import MissingDependencyError
from insula.learning.batches import Item, LabelledBatch, Prepared
from insula.learning.estimator import Estimator
from insula.learning.feed import run
from insula.signals.features.eeg import BANDS_HZ
from insula.types import Batch, BoolArray, DoubleArray
from insula.windows.table import Windows

STEPS = 32
"""Points between the usual level and the recorded one at which gradients are taken."""
AT_ONCE = 8


@dataclass(frozen=True)
class Cell:
    """What is told apart at least: a second of a channel, a feature, a trait; seconds count from the window's end."""

    modality: str
    channel: str = ""
    second: int | None = None
    feature: str = ""

    @property
    def kind(self) -> tuple[str, bool]:
        """Cells of one kind stand in for each other in random deletion."""
        return self.modality, self.second is None


TOLD_GAP = 0.05
"""A gap from here on is told, in the unit of what moved the answer."""


@dataclass(frozen=True)
class Parts:
    """How much each cell moved the answer, (cells,), and by band of EEG; ``gap`` is what they leave unexplained.

    ``without(masks)`` gives the chance of the answer (or the value) with the cells of each mask (k, cells) at their
    usual level, (k,).
    """

    cells: Sequence[Cell]
    moved: DoubleArray
    without: Callable[[BoolArray], DoubleArray]
    said: int
    method: str
    bands: Mapping[str, float]
    gap: float

    @property
    def missed(self) -> str:
        """The gap in words, where it counts."""
        told = f"{self.gap:+.2f} of what moved the answer is in no part: the way from the usual level missed it"
        return told if abs(self.gap) >= TOLD_GAP else ""


def require_captum() -> Any:
    """Return captum's integrated gradients; MissingDependencyError where it is not installed."""
    try:
        from captum.attr import IntegratedGradients
    except ImportError:
        raise MissingDependencyError(
            "explaining one answer of a network needs captum; expected it installed. Install insula[explain]."
        ) from None
    return IntegratedGradients


def network_parts(model: Estimator, windows: Windows, row: int) -> Parts:
    """Take one window's answer of an Estimator's first network apart; seconds before the window count where carried."""
    gradients = require_captum()
    network = model.networks[0].cpu().eval()
    one = windows.take([row])
    part = _until(model.prepare(one), model.scope)
    names = [("signal", m) for m in part.batch.signals]
    names += [("feature", m) for m in part.batch.features if part.batch.features[m].shape[-1]]
    names += [("trait", "traits")] if part.batch.traits.shape[-1] else []
    inputs = [_input(part.batch, *name).float() for name in names]
    place = (part.row >= 0)[0]

    def logits(values: Sequence[Tensor]) -> Tensor:
        batch = _with(part.batch, names, values)
        many = replace(part, batch=batch)
        return run(network, many, model.scope).logits[:, place][:, -1]  # (B, K)

    with torch.no_grad():
        said = int(logits(inputs)[0].argmax())
    continuous = windows.schema.continuous

    def answer(*values: Tensor) -> Tensor:
        found = logits(values)
        unread = sum(
            0.0 * torch.nan_to_num(v).flatten(1).sum(1) for v in values
        )  # captum wants all of them in the graph
        return (found[:, 0] if continuous else found[:, said] - found.mean(1)) + unread

    zeros = tuple(torch.zeros_like(v) for v in inputs)
    usual = gradients(answer, multiply_by_inputs=False)
    slopes = usual.attribute(tuple(inputs), zeros, n_steps=STEPS, internal_batch_size=AT_ONCE)
    each = [
        (torch.nan_to_num(s) * torch.nan_to_num(v))[0].detach().numpy().astype(np.float64)
        for s, v in zip(slopes, inputs, strict=True)
    ]
    with torch.no_grad():
        moved_in_all = float(answer(*inputs) - answer(*zeros))
    cells, places = _cells(windows, names, each)
    moved = np.asarray([each[i][at].sum() for i, at in places])
    bands = by_band(cells, moved)
    for (kind, m), slope, value in zip(names, slopes, inputs, strict=True):
        if kind == "signal" and m == "eeg":
            rate_hz = windows.schema.modalities[m].rate_hz
            for name, part_of_it in _bands(value[0].numpy(), slope[0].detach().numpy(), rate_hz).items():
                bands[name] = bands.get(name, 0.0) + part_of_it
    scale = float(model.target_scale[1]) if continuous else 1.0

    def without(masks: BoolArray) -> DoubleArray:
        found = []
        with torch.no_grad():
            for first in range(0, len(masks), AT_ONCE):
                some = masks[first : first + AT_ONCE]
                values = [v.repeat(len(some), *(1,) * (v.dim() - 1)) for v in inputs]
                for b, mask in enumerate(some):
                    for c in np.flatnonzero(mask):
                        i, at = places[c]
                        values[i][b][at] = 0.0
                out = logits(values)
                chance = out[:, 0] * scale + model.target_scale[0] if continuous else torch.softmax(out, 1)[:, said]
                found.append(chance.double().numpy())
        return np.concatenate(found)

    return Parts(
        cells, moved * scale, without, said, "integrated gradients",
        {name: value * scale for name, value in bands.items()}, (moved_in_all - float(moved.sum())) * scale,
    )  # fmt: skip


def _until(prepared: Prepared, scope: str) -> LabelledBatch:
    """Batch of one: the asked window, with the stretch before it where state is carried."""
    if scope == "window":
        return prepared.singles(np.flatnonzero(prepared.asked >= 0))
    item = next(i for i in prepared.items(scope) if i.labelled.any())
    last = int(np.flatnonzero(item.labelled)[-1]) + 1
    hops, left = [], last
    for count in item.hops:
        if left > 0:
            hops.append(min(count, left))
        left -= count
    kept = len(hops)
    cut = Item(item.trials[:kept], tuple(hops), item.gaps_s[:kept], item.rows[:last], item.labelled[:last])
    return prepared.stretches([cut])


def _input(batch: Batch, kind: str, name: str) -> Tensor:
    return {"signal": batch.signals, "feature": batch.features}[kind][name] if kind != "trait" else batch.traits


def _with(batch: Batch, names: Sequence[tuple[str, str]], values: Sequence[Tensor]) -> Batch:
    """The batch, repeated as often as there are values, with these in it."""
    times = len(values[0]) // len(batch.present)

    def many(tensor: Tensor) -> Tensor:
        return tensor.repeat(times, *(1,) * (tensor.dim() - 1))

    given = dict(zip(names, values, strict=True))
    return Batch(
        {m: given["signal", m] for m in batch.signals},
        {m: many(v) for m, v in batch.observed.items()},
        {m: many(v) for m, v in batch.elapsed_s.items()},
        {m: given.get(("feature", m), many(v)) for m, v in batch.features.items()},
        given.get(("trait", "traits"), many(batch.traits)),
        many(batch.present),
    )


def _cells(
    windows: Windows, names: Sequence[tuple[str, str]], each: Sequence[DoubleArray]
) -> tuple[list[Cell], list[tuple[int, Any]]]:
    """Cells and where each lies: (input, index into it)."""
    cells: list[Cell] = []
    places: list[tuple[int, Any]] = []
    for i, (kind, m) in enumerate(names):
        if kind == "signal":
            spec = windows.schema.modalities[m]
            per = max(1, round(spec.rate_hz))
            seconds = -(-each[i].shape[1] // per)
            for c, channel in enumerate(spec.channels):
                for k in range(seconds):  # counted from the end
                    stop = each[i].shape[1] - k * per
                    cells.append(Cell(m, channel, -k))
                    places.append((i, (c, slice(max(0, stop - per), stop))))
        else:
            columns = windows.schema.features[m] if kind == "feature" else windows.schema.traits
            for f, name in enumerate(columns):
                cells.append(Cell(m, feature=name))
                places.append((i, (..., f)))
    return cells, places


def by_band(cells: Sequence[Cell], moved: DoubleArray) -> dict[str, float]:
    """Sum the features that name a band of EEG, in the order of the bands."""
    found: dict[str, float] = {}
    for cell, value in zip(cells, moved.tolist(), strict=True):
        for band in set(BANDS_HZ).intersection(cell.feature.split("_")):
            found[band] = found.get(band, 0.0) + value
    return {band: found[band] for band in BANDS_HZ if band in found}


def _bands(values: Any, slopes: Any, rate_hz: float) -> dict[str, float]:
    """Split what samples (C, T) moved among bands: a band's part of each sample times the sample's gradient."""
    spectrum = np.fft.rfft(values.astype(np.float64), axis=1)
    at = np.fft.rfftfreq(values.shape[1], 1 / rate_hz)
    out, used = {}, np.zeros(len(at), bool)
    for name, (low, high) in BANDS_HZ.items():
        inside = (at >= low) & (at < high)
        used |= inside
        if inside.any():
            out[name] = float((np.fft.irfft(spectrum * inside, values.shape[1], axis=1) * slopes).sum())
    out["other"] = float((np.fft.irfft(spectrum * ~used, values.shape[1], axis=1) * slopes).sum())
    return out
