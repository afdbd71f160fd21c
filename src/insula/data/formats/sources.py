"""Signals out of single files of many formats.

What MNE reads, CSV with a rate or a time column, native E4 CSV, Lab Streaming Layer recordings, exports of devices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insula.data.formats.arrays import require_memory
from insula.data.formats.empatica import E4_KINDS, read_series
from insula.data.formats.mne_files import MNE_SUFFIXES, MneFile, open_mne, read_samples
from insula.data.formats.tables import (
    AGAIN,
    is_empty,
    number_column,
    on_grid,
    parse_numbers,
    read_bytes,
    read_table,
    to_numbers,
)
from insula.data.info import FileError, Problem, note
from insula.errors import unknown_name
from insula.types import DoubleArray, Signal

CSV_SUFFIXES = (".csv", ".txt")
FORMATS: Mapping[str, str] = {
    "embraceplus": "insula.data.formats.embraceplus:read",
    "muse": "insula.data.formats.device_csv:read_muse",
    "polar": "insula.data.formats.device_csv:read_polar",
    "shimmer": "insula.data.formats.device_csv:read_shimmer",
    "xdf": "insula.data.formats.xdf:read",
}
"""Name in the manifest's column ``format`` -> ``read(request, problems) -> Signal``."""
FORMAT_SUFFIXES = {".xdf": "xdf", ".xdfz": "xdf", ".avro": "embraceplus"}
"""Suffixes that need no ``format``."""
UNITS = {
    "eeg": "uV", "eog": "uV", "ecg": "uV", "emg": "uV", "eda": "uS", "temp": "degC", "face_temp": "degC",
    "hr": "1/min", "ibi": "s", "acc": "g", "spo2": "%",
}  # fmt: skip
"""Unit a modality has when nothing else is said; ``a.u.`` for the others."""

MICROVOLTS = {
    "v": 1e6, "volts": 1e6, "mv": 1e3, "millivolts": 1e3, "uv": 1.0, "µv": 1.0, "μv": 1.0, "microvolts": 1.0,
}  # fmt: skip
"""Unit in lower case -> microvolts."""
_MNE_TYPES = {
    "eeg": "eeg", "eog": "eog", "ecg": "ecg", "emg": "emg", "resp": "resp", "eda": "gsr", "temp": "temperature",
}  # fmt: skip
VOLTAGES = ("eeg", "eog", "ecg", "emg")
_CHECKED_S = 1.0
"""A piece may end this much after its file does."""


@dataclass(frozen=True)
class Request:
    """What to read from one file: modality, channels (empty: all that fit), and for a CSV its rate or time column.

    ``format`` is one of `FORMATS` (None: by the suffix), ``stream`` the name of a stream in a file of several.
    """

    path: Path
    modality: str
    channels: tuple[str, ...] = ()
    rate_hz: float | None = None
    e4: bool = False
    time: str | None = None
    unit: str | None = None
    format: str | None = None
    stream: str | None = None


