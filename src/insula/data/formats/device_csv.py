"""CSV exports of Polar, Shimmer and Muse through the manifest: which columns hold a modality, in what unit.

Sources of the layouts: Polar Sensor Logger (semicolons) and Polar Flow (a summary above the samples); Shimmer Consensys
(names, kinds and units in the first lines); Muse through Mind Monitor, and through muselsl.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from insula.data.formats.delimited import seconds, timed
from insula.data.formats.request import Request
from insula.data.formats.tables import AGAIN, read_bytes, to_numbers, whole_lines
from insula.data.info import FileError, Problem, note
from insula.errors import unknown_name
from insula.types import DoubleArray, Signal


@dataclass(frozen=True)
class Columns:
    """Columns of one modality: a pattern of their names, the unit after multiplying by ``scale``, the nominal rate."""

    pattern: str
    unit: str
    scale: float = 1.0
    rate_hz: float | None = None


POLAR: Mapping[str, Columns] = {
    "ecg": Columns(r"ecg \[uV\]", "uV"),
    "acc": Columns(r"[XYZ] \[mg\]", "g", 1e-3),
    "hr": Columns(r"HR \[bpm\]|HR \(bpm\)", "1/min"),
    "ibi": Columns(r"RR-interval \[ms\]", "s", 1e-3),
    "ppg": Columns(r"channel \d+", "a.u."),
}
SHIMMER: Mapping[str, Columns] = {
    "eda": Columns(r".*GSR_Skin_Conductance_CAL", "uS"),
    "ppg": Columns(r".*PPG_A\d+_CAL", "mV"),
    "ecg": Columns(r".*ECG_\w+_CAL", "uV", 1e3),
    "emg": Columns(r".*EMG_\w+_CAL", "uV", 1e3),
    "acc": Columns(r".*Accel_(LN|WR)_[XYZ]_CAL", "g", 1 / 9.80665),
    "hr": Columns(r".*(PPG|ECG)toHR\w*_CAL", "1/min"),
}
MUSE: Mapping[str, Columns] = {
    "eeg": Columns(r"(RAW_)?(TP9|AF7|AF8|TP10)", "uV", rate_hz=256.0),
    "acc": Columns(r"Accelerometer_[XYZ]", "g"),
}
SLOWEST_EEG_HZ = 64.0


def read_polar(request: Request, problems: list[Problem] | None) -> Signal:
    """Read a Polar Sensor Logger or Polar Flow file; 0 is its first sample."""
    lines = _lines(request.path, problems)
    if lines[0].startswith("Name,Sport"):  # Polar Flow: two lines of summary
        table = _table(request.path, lines[2:], ",")
        at = _seconds_of_day(request.path, table)
    else:
        table = _table(request.path, lines, ";")
        at = _sensor_clock(request.path, table, "sensor timestamp [ns]", 1e-9, "Phone timestamp")
    return _signal(request, POLAR, table, at, problems)


def read_shimmer(request: Request, problems: list[Problem] | None) -> Signal:
    """Read a Shimmer Consensys file with calibrated columns; 0 is its first sample."""
    lines = _lines(request.path, problems)
    separator = ","
    if lines[0].strip('"').startswith("sep="):
        separator = lines[0].strip('"')[4:5] or "\t"
        lines = lines[1:]
    elif "\t" in lines[0]:
        separator = "\t"
    first = next((i for i, line in enumerate(lines) if np.isfinite(to_numbers(line.split(separator)[:1])).any()), 0)
    if not first:
        raise FileError(request.path, f"no line of names above the numbers; expected Shimmer's header. {AGAIN}")
    table = _table(request.path, [lines[0], *lines[first:]], separator)
    stamps = [c for c in table.columns if re.fullmatch(r".*Timestamp\w*_CAL", c)]
    if not stamps:
        raise FileError(request.path, f"no column Timestamp_CAL; expected calibrated data of Consensys. {AGAIN}")
    at = to_numbers(table[next((c for c in stamps if "Unix" in c), stamps[0])]) / 1e3
    signal = _signal(request, SHIMMER, table, at, problems)
    if request.modality == "hr":  # Shimmer writes -1 until it knows
        return replace(signal, values=np.where(signal.values > 0, signal.values, np.nan).astype(np.float32))
    return signal


def read_muse(request: Request, problems: list[Problem] | None) -> Signal:
    """Read a Mind Monitor or muselsl file; 0 is its first sample. EEG that was averaged when saved is refused."""
    table = _table(request.path, _lines(request.path, problems), ",")
    at = _sensor_clock(request.path, table, "timestamps", 1.0, "TimeStamp")
    known = np.unique(at[np.isfinite(at)])
    if request.modality == "eeg" and known.size > 1 and 1 / float(np.median(np.diff(known))) < SLOWEST_EEG_HZ:
        raise FileError(
            request.path,
            f"{1 / float(np.median(np.diff(known))):.3g} rows a second; expected 256 for EEG. Set the recording "
            "interval of Mind Monitor to constant and record again.",
        )
    signal = _signal(request, MUSE, table, at, problems)
    return replace(signal, channels=tuple(name.removeprefix("RAW_") for name in signal.channels))


def _lines(path: Path, problems: list[Problem] | None) -> list[str]:
    data = whole_lines(path, read_bytes(path), problems) or b"\n"
    lines = data.decode("utf-8-sig", errors="replace").splitlines()
    if len(lines) < 4:
        raise FileError(path, f"{len(lines)} lines; expected a header and samples. {AGAIN}")
    return lines


def _table(path: Path, lines: list[str], separator: str) -> pd.DataFrame:
    width = len(lines[0].rstrip(separator).split(separator))
    # Polar ends its lines with a separator, Mind Monitor leaves out an empty last cell
    rows = [(line.split(separator) + [""] * width)[:width] for line in lines]
    table = pd.DataFrame(rows[1:], columns=rows[0], dtype=str)
    table.columns = pd.Index([str(c).strip().strip('"') for c in table.columns])
    if table.empty:
        raise FileError(path, f"0 rows below the header; expected samples. {AGAIN}")
    return table


def _sensor_clock(path: Path, table: pd.DataFrame, sensor: str, scale: float, phone: str) -> DoubleArray:
    if sensor in table.columns:
        return to_numbers(table[sensor]) * scale
    if phone not in table.columns:
        raise FileError(path, f"columns {', '.join(table.columns)[:200]}; expected {sensor} or {phone}. {AGAIN}")
    return seconds(path, table[phone], phone)


def _seconds_of_day(path: Path, table: pd.DataFrame) -> DoubleArray:
    if "Time" not in table.columns:
        raise FileError(path, f"columns {', '.join(table.columns)[:200]}; expected Time. {AGAIN}")
    parts = [to_numbers(cell.split(":")) for cell in table["Time"]]
    return np.array([p @ np.array([3600.0, 60.0, 1.0]) if len(p) == 3 else np.nan for p in parts])


def _signal(
    request: Request,
    known: Mapping[str, Columns],
    table: pd.DataFrame,
    at: DoubleArray,
    problems: list[Problem] | None,
) -> Signal:
    path = request.path
    if request.modality not in known:
        raise FileError(path, str(unknown_name("modality of this export", request.modality, known)))
    wanted = known[request.modality]
    names = [c for c in table.columns if re.fullmatch(wanted.pattern, c)]
    for name in request.channels:
        if name not in names:
            raise FileError(path, str(unknown_name("channel", name, names)))
    names = list(request.channels or names)
    if not names:
        raise FileError(
            path,
            f"columns {', '.join(table.columns)[:200]}; expected some like {wanted.pattern} for {request.modality}.",
        )
    values = np.stack([to_numbers(table[name]) for name in names], axis=1) * wanted.scale  # (rows, channels)
    values[~np.isfinite(values)] = np.nan
    if np.isnan(at).any() and np.isfinite(at).any():
        note(problems, path, f"{int(np.isnan(at).sum())} rows without a time were left out")
    asked = replace(request, rate_hz=request.rate_hz or wanted.rate_hz, time=request.time or "time")
    return timed(asked, tuple(names), values, at, wanted.unit)
