"""Times in tables: which column is the clock, in what unit it counts, and which columns only count.

A clock or a counter among the channels tells a model when something happened; it would recognise the timetable. So
every such column is found, by its name and by being an arithmetic progression, and none is ever a signal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insula.data.formats.tables import is_empty, to_numbers
from insula.data.info import FileError
from insula.types import BoolArray, DoubleArray

FEWEST = 16
"""Rows from which on an arithmetic progression is no accident."""
_UNIX_S = (6e8, 4e9)
"""Unix seconds of 1989 to 2096."""
SCALES = {"seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9, "days": 86400.0}
_UNIT_NAMES = (
    ("nanoseconds", re.compile(r"(^|[^a-z])(ns|nanos|nanoseconds)[\])]?$|nanos$", re.I)),
    ("microseconds", re.compile(r"(^|[^a-z])(us|µs|μs|micros|microseconds)[\])]?$|micros$", re.I)),
    ("milliseconds", re.compile(r"(^|[^a-z])(ms|msec|millis|milliseconds)[\])]?$|(millis|ms)$", re.I)),
    ("seconds", re.compile(r"(^|[^a-z])(s|sec|secs|seconds)[\])]?$", re.I)),
    ("days", re.compile(r"datenum|(^|[^a-z])(days|serial)[\])]?$", re.I)),
)
_CLOCK_TIME = re.compile(r"\s*(\d{1,2}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?\s*([ap]m)?\s*", re.I)
SLOWEST_HZ = {
    "eeg": 32.0, "ecg": 32.0, "emg": 16.0, "bvp": 8.0, "ppg": 8.0, "eog": 16.0, "acc": 2.0,
    "resp": 2.0, "eda": 0.2, "temp": 0.05, "hr": 0.05, "audio": 1000.0,
}  # fmt: skip
"""Slower than this nobody records a modality: milliseconds taken for seconds look like it. (A row in whole minutes is
another matter: summaries by the minute.)"""


@dataclass(frozen=True)
class Clock:
    """A column of times: (rows,) float64 seconds, NaN where unknown, and in words how it counts."""

    name: str
    times_s: DoubleArray
    told: str


def progression(values: DoubleArray) -> str | None:
    """Say how a column of (rows,) numbers counts ("counts by 1", "rises like a clock"), or None for a signal.

    Counted are: equal steps, with gaps or wrapping around (sample counters of 8 bits); and values that rise at every
    row and stay within two steps of a straight line (a clock with jitter).
    """
    known = values[np.isfinite(values)]
    if known.size < FEWEST:
        return None
    steps = np.diff(known)
    repeated = float((steps == 0).mean())
    if repeated > 0.05 and (steps >= 0).all():  # a clock that stands still for some rows: whole seconds, packets
        changed = np.flatnonzero(np.r_[True, steps > 0])
        lengths = np.diff(changed)
        if changed.size >= FEWEST and lengths.max() <= 2 * np.median(lengths) + 1:
            return progression(known[changed])
        return None
    middle = float(np.median(steps))
    if middle == 0:
        return None
    near = np.abs(steps - middle) <= 1e-3 * abs(middle)
    if near.mean() >= 0.9:
        wraps = bool((np.sign(steps[~near]) == -np.sign(middle)).any())
        return f"counts by {abs(middle):.4g}{' and wraps around' if wraps else ''}"
    if known.size >= 2 * FEWEST and ((steps > 0).all() or (steps < 0).all()):
        ideal = np.linspace(known[0], known[-1], known.size)
        jitter = np.abs(steps - middle)
        if np.abs(known - ideal).max() <= max(2.0, 0.002 * known.size) * abs(middle) or (
            float(np.quantile(jitter, 0.8)) < 0.25 * abs(middle)
        ):
            return "rises like a clock"
    return None


def read_times(path: Path, cells: pd.Series[Any], name: str, rate_hz: float | None, modality: str) -> Clock:
    """Read a column as times: numbers of any unit (unix or not), dates, or times of day past midnight.

    The unit is taken from the name, from the size of unix times, from a stated rate, and last from what a modality can
    have; Raises FileError where none fits.
    """
    numbers = to_numbers(cells)
    if np.isfinite(numbers).mean() < 0.5:
        times, told = _dates(path, cells, name)
        return Clock(name, times, told)
    unit, unix = _unit(numbers, name, rate_hz, modality)
    scale = SCALES[unit]
    base = float(np.nanmin(numbers)) if unit == "days" else 0.0  # days lose microseconds as a sum
    return Clock(name, (numbers - base) * scale + base * scale, f"{'unix ' if unix else ''}{unit}")


def _unit(numbers: DoubleArray, name: str, rate_hz: float | None, modality: str) -> tuple[str, bool]:
    known = numbers[np.isfinite(numbers)]
    level = float(np.median(known))
    for unit in ("seconds", "milliseconds", "microseconds", "nanoseconds"):
        low, high = (x / SCALES[unit] for x in _UNIX_S)
        if low < level < high and (unit == "seconds" or not _named(name) or unit == _named(name)):
            return unit, True
    named = _named(name)
    if named is not None:
        return named, False
    different = np.unique(known)
    step = float(np.median(np.diff(different))) if different.size > 1 else 1.0
    if (40_000 < level < 60_000 or 710_000 < level < 780_000) and step < 1e-3:
        return "days", False
    units = ("seconds", "milliseconds", "microseconds", "nanoseconds")
    if rate_hz is not None:
        fitting = [u for u in units if abs(rate_hz * step * SCALES[u] - 1) < 0.05]
        return (fitting or ["seconds"])[0], False
    if 1 / step < SLOWEST_HZ.get(modality, 0.0) and step % 60:  # nobody records this so slowly: a smaller unit
        for unit in units[1:]:
            if SLOWEST_HZ[modality] <= 1 / (step * SCALES[unit]) <= 50_000 and step != 1:
                return unit, False
    return "seconds", False


def _named(name: str) -> str | None:
    return next((unit for unit, pattern in _UNIT_NAMES if pattern.search(name.strip())), None)


def _dates(path: Path, cells: pd.Series[Any], name: str) -> tuple[DoubleArray, str]:
    filled = cells[~is_empty(cells)]
    first = str(filled.iloc[0]) if len(filled) else ""
    if _CLOCK_TIME.fullmatch(first):
        return _day_times(cells), "times of day"
    text = cells.str.strip().str.replace(r"\s*\[[^\]]*\]$", "", regex=True)  # zone names in brackets
    stamps = pd.to_datetime(text, errors="coerce", format="ISO8601", utc=True)
    told = "dates"
    if not stamps.notna().any():
        for day_first in (False, True):  # 4/12/2016 7:21:00 AM; 12.04.2016 07:21:00
            day_first = day_first or "." in first.partition(" ")[0]
            tried = _other_dates(text, day_first)
            if tried.notna().mean() > 0.5 and (tried.dropna().diff().dropna() >= pd.Timedelta(0)).all():
                stamps, told = tried, f"dates, {'day' if day_first else 'month'} first"
                break
    if not stamps.notna().any():
        raise FileError(path, f"column {name!r} holds {first!r}; expected seconds or dates. Name another column.")
    origin = pd.Timestamp("1970-01-01", tz="UTC")
    return np.asarray((stamps - origin) / pd.Timedelta(seconds=1), dtype=np.float64), told


def _other_dates(text: pd.Series[Any], day_first: bool) -> pd.Series[Any]:
    filled = text[~is_empty(text)]
    first = str(filled.iloc[0]) if len(filled) else ""
    order = "%d{0}%m{0}%Y" if day_first else "%m{0}%d{0}%Y"
    mark = next((c for c in "./-" if c in first.split()[0]), "/") if first else "/"
    for clock in ("%I:%M:%S %p", "%H:%M:%S.%f", "%H:%M:%S", "%I:%M %p", "%H:%M"):
        tried = pd.to_datetime(text, errors="coerce", format=f"{order.format(mark)} {clock}", utc=True)
        if tried.notna().any():
            return tried
    return pd.to_datetime(text, errors="coerce", format=order.format(mark), utc=True)


def _day_times(cells: pd.Series[Any]) -> DoubleArray:
    """Seconds of the day; a jump back by more than half a day is midnight."""
    out = np.full(len(cells), np.nan)
    for i, cell in enumerate(cells):
        found = _CLOCK_TIME.fullmatch(str(cell))
        if found:
            hour = int(found[1]) % 12 + (12 if found[4].lower() == "pm" else 0) if found[4] else int(found[1])
            out[i] = 3600 * hour + 60 * int(found[2]) + float((found[3] or "0").replace(",", "."))
    known = np.flatnonzero(np.isfinite(out))
    days = np.cumsum(np.r_[0, np.diff(out[known]) < -43_200])
    out[known] += 86_400.0 * days
    return out


def on_their_days(clock: Clock, days: Clock) -> Clock | None:
    """Put times of day on the dates of another column; None where that one does not hold whole days."""
    if not days.told.startswith("dates") or (days.times_s[np.isfinite(days.times_s)] % 86_400.0).any():
        return None
    told = clock.told.replace("times of day", f"{days.told}, of column {days.name!r}, and times of day")
    return Clock(clock.name, days.times_s + clock.times_s % 86_400.0, told)


def usual_step_s(times_s: DoubleArray) -> float:
    """Return the usual time from row to row: the middle one, or the mean where stamps were rounded to a coarse grid."""
    steps = np.diff(np.unique(times_s))
    middle = float(np.median(steps))
    mean = float(steps.mean())
    longest = float(steps.max())
    rounded = longest < 1.5 * middle and np.unique(np.round(steps / middle, 3)).size <= 3
    return mean if rounded and abs(mean / middle - 1) > 1e-3 else middle


def spread(times_s: DoubleArray, known: BoolArray) -> DoubleArray:
    """Spread rows that share a stamp evenly up to the next one: whole seconds, packets. Other rows keep their time."""
    out = times_s.copy()
    rows = np.flatnonzero(known)
    times = times_s[rows]
    if not times.size or (np.diff(times) < 0).any():
        return out
    first = np.flatnonzero(np.r_[True, np.diff(times) > 0])
    counts = np.diff(np.r_[first, times.size])
    if counts.max() < 2 or first.size < 2:
        return out
    usual = float(np.median(np.diff(times[first]))) / float(np.median(counts))
    gaps = np.diff(np.r_[times[first], times[first[-1]] + usual * counts[-1]])
    # a first or last stamp may hold a part of its rows only; a gap is no reason to stretch the rows before it
    step = np.minimum(gaps / counts, np.where(counts == np.median(counts), gaps / counts, usual))
    offset = np.arange(times.size) - np.repeat(first, counts)
    late = np.zeros(first.size)
    late[0] = max(0.0, gaps[0] - counts[0] * usual) if counts[0] < np.median(counts) else 0.0
    out[rows] = times + offset * np.repeat(np.minimum(step, 1.5 * usual), counts) + np.repeat(late, counts)
    return out
