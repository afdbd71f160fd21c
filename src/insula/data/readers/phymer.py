"""Reader of PhyMER (Pant et al. 2023): EPOC X EEG and E4 while people watch clips, seven emotions, Big Five.

The names of PhyMER's label files are not public. The reader therefore takes a labels table with documented columns,
which you write from the files you were given; everything else follows the published layout.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from insula.data.formats.empatica import E4_KINDS, worn
from insula.data.formats.request import Request
from insula.data.formats.sources import OpenFiles
from insula.data.formats.tables import (
    AGAIN,
    chosen,
    number_column,
    parse_numbers,
    read_bytes,
    read_table,
    require_folder,
    to_numbers,
    whole_lines,
)
from insula.data.info import DataInfo, FileError, Problem, collecting, note
from insula.data.readers.label_columns import read_labels
from insula.data.readers.order import in_order
from insula.errors import DataError, unknown_name
from insula.signals.recipe import Recipe
from insula.types import Label, Recording, Signal, Trial

INFO = DataInfo(
    name="phymer",
    title="PhyMER: EEG, wristband and personality while people watch emotional clips",
    licence="on request from the authors",
    where="on request from the authors (Chonnam National University)",
    targets={
        "emotion": "anger, disgust, fear, happy, neutral, sad or surprise",
        "arousal": "self-report, 1 to 9",
        "valence": "self-report, 1 to 9",
    },
    recipe=Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0, opening_s=0.0).only(("eeg", "eda", "bvp", "temp", "hr")),
    citation="Pant et al. 2023, PhyMER: Physiological dataset for multimodal emotion recognition, IEEE Access",
)

EMOTIONS = ("anger", "disgust", "fear", "happy", "neutral", "sad", "surprise")
RATINGS = ("arousal", "valence")
REQUIRED = ("subject", "video")
LABELS_HELP = (
    "a CSV with columns subject, video, emotion and if wanted arousal, valence (1 to 9), experiment (the id in the E4 "
    "file names; default subject + video), eeg (file inside Emotiv), session, start_s"
)
_E4_NAME = re.compile(r"^(?P<experiment>.+)_(?P<kind>EDA|BVP|TEMP|HR)_(?P<rate>[0-9.]+)\.csv$", re.IGNORECASE)


def read(
    root: Path,
    *,
    subjects: Collection[str] | None = None,
    problems: list[Problem] | None = None,
    labels: str | Path | None = None,
    personality: str | Path | None = None,
) -> list[Recording]:
    """Read trials (one clip each) listed in the labels table: ``labels``, else labels.csv in ``root``.

    Columns: ``subject``, ``video``, and at least one of ``emotion``, ``arousal``, ``valence``; optional ``experiment``
    (else subject + video, joined with nothing, ``_`` or ``-``), ``eeg`` (file inside Emotiv; else the .fif or .set
    named after the experiment), ``session`` (else ``only``), ``start_s`` (seconds on the session's clock; else
    clips follow each other in the table's order). The clip is the stimulus. Our choices where nothing is published:
    EEG and E4 start together; E4 files hold bare samples, with or without a header line or the E4's own two lines;
    traits are the number columns of ``personality`` (else the first CSV in Personality with a column ``subject``).
    """
    path = _labels_file(root, labels)
    recordings: list[Recording] = []
    with collecting(problems):
        table = _read_table(path)
        traits = _read_traits(root, personality, problems)
        targets = read_labels(table, [c for c in ("emotion", *RATINGS) if c in table.columns])
        eeg_files = _eeg_files(root / "Emotiv")
        for subject in chosen(subjects, set(table["subject"])):
            rows = table[table["subject"] == subject]
            for session in dict.fromkeys(rows["session"]):
                part = rows[rows["session"] == session]
                with collecting(problems):
                    trials = _trials(root, path, part, targets, eeg_files, problems)
                    provenance = {"data": INFO.name, "licence": INFO.licence, "files": f"{root}; {path}"}
                    recordings.append(Recording(subject, session, trials, traits.get(subject, {}), provenance))
    return recordings


def people(root: Path, *, labels: str | Path | None = None) -> list[str]:
    """Return the names of the people in the labels table."""
    return list(_read_table(_labels_file(root, labels))["subject"].unique())


def _labels_file(root: Path, labels: str | Path | None) -> Path:
    require_folder(root, "Emotiv, E4 and Personality of PhyMER")
    path = root / "labels.csv" if labels is None else Path(labels)
    if not path.exists():
        raise DataError(
            f"labels table {path} does not exist; expected {LABELS_HELP}. PhyMER's own label files have no public "
            "layout: write this table from them and give its path (labels=PATH)."
        )
    return path


def _read_table(path: Path) -> pd.DataFrame:
    table = read_table(path, REQUIRED)
    if not {"emotion", *RATINGS} & set(table.columns):
        raise FileError(path, f"no column emotion, arousal or valence; expected {LABELS_HELP}.")
    for column in ("session", "experiment", "eeg"):
        table[column] = table[column] if column in table.columns else ""
    for column in table.columns:
        table[column] = table[column].str.strip()
    table.loc[table["session"] == "", "session"] = "only"
    table["line"] = np.arange(len(table)) + 2
    twice = table.duplicated(["subject", "session", "video"]).to_numpy()
    if twice.any():
        row = table.iloc[int(twice.argmax())]
        raise FileError(
            path,
            f"line {row['line']}: trial {(row['subject'], row['session'], row['video'])} twice; expected each subject, "
            "session and video once. Remove one line.",
        )
    if "emotion" in table.columns:
        table["emotion"] = table["emotion"].str.lower()
        for line, emotion in zip(table["line"], table["emotion"], strict=True):
            if emotion and emotion not in EMOTIONS:
                raise FileError(path, f"line {line}: {unknown_name('emotion', emotion, EMOTIONS)}")
    for column in (c for c in RATINGS if c in table.columns):
        values = number_column(path, table, column)
        off = np.flatnonzero((values < 1) | (values > 9))
        if off.size:
            raise FileError(path, f"line {off[0] + 2}: {column} {values[off[0]]:g}; expected 1 to 9. Correct the cell.")
    return table


def _trials(
    root: Path,
    path: Path,
    rows: pd.DataFrame,
    targets: Sequence[Mapping[str, Label]],
    eeg_files: Mapping[str, Path],
    problems: list[Problem] | None,
) -> tuple[Trial, ...]:
    starts = number_column(path, rows, "start_s") if "start_s" in rows.columns else np.full(len(rows), np.nan)
    trials: list[Trial] = []
    clock_s = 0.0
    for (_, row), start in zip(rows.iterrows(), starts, strict=True):
        with collecting(problems):
            start_s = clock_s if np.isnan(start) else float(start)
            signals = _signals(root, path, row, start_s, eeg_files, problems)
            stop_s = max(s.start_s + s.duration_s for s in signals.values())
            labels = targets[int(row["line"]) - 2]
            if not labels:
                note(problems, path, f"line {row['line']}: no label; the trial is kept without one")
            trials.append(
                Trial(row["subject"], row["session"], row["video"], start_s, stop_s, signals, labels, row["video"])
            )
            clock_s = stop_s
    if not trials:
        raise FileError(path, f"no trial of {rows['subject'].iloc[0]} can be read; expected at least one.")
    return in_order(path, trials, 1.0)


def _signals(
    root: Path,
    path: Path,
    row: pd.Series[str],
    start_s: float,
    eeg_files: Mapping[str, Path],
    problems: list[Problem] | None,
) -> dict[str, Signal]:
    subject, video = row["subject"], row["video"]
    ids = [row["experiment"]] if row["experiment"] else [f"{subject}{join}{video}" for join in ("", "_", "-")]
    signals: dict[str, Signal] = {}
    file = root / "Emotiv" / row["eeg"] if row["eeg"] else next((eeg_files[i] for i in ids if i in eeg_files), None)
    if row["eeg"] and file is not None and not file.resolve().is_relative_to((root / "Emotiv").resolve()):
        raise FileError(path, f"line {row['line']}: eeg {row['eeg']!r} lies outside Emotiv; expected a file in it.")
    if file is None:
        note(problems, root / "Emotiv", f"no .fif or .set named {' or '.join(ids)}; the trial is read without eeg")
    elif not file.exists():
        raise FileError(file, f"no such file; expected the EEG of {subject}, video {video}. {AGAIN}")
    else:
        eeg = OpenFiles(problems).piece(Request(file, "eeg"), 0.0, None)
        signals["eeg"] = Signal(eeg.values, eeg.rate_hz, eeg.channels, eeg.unit, start_s)
    folder = root / "E4" / subject
    if not folder.resolve().is_relative_to((root / "E4").resolve()):
        raise FileError(path, f"line {row['line']}: subject {subject!r} lies outside E4; expected a folder in it.")
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _E4_NAME.match(file.name)
        if match and match["experiment"] in ids:
            name = match["kind"].lower()
            signals[name] = _e4_series(file, name, float(match["rate"]), start_s, problems)
    if not set(signals) - {"eeg"}:
        note(problems, folder, f"no E4 file named {' or '.join(ids)}_EDA_4.csv; the trial is read without E4")
    if not signals:
        raise FileError(
            path, f"line {row['line']}: no file of {' or '.join(ids)} in Emotiv or E4; expected at least one."
        )
    return signals


def _e4_series(file: Path, name: str, rate_hz: float, start_s: float, problems: list[Problem] | None) -> Signal:
    kind = E4_KINDS[name]
    if rate_hz != kind.rate_hz:
        raise FileError(
            file, f"rate {rate_hz:g} Hz in its name; expected {kind.rate_hz:g} Hz for {name}. Rename the file."
        )
    data = whole_lines(file, read_bytes(file), problems)
    first_line = 1
    if re.match(rb"\s*[\"A-Za-z]", data):  # a header line
        data, first_line = data.partition(b"\n")[2], 2
    values = parse_numbers(file, data, first_line=first_line, columns=1)
    if len(values) > 2 and values[0, 0] > 1e8 and values[1, 0] == rate_hz:  # the E4's own start time and rate
        values = values[2:]
    out = np.ascontiguousarray(values.T, np.float32)  # (samples, 1) -> (1, samples)
    return Signal(worn(out) if name == "eda" else out, rate_hz, kind.channels, kind.unit, start_s)


def _eeg_files(folder: Path) -> dict[str, Path]:
    """Map the name of each EEG file without suffix to the file; .fif wins over .set."""
    found: dict[str, Path] = {}
    for file in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if file.suffix.lower() in (".fif", ".set"):
            for name in (file.stem, file.stem.removesuffix("_raw"), file.stem.removesuffix("_eeg")):
                found.setdefault(name, file)
    return found


def _read_traits(
    root: Path, personality: str | Path | None, problems: list[Problem] | None
) -> dict[str, dict[str, float]]:
    files = [Path(personality)] if personality is not None else sorted((root / "Personality").glob("*.csv"))
    for file in files:
        table = read_table(file, ("subject",) if personality is not None else ())
        if "subject" not in table.columns:
            continue
        names = table["subject"].str.strip()
        numbers = table.drop(columns="subject").apply(to_numbers).dropna(axis=1, how="all")
        return {
            name: {str(c): float(v) for c, v in row.items() if np.isfinite(v)}
            for name, (_, row) in zip(names, numbers.iterrows(), strict=True)
        }
    note(problems, root / "Personality", "no CSV with a column subject; people are read without traits")
    return {}
