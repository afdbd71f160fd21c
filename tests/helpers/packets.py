"""Recordings as packets that are late, doubled, out of order or lost, and the recordings as offline sees them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from insula.live.chunks import Appeared, Begin, Chunk, End, Event, Stream
from insula.types import Recording


def spoiled(
    recording: Recording, rng: np.random.Generator, loss: float, delay_s: float, doubled: float = 0.1
) -> tuple[list[Event], Recording]:
    """Cut a recording into packets of random length; return the events in order of arrival and what was not lost."""
    events: list[Event] = []
    trials = []
    for trial in recording.trials:
        events.append(Begin(trial.start_s, trial.role, trial.subject, trial.session, trial.trial, recording.traits))
        arriving: list[tuple[float, Chunk]] = []
        signals = {}
        for modality, signal in trial.signals.items():
            events.append(Appeared(Stream(modality, signal.channels, signal.rate_hz, signal.unit)))
            values, at = signal.values.copy(), 0
            while at < signal.n_samples:
                size = int(rng.integers(1, max(2, round(0.4 * signal.rate_hz))))
                part = slice(at, min(at + size, signal.n_samples))
                times_s = signal.start_s + np.arange(part.start, part.stop) / signal.rate_hz
                if rng.random() < loss:
                    values[:, part] = np.nan
                else:
                    due_s = times_s[-1] + 1 / signal.rate_hz
                    copies = 2 if rng.random() < doubled else 1
                    for _ in range(copies):
                        chunk = Chunk(modality, signal.values[:, part], times_s)
                        arriving.append((float(due_s + delay_s * rng.random()), chunk))
                at = part.stop
            signals[modality] = replace(signal, values=values)
        events += [chunk for _, chunk in sorted(arriving, key=lambda a: a[0])]
        events.append(End(trial.stop_s))
        trials.append(replace(trial, signals=signals))
    return events, replace(recording, trials=tuple(trials))
