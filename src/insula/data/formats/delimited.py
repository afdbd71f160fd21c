"""Signals out of text tables: the clock is found and told, and only what is admitted becomes a channel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from insula.data.formats import column_names as names
from insula.data.formats.admission import Refused, by_name, by_values, remedy, unit_by_gravity
from insula.data.formats.clocks import Clock, on_their_days, progression, read_times, spread, usual_step_s
from insula.data.formats.empatica import E4_KINDS, read_series
from insula.data.formats.request import MICROVOLTS, UNITS, VOLTAGES, Request
from insula.data.formats.sheets import Sheet, parse_sheet, rate_above
from insula.data.formats.tables import AGAIN, is_empty, number_column, on_grid, parse_numbers, read_bytes, to_numbers
from insula.data.info import FileError, Problem, note
from insula.errors import unknown_name
from insula.types import DoubleArray, Signal

LARGEST = 1e15
"""No clock and no sensor says more; a cell beyond is damage."""
COARSE = 0.3
"""Share of rows that repeat the stamp before them from which on stamps are whole seconds or packets."""


@dataclass(frozen=True)
class Read:
    """A signal whose 0 is the file's first sample, and when that was: unix seconds, or seconds of a day (or None)."""

    signal: Signal
    begin_s: float | None = None
    of_day: bool = False


def read(request: Request, problems: list[Problem] | None) -> Read:
    """Read one modality of a CSV or text table.

    The time axis is the column the request names, else the one that is a clock by its name or by counting; it must fit
    a stated rate. What is no channel of the modality is left out and told (see `admission`).
    """
    path = request.path
    if request.e4:
        if request.modality not in E4_KINDS:
            raise FileError(path, str(unknown_name("modality of an E4 file", request.modality, E4_KINDS)))
        series = read_series(path, request.modality, problems)
        return Read(replace(series, start_s=0.0), series.start_s)
    data = read_bytes(path)
    head = data.splitlines()[0].decode("latin-1").split(",")
    numbered = len(head) > 1 and [cell.strip() for cell in head] == [str(i) for i in range(len(head))]  # by pandas
    if request.time is None and not numbered and not np.isnan(to_numbers(head)).any():
        return _without_header(request, data, problems)
    sheet = parse_sheet(path, data)
    for said in sheet.notes:
        note(problems, path, said)
    frame = sheet.frame
    columns = [str(c) for c in frame.columns]
    _require_columns(request, columns)
    clock, unused = _clock(request, frame, columns)
    if request.rate_hz is None and clock is None:
        stated = rate_above(sheet.above)
        if stated is None:
            raise FileError(
                path,
                "no rate and no time column; expected one of them. Fill rate or time in the manifest.",
                columns=("rate", "time"),
            )
        note(problems, path, f"rate {stated:g} Hz is what the lines above the samples say")
        request = replace(request, rate_hz=stated)
    asked = request.channels
    kept, refused = by_name([c for c in columns if clock is None or c != clock.name], request.modality)
    if asked:
        kept = list(asked)
        refused = [Refused(n, f"asked for as a channel, but {r.why}") for r in refused for n in asked if n == r.name]
        refused = [r for r in refused if names.kind(r.name) in (names.TIME, names.COUNTER)]
    refused += [Refused(name, "a time") for name in unused if name in kept]
    kept = [name for name in kept if name not in [r.name for r in refused]]
    values: dict[str, DoubleArray] = {}
    for name in kept:
        numbers = number_column(path, frame, name) if asked else to_numbers(frame[name])
        if np.isnan(numbers).all() or (np.isnan(numbers) & ~is_empty(frame[name])).any():
            refused.append(Refused(name, "holds no numbers"))
            continue
        numbers[~np.isfinite(numbers)] = np.nan
        values[name] = numbers
    unit, others = _one_unit(request, list(values), sheet)
    if request.modality == "acc" and not unit:
        unit, why = unit_by_gravity(values)
        others += [Refused(n, why) for n in values if why and not unit]
        if unit and why:
            note(problems, path, why)
    values = {n: v for n, v in values.items() if n not in [r.name for r in others]}
    refused += others
    unit = unit or UNITS.get(request.modality, "a.u.")
    return _gated(request, values, clock, refused, _labels(frame, columns), unit, problems)


