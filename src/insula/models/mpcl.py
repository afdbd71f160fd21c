"""MPCL: mixed emotions from a memory that fuses modalities, a prototype an emotion, and what is felt together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from insula.errors import InputError, unknown_name
from insula.models.card import ModelCard, Variant
from insula.types import Batch, InputSpec, ModelOutput

SIZES: Mapping[str, int] = {"small": 32, "medium": 64}
"""Width of a token."""
SLOTS = 16
"""Patterns in the memory that fuses modalities."""
SHARPNESS = 8.0
"""Scale of cosines before a softmax, at the start."""


class Memory(nn.Module):
    """Associative memory: a query retrieves stored values by the softmax of its likeness to stored keys.

    One step of a modern Hopfield network (Ramsauer et al. 2021, arXiv 2008.02217) with keys and values of its own.
    """

    def __init__(self, width: int, slots: int) -> None:
        super().__init__()
        self.keys = nn.Parameter(torch.randn(slots, width) / width**0.5)
        self.values = nn.Parameter(torch.randn(slots, width) / width**0.5)
        self.query = nn.Linear(width, width, bias=False)
        self.log_sharpness = nn.Parameter(torch.zeros(()))

    def forward(self, tokens: Tensor) -> Tensor:
        """Retrieve for tokens (..., D)."""
        likeness = self.query(tokens) @ self.keys.T * self.log_sharpness.exp()  # (..., slots)
        found: Tensor = likeness.softmax(-1) @ self.values
        return found


class MPCL(nn.Module):
    """Shares of emotions in mixed feelings, from the features of any modalities.

    (p) Emotion distributions from multimodal physiology: associative memory fuses modalities, every emotion has a
    prototype, and co-occurrence is learned through retrieval from memory.
    (?) Everything beneath that sentence. A modality's hand-made features become a token; each token retrieves from a
    memory shared by all modalities (`Memory`), and attention over the modalities that are present joins them. An
    emotion's first share is the softmax of cosines to the prototypes. Co-occurrence: the shares retrieve from a matrix
    of what goes with each emotion, started as the identity and rows summing to 1, and a learned gate mixes the answer
    in. Divergence of the shares is the loss, as for every network on a mixed target; on classes it is a classifier.

    Parameters
    ----------
    spec : sizes; needs hand-made features of at least one modality.
    size : ``small`` or ``medium`` (width 32 or 64).
    together : whether co-occurrence is retrieved; False is the ablation.
    memory : whether modalities retrieve from the memory; False is the ablation.
    dropout : after the features.

    Output: ``extras["modalities"]`` (B, M), weights of the modalities, 0 for absent ones.
    """

    card = ModelCard(
        title="MPCL",
        summary="Prototypes of emotions over an associative memory of modalities, for shares of mixed feelings",
        source="arXiv 2602.20530; read in summaries",
        variants={
            "alone": Variant("MPCL without co-occurrence", {"together": False}, "ablation"),
            "no_memory": Variant("MPCL without associative memory", {"memory": False}, "ablation"),
        },
        experiment="mpcl.toml",
        window_cost_s=2e-4,
    )

    def __init__(
        self, spec: InputSpec, size: str = "small", *, together: bool = True, memory: bool = True, dropout: float = 0.2
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("mpcl size", size, SIZES)
        width = SIZES[size]
        self.modalities = [m for m, columns in spec.features.items() if columns]
        if not self.modalities:
            raise InputError("mpcl without hand-made features; expected some. Use longer windows or other modalities.")
        self.place = [list(spec.signals).index(m) for m in self.modalities]
        self.dropout = nn.Dropout(dropout)
        self.encode = nn.ModuleDict(
            {
                m: nn.Sequential(nn.Linear(spec.features[m], width), nn.LayerNorm(width), nn.GELU())
                for m in self.modalities
            }
        )
        self.memory = Memory(width, SLOTS) if memory else None
        self.weigh = nn.Linear(width, 1, bias=False)
        self.join = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.continuous = spec.continuous
        self.prototype = nn.Parameter(torch.randn(spec.outputs, width) / width**0.5)
        paired = together and not spec.continuous
        if not spec.continuous:
            self.log_scale = nn.Parameter(torch.tensor(SHARPNESS).log())
        self.together = nn.Parameter(4.0 * torch.eye(spec.outputs)) if paired else None
        self.gate = nn.Parameter(torch.zeros(())) if paired else None

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Answer each window by itself; ``state`` is ignored and returned."""
        there = batch.present[:, self.place]  # (B, M)
        tokens = torch.stack(
            [self.encode[m](self.dropout(torch.nan_to_num(batch.features[m]))) for m in self.modalities], 1
        )  # (B, M, D)
        if self.memory is not None:
            tokens = tokens + self.memory(tokens)
        weights = self.weigh(tokens)[..., 0].masked_fill(~there, -1e4).softmax(1) * there  # (B, M)
        embedding = self.join((weights.unsqueeze(-1) * tokens).sum(1))  # (B, D)
        extras = {"modalities": weights.detach()}
        if self.continuous:
            return ModelOutput(embedding @ self.prototype.T, embedding, state, extras=extras)
        unit, towards = nn.functional.normalize(embedding, dim=1), nn.functional.normalize(self.prototype, dim=1)
        logits = self.log_scale.exp() * unit @ towards.T  # (B, K)
        if self.together is not None and self.gate is not None:
            share, first = torch.sigmoid(self.gate), logits.softmax(1)
            logits = torch.log((1 - share) * first + share * first @ self.together.softmax(1) + 1e-8)
        return ModelOutput(logits, embedding, state, extras=extras)

    def prototypes(self) -> Tensor:
        """Cosines between the prototypes of the emotions (K, K)."""
        unit = nn.functional.normalize(self.prototype.detach(), dim=1)
        return unit @ unit.T

    def co_occurrence(self) -> Tensor | None:
        """What goes with each emotion (K, K), a row an emotion, summing to 1; None where it is not learned."""
        if self.together is None or self.gate is None:
            return None
        share, k = torch.sigmoid(self.gate.detach()), len(self.prototype)
        found: Tensor = (1 - share) * torch.eye(k) + share * self.together.detach().softmax(1)
        return found
