"""A simulated person as a device: keys change the emotion, the body follows."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from insula.data.readers.simulate import EMOTIONS, Settings, simulate
from insula.live.chunks import Appeared, Begin, Chunk, Event, Stream
from insula.types import Recording, Trial

PACKET_S = 0.05
BRIDGE_S = 2.0
"""How fast a signal forgets the level it had before the emotion changed."""


class Simulated:
    """Play stretches of a simulated recording in the emotion that was asked for, without a break.

    It rests first (the recording's baseline, for the person's normaliser). Where one stretch follows another the
    levels are bridged, so that no jump tells of the change.

    Parameters
    ----------
    person : p01, p02, ... of the cohort of six that ``insula train --data simulate`` sees.
    speed : 1 is real time.
    emotion : in which it begins after the rest.
    """

    def __init__(self, person: str = "p01", speed: float = 1.0, emotion: str = "neutral", seed: int = 0) -> None:
        self.recording: Recording = simulate(Settings(seed=seed), (person,)).recordings[0]
        self.person, self.speed, self.emotion = person, speed, emotion
        self._rng = np.random.default_rng(seed)
        self._began: float | None = None
        self._time_s = 0.0
        self._clip: Trial = self.recording.trials[0]
        self._clip_at_s = 0.0
        self._shift: dict[str, np.ndarray] = {}
        self._last: dict[str, np.ndarray] = {}
        self._wanted = emotion
        self._sent: dict[str, int] = {}

    @property
    def name(self) -> str:
        return f"simulated person {self.person}"

    @property
    def doing(self) -> str:
        """What the simulated person feels at present."""
        return "resting" if self._clip.role == "baseline" else self.emotion

    def now_s(self) -> float | None:
        """The present."""
        return None if self._began is None else (time.monotonic() - self._began) * self.speed

    @property
    def keys(self) -> tuple[str, ...]:
        return EMOTIONS

    def press(self, key: str) -> str | None:
        """Change the emotion: its name, its first letter's order 1 to 7, or nothing."""
        named = EMOTIONS[int(key) - 1] if key.isdigit() and 1 <= int(key) <= len(EMOTIONS) else key
        if named not in EMOTIONS:
            return None
        self._wanted = named
        return f"the simulated person turns to {named}"

    def close(self) -> None:
        """Nothing to close."""

    def read(self, timeout_s: float) -> Sequence[Event] | None:
        """Give the packets that are due."""
        out: list[Event] = []
        if self._began is None:
            self._began = time.monotonic()
            out = self._begin("baseline")
        wait_s = (self._time_s + PACKET_S - (self.now_s() or 0.0)) / self.speed
        if wait_s > 0:
            time.sleep(min(wait_s, timeout_s))
        while self._time_s + PACKET_S <= (self.now_s() or 0.0) and len(out) < 500:
            out += self._packet()
        return out

    def _begin(self, role: str) -> list[Event]:
        clip = self.recording.trials[0]
        begin = Begin(
            self._time_s, "baseline" if role == "baseline" else "trial", self.person, "live", role,
            self.recording.traits,
        )  # fmt: skip
        streams = [Appeared(Stream(m, s.channels, s.rate_hz, s.unit)) for m, s in clip.signals.items()]
        self._sent = {}
        return [begin, *streams]

    def _packet(self) -> list[Event]:
        """The next packet of every sensor; at a clip's end or a new emotion another clip follows."""
        out: list[Event] = []
        ended = self._clip_at_s + PACKET_S > self._clip.stop_s - self._clip.start_s + 1e-9
        whole = abs(self._time_s - round(self._time_s)) < 1e-6  # every sensor's clock ticks then
        if ended or (whole and self._clip.role != "baseline" and self._wanted != self.emotion):
            if self._clip.role == "baseline":
                out += self._begin("trial")
            self.emotion = self._wanted
            clips = [t for t in self.recording.trials if t.labels.get("emotion") == self.emotion]
            self._clip, self._clip_at_s = clips[int(self._rng.integers(len(clips)))], 0.0
            self._sent = {}
            first = {m: s.values[:, 0] for m, s in self._clip.signals.items()}
            self._shift = {m: self._last[m] - first[m] for m in first if m in self._last}
        for modality, signal in self._clip.signals.items():
            begin = self._sent.get(modality, 0)
            stop = math.ceil(
                (self._clip_at_s + PACKET_S) * signal.rate_hz - 1e-6
            )  # a sample is sent when it is measured
            if stop <= begin:
                continue
            self._sent[modality] = stop
            values = signal.values[:, begin:stop]
            since_s = np.arange(begin, stop) / signal.rate_hz
            if modality in self._shift:
                values = values + self._shift[modality][:, None] * np.exp(-since_s / BRIDGE_S)
            times_s = self._time_s - self._clip_at_s + since_s
            if values.shape[1]:
                self._last[modality] = values[:, -1]
                out.append(Chunk(modality, values.astype(np.float32), times_s))
        self._clip_at_s = round(self._clip_at_s + PACKET_S, 9)
        self._time_s = round(self._time_s + PACKET_S, 9)
        return out
