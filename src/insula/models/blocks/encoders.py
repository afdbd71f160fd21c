"""Causal convolutional front ends with carried buffers: raw samples in, embeddings on a grid of steps out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insula.errors import InputError
from insula.models.kernels.band_power import BandPower


def samples_per_step(rate_hz: float, grid_hz: float) -> int:
    """Samples a grid step; below one sample a step the signal is held, and 0 minus the repeats is returned."""
    ratio = rate_hz / grid_hz
    if ratio >= 1 and abs(ratio - round(ratio)) < 1e-9:
        return round(ratio)
    if ratio < 1 and abs(1 / ratio - round(1 / ratio)) < 1e-9:
        return -round(1 / ratio)
    raise InputError(f"rate {rate_hz:g} Hz on a grid of {grid_hz:g} Hz; expected a whole ratio. Change rate_hz.")


def to_grid(values: Tensor, step: int, reduce: str) -> Tensor:
    """Bring (B, T) samples onto the grid (B, S): ``mean``, ``sum`` or ``any`` over a step, or hold where step < 0."""
    if step < 0:
        held = values.repeat_interleave(-step, dim=1)
        return held / -step if reduce == "sum" else held
    blocks = values.unflatten(1, (-1, step))  # (B, S, step)
    if reduce == "any":
        seen: Tensor = blocks.any(-1)
        return seen
    out: Tensor = blocks.sum(-1) if reduce == "sum" else blocks.mean(-1)
    return out


class SpectralEncoder(nn.Module):
    """Spatial mixing, causal filter bank, power, block mean, logarithm: EEG and other fast oscillating signals.

    (B, C, T) -> (B, T / step, width); buffer (B, S, taps - 1). The order square, mean, log follows the shallow
    network of Schirrmeister et al. 2017 (doi:10.1002/hbm.23730); causality and sizes are ours.
    """

    def __init__(self, channels: int, step: int, width: int, spatial: int, filters: int, taps: int) -> None:
        super().__init__()
        self.taps = taps
        self.spatial = nn.Conv1d(channels, spatial, 1, bias=False)
        self.temporal = BandPower(spatial, filters, taps, step)
        self.project = nn.Sequential(nn.LayerNorm(spatial * filters), nn.Linear(spatial * filters, width), nn.GELU())

    def forward(self, signal: Tensor, buffer: Tensor | None) -> tuple[Tensor, Tensor]:
        mixed = self.spatial(signal)  # (B, S, T)
        padded = F.pad(mixed, (self.taps - 1, 0)) if buffer is None else torch.cat([buffer, mixed], -1)
        power = self.temporal(padded)  # (B, S*F, T/step)
        out = self.project(torch.log(power + 1e-4).transpose(1, 2))
        return out, padded[..., padded.shape[-1] - (self.taps - 1) :]


class _Frames(nn.Conv1d):
    """A convolution along time as one matrix product, (B, T, C) -> (B, T', out): on CPUs faster than torch's own."""

    def forward(self, x: Tensor) -> Tensor:
        taps, stride = self.kernel_size[0], self.stride[0]
        if taps == stride:  # frames lie one after another already
            return F.linear(x.unflatten(1, (-1, taps)).flatten(2), self.weight.transpose(1, 2).flatten(1), self.bias)
        return F.linear(x.unfold(1, taps, stride).flatten(2).contiguous(), self.weight.flatten(1), self.bias)


class ShapeEncoder(nn.Module):
    """Two causal convolutions, the second with the stride of the grid: pulse, skin conductance, temperature and others.

    (B, C, T) -> (B, T / step, width). Signals slower than the grid are held first; much faster ones are strided by 4 in
    the first convolution.
    """

    def __init__(self, channels: int, step: int, width: int, hidden: int = 8) -> None:
        super().__init__()
        self.step = step
        self.first_stride = 4 if step > 8 and step % 4 == 0 else 1
        self.taps = 12 if self.first_stride > 1 else 5
        self.stride = max(step, 1) // self.first_stride
        self.first = _Frames(channels, hidden, self.taps, stride=self.first_stride)
        self.second = _Frames(hidden, width, self.stride, stride=self.stride)

    def forward(self, signal: Tensor, buffer: Tensor | None) -> tuple[Tensor, Tensor]:
        x = signal.repeat_interleave(-self.step, dim=2) if self.step < 0 else signal
        kept = self.taps - self.first_stride
        padded = F.pad(x, (kept, 0)) if buffer is None else torch.cat([buffer, x], -1)
        out: Tensor = self.second(F.gelu(self.first(padded.transpose(1, 2))))  # (B, T/step, width)
        return out, padded[..., padded.shape[-1] - kept :]
