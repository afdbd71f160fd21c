"""Mean power of filtered channels over steps of time: plain PyTorch reference, and the choice of the kernel."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from insula.models.kernels import use_compiled
from insula.models.kernels.stacking import over_models


def reference(signal: Tensor, weight: Tensor, step: int) -> Tensor:
    """Filter each channel by its own filters, square, and take the mean over every step.

    Parameters
    ----------
    signal : (B, C, T + taps - 1), the samples before the first one that is filtered included.
    weight : (C * F, 1, taps), the F filters of a channel one after another.
    step : samples a step; T is a multiple of it.

    Returns
    -------
    (B, C * F, T / step).
    """
    power = F.conv1d(signal, weight, groups=signal.shape[1]).square()
    mean: Tensor = power.unflatten(-1, (-1, step)).mean(-1)
    return mean


def band_power(signal: Tensor, weight: Tensor, step: int) -> Tensor:
    """Do what `reference` does, on the compiled kernel where it serves: no filtered signal is stored."""
    found = over_models(lambda rows, own: band_power(rows, own, step), (signal,), (weight,))
    if found is not None:
        return found
    if signal.numel() and use_compiled(signal, weight):
        from insula.models.kernels.band_power_numba import BandPower as Compiled

        return Compiled.apply(signal, weight, step)  # type: ignore[no-any-return,no-untyped-call]
    return reference(signal, weight, step)


class BandPower(nn.Conv1d):
    """`band_power` as a layer, (B, C, T + taps - 1) -> (B, C * filters, T / step)."""

    def __init__(self, channels: int, filters: int, taps: int, step: int) -> None:
        super().__init__(channels, channels * filters, taps, groups=channels, bias=False)
        self.step = step

    def forward(self, signal: Tensor) -> Tensor:
        return band_power(signal, self.weight, self.step)

    def operations(self, signal: Tensor) -> tuple[int, int, int]:
        """Return multiply-accumulates, additions and others: the filters and squares, their sums, the mean."""
        taps = self.kernel_size[0]
        values = signal.shape[0] * self.out_channels * (signal.shape[-1] - taps + 1)
        return values * (taps + 1), values, values // self.step