def _require_columns(request: Request, columns: Sequence[str]) -> None:
    if request.time is not None and request.time not in columns:
        raise FileError(
            request.path,
            f"columns {', '.join(columns)}; expected {request.time}. Add or rename {request.time}.",
        )
    for name in request.channels:
        if name not in columns:
            raise FileError(request.path, str(unknown_name("channel", name, columns)))


def _without_header(request: Request, data: bytes, problems: list[Problem] | None) -> Read:
    """Read lines of nothing but numbers: channels are ch1, ch2, ...; a column that counts is the clock."""
    path = request.path
    if request.modality in E4_KINDS and request.rate_hz is None:
        first = to_numbers(data.split(b"\n", 2)[0].decode("latin-1").split(","))
        if 6e8 < first[0] < 4e9:
            note(problems, path, "a native E4 file (start time and rate above the samples); read as rate e4")
            return read(replace(request, e4=True), problems)
    table = parse_numbers(path, data)
    columns = {f"ch{i + 1}": table[:, i] for i in range(table.shape[1])}
    for name in request.channels:
        if name not in columns:
            raise FileError(path, str(unknown_name("channel", name, columns)))
    clock = None
    if len(columns) > 1:
        frame = pd.DataFrame({n: pd.Series(v).map(repr) for n, v in columns.items() if progression(v) is not None})
        clock, _ = _clock(request, frame, list(frame.columns))
    if request.rate_hz is None and clock is None:
        raise FileError(
            path,
            "no rate and no time column; expected one of them. Fill rate or time in the manifest.",
            columns=("rate", "time"),
        )
    kept = request.channels or [n for n in columns if clock is None or n != clock.name]
    unit = request.unit or UNITS.get(request.modality, "a.u.")
    return _gated(request, {n: columns[n] for n in kept}, clock, [], {}, names.unit(unit), problems)


def _clock(request: Request, frame: pd.DataFrame, columns: Sequence[str]) -> tuple[Clock | None, list[str]]:
    """Choose the column of times: named by the request, named like one, or counting like one; and the other ones."""
    if request.time is not None:
        return _checked(request, read_times(request.path, frame[request.time], request.time, *_known(request))), []
    named = [c for c in columns if names.kind(c) == names.TIME and c not in request.channels]
    found: list[Clock] = []
    still: list[Clock] = []
    for name in named:
        try:
            clock = read_times(request.path, frame[name], name, *_known(request))
        except FileError:
            continue  # a text that is no time: it is no channel either
        (found if np.unique(clock.times_s[np.isfinite(clock.times_s)]).size > 1 else still).append(clock)
    if not found:
        for name in columns:
            if names.kind(name) in ("", names.COUNTER) and name not in request.channels:
                numbers = to_numbers(frame[name])
                if progression(numbers) is None or abs(float(np.nanmedian(np.diff(numbers)))) in (0.0, 1.0):
                    continue
                clock = read_times(request.path, frame[name], name, *_known(request))
                step = usual_step_s(clock.times_s[np.isfinite(clock.times_s)])
                if request.rate_hz is None or abs(request.rate_hz * step - 1) < 0.05:
                    found.append(clock)
    if not found:
        return None, named
    finest = max(found, key=_fineness)
    rest = [c.name for c in found if c is not finest]
    if finest.told == "times of day":
        dated = [on_their_days(finest, days) for days in (*found, *still)]
        finest = next((clock for clock in dated if clock is not None), finest)
    return _checked(request, finest), [*[n for n in named if n != finest.name], *rest]


