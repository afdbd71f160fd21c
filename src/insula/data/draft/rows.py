"""Rows of a drafted manifest."""

from __future__ import annotations

from dataclasses import dataclass

COLUMNS = (
    "file", "modality", "subject", "session", "trial", "stimulus", "start", "stop", "start_time", "stop_time", "zone",
    "trials", "rate", "time", "unit", "channels", "format", "stream",
)  # fmt: skip
"""The manifest's own columns that a draft may fill, in order; every other one is a label."""
Row = dict[str, str]


@dataclass(frozen=True)
class Piece:
    """One modality of one file, as the manifest's columns will say it, and why."""

    modality: str
    why: str
    rate: str = ""
    unit: str = ""
    channels: str = ""
    time: str = ""
    format: str = ""
    stream: str = ""

    def cells(self) -> Row:
        """Return the manifest's cells."""
        return {
            "modality": self.modality, "rate": self.rate, "unit": self.unit, "channels": self.channels,
            "time": self.time, "format": self.format, "stream": self.stream,
        }  # fmt: skip


def free(name: str) -> str:
    """Return a label's name that is none of the manifest's own columns."""
    return f"{name}_label" if name in COLUMNS else name
