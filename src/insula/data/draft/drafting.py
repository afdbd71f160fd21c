"""A first manifest for a folder of recordings: everything is guessed from what lies there, and every guess is told."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from insula.data.draft.answers import join, names_trials, traits_of
from insula.data.draft.clock_columns import columns_of
from insula.data.draft.copies import copies
from insula.data.draft.diary import cut
from insula.data.draft.logs import tidy
from insula.data.draft.look import Look, look_at
from insula.data.draft.places import Place, places
from insula.data.draft.rows import COLUMNS, Piece, Row, free
from insula.data.draft.timing import aligned, compared
from insula.data.formats import gate
from insula.errors import DataError

OWN_FILES = ("manifest.csv", "manifest.xlsx", "people.csv", "people.xlsx", "manifest.reasons.txt")
MOST_FILES = 20_000


@dataclass(frozen=True)
class Draft:
    """What `draft` made: rows of the manifest, rows of the people table, reasons, what is not known, what was left out.

    ``reasons`` and ``unknown`` are sentences, ``left_out`` pairs of a file and why.
    """

    root: Path
    rows: tuple[Row, ...]
    people: tuple[Row, ...]
    reasons: tuple[str, ...]
    unknown: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]

    def manifest(self) -> str:
        """Return the manifest as CSV; columns that no row fills are left out."""
        return _csv(self.rows, [*COLUMNS, *self.labels], ("file", "modality", "subject", "trial"))

    def people_table(self) -> str:
        """Return the people table as CSV."""
        names = dict.fromkeys(name for row in self.people for name in row)
        return _csv(self.people, ["subject", *(n for n in names if n != "subject")], ("subject",))


def draft(root: Path, progress: Callable[[str, int, int], None] | None = None) -> Draft:
    """Look at every file of a folder and draft its manifest.

    Raises DataError for no folder and for one without a recording.
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder; expected one with recordings. Give the folder they lie in.")
    files = list(_files(root))
    looks: dict[str, Look] = {}
    with gate.opening(root):
        for i, path in enumerate(files):
            looks[path.relative_to(root).as_posix()] = look_at(path)
            if progress is not None:
                progress("looking at files", i + 1, len(files))
    signals = {name: look for name, look in looks.items() if look.kind == "signals"}
    if not signals:
        why = "; ".join(f"{name}: {look.why}" for name, look in list(looks.items())[:5]) or "it is empty"
        raise DataError(f"{root} holds no recording; expected some ({why}). See docs/own-data.md for what can be read.")
    again = copies(root, list(signals))
    signals = {name: look for name, look in signals.items() if name not in again}
    guess = places(root, list(signals))
    reasons: list[str] = [*guess.why]
    unknown: list[str] = []
    rows: list[Row] = []
    left_out = [(name, look.why) for name, look in looks.items() if look.kind == "left"]
    left_out += [
        (name, f"the same bytes as {first}; a copy would be trained on and tested") for name, first in again.items()
    ]
    left_out += [(name, why) for name, look in signals.items() for why in look.refused]
    logs = {name: look for name, look in looks.items() if look.kind == "events"}
    used: set[str] = set()
    for (subject, session), members in _sessions(guess.places, signals).items():
        made = _rows_of(subject, session, members, logs, guess.places, used, reasons, unknown, left_out)
        rows += made
    left_out += [(name, "its events belong to no recording here") for name in logs if name not in used]
    if not rows:
        raise DataError(
            f"{root}: no row of a manifest; expected recordings whose trials can be told. {'; '.join(unknown)[:600]}."
        )
    people = sorted({row["subject"] for row in rows})
    tables = {
        name: look for name, look in looks.items() if look.kind in ("answers", "items") and look.table is not None
    }
    for name, look in tables.items():
        rows = _answered(name, look, rows, signals, people, reasons, unknown)
    traits = {name: traits_of(name, look, people, reasons, unknown) for name, look in tables.items()}
    told = [{"subject": p, **{k: v for t in traits.values() for k, v in t.get(p, {}).items()}} for p in people]
    labels = tuple(dict.fromkeys(key for row in rows for key in row if key not in COLUMNS))
    reasons += _of_files(signals)
    if not labels:
        unknown.append(
            "labels: nothing here says what was felt. Add a column to manifest.csv (say emotion) and fill it."
        )
    return Draft(root, tuple(rows), tuple(told), _once(reasons), _once(unknown), tuple(left_out), labels)


