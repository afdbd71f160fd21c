"""Logs of experiments: PsychoPy, OpenSesame, E-Prime, and plain tables of onsets, as events with labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from insula.data.formats.column_names import words
from insula.data.formats.sheets import Sheet
from insula.data.formats.tables import EMPTY, is_empty, to_numbers

_TECHNICAL = re.compile(
    r"\.(rt|started|stopped|x|y|leftbutton|midbutton|rightbutton|time|clicked_name|thisn|thisrepn|thistrialn|thisindex|ran|"
    r"order|keys|corr|history)$|^(date|expname|psychopyversion|framerate|expstart|participant|session|os|thisrow.*|"
    r"notes|opensesame.*|experiment.*|canvas.*|description|live_row.*|repeat_cycle|round_.*|sound_.*|title|width|height|"
    r"subject.*|start.*|time_.*|count_.*|datetime|logfile|psychopy.*|avg_rt|acc|accuracy|average_response_time|"
    r"total_.*|clock.*|font_.*|foreground|background|fullscreen|form_.*|color_backend|mouse_backend|keyboard_backend|"
    r"sampler_backend|compensation|bidi|coordinates|disable_garbage_collection|empty_column|tracker.*|procedure|running|"
    r"sample|.*\.(onsettime|onsetdelay|durationerror|offsettime|finishtime|acc|cresp|rttime|duration|actiontime))$",
    re.I,
)
_EPRIME_LINE = re.compile(r"^\s*([^:]+?):\s?(.*)$")


@dataclass(frozen=True)
class Event:
    """One event: seconds on the log's clock, length in seconds (None: until the next), labels."""

    start_s: float
    length_s: float | None
    labels: Mapping[str, str]


@dataclass(frozen=True)
class EventLog:
    """Events of a person's run; ``begin`` is the log's zero on a wall clock (naive: no zone told), if it says so."""

    program: str
    events: tuple[Event, ...]
    person: str = ""
    session: str = ""
    begin: datetime | None = None
    why: str = ""


def read_log(path: Path, sheet: Sheet | None) -> EventLog | None:
    """Return the events of a log, or None for a table that is none. ``sheet`` None: a text of E-Prime."""
    if sheet is None:
        return _eprime(path)
    frame = sheet.frame
    lower = {str(c).strip().lower(): str(c) for c in frame.columns}
    if "psychopyversion" in lower or any(c.endswith(".started") for c in lower):
        return _psychopy(frame, lower)
    if any(c.startswith("opensesame") for c in lower) or (
        "subject_nr" in lower and any(c.startswith("time_") for c in lower)
    ):
        return _opensesame(frame, lower)
    if "onset" in lower and "duration" in lower:
        return _onsets(frame, lower)
    return None


def _psychopy(frame: pd.DataFrame, lower: Mapping[str, str]) -> EventLog | None:
    starts = [c for c in frame.columns if str(c).lower().endswith(".started")]
    counts = {c: int(np.isfinite(to_numbers(frame[c])).sum()) for c in starts}
    if not counts or max(counts.values()) < 1:
        return None
    labels = _labels(frame)
    varied = {c: n for c, n in counts.items() if n >= 0.8 * max(counts.values())}
    column = max(varied, key=lambda c: (varied[c], -starts.index(c)))
    stop = lower.get(str(column).lower().replace(".started", ".stopped"))
    events = _events(to_numbers(frame[column]), None if stop is None else to_numbers(frame[stop]), frame, labels)
    begin = _date(frame, lower, ("expstart", "date"))
    return EventLog(
        "PsychoPy",
        events,
        _first(frame, lower, "participant"),
        _first(frame, lower, "session"),
        begin,
        f"column {column!r}",
    )


def _opensesame(frame: pd.DataFrame, lower: Mapping[str, str]) -> EventLog | None:
    times = [c for c in frame.columns if str(c).lower().startswith("time_") and np.isfinite(to_numbers(frame[c])).any()]
    if not times:
        return None
    column = max(times, key=lambda c: (pd.Series(to_numbers(frame[c])).nunique(), -times.index(c)))
    events = _events(to_numbers(frame[column]) / 1e3, None, frame, _labels(frame))
    begin = _date(frame, lower, ("datetime",))
    return EventLog(
        "OpenSesame", events, _first(frame, lower, "subject_nr"), "", begin, f"column {column!r}, milliseconds"
    )


