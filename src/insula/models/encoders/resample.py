"""From one rate to another inside torch: the polyphase filter of `scipy.signal.resample_poly`, a stride a phase."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import torch
from scipy.signal import firwin
from torch import Tensor, nn
from torch.nn import functional

from insula.errors import InputError

MOST_PHASES = 1000
"""Rates whose ratio needs larger whole numbers are refused."""


class Resampler(nn.Module):
    """Bring samples (B, C, T) to another rate; equal to ``scipy.signal.resample_poly`` and differentiable.

    It reads the window alone: what lies before and after counts as zero.
    """

    kernel: Tensor

    def __init__(self, rate_hz: float, to_hz: float) -> None:
        super().__init__()
        ratio = Fraction(to_hz).limit_denominator(10**6) / Fraction(rate_hz).limit_denominator(10**6)
        if max(ratio.numerator, ratio.denominator) > MOST_PHASES:
            raise InputError(
                f"{rate_hz:g} Hz to {to_hz:g} Hz; expected rates of a simple ratio. Set a whole rate in the recipe."
            )
        self.up, self.down = ratio.numerator, ratio.denominator
        self.register_buffer("kernel", torch.ones(1, 1, 1, device="cpu"), persistent=False)
        if self.up == self.down:
            return
        half = 10 * max(self.up, self.down)
        taps = firwin(2 * half + 1, 1 / max(self.up, self.down), window=("kaiser", 5.0)) * self.up
        self.before = half // self.up
        self.after = ((self.up - 1) * self.down + half) // self.up
        at = half + self.down * np.arange(self.up)[:, None] - self.up * np.arange(-self.before, self.after + 1)[None]
        inside = (at >= 0) & (at <= 2 * half)
        kernel = np.where(inside, taps[np.clip(at, 0, 2 * half)], 0.0).astype(np.float32)  # (up, taps a phase)
        self.kernel = torch.tensor(kernel, device="cpu").unsqueeze(1)

    def forward(self, values: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, ceil(T up / down))."""
        if self.up == self.down:
            return values
        rows, channels, length = values.shape
        wanted = math.ceil(length * self.up / self.down)
        steps = math.ceil(wanted / self.up)
        right = max(0, (steps - 1) * self.down + self.kernel.shape[-1] - self.before - length)
        padded = functional.pad(values.reshape(rows * channels, 1, length), (self.before, right))
        phases = functional.conv1d(padded, self.kernel, stride=self.down)[..., :steps]  # (B C, up, steps)
        return phases.transpose(1, 2).reshape(rows, channels, -1)[..., :wanted]
