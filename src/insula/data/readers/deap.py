"""Reader of DEAP (Koelstra et al. 2012): 32 people rate 40 music videos; EEG and eight other signals at 128 Hz.

Licence: end-user licence agreement, academic use only; not redistributed here.
Get it: https://www.eecs.qmul.ac.uk/mmv/datasets/deap/ (``data_preprocessed_python.zip``, ``metadata_csv.zip``).
Units: EEG, EOG and EMG in microvolts; skin resistance in ohm as its readme says, baseline-shifted by the authors'
preprocessing (so values below 0 occur and it cannot be turned into conductance); respiration, plethysmograph and
temperature in arbitrary units.
Source: Koelstra et al. 2012, IEEE Transactions on Affective Computing 3:18-31, doi:10.1109/T-AFFC.2011.15
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insula.data.formats.arrays import as_numbers, as_samples, rating
from insula.data.formats.pickles import load_pickle
from insula.data.formats.tables import AGAIN, chosen, number_column, read_table, require_folder
from insula.data.info import DataInfo, FileError, Problem, collecting, note
from insula.data.readers.order import in_order
from insula.errors import DataError
from insula.signals.recipe import DEFAULT_SIGNALS, Recipe, SignalRecipe
from insula.types import FloatArray, Label, Recording, Signal, Trial

INFO = DataInfo(
    name="deap",
    title="DEAP: EEG and peripheral signals of 32 people while they watch 40 music videos and rate them",
    licence="end-user licence agreement, academic use",
    where="https://www.eecs.qmul.ac.uk/mmv/datasets/deap/ (data_preprocessed_python and metadata_csv)",
    targets={
        "valence": "self-report, 1 to 9",
        "arousal": "self-report, 1 to 9",
        "dominance": "self-report, 1 to 9",
        "liking": "self-report, 1 to 9",
        "familiarity": "self-report, 1 to 5 (with metadata_csv; people 2, 15 and 23 have none)",
    },
    recipe=Recipe(
        {
            "eeg": DEFAULT_SIGNALS["eeg"],
            "eda": SignalRecipe(4.0, lowpass_hz=1.0, order=2),
            "bvp": DEFAULT_SIGNALS["bvp"],
            "resp": DEFAULT_SIGNALS["resp"],
            "temp": SignalRecipe(4.0, lowpass_hz=0.5, order=2),
        },
        window_s=4.0,
        hop_s=2.0,
        guard_s=2.0,
    ),
    citation="Koelstra et al. 2012, IEEE Transactions on Affective Computing 3:18-31, doi:10.1109/T-AFFC.2011.15",
)

RATE_HZ = 128.0
BASELINE_S = 3.0
"""Seconds before the video in each trial."""
RATINGS = ("valence", "arousal", "dominance", "liking")
EEG_CHANNELS = (
    "Fp1", "AF3", "F3", "F7", "FC5", "FC1", "C3", "T7", "CP5", "CP1", "P3", "P7", "PO3", "O1", "Oz", "Pz",
    "Fp2", "AF4", "Fz", "F4", "F8", "FC6", "FC2", "Cz", "C4", "T8", "CP6", "CP2", "P4", "P8", "PO4", "O2",
)  # fmt: skip
"""Geneva order, which the preprocessed files of all 32 people follow."""
LAYOUT: Mapping[str, tuple[tuple[str, ...], str]] = {
    "eeg": (EEG_CHANNELS, "uV"),
    "eog": (("hEOG", "vEOG"), "uV"),
    "emg": (("zEMG", "tEMG"), "uV"),
    "eda": (("GSR",), "ohm"),
    "resp": (("belt",), "a.u."),
    "bvp": (("plethysmograph",), "a.u."),
    "temp": (("TEMP",), "a.u."),
}
"""Modality -> channels and unit, in the order of the 40 rows."""
ROWS = sum(len(channels) for channels, _ in LAYOUT.values())
RATINGS_FILE = "participant_ratings.csv"


def read(
    root: Path, *, subjects: Collection[str] | None = None, problems: list[Problem] | None = None
) -> list[Recording]:
    """Read people ``s01`` to ``s32``, one session each; trials ``v01``... are named after their video, the stimulus.

    The 3 s before each video are a trial of their own, ``v01-baseline``, role baseline. The files list trials by
    video, not as they were shown: order, clock (seconds since the experiment began) and familiarity come from
    participant_ratings.csv (in ``root``, or in metadata_csv inside or beside it). Without it trials follow each other
    by video number and elapsed time means nothing, which is noted.
    """
    files = _files(root)
    wanted = chosen(subjects, files)
    shown = pd.DataFrame()
    with collecting(problems):
        shown = _read_ratings(root, problems)
    recordings: list[Recording] = []
    for subject in wanted:
        with collecting(problems):
            trials = _trials(subject, files[subject], shown, problems)
            provenance = {"data": INFO.name, "licence": INFO.licence, "files": str(files[subject])}
            recordings.append(Recording(subject, "only", trials, {}, provenance))
    return recordings


def people(root: Path) -> list[str]:
    """Return the names of the people with a file ``s01.dat`` and so on."""
    return list(_files(root))


def _files(root: Path) -> dict[str, Path]:
    require_folder(root, "data_preprocessed_python of DEAP, or its files s01.dat and so on")
    folder = root / "data_preprocessed_python" if (root / "data_preprocessed_python").is_dir() else root
    files = {f.stem: f for f in folder.iterdir() if re.fullmatch(r"s\d\d\.dat", f.name)}
    if not files:
        raise DataError(f"{folder} holds no s01.dat; expected DEAP's preprocessed Python files. Give their folder.")
    return files


def _trials(subject: str, path: Path, shown: pd.DataFrame, problems: list[Problem] | None) -> tuple[Trial, ...]:
    content = load_pickle(path)
    data, ratings = _arrays(path, content)
    starts = _starts(subject, path, shown, len(data), data.shape[2] / RATE_HZ, problems)
    familiarity = _familiarity(shown, subject)
    trials: list[Trial] = []
    for i, values in enumerate(data):
        name = f"v{i + 1:02d}"
        rows = as_samples(path, f"data[{i}]", values, ROWS)
        labels: dict[str, Label] = {}
        for target, value in zip(RATINGS, ratings[i], strict=True):
            told = rating(path, f"{target} of trial {i + 1}", float(value), 1, 9)
            if told is not None:
                labels[target] = told
        if i + 1 in familiarity:
            labels["familiarity"] = familiarity[i + 1]
        first = round(BASELINE_S * RATE_HZ)
        start_s, video_s, stop_s = starts[i], starts[i] + BASELINE_S, starts[i] + rows.shape[1] / RATE_HZ
        rest = _signals(rows[:, :first], start_s)
        trials.append(Trial(subject, "only", f"{name}-baseline", start_s, video_s, rest, {}, name, "baseline"))
        trials.append(Trial(subject, "only", name, video_s, stop_s, _signals(rows[:, first:], video_s), labels, name))
    return in_order(path, trials, 0.1)


def _arrays(path: Path, content: Any) -> tuple[Any, Any]:
    if not isinstance(content, dict):
        raise FileError(path, f"a {type(content).__name__}; expected a dict with data and labels. {AGAIN}")
    data, labels = (content.get(name, content.get(name.encode())) for name in ("data", "labels"))
    shortest = int(BASELINE_S * RATE_HZ)
    if not isinstance(data, np.ndarray) or data.ndim != 3 or data.shape[1] != ROWS or data.shape[2] <= shortest:
        shape = data.shape if isinstance(data, np.ndarray) else None
        raise FileError(path, f"data of shape {shape}; expected (40, {ROWS}, 8064). {AGAIN}")
    flat = as_numbers(path, "labels", labels)
    if flat.size != len(data) * len(RATINGS):
        raise FileError(path, f"{flat.size} ratings for {len(data)} trials; expected {len(RATINGS)} each. {AGAIN}")
    return data, flat.reshape(len(data), len(RATINGS))  # (trials x 4,) -> (trials, 4)


def _signals(rows: FloatArray, start_s: float) -> dict[str, Signal]:
    signals: dict[str, Signal] = {}
    first = 0
    for name, (channels, unit) in LAYOUT.items():
        signals[name] = Signal(rows[first : first + len(channels)], RATE_HZ, channels, unit, start_s)
        first += len(channels)
    return signals


def _read_ratings(root: Path, problems: list[Problem] | None) -> pd.DataFrame:
    places = (root, root / "metadata_csv", root.parent, root.parent / "metadata_csv")
    path = next((p / RATINGS_FILE for p in places if (p / RATINGS_FILE).is_file()), None)
    if path is None:
        note(
            problems,
            root / RATINGS_FILE,
            "no such file; trials are in the order of the video numbers, not as they were shown, and elapsed time "
            "means nothing (get metadata_csv.zip of DEAP)",
        )
        return pd.DataFrame()
    columns = ("Participant_id", "Trial", "Experiment_id", "Start_time")
    table = read_table(path, columns, numbers=columns)
    for column in columns:
        odd = ~np.isfinite(table[column].to_numpy())
        if odd.any():
            raise FileError(path, f"line {int(odd.argmax()) + 2}: no {column}; expected a number. Correct the line.")
    if "Familiarity" in table.columns:
        table["Familiarity"] = number_column(path, table, "Familiarity")
    return table


def _starts(
    subject: str, path: Path, shown: pd.DataFrame, trials: int, length_s: float, problems: list[Problem] | None
) -> list[float]:
    """When each trial (baseline included) begins: the logged time of its video, or one after the other."""
    one_by_one = [i * length_s for i in range(trials)]
    if shown.empty:
        return one_by_one
    mine = shown[shown["Participant_id"] == int(subject[1:])].sort_values("Trial")
    videos = mine["Experiment_id"].astype(int).tolist()
    if sorted(videos) != list(range(1, trials + 1)):
        note(problems, path, f"{RATINGS_FILE} does not list its {trials} videos; they follow each other by number")
        return one_by_one
    logged = (mine["Start_time"].to_numpy(np.float64) / 1e6 - BASELINE_S).tolist()  # microseconds
    if (np.diff(logged) < length_s - 0.1).any():
        note(problems, path, f"start times in {RATINGS_FILE} lie too close; trials follow each other as shown")
        logged = one_by_one
    by_video = dict(zip(videos, logged, strict=True))
    return [by_video[i + 1] for i in range(trials)]


def _familiarity(shown: pd.DataFrame, subject: str) -> dict[int, float]:
    if "Familiarity" not in shown.columns:
        return {}
    mine = shown[(shown["Participant_id"] == int(subject[1:])) & shown["Familiarity"].notna()]
    return dict(zip(mine["Experiment_id"].astype(int), mine["Familiarity"].astype(float), strict=True))