@dataclass
class OpenFiles:
    """Files opened so far, so that many pieces of one file cost one opening; problems are noted once a file."""

    problems: list[Problem] | None = None
    _open: dict[Any, Any] = field(default_factory=dict)

    def piece(self, request: Request, start_s: float, stop_s: float | None) -> Signal:
        """Return the signal between two times of the file (0 = its first sample; None = its end), on that clock.

        What MNE reads is read in blocks and held once, as float32; a piece larger than the free memory is a FileError.
        """
        suffix = request.path.suffix.lower()
        kind = request.format or FORMAT_SUFFIXES.get(suffix)
        if kind is None and suffix in MNE_SUFFIXES:
            signal = self._mne(request, start_s, stop_s)
        elif kind is not None or suffix in CSV_SUFFIXES:
            if request not in self._open:
                self._open[request] = (
                    _read_csv(request, self.problems) if kind is None else _read_format(kind, request, self.problems)
                )
            signal = self._open[request]
            end_s = signal.start_s + signal.duration_s
            irregular = signal.timestamps_s is not None  # its last beat may come long before the file's end
            _require_inside(request.path, start_s, None if irregular else stop_s, end_s)
            signal = signal.crop(start_s, end_s + _CHECKED_S if stop_s is None else stop_s)
        else:
            known = ", ".join((*MNE_SUFFIXES, *CSV_SUFFIXES, *FORMAT_SUFFIXES))
            raise FileError(request.path, f"file type {suffix or '(none)'}; expected {known}. Convert the file.")
        if not signal.n_samples:
            raise FileError(request.path, f"no sample from {start_s:g} s on; expected some. Correct start and stop.")
        return signal

    def opened(self, path: Path) -> MneFile:
        """Return what MNE says about a file, opened on first use; one that MNE cannot open is a FileError."""
        if path not in self._open:
            self._open[path] = open_mne(path, self.problems)
        found: MneFile = self._open[path]
        return found

    def _mne(self, request: Request, start_s: float, stop_s: float | None) -> Signal:
        file = self.opened(request.path)
        rate = file.rate_hz
        if request.rate_hz is not None and abs(request.rate_hz / rate - 1) > 1e-3:
            raise FileError(request.path, f"rate {request.rate_hz:g} Hz asked; the file says {rate:g} Hz. Correct it.")
        names = request.channels or _fitting(file, request)
        for name in names:
            if name not in file.names:
                raise FileError(request.path, str(unknown_name("channel", name, file.names)))
        _require_inside(request.path, start_s, stop_s, file.n_samples / rate)
        first = int(np.ceil(start_s * rate - 1e-6))
        stop = file.n_samples if stop_s is None else min(file.n_samples, int(np.ceil(stop_s * rate - 1e-6)))
        if stop <= first:
            raise FileError(request.path, f"no sample from {start_s:g} s on; expected some. Correct start and stop.")
        require_memory(request.path, 4 * len(names) * (stop - first))
        scaled = ("gsr",) if request.modality == "eda" else VOLTAGES if request.modality in VOLTAGES else ()
        values = read_samples(file, names, first, stop, scaled)
        unit = (
            request.unit if request.unit and request.modality not in VOLTAGES else UNITS.get(request.modality, "a.u.")
        )
        return Signal(values, rate, tuple(names), unit, first / rate)


def _require_inside(path: Path, start_s: float, stop_s: float | None, duration_s: float) -> None:
    if start_s >= duration_s or (stop_s is not None and stop_s > duration_s + _CHECKED_S):
        end = "its end" if stop_s is None else f"{stop_s:g} s"
        raise FileError(
            path,
            f"piece from {start_s:g} s to {end}; expected within the file's {duration_s:.3f} s. "
            "Correct start and stop, or the rate.",
        )


def _fitting(file: MneFile, request: Request) -> tuple[str, ...]:
    kind = _MNE_TYPES.get(request.modality)
    names = tuple(n for n, k in zip(file.names, file.kinds, strict=True) if k == kind)
    if not names:
        raise FileError(
            request.path,
            f"no channel of type {request.modality}; expected the column channels to name them among "
            f"{', '.join(file.names)}.",
        )
    return names


def _read_format(kind: str, request: Request, problems: list[Problem] | None) -> Signal:
    module, _, function = FORMATS[kind].partition(":")
    found: Signal = getattr(import_module(module), function)(request, problems)
    return found


def _read_csv(request: Request, problems: list[Problem] | None) -> Signal:
    path = request.path
    if request.e4:
        if request.modality not in E4_KINDS:
            raise FileError(path, str(unknown_name("modality of an E4 file", request.modality, E4_KINDS)))
        return replace(read_series(path, request.modality, problems), start_s=0.0)
    if request.rate_hz is None and request.time is None:
        raise FileError(path, "no rate and no time column; expected one of them. Fill rate or time in the manifest.")
    names, values, times = _columns(request, problems)
    unit = request.unit or UNITS.get(request.modality, "a.u.")
    factor = MICROVOLTS.get(unit.lower()) if request.modality in VOLTAGES else None
    if factor is not None:
        values, unit = values * factor, "uV"
    if times is None:
        return Signal(
            np.ascontiguousarray(values.T, np.float32), request.rate_hz or 0.0, names, unit
        )  # (rows, C) -> (C, samples)
    return timed(request, names, values, times, unit)