def _fineness(clock: Clock) -> tuple[int, float]:
    """Rank clocks: the one with most different times, and of equals the one that runs most evenly."""
    steps = np.diff(np.unique(clock.times_s[np.isfinite(clock.times_s)]))
    return steps.size, -float(np.median(np.abs(steps / np.median(steps) - 1)))


def _known(request: Request) -> tuple[float | None, str]:
    return request.rate_hz, request.modality


def _checked(request: Request, clock: Clock) -> Clock:
    """Spread stamps of whole seconds or packets; a counter of rows is no time unless the rate says so."""
    known = np.isfinite(clock.times_s)
    times = clock.times_s[known]
    if times.size > 1 and request.modality != "ibi" and float((np.diff(times) == 0).mean()) > COARSE:
        return replace(clock, times_s=spread(clock.times_s, known), told=f"{clock.told}, rows of a stamp spread evenly")
    return clock


def _labels(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, DoubleArray]:
    """Numbers of the columns named like labels; texts as codes."""
    out: dict[str, DoubleArray] = {}
    for name in columns:
        if names.kind(name) == names.LABEL:
            numbers = to_numbers(frame[name])
            out[name] = numbers if np.isfinite(numbers).any() else pd.factorize(frame[name])[0].astype(np.float64)
    return out


def _one_unit(request: Request, columns: Sequence[str], sheet: Sheet) -> tuple[str, list[Refused]]:
    """Return the unit of the channels ("": nothing says it), and the columns of another unit (resistance beside EDA).

    Stated by the request, else the unit insula uses where a column says it, else the one most columns say; columns that
    say nothing have that of the others.
    """
    usual = UNITS.get(request.modality, "a.u.")
    if request.unit:
        return names.unit(request.unit), []
    above = dict(sheet.units)
    said = {n: names.unit(told) for n in columns if (told := names.unit_in(n) or above.get(n))}
    if not said:
        return "", []
    unit = usual if usual in said.values() else Counter(said.values()).most_common(1)[0][0]
    others = [Refused(n, f"in {u}, beside channels in {unit}") for n, u in said.items() if u != unit]
    return unit, [] if request.channels else others


def _gated(
    request: Request,
    values: dict[str, DoubleArray],
    clock: Clock | None,
    refused: list[Refused],
    labels: dict[str, DoubleArray],
    unit: str,
    problems: list[Problem] | None,
) -> Read:
    """Convert to insula's unit, keep what is admitted, tell the rest, and put it on the clock."""
    path, modality = request.path, request.modality
    values, unit = in_own_unit(modality, values, unit)
    sensors = bool(request.channels) or (
        len(values) > 0 and all(names.kind_for(n, modality) == modality for n in values)
    )
    found = by_values(values, modality, unit, sensors=sensors, others=labels)
    masked = [r.name for r in found if r.masked]
    kept = {n: np.full_like(v, np.nan) if n in masked else v for n, v in values.items()}
    kept = {n: v for n, v in kept.items() if n not in [r.name for r in found if not r.masked]}
    refused = [*refused, *found]
    if not kept or (request.channels and len(kept) < len(request.channels)):
        why = "; ".join(map(str, refused)) or "the table has no other"
        what = f"no column of numbers for {modality}" if not kept else "channels asked for that are none"
        raise FileError(path, f"{what}: {why}. {remedy(modality, refused)}", columns=("channels", "unit"))
    told = [r for r in refused if clock is None or r.name != clock.name]
    if told:
        note(problems, path, f"no channels of {modality}: {', '.join(map(str, told))}")
    matrix = np.stack(list(kept.values()), axis=1)  # (rows, channels)
    if clock is None:
        return Read(Signal(np.ascontiguousarray(matrix.T, np.float32), request.rate_hz or 0.0, tuple(kept), unit))
    signal = timed(replace(request, time=clock.name), tuple(kept), matrix, clock.times_s, unit)
    if request.time is None:
        rate = "irregular" if signal.timestamps_s is not None else f"{signal.rate_hz:g} Hz"
        note(problems, path, f"times are column {clock.name!r} ({clock.told}; {rate})")
    begin = _first(clock.times_s)
    of_day = clock.told.startswith("times of day")
    known = of_day or clock.told.startswith(("unix", "dates"))
    return Read(signal, begin if known else None, of_day)


