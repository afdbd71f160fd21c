"""What one file of a folder is: signals of which modalities, a log of events, answers, items of questionnaires."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from insula.data.draft.clock_columns import columns_of
from insula.data.draft.logs import EventLog, read_log
from insula.data.draft.rows import Piece
from insula.data.formats import column_names as names
from insula.data.formats.clocks import progression
from insula.data.formats.empatica import E4_KINDS, IBI_FILE
from insula.data.formats.markers import TAGS, Marker, moments, read_markers, stretches
from insula.data.formats.mne_files import MNE_SUFFIXES, open_mne
from insula.data.formats.request import Request
from insula.data.formats.sheets import EXCEL_SUFFIXES, Sheet, parse_sheet, read_sheet
from insula.data.formats.sources import OpenFiles
from insula.data.formats.tables import is_empty, read_bytes, to_numbers
from insula.data.formats.xdf import TYPES, overview
from insula.data.info import FileError, Problem
from insula.data.questionnaires import recognise
from insula.errors import InsulaError

TEXT_SUFFIXES = (".csv", ".txt", ".tsv")
_HEAD_BYTES = 1 << 17
_MNE_MODALITIES = {
    "eeg": "eeg",
    "eog": "eog",
    "ecg": "ecg",
    "emg": "emg",
    "resp": "resp",
    "gsr": "eda",
    "temperature": "temp",
}
_EMBRACE = ("eda", "bvp", "temp", "acc")
PERSON = (
    "subject", "subjects", "participant", "participants", "person", "persons", "people", "pid", "vp", "vpn", "proband",
    "probandin", "code", "subj", "sub", "name", "participant_id", "subject_id", "subject_nr", "subjectid",
    "participantid", "teilnehmer", "teilnehmerin", "versuchsperson", "vp_nr", "vpnr", "patient",
)  # fmt: skip
"""Columns that say whose row it is (lower case)."""
_CLEAR_RUNS = 200
"""A label column with more runs than this is no list of trials."""


@dataclass(frozen=True)
class Look:
    """What a file turned out to be; ``kind``: signals, events, answers, items, used (by others) or left (out)."""

    path: Path
    kind: str
    why: str = ""
    pieces: tuple[Piece, ...] = ()
    begin_s: float | None = None
    of_day: bool = False
    length_s: float | None = None
    marks: tuple[Marker, ...] = ()
    runs: tuple[tuple[float, float, tuple[tuple[str, str], ...]], ...] = ()
    notes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    table: pd.DataFrame | None = None
    log: EventLog | None = None


def look_at(path: Path) -> Look:
    """Say what a file is; one that cannot be read is left out with the reason."""
    suffix = path.suffix.lower()
    try:
        if suffix in MNE_SUFFIXES:
            return _mne(path)
        if suffix in (".xdf", ".xdfz"):
            return _xdf(path)
        if suffix == ".avro":
            pieces = tuple(Piece(m, "an EmbracePlus file holds it") for m in _EMBRACE)
            return _measured(Look(path, "signals", "Empatica EmbracePlus", pieces))
        if suffix in EXCEL_SUFFIXES:
            return _table(path, read_sheet(path))
        if suffix in TEXT_SUFFIXES:
            return _text(path)
    except InsulaError as error:
        return Look(path, "left", str(error).removeprefix(f"{path}: ").split("; expected")[0])
    return Look(path, "left", f"{suffix or 'no suffix'}: no format that insula reads")


def _mne(path: Path) -> Look:
    problems: list[Problem] = []
    file = open_mne(path, problems)
    by_modality: dict[str, list[str]] = {}
    for name, kind in zip(file.names, file.kinds, strict=True):
        said = names.kind(name)
        modality = (
            said
            if (said and said in names.CONVERSIONS) or said in ("ecg", "emg", "eog", "resp", "hr", "bvp", "ppg")
            else ""
        )
        modality = modality or ("" if said in NOT_SIGNALS else _MNE_MODALITIES.get(kind, ""))
        if modality:
            by_modality.setdefault(modality, []).append(name)
    pieces = tuple(
        Piece(
            m,
            f"{len(c)} channels, {', '.join(c[:3])}{' ...' if len(c) > 3 else ''}",
            channels="" if m == "eeg" and len(by_modality) == 1 else ";".join(c),
        )
        for m, c in by_modality.items()
    )
    notes = (*(p.what for p in problems), *_remarks(Request(path, "eeg")))
    why = f"{path.suffix.lower()[1:].upper()}, {file.rate_hz:g} Hz"
    length = file.n_samples / file.rate_hz
    return Look(
        path, "signals" if pieces else "left", why if pieces else "no channel of a known kind", pieces,
        file.begin_unix_s, False, length, _marks(Request(path, "eeg"), None, length), notes=notes,
    )  # fmt: skip


NOT_SIGNALS = (names.TIME, names.COUNTER, names.LABEL, names.DEVICE)


def _xdf(path: Path) -> Look:
    pieces: list[Piece] = []
    for stream in overview(path):
        kind = stream["type"].lower()
        modality = next((m for m, t in TYPES.items() if kind in (m, t)), names.kind(stream["name"]))
        if modality and modality not in NOT_SIGNALS and modality not in [p.modality for p in pieces]:
            pieces.append(Piece(modality, f"stream {stream['name']!r} of type {stream['type']}", stream=stream["name"]))
    if not pieces:
        return Look(path, "left", "no stream of a known type")
    found = _measured(Look(path, "signals", "XDF", tuple(pieces)))
    return replace(found, marks=_marks(Request(path, "eeg"), None, found.length_s or 0.0))


def _marks(request: Request, begin_s: float | None, length_s: float) -> tuple[Marker, ...]:
    """Return the stretches that a file's markers make; none where it has none."""
    try:
        return tuple(stretches(read_markers(request, begin_s, None), length_s))
    except FileError:
        return ()


