"""Diaries: tables of who felt what from when to when, by clock times, put on the recordings they lie in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from insula.data.draft.answers import Key, naming, persons_column
from insula.data.draft.clock_columns import DAY_S, Columns, clock, columns_of
from insula.data.draft.logs import tidy
from insula.data.draft.look import Look
from insula.data.draft.rows import Row, free
from insula.data.formats import column_names as names
from insula.data.formats.tables import is_empty, to_numbers

HOURS = [h / 2 for h in range(-24, 29)]
Span = tuple[str, Row, float, float]
"""Whose file (a key), its row, and when it begins and ends on its clock."""


@dataclass(frozen=True)
class Entry:
    """One line: whose (as written, and as a key), when on a clock of no known zone, labels.

    Times are seconds since 1970, or of a day where ``of_day``; ``stop_s`` None: the line says none.
    """

    line: int
    whose: str
    person: str
    start_s: float
    stop_s: float | None
    of_day: bool
    labels: tuple[tuple[str, str], ...]


def cut(
    name: str, table: pd.DataFrame, rows: Sequence[Row], signals: Mapping[str, Look], reasons: list[str],
    unknown: list[str],
) -> list[Row]:  # fmt: skip
    """Make a row of every entry of a diary and file it lies in, in place of that file's whole row.

    The clock's zone is the one by which most entries lie in recordings of their person; that it was guessed is told,
    and that several fit is among what is not known. Entries that overlap, repeat, or lie in no recording are told.
    """
    columns = columns_of(table)
    if columns is None:
        return list(rows)
    whole = [row for row in rows if row["trial"] in ("all", "") and "start" not in row]
    spanned = [(row, *_span(signals[row["file"]])) for row in whole if signals[row["file"]].begin_s is not None]
    if not spanned:
        unknown.append(f"{name}: it has clock times, and no whole recording here knows when it began; it was left out")
        return list(rows)
    people = sorted({row["subject"] for row in whole})
    key = naming(people)
    entries = _single(name, _entries(name, table, columns, people, key), unknown)
    spans = [(key(row["subject"]), row, begin, stop) for row, begin, stop in spanned]
    here = {key(p) for p in people}
    strangers = sorted({e.whose for e in entries if e.person not in here})
    if strangers:
        unknown.append(f"{name}: nobody here is called {', '.join(strangers[:5])}; their lines were left out")
    known = [e for e in entries if e.person in here]
    hours = _zone(name, known, spans, reasons, unknown)
    made: list[Row] = []
    used: set[int] = set()
    outside = 0
    for number, entry in enumerate(known):
        inside = [(span[1], times) for span in spans if (times := _within(entry, span, hours))]
        outside += not inside
        used |= {id(row) for row, _ in inside}
        made += [row | times | {"trial": f"d{number + 1:03d}"} | dict(entry.labels) for row, times in inside]
    if outside:
        unknown.append(f"{name}: {outside} of {len(known)} lines lie in no recording of their person; left out")
    if not made:
        return list(rows)
    labels = list(dict.fromkeys(label for e in known for label, _ in e.labels))
    reasons.append(f"trials and labels {', '.join(labels)}: lines of {name} by {', '.join(columns.times)}")
    for row in made:
        row.pop("start_time", None)
        row.pop("stop_time", None)
    return [row for row in rows if id(row) not in used] + made


def _span(look: Look) -> tuple[float, float]:
    begin = look.begin_s or 0.0
    return begin, begin + (look.length_s or 0.0)


def _entries(name: str, table: pd.DataFrame, columns: Columns, people: Sequence[str], key: Key) -> list[Entry]:
    person = persons_column(table, people)
    fixed = "" if person else _person_of_path(name, people)
    day = None if columns.day is None else table[columns.day].astype(str)
    start, of_day = clock(table[columns.start].astype(str), day)
    stop = np.full(len(table), np.nan)
    if columns.stop is not None:
        stop = clock(table[columns.stop].astype(str), day)[0]
        stop = np.where(stop < start, stop + DAY_S, stop)  # past midnight
    elif columns.length is not None:
        minutes = {"min", "mins", "minutes", "minuten"} & set(names.words(columns.length.replace("(", " ")))
        stop = start + to_numbers(table[columns.length]) * (60.0 if minutes else 1.0)
    labels = [c for c in map(str, table.columns) if c not in (*columns.times, person) and not is_empty(table[c]).all()]
    made = []
    for i in np.flatnonzero(np.isfinite(start)):
        said = tuple((free(tidy(c)), str(table[c].iloc[i]).strip()) for c in labels)
        whose = str(table[person].iloc[i]).strip() if person else fixed
        ends = float(stop[i]) if np.isfinite(stop[i]) and stop[i] > start[i] else None
        made.append(Entry(int(i) + 2, whose, key(whose), float(start[i]), ends, of_day, said))
    return sorted(made, key=lambda e: (e.person, e.start_s))


def _person_of_path(name: str, people: Sequence[str]) -> str:
    parts = {part.lower() for chunk in PurePosixPath(name).with_suffix("").parts for part in (chunk, *chunk.split("_"))}
    found = [p for p in people if p.lower() in parts]
    return found[0] if len(found) == 1 else people[0] if len(people) == 1 else ""


def _single(name: str, entries: Sequence[Entry], unknown: list[str]) -> list[Entry]:
    """Let lines without an end last until the person's next one; leave out repeated and overlapping ones, and tell."""
    kept: list[Entry] = []
    for i, entry in enumerate(entries):
        before = kept[-1] if kept and kept[-1].person == entry.person else None
        if before and (before.start_s, before.stop_s, before.labels) == (entry.start_s, entry.stop_s, entry.labels):
            unknown.append(f"{name}: line {entry.line} says what line {before.line} says; it was left out")
            continue
        if before and before.stop_s is not None and entry.start_s < before.stop_s - 1e-3:
            unknown.append(f"{name}: line {entry.line} begins before line {before.line} ends; it was left out")
            continue
        if entry.stop_s is None:
            later = next((e.start_s for e in entries[i + 1 :] if e.person == entry.person), None)
            until = "the recording's end" if later is None else "the next line"
            unknown.append(f"{name}: line {entry.line} has no end; taken to last until {until}")
            stop = np.inf if later is None else later
            entry = replace(entry, stop_s=stop)
        kept.append(entry)
    return kept


