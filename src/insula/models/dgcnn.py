"""Graph networks over electrodes: DGCNN, and its relatives C2DGCN and FreqDGT as far as their text says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from insula.errors import InputError, unknown_name
from insula.models.blocks.parts import parted
from insula.models.card import Claim, ModelCard, Variant
from insula.models.rbtransformer import BANDS_HZ, BandEntropy, Block, TransformerSize
from insula.types import Batch, InputSpec, ModelOutput

SIZES: Mapping[str, int] = {"small": 32, "medium": 64}
"""Width of an electrode after the graph convolution."""
GRAPHS = ("learned", "correlation", "dynamic")
SEGMENTS = 4
"""Parts of a window that the temporal transformer looks at."""
_SHUFFLED = "90 % of the windows train"


class ChebyshevConv(nn.Module):
    """Filter on a graph: sum over k of T_k(L) x W_k, k below ``order`` (Defferrard et al. 2016, arXiv 1606.09375).

    L is the scaled Laplacian of the symmetric adjacency with its largest eigenvalue taken as 2: -D^-1/2 A D^-1/2.
    """

    def __init__(self, inputs: int, outputs: int, order: int) -> None:
        super().__init__()
        self.order = order
        self.mix = nn.Linear(order * inputs, outputs)

    def forward(self, nodes: Tensor, adjacency: Tensor) -> Tensor:
        """Map nodes (B, C, F) on a graph (C, C) or (B, C, C) to (B, C, outputs)."""
        root = adjacency.sum(-1).clamp_min(1e-6).rsqrt()
        laplacian = -root.unsqueeze(-1) * adjacency * root.unsqueeze(-2)
        terms = [nodes, laplacian @ nodes]
        while len(terms) < self.order:
            terms.append(2 * (laplacian @ terms[-1]) - terms[-2])
        out: Tensor = self.mix(torch.cat(terms[: self.order], -1))
        return out


class DGCNN(nn.Module):
    """Graph convolution over electrodes whose connections are learned.

    (p) DGCNN: differential entropies of bands an electrode, one adjacency learned with the weights and kept
    non-negative, Chebyshev graph convolution, 1 x 1 convolution, ReLU, dense layers. C2DGCN: the graph is built from
    the correlation between channels. FreqDGT: bands are weighted adaptively, the graph is dynamic (made from the
    window), a transformer follows time, and a disentangled part holds what does not depend on the person.
    (?) Four bands and their entropies as in RBTransformer (published: five, from 1 Hz), computed inside the model;
    adjacency made symmetric; order 3, widths, dropout; the correlation's absolute value; a window cut into four parts
    for the transformer; how bands are weighted (softmax of a linear layer on their means). FreqDGT's disentanglement
    needs people's names in training, which a window does not carry: it is left out.

    Parameters
    ----------
    spec : sizes; must hold ``eeg`` at more than 98 Hz.
    size : ``small`` or ``medium`` (width 32 or 64).
    graph : ``learned``; ``correlation`` of the channels in this window; ``dynamic``, from the electrodes' entropies.
    bands : ``plain``, or ``adaptive`` weights of the bands.
    temporal : whether a transformer looks at parts of the window one after the other.

    Output: ``attention["electrode"]`` (B, 1, 1, C, C): the graph that was used, rows summing to 1.
    """

    card = ModelCard(
        title="DGCNN",
        summary="Chebyshev graph convolution over electrodes, connections learned with the weights",
        source="Song et al. 2020, IEEE Trans. Affective Computing 11, doi 10.1109/TAFFC.2018.2817622",
        reads=("eeg",),
        not_exportable="its band entropies are convolved through a Fourier transform, which torch cannot write",
        experiment="dgcnn_freqdgt.toml",
        variants={
            "c2dgcn": Variant("C2DGCN: graph of channel correlations", {"graph": "correlation"}, "published"),
            "freqdgt": Variant(
                "FreqDGT: adaptive bands, dynamic graph, temporal transformer",
                {"graph": "dynamic", "bands": "adaptive", "temporal": True},
                "published",
            ),
        },
        claims=(
            *(
                Claim(data, target, "accuracy", value, _SHUFFLED, "C2DGCN 2025", ours="random_windows", inferred=True,
                      variant="c2dgcn")
                for data, target, value in (("seed_iv", "emotion", 97.73), ("deap", "not stated here", 97.66))
            ),
            *(
                Claim(data, "emotion", "accuracy", value, "one person held out at a time", "arXiv 2506.22807",
                      ours="leave_one_subject_out", variant="freqdgt")
                for data, value in (("seed", 81.1), ("seed_iv", 71.9), ("FACED", 62.3))
            ),
        ),
    )  # fmt: skip

    def __init__(
        self,
        spec: InputSpec,
        size: str = "small",
        *,
        graph: str = "learned",
        bands: str = "plain",
        temporal: bool = False,
        order: int = 3,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("dgcnn size", size, SIZES)
        if graph not in GRAPHS:
            raise unknown_name("graph", graph, GRAPHS)
        if bands not in ("plain", "adaptive"):
            raise unknown_name("bands", bands, ("plain", "adaptive"))
        if order < 2:
            raise InputError(f"order {order}; expected 2 or more. Use 3.")
        width, features = SIZES[size], len(BANDS_HZ)
        self.electrodes, rate_hz = spec.signals["eeg"]
        self.parts = SEGMENTS if temporal else 1
        self.entropy = BandEntropy(rate_hz, round(spec.window_s * rate_hz))
        self.scale = nn.LayerNorm(features)
        self.graph = graph
        if graph == "learned":
            self.adjacency = nn.Parameter(torch.rand(self.electrodes, self.electrodes) * 0.1 + 0.01)
        elif graph == "dynamic":
            self.query, self.key = nn.Linear(features, 16, bias=False), nn.Linear(features, 16, bias=False)
        self.weigh = nn.Linear(features, features) if bands == "adaptive" else None
        self.convolve = ChebyshevConv(features, width, order)
        self.dropout = nn.Dropout(dropout)
        self.join = nn.Linear(self.electrodes * width, 2 * width)
        if temporal:
            self.place = nn.Parameter(0.02 * torch.randn(self.parts, 2 * width))
            self.over_time = Block(TransformerSize(2 * width, 1, 4, width // 2), dropout)
        self.classify = nn.Linear(2 * width, spec.outputs)

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Classify each window by itself; ``state`` is ignored and returned."""
        present = batch.present[:, list(batch.signals).index("eeg")]
        seen = batch.observed["eeg"] & present[:, None]  # (B, T)
        signals = torch.where(seen.unsqueeze(1), batch.signals["eeg"], torch.zeros_like(batch.signals["eeg"]))
        signals, seen = parted(signals, self.parts), parted(seen.unsqueeze(1), self.parts)[:, 0]
        entropies = self.scale(self.entropy(signals, seen))  # (B * parts, C, bands)
        entropies = entropies * seen.any(1)[:, None, None]
        if self.weigh is not None:
            entropies = entropies * len(BANDS_HZ) * self.weigh(entropies.mean(1)).softmax(-1).unsqueeze(1)
        graph = self._graph(entropies, signals)
        nodes = torch.relu(self.convolve(entropies, graph))  # (B * parts, C, width)
        embedding = torch.relu(self.join(self.dropout(nodes.flatten(1)))).unflatten(0, (-1, self.parts))
        if self.parts > 1:
            embedding, _ = self.over_time(embedding + self.place)
        joined = embedding.mean(1)  # (B, 2 width)
        used = graph.expand(len(signals), -1, -1).unflatten(0, (-1, self.parts)).mean(1).detach()  # (B, C, C)
        rows = used / used.sum(-1, keepdim=True).clamp_min(1e-6)
        return ModelOutput(self.classify(self.dropout(joined)), joined, state, {"electrode": rows[:, None, None]})

    def _graph(self, entropies: Tensor, signals: Tensor) -> Tensor:
        """Adjacency (1, C, C) or one a window, symmetric and 0 or more."""
        if self.graph == "learned":
            found = torch.relu(self.adjacency).unsqueeze(0)
        elif self.graph == "dynamic":
            found = (self.query(entropies) @ self.key(entropies).transpose(1, 2) / 4).softmax(-1)
        else:
            apart = signals - signals.mean(-1, keepdim=True)
            unit = apart / apart.square().sum(-1, keepdim=True).sqrt().clamp_min(1e-6)
            found = (unit @ unit.transpose(1, 2)).abs()
        return (found + found.transpose(1, 2)) / 2
