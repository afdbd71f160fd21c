"""CMSLNet: EEG and eyes, held together window by window, fused by low-rank products that attend to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from insula.errors import unknown_name
from insula.models.card import Claim, ModelCard, Variant
from insula.models.rbtransformer import BANDS_HZ, BandEntropy
from insula.types import Batch, InputSpec, ModelOutput

SIZES: Mapping[str, int] = {"small": 32, "medium": 64}
RANK = 4
TEMPERATURE = 0.2


class MixStyle(nn.Module):
    """Mix a window's mean and deviation with those of another window of the batch, in training only.

    A person's style is in these two numbers, so a network that is shown mixed ones learns not to need them (Zhou et al.
    2021, arXiv 2104.02008). Nobody's name is asked for.
    """

    def __init__(self, chance: float) -> None:
        super().__init__()
        self.chance = chance

    def forward(self, values: Tensor) -> Tensor:
        """Map values (B, C, F) to the same shape; each electrode's bands are one style."""
        if not self.training or len(values) < 2 or not self.chance:
            return values
        mean = values.mean(1, keepdim=True)
        spread = (values.var(1, keepdim=True, unbiased=False) + 1e-6).sqrt()
        other = torch.arange(len(values), device=values.device).roll(int(torch.randint(1, len(values), ())))
        share = torch.rand(len(values), 1, 1, device=values.device) * 0.5 + 0.5
        share = torch.where(torch.rand_like(share) < self.chance, share, torch.ones_like(share))
        style = share * spread + (1 - share) * spread[other].detach(), share * mean + (1 - share) * mean[other].detach()
        return (values - mean) / spread * style[0] + style[1]