def _answered(
    name: str, look: Look, rows: list[Row], signals: Mapping[str, Look], people: list[str], reasons: list[str],
    unknown: list[str],
) -> list[Row]:  # fmt: skip
    """Add what a table of answers says: by trial, by clock times, or by person (traits, which are read elsewhere)."""
    if look.table is not None and not names_trials(look.table) and columns_of(look.table) is not None:
        return cut(name, look.table, rows, signals, reasons, unknown)
    return join(name, look, rows, people, reasons, unknown)


def _once(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lines))


def _files(root: Path) -> Iterator[Path]:
    found = 0
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(n for n in inner if not n.startswith((".", "__")) and n not in ("runs", "cleaned"))
        for name in sorted(names):
            if (
                name.startswith((".", "~$"))
                or name.lower() in OWN_FILES
                or name.lower().endswith((".fdt", ".eeg", ".vmrk"))
            ):
                continue
            found += 1
            if found > MOST_FILES:
                raise DataError(f"{root} holds more than {MOST_FILES:,} files; expected one study. Give its folder.")
            yield Path(folder) / name


def _sessions(
    told: Mapping[str, Place], signals: Mapping[str, Look]
) -> dict[tuple[str, str], list[tuple[str, Look, str]]]:
    out: dict[tuple[str, str], list[tuple[str, Look, str]]] = {}
    for name, look in signals.items():
        place = told[name]
        out.setdefault((place.subject, place.session), []).append((name, look, place.trial))
    return out


def _rows_of(
    subject: str, session: str, members: Sequence[tuple[str, Look, str]], logs: Mapping[str, Look],
    told: Mapping[str, Place], used: set[str], reasons: list[str], unknown: list[str], left_out: list[tuple[str, str]],
) -> list[Row]:  # fmt: skip
    """Make the rows of one session: trials by markers, by a log, by label columns, by names, or one of it all."""
    base = {"subject": subject, "session": session}
    single = _one_each(members, left_out)
    trials = list(dict.fromkeys(trial for *_, trial in members))
    log = next(
        ((n, v) for n, v in logs.items() if n not in used and _same_person(n, v, subject, session, told, logs)), None
    )
    if log is not None and len(trials) == 1:
        used.add(log[0])
        return aligned(base, single, log[0], log[1], reasons, unknown)
    if any(look.marks for _, look, _ in members):
        unknown += _drifting(single)
        return _by_marks(base, single, reasons, left_out)
    runs = [(name, look, piece) for name, look, piece, _ in single if look.runs]
    if runs:
        return _by_runs(base, single, runs[0][1].runs, reasons)
    rows = []
    for trial in trials:
        inside = [(name, look, piece) for name, look, piece, t in single if t == trial]
        rows += _whole(base, trial, inside, reasons)
    if len(trials) > 1:
        reasons.append(
            "label condition: the part of the name that tells trials apart; rename or delete the column if it is none"
        )
        return [row | {"condition": row["trial"]} for row in rows]
    return rows


def _one_each(
    members: Sequence[tuple[str, Look, str]], left_out: list[tuple[str, str]]
) -> list[tuple[str, Look, Piece, str]]:
    """Keep one file a trial and modality, the first by name, and tell the others."""
    seen: dict[tuple[str, str], str] = {}
    kept = []
    for name, look, trial in members:
        for piece in look.pieces:
            first = seen.setdefault((trial, piece.modality), name)
            if first == name:
                kept.append((name, look, piece, trial))
            else:
                left_out.append((name, f"{piece.modality} is in {first} already; one a trial can be used"))
    return kept


def _same_person(
    name: str, look: Look, subject: str, session: str, told: Mapping[str, Place], logs: Mapping[str, Look]
) -> bool:
    """Tell whether a log belongs to a person: its own column says so, or its path, or there is one of each."""
    said = look.log.person if look.log else ""
    people = {place.subject for place in told.values()}
    if said and (said == subject or said.lstrip("0") == subject.lower().strip("subjectpvn-_ ").lstrip("0")):
        again = look.log.session.lstrip("0") if look.log else ""
        digits = "".join(c for c in session if c.isdigit()).lstrip("0")
        return not digits or not again or again == digits
    words = {part.lower() for chunk in Path(name).with_suffix("").parts for part in (chunk, *chunk.split("_"))}
    if subject.lower() in words:
        return session == "only" or session.lower() in words
    return len(people) == 1 and len(logs) == 1 and not (said and said in people)


def _row(base: Row, name: str, piece: Piece, trial: str) -> Row:
    return {"file": name, **base, "trial": trial, **piece.cells()}


