"""Reader of EEG-BIDS folders (Pernet et al. 2019): EEG runs with their events, physiology and participants.

Licence: that of the data set (dataset_description.json). Get it: https://openneuro.org and elsewhere.
Units: EEG, EOG, ECG and EMG in microvolts; other channels and physiology in the unit their sidecar names.
Source: Pernet et al. 2019, Scientific Data 6:103, doi:10.1038/s41597-019-0104-8; Gorgolewski et al. 2016.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insula.data.formats import guarded
from insula.data.formats.admission import by_values
from insula.data.formats.request import UNITS, Request
from insula.data.formats.sources import OpenFiles
from insula.data.formats.tables import (
    AGAIN,
    chosen,
    number_column,
    parse_numbers,
    read_bytes,
    require_folder,
    to_numbers,
)
from insula.data.info import DataInfo, FileError, Problem, collecting, note
from insula.data.readers.label_columns import read_labels
from insula.data.readers.order import in_order
from insula.errors import DataError
from insula.signals.recipe import Recipe
from insula.types import Recording, Signal, Trial

INFO = DataInfo(
    name="bids",
    title="A folder in EEG-BIDS form",
    licence="that of the data set",
    where="a folder with dataset_description.json, participants.tsv and sub-*/[ses-*/]eeg (openneuro.org has many)",
    targets={"trial_type": "of the events", "(other columns of events.tsv)": "text, or numbers as ratings"},
    recipe=Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0),
    citation="Pernet et al. 2019, Scientific Data 6:103, doi:10.1038/s41597-019-0104-8",
    own=True,
)

LIBRARY = "gzip"
EEG_SUFFIXES = (".vhdr", ".edf", ".bdf", ".set", ".fif")
CHANNEL_TYPES = {
    "EEG": "eeg", "EOG": "eog", "VEOG": "eog", "HEOG": "eog", "ECG": "ecg", "EMG": "emg", "GSR": "eda", "EDA": "eda",
    "RESP": "resp", "PPG": "ppg", "TEMP": "temp", "ACCEL": "acc",
}  # fmt: skip
"""Type in channels.tsv -> modality; other types are left out."""
PHYSIO_COLUMNS = {
    "cardiac": "bvp", "pulse": "bvp", "bvp": "bvp", "ppg": "ppg", "respiratory": "resp", "resp": "resp",
    "respiration": "resp", "eda": "eda", "gsr": "eda", "scr": "eda", "skin_conductance": "eda", "ecg": "ecg",
    "temperature": "temp", "temp": "temp", "hr": "hr", "heart_rate": "hr", "spo2": "spo2",
}  # fmt: skip
"""Column of a physio file (lower case) -> modality; other columns are left out."""
NO_LABELS = ("onset", "duration", "sample", "value", "response_time", "HED", "stim_file", "stimulus")
LARGEST_PHYSIO = 1 << 29
"""Bytes a physio file may unpack to."""
_RUN = re.compile(r"^(?P<stem>sub-[a-zA-Z0-9]+(_[a-z]+-[a-zA-Z0-9]+)*)_eeg(?P<suffix>\.[a-z]+)$")


def read(
    root: Path,
    *,
    subjects: Collection[str] | None = None,
    problems: list[Problem] | None = None,
    baseline: Collection[str] = ("baseline",),
) -> list[Recording]:
    """Read people (``sub-`` left out) with sessions (``ses-``; else ``only``); runs of a session follow each other.

    A trial is an event with a duration above 0; its columns besides those of BIDS itself are labels, ``stim_file`` or
    ``stimulus`` the stimulus, and a trial_type among ``baseline`` a baseline. A run without such events is one
    unlabelled trial. Traits are the columns of numbers of participants.tsv. Physiology (``_physio.tsv.gz``) of the
    same run is put on the run's clock by its StartTime.
    """
    folders = _folders(root)
    wanted = chosen(subjects, folders)
    traits: dict[str, dict[str, float]] = {}
    with collecting(problems):
        traits = _read_traits(root / "participants.tsv", problems)
    recordings: list[Recording] = []
    for subject in wanted:
        sessions = {d.name[4:]: d for d in sorted(folders[subject].glob("ses-*")) if d.is_dir()}
        for session, folder in (sessions or {"only": folders[subject]}).items():
            with collecting(problems):
                trials = _session(root, subject, session, folder, baseline, problems)
                provenance = {"data": INFO.name, "licence": INFO.licence, "files": str(folder)}
                recordings.append(Recording(subject, session, trials, traits.get(subject, {}), provenance))
    return recordings


def people(root: Path) -> list[str]:
    """Return the names of the people with a folder ``sub-*``."""
    return list(_folders(root))


def _folders(root: Path) -> dict[str, Path]:
    require_folder(root, "participants.tsv and sub-* of a BIDS data set")
    folders = {d.name[4:]: d for d in root.iterdir() if re.fullmatch(r"sub-[a-zA-Z0-9]+", d.name) and d.is_dir()}
    if not folders:
        raise DataError(f"{root} holds no folder sub-01; expected a BIDS data set. Give its top folder.")
    return folders


def _session(
    root: Path, subject: str, session: str, folder: Path, baseline: Collection[str], problems: list[Problem] | None
) -> tuple[Trial, ...]:
    place = folder / "eeg"
    runs = [
        (match["stem"], file)
        for file in (sorted(place.iterdir()) if place.is_dir() else [])
        if (match := _RUN.match(file.name)) and match["suffix"] in EEG_SUFFIXES
    ]
    if not runs:
        raise FileError(place, f"no run *_eeg with one of {' '.join(EEG_SUFFIXES)}; expected one. {AGAIN}")
    trials: list[Trial] = []
    clock_s = 0.0
    for stem, path in runs:
        with collecting(problems):
            signals = _run_signals(root, stem, path, problems)
            name = "_".join(part for part in stem.split("_") if not part.startswith(("sub-", "ses-"))) or "run"
            stop_s = max(s.start_s + s.duration_s for s in signals.values())
            events = place / f"{stem}_events.tsv"
            trials += _run_trials(subject, session, name, events, signals, stop_s, clock_s, baseline, problems)
            clock_s += stop_s
    if not trials:
        raise FileError(place, f"no run of {subject} can be read; expected one. {AGAIN}")
    return in_order(place, trials, 1e-3)


def _run_trials(
    subject: str,
    session: str,
    name: str,
    events: Path,
    signals: Mapping[str, Signal],
    stop_s: float,
    clock_s: float,
    baseline: Collection[str],
    problems: list[Problem] | None,
) -> list[Trial]:
    table = (
        _read_tsv(events, ("onset", "duration"))
        if events.exists()
        else pd.DataFrame({"onset": [], "duration": []}, dtype=str)
    )
    onset, duration = (number_column(events, table, c) for c in ("onset", "duration"))
    labels = read_labels(table, [str(c) for c in table.columns if c not in NO_LABELS])
    trials: list[Trial] = []
    for i in np.flatnonzero((duration > 0) & np.isfinite(onset)):
        begin, end = float(onset[i]), float(onset[i] + duration[i])
        if begin < 0 or end > stop_s + 1.0:
            raise FileError(
                events, f"line {i + 2}: event from {begin:g} to {end:g} s; expected within 0 to {stop_s:g}. {AGAIN}"
            )
        kept = {m: _moved(piece, clock_s) for m, s in signals.items() if (piece := s.crop(begin, end)).n_samples}
        told = dict(labels[i])
        stimulus = next((str(table[c].iloc[i]) for c in ("stim_file", "stimulus") if _filled(table, c, int(i))), None)
        is_baseline = told.get("trial_type") in baseline
        trials.append(
            Trial(
                subject,
                session,
                f"{name}-{i + 1:03d}",
                clock_s + begin,
                clock_s + end,
                kept,
                {} if is_baseline else told,
                stimulus,
                "baseline" if is_baseline else "trial",
            )
        )
    if not trials:
        note(problems, events, "no event with a duration; the run is kept as one unlabelled trial")
        moved = {m: _moved(s, clock_s) for m, s in signals.items()}
        trials.append(Trial(subject, session, name, clock_s, clock_s + stop_s, moved))
    return trials


def _moved(signal: Signal, by_s: float) -> Signal:
    return replace(signal, start_s=signal.start_s + by_s)


def _filled(table: pd.DataFrame, column: str, row: int) -> bool:
    return column in table.columns and str(table[column].iloc[row]).strip().lower() not in ("", "n/a", "nan")


def _run_signals(root: Path, stem: str, path: Path, problems: list[Problem] | None) -> dict[str, Signal]:
    files = OpenFiles(problems)
    raw = files.opened(path)
    by_modality: dict[str, list[str]] = {}
    units: dict[str, str] = {}
    channels = path.with_name(f"{stem}_channels.tsv")
    if channels.exists():
        table = _read_tsv(channels, ("name", "type"))
        for i, (name, kind) in enumerate(zip(table["name"], table["type"], strict=True)):
            modality = CHANNEL_TYPES.get(kind.strip().upper())
            if modality is not None and name in raw.names:
                by_modality.setdefault(modality, []).append(name)
                if _filled(table, "units", i):
                    units.setdefault(modality, table["units"].iloc[i].strip())
    else:
        note(problems, channels, "no such file; channel types are taken from the recording")
        for name, kind in zip(raw.names, raw.kinds, strict=True):
            if kind in ("eeg", "eog", "ecg", "emg"):
                by_modality.setdefault(kind, []).append(name)
    if not by_modality:
        raise FileError(path, f"no channel of a known type; expected some of {', '.join(CHANNEL_TYPES)}. {AGAIN}")
    signals = {
        modality: files.piece(Request(path, modality, tuple(names), unit=units.get(modality)), 0.0, None)
        for modality, names in by_modality.items()
    }
    for file in sorted(path.parent.glob(f"{stem}*_physio.tsv.gz")):
        for modality, signal in _physio(root, file, problems).items():
            if modality in signals:
                note(problems, file, f"{modality} is there twice; that of {path.name} is kept")
            else:
                signals[modality] = signal
    return signals


def _physio(root: Path, path: Path, problems: list[Problem] | None) -> dict[str, Signal]:
    side = _sidecar(root, path)
    rate, start_s, names = (
        _number(side.get("SamplingFrequency")),
        _number(side.get("StartTime", 0.0)),
        side.get("Columns"),
    )
    if rate is None or not rate > 0 or start_s is None or not isinstance(names, list):
        raise FileError(path, "sidecar without SamplingFrequency, StartTime or Columns; expected them. Complete it.")
    values = guarded.read("insula.data.readers.bids:physio_values", path, len(names))
    signals: dict[str, Signal] = {}
    for i, name in enumerate(str(n) for n in names):
        modality = PHYSIO_COLUMNS.get(name.lower())
        if modality is None or modality in signals:
            if name.lower() not in ("trigger", "time", "timestamp"):
                note(problems, path, f"column {name[:40]!r} is not used; known are {', '.join(PHYSIO_COLUMNS)}")
            continue
        refused = by_values({name: values[:, i]}, modality, "", sensors=True)
        if refused and not refused[0].masked:
            note(problems, path, f"no channels of {modality}: {refused[0]}")
            continue
        about = side.get(name)
        unit = about.get("Units") if isinstance(about, dict) else None
        with np.errstate(over="ignore"):
            row = np.ascontiguousarray(values[:, i], np.float32)[None, :]  # (samples,) -> (1, samples)
        row[~np.isfinite(row)] = np.nan
        unit = unit if isinstance(unit, str) else UNITS.get(modality, "a.u.")
        signals[modality] = Signal(row, rate, (name,), unit, start_s)
    return signals


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9
    return float(value) if good else None


def physio_values(path: Path, columns: int) -> Any:
    """Unpack and parse a physio file to (samples, columns); runs in the guarded child."""
    with gzip.open(path, "rb") as file:
        text = file.read(LARGEST_PHYSIO + 1)
    if len(text) > LARGEST_PHYSIO or b"\0" in text:
        raise FileError(path, f"no table of numbers within {LARGEST_PHYSIO >> 20} MB; expected one. {AGAIN}")
    return parse_numbers(path, text.replace(b"n/a", b"nan").replace(b"\t", b","), columns=columns)


def _sidecar(root: Path, path: Path) -> Mapping[str, Any]:
    """Return the JSON beside a file, else the one of its task in the data set's top folder."""
    beside = path.with_name(path.name.removesuffix(".tsv.gz") + ".json")
    task = next((part for part in path.name.split("_") if part.startswith("task-")), "task-")
    file = next((f for f in (beside, root / f"{task}_physio.json", root / "physio.json") if f.exists()), beside)
    content = read_bytes(file)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FileError(file, f"not JSON ({str(error)[:80]}). {AGAIN}") from None
    if not isinstance(found, dict):
        raise FileError(file, f"a {type(found).__name__}; expected a JSON object. {AGAIN}")
    return found


