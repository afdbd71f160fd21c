"""CV-EEGNet: complex-valued convolutions over the spectrum of EEG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from insula.errors import InputError, unknown_name
from insula.models.card import ModelCard
from insula.types import Batch, InputSpec, ModelOutput

SIZES: Mapping[str, tuple[int, int]] = {"small": (8, 2), "medium": (16, 2)}
"""Spectral filters, and spatial filters each."""
BAND_HZ = (1.0, 45.0)
MOST_BINS = 256
"""More bins than this are averaged by neighbours, so that the dense layer does not grow with the window."""


def _weights(*shape: int, fan: int) -> nn.Parameter:
    """Real and imaginary parts (..., 2) of complex weights, uniform phases in the mean of magnitude 1 / sqrt(fan)."""
    return nn.Parameter(torch.randn(*shape, 2) / (2 * fan) ** 0.5)


def complex_relu(values: Tensor) -> Tensor:
    """Rectify real and imaginary part apart (Trabelsi et al. 2018, arXiv 1705.09792)."""
    return torch.complex(torch.relu(values.real), torch.relu(values.imag))


class SpectralConv(nn.Module):
    """Complex convolution along frequency, same length; ``groups`` as in torch, weights held as real pairs."""

    def __init__(self, inputs: int, outputs: int, kernel: int, groups: int = 1) -> None:
        super().__init__()
        self.kernel, self.groups = kernel, groups
        self.weight = _weights(outputs, inputs // groups, kernel, fan=inputs // groups * kernel)

    def forward(self, spectrum: Tensor) -> Tensor:
        """Map (B, inputs, bins) to (B, outputs, bins)."""
        before = (self.kernel - 1) // 2
        padded = nn.functional.pad(spectrum, (before, self.kernel - 1 - before))
        out: Tensor = nn.functional.conv1d(padded, torch.view_as_complex(self.weight), groups=self.groups)
        return out

    def operations(self, spectrum: Tensor) -> tuple[int, int, int]:
        """Count (multiply-accumulates, additions, other functions): a complex product is four real ones."""
        outputs = spectrum.shape[0] * spectrum.shape[2] * self.weight.shape[0]
        return 4 * outputs * self.weight.shape[1] * self.kernel, 0, 0


class CVEEGNet(nn.Module):
    """EEGNet's shape on complex numbers: magnitudes of the last complex layer are the logits.

    (p) CV-EEGNet (Sensors 2026): raw EEG, Fourier transform, complex spectral, spatial (depthwise) and
    depthwise-separable convolutions, complex dense layer, magnitudes as logits. (?) Everything that a title cannot
    say: bins from 1 to 45 Hz, each window's spectrum scaled to a mean power of 1, kernels of 9 and 5 bins, rectified
    parts, averages of 4 bins, widths of EEGNet-8,2, dropout of whole complex numbers, and for a number (which may be
    negative) a real linear layer on the magnitudes. Weights are kept as real pairs. Phases turn with the window's
    start, so that the network must learn to be indifferent to it.

    Parameters
    ----------
    spec : sizes; must hold ``eeg``, in windows of 16 bins between 1 and 45 Hz or more.
    size : ``small`` or ``medium``.
    dropout : in both blocks.
    """

    card = ModelCard(
        title="CV-EEGNet",
        summary="Complex convolutions over the EEG's spectrum, magnitudes as logits",
        source="CV-EEGNet, Sensors 2026; its code is not public",
        reads=("eeg",),
        experiment="cv_eegnet.toml",
        not_exportable="its weights and activations are complex, which ONNX has no operators for",
    )

    def __init__(self, spec: InputSpec, size: str = "small", *, dropout: float = 0.25) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("cv_eegnet size", size, SIZES)
        electrodes, rate_hz = spec.signals["eeg"]
        samples = round(spec.window_s * rate_hz)
        bins_hz = torch.fft.rfftfreq(samples, 1 / rate_hz)
        picked = torch.nonzero((bins_hz >= BAND_HZ[0]) & (bins_hz <= BAND_HZ[1])).flatten()
        if len(picked) < 16:
            raise InputError(
                f"EEG windows of {spec.window_s:g} s at {rate_hz:g} Hz with {len(picked)} bins from 1 to 45 Hz; "
                "expected 16 or more for cv_eegnet. Use longer windows."
            )
        self.samples, self.first, self.bins = samples, int(picked[0]), len(picked)
        self.merge = max(1, len(picked) // MOST_BINS)
        filters, depth = SIZES[size]
        maps = filters * depth
        self.electrodes, self.filters = electrodes, filters
        self.spectral = SpectralConv(1, filters, 9)
        self.spatial = _weights(filters, depth, electrodes, fan=electrodes)
        self.depthwise = SpectralConv(maps, maps, 5, groups=maps)
        self.pointwise = SpectralConv(maps, maps, 1)
        self.dropout = nn.Dropout(dropout)
        length = self.bins // self.merge // 4
        self.outputs, self.continuous = spec.outputs, spec.continuous
        units = 8 if spec.continuous else spec.outputs
        self.dense = _weights(units, maps * length, fan=maps * length)
        self.bias = nn.Parameter(torch.zeros(units, 2))
        self.value = nn.Linear(units, 1) if spec.continuous else None

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Classify each window by itself; ``state`` is ignored and returned."""
        signals = batch.signals["eeg"]  # (B, C, T)
        if signals.shape[-1] != self.samples:
            raise InputError(f"EEG window of {signals.shape[-1]} samples; expected {self.samples}. Cut them so.")
        present = batch.present[:, list(batch.signals).index("eeg")]
        seen = (batch.observed["eeg"] & present[:, None]).unsqueeze(1)
        spectrum = torch.fft.rfft(torch.where(seen, signals, torch.zeros_like(signals)))
        spectrum = _merged(spectrum[..., self.first : self.first + self.bins], self.merge)  # (B, C, bins)
        power = torch.view_as_real(spectrum).square().sum(-1).mean((1, 2), keepdim=True)
        spectrum = spectrum / power.clamp_min(1e-12).sqrt()
        count, electrodes, bins = spectrum.shape
        maps = self.spectral(spectrum.reshape(count * electrodes, 1, bins)).unflatten(0, (count, electrodes))
        space = torch.view_as_complex(self.spatial)  # (filters, depth, C)
        maps = torch.einsum("bcfk,fdc->bfdk", maps, space).flatten(1, 2)  # (B, maps, bins)
        maps = self._dropped(complex_relu(maps))
        maps = complex_relu(self.pointwise(self.depthwise(maps)))
        embedding = self._dropped(_merged(maps, 4)).flatten(1)  # (B, maps * bins / 4)
        answer = embedding @ torch.view_as_complex(self.dense).T + torch.view_as_complex(self.bias)
        magnitude = (torch.view_as_real(answer).square().sum(-1) + 1e-9).sqrt()  # (B, K)
        logits = magnitude if self.value is None else self.value(magnitude)
        return ModelOutput(logits, torch.view_as_real(embedding).flatten(1), state)

    def _dropped(self, values: Tensor) -> Tensor:
        mask: Tensor = self.dropout(torch.ones_like(values.real))
        return values * mask


def _merged(values: Tensor, size: int) -> Tensor:
    """Average neighbours along the last axis; a rest is dropped."""
    if size == 1:
        return values
    length = values.shape[-1] // size
    merged: Tensor = values[..., : length * size].unflatten(-1, (length, size)).mean(-1)
    return merged
