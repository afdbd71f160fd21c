"""EEGNet: the plain convolutional baseline of EEG (Lawhern et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from insula.errors import InputError, unknown_name
from insula.models.card import ModelCard
from insula.types import Batch, InputSpec, ModelOutput

SIZES: Mapping[str, tuple[int, int]] = {"small": (8, 2), "medium": (16, 4)}
"""Temporal filters F1 and depth multiplier D; F2 = F1 D."""


class LimitedConv2d(nn.Conv2d):
    """Convolution whose filters are kept within a norm (Keras ``max_norm``)."""

    max_norm = 1.0

    def forward(self, values: Tensor) -> Tensor:
        """Convolve with each filter scaled down to the norm where it exceeds it."""
        weight = torch.renorm(self.weight, 2, 0, self.max_norm)
        return functional.conv2d(values, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class LimitedLinear(nn.Linear):
    """Dense layer whose rows are kept within a norm (Keras ``max_norm``)."""

    max_norm = 0.25

    def forward(self, values: Tensor) -> Tensor:
        """Multiply with each row scaled down to the norm where it exceeds it."""
        return functional.linear(values, torch.renorm(self.weight, 2, 0, self.max_norm), self.bias)


def _same(kernel: int) -> nn.ZeroPad2d:
    """Zeros on both sides, so that a kernel keeps the number of samples; the odd one stands behind."""
    return nn.ZeroPad2d(((kernel - 1) // 2, kernel // 2, 0, 0))


class EEGNet(nn.Module):
    """EEGNet: temporal, spatial and separable convolution over one raw EEG window.

    Published: F1 temporal filters of half a second; D spatial filters each (depthwise over all electrodes, norm at
    most 1); batch normalisation; ELU; average pooling to 32 Hz; dropout; separable convolution of half a second;
    batch normalisation; ELU; average pooling by 8; dropout; dense layer (norm at most .25). Size ``small`` is the
    published EEGNet-8,2; at 128 Hz its kernels are the published 64 and 16 samples.

    Ours: kernels and pooling follow the rate (half a second and 32 Hz stay); ``medium`` is EEGNet-16,4; unobserved
    samples and windows without EEG are zero. Batch normalisation and centred kernels belong to the published model,
    so it reads whole windows (no step model) and must not be used step by step.

    Parameters
    ----------
    spec : sizes; must hold ``eeg`` and windows long enough for both poolings (1 s at any rate of 32 Hz or more).
    size : ``small`` or ``medium``.
    dropout : published .5 within and .25 across subjects.

    Source: Lawhern et al. 2018, Journal of Neural Engineering 15, 056013, arXiv 1611.08024.
    """

    card = ModelCard(
        title="EEGNet",
        summary="Temporal, spatial and separable convolutions over raw EEG",
        source="Lawhern et al. 2018, J. Neural Eng. 15, 056013, arXiv 1611.08024",
        reads=("eeg",),
        window_cost_s=1.1e-3,
    )

    def __init__(self, spec: InputSpec, size: str = "small", *, dropout: float = 0.5) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("eegnet size", size, SIZES)
        if "eeg" not in spec.signals:
            raise InputError(
                f"eegnet with modalities {', '.join(spec.signals) or '(none)'}; expected eeg among them. "
                "Choose data with EEG, or another model."
            )
        n_electrodes, rate_hz = spec.signals["eeg"]
        n_temporal, depth = SIZES[size]
        n_filters = n_temporal * depth
        samples = round(spec.window_s * rate_hz)
        pool = max(1, round(rate_hz / 32.0))
        steps = samples // pool // 8
        if steps < 1:
            raise InputError(
                f"EEG window of {samples} samples at {rate_hz:g} Hz; expected at least {8 * pool} for eegnet. "
                "Use longer windows."
            )
        temporal = max(2, round(rate_hz / 2))
        separable = max(2, round(rate_hz / pool / 2))
        self.samples = samples
        self.temporal = nn.Sequential(
            _same(temporal),
            nn.Conv2d(1, n_temporal, (1, temporal), bias=False),
            nn.BatchNorm2d(n_temporal),
        )
        self.spatial = nn.Sequential(
            LimitedConv2d(n_temporal, n_filters, (n_electrodes, 1), groups=n_temporal, bias=False),
            nn.BatchNorm2d(n_filters),
            nn.ELU(),
            nn.AvgPool2d((1, pool)),
            nn.Dropout(dropout),
        )
        self.separable = nn.Sequential(
            _same(separable),
            nn.Conv2d(n_filters, n_filters, (1, separable), groups=n_filters, bias=False),
            nn.Conv2d(n_filters, n_filters, 1, bias=False),
            nn.BatchNorm2d(n_filters),
            nn.ELU(),
            nn.AvgPool2d((1, 8)),
            nn.Dropout(dropout),
        )
        self.classify = LimitedLinear(n_filters * steps, spec.outputs)

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Classify each window by itself; ``state`` is ignored and returned."""
        signals = batch.signals["eeg"]  # (B, C, T)
        if signals.shape[-1] != self.samples:
            raise InputError(
                f"EEG window of {signals.shape[-1]} samples; expected {self.samples}. "
                "Cut windows as the model was built for."
            )
        present = batch.present[:, list(batch.signals).index("eeg")]
        valid = (batch.observed["eeg"] & present[:, None])[:, None, :]  # (B, 1, T)
        values = torch.where(valid, signals, torch.zeros_like(signals)).unsqueeze(1)  # (B, 1, C, T)
        maps = self.separable(self.spatial(self.temporal(values)))  # (B, F2, 1, steps)
        embedding = maps.flatten(1)
        return ModelOutput(logits=self.classify(embedding), embedding=embedding, state=state)