def _read_tsv(path: Path, required: Sequence[str]) -> pd.DataFrame:
    data = read_bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # lines longer than the header
            table = pd.read_csv(
                io.BytesIO(data), sep="\t", dtype=str, keep_default_na=False, index_col=False, quoting=3
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        raise FileError(path, f"not a table separated by tabs ({str(error).strip()[:100]}). {AGAIN}") from None
    table = table.fillna("")  # lines shorter than the header
    missing = [name for name in required if name not in table.columns]
    if missing:
        raise FileError(
            path, f"columns {', '.join(map(str, table.columns))[:200]}; expected {', '.join(required)}. {AGAIN}"
        )
    return table


def _read_traits(path: Path, problems: list[Problem] | None) -> dict[str, dict[str, float]]:
    if not path.exists():
        note(problems, path, "no such file; people are read without traits")
        return {}
    table = _read_tsv(path, ("participant_id",))
    names = table["participant_id"].str.strip().str.removeprefix("sub-")
    traits: dict[str, dict[str, float]] = {name: {} for name in names}
    for column in [str(c) for c in table.columns if c != "participant_id"]:
        values = to_numbers(table[column])
        for name, value in zip(names, values, strict=True):
            if np.isfinite(value):
                traits[name][column] = float(value)
    return traits
