"""HiSTN: a thousand parameters over electrodes, regions and the whole head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from insula.errors import InputError, unknown_name
from insula.models.card import Claim, ModelCard
from insula.types import Batch, InputSpec, ModelOutput

SIZES: Mapping[str, int] = {"small": 8, "medium": 16}
"""Temporal filters."""
CUTS = (0, 4, 7, 10, 14)
"""Regions of the EPOC's 14 electrodes in their order."""
STEPS = 30
"""About as many samples are left of a window after pooling (30 of 1 s at 128 Hz, as published)."""
_INSIDE = "subject-dependent over time folds inside the same trials"
_TUNED = "called subject-independent; fine-tuned 400 epochs on the first 10 s of every test trial with its label"


class HopMessages(nn.Module):
    """Messages over a fixed graph: sum over hops k of w_k T_k(L) x, w learned (Chebyshev polynomials)."""

    laplacian: Tensor

    def __init__(self, adjacency: Tensor, hops: int = 2) -> None:
        super().__init__()
        root = adjacency.sum(1).clamp_min(1e-6).rsqrt()
        self.register_buffer("laplacian", -root[:, None] * adjacency * root, persistent=False)
        self.hop = nn.Parameter(torch.tensor([1.0] + [0.5**k for k in range(1, hops + 1)]))

    def forward(self, nodes: Tensor) -> Tensor:
        """Map nodes (B, N, F) to (B, N, F)."""
        before, now = nodes, self.laplacian @ nodes
        out = self.hop[0] * before + self.hop[1] * now
        for k in range(2, len(self.hop)):
            before, now = now, 2 * (self.laplacian @ now) - before
            out = out + self.hop[k] * now
        return out


class Level(nn.Module):
    """One level of the hierarchy: messages, a convolution of 5 over time a node and a scale a node, ELU."""

    def __init__(self, adjacency: Tensor) -> None:
        super().__init__()
        nodes = len(adjacency)
        self.messages = HopMessages(adjacency)
        self.over_time = nn.Conv1d(nodes, nodes, 5, padding=2, groups=nodes, bias=False)
        self.scale = nn.Parameter(torch.ones(nodes, 1))

    def forward(self, nodes: Tensor) -> Tensor:
        """Map nodes (B, N, F) to (B, N, F)."""
        return nn.functional.elu(self.scale * self.over_time(self.messages(nodes)))


class HiSTN(nn.Module):
    """Hierarchical spatial-temporal network: electrodes, regions, the whole head.

    (p) Windows of 1 s, 14 electrodes x 128 samples; convolution 8 x (64, 1), depthwise (1, 8), ELU, depthwise (5, 1),
    pooling 2, dropout .5; 4 regions (electrodes cut at 0, 4, 7, 10, 14), 2-hop Chebyshev messages with learned hop
    weights, separable convolution 5; a ring of regions; global collapse; the 14 + 4 + 1 joined, averaged, dense; about
    1,000 parameters. Trained with Gaussian label smoothing over ordinal classes (`train.label_smoothing="ordinal"`).
    (?) Electrodes of a region are all joined to each other; the separable convolution has a scale a node in its
    pointwise place (a full one would have 196 weights); regions are means of their electrodes; other electrode counts
    are cut in the same proportions; longer windows are pooled to about 30 steps; half a second stands for 64 samples.
    Convolutions see the window only: no step model.

    Parameters
    ----------
    spec : sizes; must hold ``eeg``, 4 electrodes or more, windows of a second or more.
    size : ``small`` (published) or ``medium`` (16 filters).
    dropout : published .5.
    """

    card = ModelCard(
        title="HiSTN",
        summary="About a thousand parameters: electrodes, regions and the whole head as graphs",
        source="arXiv 2408.15255, 2024; code read",
        reads=("eeg",),
        experiment="histn.toml",
        claims=tuple(
            Claim("dreamer", f"{target}, 5 classes", "F1", value, protocol, "arXiv 2408.15255", ours=ours)
            for target, value, protocol, ours in (
                ("valence", 96.82, _INSIDE, "within_trial"), ("arousal", 95.62, _INSIDE, "within_trial"),
                ("valence", 78.34, _TUNED, "tuned_on_test_trials"),
                ("arousal", 81.59, _TUNED, "tuned_on_test_trials"),
            )
        ),
        window_cost_s=1e-3,
    )  # fmt: skip

    def __init__(self, spec: InputSpec, size: str = "small", *, dropout: float = 0.5) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("histn size", size, SIZES)
        electrodes, rate_hz = spec.signals["eeg"]
        self.samples = round(spec.window_s * rate_hz)
        kernel, filters = max(2, round(rate_hz / 2)), SIZES[size]
        left = self.samples - kernel + 1 - 4
        if electrodes < 4 or left < 10:
            raise InputError(
                f"EEG of {electrodes} electrodes in windows of {spec.window_s:g} s; expected 4 or more and 1 s or more "
                "for histn. Use longer windows, or another model."
            )
        pool = max(2, left // STEPS)
        self.temporal = nn.Conv2d(1, filters, (1, kernel), bias=False)
        self.across = nn.Conv2d(electrodes, electrodes, (filters, 1), groups=electrodes, bias=False)
        self.depthwise = nn.Conv1d(electrodes, electrodes, 5, groups=electrodes, bias=False)
        self.pool, self.dropout = nn.AvgPool1d(pool), nn.Dropout(dropout)
        cuts = [round(c * electrodes / CUTS[-1]) for c in CUTS]
        region = torch.bucketize(torch.arange(electrodes), torch.tensor(cuts[1:-1]), right=True)
        same = (region[:, None] == region).float() - torch.eye(electrodes)
        self.electrode_level = Level(same)
        member = nn.functional.one_hot(region, 4).float()
        self.register_buffer("collect", (member / member.sum(0)).T.contiguous(), persistent=False)  # (4, C)
        ring = torch.eye(4).roll(1, 0) + torch.eye(4).roll(-1, 0)
        self.region_level = Level(ring)
        self.head_level = nn.Conv1d(1, 1, 5, padding=2, bias=False)
        self.classify = nn.Linear(left // pool, spec.outputs)

    collect: Tensor

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Classify each window by itself; ``state`` is ignored and returned."""
        signals = batch.signals["eeg"]  # (B, C, T)
        if signals.shape[-1] != self.samples:
            raise InputError(f"EEG window of {signals.shape[-1]} samples; expected {self.samples}. Cut them so.")
        present = batch.present[:, list(batch.signals).index("eeg")]
        seen = (batch.observed["eeg"] & present[:, None]).unsqueeze(1)
        values = torch.where(seen, signals, torch.zeros_like(signals))
        maps = self.temporal(values.unsqueeze(1)).transpose(1, 2)  # (B, C, filters, T')
        nodes = nn.functional.elu(self.across(maps).squeeze(2))  # (B, C, T')
        nodes = self.dropout(self.pool(self.depthwise(nodes)))  # (B, C, F)
        electrodes = self.electrode_level(nodes)
        regions = self.region_level(self.collect @ electrodes)  # (B, 4, F)
        head = nn.functional.elu(self.head_level(regions.mean(1, keepdim=True)))  # (B, 1, F)
        embedding = torch.cat([electrodes, regions, head], 1).mean(1)  # (B, F)
        return ModelOutput(self.classify(embedding), embedding, state)
