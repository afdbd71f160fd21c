"""Changes of training batches that keep the labels: a lost modality, another gain, lost channels, a later start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from insula.learning.batches import LabelledBatch, without
from insula.learning.train_config import TrainConfig
from insula.types import Batch


def augmented(part: LabelledBatch, config: TrainConfig, rng: np.random.Generator) -> LabelledBatch:
    """Return a training batch as a configuration changes it; what is off draws nothing."""
    batch = _without_modalities(part, config.modality_dropout, rng)
    signals = dict(batch.signals)
    for name, values in signals.items():
        rows, channels = values.shape[:2]
        if config.gain:
            factor = np.exp(config.gain * rng.standard_normal(rows)).astype(np.float32)
            signals[name] = signals[name] * torch.from_numpy(factor).to(values.device)[:, None, None]
        if config.channel_dropout and channels > 1:
            kept = (rng.random((rows, channels)) >= config.channel_dropout).astype(np.float32)
            signals[name] = signals[name] * torch.from_numpy(kept).to(values.device)[:, :, None]
    part = replace(part, batch=replace(batch, signals=signals))
    hops = part.y.shape[1]
    if not config.late_start or hops < 2:
        return part
    most = np.floor(config.late_start * (part.row >= 0).sum(1).cpu().numpy())
    first = torch.from_numpy(rng.integers(0, most.astype(np.int64) + 1)).to(part.y.device)
    return _begun_late(part, torch.arange(hops, device=part.y.device)[None] < first[:, None])


def _begun_late(part: LabelledBatch, before: Tensor) -> LabelledBatch:
    """Leave out the hops before a stretch's new start, ``before`` (B, N): nothing observed, nothing in the loss."""
    batch, hops = part.batch, before.shape[1]

    def blank(values: Tensor, fill: float | bool, time: int) -> Tensor:
        """Fill what lies before the start along the dimension of time, which holds a whole number of steps a hop."""
        gone = before.repeat_interleave(values.shape[time] // hops, 1)
        shape = [1] * values.dim()
        shape[0], shape[time] = gone.shape
        return torch.where(gone.view(shape), torch.full_like(values, fill), values)

    def each(values: Mapping[str, Tensor], fill: float | bool, time: int) -> dict[str, Tensor]:
        return {name: blank(v, fill, time) for name, v in values.items()}

    late: Batch = replace(
        batch,
        signals=each(batch.signals, 0.0, 2),
        observed=each(batch.observed, False, 1),
        features=each(batch.features, float("nan"), 1),
        present=blank(batch.present, False, 1),
    )
    return replace(part, batch=late, weight=torch.where(before, torch.zeros_like(part.weight), part.weight))


def _without_modalities(part: LabelledBatch, chance: float, rng: np.random.Generator) -> Batch:
    names = list(part.batch.signals)
    if not chance or len(names) < 2:
        return part.batch
    batch = part.batch
    lost = np.where(rng.random(len(part.y)) < chance, rng.integers(0, len(names), len(part.y)), -1)
    for position, name in enumerate(names):
        if (lost == position).any():
            batch = without(batch, name, position, torch.from_numpy(lost == position))
    return batch
