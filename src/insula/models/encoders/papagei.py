"""PaPaGei: a residual network over ten seconds of a pulse wave at 125 Hz, trained on 57,000 hours of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from insula.models.card import ModelCard, Pretraining
from insula.models.encoders.probe import NOT_OURS, Probe
from insula.models.encoders.reader import Reader
from insula.models.encoders.weights import Folder
from insula.types import InputSpec

RATE_HZ = 125.0
SEGMENT_S = 10.0
KERNEL, STRIDE, DOUBLE = 3, 2, 4
"""Samples of a kernel, by how much every second block lowers the rate, blocks after which channels double."""
HEADS = ("expert_layers_", "gating_network_", "projector.", "mt_regression.")
"""Parts that served pre-training alone."""


class Same(nn.Module):
    """A convolution whose output has ceil(T / stride) samples, zeros around."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, width, KERNEL, stride)
        self.stride = stride

    def forward(self, values: Tensor) -> Tensor:
        padded = functional.pad(values, _around(values.shape[-1], KERNEL, self.stride))
        convolved: Tensor = self.conv(padded)
        return convolved


class Block(nn.Module):
    """Normalise, rectify, convolve, twice; what went in is added, pooled and its channels padded with zeros."""

    def __init__(self, channels: int, width: int, stride: int, first: bool) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm1d(channels), nn.BatchNorm1d(width)
        self.conv1, self.conv2 = Same(channels, width, stride), Same(width, width)
        self.stride, self.first, self.more = stride, first, width - channels

    def forward(self, values: Tensor) -> Tensor:
        found = values if self.first else torch.relu(self.bn1(values))
        found = torch.relu(self.bn2(self.conv1(found)))
        found = self.conv2(found)
        if self.stride > 1:
            around = _around(values.shape[-1], self.stride, 1)  # as published: padded as for a stride of one
            values = functional.max_pool1d(functional.pad(values, around), self.stride)
        if self.more:
            values = functional.pad(values, (0, 0, self.more // 2, self.more - self.more // 2))
        total: Tensor = found + values
        return total


class Network(nn.Module):
    """Pulse (n, 1, T) at 125 Hz -> embedding (n, E), under the names of the published file."""

    def __init__(self, width: int, blocks: int, embedding: int) -> None:
        super().__init__()
        self.first_block_conv = Same(1, width)
        self.first_block_bn = nn.BatchNorm1d(width)
        self.basicblock_list = nn.ModuleList()
        channels = width
        for i in range(blocks):
            wide = channels * 2 if i and i % DOUBLE == 0 else channels
            self.basicblock_list.append(Block(channels, wide, STRIDE if i % 2 else 1, i == 0))
            channels = wide
        self.final_bn = nn.BatchNorm1d(channels)
        self.dense = nn.Linear(channels, embedding)

    def forward(self, values: Tensor) -> Tensor:
        found = torch.relu(self.first_block_bn(self.first_block_conv(values)))
        for block in self.basicblock_list:
            found = block(found)
        embedding: Tensor = self.dense(torch.relu(self.final_bn(found)).mean(-1))
        return embedding


class Pulse(Reader):
    """Each stretch of each channel by itself, of mean 0 and deviation 1; channels are averaged."""

    def stretch(self, values: Tensor) -> Tensor:
        spread = values.std(-1, keepdim=True, correction=0)
        scaled = (values - values.mean(-1, keepdim=True)) / spread.clamp_min(1e-6)
        each = self.network(scaled.flatten(0, 1).unsqueeze(1))  # (n C, E)
        embedded: Tensor = each.unflatten(0, values.shape[:2]).mean(1)
        return embedded


class PaPaGei(Probe):
    """PaPaGei-S as an encoder of the pulse.

    (p) Pillai et al. 2025 (ICLR, arXiv 2410.20542) and the public code: a residual network of 18 blocks on 10 s of
    pulse at 125 Hz, each segment of mean 0 and deviation 1, before that filtered from 0.5 to 12 Hz; the embedding is
    that of its dense layer (512 numbers). Names and shapes of ``papagei_s.pt`` give width and depth here; heads that
    served pre-training alone are passed over. Written from these facts; no code of theirs.
    (?) Ours: the band is that of the recipe (0.5 to 8 Hz, causal; ``--set recipe.signals.bvp.high_hz=12`` where the
    sensor allows it), shorter windows pass whole, longer ones in segments whose embeddings are averaged with those of
    further channels, what is left over at the end is not read.
    """

    card = ModelCard(
        title="PaPaGei",
        summary="Residual network over the pulse, frozen or fine-tuned, from a folder of its weights",
        source="Pillai et al. 2025, arXiv 2410.20542",
        pretraining=Pretraining(
            files=("papagei_s.pt",),
            where="https://zenodo.org/records/13983110",
            licence="BSD 3-Clause Clear",
            reads=("ppg", "bvp"),
            seen="VitalDB, MIMIC-III and MESA (57,000 hours of pulse)",
        ),
        window_cost_s=2e-2,
        not_exportable=NOT_OURS,
    )

    @classmethod
    def opened(cls, folder: Folder, spec: InputSpec, **options: Any) -> nn.Module:
        del options
        width, embedding = folder.size("first_block_conv.conv.weight", 0), folder.size("dense.weight", 0)
        network = folder.filled(lambda: Network(width, folder.count("basicblock_list."), embedding), HEADS)
        rate_hz = spec.signals[cls.reading(spec)][1]
        return Pulse(network, (rate_hz, RATE_HZ), round(SEGMENT_S * RATE_HZ))


def _around(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, for ceil(length / stride) results."""
    out = -(-length // stride)
    whole = max(0, (out - 1) * stride + kernel - length)
    return whole // 2, whole - whole // 2
