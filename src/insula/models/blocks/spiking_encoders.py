"""Analogue front ends of spiking networks: raw samples in, the currents that drive the first neurons out.

All are causal, carry a buffer and answer a whole number of times a hop. The layout a modality is expected in:
audio (channels, samples), channels averaged, read as log-mel frames where its rate is speech-like (2 kHz or more);
video (side * side, frames), one channel a grey pixel, rows of the square picture one after another; any other
modality (channels, samples).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insula.errors import InputError
from insula.models.blocks.encoders import SpectralEncoder

SPEECH_HZ = 2000.0
OSCILLATING = ("eeg", "emg")
OSCILLATING_HZ = 32.0


@dataclass(frozen=True)
class Grid:
    """How samples of one modality meet the network's steps.

    A sample is held ``hold`` times, then ``stride`` samples make one current, which is given to ``repeat`` steps.
    """

    hold: int
    stride: int
    repeat: int

    @classmethod
    def of(cls, samples: int, tokens: int, steps: int) -> Grid:
        """Lay ``samples`` a hop on ``tokens`` of ``steps`` steps: a current a step where it divides, else a token."""
        if samples % (tokens * steps) == 0:
            return cls(1, samples // (tokens * steps), 1)
        if samples % tokens == 0:
            return cls(1, samples // tokens, steps)
        return cls(tokens // samples, 1, steps)


def tokens_per_hop(samples: list[int], wanted: float) -> int:
    """Largest number of tokens a hop, at most ``wanted``, that divides, or is divided by, every modality's samples."""
    fitting = [k for k in range(1, max(1, round(wanted)) + 1) if all(n % k == 0 or k % n == 0 for n in samples)]
    return max(fitting)


class CurrentEncoder(nn.Module):
    """Direct coding: one causal convolution over two strides of samples, (B, C, T) -> (B, T / stride, width)."""

    def __init__(self, channels: int, stride: int, width: int) -> None:
        super().__init__()
        self.taps = 2 * stride
        self.kept = self.taps - stride
        self.convolve = nn.Conv1d(channels, width, self.taps, stride=stride, bias=False)
        self.bias = nn.Parameter(0.3 * torch.randn(width))
        nn.init.normal_(self.convolve.weight, std=(channels * self.taps) ** -0.5)

    def forward(self, signal: Tensor, buffer: Tensor | None) -> tuple[Tensor, Tensor]:
        padded = F.pad(signal, (self.kept, 0)) if buffer is None else torch.cat([buffer, signal], -1)
        return self.convolve(padded).transpose(1, 2) + self.bias, padded[..., padded.shape[-1] - self.kept :]


