"""Reader of EAV (Lee et al. 2024): EEG, audio and video of 42 people in cued conversations with five emotions.

Licence: as on its Zenodo page (access on request); not redistributed here.
Get it: https://doi.org/10.5281/zenodo.10205702
Units: EEG in microvolts, 500 Hz; audio from -1 to 1, mean of its channels; video as grey pictures, black 0, white 1.
Source: Lee et al. 2024, Scientific Data 11:1026, doi:10.1038/s41597-024-03838-4
Not verified, since the files are given out on request: folders, arrays and names of clips follow the authors' code; the
order of the electrodes, the unit of the EEG, and that a clip begins with its EEG segment are assumptions. Faces are not
searched for: a picture is the middle square of the frame.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from insula.data.formats.arrays import as_samples, finite
from insula.data.formats.matlab import read_mat, variables
from insula.data.formats.tables import AGAIN, chosen, require_folder
from insula.data.formats.video import check_pictures, grey_frames
from insula.data.info import DataInfo, FileError, Problem, collecting, note
from insula.errors import DataError
from insula.signals.recipe import DEFAULT_SIGNALS, Recipe, SignalRecipe
from insula.types import Label, Recording, Signal, Trial

INFO = DataInfo(
    name="eav",
    title="EAV: EEG, audio and video of 42 people in cued conversations, five emotions",
    licence="as on its Zenodo page",
    where="https://doi.org/10.5281/zenodo.10205702",
    targets={
        "emotion": "neutral, sadness, anger, happiness or calmness, the cue of the conversation",
        "task": "listening or speaking",
    },
    recipe=Recipe(
        {
            "eeg": DEFAULT_SIGNALS["eeg"],
            "audio": SignalRecipe(16_000.0),  # as it is: 50 Hz to 8 kHz are the log-mel encoder's business
            "video": SignalRecipe(6.0),
        },
        window_s=4.0,
        hop_s=2.0,
        guard_s=2.0,
    ),
    citation="Lee et al. 2024, Scientific Data 11:1026, doi:10.1038/s41597-024-03838-4",
)

RATE_HZ = 500.0
CHANNELS = (
    "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "FC5", "FC1", "FC2", "FC6", "T7", "C3", "Cz", "C4", "T8", "CP5", "CP1",
    "CP2", "CP6", "P7", "P3", "Pz", "P4", "P8", "PO9", "O1", "Oz", "O2", "PO10",
)  # fmt: skip
EMOTIONS = ("neutral", "sadness", "anger", "happiness", "calmness")
TASKS = ("listening", "speaking")
"""Row 2 * emotion + task of the one-hot label."""
ARRAYS = ("seg1", "seg")
_CLIP = re.compile(
    r"^(?P<number>\d{3})_Trial_\d+_(?P<task>listening|speaking)_(?P<emotion>[a-z]+)(_aud)?\.(?P<kind>wav|mp4)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Wanted:
    """What is read beside the EEG."""

    audio: bool
    video: bool
    side: int
    video_hz: float


def read(
    root: Path,
    *,
    subjects: Collection[str] | None = None,
    problems: list[Problem] | None = None,
    audio: bool = False,
    video: bool = False,
    video_side: int = 16,
    video_hz: float = 6.0,
) -> list[Recording]:
    """Read people ``p01`` to ``p42`` (folders subject1...), one session of 200 segments of 20 s each.

    Listening and answering are segments of their own and share a stimulus (``talk001``: segments 1 and 2), so that
    ``leave_stimulus_out`` keeps a talk on one side. Segments follow each other on the session's clock. ``audio=True``
    adds the sound of speaking segments, ``video=True`` grey pictures of ``video_side`` x ``video_side`` pixels,
    ``video_hz`` a second (needs PyAV; decoding takes most of the time). A damaged clip is left out of its segment. A
    person takes about .4 GB, .24 of it EEG. The label is checked against the names of the audio and video files where
    they are there.
    """
    check_pictures(video_side, video_hz)
    wanted = _Wanted(audio, video, video_side, video_hz)
    folders = _folders(root)
    recordings: list[Recording] = []
    for subject in chosen(subjects, folders):
        folder = folders[subject]
        with collecting(problems):
            trials = _trials(subject, folder, wanted, problems)
            provenance = {"data": INFO.name, "licence": INFO.licence, "files": str(folder)}
            if (folder / "Video").is_dir():
                provenance["video"] = str(folder / "Video")
            recordings.append(Recording(subject, "only", trials, {}, provenance))
    return recordings


def people(root: Path) -> list[str]:
    """Return the names of the people with a folder ``subject1`` and so on."""
    return list(_folders(root))


def _folders(root: Path) -> dict[str, Path]:
    require_folder(root, "subject1 to subject42 of EAV")
    folders = {
        f"p{int(d.name[7:]):02d}": d for d in root.iterdir() if re.fullmatch(r"subject\d+", d.name) and d.is_dir()
    }
    if not folders:
        raise DataError(f"{root} holds no folder subject1; expected EAV unpacked. Give the folder that holds it.")
    return folders


def _trials(subject: str, folder: Path, wanted: _Wanted, problems: list[Problem] | None) -> tuple[Trial, ...]:
    path = folder / "EEG" / f"{folder.name}_eeg.mat"
    label_path = path.with_name(f"{folder.name}_eeg_label.mat")
    data = _segments(path)  # (samples, channels, segments)
    codes = _codes(label_path, data.shape[2])
    clips = _clips(folder, label_path, codes)
    trials: list[Trial] = []
    length_s = data.shape[0] / RATE_HZ
    for i, code in enumerate(codes):
        start_s = i * length_s
        values = as_samples(path, f"segment {i + 1}", data[:, :, i], len(CHANNELS), channels_first=False)
        signals = {"eeg": Signal(values, RATE_HZ, CHANNELS, "uV", start_s)}
        labels: dict[str, Label] = {"emotion": EMOTIONS[code // 2], "task": TASKS[code % 2]}
        signals |= _clip_signals(folder, clips, i, labels["task"] == "speaking", length_s, wanted, problems)
        trials.append(
            Trial(
                subject,
                "only",
                f"{i + 1:03d}-{labels['task']}",
                start_s,
                start_s + length_s,
                signals,
                labels,
                f"talk{i // 2 + 1:03d}",
            )
        )
    return tuple(trials)


def _clip_signals(
    folder: Path,
    clips: Mapping[tuple[int, str], Path],
    i: int,
    speaking: bool,
    length_s: float,
    wanted: _Wanted,
    problems: list[Problem] | None,
) -> dict[str, Signal]:
    """Read sound and pictures of segment i, where they are wanted and there."""
    found: dict[str, Signal] = {}
    start_s = i * length_s
    for modality, suffix, asked in (("audio", "wav", wanted.audio), ("video", "mp4", wanted.video)):
        clip = clips.get((i + 1, suffix))
        if asked and clip is None and (speaking or modality == "video"):
            note(problems, folder / modality.title(), f"no .{suffix} of segment {i + 1}; it is read without {modality}")
        if not asked or clip is None:
            continue
        with collecting(problems):
            if modality == "audio":
                found[modality] = _audio(clip, start_s).crop(start_s, start_s + length_s)
            else:
                found[modality] = grey_frames(clip, start_s, length_s, wanted.side, wanted.video_hz)
    return found


def _segments(path: Path) -> np.ndarray[Any, Any]:
    held = variables(path)
    name = next((n for n in ARRAYS if len(held.get(n, ())) == 3), None)
    if name is None:
        raise FileError(path, f"holds {', '.join(held) or 'nothing'}; expected seg1 or seg, 10000 x 30 x 200. {AGAIN}")
    data = read_mat(path, (name,)).get(name)
    if not isinstance(data, np.ndarray) or data.dtype.kind not in "iuf" or data.ndim != 3:
        raise FileError(path, f"{name} holds no numbers; expected 10000 x 30 x 200. {AGAIN}")
    if data.shape[1] != len(CHANNELS) or not data.shape[0] or not data.shape[2]:
        raise FileError(path, f"{name} has shape {data.shape}; expected (10000, {len(CHANNELS)}, 200). {AGAIN}")
    return data


def _codes(path: Path, segments: int) -> list[int]:
    label = read_mat(path, ("label",)).get("label")
    rows = len(EMOTIONS) * len(TASKS)
    if not isinstance(label, np.ndarray) or label.dtype.kind not in "iufb" or label.shape != (rows, segments):
        shape = label.shape if isinstance(label, np.ndarray) else None
        raise FileError(path, f"label of shape {shape}; expected ({rows}, {segments}), as many as segments. {AGAIN}")
    chosen_rows = label != 0
    if not (chosen_rows.sum(axis=0) == 1).all():
        first = int(np.argmax(chosen_rows.sum(axis=0) != 1))
        raise FileError(path, f"segment {first + 1} has {chosen_rows[:, first].sum()} classes; expected one. {AGAIN}")
    return [int(code) for code in chosen_rows.argmax(axis=0)]


def _clips(folder: Path, label_path: Path, codes: list[int]) -> Mapping[tuple[int, str], Path]:
    """Map (segment, wav or mp4) to its file; a name that contradicts the label is a FileError."""
    found: dict[tuple[int, str], Path] = {}
    for place in ("Audio", "Video"):
        for file in sorted((folder / place).iterdir()) if (folder / place).is_dir() else []:
            match = _CLIP.match(file.name)
            number = int(match["number"]) if match else 0
            if match is None or not 1 <= number <= len(codes):
                continue
            code = codes[number - 1]
            told = (match["task"].lower(), match["emotion"].lower())
            if told != (TASKS[code % 2], EMOTIONS[code // 2]):
                raise FileError(
                    file,
                    f"segment {number} is {' '.join(told)} by its name and {TASKS[code % 2]} {EMOTIONS[code // 2]} in "
                    f"{label_path.name}; expected the same. {AGAIN}",
                )
            found[number, match["kind"].lower()] = file
    return found


def _audio(path: Path, start_s: float) -> Signal:
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy's on chunks it skips
            rate, samples = wavfile.read(path)
        if not len(samples):
            raise ValueError("no samples")
        kind = samples.dtype.kind
        full = 1.0 if kind == "f" else 2.0 ** (8 * samples.dtype.itemsize - 1)
        mono = samples.reshape(len(samples), -1).mean(axis=1, dtype=np.float64)  # (T,) or (T, C) -> (T,)
        silence = full if kind == "u" else 0.0  # 8-bit sound is unsigned
        return Signal(finite((mono[None, :] - silence) / full), float(rate), ("mono",), "a.u.", start_s)
    except Exception as error:  # scipy fails in many ways on damaged files
        raise FileError(path, f"not a .wav file scipy can read ({str(error)[:100]}). {AGAIN}") from None
