"""Video files as one channel a grey pixel, read frame by frame so that no clip is ever held whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from insula.data.formats import guarded
from insula.data.formats.optional import optional_package
from insula.data.formats.tables import AGAIN
from insula.data.info import FileError
from insula.errors import InputError
from insula.types import FloatArray, Signal

LIBRARY = "PyAV"
SMALLEST, LARGEST = 4, 64
"""Sides of the pictures kept, in pixels."""
LARGEST_FRAME = 1 << 24
"""Pixels of a frame that is decoded at all."""
_LATE_S = 5e-4
"""A frame this much later than a time of the grid still belongs to it: time stamps are rounded."""


def grey_frames(path: Path, start_s: float, length_s: float, side: int, rate_hz: float) -> Signal:
    """Read the first ``length_s`` seconds of a clip as grey pictures.

    The largest square in the middle of each frame is averaged down to ``side`` x ``side``. Picture k shows what was on
    the screen at k / ``rate_hz`` (no later frame), black 0 and white 1. Channels are pixels, row after row, ``r00c00``
    first: (side * side, pictures). A clip that is shorter gives fewer pictures.

    Raises
    ------
    InputError : side or rate out of range. FileError : no video, frames that are too small or too large, damage.
    MissingDependencyError : PyAV is not installed.
    """
    check_pictures(side, rate_hz)
    optional_package("av", "data", f"reading video {path.name}")
    count = max(1, math.ceil(length_s * rate_hz - 1e-6))
    pictures = guarded.read(
        "insula.data.formats.video:pictures", path, count, side, rate_hz, result_bytes=4 * count * side * side
    )
    names = tuple(f"r{row:02d}c{column:02d}" for row in range(side) for column in range(side))
    return Signal(pictures, rate_hz, names, "a.u.", start_s)


def pictures(path: Path, count: int, side: int, rate_hz: float) -> FloatArray:
    """Decode a clip to (side * side, pictures) float32; runs in the guarded child."""
    av = optional_package("av", "data", f"reading video {path.name}")
    with path.open("rb") as file, av.open(file) as container:
        if not container.streams.video:
            raise FileError(path, f"holds no video stream; expected one. {AGAIN}")
        return np.stack(list(_pictures(path, container, count, side, rate_hz)), axis=1)  # (pixels, n)


def check_pictures(side: int, rate_hz: float) -> None:
    """Raise InputError for a side or a rate that pictures cannot have."""
    if not SMALLEST <= side <= LARGEST:
        raise InputError(f"video_side {side} pixels; expected {SMALLEST} to {LARGEST}.")
    if not 0 < rate_hz <= 60:
        raise InputError(f"video_hz {rate_hz:g}; expected above 0 and at most 60.")


def _pictures(path: Path, container: Any, count: int, side: int, rate_hz: float) -> Iterator[FloatArray]:
    """Yield what each of ``count`` times of the grid shows; only frames that are shown are converted."""
    begin_s, shown, made = 0.0, None, 0
    stream = container.streams.video[0]
    for frame in container.decode(stream):
        if frame.time is None:
            raise FileError(path, f"has a frame without a time; expected one a frame. {AGAIN}")
        if shown is None:
            begin_s = frame.time
        due = min(count, math.ceil((frame.time - begin_s - _LATE_S) * rate_hz))  # times before this frame
        if shown is not None and due > made:
            picture = _reduced(path, shown, side)
            yield from (picture for _ in range(due - made))
            made = due
        if made >= count:
            return
        shown = frame
    if shown is None:
        raise FileError(path, f"holds no frame; expected at least one. {AGAIN}")
    last_s = float(shown.duration * shown.time_base) if shown.duration else 1 / float(stream.average_rate or rate_hz)
    end_s = shown.time - begin_s + last_s
    due = min(count, max(made + 1, math.ceil((end_s - _LATE_S) * rate_hz)))
    picture = _reduced(path, shown, side)
    yield from (picture for _ in range(due - made))


def _reduced(path: Path, frame: Any, side: int) -> FloatArray:
    """Cut the middle square out of a frame and average it down: (side * side,) from 0 to 1."""
    if min(frame.width, frame.height) < side or frame.width * frame.height > LARGEST_FRAME:
        raise FileError(
            path,
            f"frames of {frame.width} x {frame.height} pixels; expected at least {side} x {side} and at most "
            f"{LARGEST_FRAME:,} pixels. {AGAIN}",
        )
    grey = frame.to_ndarray(format="gray")  # (H, W) uint8
    size = min(grey.shape)
    top, left = (grey.shape[0] - size) // 2, (grey.shape[1] - size) // 2
    square = grey[top : top + size, left : left + size].astype(np.float32)
    edges = np.arange(side) * size // side
    sums = np.add.reduceat(np.add.reduceat(square, edges, axis=0), edges, axis=1)  # (side, side)
    counts = np.diff(np.append(edges, size)).astype(np.float32)
    mean: FloatArray = sums / (255 * counts[:, None] * counts)
    return mean.reshape(-1)
