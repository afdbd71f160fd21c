"""Markers inside recordings: annotations of EDF, BDF, FIF, SET and BrainVision, markers of XDF, presses of an E4.

A marker has a time in seconds of its file, a length (0: a moment) and a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from insula.data.formats import guarded
from insula.data.formats.mne_files import MNE_SUFFIXES, open_mne
from insula.data.formats.request import Request
from insula.data.formats.tables import parse_numbers, read_bytes
from insula.data.info import FileError, Problem

TAGS = "tags.csv"
"""The E4's file of button presses: unix seconds, one a line."""
WITH_MARKERS = (*MNE_SUFFIXES, ".xdf", ".xdfz")
BORING = (
    "bad",
    "edge",
    "recording start",
    "recording stop",
    "recording end",
    "start recording",
    "start of rec",
    "new segment",
    "sync on",
    "sync off",
)
"""Beginnings of texts (lower case) that mark nothing a person did."""


@dataclass(frozen=True)
class Marker:
    """One marker: seconds of the file, length in seconds (0: a moment), text."""

    start_s: float
    length_s: float
    text: str


def read_markers(request: Request, begin_s: float | None, problems: list[Problem] | None) -> list[Marker]:
    """Return the markers of a file in time order; ``begin_s`` is the unix time of an E4 file's first sample.

    Raises FileError where a file of this kind has none.
    """
    path = request.path
    suffix = path.suffix.lower()
    if suffix in (".xdf", ".xdfz"):
        found = [Marker(*one) for one in guarded.read("insula.data.formats.xdf:load_markers", path)]
    elif suffix in MNE_SUFFIXES:
        found = [Marker(*one) for one in open_mne(path, problems).markers]
    elif begin_s is not None and (path.parent / TAGS).exists():
        found = _tags(path.parent / TAGS, begin_s)
    else:
        raise FileError(
            path,
            f"trials from annotations; expected a file that holds them ({' '.join(WITH_MARKERS)}) or an E4 file with "
            f"{TAGS} beside it. List the trials with start and stop.",
        )
    kept = [m for m in found if m.start_s >= 0 and not m.text.strip().lower().startswith(BORING)]
    if not kept:
        raise FileError(path, "no annotation or marker; expected at least one. List the trials with start and stop.")
    return sorted(kept, key=lambda m: m.start_s)


def _tags(path: Path, begin_s: float) -> list[Marker]:
    pressed = np.sort(parse_numbers(path, read_bytes(path), columns=1)[:, 0])
    return [Marker(float(at - begin_s), 0.0, f"tag{i + 1}") for i, at in enumerate(pressed[np.isfinite(pressed)])]


def moments(markers: Sequence[Marker]) -> list[Marker]:
    """Return the markers without a length beside ones that have one: remarks, which make no trials (`stretches`)."""
    return [m for m in markers if m.length_s <= 0] if any(m.length_s > 0 for m in markers) else []


def stretches(markers: Sequence[Marker], end_s: float) -> list[Marker]:
    """Make trials of markers: those with a length as they are; without any, each lasts until the next one begins.

    The last one lasts until the file's end. What is left of a stretch behind the end is cut, an empty one dropped.
    """
    if any(m.length_s > 0 for m in markers):
        made = [m for m in markers if m.length_s > 0]
    else:
        ends = [*(m.start_s for m in markers[1:]), end_s]
        made = [Marker(m.start_s, stop - m.start_s, m.text) for m, stop in zip(markers, ends, strict=True)]
    cut = [Marker(m.start_s, min(m.length_s, end_s - m.start_s), m.text) for m in made]
    return [m for m in cut if m.length_s > 0]