def _onsets(frame: pd.DataFrame, lower: Mapping[str, str]) -> EventLog | None:
    start, length = to_numbers(frame[lower["onset"]]), to_numbers(frame[lower["duration"]])
    labels = [
        c for c in frame.columns if str(c).lower() not in ("onset", "duration", "sample") and frame[c].nunique() > 1
    ]
    events = _events(start, start + length, frame, [c for c in labels if not is_empty(frame[c]).all()])
    return EventLog("a table of onsets", events, why="columns onset and duration") if events else None


def _labels(frame: pd.DataFrame) -> list[str]:
    """Columns with something to tell apart: neither technical nor the same in every row nor different in each."""
    kept = []
    for name in frame.columns:
        filled = frame[name][~is_empty(frame[name])]
        numeric = bool(np.isfinite(to_numbers(filled)).all())
        many = filled.nunique() > max(2, 0.8 * len(filled)) and not str(name).lower().endswith((".response", "rating"))
        if (
            len(filled) < 2
            or filled.nunique() < 2
            or _TECHNICAL.search(str(name))
            or (many and not (numeric and filled.nunique() <= 11))
        ):
            continue
        kept.append(str(name))
    return kept


def _events(
    start_s: np.ndarray, stop_s: np.ndarray | None, frame: pd.DataFrame, labels: list[str]
) -> tuple[Event, ...]:
    made: list[Event] = []
    for i in np.flatnonzero(np.isfinite(start_s)):
        length = (
            None
            if stop_s is None or not np.isfinite(stop_s[i]) or stop_s[i] <= start_s[i]
            else float(stop_s[i] - start_s[i])
        )
        told = {tidy(n): t for n in labels if (t := str(frame[n].iloc[i]).strip()) and t.lower() not in EMPTY}
        made.append(Event(float(start_s[i]), length, told))
    return tuple(sorted(made, key=lambda e: e.start_s))


def tidy(name: str) -> str:
    """Turn a column's name into one a manifest may have: letters, digits, ``_``."""
    return "_".join(words(name)) or "label"


def _first(frame: pd.DataFrame, lower: Mapping[str, str], name: str) -> str:
    if name not in lower:
        return ""
    filled = frame[lower[name]][~is_empty(frame[lower[name]])]
    return str(filled.iloc[0]).strip() if len(filled) else ""


def _date(frame: pd.DataFrame, lower: Mapping[str, str], names: tuple[str, ...]) -> datetime | None:
    for name in names:
        text = _first(frame, lower, name)
        if not text:
            continue
        plain = re.sub(r"(\d{4}-\d\d-\d\d)[_ ](\d{1,2})h(\d{2})\.(\d{2})", r"\1 \2:\3:\4", text)
        stamp = pd.to_datetime(plain, errors="coerce")
        if isinstance(stamp, pd.Timestamp):
            return stamp.to_pydatetime()
    return None


def _eprime(path: Path) -> EventLog | None:
    data = path.read_bytes()[: 1 << 26]
    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", errors="replace")
    head: dict[str, str] = {}
    frames: list[dict[str, str]] = []
    inside: dict[str, str] | None = None
    for line in text.splitlines():
        if "LogFrame Start" in line:
            inside = {}
        elif "LogFrame End" in line and inside is not None:
            frames.append(inside)
            inside = None
        elif match := _EPRIME_LINE.match(line):
            (head if inside is None else inside)[match[1].strip()] = match[2].strip()
    if not frames:
        return None
    frame = pd.DataFrame(frames).fillna("").astype(str)
    onsets = [c for c in frame.columns if c.endswith(".OnsetTime") and np.isfinite(to_numbers(frame[c])).any()]
    if not onsets:
        return None
    column = max(onsets, key=lambda c: (int(np.isfinite(to_numbers(frame[c])).sum()), -onsets.index(c)))
    begin = pd.to_datetime(
        head.get("SessionStartDateTimeUtc") or f"{head.get('SessionDate')} {head.get('SessionTime')}", errors="coerce"
    )
    stamp = begin.to_pydatetime() if isinstance(begin, pd.Timestamp) else None
    events = _events(to_numbers(frame[column]) / 1e3, None, frame, _labels(frame))
    return EventLog(
        "E-Prime", events, head.get("Subject", ""), head.get("Session", ""), stamp, f"{column}, milliseconds"
    )
