"""TCN: causal dilated convolution over every modality on one common clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from insula.errors import InputError, unknown_name
from insula.models.card import ModelCard
from insula.types import Batch, InputSpec, ModelOutput

SIZES: Mapping[str, int] = {"small": 32, "medium": 64}
"""Width of every branch and of the trunk."""

GRIDS_HZ = (4.0, 8.0, 16.0, 32.0)
KERNEL = 3
MAX_STRIDE = 8


class CausalConv(nn.Module):
    """Convolution that sees only the present and the past: zeros stand before the window."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.before = (kernel - 1) * dilation - (stride - 1)
        self.convolve = nn.Conv1d(inputs, outputs, kernel, stride=stride, dilation=dilation)

    def forward(self, values: Tensor) -> Tensor:
        """Map (B, inputs, T) to (B, outputs, T // stride); output k reads samples before (k + 1) * stride."""
        result: Tensor = self.convolve(functional.pad(values, (self.before, 0)))
        return result


class StepNorm(nn.Module):
    """Layer normalisation over channels at each step alone, so that no step sees another."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, values: Tensor) -> Tensor:
        """Normalise (B, width, T) over its width."""
        result: Tensor = self.norm(values.transpose(1, 2)).transpose(1, 2)
        return result


class Branch(nn.Module):
    """Bring one modality to the common grid: strided causal convolutions, then the newest step known at each grid step.

    Grid step k ends at (k + 1) / grid_hz; slower signals are held. The mask of observed samples is one more channel.
    """

    newest: Tensor

    def __init__(self, channels: int, rate_hz: float, grid_hz: float, steps: int, width: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        inputs = channels + 1
        total = max(1, int(rate_hz / grid_hz + 1e-6))
        remaining = total
        while True:
            stride = _stride(remaining)
            self.stages.append(CausalConv(inputs, width, max(KERNEL, 2 * stride), stride=stride))
            remaining //= stride
            inputs = width
            if remaining == 1:
                break
        # step j of the stages ends with sample (j + 1) * total - 1
        newest = [math.ceil(((k + 1) * rate_hz / grid_hz + 1) / total - 1e-6) - 2 for k in range(steps)]
        self.register_buffer("newest", torch.tensor(newest).clamp(min=0), persistent=False)
        self.last = max(0, newest[-1])

    def forward(self, signals: Tensor, observed: Tensor) -> Tensor:
        """Map signals (B, C, T) and observed (B, T) to (B, width, steps)."""
        mask = observed.unsqueeze(1)  # (B, 1, T)
        values = torch.cat([torch.where(mask, signals, torch.zeros_like(signals)), mask.to(signals.dtype)], dim=1)
        for stage in self.stages:
            values = functional.gelu(stage(values))
        if values.shape[-1] <= self.last:
            raise InputError(
                f"window of {signals.shape[-1]} samples; expected the window_s that the tcn was built for. "
                "Cut windows as the model was built for."
            )
        return values[..., self.newest]


def _stride(remaining: int) -> int:
    """Largest divisor of ``remaining`` up to 8; a prime beyond 8 is taken in one stride."""
    divisors = [d for d in range(2, MAX_STRIDE + 1) if remaining % d == 0]
    return max(divisors, default=remaining)


class DilatedBlock(nn.Module):
    """Residual block of two causal convolutions of one dilation (Bai et al. 2018)."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            CausalConv(width, width, KERNEL, dilation=dilation),
            StepNorm(width),
            nn.GELU(),
            nn.Dropout(dropout),
            CausalConv(width, width, KERNEL, dilation=dilation),
            StepNorm(width),
            nn.GELU(),
            nn.Dropout(dropout),
        )

    def forward(self, values: Tensor) -> Tensor:
        """Map (B, width, T) to (B, width, T)."""
        result: Tensor = values + self.layers(values)
        return result


