"""Rows of a manifest and when they are: clock times, annotations and files that know when they began."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from insula.data.formats.markers import read_markers, stretches
from insula.data.formats.request import Request
from insula.data.formats.sources import OpenFiles
from insula.data.info import FileError, Problem, note
from insula.data.readers.clock_times import Begin, When, located
from insula.errors import InputError
from insula.types import Label, Role


@dataclass(frozen=True)
class ManifestRow:
    """One row; ``clock_s`` is when it began on the common clock, ``marked`` that annotations make its trials."""

    line: int
    subject: str
    session: str
    trial: str
    stimulus: str | None
    role: Role
    request: Request
    start_s: float
    stop_s: float | None
    onset_s: float | None
    labels: Mapping[str, Label]
    when: When | None = None
    marked: bool = False
    clock_s: float | None = None


def on_the_wall(by_trial: dict[str, list[ManifestRow]], files: OpenFiles) -> dict[str, list[ManifestRow]]:
    """Give trials in files of their own the times at which those begin, where all know it and none overlap."""
    firsts = [rows[0] for rows in by_trial.values()]
    if len({row.request.path for row in firsts}) < 2 or any(
        r.onset_s is not None or r.clock_s is not None for r in firsts
    ):
        return by_trial
    spans: list[tuple[float, float]] = []
    for rows in by_trial.values():
        try:
            begin = files.begin(rows[0].request)
            lengths = [(row.stop_s or files.length_s(row.request)) - row.start_s for row in rows]
        except FileError:
            return by_trial  # told where its samples are read
        if begin is None or begin[1]:
            return by_trial
        at_s = begin[0] + rows[0].start_s
        spans.append((at_s, at_s + max(lengths)))  # the longest signal ends the trial
    ordered = sorted(spans)
    if any(before[1] > after[0] + 1e-3 for before, after in pairwise(ordered)):
        return by_trial
    moved = zip(by_trial.items(), spans, strict=True)
    return {name: [replace(rows[0], clock_s=at), *rows[1:]] for (name, rows), (at, _) in moved}


def note_zone(path: Path, rows: Sequence[ManifestRow], problems: list[Problem] | None) -> None:
    """Tell that clock times without a zone are taken on the clock of their files: an hour off shifts every label."""
    silent = [row.line for row in rows if row.when is not None and not row.when.told_zone]
    if silent:
        note(
            problems,
            path,
            f"start_time names no zone in {len(silent)} rows (line {silent[0]}): taken on the files' own clock, UTC "
            "where they have unix times. If it was local time, fill the column zone (Europe/Berlin)",
        )


def placed(path: Path, row: ManifestRow, files: OpenFiles, problems: list[Problem] | None) -> Iterator[ManifestRow]:
    """Put a row on its file's clock: clock times become seconds, and annotations a row each."""
    try:
        if row.when is not None:
            begin = files.begin(row.request)
            if begin is None:
                raise FileError(
                    row.request.path,
                    "does not know when it began; expected unix times, dates or a start in its header for start_time. "
                    "Use start and stop in seconds.",
                )
            start_s, stop_s, clock_s = located(row.when, Begin(*begin))
            if start_s < -1e-3:
                raise FileError(
                    path,
                    f"line {row.line}: start_time {row.when.start} is {-start_s:.0f} s before {row.request.path.name} "
                    "begins; expected a time within it. Correct it, the zone or the clock_offset.",
                    columns=("start_time", "zone", "clock_offset"),
                )
            yield replace(row, start_s=max(0.0, start_s), stop_s=stop_s, clock_s=clock_s)
        elif row.marked:
            begin = files.begin(row.request)
            found = read_markers(row.request, begin[0] if begin and row.request.e4 else None, problems)
            for i, one in enumerate(stretches(found, files.length_s(row.request))):
                name = f"{row.trial}{i + 1:03d}"
                labels = {**row.labels, "annotation": one.text}
                at_s = None if begin is None else begin[0] + one.start_s
                yield replace(
                    row, trial=name, start_s=one.start_s, stop_s=one.start_s + one.length_s, labels=labels,
                    clock_s=at_s, marked=False,
                )  # fmt: skip
        else:
            yield row
    except InputError as error:
        raise FileError(path, f"line {row.line}: {error}") from None
    except FileError as error:
        if problems is None:
            raise
        problems.append(Problem(error.file, error.what, fatal=True, columns=error.columns))
