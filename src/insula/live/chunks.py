"""What a source says: streams, chunks of samples with their times, marks, and what happened to a sensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from insula.errors import InputError
from insula.types import DoubleArray, FloatArray, Label, Role


@dataclass(frozen=True)
class Stream:
    """One sensor: its modality, channels in order, nominal rate (0: irregular), and unit."""

    modality: str
    channels: tuple[str, ...]
    rate_hz: float
    unit: str


@dataclass(frozen=True)
class Chunk:
    """New samples of one modality.

    Parameters
    ----------
    modality : whose samples.
    values : (C, n) float32, NaN where the device has none.
    times_s : (n,) seconds on the session's clock at which each sample was measured, rising.
    """

    modality: str
    values: FloatArray
    times_s: DoubleArray

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.times_s.shape != (self.values.shape[1],):
            raise InputError(
                f"chunk of {self.modality} with values {self.values.shape} and times {self.times_s.shape}; "
                "expected (channels, n) and (n,). Give every sample its time."
            )


@dataclass(frozen=True)
class Begin:
    """A stretch begins: state starts anew, as it does offline at each trial; ``baseline`` serves normalisation."""

    start_s: float
    role: Role = "trial"
    subject: str = "live"
    session: str = "s1"
    trial: str = "t1"
    traits: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, Label] = field(default_factory=dict)


@dataclass(frozen=True)
class End:
    """The stretch ends at this time; nothing more is measured until the next one begins."""

    stop_s: float


@dataclass(frozen=True)
class Appeared:
    """A sensor is there (again)."""

    stream: Stream


@dataclass(frozen=True)
class Vanished:
    """A sensor is gone; the source goes on looking for it."""

    modality: str
    why: str


Event = Chunk | Begin | End | Appeared | Vanished


class Source(Protocol):
    """A device, or a recording that acts as one.

    `read` returns what came since the last call, within ``timeout_s``; an empty list when nothing did, None when the
    source has come to its end. `now_s` is the present on the session's clock, None before anything was measured.
    """

    @property
    def name(self) -> str: ...

    @property
    def keys(self) -> tuple[str, ...]:
        """What `press` reacts to."""

    def read(self, timeout_s: float) -> Sequence[Event] | None: ...

    def now_s(self) -> float | None: ...

    def press(self, key: str) -> str | None:
        """React to a key (the simulator changes its emotion); say what it did."""

    def close(self) -> None: ...
