"""Reader of your own files: a manifest lists the trials, an optional table the people."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from insula.data.formats.admission import answer
from insula.data.formats.column_names import unit
from insula.data.formats.mne_files import MNE_SUFFIXES
from insula.data.formats.request import VOLTAGES, Request
from insula.data.formats.sheets import read_sheet
from insula.data.formats.sources import CSV_SUFFIXES, FORMAT_SUFFIXES, FORMATS, OpenFiles
from insula.data.formats.tables import chosen, is_empty, number_column, to_numbers
from insula.data.info import DataInfo, FileError, Problem, collecting, note
from insula.data.readers.clock_times import When
from insula.data.readers.label_columns import read_labels
from insula.data.readers.manifest_rows import ManifestRow, note_zone, on_the_wall, placed
from insula.data.readers.order import in_order
from insula.errors import DataError, unknown_name
from insula.signals.recipe import Recipe
from insula.types import MODALITIES, Label, Recording, Role, Signal, Trial

INFO = DataInfo(
    name="manifest",
    title=f"Your own files ({' '.join((*MNE_SUFFIXES, *CSV_SUFFIXES, *FORMAT_SUFFIXES))}) listed in a manifest",
    licence="your own",
    where="a folder with manifest.csv (and people.csv), or the path of the manifest",
    targets={"(label columns)": "every column that is not one of the manifest's own"},
    recipe=Recipe(window_s=10.0, hop_s=5.0, guard_s=5.0, opening_s=0.0),
    version=2,
    own=True,
)

NUMBERS = ("start", "stop", "onset", "clock_offset")
LONGEST_NAME = 255
"""Bytes of a file's name on common file systems."""
REQUIRED = ("file", "modality", "subject", "trial")
NAMES = ("manifest.csv", "manifest.xlsx", "manifest.tsv", "manifest.txt")
PEOPLE = ("people.csv", "people.xlsx", "people.tsv", "people.txt")
"""What a manifest and a people table are called inside a folder."""
OWN_COLUMNS = (
    *REQUIRED, "session", "stimulus", "role", "start", "stop", "onset", "rate", "time", "unit", "channels", "format",
    "stream", "start_time", "stop_time", "zone", "clock_offset", "trials",
)  # fmt: skip
"""The manifest's own columns; every other column is a label."""


def read(
    root: Path,
    *,
    subjects: Collection[str] | None = None,
    problems: list[Problem] | None = None,
    people: str | Path | None = None,
) -> list[Recording]:
    """Read the trials a manifest lists, one row a trial and modality.

    Columns: ``file`` (inside the manifest's folder), ``modality``, ``subject``, ``trial``; and if wanted ``session``
    (else ``only``), ``stimulus``, ``role`` (trial or baseline), ``start`` and ``stop`` (seconds inside the file, else
    all of it), ``onset`` (seconds on the session's clock), ``rate`` (Hz; ``e4`` for native Empatica files), ``time``
    (name of the file's time column), ``unit`` (words will do), ``channels`` (names separated by ``;``), ``format``
    (export of a device), ``stream`` (in a .xdf of several). In place of seconds: ``start_time`` and ``stop_time``,
    clock times in ``zone`` on a device that is ``clock_offset`` seconds ahead; or ``trials`` = annotations, which makes
    a trial of each annotation of the file, its text the label ``annotation``. Every other column is a label; a column
    of numbers is a rating (say ``NAME:classes`` as the target to take its values as classes).

    Rows of equal subject, session and trial are one trial; its first row sets its time and the others start with it.
    Without ``onset`` the clock is that of the file when all first rows of a session name the same file, else that of
    the files where all of them know when they began, else trials follow each other in the manifest's order. EEG, EOG,
    ECG and EMG are in microvolts. Times, counters, constants and copies are never channels (see
    `insula.data.formats.admission`). The people table (``people``, else people.csv beside the manifest) has a column
    ``subject`` and one column of numbers a trait.
    """
    path = _manifest(root)
    recordings: list[Recording] = []
    with collecting(problems):
        table, first_line = _read_manifest(path, problems)
        traits = _read_people(path.parent, people, problems)
        rows = _rows(path, table, first_line, problems)
        _require_once(path, rows)
        note_zone(path, rows, problems)
        groups: dict[tuple[str, str], list[ManifestRow]] = {}
        for row in rows:
            groups.setdefault((row.subject, row.session), []).append(row)
        wanted = chosen(subjects, {subject for subject, _ in groups})
        for (subject, session), group in groups.items():
            if subject in wanted:
                with collecting(problems):
                    recordings.append(_recording(path, subject, session, group, traits.get(subject, {}), problems))
    return recordings


