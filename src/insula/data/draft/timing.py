"""Events of a log on the clocks of the files they belong to; clocks that disagree are found and said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np

from insula.data.draft.logs import Event, EventLog
from insula.data.draft.look import Look
from insula.data.draft.rows import Piece, free

HOURS = [h / 2 for h in range(-24, 29)]
SLACK_S = 5.0
"""Events may lie this much outside a file before its clock is doubted."""
MOST_DRIFT = 0.01
"""Two clocks that differ by more than this share in speed did not time the same events."""
SCATTER_S = 0.2
"""The same events lie at most so far from a straight line between two clocks."""
TOLD_DRIFT_S = 0.05
"""Drift over a recording from which on it is told."""
Member = tuple[str, Look, Piece, str]


@dataclass(frozen=True)
class Clocks:
    """How one clock tells another's seconds: ``rate`` of its own seconds and ``offset_s``, by ``events`` both timed."""

    rate: float
    offset_s: float
    events: int
    drift_s: float

    def told(self, first: str, second: str) -> str:
        """Say the drift in words, nothing where there is none worth it."""
        if abs(self.drift_s) < TOLD_DRIFT_S:
            return ""
        ahead, behind = (second, first) if self.drift_s > 0 else (first, second)
        return (
            f"the clocks drift: from the first to the last of {self.events} events {ahead} runs "
            f"{abs(self.drift_s):.2f} s away from {behind} ({abs(self.rate - 1) * 1e6:.0f} parts in a million)"
        )


def compared(first_s: Sequence[float], second_s: Sequence[float]) -> Clocks | None:
    """Compare two clocks by the same events on both (n seconds each); None where they are not the same events."""
    a, b = np.asarray(first_s, dtype=float), np.asarray(second_s, dtype=float)
    if len(a) != len(b) or len(a) < 3 or np.ptp(a) <= 0:
        return None
    rate = float(np.polyfit(a - a[0], b - b[0], 1)[0])
    offset = float(np.mean(b - rate * a))
    if abs(rate - 1) > MOST_DRIFT or np.abs(b - rate * a - offset).max() > SCATTER_S:
        return None
    return Clocks(rate, offset, len(a), (rate - 1) * float(np.ptp(a)))


def aligned(
    base: dict[str, str], members: Sequence[Member], log_name: str, look: Look, reasons: list[str], unknown: list[str]
) -> list[dict[str, str]]:
    """Make a row an event and modality.

    A log with a wall clock and files with one are compared: equal, or off by a whole number of half hours (a zone). A
    log without one is taken to begin with the recording, which nothing says: that is among what is not known.
    """
    log = look.log
    if log is None:
        return []
    reasons.append(f"trials and labels of {base['subject']}: {log.program} log {log_name}, {log.why}")
    events = [e for e in _lasting(log.events) if e.length_s]
    rows: list[dict[str, str]] = []
    for name, recording, piece, _ in members:
        length = recording.length_s or 0.0
        clocks = _clocks(events, recording, members)
        shift, said = _shift(log, events, recording, length) if clocks is None else (clocks.offset_s, _by_marks(clocks))
        rate = 1.0 if clocks is None else clocks.rate
        if clocks is not None and clocks.told("the log", "the recording"):
            unknown.append(f"{name}: {clocks.told('the log', 'the recording')}; corrected by its markers")
        if shift is None:
            unknown.append(f"{name}: {said}")
            continue
        (unknown if said.startswith("?") else reasons).append(f"{name}: {said.removeprefix('?').strip()}")
        left = 0
        for i, event in enumerate(events):
            start, stop = (rate * at + shift for at in (event.start_s, event.start_s + (event.length_s or 0.0)))
            if start < -1e-3 or start >= length:
                left += 1
                continue
            labels = {free(k): v for k, v in event.labels.items()}
            times = {"start": f"{max(0.0, start):.3f}", "stop": f"{min(stop, length):.3f}"}
            rows.append({"file": name, **base, "trial": f"t{i + 1:02d}", **piece.cells(), **times, **labels})
        if left:
            unknown.append(
                f"{name}: {left} of {len(events)} events of {log_name} lie outside the recording and were left out"
            )
    return rows


def _clocks(events: Sequence[Event], recording: Look, members: Sequence[Member]) -> Clocks | None:
    """Compare the log's clock with a file's, by the file's markers or by those of another file on the same clock."""
    starts = [e.start_s for e in events]
    own = compared(starts, [m.start_s for m in recording.marks])
    if own is not None or recording.begin_s is None or recording.of_day:
        return own
    for _, other, *_ in members:
        found = compared(starts, [m.start_s for m in other.marks])
        if found is not None and other.begin_s is not None and not other.of_day:
            return replace(found, offset_s=found.offset_s + other.begin_s - recording.begin_s)
    return None


def _by_marks(clocks: Clocks) -> str:
    return f"the log's {clocks.events} events are the recording's own markers"


def _lasting(events: Sequence[Event]) -> list[Event]:
    """Let events without a length last until the next one, the last one as long as the middle one of the others."""
    starts = [e.start_s for e in events]
    gaps = [b - a for a, b in pairwise(starts)]
    last = sorted(gaps)[len(gaps) // 2] if gaps else 0.0
    return [
        e if e.length_s is not None else Event(e.start_s, gap, e.labels)
        for e, gap in zip(events, [*gaps, last], strict=True)
    ]


def _shift(log: EventLog, events: Sequence[Event], recording: Look, length: float) -> tuple[float | None, str]:
    """Return what to add to the log's seconds to get the file's, and in words how that is known."""
    latest = max((e.start_s for e in events), default=0.0)
    if events and min(e.start_s for e in events) > 6e8 and recording.begin_s is not None and not recording.of_day:
        return -recording.begin_s, "the log has unix times, as the file has"
    if log.begin is None or recording.begin_s is None or recording.of_day:
        scale = " and its times fit the recording's length" if latest <= length + SLACK_S else ""
        if latest > length + SLACK_S:
            unit = " (milliseconds?)" if latest / 1e3 <= length else ""
            told = f"the log goes on to {latest:.0f} s and the recording to {length:.0f} s{unit}"
            return None, f"{told}; fill start and stop yourself"
        told = f"? nothing says when the log began; taken as the recording's first sample{scale}"
        return 0.0, f"{told}. Check it, or shift start and stop."
    begin = log.begin if log.begin.tzinfo is not None else log.begin.replace(tzinfo=UTC)
    ahead = begin.timestamp() - recording.begin_s
    if _inside(ahead, events, length):
        return ahead, f"the log began {ahead:.1f} s after the recording, by their clocks"
    if log.begin.tzinfo is None:
        fitting = [h for h in HOURS if h and _inside(ahead - 3600 * h, events, length)]
        if fitting:
            hours = min(fitting, key=abs)
            more = "" if len(fitting) == 1 else f" ({len(fitting)} zones would fit)"
            return (
                ahead - 3600 * hours,
                f"the clocks disagree: the log is {hours:+g} h off the recording, taken as another zone{more}",
            )
    when = datetime.fromtimestamp(recording.begin_s, UTC).isoformat(sep=" ", timespec="seconds")
    told = f"the clocks disagree: the log began {ahead:+.0f} s from the recording ({when} UTC) and no zone explains it"
    return None, f"{told}; fill start and stop yourself"


def _inside(ahead: float, events: Sequence[Event], length: float) -> bool:
    starts = [e.start_s + ahead for e in events]
    return sum(-SLACK_S <= s <= length + SLACK_S for s in starts) >= 0.8 * len(starts) > 0