def _drifting(single: Sequence[tuple[str, Look, Piece, str]]) -> list[str]:
    """Say which files of a session, with the same markers on clocks of their own, drift from the first of them."""
    marked = {name: [m.start_s for m in look.marks] for name, look, *_ in single if look.marks}
    first, *others = marked
    said = []
    for other in others:
        clocks = compared(marked[first], marked[other])
        drift = "" if clocks is None else clocks.told(first, other)
        if drift:
            said.append(f"{drift}; each trial is cut by its file's own markers")
    return said


def _by_marks(
    base: Row, single: Sequence[tuple[str, Look, Piece, str]], reasons: list[str], left_out: list[tuple[str, str]]
) -> list[Row]:
    rows = []
    for name, look, piece, _ in single:
        if not look.marks:
            left_out.append((name, "has no markers, while other files of the session have; add it by clock time"))
        tags = piece.rate == "e4"
        for i, one in enumerate(look.marks):
            times = {"start": f"{one.start_s:.3f}", "stop": f"{one.start_s + one.length_s:.3f}"}
            told = {} if tags else {"annotation": one.text}
            rows.append(_row(base, name, piece, f"t{i + 1:02d}") | times | told)
        if look.marks:
            how = "from one press of the E4's button to the next (tags.csv)" if tags else "its markers and annotations"
            reasons.append(f"trials: {how}")
            reasons += (
                [] if tags else ["label annotation: the texts of markers; delete the column if they say nothing felt"]
            )
    return rows


def _by_runs(
    base: Row,
    single: Sequence[tuple[str, Look, Piece, str]],
    runs: Sequence[tuple[float, float, tuple[tuple[str, str], ...]]],
    reasons: list[str],
) -> list[Row]:
    columns = dict.fromkeys(column for *_, told in runs for column, _ in told)
    reasons.append(
        f"trials and labels: stretches over which {', '.join(columns)} of the tables stay the same, or from a single "
        "remark to the next"
    )
    rows = []
    for i, (start, stop, told) in enumerate(runs):
        for name, look, piece, _ in single:
            if look.runs:
                times = {"start": f"{start:g}", "stop": f"{min(stop, look.length_s or stop):g}"}
                rows.append(_row(base, name, piece, f"t{i + 1:02d}") | times | {free(tidy(c)): v for c, v in told})
    return rows


def _whole(base: Row, trial: str, inside: Sequence[tuple[str, Look, Piece]], reasons: list[str]) -> list[Row]:
    """Take whole files; those that begin at different times get the stretch that all of them have."""
    rows = [_row(base, name, piece, trial or "all") for name, _, piece in inside]
    begins = [look.begin_s for _, look, _ in inside]
    known = [b for b in begins if b is not None]
    if len(known) == len(begins) > 1 and np.ptp(known) > 0.5 and not any(look.of_day for _, look, _ in inside):
        start, stop = max(known), min(b + (look.length_s or 0) for b, (_, look, _) in zip(known, inside, strict=True))
        if stop > start:
            reasons.append(
                "start_time, stop_time: files of a trial begin at different times; the stretch all of them have"
            )
            times = {"start_time": utc(start), "stop_time": utc(stop)}
            return [row | times for row in rows]
    return rows


def utc(at_s: float) -> str:
    """Write unix seconds as a manifest may have them."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _of_files(signals: Mapping[str, Look]) -> list[str]:
    """Say how modalities, rates and units were told, once a kind."""
    kinds: Counter[str] = Counter()
    for look in signals.values():
        for piece in look.pieces:
            kinds[f"{piece.modality}: {look.why}, {piece.why}"] += 1
    said = [f"{what}{f' ({count} files)' if count > 1 else ''}" for what, count in kinds.most_common(12)]
    notes = Counter(note for look in signals.values() for note in look.notes)
    return [*said, *(f"{what}{f' ({count} files)' if count > 1 else ''}" for what, count in notes.most_common(10))]


def _csv(rows: Sequence[Row], columns: Sequence[str], always: Sequence[str]) -> str:
    kept = [c for c in columns if c in always or any(row.get(c) for row in rows)]
    out = io.StringIO()
    writer = csv.DictWriter(out, kept, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows([_plain(row) for row in rows])
    return out.getvalue()


def _plain(row: Row) -> Row:
    """Write a session that nothing told as an empty cell."""
    return {k: ("" if k == "session" and v == "only" else v) for k, v in row.items()}