def people(root: Path) -> list[str]:
    """Return the names in the column ``subject``."""
    path = _manifest(root)
    return list(_read_manifest(path, None)[0]["subject"].str.strip().unique())


def _manifest(root: Path) -> Path:
    path = root
    if root.is_dir():
        path = next((p for name in NAMES if (p := root / name).exists()), root / NAMES[0])
    if not path.exists():
        raise DataError(
            f"manifest {path} does not exist; expected a CSV with columns {', '.join(REQUIRED)} and labels. "
            f"Draft one with `insula init {root}`, or give its path."
        )
    return path


def _read_manifest(path: Path, problems: list[Problem] | None) -> tuple[pd.DataFrame, int]:
    """Return the manifest as a text table with names in lower case where they are its own, and its first row's line."""
    sheet = read_sheet(path)
    for said in sheet.notes:
        note(problems, path, said)
    table = sheet.frame[[c for c in sheet.frame.columns if not c.startswith("Unnamed")]]
    own = {c: c.lower().replace(" ", "_") for c in table.columns if c.lower().replace(" ", "_") in OWN_COLUMNS}
    table = table.rename(columns=own)
    if "trials" in table.columns and "trial" not in table.columns:
        table = table.assign(trial="")
    missing = [c for c in REQUIRED if c not in table.columns]
    if missing:
        raise FileError(
            path,
            f"columns {', '.join(table.columns)}; expected {', '.join(REQUIRED)}. Add or rename {', '.join(missing)}.",
            columns=tuple(missing),
        )
    if table.columns.duplicated().any():
        raise FileError(path, f"column {table.columns[table.columns.duplicated()][0]!r} twice; expected each once.")
    return table, sheet.first_line


def _rows(
    path: Path, table: pd.DataFrame, first_line: int = 2, problems: list[Problem] | None = None
) -> list[ManifestRow]:
    targets = [str(c) for c in table.columns if c not in OWN_COLUMNS]
    for name in targets:
        if not re.fullmatch(r"[\w.-]+", name):
            raise FileError(
                path,
                f"label column {name!r}; expected letters, digits, '_', '.' or '-'. Rename the column.",
                columns=(name,),
            )
    respelled: list[str] = []
    labels = read_labels(table, targets, respelled)
    for said in respelled:
        note(problems, path, said)
    number = {c: number_column(path, table, c) for c in NUMBERS if c in table.columns}
    empty = pd.Series([""] * len(table), dtype=str)
    text = {c: (table[c].str.strip() if c in table.columns else empty).tolist() for c in OWN_COLUMNS}
    rows: list[ManifestRow] = []
    for i in range(len(table)):
        cell = {c: text[c][i] for c in OWN_COLUMNS}
        for column in REQUIRED:
            if not cell[column] and not (column == "trial" and cell["trials"]):
                raise FileError(
                    path, f"line {first_line + i}: no {column}; expected one. Fill the cell.", columns=(column,)
                )
        if cell["role"] not in ("", "trial", "baseline"):
            raise FileError(
                path,
                f"line {first_line + i}: {unknown_name('role', cell['role'], ('trial', 'baseline'))}",
                columns=("role",),
            )
        start, stop, onset, offset = (
            float(number[c][i]) if c in number and not np.isnan(number[c][i]) else None for c in NUMBERS
        )
        if cell["trials"].lower() not in ("", "annotations", "markers", "tags"):
            raise FileError(
                path,
                f"line {first_line + i}: trials {cell['trials']!r}; expected annotations or nothing.",
                columns=("trials",),
            )
        if (cell["start_time"] or cell["trials"]) and (start is not None or stop is not None):
            raise FileError(
                path,
                f"line {first_line + i}: start or stop beside {'trials' if cell['trials'] else 'start_time'}; expected "
                "one way to say when. Empty the others.",
            )
        start_s = start or 0.0
        if start_s < 0 or (stop is not None and stop <= start_s):
            raise FileError(
                path,
                f"line {first_line + i}: start {start_s:g}, stop {stop}; expected 0 <= start < stop.",
                columns=("start", "stop"),
            )
        rows.append(
            ManifestRow(
                first_line + i,
                cell["subject"],
                cell["session"] or "only",
                cell["trial"],
                cell["stimulus"] or None,
                cast(Role, cell["role"] or "trial"),
                _request(path, first_line + i, cell),
                start_s,
                stop,
                onset,
                labels[i],
                When(cell["start_time"], cell["stop_time"], cell["zone"], offset or 0.0)
                if cell["start_time"]
                else None,
                bool(cell["trials"]),
            )
        )
    return rows


