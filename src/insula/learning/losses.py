"""What training minimises: the loss of a batch's labels, and further terms on what a model says of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from insula.errors import InputError
from insula.learning.batches import LabelledBatch
from insula.learning.feed import Feed, run
from insula.types import ModelOutput

ORDINAL_WIDTH = 0.5
"""Deviation of a label smoothed over ordered classes, in classes."""


@dataclass(frozen=True)
class Said:
    """What a model says of the n labelled windows of a training batch: logits (n, K), embedding (n, H).

    ``row`` (n,) are rows of the training windows; ``done`` is the share of training that is over, 0 to 1.
    """

    logits: Tensor
    embedding: Tensor
    row: Tensor
    done: float


class Term(nn.Module, ABC):
    """A further loss of a training batch, added to that of the labels; its own parameters learn with the model's.

    ``replaces`` is the share of the labels' loss that it stands in for, 0 to 1.
    """

    replaces: float = 0.0

    @abstractmethod
    def forward(self, said: Said) -> Tensor:
        """Mean over the batch's windows."""


def training_loss(
    model: nn.Module,
    part: LabelledBatch,
    weights: Tensor | None,
    smoothing: float | str,
    scope: str,
    usual: float,
    terms: Sequence[Term] = (),
    done: float = 0.0,
) -> Tensor:
    """Loss of the labels (`labelled_loss`) and the further terms, weighed like the batch."""
    output = run(model, part, scope)
    loss = labelled_loss(model, output, part, weights, smoothing, usual)
    keep = part.weight > 0
    if not terms or not bool(keep.any()):
        return loss
    said = Said(output.logits[keep], output.embedding[keep], part.row[keep], done)
    share = float(part.weight[keep].sum()) / usual
    labels = loss * math.prod(1 - term.replaces for term in terms)
    return labels + share * torch.stack([term(said) for term in terms]).sum()


def labelled_loss(
    model: nn.Module, output: ModelOutput, part: LabelledBatch, weights: Tensor | None, smoothing: float | str,
    usual: float,
) -> Tensor:  # fmt: skip
    """Sum over the labelled windows, each with its own weight times that of its class, divided by ``usual``."""
    own = getattr(model, "loss", None)
    if own is None:
        penalty = output.extras.get("penalty")
        return windows_loss(output.logits, penalty, part.y, part.weight, weights, smoothing, usual, part.mix)
    keep = part.weight > 0
    weight = part.weight[keep]
    if not bool((weight == 1).all()):
        raise InputError("quality weigh for a model with a loss of its own; expected keep or drop. Use --quality drop.")
    y = part.y[keep].to(output.logits.dtype if weights is None else torch.int64)
    said = ModelOutput(output.logits[keep], output.embedding[keep], extras=output.extras)
    return float(weight.sum()) / usual * torch.as_tensor(own(said, y))


def windows_loss(
    logits: Tensor, penalty: Tensor | None, y: Tensor, weight: Tensor, weights: Tensor | None, smoothing: float | str,
    usual: float | Tensor, mix: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Loss of logits (B, N, K) and a model's penalty, (B, N) or one number; of networks in a stack as of one alone."""
    if weights is None:
        each = F.smooth_l1_loss(logits[..., 0], y.to(logits.dtype), reduction="none")
    elif mix is not None:
        each = mixed_loss(logits, mix)
    else:
        each = cross_entropy(logits, y.to(torch.int64), weights, smoothing)
    if penalty is not None and penalty.shape == weight.shape:
        each = each + penalty
    loss = torch.where(weight > 0, weight * each, torch.zeros_like(each)).sum() / usual
    if penalty is not None and penalty.shape != weight.shape:
        loss = loss + weight.sum() / usual * penalty.mean()
    return loss


def cross_entropy(logits: Tensor, y: Tensor, weights: Tensor, smoothing: float | str) -> Tensor:
    """Loss of each window (...,) of logits (..., K) and codes (...,), with the weight of its class."""
    classes = logits.shape[-1]
    places = torch.arange(classes, device=logits.device)
    log_p = F.log_softmax(logits, -1)
    if isinstance(smoothing, float | int):
        target = (1 - smoothing) * (places == y.unsqueeze(-1)) + smoothing / classes
        return -(weights * target * log_p).sum(-1)
    apart = (places - y.unsqueeze(-1)) / ORDINAL_WIDTH
    target = torch.softmax(-apart.square() / 2, -1)
    return -weights[y] * (target * log_p).sum(-1)


def mixed_loss(logits: Tensor, mix: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the true shares (..., K) from what logits say; classes are not weighed."""
    return F.kl_div(F.log_softmax(logits, -1), mix, reduction="none").sum(-1)


def class_weights(feed: Feed, classes: int, device: torch.device) -> Tensor | None:
    """Inverse of the class counts of a feed (K,), a window counting by its own weight; None without classes."""
    if not classes:
        return None
    asked = feed.prepared.asked >= 0
    codes: NDArray[np.int64] = feed.prepared.y[asked].astype(np.int64)
    weight = feed.prepared.weights[feed.prepared.asked[asked]].astype(np.float64)
    counts = np.bincount(codes, weight, minlength=classes)
    weights = np.where(counts > 0, counts.sum() / np.maximum(counts, 1) / max((counts > 0).sum(), 1), 0.0)
    return torch.as_tensor(weights, dtype=torch.float32, device=device)
