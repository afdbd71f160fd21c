"""A recording that acts as a device: its samples in packets, at the recording's pace or faster."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from insula.live.chunks import Appeared, Begin, Chunk, End, Event, Stream
from insula.types import Recording, Signal, Trial

PACKET_S = 0.05


class Replay:
    """Play one recording, trial by trial, the pauses between trials included.

    Parameters
    ----------
    recording : what to play.
    speed : 1 is real time; ``math.inf`` gives every packet at once.
    packet_s : length of a packet.
    loop : begin again at the end.
    """

    def __init__(
        self, recording: Recording, speed: float = 1.0, packet_s: float = PACKET_S, loop: bool = False
    ) -> None:
        self.recording, self.speed, self.packet_s, self.loop = recording, speed, packet_s, loop
        self._items = self._all()
        self._next: tuple[float, Event] | None = next(self._items, None)
        self._began: float | None = None
        self._first_s = recording.trials[0].start_s if recording.trials else 0.0

    @property
    def name(self) -> str:
        pace = "" if self.speed == 1 else f" at {self.speed:g} times its pace"
        return f"replay of {self.recording.subject}/{self.recording.session}{pace}"

    def now_s(self) -> float | None:
        """Where the recording is."""
        if self._began is None or math.isinf(self.speed):
            return None
        return self._first_s + (time.monotonic() - self._began) * self.speed

    def read(self, timeout_s: float) -> Sequence[Event] | None:
        """Give the packets that are due."""
        if self._began is None:
            self._began = time.monotonic()
        if self._next is None:
            return None
        if math.isinf(self.speed):
            event = self._next[1]
            self._next = next(self._items, None)
            return [event]
        wait_s = (self._next[0] - (self.now_s() or 0.0)) / self.speed
        if wait_s > 0:
            time.sleep(min(wait_s, timeout_s))
        now_s = self.now_s() or 0.0
        out: list[Event] = []
        while self._next is not None and self._next[0] <= now_s and len(out) < 2000:
            out.append(self._next[1])
            self._next = next(self._items, None)
        return out

    @property
    def keys(self) -> tuple[str, ...]:
        return ()

    def press(self, key: str) -> str | None:  # noqa: ARG002 (a recording has no keys)
        return None

    def close(self) -> None:
        """Nothing to close."""

    def _all(self) -> Iterator[tuple[float, Event]]:
        """Every event with the time at which it is due."""
        shift_s, turn = 0.0, 0
        while True:
            for trial in self.recording.trials:
                yield from events_of(trial, self.recording, self.packet_s, shift_s, turn)
            if not self.loop or not self.recording.trials:
                return
            shift_s += self.recording.trials[-1].stop_s - self.recording.trials[0].start_s + 1.0
            turn += 1


def events_of(
    trial: Trial, recording: Recording, packet_s: float, shift_s: float = 0.0, turn: int = 0
) -> Iterator[tuple[float, Event]]:
    """Begin, packets of all sensors in time order, end; each with the time at which it is due."""
    start_s, stop_s = trial.start_s + shift_s, trial.stop_s + shift_s
    name = trial.trial if turn == 0 else f"{trial.trial}-{turn + 1}"
    yield (
        start_s,
        Begin(start_s, trial.role, trial.subject, trial.session, name, recording.traits, trial.labels),
    )
    for modality, signal in trial.signals.items():
        yield start_s, Appeared(Stream(modality, signal.channels, signal.rate_hz, signal.unit))
    packets: list[tuple[float, Any]] = []
    for modality, signal in trial.signals.items():
        packets += [(due_s, chunk) for due_s, chunk in _packets(modality, signal, packet_s, shift_s, stop_s)]
    packets.sort(key=lambda p: p[0])
    yield from packets
    yield stop_s, End(stop_s)


def _packets(
    modality: str, signal: Signal, packet_s: float, shift_s: float, stop_s: float
) -> Iterator[tuple[float, Chunk]]:
    """Cut a signal into packets; a packet is due when its last sample has been measured."""
    if signal.timestamps_s is None:
        times_s = signal.start_s + shift_s + np.arange(signal.n_samples) / signal.rate_hz
        size = max(1, round(packet_s * signal.rate_hz))
    else:
        times_s, size = signal.timestamps_s + shift_s, 1
    for first in range(0, signal.n_samples, size):
        part = times_s[first : first + size]
        yield min(float(part[-1]), stop_s), Chunk(modality, signal.values[:, first : first + size], part)
