"""RBTransformer: electrodes are tokens, their band entropies the words (arXiv 2511.13954)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.signal import butter, sosfilt
from torch import Tensor, nn

from insula.errors import InputError, unknown_name
from insula.models.card import Claim, ModelCard
from insula.types import Batch, InputSpec, ModelOutput

BANDS_HZ: Mapping[str, tuple[float, float]] = {
    "theta": (4.0, 8.0),
    "alpha": (8.0, 14.0),
    "beta": (14.0, 31.0),
    "gamma": (31.0, 49.0),
}
"""The four bands of the released code, in its order."""

FILTER_ORDER = 5
VARIANCE_FLOOR = 1e-8
_POOLED = "all people pooled, shuffled 5-fold over overlapping windows, validation fold = test fold"


@dataclass(frozen=True)
class TransformerSize:
    """Widths of the network; the feed-forward width equals ``width``, as published."""

    width: int
    depth: int
    heads: int
    head_width: int


SIZES: Mapping[str, TransformerSize] = {
    "small": TransformerSize(128, 4, 6, 32),
    "medium": TransformerSize(128, 8, 6, 32),
}


class BandEntropy(nn.Module):
    """Differential entropy of each electrode in each band; nothing in it is learned.

    The window is z-scored as a whole (one mean and deviation over its electrodes and observed samples), band-passed
    by a causal Butterworth filter of order 5 that starts at rest, and scored 0.5 log2(2 pi e variance), in bits: the
    order of the released code. The filter is applied as a convolution with its exact impulse response. A variance is
    floored at 1e-8 (ours: the released code answers minus infinity for a flat electrode).

    Parameters
    ----------
    rate_hz : rate of the cleaned EEG; above 98 Hz, so that gamma fits.
    samples : the longest window, in samples.
    """

    response: Tensor

    def __init__(self, rate_hz: float, samples: int) -> None:
        super().__init__()
        highest_hz = max(high for _, high in BANDS_HZ.values())
        if rate_hz <= 2 * highest_hz:
            raise InputError(
                f"EEG rate {rate_hz:g} Hz; expected above {2 * highest_hz:g} Hz for the gamma band of rbtransformer. "
                "Raise rate_hz of the eeg recipe, or choose another model."
            )
        impulse = np.zeros(samples)
        impulse[0] = 1.0
        responses = [
            sosfilt(butter(FILTER_ORDER, band, btype="bandpass", fs=rate_hz, output="sos"), impulse)
            for band in BANDS_HZ.values()
        ]
        response = torch.tensor(np.stack(responses), dtype=torch.float32)  # (bands, samples)
        self.register_buffer("response", response, persistent=False)

    def forward(self, signals: Tensor, observed: Tensor) -> Tensor:
        """Map signals (B, C, T) and observed (B, T) to entropies (B, C, bands) in bits."""
        n_samples = signals.shape[-1]
        if n_samples > self.response.shape[-1]:
            raise InputError(
                f"EEG window of {n_samples} samples; expected at most {self.response.shape[-1]}. "
                "Build the model with the window_s of its data."
            )
        mask = observed.unsqueeze(1)  # (B, 1, T)
        values = torch.where(mask, signals, torch.zeros_like(signals))
        seen = (observed.sum(dim=1) * signals.shape[1]).clamp(min=1).to(signals.dtype)[:, None, None]  # (B, 1, 1)
        mean = values.sum(dim=(1, 2), keepdim=True) / seen
        centred = torch.where(mask, values - mean, torch.zeros_like(values))
        deviation = (centred.square().sum(dim=(1, 2), keepdim=True) / seen).sqrt()
        scaled = centred / torch.where(deviation > 0, deviation, torch.ones_like(deviation))
        length = 2 * n_samples  # linear, not circular, convolution
        spectrum = torch.fft.rfft(scaled, n=length).unsqueeze(2)  # (B, C, 1, T + 1)
        transfer = torch.fft.rfft(self.response[:, :n_samples].to(signals.dtype), n=length)  # (bands, T + 1)
        filtered = torch.fft.irfft(spectrum * transfer, n=length)[..., :n_samples]  # (B, C, bands, T)
        variance = filtered.var(dim=-1, correction=0).clamp(min=VARIANCE_FLOOR)
        return 0.5 * torch.log2(2 * math.pi * math.e * variance)

    def operations(self, signals: Tensor, observed: Tensor) -> tuple[int, int, int]:
        """Count (multiply-accumulates, additions, other functions) of the recursive form a device would run.

        Five second-order sections of five multiply-accumulates a sample, band and electrode; mean and deviation of
        the window; mean and variance of each band. The convolution above gives the same numbers and is not counted.
        """
        del observed
        values = signals.numel()
        outputs = values // signals.shape[-1] * len(BANDS_HZ)
        banded = values * len(BANDS_HZ)
        macs = banded * FILTER_ORDER * 5 + values * 2 + banded
        adds = values * 2 + banded * 2
        others = outputs * 2 + signals.shape[0] * 3
        return macs, adds, others


class ElectrodeAttention(nn.Module):
    """Self-attention between electrodes; query, key and value without bias, the output with one."""

    def __init__(self, width: int, heads: int, head_width: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.scale = head_width**-0.5
        self.query_key_value = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.output = nn.Linear(heads * head_width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Map tokens (B, C, width) to tokens and weights (B, heads, C, C), rows summing to 1."""
        n_windows, n_electrodes, _ = tokens.shape
        joint = self.query_key_value(tokens).view(n_windows, n_electrodes, 3, self.heads, -1)
        query, key, value = joint.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, C, head_width)
        weights = (query @ key.transpose(-1, -2) * self.scale).softmax(dim=-1)
        mixed = self.dropout(weights) @ value
        merged = mixed.transpose(1, 2).reshape(n_windows, n_electrodes, -1)  # (B, C, heads * head_width)
        return self.dropout(self.output(merged)), weights


