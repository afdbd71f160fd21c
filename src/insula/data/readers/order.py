"""Trials of one session in time order, sharing no sample."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from insula.data.info import FileError
from insula.types import Trial


def in_order(file: Path, trials: Iterable[Trial], tolerance_s: float) -> tuple[Trial, ...]:
    """Sort trials by their start; two that overlap by more than ``tolerance_s`` are a FileError of ``file``."""
    ordered = tuple(sorted(trials, key=lambda trial: trial.start_s))
    for before, after in pairwise(ordered):
        overlap_s = before.stop_s - after.start_s
        if overlap_s > tolerance_s:
            raise FileError(
                file,
                f"trials {before.trial!r} and {after.trial!r} of {before.subject} overlap by {overlap_s:.3f} s; "
                "expected stretches that share no sample. Correct their times.",
                columns=("start", "stop", "onset"),
            )
    return ordered
