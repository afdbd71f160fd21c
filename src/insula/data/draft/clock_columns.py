"""Which columns of a table say when: clock times, days, lengths, as people write them into spreadsheets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from insula.data.formats import column_names as names
from insula.data.formats.tables import to_numbers
from insula.types import DoubleArray

_START = frozenset(("start", "begin", "beginn", "onset", "von", "from", "started", "anfang", "debut", "inicio"))
_STOP = frozenset(("end", "ende", "stop", "offset", "bis", "until", "to", "ended", "fin", "finish"))
_LENGTH = frozenset(("duration", "dauer", "length", "lasted"))
_DAY = frozenset(("date", "datum", "day", "tag", "fecha"))
DAY_S = 86_400.0
MOST_COLUMNS = 12


@dataclass(frozen=True)
class Columns:
    """Which columns say when: ``start``; ``stop`` or ``length``, and the day of both, where there are any."""

    start: str
    stop: str | None
    length: str | None
    day: str | None

    @property
    def times(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(c for c in (self.start, self.stop, self.length, self.day) if c is not None)


def columns_of(table: pd.DataFrame) -> Columns | None:
    """Find the columns that say when; None for a table that is no diary.

    A diary has clock times of beginnings. A questionnaire of many columns that says when it was filled in is none.
    """
    if len(table.columns) > MOST_COLUMNS:
        return None
    found: dict[str, str] = {}
    for column in map(str, table.columns):
        told = set(names.words(column))
        for kind, known in (("stop", _STOP), ("start", _START), ("length", _LENGTH), ("day", _DAY)):
            if told & known:
                found.setdefault(kind, column)
                break
    start = found.get("start")
    if start is None or not np.isfinite(clock(table[start].astype(str), None)[0]).any():
        return None
    return Columns(start, found.get("stop"), found.get("length"), found.get("day"))


def clock(cells: pd.Series[str], day: pd.Series[str] | None) -> tuple[DoubleArray, bool]:
    """Read clock times as (rows,) seconds: unix, dates (as if UTC), or of a day (True) where nothing names the day."""
    text = cells.str.strip()
    numbers = to_numbers(text)
    if (numbers[np.isfinite(numbers)] > 6e8).any():
        return np.where(numbers > 1e11, numbers / 1e3, numbers), False
    of_day = text.str.fullmatch(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?")
    spans = pd.to_timedelta(
        text.where(of_day).str.replace(",", ".", regex=False).str.replace(r"^(\d{1,2}:\d{2})$", r"\1:00", regex=True)
    )
    if of_day.any():
        seconds: DoubleArray = np.asarray(spans.dt.total_seconds(), dtype=np.float64)
        return (seconds, True) if day is None else (seconds + np.floor(_dates(day) / DAY_S) * DAY_S, False)
    return _dates(text), False


def _dates(text: pd.Series[str]) -> DoubleArray:
    """Read dates as seconds since 1970, as if in UTC; a zone in the text counts. Dots: the day comes first."""
    dotted = text.str.contains(r"^\s*\d{1,2}\.\d{1,2}\.\d{4}", regex=True).any()
    stamps = pd.to_datetime(text, errors="coerce", utc=True, dayfirst=bool(dotted), format="mixed")
    origin = pd.Timestamp("1970-01-01", tz="UTC")
    return np.asarray((stamps - origin) / pd.Timedelta(seconds=1), dtype=np.float64)