class LowRankFusion(nn.Module):
    """Product of two vectors as rank-one terms (Liu et al. 2018, arXiv 1806.00064), weighed by attention."""

    def __init__(self, width: int, rank: int = RANK) -> None:
        super().__init__()
        self.rank = rank
        self.first = nn.Linear(width, rank * width)
        self.second = nn.Linear(width, rank * width)
        self.attention = nn.Linear(2 * width, rank)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse a and b (B, D) to (B, D); weights of the terms (B, R) sum to 1. Biases keep one without the other."""
        terms = self.first(a).unflatten(-1, (self.rank, -1)) * self.second(b).unflatten(-1, (self.rank, -1))
        weights = self.attention(torch.cat([a, b], -1)).softmax(-1)
        return (weights.unsqueeze(-1) * terms).sum(1), weights


class CMSLNet(nn.Module):
    """Emotion from EEG and eye movements of the same window.

    (p) EEG and eye movement; instance-level consistency between them; attentive low-rank fusion; domain generalisation;
    people held out.
    (?) Everything beneath: four band entropies an electrode as in RBTransformer and mean, deviation and hand-made
    features of the eyes, each to one vector; consistency as a contrast that finds each window's eyes among those of the
    batch by its EEG and back (temperature .2), where both are there; four rank-one terms; domain generalisation by
    MixStyle between the windows of a batch, since a window does not carry its person's name.

    Parameters
    ----------
    spec : sizes; must hold ``eeg`` at more than 98 Hz and ``eye``.
    size : ``small`` or ``medium`` (width 32 or 64).
    consistency : weight of the contrast in the loss; 0 leaves it out.
    mix : chance that a window's style is mixed in training; 0 leaves it out.
    dropout : before fusion and classifier.

    Output: ``extras["agreement"]`` (B, 2D), the two vectors that the contrast compares, side by side.
    """

    card = ModelCard(
        title="CMSLNet",
        summary="EEG and eyes held together window by window, fused by attentive low-rank products",
        source="CMSLNet, IEEE TETCI 2025; read in summaries",
        reads=("eeg", "eye"),
        variants={
            "no_consistency": Variant("CMSLNet without consistency", {"consistency": 0.0}, "ablation"),
            "no_mix": Variant("CMSLNet without domain generalisation", {"mix": 0.0}, "ablation"),
        },
        claims=tuple(
            Claim(data, "emotion", "accuracy", value, "people held out", "TETCI 2025", ours="leave_one_subject_out")
            for data, value in (("seed_iv", 83.15), ("seed_v", 87.32))
        ),
        experiment="cmslnet.toml",
        not_exportable="its band entropies are convolved through a Fourier transform, which torch cannot write",
    )

    def __init__(
        self,
        spec: InputSpec,
        size: str = "small",
        *,
        consistency: float = 0.1,
        mix: float = 0.5,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("cmslnet size", size, SIZES)
        width = SIZES[size]
        electrodes, rate_hz = spec.signals["eeg"]
        channels, _ = spec.signals["eye"]
        self.consistency = consistency
        self.entropy = BandEntropy(rate_hz, round(spec.window_s * rate_hz))
        self.style = MixStyle(mix)
        self.brain = nn.Sequential(nn.Linear(electrodes * len(BANDS_HZ), width), nn.LayerNorm(width), nn.GELU())
        inputs = 2 * channels + spec.features.get("eye", 0)
        self.eyes = nn.Sequential(nn.Linear(inputs, width), nn.LayerNorm(width), nn.GELU())
        self.from_brain, self.from_eyes = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.fuse = LowRankFusion(width)
        self.norm = nn.LayerNorm(3 * width)
        self.classify = nn.Linear(3 * width, spec.outputs)

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Classify each window by itself; ``state`` is ignored and returned."""
        order = list(batch.signals)
        there = {m: batch.present[:, order.index(m)] for m in ("eeg", "eye")}
        seen = {m: batch.observed[m] & there[m][:, None] for m in there}  # (B, T_m)
        values = {m: torch.where(seen[m].unsqueeze(1), batch.signals[m], 0.0) for m in there}
        entropies = nn.functional.layer_norm(self.entropy(values["eeg"], seen["eeg"]), (len(BANDS_HZ),))
        brain = self.brain(self.style(entropies).flatten(1)) * there["eeg"][:, None]  # (B, D)
        eyes = self.eyes(self._of_eyes(batch, values["eye"], seen["eye"])) * there["eye"][:, None]
        fused, weights = self.fuse(self.dropout(brain), self.dropout(eyes))
        embedding = self.norm(torch.cat([brain, eyes, fused], -1))
        a = nn.functional.normalize(self.from_brain(brain), dim=1)
        b = nn.functional.normalize(self.from_eyes(eyes), dim=1)
        both = there["eeg"] & there["eye"]
        extras = {
            "penalty": self.consistency * self._apart(a, b, both),
            "agreement": torch.cat([a, b], 1).detach(),
            "ranks": weights.detach(),
        }
        return ModelOutput(self.classify(self.dropout(embedding)), embedding, state, extras=extras)

    @staticmethod
    def _of_eyes(batch: Batch, values: Tensor, seen: Tensor) -> Tensor:
        """Mean and deviation of each channel, and the hand-made features (B, 2 C + F)."""
        count = seen.sum(1, keepdim=True).clamp_min(1)
        mean = values.sum(-1) / count
        apart = (values - mean.unsqueeze(-1)) * seen.unsqueeze(1)
        parts = [mean, (apart.square().sum(-1) / count + 1e-6).sqrt()]
        if batch.features.get("eye") is not None:
            parts.append(torch.nan_to_num(batch.features["eye"]))
        return torch.cat(parts, 1)

    @staticmethod
    def _apart(a: Tensor, b: Tensor, both: Tensor) -> Tensor:
        """Contrast (B,) of each window's two vectors against those of the other windows, 0 where one is missing."""
        likeness = a @ b.T / TEMPERATURE
        likeness = likeness.masked_fill(~(both[:, None] & both[None]), -1e4)
        own = likeness.diagonal()
        found = likeness.logsumexp(1) + likeness.logsumexp(0) - 2 * own
        return torch.where(both, found / 2, torch.zeros_like(found))
