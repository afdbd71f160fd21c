"""Clock times of a manifest (``start_time``) on the clock of their file: zones, days, devices that are off."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from insula.data.formats.tables import to_numbers
from insula.errors import InputError

_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?\s*([ap]m)?", re.I)
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?")
_ZONED = re.compile(r"(?:Z|UTC|GMT|:\d\d(?:\.\d+)?\s*[+-]\d\d(?::?\d\d)?)$", re.I)
DAY_S = 86_400.0


@dataclass(frozen=True)
class When:
    """Clock times of one row; ``offset_s`` is how far the file's device is ahead of the clock they were read from."""

    start: str
    stop: str = ""
    zone: str = ""
    offset_s: float = 0.0

    @property
    def told_zone(self) -> bool:
        """Whether the zone is known: by its column, by the time itself, or because unix seconds have none."""
        return bool(self.zone or np.isfinite(to_numbers([self.start])[0]) or _ZONED.search(self.start.strip()))


@dataclass(frozen=True)
class Begin:
    """When a file's first sample was: unix seconds, or seconds of a day where the file knows no date."""

    at_s: float
    of_day: bool = False


def located(when: When, begin: Begin) -> tuple[float, float | None, float]:
    """Return start and stop in seconds of the file, and the start in seconds of the common clock.

    Raises InputError for what is no time or no zone.
    """
    start = _clock(when.start, when.zone, begin)
    stop = _clock(when.stop, when.zone, begin) if when.stop else None
    if stop is not None and stop < start:
        stop += DAY_S  # past midnight
    moved = when.offset_s - begin.at_s
    return start + moved, None if stop is None else stop + moved, start


def zone_of(name: str) -> tzinfo:
    """Return a zone: ``Europe/Berlin``, ``+01:00``, ``UTC``; empty is UTC."""
    if not name or name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    fixed = _OFFSET.fullmatch(name.strip())
    if fixed:
        ahead = timedelta(hours=int(fixed[2]), minutes=int(fixed[3] or 0))
        return timezone(ahead if fixed[1] == "+" else -ahead)
    try:
        return ZoneInfo(name.strip())
    except (KeyError, ValueError, OSError):
        raise InputError(f"zone {name!r}; expected one like Europe/Berlin or +01:00. Correct the cell.") from None


def _clock(text: str, zone: str, begin: Begin) -> float:
    cell = text.strip()
    number = to_numbers([cell])[0]
    if np.isfinite(number):
        return float(number / 1e3 if number > 1e11 else number)  # unix milliseconds
    of_day = _OF_DAY.fullmatch(cell)
    if of_day:
        return _on_the_day(_seconds(of_day), zone, begin)
    stamp = pd.to_datetime(cell, errors="coerce")
    if not isinstance(stamp, pd.Timestamp):
        raise InputError(
            f"{text!r} is no time; expected 10:03:20, 2026-03-01 10:03:20, one with a zone (+01:00), or unix seconds. "
            "Correct the cell."
        )
    if begin.of_day:
        return float(stamp.hour * 3600 + stamp.minute * 60 + stamp.second + stamp.microsecond / 1e6)
    aware = stamp if stamp.tzinfo is not None else stamp.tz_localize(zone_of(zone))
    return float(aware.timestamp())


def _seconds(found: re.Match[str]) -> float:
    hour = int(found[1])
    if found[4]:
        hour = hour % 12 + (12 if found[4].lower() == "pm" else 0)
    return 3600.0 * hour + 60 * int(found[2]) + float((found[3] or "0").replace(",", "."))


def _on_the_day(seconds: float, zone: str, begin: Begin) -> float:
    """Put a time of day on the day the file began (or the next one, past midnight)."""
    if begin.of_day:
        return seconds if seconds >= begin.at_s - 3600 else seconds + DAY_S
    local = datetime.fromtimestamp(begin.at_s, zone_of(zone))
    at = local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() + seconds
    return at if at >= begin.at_s - 3600 else at + DAY_S