def _request(path: Path, line: int, cell: Mapping[str, str]) -> Request:
    cell = {**cell, "modality": cell["modality"].lower().replace(" ", "_")}
    if cell["modality"] not in MODALITIES:
        raise FileError(
            path, f"line {line}: {unknown_name('modality', cell['modality'], MODALITIES)}", columns=("modality",)
        )
    folder = path.parent.resolve()
    if max(len(os.fsencode(part)) for part in cell["file"].split("/")) > LONGEST_NAME:
        raise FileError(
            path,
            f"line {line}: a file name of more than {LONGEST_NAME} bytes; expected at most that. Correct the cell.",
        )
    file = Path(os.path.realpath(folder / cell["file"]))
    if not file.is_relative_to(folder):
        raise FileError(
            path,
            f"line {line}: file {cell['file']!r} lies outside {folder}; expected a path inside the manifest's folder. "
            "Move the file or the manifest.",
            columns=("file",),
        )
    e4 = cell["rate"].lower() == "e4"
    rate = to_numbers([cell["rate"]])[0] if cell["rate"] and not e4 else None
    if rate is not None and not 0 < rate < np.inf:
        raise FileError(
            path,
            f"line {line}: rate {cell['rate']!r}; expected Hz above 0, or e4. Correct the cell.",
            columns=("rate",),
        )
    if cell["format"] and cell["format"].lower() not in FORMATS:
        raise FileError(path, f"line {line}: {unknown_name('format', cell['format'], FORMATS)}", columns=("format",))
    return Request(
        path.parent / cell["file"],
        cell["modality"],
        tuple(name.strip() for name in cell["channels"].split(";") if name.strip()),
        None if rate is None else float(rate),
        e4,
        cell["time"] or None,
        unit(cell["unit"]) if cell["unit"] and cell["modality"] not in VOLTAGES else cell["unit"] or None,
        cell["format"].lower() or None,
        cell["stream"] or None,
    )


def _recording(
    path: Path,
    subject: str,
    session: str,
    rows: Sequence[ManifestRow],
    traits: Mapping[str, float],
    problems: list[Problem] | None,
) -> Recording:
    files = OpenFiles(problems)
    if any(row.marked or row.when for row in rows):
        rows = [one for row in rows for one in placed(path, row, files, problems)]
        _require_once(path, rows)
    by_trial: dict[str, list[ManifestRow]] = {}
    for row in rows:
        by_trial.setdefault(row.trial, []).append(row)
    by_trial = on_the_wall(by_trial, files)
    known = [None if g[0].clock_s is None else g[0].clock_s - g[0].start_s for g in by_trial.values()]
    zero_s = min(at for at in known if at is not None) if known and None not in known else None  # the first file begins
    one_file = len({group[0].request.path for group in by_trial.values()}) == 1
    trials: list[Trial] = []
    clock_s = 0.0
    for group in by_trial.values():
        with collecting(problems):
            first = group[0]
            at = first.onset_s if first.onset_s is not None else first.start_s if one_file else clock_s
            if zero_s is not None and first.onset_s is None and first.clock_s is not None:
                at = first.clock_s - zero_s
            trial = _trial(path, group, at, files)
            trials.append(trial)
            clock_s = trial.stop_s
    if not trials:
        raise FileError(path, f"no trial of {subject} (session {session}) can be read; expected at least one.")
    if (leak := answer(trials)) is not None:
        modality, channel, label = leak
        raise FileError(
            path,
            f"channel {channel!r} of {modality} never changes within a trial and tells {label} of every one of "
            f"{subject} (session {session}); expected a signal. Name the other channels in the column channels.",
            columns=("channels",),
        )
    used = sorted({str(row.request.path) for row in rows})
    return Recording(
        subject,
        session,
        in_order(path, trials, 1e-3),
        traits,
        {"data": INFO.name, "files": "; ".join([str(path), *used])},
    )


