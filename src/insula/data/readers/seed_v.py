"""Reader of SEED-V (Liu et al. 2022): EEG of 16 people, 15 film clips and five emotions a session, three sessions.

Licence: licence agreement with BCMI laboratory, academic use; not redistributed here.
Get it: https://bcmi.sjtu.edu.cn/home/seed/seed-v.html (folder ``EEG_raw``, the text file with the trials' start and end
seconds, and, where it is beside EEG_raw, ``Eye_movement_features``; raw eye tracking is not read).
Units: microvolts, 1000 Hz in the files, 200 Hz as the authors take them and as read here (a person is 0.4 GB; with
``rate_hz=None`` 2 GB).
Source: Liu et al. 2022, IEEE Transactions on Cognitive and Developmental Systems 14:715-729,
doi:10.1109/TCDS.2021.3071170; labels of the clips after the data set's ReadMe.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from insula.data.formats.request import Request
from insula.data.formats.slower import slower
from insula.data.formats.sources import OpenFiles
from insula.data.formats.tables import AGAIN, chosen, read_bytes, require_folder, to_numbers
from insula.data.info import DataInfo, FileError, Problem, collecting, note
from insula.data.readers.order import in_order
from insula.data.readers.sjtu import CHANNELS, FILE_CHANNELS
from insula.data.readers.sjtu_eyes import of_npz, with_eyes
from insula.errors import DataError
from insula.signals.recipe import Recipe
from insula.types import Recording, Trial

INFO = DataInfo(
    name="seed_v",
    title="SEED-V: EEG and eyes of 16 people, 15 film clips and five emotions in each of three sessions",
    licence="licence agreement with BCMI laboratory, academic use",
    where="https://bcmi.sjtu.edu.cn/home/seed/seed-v.html (EEG_raw, the trials' times, Eye_movement_features)",
    targets={"emotion": "disgust, fear, sad, neutral or happy, the label of the clip"},
    recipe=Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0).only(("eeg", "eye")),
    citation="Liu et al. 2022, IEEE TCDS 14:715-729, doi:10.1109/TCDS.2021.3071170",
    version=2,
)

EMOTIONS = ("disgust", "fear", "sad", "neutral", "happy")
LABELS = {
    "1": (4, 1, 3, 2, 0) * 3,
    "2": (2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0),
    "3": (2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0),
}
"""Session -> number of the emotion of each clip."""
_NAME = re.compile(r"^(?P<subject>\d+)_(?P<session>[123])_(?P<date>\d{8})\.cnt$", re.IGNORECASE)
_TIMES = re.compile(r"(?P<which>start|end)_second\w*\s*[:=]?\s*\[(?P<numbers>[^\]]*)\]", re.IGNORECASE)

Spans = dict[str, list[tuple[float, float]]]


def read(
    root: Path,
    *,
    subjects: Collection[str] | None = None,
    problems: list[Problem] | None = None,
    times: str | Path | None = None,
    rate_hz: float | None = 200.0,
) -> list[Recording]:
    """Read people ``s01`` to ``s16`` with sessions ``1`` to ``3``; the session's clock is that of the .cnt file.

    ``times`` is the text file of the data set with lists ``start_second`` and ``end_second`` a session (default: the
    .txt in ``root`` or beside EEG_raw that has them). Every session has 15 clips of its own: stimuli ``1-clip01``....
    Eye features become the signal ``eye`` (see `insula.data.readers.sjtu_eyes`).
    ``rate_hz``: trials are resampled to it one by one, causally, as soon as they are read, so that one trial at a time
    is in memory at the files' 1000 Hz (None: kept at that rate).
    """
    folder, files = _files(root)
    wanted = chosen(subjects, files)
    recordings: list[Recording] = []
    with collecting(problems):
        spans = _read_times(_times_file(root, folder) if times is None else Path(times))
        eyes = folder.parent / "Eye_movement_features"
        for subject in wanted:
            seen = of_npz(eyes, subject, {k: len(v) for k, v in LABELS.items()}, problems) if eyes.is_dir() else {}
            for session in LABELS:
                path = files[subject].get(session)
                if path is None:
                    note(problems, folder, f"no session {session} of {subject}; the others are read")
                    continue
                with collecting(problems):
                    trials = _trials(path, subject, session, spans[session], rate_hz, problems)
                    if eyes.is_dir():
                        trials = with_eyes(trials, seen.get(session, {}), eyes, problems)
                    provenance = {"data": INFO.name, "licence": INFO.licence, "files": str(path)}
                    recordings.append(Recording(subject, session, trials, {}, provenance))
    return recordings


def people(root: Path) -> list[str]:
    """Return the names of the people with a session file."""
    return list(_files(root)[1])


def _files(root: Path) -> tuple[Path, dict[str, dict[str, Path]]]:
    """Return the folder of the files, and each person's files a session."""
    require_folder(root, "EEG_raw of SEED-V")
    folder = root / "EEG_raw" if (root / "EEG_raw").is_dir() else root
    files: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.iterdir()):
        if match := _NAME.match(file.name):
            files.setdefault(f"s{int(match['subject']):02d}", {})[match["session"]] = file
    if not files:
        raise DataError(f"{folder} holds no 1_1_20180804.cnt; expected SEED-V's EEG_raw. Give its folder.")
    return folder, files


