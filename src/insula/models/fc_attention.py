"""Attention between electrodes in groups of heads, each group guided by the connectivity of one band."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from insula.errors import unknown_name
from insula.models.card import ModelCard, Variant
from insula.models.rbtransformer import BANDS_HZ, BandEntropy
from insula.types import Batch, InputSpec, ModelOutput

SIZES: Mapping[str, tuple[int, int, int]] = {"small": (48, 2, 1), "medium": (96, 3, 2)}
"""Width of an electrode, blocks, heads a group."""
GROUPS = len(BANDS_HZ)
GRAPHS = ("coherence", "locking", "none")
FLOOR = 1e-3
"""Links weaker than this are as weak as this: their logarithm must stay finite."""


class BandGraphs(nn.Module):
    """Connectivity of all pairs of electrodes in each band of a window; nothing in it is learned.

    The band's bins of the window's Fourier transform make the analytic signal of each electrode; ``coherence`` is the
    size of the normed product of two of them over time, ``locking`` the same with every sample scaled to size 1.
    """

    def __init__(self, rate_hz: float, graph: str) -> None:
        super().__init__()
        self.rate_hz, self.graph = rate_hz, graph

    def forward(self, signals: Tensor) -> Tensor:
        """Map signals (B, C, T), zero where not observed, to graphs (B, bands, C, C) from 0 to 1."""
        count, electrodes, samples = signals.shape
        if self.graph == "none":
            return signals.new_ones(count, GROUPS, electrodes, electrodes)
        bins_hz = torch.fft.rfftfreq(samples, 1 / self.rate_hz, device=signals.device)
        picked = torch.stack([(bins_hz >= low) & (bins_hz < high) for low, high in BANDS_HZ.values()])  # (bands, bins)
        spectrum = torch.fft.rfft(signals).unsqueeze(1) * picked[:, None]  # (B, bands, C, bins)
        analytic = torch.fft.ifft(spectrum, n=samples)  # (B, bands, C, T): positive frequencies only
        size = (torch.view_as_real(analytic).square().sum(-1) + 1e-12).sqrt()
        if self.graph == "locking":
            analytic = analytic / size.clamp_min(1e-6)
        else:
            power = torch.view_as_real(analytic).square().sum((-1, -2)).unsqueeze(-1)  # (B, bands, C, 1)
            analytic = analytic * (samples / power.clamp_min(1e-9)).sqrt()
        product = analytic @ analytic.mH / samples  # (B, bands, C, C)
        graphs: Tensor = (torch.view_as_real(product).square().sum(-1) + 1e-12).sqrt().clamp_max(1.0)
        return graphs

    def operations(self, signals: Tensor) -> tuple[int, int, int]:
        """Count (multiply-accumulates, additions, other functions) of the recursive form that a device would run.

        A complex resonator a band, electrode and sample is four multiply-accumulates, a complex product of each pair
        and sample four more; sizes are two products and a root.
        """
        count, electrodes, samples = signals.shape
        banded = count * GROUPS * electrodes * samples
        pairs = count * GROUPS * electrodes * electrodes
        return banded * (4 + 2) + banded * electrodes * 4 + pairs * 2, 0, pairs + banded


class GroupedAttention(nn.Module):
    """Self-attention of electrodes; the heads of a group add the logarithm of one band's graph to their scores."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = GROUPS * heads
        self.scale = (width // self.heads) ** -0.5
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width)
        self.trust = nn.Parameter(torch.full((self.heads,), 0.5))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, links: Tensor) -> tuple[Tensor, Tensor]:
        """Map tokens (B, C, width) and links (B, bands, C, C) to tokens and weights (B, heads, C, C)."""
        joint = self.query_key_value(tokens).unflatten(-1, (3, self.heads, -1))  # (B, C, 3, heads, d)
        query, key, value = joint.permute(2, 0, 3, 1, 4).unbind(0)
        guided = links.repeat_interleave(self.heads // GROUPS, 1) * self.trust[:, None, None]
        weights = (query @ key.transpose(-1, -2) * self.scale + guided).softmax(-1)
        mixed = (self.dropout(weights) @ value).transpose(1, 2).flatten(2)  # (B, C, width)
        return self.dropout(self.output(mixed)), weights


class FCAttention(nn.Module):
    """Grouped attention over functional connectivity of electrodes.

    (p) Only what the title says (Knowledge-Based Systems 2024): attention over functional connectivity, in groups.
    (?) Everything else: a group of heads a band (theta, alpha, beta, gamma as in RBTransformer); coherence of analytic
    signals over the window as the graph; its logarithm, times a learned trust a head, added to the scores, so that a
    trust of 0 is plain attention; tokens are the electrodes' band entropies with a learned place; pre-norm blocks; an
    electrode's share in the answer is learned. The window is read as a whole: no step model.

    Parameters
    ----------
    spec : sizes; must hold ``eeg`` at more than 98 Hz.
    size : ``small`` or ``medium``.
    graph : ``coherence``, ``locking`` (phases only) or ``none``: plain attention, the ablation.
    dropout : in attention and feed-forward layers.

    Output: ``attention["electrode"]`` (B, blocks, heads, C, C), row attends to column; heads in the order of the bands.
    """

    card = ModelCard(
        title="Connectivity attention",
        summary="Heads in groups, each guided by the coherence of electrodes in one band",
        source="Functional-connectivity attention, Knowledge-Based Systems 2024; only its title was read",
        reads=("eeg",),
        experiment="fc_attention.toml",
        not_exportable="its graphs and entropies come from a Fourier transform, which torch cannot write",
        variants={
            "locking": Variant("Connectivity attention on phases only", {"graph": "locking"}, "core"),
            "no_graph": Variant("Connectivity attention without its graph", {"graph": "none"}, "ablation"),
        },
    )

    def __init__(self, spec: InputSpec, size: str = "small", *, graph: str = "coherence", dropout: float = 0.2) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("fc_attention size", size, SIZES)
        if graph not in GRAPHS:
            raise unknown_name("graph", graph, GRAPHS)
        width, blocks, heads = SIZES[size]
        electrodes, rate_hz = spec.signals["eeg"]
        self.entropy = BandEntropy(rate_hz, round(spec.window_s * rate_hz))
        self.graphs = BandGraphs(rate_hz, graph)
        self.scale = nn.LayerNorm(GROUPS)
        self.project = nn.Linear(GROUPS, width)
        self.place = nn.Parameter(0.1 * torch.randn(electrodes, width))
        self.attention = nn.ModuleList(GroupedAttention(width, heads, dropout) for _ in range(blocks))
        self.before = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks))
        self.forth = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout),
                          nn.Linear(2 * width, width))
            for _ in range(blocks)
        )  # fmt: skip
        self.norm = nn.LayerNorm(width)
        self.share = nn.Linear(width, 1, bias=False)
        self.classify = nn.Linear(width, spec.outputs)

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Classify each window by itself; ``state`` is ignored and returned."""
        present = batch.present[:, list(batch.signals).index("eeg")]
        seen = batch.observed["eeg"] & present[:, None]  # (B, T)
        signals = torch.where(seen.unsqueeze(1), batch.signals["eeg"], torch.zeros_like(batch.signals["eeg"]))
        entropies = self.scale(self.entropy(signals, seen)) * present[:, None, None]  # (B, C, bands)
        links = self.graphs(signals).clamp_min(FLOOR).log()  # (B, bands, C, C)
        tokens = self.project(entropies) + self.place
        weights = []
        for norm, attend, forth in zip(self.before, self.attention, self.forth, strict=True):
            mixed, attended = attend(norm(tokens), links)
            tokens = tokens + mixed
            tokens = tokens + forth(tokens)
            weights.append(attended.detach())
        tokens = self.norm(tokens)
        embedding = (self.share(tokens).softmax(1) * tokens).sum(1)  # (B, width)
        return ModelOutput(self.classify(embedding), embedding, state, {"electrode": torch.stack(weights, 1)})
