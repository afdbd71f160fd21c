"""Pseudo-trials with random labels out of one unlabelled recording: a probe for leaks on your own device.

There is nothing to recognise, so a clean protocol must score at chance; what a leaky one scores above that is the
trials' fingerprint. Any file that MNE reads (.set .edf .bdf .fif .vhdr); licence: that of the recording.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from insula.data.formats.request import Request
from insula.data.formats.sources import OpenFiles
from insula.data.info import DataInfo, FileError, Problem
from insula.errors import InputError
from insula.signals.recipe import Recipe
from insula.types import Recording, Trial

INFO = DataInfo(
    name="pseudo_trials",
    title="Pseudo-trials with random labels from one EEG file (leak probe)",
    licence="that of the recording",
    where="your own file, given as --root FILE",
    targets={"random": "one of two labels drawn at random a pseudo-trial: a clean score is chance"},
    recipe=Recipe(window_s=2.0, hop_s=0.5, guard_s=0.0),
    own=True,
)


def read(
    root: Path,
    *,
    subjects: Collection[str] | None = None,
    problems: list[Problem] | None = None,
    trials: int = 24,
    modality: str = "eeg",
    channels: Collection[str] = (),
    seed: int = 0,
) -> list[Recording]:
    """Cut one file into ``trials`` equal pieces and give half of them each of two labels, at random.

    Parameters
    ----------
    root : the file.
    trials : an even number of pseudo-trials, 4 or more.
    modality, channels : what to read from the file (all channels of the modality by default).
    seed : draws the labels.
    """
    if trials < 4 or trials % 2:
        raise InputError(f"trials {trials}; expected an even number, 4 or more.")
    (name,) = people(root)
    if subjects is not None and name not in subjects:
        raise InputError(f"subjects {', '.join(subjects)}; expected {name}, the only one. Leave subjects out.")
    whole = OpenFiles(problems).piece(Request(root, modality, tuple(channels)), 0.0, None)
    labels = np.random.default_rng(seed).permutation(np.arange(trials) % 2)
    length_s = whole.duration_s / trials
    pieces = []
    for i, label in enumerate(labels):
        start_s, stop_s = i * length_s, (i + 1) * length_s
        pieces.append(
            Trial(
                root.stem,
                "only",
                f"{i + 1:03d}",
                start_s,
                stop_s,
                {modality: whole.crop(start_s, stop_s)},
                {"random": "ab"[label]},
            )
        )
    return [Recording(root.stem, "only", tuple(pieces), {}, {"data": INFO.name, "file": root.name})]


def people(root: Path) -> list[str]:
    """Return the one name there is: that of the file."""
    if root.is_dir():
        raise FileError(root, "a folder; expected one recording, e.g. FILE.set. Give the file as --root.")
    return [root.stem]
