"""Reader of SEED-IV (Zheng et al. 2019): EEG of 15 people, 24 film clips and four emotions a session, three sessions.

Licence: licence agreement with BCMI laboratory, academic use; not redistributed here.
Get it: https://bcmi.sjtu.edu.cn/home/seed/seed-iv.html (folders ``eeg_raw_data`` and, where they
are beside it, the ready-made eye features of ``eye_feature_smooth``; raw eye tracking is not read).
Units: EEG microvolts, 200 Hz; eye features as published, one value each for 4 s.
Source: Zheng et al. 2019, IEEE Transactions on Cybernetics 49:1110-1122, doi:10.1109/TCYB.2018.2797176; labels of the
clips after the data set's ReadMe.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from insula.data.formats.tables import chosen, require_folder
from insula.data.info import DataInfo, Problem, collecting, note
from insula.data.readers.sjtu import read_trials, session_files
from insula.data.readers.sjtu_eyes import of_mat, with_eyes
from insula.errors import DataError
from insula.signals.recipe import Recipe
from insula.types import Recording

INFO = DataInfo(
    name="seed_iv",
    title="SEED-IV: EEG and eyes of 15 people, 24 film clips and four emotions in each of three sessions",
    licence="licence agreement with BCMI laboratory, academic use",
    where="https://bcmi.sjtu.edu.cn/home/seed/seed-iv.html (eeg_raw_data, eye_feature_smooth)",
    targets={"emotion": "neutral, sad, fear or happy, the label of the clip"},
    recipe=Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0).only(("eeg", "eye")),
    citation="Zheng et al. 2019, IEEE Transactions on Cybernetics 49:1110-1122, doi:10.1109/TCYB.2018.2797176",
    version=2,
)

EMOTIONS = ("neutral", "sad", "fear", "happy")
LABELS = {
    "1": (1, 2, 3, 0, 2, 0, 0, 1, 0, 1, 2, 1, 1, 1, 2, 3, 2, 2, 3, 3, 0, 3, 0, 3),
    "2": (2, 1, 3, 0, 0, 2, 0, 2, 3, 3, 2, 3, 2, 0, 1, 1, 2, 1, 0, 3, 0, 1, 3, 1),
    "3": (1, 2, 2, 1, 3, 3, 3, 1, 1, 2, 1, 0, 2, 3, 3, 0, 2, 3, 0, 0, 2, 0, 1, 0),
}
"""Session -> number of the emotion of each clip."""


def read(
    root: Path, *, subjects: Collection[str] | None = None, problems: list[Problem] | None = None
) -> list[Recording]:
    """Read people ``s01`` to ``s15`` with sessions ``1`` to ``3``, the folders of eeg_raw_data.

    Eye features become the signal ``eye`` (see `insula.data.readers.sjtu_eyes`).
    Every session has 24 clips of its own: stimuli ``1-clip01``....
    """
    folder, files = _files(root)
    recordings: list[Recording] = []
    for subject in chosen(subjects, {subject for found in files.values() for subject in found}):
        for session, numbers in LABELS.items():
            found = files.get(session, {}).get(subject, [])
            if len(found) != 1:
                note(problems, folder / session, f"{len(found)} files of {subject}; expected one a session")
            for path in found[:1]:
                with collecting(problems):
                    labels = [{"emotion": EMOTIONS[n]} for n in numbers]
                    clips = [f"{session}-clip{i + 1:02d}" for i in range(len(numbers))]
                    trials = read_trials(path, subject, session, labels, clips, problems)
                    eyes = folder.parent / "eye_feature_smooth" / session / path.name
                    if eyes.parent.is_dir():
                        trials = with_eyes(trials, of_mat(eyes, problems), eyes, problems)
                    provenance = {"data": INFO.name, "licence": INFO.licence, "files": str(path)}
                    recordings.append(Recording(subject, session, trials, {}, provenance))
    return recordings


def people(root: Path) -> list[str]:
    """Return the names of the people with a session file."""
    return list({subject for found in _files(root)[1].values() for subject in found})


def _files(root: Path) -> tuple[Path, dict[str, dict[str, list[Path]]]]:
    """Return the folder of the sessions, and each session's files a person."""
    require_folder(root, "eeg_raw_data of SEED-IV")
    folder = root / "eeg_raw_data" if (root / "eeg_raw_data").is_dir() else root
    files = {session: session_files(folder / session) for session in LABELS if (folder / session).is_dir()}
    if not any(files.values()):
        raise DataError(f"{folder} holds no 1/1_20160518.mat; expected SEED-IV's eeg_raw_data. Give its folder.")
    return folder, files