def _zone(name: str, entries: Sequence[Entry], spans: Sequence[Span], reasons: list[str], unknown: list[str]) -> float:
    """Return how many hours the diary's clock is ahead of the recordings' (UTC for unix times)."""
    fits: Counter[float] = Counter()
    for hours in HOURS:
        fits[hours] = sum(any(_within(e, span, hours) for span in spans) for e in entries)
    most = max(fits.values())
    best = sorted((h for h, count in fits.items() if count == most), key=abs)
    if not most or 0.0 in best:
        if most and len(best) > 1:
            unknown.append(
                f"{name}: its clock names no zone; taken as that of the recordings (UTC where those have unix times), "
                f"and {len(best) - 1} other zones would fit as well. Check it, or name a zone in its times"
            )
        return 0.0
    more = f"; {len(best) - 1} other zones would fit as well: check it" if len(best) > 1 else ""
    (unknown if more else reasons).append(
        f"{name}: its clock is {best[0]:+g} h off the recordings'; by that {most} of {len(entries)} lines lie in one"
        f"{more}"
    )
    return best[0]


def _within(entry: Entry, span: Span, hours: float) -> Row | None:
    """Return start and stop of an entry in seconds of a file, or None where it does not lie in it."""
    person, _, begin_s, end_s = span
    if entry.person != person:
        return None
    at = entry.start_s - 3600 * hours
    if entry.of_day and begin_s > DAY_S:
        at += np.floor(begin_s / DAY_S) * DAY_S
        at += DAY_S * (at < begin_s - 1.0) - DAY_S * (at >= begin_s - 1.0 + DAY_S)
    if not begin_s - 1e-3 <= at < end_s:
        return None
    stop = min(end_s, at + ((entry.stop_s or np.inf) - entry.start_s))
    return {"start": f"{max(0.0, at - begin_s):.3f}", "stop": f"{stop - begin_s:.3f}"}
