"""SEANet's encoder (Tagliasacchi et al. 2020; as EnCodec has it): convolutions that halve the rate, then an LSTM."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Weighed(nn.Module):
    """A convolution whose weight is a direction times a size for each output channel."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(width, 1, 1))
        self.weight_v = nn.Parameter(torch.ones(width, channels, kernel))
        self.bias = nn.Parameter(torch.zeros(width))
        self.stride = stride

    def forward(self, values: Tensor) -> Tensor:
        size = torch.linalg.vector_norm(self.weight_v, dim=(1, 2), keepdim=True)
        return functional.conv1d(values, self.weight_g * self.weight_v / size, self.bias, self.stride)


class Mirrored(nn.Module):
    """A convolution over values mirrored at both ends, ceil(T / stride) results."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.ModuleDict({"conv": Weighed(channels, width, kernel, stride)})
        self.kernel, self.stride = kernel, stride

    def forward(self, values: Tensor) -> Tensor:
        length, whole = values.shape[-1], self.kernel - self.stride
        results = math.ceil((length - self.kernel + whole) / self.stride + 1)
        right = whole // 2
        left, right = whole - right, right + (results - 1) * self.stride + self.stride - length
        short = max(0, max(left, right) - length + 1)  # too short to be mirrored: zeros first
        padded = functional.pad(functional.pad(values, (0, short)), (left, right), "reflect")
        out: Tensor = self.conv["conv"](padded[..., : padded.shape[-1] - short])
        return out


class Residual(nn.Module):
    """Two convolutions, the first to half the channels, beside a third."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.ELU(), Mirrored(width, width // 2, 3), nn.ELU(), Mirrored(width // 2, width, 1))
        self.shortcut = Mirrored(width, width, 1)

    def forward(self, values: Tensor) -> Tensor:
        out: Tensor = self.shortcut(values) + self.block(values)
        return out


class Memory(nn.Module):
    """An LSTM of two layers over time, added to what it reads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, 2)

    def forward(self, values: Tensor) -> Tensor:
        ahead = values.permute(2, 0, 1)  # (T, n, C)
        out: Tensor = (self.lstm(ahead)[0] + ahead).permute(1, 2, 0)
        return out


class SeaNet(nn.Module):
    """Samples (n, 1, T) -> (n, D, T / product of the ratios), under the names of the published file."""

    def __init__(self, filters: int, ratios: Sequence[int], kernel: int, last: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [Mirrored(1, filters, kernel)]
        for ratio in reversed(ratios):
            layers += [Residual(filters), nn.ELU(), Mirrored(filters, 2 * filters, 2 * ratio, ratio)]
            filters *= 2
        self.model = nn.Sequential(*layers, Memory(filters), nn.ELU(), Mirrored(filters, width, last))

    def forward(self, values: Tensor) -> Tensor:
        out: Tensor = self.model(values)
        return out
