"""Even times for samples whose stamps jitter: a device's own pace, followed slowly, left at once where it broke off."""

from __future__ import annotations

import numpy as np

from insula.types import DoubleArray

FOLLOW = 0.05
"""Share of a chunk's mean residual by which the pace is corrected."""
BREAK_S = 0.25
"""A stamp this far off the pace is a gap, however much the stamps jitter."""
FIRST_JITTER_S = 0.02


class Pace:
    """Turn stamps (n,) of a regular stream into even times.

    Stamps of a radio link jitter by many sample periods though no sample is missing; taken at their word they would
    look like losses and repeats. Samples follow each other by one period as long as stamps stay within eight mean
    residuals (half a second's worth of quiet stamps tells a device whose stamps are exact), and jump where they do not.
    """

    def __init__(self, rate_hz: float) -> None:
        self.period_s = 1 / rate_hz
        self.jitter_s = FIRST_JITTER_S
        self.next_s: float | None = None

    def times(self, stamps_s: DoubleArray) -> DoubleArray:
        """Give the times of the next samples."""
        out = np.empty(len(stamps_s))
        at = 0
        while at < len(stamps_s):
            if self.next_s is None:
                self.next_s = float(stamps_s[at])
            even = self.next_s + np.arange(len(stamps_s) - at) * self.period_s
            rest = stamps_s[at:] - even
            limit_s = min(BREAK_S, max(0.6 * self.period_s, 8 * self.jitter_s))
            broken = np.flatnonzero(np.abs(rest) > limit_s)
            count = len(rest) if not broken.size else int(broken[0])
            out[at : at + count] = even[:count]
            at += count
            if count:
                mean_s = float(rest[:count].mean())
                weight = min(1.0, count * self.period_s)
                self.jitter_s += weight * (float(np.abs(rest[:count]).mean()) - self.jitter_s)
                self.next_s += count * self.period_s + FOLLOW * mean_s
            if broken.size:
                self.next_s = float(stamps_s[at])
        return out
