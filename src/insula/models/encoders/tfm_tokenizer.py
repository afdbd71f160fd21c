"""TFM-Tokenizer: half-second tokens of one channel, motifs in time and frequency out of a learned vocabulary."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from insula.errors import DataError, InputError
from insula.models.card import ModelCard, Pretraining
from insula.models.encoders.probe import NOT_OURS, Probe
from insula.models.encoders.reader import Reader
from insula.models.encoders.weights import Folder
from insula.types import InputSpec

RATE_HZ, FRAME, STEP = 200.0, 200, 100
"""Samples a second, of a frame, and from frame to frame."""
LOUD = 0.95
"""The quantile of a channel's size that becomes one."""
BINS = 100
HEADS = 8
OTHERS = ("trans_decoder.", "decoder.", "quantizer.cluster_size", "quantizer.ema_w")
"""Parts that served pre-training alone."""


class LinearAttention(nn.Module):
    """Attention without pairs: keys weigh values over all tokens once, queries read what was gathered."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.to_out = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        parts = (self.to_q(tokens), self.to_k(tokens), self.to_v(tokens))
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)  # (B, heads, n, each)
        gathered = k.softmax(-2).transpose(-1, -2) @ v  # (B, heads, each, each)
        read = (q.softmax(-1) * q.shape[-1] ** -0.5) @ gathered
        out: Tensor = self.to_out(read.transpose(1, 2).flatten(2))
        return out


class Feed(nn.Module):
    """A network a token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.w1, self.w2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.w2(functional.gelu(self.w1(tokens)))
        return out


class Inside(nn.Module):
    """A layer under the name ``fn``."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.fn = layer

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.fn(tokens)
        return out


class Normed(Inside):
    """A layer after a normalisation."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__(layer)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.fn(self.norm(tokens))
        return out


class Encoder(nn.Module):
    """Attention and feed-forward layers in turn, under the names of the published file."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        pairs = (
            nn.ModuleList([Normed(LinearAttention(width), width), Normed(Inside(Feed(width)), width)])
            for _ in range(depth)
        )
        self.transformer = nn.ModuleDict({"layers": nn.ModuleDict({"layers": nn.ModuleList(pairs)})})

    def forward(self, tokens: Tensor) -> Tensor:
        for pair in self.transformer["layers"]["layers"]:  # type: ignore[index]
            for part in pair:
                tokens = tokens + part(tokens)
        return tokens


class Network(nn.Module):
    """One channel at 200 Hz (n, T) -> its tokens (n, frames, E), under the names of the published file."""

    def __init__(self, width: int, codes: int, patch: int, depths: tuple[int, int]) -> None:
        super().__init__()
        self.freq_patch_embedding = _patches(width, width, patch, patch)
        self.trans_freq_encoder = Encoder(width, depths[0])
        self.temporal_patch_embedding = _patches(width, width // 2, FRAME, STEP)
        narrow = width // (2 * (BINS // patch**2))
        self.freq_patch_embedding_2_atten = nn.Sequential(nn.Conv1d(width, narrow, patch, patch), nn.Sigmoid())
        self.freq_patch_embedding_2 = nn.Sequential(nn.Conv1d(width, narrow, patch, patch))
        self.trans_temporal_encoder = Encoder(width, depths[1])
        self.quantizer = nn.ModuleDict({"embedding": nn.Embedding(codes, width)})

    def forward(self, values: Tensor) -> Tensor:
        window = torch.hann_window(FRAME, device=values.device)
        spectrum = torch.stft(values, FRAME, STEP, window=window, center=False, return_complex=True).abs()[:, :BINS]
        frames = spectrum.shape[-1]
        found = self.freq_patch_embedding(spectrum.transpose(1, 2).reshape(-1, 1, BINS)).transpose(1, 2)
        found = self.trans_freq_encoder(found).transpose(1, 2)
        found = self.freq_patch_embedding_2(found) * self.freq_patch_embedding_2_atten(found)
        by_frequency = found.flatten(1).unflatten(0, (-1, frames))  # (n, frames, E / 2)
        by_time = self.temporal_patch_embedding(values.unsqueeze(1)).transpose(1, 2)
        tokens = self.trans_temporal_encoder(torch.cat([by_frequency, by_time], -1))
        return self.nearest(functional.normalize(tokens, dim=-1))

    def nearest(self, tokens: Tensor) -> Tensor:
        """The vocabulary's nearest word of each token; gradients pass as if nothing had been chosen."""
        words: Tensor = self.quantizer["embedding"].weight  # type: ignore[assignment]
        far = words.square().sum(1) - 2 * tokens @ words.T  # (n, frames, codes), the token's own size left out
        chosen = functional.embedding(far.argmin(-1), words)
        return tokens + (chosen - tokens).detach()


