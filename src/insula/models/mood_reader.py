"""Mood Reader: tokens of electrode and time, spatial and temporal attention, features of every level fused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from insula.errors import InputError, unknown_name
from insula.models.blocks.scalp import SIDE, cell
from insula.models.card import ModelCard, Variant
from insula.types import Batch, InputSpec, ModelOutput

SIZES: Mapping[str, tuple[int, int, int]] = {"small": (48, 2, 4), "medium": (96, 4, 6)}
"""Width of a token, blocks, heads."""
PATCH_S = 0.5
POINTS = 64
"""Samples of a patch after it was brought to one rate: 128 Hz, whatever was recorded."""


class Attention(nn.Module):
    """Softmax attention among the tokens of the last axis but one, with its weights."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens (..., n, D) -> what is added to them (..., n, D) and the weights, heads averaged (..., n, n)."""
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(-2, -3) for part in self._split(tokens))
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1)  # (..., heads, n, n)
        mixed = (weights @ v).transpose(-2, -3).flatten(-2)
        return self.out(mixed), weights.mean(-3)

    def _split(self, tokens: Tensor) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = self.qkv(self.norm(tokens)).chunk(3, -1)
        return parts


class Block(nn.Module):
    """Attention over electrodes at each time, then over time at each electrode, then a network a token."""

    def __init__(self, width: int, heads: int, dropout: float, spatial: bool, temporal: bool) -> None:
        super().__init__()
        self.spatial = Attention(width, heads) if spatial else None
        self.temporal = Attention(width, heads) if temporal else None
        self.feed = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """tokens (B, C, P, D) -> tokens and the weights (B, C, C) and (B, P, P), averaged over the other axis."""
        weights = {}
        if self.spatial is not None:
            added, found = self.spatial(tokens.transpose(1, 2))  # (B, P, C, D)
            tokens = tokens + self.drop(added.transpose(1, 2))
            weights["electrode"] = found.mean(1)
        if self.temporal is not None:
            added, found = self.temporal(tokens)
            tokens = tokens + self.drop(added)
            weights["patches"] = found.mean(1)
        return tokens + self.drop(self.feed(tokens)), weights


class MoodReader(nn.Module):
    """Mood Reader: masked brain-signal modelling, then classification of fused levels.

    (p) From its abstract (arXiv 2405.19373): pre-training by masked brain-signal modelling on large and diverse EEG
    without labels, spatial-temporal attention, and fusion of several levels for cross-subject emotion recognition.
    (?) All else is ours, since nothing more was public to us: tokens of half a second of one electrode at 128 Hz,
    an embedding of the electrode's place on the scalp (so that weights fit any montage) and a sine of time, attention
    over electrodes and over time in turn, and the mean tokens of every block side by side as levels. Masks and loss are
    those of `insula.learning.pretraining`.
    Output: ``attention["electrode"]`` (B, layers, 1, C, C), heads and time averaged, ``attention["patches"]`` (B, P, P)
    of the last block, heads and electrodes averaged.

    Parameters
    ----------
    spec : sizes; must hold ``eeg``.
    size : ``small`` or ``medium``.
    spatial, temporal : whether attention looks over electrodes and over time.
    levels : whether every block is fused, or the last one alone.
    dropout : within blocks.
    """

    card = ModelCard(
        title="Mood Reader",
        summary="Spatial and temporal attention over patches of each electrode, all levels fused; can be pre-trained",
        source="arXiv 2405.19373 (abstract; details ours)",
        reads=("eeg",),
        variants={
            "one_level": Variant("Mood Reader, last level alone", {"levels": False}, "ablation"),
            "no_spatial": Variant("Mood Reader without spatial attention", {"spatial": False}, "ablation"),
            "no_temporal": Variant("Mood Reader without temporal attention", {"temporal": False}, "ablation"),
        },
        window_cost_s=4e-3,
        experiment="mood_reader.toml",
    )

    def __init__(
        self,
        spec: InputSpec,
        size: str = "small",
        *,
        spatial: bool = True,
        temporal: bool = True,
        levels: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("mood_reader size", size, SIZES)
        if "eeg" not in spec.signals:
            raise InputError(
                f"mood_reader with modalities {', '.join(spec.signals) or '(none)'}; expected eeg among them. "
                "Choose data with EEG, or another model."
            )
        width, blocks, heads = SIZES[size]
        count, _ = spec.signals["eeg"]
        self.levels = levels
        self.patches = max(1, int(spec.window_s / PATCH_S))
        self.register_buffer("places", _places(spec.channels.get("eeg", ()), count), persistent=False)
        self.enter = nn.Linear(POINTS, width)
        self.place = nn.Embedding(SIDE * SIDE, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout, spatial, temporal) for _ in range(blocks))
        self.fuse = nn.Sequential(nn.Linear(width * (blocks if levels else 1), 64), nn.GELU())
        self.head = nn.Linear(64, spec.outputs)

    def cut(self, batch: Batch) -> Tensor:
        """Patches (B, C, P, points) of the EEG at one rate, unobserved samples zero."""
        signals = batch.signals["eeg"]  # (B, C, T)
        present = batch.present[:, list(batch.signals).index("eeg")]
        valid = (batch.observed["eeg"] & present[:, None])[:, None, :]
        values = torch.where(valid, signals, torch.zeros_like(signals))
        wanted = self.patches * POINTS
        mode = "area" if values.shape[-1] > wanted else "linear"
        if values.shape[-1] != wanted:
            values = functional.interpolate(values, size=wanted, mode=mode)
        cut: Tensor = values.unflatten(-1, (self.patches, POINTS))
        return cut

    def tokens(
        self, patches: Tensor, hidden: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Tokens (B, C, P, D) after each block, and the weights.

        ``hidden`` (B, C, P) says which patches are replaced by ``mask`` (D,) before any block sees them.
        """
        found = self.enter(patches)
        if hidden is not None and mask is not None:
            found = torch.where(hidden.unsqueeze(-1), mask, found)
        found = found + self.place(self.places).unsqueeze(1) + _sines(patches.shape[2], found.shape[-1], found.device)
        levels, across, weights = [], [], {}
        for block in self.blocks:
            found, weights = block(found)
            levels.append(found)
            across += [weights["electrode"].unsqueeze(1)] if "electrode" in weights else []
        if across:
            weights["electrode"] = torch.stack(across, 1)
        return levels, weights

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Classify each window by itself; ``state`` is ignored and returned."""
        levels, weights = self.tokens(self.cut(batch))
        kept = levels if self.levels else levels[-1:]
        embedding = self.fuse(torch.cat([level.mean((1, 2)) for level in kept], -1))
        return ModelOutput(self.head(embedding), embedding, state, attention=weights)


def _places(channels: tuple[str, ...], count: int) -> Tensor:
    """Cell of each electrode on the scalp; of an unknown one a cell by its number."""
    found = [cell(name) for name in channels] if len(channels) == count else [None] * count
    return torch.tensor([i * SIDE * SIDE // max(count, 1) if c is None else c for i, c in enumerate(found)])


def _sines(length: int, width: int, device: torch.device) -> Tensor:
    """Sines and cosines of time (length, width), as Vaswani et al. 2017."""
    at = torch.arange(length, device=device).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(1e4) / width))
    return torch.cat([torch.sin(at * rate), torch.cos(at * rate)], 1)
