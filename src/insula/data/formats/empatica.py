"""Empatica E4 files in their native form: start time, rate, samples; and IBI as pairs of time and interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from insula.data.formats.tables import AGAIN, parse_numbers, read_bytes, whole_lines
from insula.data.info import FileError, Problem, note
from insula.types import FloatArray, Signal


@dataclass(frozen=True)
class E4Kind:
    """One kind of E4 file: its name, fixed rate, unit, channels, and what a raw count is worth in the unit."""

    file: str
    rate_hz: float
    unit: str
    channels: tuple[str, ...]
    scale: float = 1.0


E4_KINDS: Mapping[str, E4Kind] = {
    "eda": E4Kind("EDA.csv", 4.0, "uS", ("EDA",)),
    "bvp": E4Kind("BVP.csv", 64.0, "a.u.", ("BVP",)),
    "temp": E4Kind("TEMP.csv", 4.0, "degC", ("TEMP",)),
    "hr": E4Kind("HR.csv", 1.0, "1/min", ("HR",)),
    "acc": E4Kind("ACC.csv", 32.0, "g", ("x", "y", "z"), 1 / 64),
}
IBI_FILE = "IBI.csv"


@dataclass(frozen=True)
class E4Session:
    """Signals of one session; session clock 0 is ``start_unix_s``."""

    start_unix_s: float
    duration_s: float
    signals: Mapping[str, Signal]


def read_session(folder: Path, modalities: Sequence[str], problems: list[Problem] | None) -> E4Session:
    """Read the E4 files of ``folder``; a file that is not there is noted, a damaged one is a FileError.

    Signals that end long before the others (a copy cut short) are noted too. No file at all is a FileError.
    """
    found: dict[str, Signal] = {}
    for name in modalities:
        path = folder / (IBI_FILE if name == "ibi" else E4_KINDS[name].file)
        if not path.exists():
            note(problems, path, f"no such file; this session is read without {name}")
            continue
        signal = read_ibi(path, problems) if name == "ibi" else read_series(path, name, problems)
        if signal is not None:
            found[name] = signal
    regular = {name: signal for name, signal in found.items() if name != "ibi"}
    if not regular:
        names = ", ".join(E4_KINDS[n].file for n in modalities if n != "ibi")
        raise FileError(folder, f"no E4 file with samples; expected one of {names}. Give a folder of an E4 session.")
    starts = {name: signal.start_s for name, signal in found.items()}
    middle = float(np.median(list(starts.values())))
    for name, value in starts.items():
        if abs(value - middle) > 3600:
            file = folder / (IBI_FILE if name == "ibi" else E4_KINDS[name].file)
            raise FileError(
                file, f"start {value:.0f} s (unix); expected within an hour of the other files, {middle:.0f}. {AGAIN}"
            )
    zero = min(starts.values())
    end = max(s.start_s + s.duration_s for s in regular.values()) - zero
    for name, signal in regular.items():
        stop = signal.start_s + signal.duration_s - zero
        if stop < 0.9 * end:
            note(problems, folder / E4_KINDS[name].file, f"ends after {stop:.0f} s of {end:.0f} s; the rest is missing")
    signals = {name: _shift(signal, -zero) for name, signal in found.items()}
    return E4Session(zero, end, signals)


def read_series(path: Path, modality: str, problems: list[Problem] | None = None) -> Signal:
    """Read one native E4 series; ``start_s`` of the answer is unix time. EDA zeros before the first contact are NaN."""
    kind = E4_KINDS[modality]
    lines = read_bytes(path).split(b"\n", 2)
    if len(lines) < 3 or not lines[2].strip():
        raise FileError(path, f"{len(lines)} lines; expected a start time, a rate and samples. {AGAIN}")
    channels = len(kind.channels)
    start = parse_numbers(path, lines[0], first_line=1, columns=channels)[0, 0]
    rate = parse_numbers(path, lines[1], first_line=2, columns=channels)[0, 0]
    if not start > 0:
        raise FileError(path, f"start {start:g} in line 1; expected unix seconds. {AGAIN}")
    if rate != kind.rate_hz:
        raise FileError(
            path,
            f"rate {rate:g} Hz in line 2; expected {kind.rate_hz:g} Hz for {modality} of an E4. "
            "Correct the file or read it through a manifest.",
        )
    body = whole_lines(path, lines[2], problems)
    values = parse_numbers(path, body, first_line=3, columns=channels).T * kind.scale  # (rows, C) -> (C, samples)
    out = np.ascontiguousarray(values, np.float32)
    if modality == "eda":
        out = worn(out)
    if not np.isfinite(out).any():
        raise FileError(path, f"no finite sample; expected numbers. {AGAIN}")
    return Signal(out, kind.rate_hz, kind.channels, kind.unit, float(start))


def read_ibi(path: Path, problems: list[Problem] | None = None) -> Signal | None:
    """Read inter-beat intervals (s) as an irregular series on unix time; None when the file holds no beat."""
    data = read_bytes(path)
    head, _, body = data.partition(b"\n")
    start = parse_numbers(path, head.split(b",")[0])[0, 0]
    if not start > 0:
        raise FileError(path, f"start {start:g} in line 1; expected unix seconds. {AGAIN}")
    kept = whole_lines(path, body, problems) if body.strip() else b""
    if not kept.strip():
        note(problems, path, "no beat; this session is read without ibi")
        return None
    rows = parse_numbers(path, kept, first_line=2, columns=2)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if not len(rows):
        raise FileError(path, f"no finite beat; expected a time and an interval a line. {AGAIN}")
    if (np.diff(rows[:, 0]) < 0).any():
        raise FileError(path, f"beat times go backwards; expected rising times. {AGAIN}")
    times = rows[:, 0] + float(start)
    return Signal(rows[:, 1:].T.astype(np.float32), 0.0, ("IBI",), "s", float(start), times)  # (beats, 1) -> (1, beats)


def worn(eda: FloatArray) -> FloatArray:
    """Replace the zeros before the first skin contact by NaN (the E4 writes 0 until it is worn)."""
    out = eda.copy()
    first = int(np.argmax(out[0] != 0)) if (out[0] != 0).any() else out.shape[1]
    out[:, :first] = np.nan
    return out


def _shift(signal: Signal, seconds: float) -> Signal:
    times = None if signal.timestamps_s is None else signal.timestamps_s + seconds
    return replace(signal, start_s=signal.start_s + seconds, timestamps_s=times)