def _remarks(request: Request) -> tuple[str, ...]:
    try:
        left = moments(read_markers(request, None, None))
    except FileError:
        return ()
    return (f"annotations without a length are no trials here (such as {left[0].text!r})",) if left else ()


def _text(path: Path) -> Look:
    if path.name.lower() == TAGS:
        return Look(path, "used", "button presses of an E4")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"LogFrame Start" in head:
        log = read_log(path, None)
        if log is not None:
            return Look(path, "events", log.program, log=log)
        return _table(path, parse_sheet(path, read_bytes(path)))
    first = to_numbers(head.split(b"\n", 1)[0].decode("latin-1").split(","))
    stem = path.stem.upper()
    native = {kind.file.removesuffix(".csv"): m for m, kind in E4_KINDS.items()}
    if 6e8 < first[0] < 4e9:
        if path.name == IBI_FILE:
            return Look(path, "left", "beats of an E4 are read by `--data e4` only")
        modality = next((m for n, m in native.items() if stem.endswith(n)), None)
        if modality:
            piece = Piece(modality, "a native E4 file: start time and rate above the samples", rate="e4")
            return _measured(Look(path, "signals", "Empatica E4", (piece,)))
    short = path.stat().st_size <= _HEAD_BYTES
    return _table(path, parse_sheet(path, read_bytes(path) if short else head[: head.rfind(b"\n") + 1]))


def _table(path: Path, sheet: Sheet) -> Look:
    frame = sheet.frame
    log = read_log(path, sheet)
    if log is not None:
        return Look(path, "events", log.program, log=log, notes=sheet.notes)
    found = recognise([str(c) for c in frame.columns])
    if found:
        return Look(path, "items", f"items of {', '.join(found)}", notes=sheet.notes, table=frame)
    if any(str(c).strip().lower() in PERSON for c in frame.columns) and not _counts(frame):
        return Look(path, "answers", "a table with a column of people", notes=sheet.notes, table=frame)
    if columns_of(frame) is not None and not _counts(frame):
        return Look(path, "answers", "a table of clock times", notes=sheet.notes, table=frame)
    return _signals(path, sheet)


def _counts(frame: pd.DataFrame) -> bool:
    """Tell whether some column is a clock."""
    for name in frame.columns:
        if names.kind(str(name)) in (names.TIME, ""):
            numbers = to_numbers(frame[name].head(2000))
            if np.isfinite(numbers).mean() > 0.9 and progression(numbers) is not None:
                return True
    return False