class Block(nn.Module):
    """Pre-norm block: attention between electrodes, then a feed-forward network for each."""

    def __init__(self, size: TransformerSize, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(size.width)
        self.attention = ElectrodeAttention(size.width, size.heads, size.head_width, dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(size.width),
            nn.Linear(size.width, size.width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(size.width, size.width),
            nn.Dropout(dropout),
        )

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Map tokens (B, C, width) to tokens and attention weights (B, heads, C, C)."""
        attended, weights = self.attention(self.attention_norm(tokens))
        tokens = tokens + attended
        return tokens + self.feed_forward(tokens), weights


class RBTransformer(nn.Module):
    """RBTransformer: attention between the electrodes of one EEG window.

    Published, and read in the released code: four band entropies an electrode, linear to 128, a learned embedding an
    electrode drawn from a standard normal, dropout .1, four pre-norm blocks of 6 heads of 32 and a feed-forward of
    128, mean over electrodes, LayerNorm, and a classifier 128-256-256-128-K with GELU and dropout. Parameters:
    662,530 for 14 electrodes and 2 classes, 664,834 for 32 and 2, 668,803 for 62 and 3 (size ``small``, the published
    one; ``medium`` is ours and has eight blocks).

    Ours: the entropies are computed inside the model from the cleaned window (`BandEntropy`), so the model needs
    nothing but EEG; unobserved samples are left out of the window's mean; the baseline's entropies are not
    subtracted, since a window does not carry its trial's baseline. insula's default recipe low-passes EEG at 45 Hz,
    which cuts into gamma (31 to 49 Hz): experiments/rbtransformer.toml brings its own recipe. A window without EEG
    is given electrode embeddings only.

    Parameters
    ----------
    spec : sizes; must hold ``eeg`` at more than 98 Hz.
    size : ``small`` (published) or ``medium``.
    dropout : published .1.

    Output: ``attention["electrode"]`` (B, layers, heads, C, C): row electrode attends to column electrode.
    Source: RBTransformer, arXiv 2511.13954, 2025.
    """

    card = ModelCard(
        title="RBTransformer",
        summary="Attention between electrodes over their band entropies",
        source="arXiv 2511.13954, 2025; code read",
        reads=("eeg",),
        not_exportable="its band entropies are convolved through a Fourier transform, which torch cannot write",
        claims=tuple(
            Claim(data, target, "accuracy", value, _POOLED, "arXiv 2511.13954", ours="random_windows", epochs=300)
            for data, target, value in (
                ("seed", "emotion", 99.51),
                ("deap", "valence", 99.84), ("deap", "arousal", 99.83), ("deap", "dominance", 99.82),
                ("dreamer", "valence", 99.61), ("dreamer", "arousal", 99.74), ("dreamer", "dominance", 99.79),
            )
        ),
        experiment="rbtransformer.toml",
        window_cost_s=1.7e-3,
    )  # fmt: skip

    def __init__(self, spec: InputSpec, size: str = "small", *, dropout: float = 0.1) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("rbtransformer size", size, SIZES)
        if "eeg" not in spec.signals:
            raise InputError(
                f"rbtransformer with modalities {', '.join(spec.signals) or '(none)'}; expected eeg among them. "
                "Choose data with EEG, or another model."
            )
        shape = SIZES[size]
        self.n_electrodes, rate_hz = spec.signals["eeg"]
        self.entropy = BandEntropy(rate_hz, max(1, round(spec.window_s * rate_hz)))
        self.project = nn.Linear(len(BANDS_HZ), shape.width)
        self.electrode = nn.Parameter(torch.randn(1, self.n_electrodes, shape.width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(shape, dropout) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.width)
        hidden = 2 * shape.width
        self.hidden = nn.Sequential(
            nn.Linear(shape.width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, shape.width),
            nn.GELU(),
            nn.Dropout(dropout),
        )
        self.classify = nn.Linear(shape.width, spec.outputs)

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Classify each window by itself; ``state`` is ignored and returned."""
        signals = batch.signals["eeg"]
        present = batch.present[:, list(batch.signals).index("eeg")]  # (B,)
        entropies = self.entropy(signals, batch.observed["eeg"] & present[:, None])  # (B, C, bands)
        entropies = torch.where(present[:, None, None], entropies, torch.zeros_like(entropies))
        tokens = self.dropout(self.project(entropies) + self.electrode)
        attention = []
        for block in self.blocks:
            tokens, weights = block(tokens)
            attention.append(weights.detach())
        embedding = self.hidden(self.norm(tokens.mean(dim=1)))
        return ModelOutput(
            logits=self.classify(embedding),
            embedding=embedding,
            state=state,
            attention={"electrode": torch.stack(attention, dim=1)},  # (B, layers, heads, C, C)
        )