def in_own_unit(modality: str, values: dict[str, DoubleArray], unit: str) -> tuple[dict[str, DoubleArray], str]:
    """Convert columns to the unit insula uses for a modality; an unknown unit is kept as it is."""
    factor = MICROVOLTS.get(unit.lower()) if modality in VOLTAGES else None
    if factor is not None:
        return {n: v * factor for n, v in values.items()}, "uV"
    if modality == "eda" and unit in ("kOhm", "Ohm"):  # resistance: conductance is its inverse
        scale = 1e3 if unit == "kOhm" else 1e6
        return {n: np.divide(scale, v, out=np.full_like(v, np.nan), where=v > 0) for n, v in values.items()}, "uS"
    known = names.CONVERSIONS.get(modality, {})
    if unit in known:
        scale, offset = known[unit]
        return {n: v * scale + offset for n, v in values.items()}, next(iter(known))
    return values, unit


def timed(request: Request, channels: tuple[str, ...], values: DoubleArray, times: DoubleArray, unit: str) -> Signal:
    """Make a signal of (rows, channels) values with a time each, on a grid (IBI: irregular); 0 is the first time."""
    known = np.isfinite(times) & (np.isfinite(values).any(axis=1) | np.isnan(values).all())
    for what, numbers in (("time", times[known]), ("value", values[known])):
        largest = float(np.max(np.abs(numbers), initial=0.0, where=np.isfinite(numbers)))
        if largest > LARGEST:
            raise FileError(request.path, f"a {what} of {largest:.3g}; expected a measured one. Correct that cell.")
    if known.sum() < 2:
        raise FileError(request.path, f"{known.sum()} rows with a time and a value; expected at least 2. {AGAIN}")
    if request.modality == "ibi":
        order = np.argsort(times[known], kind="stable")
        at = times[known][order] - _first(times)
        return Signal(values[known][order].T.astype(np.float32), 0.0, channels, unit, 0.0, at)
    different = np.unique(times[known])
    if different.size < 2:
        raise FileError(request.path, f"column {request.time!r} never changes; expected times. Name another column.")
    step = usual_step_s(different)
    rate = round_rate(1 / step)
    if request.rate_hz is not None:
        if abs(request.rate_hz * step - 1) > 0.05:
            raise FileError(
                request.path,
                f"rate {request.rate_hz:g} Hz; column {request.time!r} says {rate:g} Hz; expected one rate. "
                "Correct one of them.",
            )
        rate = request.rate_hz
    size = float(np.ptp(times[known])) * rate
    if not size <= 100 * known.sum() + 1000:
        raise FileError(
            request.path,
            f"column {request.time!r} spans {np.ptp(times[known]):.0f} s for {known.sum()} rows; expected seconds "
            "without such gaps. Check its unit or cut the file.",
        )
    zero = _first(times)
    start, regular = on_grid(times[known] - zero, values[known].T.astype(np.float32), rate)  # (rows, C) -> (C, samples)
    return Signal(regular, rate, channels, unit, start)


def _first(times_s: DoubleArray) -> float:
    """The earliest time that is one; NaN without any."""
    finite = times_s[np.isfinite(times_s)]
    return float(finite.min()) if finite.size else float("nan")


def round_rate(rate_hz: float) -> float:
    """Return the whole number of Hz within 1 % of a measured rate, else four digits of it."""
    whole = round(rate_hz)
    return float(whole) if whole and abs(rate_hz / whole - 1) < 0.01 else float(f"{rate_hz:.4g}")


def seconds(path: Path, cells: pd.Series[str], name: str) -> DoubleArray:
    """Read times of a device's export in seconds, or dates with a time of day (ISO 8601), as float64 seconds."""
    return read_times(path, cells, name, None, "").times_s
