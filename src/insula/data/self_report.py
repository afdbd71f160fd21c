"""A trial's answers and the session's clock as a signal, for networks that are told how the person felt.

Whoever reads it is told the answer that a person gave *after* the trial, and when the trial was: no recognition of
anything from the body. It is made on request only (a reader's option), and no default recipe reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from insula.types import Label, Signal

RATE_HZ = 1.0
TIME = "time_min"
"""Name of the last channel: minutes since the session began."""


def self_report(labels: Mapping[str, Label], scales: Sequence[str], start_s: float, stop_s: float) -> dict[str, Signal]:
    """Make ``{"self_report": signal}`` of a trial from ``start_s`` to ``stop_s`` on the session's clock.

    One channel a scale, the same in every second, and last the time in minutes. Empty where an answer is missing.
    """
    answers = [labels.get(scale) for scale in scales]
    samples = int((stop_s - start_s) * RATE_HZ)
    if samples < 1 or not all(isinstance(a, int | float) and a == a for a in answers):
        return {}
    time_min = (start_s + np.arange(samples) / RATE_HZ) / 60
    values = np.stack([*(np.full(samples, float(a or 0)) for a in answers), time_min])  # (scales + 1, samples)
    return {"self_report": Signal(values.astype(np.float32), RATE_HZ, (*scales, TIME), "points", start_s)}
