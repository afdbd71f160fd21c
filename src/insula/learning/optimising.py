"""Which weights learn how fast, and the average of weights that follows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from insula.learning.train_config import TrainConfig


def parameter_groups(model: nn.Module, config: TrainConfig, beside: Sequence[nn.Module] = ()) -> list[dict[str, Any]]:
    """Decay matrices only; log time constants and log gains learn faster. ``beside`` are modules that learn along.

    What stands under ``encoder`` of a network that says ``encoder_rate`` learns at that share of the rate.
    """
    learned = [(name, p) for one in (model, *beside) for name, p in one.named_parameters() if p.requires_grad]
    slow = [p for name, p in learned if name.split(".")[-1] in ("log_tau", "log_gain")]
    share = float(getattr(model, "encoder_rate", 1.0))
    gentle = [(name, p) for name, p in learned if share != 1 and name.startswith("encoder.")]
    chosen = {id(p) for p in (*slow, *(p for _, p in gentle))}
    matrices = [p for _, p in learned if p.dim() > 1 and id(p) not in chosen]
    vectors = [p for _, p in learned if p.dim() <= 1 and id(p) not in chosen]
    rate = config.learning_rate
    groups = (
        (matrices, config.weight_decay, rate),
        (vectors, 0.0, rate),
        (slow, 0.0, rate * config.time_constant_rate),
        ([p for _, p in gentle], config.weight_decay, rate * share),
    )
    return [{"params": p, "weight_decay": decay, "lr": lr} for p, decay, lr in groups if p]


def averaged_from(model: nn.Module, epochs: int) -> int | None:
    """Epoch from which weights are averaged equally, None for a model that does not ask for it."""
    if not getattr(model, "swa", False):
        return None
    return min(int(float(model.swa_start) * epochs), epochs - 1)  # type: ignore[arg-type]


class Follower:
    """Moves the weights of an average towards those of a model, all tensors in one call."""

    def __init__(self, average: nn.Module, model: nn.Module) -> None:
        self.same = average is model
        moving = [(a, m) for a, m in zip(average.parameters(), model.parameters(), strict=True) if m.requires_grad]
        self.means = [mean.data for mean, _ in moving]
        self.values = [value.data for _, value in moving]
        self.buffers = list(zip(average.buffers(), model.buffers(), strict=True))

    @torch.no_grad()
    def follow(self, keep: float) -> None:
        """Keep so much of the average and take the rest from the model."""
        if self.same or not self.means:
            return
        torch._foreach_lerp_(self.means, self.values, 1 - keep)
        for held, current in self.buffers:
            held.copy_(current)
