"""Eyes of the simulated cohort: gaze that rests and jumps, blinks, and a pupil that light and arousal move.

The generative model: fixations last 0.15 s and a gamma-distributed time beyond, shorter for an aroused person; jumps
go to a random place, 30 to 60 ms; blinks come 12 times a minute, rarer with engagement. The pupil follows the formula
of Moon and Spencer for the screen's light and widens by up to 0.8 mm with arousal, a second behind.
"""

from __future__ import annotations

import numpy as np

from insula.signals.features.eye import lit_diameter
from insula.types import DoubleArray, Signal

RATE_HZ = 60.0
CHANNELS = ("gaze_x", "gaze_y", "pupil", "luminance")


def eyes(rng: np.random.Generator, drive: DoubleArray, drive_hz: float, start_s: float) -> dict[str, Signal]:
    """Make ``{"eye": signal}`` from arousal (n,) at ``drive_hz``; NaN while the lid is closed."""
    length = round(len(drive) / drive_hz * RATE_HZ)
    aroused = np.interp(np.arange(length) / RATE_HZ, np.arange(len(drive)) / drive_hz, drive)
    slow = np.exp(-1 / RATE_HZ)
    follows = np.zeros(length)
    for i in range(1, length):
        follows[i] = slow * follows[i - 1] + (1 - slow) * aroused[i]
    light = 60 * np.exp(0.5 * np.repeat(rng.standard_normal(length // 120 + 1), 120)[:length])  # a scene lasts 2 s
    pupil = lit_diameter(light) + 0.8 * np.clip(follows, -1, 1.5) + 0.02 * rng.standard_normal(length)
    values = np.stack([*_gaze(rng, aroused, length), pupil, light])
    at = 0.0
    while True:
        at += rng.exponential(60 / (12 * np.exp(-0.5 * float(aroused.mean()))))
        first = round(at * RATE_HZ)
        if first >= length:
            break
        values[:3, first : first + round(rng.uniform(0.1, 0.3) * RATE_HZ)] = np.nan
    return {"eye": Signal(values.astype(np.float32), RATE_HZ, CHANNELS, "a.u.", start_s)}


def _gaze(rng: np.random.Generator, aroused: DoubleArray, length: int) -> DoubleArray:
    """Places (2, length) in degrees."""
    out = np.zeros((2, length))
    place, at = rng.normal(0, 5, 2), 0
    while at < length:
        rest = round((0.15 + rng.gamma(2, 0.12) * np.exp(-0.5 * aroused[at])) * RATE_HZ)
        out[:, at : at + rest] = place[:, None]
        at += rest
        there, jump = rng.normal(0, 5, 2), int(rng.integers(2, 5))
        if at < length:
            share = np.linspace(0, 1, jump + 2)[1:-1]
            moved = place[:, None] + (there - place)[:, None] * share
            out[:, at : at + jump] = moved[:, : max(0, length - at)]
        place, at = there, at + jump
    return out + 0.03 * rng.standard_normal((2, length))
