"""What the SEED data sets of Shanghai Jiao Tong University share: 62 electrodes, and sessions in Matlab files.

The cap has two electrodes over the cerebellum, CB1 and CB2, that no standard montage knows; here they carry the names
of the positions they are closest to, PO9 and PO10 (our choice), so that maps of the scalp can be drawn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from insula.data.formats.arrays import as_samples
from insula.data.formats.matlab import read_mat, variables
from insula.data.formats.tables import AGAIN
from insula.data.info import FileError, Problem, collecting, note
from insula.types import Label, Signal, Trial

FILE_CHANNELS = (
    "FP1", "FPZ", "FP2", "AF3", "AF4", "F7", "F5", "F3", "F1", "FZ", "F2", "F4", "F6", "F8", "FT7", "FC5", "FC3",
    "FC1", "FCZ", "FC2", "FC4", "FC6", "FT8", "T7", "C5", "C3", "C1", "CZ", "C2", "C4", "C6", "T8", "TP7", "CP5",
    "CP3", "CP1", "CPZ", "CP2", "CP4", "CP6", "TP8", "P7", "P5", "P3", "P1", "PZ", "P2", "P4", "P6", "P8", "PO7",
    "PO5", "PO3", "POZ", "PO4", "PO6", "PO8", "CB1", "O1", "OZ", "O2", "CB2",
)  # fmt: skip
"""Names and order of the data sets' own channel list (channel-order.xlsx)."""
_CEREBELLUM = {"CB1": "PO9", "CB2": "PO10"}


def _standard(name: str) -> str:
    if name in _CEREBELLUM:
        return _CEREBELLUM[name]
    return name.replace("FP", "Fp").replace("Z", "z")


CHANNELS = tuple(_standard(name) for name in FILE_CHANNELS)
"""The same as standard montages write them."""
MAT_RATE_HZ = 200.0
_NAME = re.compile(r"^(?P<subject>\d+)_(?P<date>\d{8})\.mat$")
_ARRAY = re.compile(r"^.*_eeg(?P<trial>\d+)$")


def session_files(folder: Path) -> dict[str, list[Path]]:
    """Map ``s01``... to the person's files ``<number>_<date>.mat`` in the order of their dates."""
    found: dict[str, list[tuple[str, Path]]] = {}
    for file in folder.iterdir():
        match = _NAME.match(file.name)
        if match:
            found.setdefault(f"s{int(match['subject']):02d}", []).append((match["date"], file))
    return {subject: [file for _, file in sorted(files)] for subject, files in found.items()}


def read_trials(
    path: Path,
    subject: str,
    session: str,
    labels: Sequence[Mapping[str, Label]],
    stimuli: Sequence[str],
    problems: list[Problem] | None,
) -> tuple[Trial, ...]:
    """Read the arrays ``*_eeg1``, ``*_eeg2``... of one session file, (62, samples) at 200 Hz, microvolts.

    ``labels`` and ``stimuli`` have one entry a trial. Trials follow each other on the session's clock, because the
    files do not keep the minutes between them. A missing trial is noted.
    """
    names = {int(m["trial"]): name for name in variables(path) if (m := _ARRAY.match(name))}
    if not names:
        raise FileError(path, f"no array named *_eeg1; expected {len(labels)} of them. {AGAIN}")
    trials: list[Trial] = []
    clock_s = 0.0
    for i, label in enumerate(labels):
        name = names.get(i + 1)
        if name is None:
            note(problems, path, f"no array *_eeg{i + 1}; this session is read without it")
            continue
        with collecting(problems):
            values = as_samples(path, name, read_mat(path, (name,)).get(name), len(CHANNELS))
            signal = Signal(values, MAT_RATE_HZ, CHANNELS, "uV", clock_s)
            stop_s = clock_s + signal.duration_s
            trials.append(Trial(subject, session, f"t{i + 1:02d}", clock_s, stop_s, {"eeg": signal}, label, stimuli[i]))
            clock_s = stop_s
    if not trials:
        raise FileError(path, f"no trial can be read; expected {len(labels)}. {AGAIN}")
    return tuple(trials)