def _require_once(path: Path, rows: Sequence[ManifestRow]) -> None:
    """Refuse a manifest that names one piece twice: nobody can tell which of them is meant."""
    seen: set[tuple[str, str, str, str]] = set()
    for row in rows:
        identity = (row.subject, row.session, row.trial, row.request.modality)
        if identity in seen:
            raise FileError(
                path,
                f"line {row.line}: trial {identity[:3]} has {identity[3]} twice; expected each identity and modality "
                "once. Give the trials different names.",
                columns=("trial",),
            )
        seen.add(identity)


def _trial(path: Path, rows: Sequence[ManifestRow], at_s: float, files: OpenFiles) -> Trial:
    """Join the rows of one trial; each row's start falls on ``at_s`` of the session's clock."""
    first = rows[0]
    signals: dict[str, Signal] = {}
    labels: dict[str, Label] = {}
    stop_s = at_s
    for row in rows:
        modality = row.request.modality
        for name, value in row.labels.items():
            if labels.setdefault(name, value) != value:
                raise FileError(
                    path,
                    f"line {row.line}: {name} {value!r} but {labels[name]!r} in another row of trial {row.trial}; "
                    "expected one label a trial. Correct one of them.",
                    columns=(name,),
                )
        if row.stimulus and first.stimulus and row.stimulus != first.stimulus:
            raise FileError(
                path,
                f"line {row.line}: stimulus {row.stimulus!r} but {first.stimulus!r} before; expected one.",
                columns=("stimulus",),
            )
        signal = files.piece(row.request, row.start_s, row.stop_s)
        shift = at_s - row.start_s
        times = None if signal.timestamps_s is None else signal.timestamps_s + shift
        signals[modality] = replace(signal, start_s=signal.start_s + shift, timestamps_s=times)
        end = signals[modality].start_s + signal.duration_s if row.stop_s is None else row.stop_s + shift
        stop_s = max(stop_s, end)
    return Trial(first.subject, first.session, first.trial, at_s, stop_s, signals, labels, first.stimulus, first.role)


def _read_people(
    folder: Path, people: str | Path | None, problems: list[Problem] | None
) -> dict[str, dict[str, float]]:
    path = next((p for n in PEOPLE if (p := folder / n).exists()), folder / PEOPLE[0])
    path = path if people is None else Path(people)
    if not path.exists():
        if people is not None:
            raise FileError(path, "no such people table; expected a CSV with subject and traits. Correct the path.")
        return {}
    sheet = read_sheet(path)
    for said in sheet.notes:
        note(problems, path, said)
    table = sheet.frame.rename(columns={c: "subject" for c in sheet.frame.columns if c.lower() == "subject"})
    table = table[[c for c in table.columns if not c.startswith("Unnamed")]]
    if "subject" not in table.columns:
        raise FileError(path, f"columns {', '.join(table.columns)}; expected subject. Add or rename subject.")
    names = table["subject"].str.strip()
    if names.duplicated().any():
        raise FileError(path, f"subject {names[names.duplicated()].iloc[0]!r} twice; expected each once.")
    traits: dict[str, dict[str, float]] = {name: {} for name in names}
    for column in [str(c) for c in table.columns if c != "subject"]:
        values = to_numbers(table[column])
        if (np.isnan(values) & ~is_empty(table[column])).any():
            note(problems, path, f"column {column!r} holds text; only numbers are traits, it was left out")
            continue
        for name, value in zip(names, values, strict=True):
            if np.isfinite(value):
                traits[name][column] = float(value)
    return traits