def timed(request: Request, names: tuple[str, ...], values: DoubleArray, times: DoubleArray, unit: str) -> Signal:
    """Make a signal of (rows, channels) values with a time each, on a grid (IBI: irregular); 0 is the first time."""
    known = np.isfinite(times) & np.isfinite(values).any(axis=1)
    if known.sum() < 2:
        raise FileError(request.path, f"{known.sum()} rows with a time and a value; expected at least 2. {AGAIN}")
    if request.modality == "ibi":
        order = np.argsort(times[known], kind="stable")
        at = times[known][order] - float(np.nanmin(times))
        return Signal(values[known][order].T.astype(np.float32), 0.0, names, unit, 0.0, at)
    step = float(np.median(np.diff(np.unique(times[known]))))
    rate = round_rate(1 / step)
    if request.rate_hz is not None:
        if abs(request.rate_hz * step - 1) > 0.05:
            raise FileError(
                request.path,
                f"rate {request.rate_hz:g} Hz; column {request.time!r} says {rate:g} Hz. Correct one of them.",
            )
        rate = request.rate_hz
    size = float(np.ptp(times[known])) * rate
    if size > 100 * known.sum() + 1000:
        raise FileError(
            request.path,
            f"column {request.time!r} spans {np.ptp(times[known]):.0f} s for {known.sum()} rows; expected seconds "
            "without such gaps. Check its unit or cut the file.",
        )
    zero = float(np.nanmin(times))
    start, regular = on_grid(times[known] - zero, values[known].T.astype(np.float32), rate)  # (rows, C) -> (C, samples)
    return Signal(regular, rate, names, unit, start)


def round_rate(rate_hz: float) -> float:
    """Return the whole number of Hz within 1 % of a measured rate, else four digits of it."""
    whole = round(rate_hz)
    return float(whole) if whole and abs(rate_hz / whole - 1) < 0.01 else float(f"{rate_hz:.4g}")


def _columns(
    request: Request, problems: list[Problem] | None
) -> tuple[tuple[str, ...], DoubleArray, DoubleArray | None]:
    """Return channel names, (rows, channels) values and (rows,) seconds (None without a time column)."""
    path = request.path
    data = read_bytes(path)
    head = data.splitlines()[0].decode("latin-1").split(",")
    if request.time is None and not np.isnan(to_numbers(head)).any():
        values = parse_numbers(path, data)
        names = tuple(f"ch{i + 1}" for i in range(values.shape[1]))
        if not request.channels:
            return names, values, None
        for name in request.channels:
            if name not in names:
                raise FileError(path, str(unknown_name("channel", name, names)))
        return request.channels, values[:, [names.index(n) for n in request.channels]], None
    table = read_table(path, () if request.time is None else (request.time,))
    times = None if request.time is None else seconds(path, table[request.time], request.time)
    for name in request.channels:
        if name not in table.columns:
            raise FileError(path, str(unknown_name("channel", name, [str(c) for c in table.columns])))
    columns: dict[str, DoubleArray] = {}
    for name in request.channels or tuple(str(c) for c in table.columns if c != request.time):
        numbers = number_column(path, table, name) if request.channels else to_numbers(table[name])
        if np.isnan(numbers).all() or (np.isnan(numbers) & ~is_empty(table[name])).any():
            note(problems, path, f"column {name!r} holds no numbers and is no channel")
            continue
        numbers[~np.isfinite(numbers)] = np.nan
        columns[name] = numbers
    if not columns:
        raise FileError(path, f"no column of numbers; expected a column a channel. {AGAIN}")
    return tuple(columns), np.stack(list(columns.values()), axis=1), times


def seconds(path: Path, cells: pd.Series[Any], name: str) -> DoubleArray:
    """Read times in seconds, or dates with a time of day (ISO 8601), as float64 seconds."""
    numbers = to_numbers(cells)
    if np.isfinite(numbers).any():
        return numbers
    stamps = pd.to_datetime(cells, errors="coerce", format="ISO8601")
    if not stamps.notna().any():
        raise FileError(
            path, f"column {name!r} holds {cells.iloc[0]!r}; expected seconds or dates. Name another column."
        )
    elapsed = (stamps - stamps.dropna().iloc[0]) / pd.Timedelta(seconds=1)
    return np.asarray(elapsed, dtype=np.float64)
