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

from insula.data.formats import delimited
from insula.data.formats.admission import by_name, by_values
from insula.data.formats.arrays import require_memory
from insula.data.formats.clocks import progression
from insula.data.formats.column_names import kind as named
from insula.data.formats.column_names import serves
from insula.data.formats.mne_files import MNE_SUFFIXES, MneFile, open_mne, read_samples
from insula.data.formats.request import UNITS, VOLTAGES, Request
from insula.data.formats.tables import AGAIN
from insula.data.info import FileError, Problem, note
from insula.errors import unknown_name
from insula.types import Signal

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
_MNE_TYPES = {
    "eeg": "eeg", "eog": "eog", "ecg": "ecg", "emg": "emg", "resp": "resp", "eda": "gsr", "temp": "temperature",
}  # fmt: skip
_CHECKED_S = 1.0
"""A piece may end this much after its file does."""
_LOOKED_AT_S = 20.0
"""Seconds at a file's beginning that tell whether a channel counts."""


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
            signal = self._whole(request, kind).signal
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

    def begin(self, request: Request) -> tuple[float, bool] | None:
        """Return when a file's first sample was: unix seconds, or seconds of a day (True); None if it cannot tell."""
        suffix = request.path.suffix.lower()
        kind = request.format or FORMAT_SUFFIXES.get(suffix)
        if kind is None and suffix in MNE_SUFFIXES:
            at = self.opened(request.path).begin_unix_s
            return None if at is None else (at, False)
        read = self._whole(request, kind)
        return None if read.begin_s is None else (read.begin_s, read.of_day)

    def length_s(self, request: Request) -> float:
        """Return how many seconds after 0 a file ends."""
        suffix = request.path.suffix.lower()
        kind = request.format or FORMAT_SUFFIXES.get(suffix)
        if kind is None and suffix in MNE_SUFFIXES:
            file = self.opened(request.path)
            return file.n_samples / file.rate_hz
        signal = self._whole(request, kind).signal
        return signal.start_s + signal.duration_s

    def _whole(self, request: Request, kind: str | None) -> delimited.Read:
        if request not in self._open:
            self._open[request] = (
                delimited.read(request, self.problems)
                if kind is None
                else delimited.Read(_read_format(kind, request, self.problems))
            )
        found: delimited.Read = self._open[request]
        return found

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
            raise FileError(
                request.path,
                f"rate {request.rate_hz:g} Hz asked; the file says {rate:g} Hz; expected that. Correct it.",
            )
        names = self._channels(file, request)
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

    def _channels(self, file: MneFile, request: Request) -> tuple[str, ...]:
        """Return the channels of a request that are no clocks and no counters; looked at once a file and modality."""
        key = (request.path, request.modality, request.channels)
        if key not in self._open:
            for name in request.channels:
                if name not in file.names:
                    raise FileError(request.path, str(unknown_name("channel", name, file.names)))
            names = request.channels or _fitting(file, request)
            counting = _counting(file, names)
            if request.channels and counting:
                raise FileError(request.path, f"channels {_told(counting)}; expected signals. Leave them out.")
            if not request.channels:
                strange = {n: f"named like {k}" for n in names if (k := _other_kind(n, request.modality))}
                left_out = {**strange, **counting}
                if left_out:
                    note(self.problems, request.path, f"no channels of {request.modality}: {_told(left_out)}")
                names = tuple(n for n in names if n not in left_out)
            if not names:
                raise FileError(request.path, f"no channel of {request.modality} is left; expected one. Name channels.")
            self._open[key] = names
        found: tuple[str, ...] = self._open[key]
        return found


def _told(reasons: Mapping[str, str]) -> str:
    return ", ".join(f"{name!r} ({why})" for name, why in reasons.items())


def _counting(file: MneFile, names: tuple[str, ...]) -> dict[str, str]:
    """Say which channels count or rise like a clock over the file's first seconds."""
    stop = min(file.n_samples, int(_LOOKED_AT_S * file.rate_hz))
    values = read_samples(file, names, 0, stop, ()).astype(np.float64)  # (channels, samples)
    return {name: why for name, row in zip(names, values, strict=True) if (why := progression(row)) is not None}


def _other_kind(name: str, modality: str) -> str | None:
    """Return what a channel's name says it is, where that is something else than the modality."""
    found = named(name)
    return found if found and not serves(modality, found) and not serves(found, modality) else None


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
    names = names or tuple(n for n in file.names if named(n) == request.modality)
    if not names:
        raise FileError(
            request.path,
            f"no channel of type {request.modality}; expected the column channels to name them among "
            f"{', '.join(file.names)}.",
            columns=("channels",),
        )
    return names


def _read_format(kind: str, request: Request, problems: list[Problem] | None) -> Signal:
    module, _, function = FORMATS[kind].partition(":")
    found: Signal = getattr(import_module(module), function)(request, problems)
    return found if found.timestamps_s is not None else _gated(request, found, problems)


def _gated(request: Request, signal: Signal, problems: list[Problem] | None) -> Signal:
    """Leave out channels of a device's export or stream that are none (see `admission`)."""
    by_names = not request.channels and request.path.suffix.lower() in (".xdf", ".xdfz")  # exports have fixed columns
    kept, refused = by_name(signal.channels, request.modality) if by_names else (list(signal.channels), [])
    columns = {n: v.astype(np.float64) for n, v in zip(signal.channels, signal.values, strict=True) if n in kept}
    refused += [r for r in by_values(columns, request.modality, signal.unit, sensors=True) if not r.masked]
    left_out = [r.name for r in refused]
    rows = [i for i, name in enumerate(signal.channels) if name not in left_out]
    if not rows:
        raise FileError(request.path, f"no channel of {request.modality}: {'; '.join(map(str, refused))}. {AGAIN}")
    if refused:
        note(problems, request.path, f"no channels of {request.modality}: {', '.join(map(str, refused))}")
    return replace(signal, values=signal.values[rows], channels=tuple(signal.channels[i] for i in rows))
