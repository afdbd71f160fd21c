"""Reader of EEGEmotions-27 (Phuong et al. 2025): EPOC X EEG of 88 people, one clip for each of 27 emotions.

Licence: CC BY-NC 4.0.
Get it: https://github.com/huytungst/EEGEmotions-27 (folder ``eeg_raw``).
Units: microvolts as the EPOC X exports them (with its offset of about 4,200), 256 Hz.
Source: Phuong et al. 2025, EEGEmotions-27: a large-scale EEG dataset annotated with 27 fine-grained emotion labels;
names of the emotions after the data set's readme, its spelling corrected.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from insula.data.formats.arrays import finite
from insula.data.formats.tables import AGAIN, chosen, parse_numbers, read_bytes, require_folder, to_numbers, whole_lines
from insula.data.info import DataInfo, FileError, Problem, collecting
from insula.data.readers.kerc2021 import EPOC_CHANNELS
from insula.errors import DataError
from insula.signals.recipe import Recipe
from insula.types import FloatArray, Recording, Signal, Trial

INFO = DataInfo(
    name="eegemotions27",
    title="EEGEmotions-27: EEG of 88 people, one clip for each of 27 emotions",
    licence="CC BY-NC 4.0",
    where="https://github.com/huytungst/EEGEmotions-27 (eeg_raw)",
    targets={
        "emotion": "one of 27; each person has one trial of each, so nothing can be held out inside a person",
    },
    recipe=Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0).only(("eeg",)),
    citation="Phuong et al. 2025, EEGEmotions-27",
)

RATE_HZ = 256.0
EMOTIONS = (
    "admiration", "adoration", "aesthetic appreciation", "amusement", "anger", "anxiety", "awe", "awkwardness",
    "boredom", "calmness", "confusion", "craving", "disgust", "empathic pain", "entrancement", "excitement", "fear",
    "horror", "interest", "joy", "nostalgia", "relief", "romance", "sadness", "satisfaction", "sexual desire",
    "surprise",
)  # fmt: skip
"""In the order of the numbers 1 to 27 in the file names."""
_NAME = re.compile(r"^(?P<person>\d+)_(?P<emotion>\d+)(\.0)?\.txt$")


def read(
    root: Path, *, subjects: Collection[str] | None = None, problems: list[Problem] | None = None
) -> list[Recording]:
    """Read people ``p01`` to ``p88`` out of eeg_raw, one trial an emotion; the clip is the stimulus.

    Trials are in the order of the emotions' numbers and follow each other on the clock: the order of presentation is
    not in the files, so elapsed time means nothing. Columns may be separated by commas, tabs or blanks, with or
    without a line of names; other columns than the 14 electrodes are left out by name.
    """
    folder, files = _files(root)
    recordings: list[Recording] = []
    for subject in chosen(subjects, files):
        with collecting(problems):
            trials = _trials(subject, folder, files[subject], problems)
            provenance = {"data": INFO.name, "licence": INFO.licence, "files": str(folder)}
            recordings.append(Recording(subject, "only", trials, {}, provenance))
    return recordings


def people(root: Path) -> list[str]:
    """Return the names of the people with a file ``1_1.0.txt`` and so on."""
    return list(_files(root)[1])


def _files(root: Path) -> tuple[Path, dict[str, dict[int, Path]]]:
    require_folder(root, "eeg_raw of EEGEmotions-27")
    folder = root / "eeg_raw" if (root / "eeg_raw").is_dir() else root
    files: dict[str, dict[int, Path]] = {}
    for file in folder.iterdir():
        if match := _NAME.match(file.name):
            files.setdefault(f"p{int(match['person']):02d}", {})[int(match["emotion"])] = file
    if not files:
        raise DataError(f"{folder} holds no 1_1.0.txt; expected EEGEmotions-27's eeg_raw. Give its folder.")
    return folder, files


def _trials(subject: str, folder: Path, files: dict[int, Path], problems: list[Problem] | None) -> tuple[Trial, ...]:
    trials: list[Trial] = []
    clock_s = 0.0
    for number, path in sorted(files.items()):
        with collecting(problems):
            if not 1 <= number <= len(EMOTIONS):
                raise FileError(path, f"emotion {number} in its name; expected 1 to {len(EMOTIONS)}. Rename the file.")
            emotion = EMOTIONS[number - 1]
            signal = Signal(_values(path, problems), RATE_HZ, EPOC_CHANNELS, "uV", clock_s)
            stop_s = clock_s + signal.duration_s
            clip = f"clip{number:02d}"
            trials.append(Trial(subject, "only", clip, clock_s, stop_s, {"eeg": signal}, {"emotion": emotion}, clip))
            clock_s = stop_s
    if not trials:
        raise FileError(folder, f"no trial of {subject} can be read; expected {len(EMOTIONS)}. {AGAIN}")
    return tuple(trials)


def _values(path: Path, problems: list[Problem] | None) -> FloatArray:
    data = whole_lines(path, read_bytes(path), problems)
    if not data.strip():
        raise FileError(path, f"0 whole lines; expected samples. {AGAIN}")
    if b"," not in data[:2000]:
        data = re.sub(rb"[ \t;]+", b",", re.sub(rb"(?m)^[ \t;]+|[ \t;]+(?=\r?$)", b"", data))
    head, _, body = data.partition(b"\n")
    names = [cell.strip().strip('"').removeprefix("EEG.") for cell in head.decode("latin-1").split(",")]
    if np.isfinite(to_numbers(names)).all():
        values = parse_numbers(path, data, columns=len(EPOC_CHANNELS))
        return finite(values.T)  # (samples, 14) -> (14, samples)
    missing = [name for name in EPOC_CHANNELS if name not in names]
    if missing:
        raise FileError(path, f"no column {', '.join(missing)}; expected the 14 electrodes of the EPOC X. {AGAIN}")
    table = parse_numbers(path, body, first_line=2, columns=len(names))
    return finite(table[:, [names.index(name) for name in EPOC_CHANNELS]].T)
