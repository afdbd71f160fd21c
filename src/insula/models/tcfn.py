"""TCFN: eye tracking alone, features of parts of the window routed to a capsule an emotion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from insula.errors import unknown_name
from insula.models.blocks.parts import parted
from insula.models.card import Claim, ModelCard, Variant
from insula.types import Batch, InputSpec, ModelOutput

SIZES: Mapping[str, tuple[int, int, int]] = {"small": (4, 8, 16), "medium": (8, 8, 16)}
"""Capsules a part, their width, width of an emotion's capsule."""
PARTS = 6
ROUNDS = 3
SHARPNESS = 8.0
"""What lengths of 0 to 1 are multiplied with before a softmax, at the start."""


def squash(values: Tensor) -> Tensor:
    """Shorten vectors (..., D) to a length below 1, short ones to almost nothing: n^2 / (1 + n^2) along v / n."""
    square = values.square().sum(-1, keepdim=True)
    return values * (square + 1e-12).sqrt() / (1 + square)


class Routing(nn.Module):
    """Capsules P of width d to capsules K of width D by agreement (Sabour et al. 2017, arXiv 1710.09829)."""

    def __init__(self, inputs: int, width: int, outputs: int, out_width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs, width, out_width) / width**0.5)

    def forward(self, capsules: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Map capsules (B, P, d), those ``there`` (B, P), to (B, K, D) and how much each gave to each (B, P, K)."""
        votes = torch.einsum("bpi,pkio->bpko", capsules, self.weight) * there[..., None, None]
        belief = votes.new_zeros(votes.shape[:3])
        for round_ in range(ROUNDS):
            share = belief.softmax(-1) * there.unsqueeze(-1)  # (B, P, K)
            found = squash((share.unsqueeze(-1) * votes).sum(1))  # (B, K, D)
            if round_ + 1 < ROUNDS:
                belief = belief + (votes * found.unsqueeze(1)).sum(-1)
        return found, share * votes.norm(dim=-1)


class TCFN(nn.Module):
    """Emotion from eye tracking: window features and capsules.

    (p) Eye tracking only; features of windows; capsules; figures below.
    (?) Everything else: a window is cut into six parts, each gives mean, deviation and change of every channel, and the
    hand-made features of the whole window (fixations, saccades, blinks, pupil) are one more part; a linear layer makes
    four capsules of width 8 of each; three rounds of routing by agreement to a capsule of width 16 an emotion; the
    logits are the capsules' lengths times a learned sharpness. A window is read as a whole: no step model.

    Parameters
    ----------
    spec : sizes; must hold ``eye``, raw gaze and pupil or ready-made features.
    size : ``small`` or ``medium`` (4 or 8 capsules a part).
    routing : whether capsules are routed by agreement; False gives every emotion an equal share of each, the ablation.
    dropout : on the features.

    Output: ``attention["time"]`` (B, 1, 6), how much each part gave to the answer, oldest first, summing to 1.
    """

    card = ModelCard(
        title="TCFN",
        summary="Eye tracking alone: features of parts of a window, routed to a capsule an emotion",
        source="TCFN, Brain Sciences 2025; read in summaries",
        reads=("eye",),
        variants={"even": Variant("TCFN without routing by agreement", {"routing": False}, "ablation")},
        claims=(
            Claim("eSEE-d", "arousal, 3 classes", "accuracy", 83.27, "not stated here", "Brain Sci. 2025"),
            Claim("eSEE-d", "valence, 3 classes", "accuracy", 89.94, "not stated here", "Brain Sci. 2025"),
            Claim("seed_iv", "emotion", "accuracy", 63.85, "whole sessions held out", "Brain Sci. 2025",
                  ours="cross_session"),
        ),
        experiment="tcfn.toml",
        window_cost_s=5e-4,
    )  # fmt: skip

    def __init__(self, spec: InputSpec, size: str = "small", *, routing: bool = True, dropout: float = 0.2) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("tcfn size", size, SIZES)
        self.capsules, width, out_width = SIZES[size]
        channels, rate_hz = spec.signals["eye"]
        self.parts = max(1, min(PARTS, int(spec.window_s * rate_hz)))
        self.continuous = spec.continuous
        self.columns = spec.features.get("eye", 0)
        self.dropout = nn.Dropout(dropout)
        self.primary = nn.Sequential(nn.LayerNorm(3 * channels), nn.Linear(3 * channels, self.capsules * width))
        self.whole = nn.Linear(self.columns, self.capsules * width) if self.columns else None
        count = (self.parts + (self.whole is not None)) * self.capsules
        self.routing = routing
        self.attend = Routing(count, width, spec.outputs, out_width)
        self.log_sharpness = nn.Parameter(torch.tensor(SHARPNESS).log())
        self.value = nn.Linear(out_width, 1) if spec.continuous else None

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Answer each window by itself; ``state`` is ignored and returned."""
        present = batch.present[:, list(batch.signals).index("eye")]
        seen = batch.observed["eye"] & present[:, None]  # (B, T)
        signals = torch.where(seen.unsqueeze(1), batch.signals["eye"], 0.0)
        cut = parted(signals, self.parts)  # (B * parts, C, T')
        mask = parted(seen.unsqueeze(1), self.parts)  # (B * parts, 1, T')
        made = self.primary(self.dropout(self._features(cut, mask))).unflatten(0, (-1, self.parts))  # (B, parts, n d)
        there = mask.any(-1).squeeze(1).unflatten(0, (-1, self.parts))  # (B, parts)
        if self.whole is not None:
            features = self.dropout(torch.nan_to_num(batch.features["eye"]))
            made = torch.cat([made, self.whole(features).unsqueeze(1)], 1)
            there = torch.cat([there, present[:, None]], 1)
        capsules = squash(made.unflatten(-1, (self.capsules, -1)).flatten(1, 2))  # (B, P, d)
        wide = there.repeat_interleave(self.capsules, 1).to(capsules.dtype)  # (B, P)
        emotions, gave = self.attend(capsules, wide) if self.routing else self._even(capsules, wide)
        embedding = emotions.flatten(1)
        length = (emotions.square().sum(-1) + 1e-12).sqrt()  # (B, K)
        logits = self.log_sharpness.exp() * length
        if self.value is not None:
            logits = logits * self.value(emotions[:, 0])
        by_part = gave.detach().sum(-1).unflatten(1, (-1, self.capsules)).sum(-1)[:, : self.parts]  # (B, parts)
        share = (by_part + 1e-6) / (by_part + 1e-6).sum(1, keepdim=True)
        return ModelOutput(logits, embedding, state, {"time": share.unsqueeze(1)})

    def _even(self, capsules: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        votes = torch.einsum("bpi,pkio->bpko", capsules, self.attend.weight) * there[..., None, None]
        found = squash(votes.sum(1) / votes.shape[2])
        return found, votes.norm(dim=-1) / votes.shape[2]

    @staticmethod
    def _features(cut: Tensor, mask: Tensor) -> Tensor:
        """Mean, deviation and change from the first to the second half of each channel (B * parts, 3 C)."""
        count = mask.sum(-1).clamp_min(1)
        mean = cut.sum(-1) / count
        apart = (cut - mean.unsqueeze(-1)) * mask
        deviation = (apart.square().sum(-1) / count + 1e-6).sqrt()
        half = cut.shape[-1] // 2
        change = (apart[..., half:].sum(-1) - apart[..., :half].sum(-1)) / count
        return torch.cat([mean, deviation, change], 1)
