"""Reader of DREAMER (Katsigiannis and Ramzan 2018): EEG and ECG of 23 people who watch 18 film clips.

Licence: on request from the authors, academic use; not redistributed here.
Get it: https://doi.org/10.5281/zenodo.546113 (``DREAMER.mat``).
Units: EEG in microvolts (EPOC, with its offset of about 4,200), 128 Hz; ECG in the counts of the Shimmer, 256 Hz.
Source: Katsigiannis and Ramzan 2018, IEEE Journal of Biomedical and Health Informatics 22:98-107,
doi:10.1109/JBHI.2017.2688239; intended emotions of the clips after its table of stimuli.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from insula.data.formats.arrays import as_numbers, as_samples, rating
from insula.data.formats.matlab import field, read_mat, unwrapped
from insula.data.formats.tables import AGAIN, chosen
from insula.data.info import DataInfo, FileError, Problem, collecting
from insula.data.readers.kerc2021 import EPOC_CHANNELS
from insula.errors import DataError
from insula.signals.recipe import Recipe
from insula.types import Label, Recording, Signal, Trial

INFO = DataInfo(
    name="dreamer",
    title="DREAMER: EEG and ECG of 23 people while they watch 18 film clips and rate them",
    licence="on request from the authors, academic use",
    where="https://doi.org/10.5281/zenodo.546113 (DREAMER.mat)",
    targets={
        "valence": "self-report, 1 to 5",
        "arousal": "self-report, 1 to 5",
        "dominance": "self-report, 1 to 5",
        "intended": "emotion the clip was chosen for, one of nine (a property of the clip, not of the person)",
    },
    recipe=Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0).only(("eeg", "ecg")),
    citation="Katsigiannis and Ramzan 2018, IEEE JBHI 22:98-107, doi:10.1109/JBHI.2017.2688239",
)

RATINGS = {"valence": "ScoreValence", "arousal": "ScoreArousal", "dominance": "ScoreDominance"}
INTENDED = (
    "calmness", "surprise", "amusement", "fear", "excitement", "disgust", "happiness", "anger", "sadness",
    "disgust", "calmness", "amusement", "happiness", "anger", "fear", "excitement", "sadness", "surprise",
)  # fmt: skip
EEG_HZ, ECG_HZ = 128.0, 256.0
ECG_CHANNELS = ("ECG1", "ECG2")


def read(
    root: Path, *, subjects: Collection[str] | None = None, problems: list[Problem] | None = None
) -> list[Recording]:
    """Read people ``p01`` to ``p23`` out of DREAMER.mat (in ``root``, or ``root`` itself); one session each.

    The neutral clip shown before each clip is a trial of its own, ``c01-baseline``, role baseline. Clips are in the
    file's order; the breaks between them are not in the file, so they follow each other on the session's clock.
    One file holds everybody: it is read whole whoever is wanted, and nothing lists the people without it.
    """
    path = root / "DREAMER.mat" if root.is_dir() else root
    if not path.exists():
        raise DataError(f"{path} does not exist; expected DREAMER.mat. Give its folder.")
    recordings: list[Recording] = []
    with collecting(problems):
        people = np.ravel(field(path, read_mat(path, ("DREAMER",)).get("DREAMER"), "Data", "DREAMER"))
        people = np.ravel(people[0]) if len(people) == 1 and isinstance(people[0], np.ndarray) else people
        names = {f"p{i + 1:02d}": i for i in range(len(people))}
        for subject in chosen(subjects, names):
            with collecting(problems):
                trials = _trials(path, subject, people[names[subject]])
                provenance = {"data": INFO.name, "licence": INFO.licence, "files": str(path)}
                recordings.append(Recording(subject, "only", trials, {}, provenance))
    return recordings


def _trials(path: Path, subject: str, person: Any) -> tuple[Trial, ...]:
    eeg, ecg = (
        {part: _cells(path, field(path, field(path, person, name, subject), part, name)) for part in _PARTS}
        for name in ("EEG", "ECG")
    )
    clips = len(eeg["stimuli"])
    scores = {name: as_numbers(path, key, field(path, person, key, subject)) for name, key in RATINGS.items()}
    for what, count in (
        *((f"ECG {part}", len(ecg[part])) for part in _PARTS),
        ("EEG baseline", len(eeg["baseline"])),
        *((RATINGS[name], len(values)) for name, values in scores.items()),
    ):
        if count != clips:
            raise FileError(path, f"{subject}: {count} of {what} for {clips} clips; expected as many. {AGAIN}")
    trials: list[Trial] = []
    clock_s = 0.0
    for i in range(clips):
        name = f"c{i + 1:02d}"
        labels: dict[str, Label] = {}
        for target, values in scores.items():
            told = rating(path, f"{target} of {subject}, clip {i + 1}", float(values[i]), 1, 5)
            if told is not None:
                labels[target] = told
        if clips == len(INTENDED):
            labels["intended"] = INTENDED[i]
        for part in _PARTS:
            what = f"{part} {i + 1} of {subject}"
            signals = {
                "eeg": Signal(
                    as_samples(path, f"EEG {what}", unwrapped(eeg[part][i]), len(EPOC_CHANNELS), channels_first=False),
                    EEG_HZ,
                    EPOC_CHANNELS,
                    "uV",
                    clock_s,
                ),
                "ecg": Signal(
                    as_samples(path, f"ECG {what}", unwrapped(ecg[part][i]), len(ECG_CHANNELS), channels_first=False),
                    ECG_HZ,
                    ECG_CHANNELS,
                    "a.u.",
                    clock_s,
                ),
            }
            stop_s = clock_s + signals["eeg"].duration_s
            signals["ecg"] = signals["ecg"].crop(clock_s, stop_s)
            if part == "baseline":
                trials.append(
                    Trial(subject, "only", f"{name}-baseline", clock_s, stop_s, signals, {}, name, "baseline")
                )
            else:
                trials.append(Trial(subject, "only", name, clock_s, stop_s, signals, labels, name))
            clock_s = stop_s
    return tuple(trials)


_PARTS = ("baseline", "stimuli")
"""In the order they were shown."""


def _cells(path: Path, value: Any) -> list[Any]:
    """Return the cells of a column of cells; one cell holding the column is looked into."""
    cells = np.ravel(value)
    while len(cells) == 1 and isinstance(cells[0], np.ndarray) and cells[0].dtype == object:
        cells = np.ravel(cells[0])
    if cells.dtype != object:
        raise FileError(path, f"numbers of shape {np.shape(value)}; expected a column of cells, one a clip. {AGAIN}")
    return list(cells)