class Channels(Reader):
    """Each channel divided by its size, tokens averaged over time, channels side by side."""

    def stretch(self, values: Tensor) -> Tensor:
        loud = torch.quantile(values.abs(), LOUD, -1, keepdim=True) + 1e-8
        tokens: Tensor = self.network((values / loud).flatten(0, 1)).mean(1)  # (n C, E)
        embedded: Tensor = tokens.unflatten(0, values.shape[:2]).flatten(1)
        return embedded


class TFMTokenizer(Probe):
    """TFM-Tokenizer as an encoder of the EEG, one channel at a time: any montage.

    (p) Pradeepkumar et al. 2026 (ICLR, arXiv 2502.16060) and the public code: each channel at 200 Hz is divided by the
    95 % quantile of its size; one path reads the spectrum of a second every half second in patches of five bins, one
    the samples; both go through transformers with linear attention, and the result becomes the nearest of 8192 learned
    words. Names and shapes of the tokenizer's file give the sizes; its decoder is passed over. Written from these
    facts; no code of theirs.
    (?) Ours: the embedding is the mean word of each channel, channels side by side. The repository's second
    transformer, which reads tokens of 16 channels in the order of its own data, is not read.
    """

    card = ModelCard(
        title="TFM-Tokenizer",
        summary="Mean time-frequency motif of each channel, frozen or fine-tuned, from a folder of its weights",
        source="Pradeepkumar et al. 2026, arXiv 2502.16060",
        pretraining=Pretraining(
            files=("tfm_tokenizer_last.pth",),
            where="https://huggingface.co/Jathurshan/TFM-Tokenizer (a folder Pretrained_tfm_tokenizer_2x2x8)",
            licence="MIT",
            reads=("eeg",),
            seen="TUEV, TUAB, CHB-MIT and IIIC (clinical EEG), as its folder says",
        ),
        window_cost_s=0.05,
        not_exportable=NOT_OURS,
    )

    @classmethod
    def opened(cls, folder: Folder, spec: InputSpec, **options: Any) -> nn.Module:
        del options
        if spec.window_s * RATE_HZ < FRAME:
            raise InputError(f"windows of {spec.window_s:g} s for TFM-Tokenizer; expected 1 s or more. Use --window.")
        width, patch = (folder.size("freq_patch_embedding.0.weight", axis) for axis in (0, 2))
        if patch < 1 or BINS % patch**2 or width % max(HEADS, 2 * (BINS // patch**2)):
            raise DataError(
                f"{folder.file}: {width} numbers a token and patches of {patch} bins; expected sizes that divide. "
                f"{folder.source}"
            )
        codes = folder.size("quantizer.embedding.weight", 0)
        names = ("trans_freq_encoder", "trans_temporal_encoder")
        depths = tuple(folder.count(f"{name}.transformer.layers.layers.") for name in names)
        network = folder.filled(lambda: Network(width, codes, patch, (depths[0], depths[1])), OTHERS)
        return Channels(network, (spec.signals["eeg"][1], RATE_HZ))


def _patches(width: int, last: int, kernel: int, stride: int) -> nn.Sequential:
    """Three convolutions, each with GELU and group normalisation, the first over patches."""
    groups = width // 4
    return nn.Sequential(
        nn.Conv1d(1, width, kernel, stride), nn.GELU(), nn.GroupNorm(groups, width),
        nn.Conv1d(width, width, 1), nn.GELU(), nn.GroupNorm(groups, width),
        nn.Conv1d(width, last, 1), nn.GELU(), nn.GroupNorm(groups, last),
    )  # fmt: skip
