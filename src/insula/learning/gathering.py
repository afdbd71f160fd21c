"""What a network says of many windows, gathered a row a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from insula.errors import unknown_name
from insula.learning.batches import Prepared, to_device, without
from insula.learning.feed import Feed, run
from insula.types import Batch, FloatArray, ModelOutput

TRAITS = "traits"
"""Stands among absent modalities for what is known of people."""


def gathered(
    network: nn.Module,
    prepared: Prepared,
    count: int,
    names: Sequence[str],
    scope: str,
    device: torch.device,
    absent: str | Sequence[str] | None = None,
) -> dict[str, FloatArray]:
    """What a network says of ``count`` windows, without the modalities ``absent``, by name.

    Names: ``logits``, ``embedding``, ``attention:NAME``, ``extras:NAME``. `TRAITS` among the absent hides what is known
    of people.
    """
    network.eval()
    modalities = list(prepared.windows.schema.modalities)
    hidden = (absent,) if isinstance(absent, str) else tuple(absent or ())
    for one in hidden:
        if one not in (*modalities, TRAITS):
            raise unknown_name("modality", one, modalities)
    out: dict[str, FloatArray] = {}
    with torch.no_grad():
        feed = Feed(prepared, scope)
        for part in feed.each(feed.fitting(32)):
            for one in hidden:
                part = replace(part, batch=_without(part.batch, one, modalities))
            found = run(network, to_device(part, device), scope)
            keep = part.row >= 0
            rows = part.row[keep].numpy()
            for name in names:
                array = _read(found, name).cpu()[keep].numpy()
                if name not in out:
                    out[name] = np.full((count, *array.shape[1:]), np.nan, np.float32)
                out[name][rows] = array
    return out


def _without(batch: Batch, name: str, modalities: Sequence[str]) -> Batch:
    if name == TRAITS:  # standardised: 0 is everybody's mean
        return replace(batch, traits=torch.zeros_like(batch.traits))
    return without(batch, name, modalities.index(name))


def _read(output: ModelOutput, name: str) -> torch.Tensor:
    """``logits``, ``embedding``, ``attention:NAME`` or ``extras:NAME`` of a model's output."""
    kind, _, own = name.partition(":")
    if own:
        found = output.attention if kind == "attention" else output.extras
        if own not in found:
            raise unknown_name(kind, own, found)
        return found[own]
    return output.embedding if name == "embedding" else output.logits
