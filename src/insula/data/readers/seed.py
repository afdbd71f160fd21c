"""Reader of SEED (Zheng and Lu 2015): EEG of 15 people who watch 15 film clips in each of three sessions.

Licence: licence agreement with BCMI laboratory, academic use; not redistributed here.
Get it: https://bcmi.sjtu.edu.cn/home/seed/ (folder ``Preprocessed_EEG``).
Units: microvolts, 200 Hz, band-passed 0 to 75 Hz by the authors.
Source: Zheng and Lu 2015, IEEE Transactions on Autonomous Mental Development 7:162-175,
doi:10.1109/TAMD.2015.2431497
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from insula.data.formats.arrays import as_numbers
from insula.data.formats.matlab import read_mat
from insula.data.formats.tables import AGAIN, chosen, require_folder
from insula.data.info import DataInfo, FileError, Problem, collecting, note
from insula.data.readers.sjtu import read_trials, session_files
from insula.errors import DataError
from insula.signals.recipe import Recipe
from insula.types import Recording

INFO = DataInfo(
    name="seed",
    title="SEED: EEG of 15 people who watch 15 film clips in each of three sessions",
    licence="licence agreement with BCMI laboratory, academic use",
    where="https://bcmi.sjtu.edu.cn/home/seed/ (Preprocessed_EEG)",
    targets={"emotion": "negative, neutral or positive, the label of the clip"},
    recipe=Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0).only(("eeg",)),
    citation="Zheng and Lu 2015, IEEE TAMD 7:162-175, doi:10.1109/TAMD.2015.2431497",
)

EMOTIONS = {-1.0: "negative", 0.0: "neutral", 1.0: "positive"}
SESSIONS = 3


def read(
    root: Path, *, subjects: Collection[str] | None = None, problems: list[Problem] | None = None
) -> list[Recording]:
    """Read people ``s01`` to ``s15`` with sessions ``1`` to ``3`` in the order of the dates in the file names.

    Trials ``t01``... show the same clips in all sessions: stimuli ``clip01``.... Labels come from label.mat.
    """
    folder, files = _files(root)
    wanted = chosen(subjects, files)
    recordings: list[Recording] = []
    with collecting(problems):
        emotions = _read_labels(folder / "label.mat")
        clips = [f"clip{i + 1:02d}" for i in range(len(emotions))]
        for subject in wanted:
            if len(files[subject]) != SESSIONS:
                note(problems, folder, f"{len(files[subject])} sessions of {subject}; SEED has {SESSIONS}")
            for number, path in enumerate(files[subject], 1):
                with collecting(problems):
                    trials = read_trials(
                        path, subject, str(number), [{"emotion": e} for e in emotions], clips, problems
                    )
                    provenance = {"data": INFO.name, "licence": INFO.licence, "files": str(path)}
                    recordings.append(Recording(subject, str(number), trials, {}, provenance))
    return recordings


def people(root: Path) -> list[str]:
    """Return the names of the people with a session file."""
    return list(_files(root)[1])


def _files(root: Path) -> tuple[Path, dict[str, list[Path]]]:
    require_folder(root, "Preprocessed_EEG of SEED")
    folder = root / "Preprocessed_EEG" if (root / "Preprocessed_EEG").is_dir() else root
    files = session_files(folder)
    if not files:
        raise DataError(f"{folder} holds no 1_20131027.mat; expected SEED's Preprocessed_EEG. Give its folder.")
    return folder, files


def _read_labels(path: Path) -> list[str]:
    values = as_numbers(path, "label", read_mat(path, ("label",)).get("label"))
    if not values.size or not np.isin(values, list(EMOTIONS)).all():
        raise FileError(path, f"labels {values[:20].tolist()}; expected -1, 0 and 1, one a clip. {AGAIN}")
    return [EMOTIONS[float(v)] for v in values]