class Columns(nn.Module):
    """Embed number columns that may be NaN: zeros in their place, and a validity flag beside each."""

    def __init__(self, columns: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Linear(2 * columns, width)

    def forward(self, columns: Tensor, present: Tensor | None = None) -> Tensor:
        """Map (B, columns) and optional present (B,) to (B, width)."""
        valid = torch.isfinite(columns)
        if present is not None:
            valid = valid & present[:, None]
        values = torch.where(valid, columns, torch.zeros_like(columns))
        return functional.gelu(self.embed(torch.cat([values, valid.to(values.dtype)], dim=1)))


class TemporalConvolution(nn.Module):
    """Temporal convolutional network over any set of modalities, trained with stochastic weight averaging.

    Published: temporal convolution with stochastic weight averaging (SWA-TCN, BSPC 2023), of which no widths are
    public; residual blocks of two dilated causal convolutions, dilation doubling (Bai et al. 2018).

    Ours: every modality is brought to a grid of 4 Hz (faster for short windows, so that a window has 64 steps or
    more) by strided causal convolutions, slower ones are held; enough blocks for the last step to see the whole
    window; layer normalisation over channels instead of weight normalisation; the last step and the mean of all
    steps are read out beside features and traits. An absent modality, an unobserved sample and a NaN column are
    zero with a flag. Elapsed times are not used: unobserved samples are masked instead.

    ``swa`` tells the trainer to average the weights of the epochs from ``swa_start`` (a fraction of all epochs) on
    and keep the average (Izmailov et al. 2018, arXiv 1803.05407); the network has no batch statistics to recompute.

    Parameters
    ----------
    spec : sizes; any modalities, at least one signal.
    size : ``small`` (width 32) or ``medium`` (64).
    dropout : in every block.
    grid_hz : rate of the common grid; None chooses it by the window.
    """

    card = ModelCard(
        title="Temporal convolution",
        summary="Dilated causal convolutions over all modalities on one grid, weights averaged over the last epochs",
        source="after SWA-TCN, BSPC 2023; its code is not public",
        window_cost_s=1.0e-3,
    )

    def __init__(
        self,
        spec: InputSpec,
        size: str = "small",
        *,
        dropout: float = 0.2,
        swa: bool = True,
        swa_start: float = 0.75,
        grid_hz: float | None = None,
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("tcn size", size, SIZES)
        if not spec.signals:
            raise InputError("tcn without signals; expected at least one modality. Choose data with a known modality.")
        if not 0 <= swa_start < 1:
            raise InputError(f"swa_start {swa_start}; expected a fraction from 0 up to below 1.")
        if grid_hz is not None and not grid_hz > 0:
            raise InputError(f"grid_hz {grid_hz}; expected above 0.")
        width = SIZES[size]
        self.swa = swa
        self.swa_start = swa_start
        enough = [rate for rate in GRIDS_HZ if rate * spec.window_s >= 64]
        self.grid_hz = grid_hz if grid_hz is not None else min(enough, default=GRIDS_HZ[-1])
        self.steps = max(1, int(spec.window_s * self.grid_hz + 1e-6))
        self.branches = nn.ModuleDict(
            {
                name: Branch(channels, rate, self.grid_hz, self.steps, width)
                for name, (channels, rate) in spec.signals.items()
            }
        )
        self.mix = nn.Conv1d(width * len(self.branches), width, 1)
        dilations = [1]
        while 1 + 2 * (KERNEL - 1) * (2 ** len(dilations) - 1) < self.steps:
            dilations.append(2 * dilations[-1])
        self.trunk = nn.Sequential(*(DilatedBlock(width, dilation, dropout) for dilation in dilations))
        self.columns = nn.ModuleDict({name: Columns(n, width) for name, n in spec.features.items() if n > 0})
        self.traits = Columns(spec.traits, width) if spec.traits > 0 else None
        parts = 2 + len(self.columns) + (self.traits is not None)
        self.join = nn.Sequential(nn.Linear(parts * width, width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(dropout))
        self.classify = nn.Linear(width, spec.outputs)

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Classify each window by itself; ``state`` is ignored and returned."""
        order = list(batch.signals)
        present = {name: batch.present[:, order.index(name)] for name in order}  # each (B,)
        mapped = []
        for name, branch in self.branches.items():
            if name not in present:
                raise InputError(
                    f"batch without {name}; expected the modalities {', '.join(self.branches)}. "
                    "Give zeros and present False for a modality that is absent."
                )
            here = present[name]
            encoded = branch(batch.signals[name], batch.observed[name] & here[:, None])
            mapped.append(torch.where(here[:, None, None], encoded, torch.zeros_like(encoded)))
        steps = self.trunk(self.mix(torch.cat(mapped, dim=1)))  # (B, width, steps)
        parts = [steps[..., -1], steps.mean(dim=-1)]
        parts += [columns(batch.features[name], present.get(name)) for name, columns in self.columns.items()]
        if self.traits is not None:
            parts.append(self.traits(batch.traits))
        embedding = self.join(torch.cat(parts, dim=1))  # (B, width)
        return ModelOutput(logits=self.classify(embedding), embedding=embedding, state=state)
