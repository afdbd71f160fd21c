"""What to read from one file, and the units that modalities have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

UNITS = {
    "eeg": "uV", "eog": "uV", "ecg": "uV", "emg": "uV", "eda": "uS", "temp": "degC", "face_temp": "degC",
    "hr": "1/min", "ibi": "s", "acc": "g", "spo2": "%",
}  # fmt: skip
"""Unit a modality has when nothing else is said; ``a.u.`` for the others."""

MICROVOLTS = {
    "v": 1e6, "volts": 1e6, "mv": 1e3, "millivolts": 1e3, "uv": 1.0, "µv": 1.0, "μv": 1.0, "microvolts": 1.0,
}  # fmt: skip
"""Unit in lower case -> microvolts."""
VOLTAGES = ("eeg", "eog", "ecg", "emg")


@dataclass(frozen=True)
class Request:
    """What to read from one file: modality, channels (empty: all that fit), and for a CSV its rate or time column.

    ``format`` is one of `FORMATS` (None: by the suffix), ``stream`` the name of a stream in a file of several.
    """

    path: Path
    modality: str
    channels: tuple[str, ...] = ()
    rate_hz: float | None = None
    e4: bool = False
    time: str | None = None
    unit: str | None = None
    format: str | None = None
    stream: str | None = None