def _signals(path: Path, sheet: Sheet) -> Look:
    frame = sheet.frame
    kinds = {str(c): names.kind(str(c)) for c in frame.columns}
    numeric = [c for c in kinds if np.isfinite(to_numbers(frame[c].head(200))[~is_empty(frame[c].head(200))]).all()]
    told = list(dict.fromkeys(kinds[c] for c in numeric if kinds[c] and kinds[c] not in NOT_SIGNALS))
    by_name = by_file_name(path)
    unsaid = [c for c in numeric if not kinds[c]]
    pieces = [
        Piece(m, f"columns {', '.join(c for c in numeric if kinds[c] == m)[:60]}") for m in told if m != "eeg_power"
    ]
    if by_name and by_name not in told and (unsaid or (not pieces and len(numeric) == 1)):
        pieces.append(Piece(by_name, f"the file's name; columns {', '.join(unsaid)[:60]}"))
    if not pieces or len(frame) < 16:
        return Look(
            path, "left", "a table without a column of a known modality" if len(frame) >= 16 else "fewer than 16 rows"
        )
    pieces = [replace(p, format=_format(kinds)) if p.modality == "eeg" and "RAW_TP9" in kinds else p for p in pieces]
    return _measured(Look(path, "signals", "a table", tuple(pieces), notes=sheet.notes))


def _format(kinds: dict[str, str]) -> str:
    return "muse" if "TimeStamp" in kinds else ""


def by_file_name(path: Path) -> str:
    """Return the modality that a file's name tells (``empatica_bvp.csv``), or ""."""
    for word in reversed(names.words(path.stem)):
        found = names.kind(word)
        if found and found not in NOT_SIGNALS and not re.fullmatch(r"[a-z]{1,2}\d+", word):
            return found
    return ""


def _measured(look: Look) -> Look:
    """Read a file once: when it begins, how long it is, what was told about its columns, and its label runs."""
    problems: list[Problem] = []
    files = OpenFiles(problems)
    kept: list[Piece] = []
    unitless: list[Piece] = []
    begin: tuple[float, bool] | None = None
    length: float | None = None
    refused: list[str] = []
    for piece in look.pieces:
        request = Request(
            look.path, piece.modality, e4=piece.rate == "e4", stream=piece.stream or None, format=piece.format or None
        )
        try:
            here = files.length_s(request)
            begin = begin or files.begin(request)
            length = here if length is None else min(length, here)
            kept.append(piece)
        except FileError as error:
            why = error.what
            if "no rate and no time column" in why:
                why = "no clock in the file and no rate: fill the column rate"
                kept.append(piece)
            if "name it in the column unit" in why:
                unitless.append(piece)
            refused.append(f"{piece.modality}: {why}")
    notes = (*look.notes, *dict.fromkeys(p.what for p in problems if not p.what.startswith("no channels")))
    kept = kept or unitless  # a row to say the unit in
    if not kept:
        return replace(look, kind="left", why="; ".join(refused), pieces=())
    runs = _runs(look.path, length) if look.path.suffix.lower() in TEXT_SUFFIXES and kept[0].rate != "e4" else ()
    marks: tuple[Marker, ...] = ()
    if kept[0].rate == "e4" and begin is not None:
        marks = _marks(Request(look.path, kept[0].modality, e4=True), begin[0], length or 0.0)
    return replace(
        look, marks=marks, pieces=tuple(kept), begin_s=None if begin is None else begin[0],
        of_day=bool(begin and begin[1]), length_s=length, notes=notes, runs=runs, refused=tuple(refused),
    )  # fmt: skip


def _runs(path: Path, length_s: float | None) -> tuple[tuple[float, float, tuple[tuple[str, str], ...]], ...]:
    """Return stretches over which the label columns of a table stay: (start_s, stop_s, ((column, value), ...))."""
    frame = parse_sheet(path, read_bytes(path)).frame
    columns = [str(c) for c in frame.columns if names.kind(str(c)) == names.LABEL and frame[c].nunique() > 1]
    columns = [c for c in columns if str(c).lower() not in PERSON and progression(to_numbers(frame[c])) is None]
    if not columns or length_s is None:
        return ()
    changed = np.flatnonzero((frame[columns] != frame[columns].shift()).any(axis=1).to_numpy())
    if changed.size > _CLEAR_RUNS:
        return ()
    ends = [*changed[1:], len(frame)]
    scale = length_s / len(frame)
    empty = is_empty(frame[columns[0]]) if len(columns) == 1 else np.zeros(len(frame), bool)
    if empty.mean() > 0.95:  # remarks in single rows: each is about what follows, until the next one
        changed = np.flatnonzero(~empty)
        ends = [*changed[1:], len(frame)]
    made = []
    for first, last in zip(changed, ends, strict=True):
        told = tuple((c, str(frame[c].iloc[first]).strip()) for c in columns if str(frame[c].iloc[first]).strip())
        if told:
            made.append((round(first * scale, 3), round(last * scale, 3), told))
    return tuple(made)
