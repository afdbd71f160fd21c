"""What both forms of the liquid network share: sizes, branches, the grid of steps, and where a state begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from insula.errors import InputError
from insula.types import InputSpec

FAST = ("eeg", "emg", "audio")
"""Modalities of the fast branch, read through their spectrum; all others go to the peripheral branch."""
FAST_RATE_HZ = 32.0
"""A slower one (an amplitude a second, say) does not oscillate and goes to the peripheral branch."""


@dataclass(frozen=True)
class FusionSize:
    """Widths and rates of one size."""

    spatial: int
    filters: int
    width: int
    units: int
    token: int
    latent: int
    fast_hz: float
    heads: int = 2
    sub_steps: int = 2


SIZES = {
    "small": FusionSize(spatial=12, filters=3, width=24, units=24, token=32, latent=24, fast_hz=8.0),
    "medium": FusionSize(spatial=24, filters=4, width=48, units=64, token=64, latent=48, fast_hz=16.0, heads=4),
}
SETTLE_S = 1e5
"""Elapsed seconds given to a layer's first observed step, so that it starts at its fixed point."""
FAST_TAU_S = (0.02, 2.0)
SLOW_TAU_S = 1.0
"""Fastest neurons of the peripheral branch; the slowest, as those of the context, remember two median trials."""


def slowest_s(spec: InputSpec) -> float:
    """Slowest time constant at the start: two median training trials, twenty hops where their length is not known."""
    return max(2 * spec.trial_s if spec.trial_s else 20 * spec.hop_s, 4 * spec.hop_s)


def settled(elapsed: Tensor, seen: Tensor, name: str, old: dict[str, Any], new: dict[str, Any]) -> Tensor:
    """Give the first observed step of a stretch so much time that the layer begins at its fixed point.

    (?) Our choice: from zeros, slow neurons would tell how long the trial has lasted, which is a clock. elapsed
    (B, T, 1), seen (B, T); whether anything was observed before travels in the state.
    """
    before = old.get(f"{name}_began")
    if before is None:
        before = torch.zeros_like(seen[:, :1])
    began = torch.cat([before, seen], 1).cumsum(1) > 0  # (B, T + 1)
    new[f"{name}_began"] = began[:, -1:]
    first = (began[:, 1:] & ~began[:, :-1]).unsqueeze(-1)
    return torch.where(first, torch.full_like(elapsed, SETTLE_S), elapsed)


def grid_of(spec: InputSpec) -> tuple[float, int]:
    """Choose the peripheral grid in Hz and the grid steps a token: about 16 tokens a window, whole ones a hop."""
    grid_hz = 4.0 if spec.hop_s < 5 else 1.0
    steps = spec.hop_s * grid_hz
    if abs(steps - round(steps)) > 1e-9:
        raise InputError(f"hop_s {spec.hop_s:g}; expected a multiple of {1 / grid_hz:g} s for the liquid network.")
    wanted = max(1.0, spec.window_s * grid_hz / 16)
    divisors = [d for d in range(1, round(steps) + 1) if round(steps) % d == 0]
    return grid_hz, max(d for d in divisors if d <= wanted)
