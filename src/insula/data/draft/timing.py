"""Events of a log on the clocks of the files they belong to; clocks that disagree are found and said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from insula.data.draft.logs import Event, EventLog
from insula.data.draft.look import Look
from insula.data.draft.rows import Piece, free

HOURS = [h / 2 for h in range(-24, 29)]
SLACK_S = 5.0
"""Events may lie this much outside a file before its clock is doubted."""
Member = tuple[str, Look, Piece, str]


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
        shift, said = _shift(log, events, recording, length)
        if shift is None:
            unknown.append(f"{name}: {said}")
            continue
        (unknown if said.startswith("?") else reasons).append(f"{name}: {said.removeprefix('?').strip()}")
        left = 0
        for i, event in enumerate(events):
            start, stop = event.start_s + shift, event.start_s + shift + (event.length_s or 0.0)
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