def _trials(
    path: Path,
    subject: str,
    session: str,
    spans: list[tuple[float, float]],
    rate_hz: float | None,
    problems: list[Problem] | None,
) -> tuple[Trial, ...]:
    files = OpenFiles(problems)
    request = Request(path, "eeg", FILE_CHANNELS)  # leaves out M1, M2, VEO and HEO
    files.opened(path)
    trials: list[Trial] = []
    for i, (start_s, stop_s) in enumerate(spans):
        with collecting(problems):
            signal = slower(replace(files.piece(request, start_s, stop_s), channels=CHANNELS), rate_hz)
            trials.append(
                Trial(
                    subject,
                    session,
                    f"t{i + 1:02d}",
                    start_s,
                    stop_s,
                    {"eeg": signal},
                    {"emotion": EMOTIONS[LABELS[session][i]]},
                    f"{session}-clip{i + 1:02d}",
                )
            )
    if not trials:
        raise FileError(path, f"no trial can be read; expected {len(spans)}. {AGAIN}")
    return in_order(path, trials, 0.1)


def _times_file(root: Path, folder: Path) -> Path:
    for place in (root, folder, root.parent):
        for file in sorted(place.glob("*.txt")):
            if _TIMES.search(read_bytes(file).decode("latin-1")):
                return file
    raise DataError(
        f"no text file with start_second and end_second in {root}; expected the one that comes with SEED-V. "
        "Put it there, or give its path (times=PATH)."
    )


def _read_times(path: Path) -> Spans:
    lists = [
        (m["which"].lower(), to_numbers(m["numbers"].split(",")).tolist())
        for m in _TIMES.finditer(read_bytes(path).decode("latin-1"))
    ]
    starts, ends = ([numbers for which, numbers in lists if which == kind] for kind in ("start", "end"))
    if len(starts) != len(LABELS) or len(ends) != len(LABELS):
        raise FileError(
            path,
            f"{len(starts)} lists start_second and {len(ends)} end_second; expected {len(LABELS)} of each. {AGAIN}",
        )
    spans: Spans = {}
    for session, first, last in zip(LABELS, starts, ends, strict=True):
        if len(first) != len(LABELS[session]) or len(last) != len(first):
            raise FileError(path, f"session {session}: {len(first)} starts, {len(last)} ends; expected 15. {AGAIN}")
        spans[session] = list(zip(first, last, strict=True))
        for start_s, stop_s in spans[session]:
            if not 0 <= start_s < stop_s < 1e5:
                raise FileError(
                    path, f"session {session}: trial from {start_s} to {stop_s} s; expected 0 <= start < end. {AGAIN}"
                )
    return spans
