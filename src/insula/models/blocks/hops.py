"""Hops of a step model: features at the last one, and the answer at the end of many."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from insula.types import Batch, ModelOutput


def last_hop(features: Tensor, hops: int) -> Tensor:
    """Place features (B, F) at the last of N hops and mark the hops before as not valid: (B, N, F)."""
    if hops == 1:
        return features.unsqueeze(1)
    before = features.new_full((features.shape[0], hops - 1, features.shape[1]), math.nan)
    return torch.cat([before, features.unsqueeze(1)], 1)


def answer_at_end(
    sequence: Callable[[Batch, Mapping[str, Any] | None], ModelOutput],
    batch: Batch,
    hops: int,
    state: Mapping[str, Any] | None,
) -> ModelOutput:
    """Read a batch of so many hops by a step model's ``sequence`` and keep the answer at its end: logits (B, K).

    ``batch.features[m]`` is (B, F_m) and ``batch.present`` (B, M) here; attention and extras are those of the last hop.
    """
    features = {m: last_hop(v, hops) for m, v in batch.features.items()}
    present = batch.present.unsqueeze(1).expand(-1, hops, -1)  # (B, N, M)
    out = sequence(replace(batch, features=features, present=present), state)
    return ModelOutput(
        out.logits[:, -1],
        out.embedding[:, -1],
        out.state,
        {name: value[:, -1] for name, value in out.attention.items()},
        {name: value[:, -1] for name, value in out.extras.items()},
    )