class LogMelEncoder(nn.Module):
    """Causal log-mel frames of audio, averaged over a stride, then weights: (B, C, T) -> (B, T / stride, width).

    Frames of about 25 ms every 10 ms or less (a divisor of the stride) under a Hann window; triangular filters on the
    mel scale 2595 log10(1 + f / 700) from 50 Hz to half the rate.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, rate_hz: float, stride: int, width: int, bands: int = 32) -> None:
        super().__init__()
        self.stride = stride
        self.step = max(d for d in range(1, stride + 1) if stride % d == 0 and d <= max(1, rate_hz / 100))
        self.length = 2 ** math.ceil(math.log2(rate_hz / 40))
        self.kept = self.length - self.step
        window = torch.hann_window(self.length, periodic=True) / self.length**0.5
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", mel_filters(bands, self.length, rate_hz), persistent=False)
        self.project = nn.Linear(bands, width)
        nn.init.normal_(self.project.weight, std=bands**-0.5)

    def forward(self, signal: Tensor, buffer: Tensor | None) -> tuple[Tensor, Tensor]:
        mono = signal.mean(1)  # (B, T)
        padded = F.pad(mono, (self.kept, 0)) if buffer is None else torch.cat([buffer, mono], -1)
        frames = padded.unfold(-1, self.length, self.step)  # (B, T / step, length)
        power = torch.view_as_real(torch.fft.rfft(frames * self.window)).square().sum(-1)
        bands = torch.log(power @ self.filters + 1e-4)  # about -9 (silence) to 3
        mean = bands.unflatten(1, (-1, self.stride // self.step)).mean(2)  # (B, T / stride, bands)
        return self.project((mean + 3) / 3), padded[:, padded.shape[-1] - self.kept :]


class FrameEncoder(nn.Module):
    """Two strided convolutions over each grey frame, averaged: (B, side * side, T) -> (B, T / stride, width)."""

    def __init__(self, pixels: int, stride: int, width: int) -> None:
        super().__init__()
        self.side, self.stride = math.isqrt(pixels), stride
        if self.side**2 != pixels or self.side < 4:
            raise InputError(
                f"video of {pixels} channels; expected the pixels of a square grey frame of 4 x 4 or more. "
                "Cut and flatten the faces first (row after row)."
            )
        self.convolve = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(min(4, -(-self.side // 4))),
            nn.Flatten(),
        )
        self.project = nn.Linear(16 * min(4, -(-self.side // 4)) ** 2, width)
        nn.init.kaiming_normal_(self.project.weight)

    def forward(self, signal: Tensor, buffer: None) -> tuple[Tensor, None]:
        del buffer
        batch = signal.shape[0]
        frames = signal.transpose(1, 2).reshape(-1, 1, self.side, self.side)  # (B * T, 1, side, side)
        found = self.project(self.convolve(frames)).unflatten(0, (batch, -1))  # (B, T, width)
        return found.unflatten(1, (-1, self.stride)).mean(2), None


class ModalityCurrents(nn.Module):
    """Currents of one modality on the network's steps; unobserved samples are zero, steps without any are silent."""

    def __init__(self, name: str, channels: int, rate_hz: float, grid: Grid, width: int) -> None:
        super().__init__()
        self.grid = grid
        self.encode: nn.Module
        if name == "video":
            self.encode = FrameEncoder(channels, grid.stride, width)
        elif name == "audio" and rate_hz >= SPEECH_HZ:
            self.encode = LogMelEncoder(rate_hz, grid.stride, width)
        elif name in OSCILLATING and rate_hz >= OSCILLATING_HZ and grid.stride >= 4:
            taps = min(round(rate_hz / 4) + 1, 65)
            self.encode = SpectralEncoder(channels, grid.stride, width, min(12, 2 * channels), 3, taps)
        else:
            self.encode = CurrentEncoder(channels, grid.stride, width)

    def forward(self, signal: Tensor, observed: Tensor, buffer: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Map signal (B, C, T) and observed (B, T) to currents (B, S, width); return the buffer too."""
        grid = self.grid
        values = torch.where(observed.unsqueeze(1), signal, torch.zeros_like(signal))
        if grid.hold > 1:
            values, observed = values.repeat_interleave(grid.hold, 2), observed.repeat_interleave(grid.hold, 1)
        currents, kept = self.encode(values, buffer)  # (B, S / repeat, width)
        seen = observed.unflatten(1, (-1, grid.stride)).any(-1, keepdim=True)
        silent = torch.where(seen, currents, torch.zeros_like(currents))
        return silent.repeat_interleave(grid.repeat, 1) if grid.repeat > 1 else silent, kept


def mel_filters(bands: int, length: int, rate_hz: float) -> Tensor:
    """Triangular filters (length / 2 + 1, bands); one that no bin falls in takes its nearest bin."""
    hz = torch.arange(length // 2 + 1) * rate_hz / length
    low, high = (2595 * math.log10(1 + f / 700) for f in (50.0, rate_hz / 2))
    edges = 700 * (10 ** (torch.linspace(low, high, bands + 2) / 2595) - 1)
    rising = (hz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hz[:, None]) / (edges[2:] - edges[1:-1])
    filters = torch.minimum(rising, falling).clamp_min(0)
    nearest = (hz[:, None] - edges[1:-1]).abs().argmin(0)
    empty = filters.sum(0) == 0
    filters[nearest[empty], empty.nonzero()[:, 0]] = 1.0
    return filters
