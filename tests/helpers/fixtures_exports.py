"""Exports of ten kinds of devices and of pandas, R, MATLAB and spreadsheets, as they write them, with known signals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from fixtures_data import lines
from fixtures_devices import BEGIN, stamp, write_muse, write_polar, write_shimmer

ROWS = 400


@dataclass(frozen=True)
class Export:
    """One file, what a manifest says of it, and what must come out: channels, rate, values in insula's unit."""

    file: str
    modality: str
    channels: tuple[str, ...]
    rate_hz: float
    values: np.ndarray  # (channels, samples)
    stated: str = ""
    unit: str = ""
    clock: str | None = None


def eeg(channels: int, rows: int = ROWS, seed: int = 0) -> np.ndarray:
    return np.round(4200 + np.random.default_rng(seed).normal(size=(rows, channels)) * 30, 3)


def eda(rows: int = ROWS, seed: int = 1) -> np.ndarray:
    return np.round(3 + np.cumsum(np.random.default_rng(seed).normal(size=rows)) * 0.02, 4)


def joined(*cells: object, mark: str = ",") -> str:
    return mark.join(map(str, cells))


def empatica_processed(root: Path) -> Export:
    rows = eda()
    lines(root / "e4.csv", ["eda,time", *(f"{v},{1.6e9 + i / 4}" for i, v in enumerate(rows))])
    return Export("e4.csv", "eda", ("eda",), 4, rows[None], clock="time")


def empatica_native(root: Path) -> Export:
    rows = eda()
    lines(root / "EDA.csv", ["1600000000.0", "4.000000", *(f"{v:.6f}" for v in rows)])
    return Export("EDA.csv", "eda", ("EDA",), 4, rows[None])


def embraceplus_minutes(root: Path) -> Export:
    rows = eda(60)
    text = ["timestamp_unix,timestamp_iso,participant_full_id,eda_scl_usiemens,missing_value_reason"]
    for i, v in enumerate(rows):
        text.append(f"{1_700_000_000_000 + 60_000 * i},{stamp(60 * i)}Z,1-1-ann,{v},")
    lines(root / "eda_minutes.csv", text)
    return Export("eda_minutes.csv", "eda", ("eda_scl_usiemens",), 0.01667, rows[None], clock="timestamp_unix")


def embraceplus_raw(root: Path) -> Export:
    rows = eda()
    text = [f"{1_700_000_000_000_000 + 250_000 * i},{v}" for i, v in enumerate(rows)]
    lines(root / "raw_eda.csv", ["unix_timestamp,eda", *text])
    return Export("raw_eda.csv", "eda", ("eda",), 4, rows[None], clock="unix_timestamp")


def mind_monitor(root: Path) -> Export:
    values = write_muse(root)
    channels = ("RAW_TP9", "RAW_AF7", "RAW_AF8", "RAW_TP10")
    return Export("monitor.csv", "eeg", channels, 256, values.T, clock="TimeStamp")


def muselsl(root: Path) -> Export:
    values = write_muse(root)
    return Export("lsl.csv", "eeg", ("TP9", "AF7", "AF8", "TP10"), 256, values.T, clock="timestamps")


def polar(root: Path) -> Export:
    values = write_polar(root)["ecg"]
    return Export("ecg.txt", "ecg", ("ecg [uV]",), 130, values[None], clock="sensor timestamp [ns]")


def shimmer(root: Path) -> Export:
    values = write_shimmer(root / "s.csv")["eda"]
    name = "Shimmer_8DC6_GSR_Skin_Conductance_CAL"
    return Export("s.csv", "eda", (name,), 128, values[None], clock="Shimmer_8DC6_Timestamp_Unix_CAL")


def epoc_x(root: Path) -> Export:
    values = eeg(3)
    head = "title:s1, start timestamp:1700000000.1, stop timestamp:1700000010.1, headset type:EPOCX, channels:20"
    names = "Timestamp,OriginalTimestamp,EEG.Counter,EEG.Interpolated,EEG.AF3,EEG.F7,EEG.O1,EEG.RawCq,EEG.Battery"
    rows = [
        joined(f"{1.7e9 + i / 128:.6f}", f"{1.7e9 + i / 128:.6f}", i % 128, 0, *row, 1024.0, 4, 33, 0.5 + i % 2 / 9)
        for i, row in enumerate(values.tolist())
    ]
    lines(root / "epoc.csv", [head, names + ",EEG.BatteryPercent,MOT.AccX", *rows])
    return Export("epoc.csv", "eeg", ("EEG.AF3", "EEG.F7", "EEG.O1"), 128, values.T, clock="Timestamp")


def openbci(root: Path) -> Export:
    values = eeg(4)
    text = ["%OpenBCI Raw EXG Data", "%Number of channels = 4", "%Sample Rate = 200 Hz", "%Board = Ganglion"]
    names = ["Sample Index", *(f" EXG Channel {i}" for i in range(4)), " Accel Channel 0", " Other", " Other"]
    text.append(",".join([*names, " Timestamp", " Other", " Timestamp (Formatted)"]))
    for i, row in enumerate(values.tolist()):
        when = f"{1.7e9 + i / 200:.4f}"
        text.append(", ".join(map(str, [i % 201, *row, 0.1 * (i % 3), 0.0, 7.0, when, 0, stamp(i / 200, " ")])))
    lines(root / "openbci.txt", text)
    channels = tuple(f"EXG Channel {i}" for i in range(4))
    return Export("openbci.txt", "eeg", channels, 200, values.T, clock="Timestamp")


def biosemi_eeglab(root: Path) -> Export:
    values = eeg(2)
    rows = [joined(f"{1000 * i / 512:.6f}", *row, 65280, mark="\t") for i, row in enumerate(values.tolist())]
    lines(root / "biosemi.txt", ["Time\tA1\tA2\tStatus\t", *(row + "\t" for row in rows)])
    return Export("biosemi.txt", "eeg", ("A1", "A2"), 512, values.T, clock="Time")


def garmin(root: Path) -> Export:
    heart = np.random.default_rng(5).integers(60, 90, size=60)
    text = [f"{stamp(i)}+02:00,{v},{10 + i},{1.2},{i}" for i, v in enumerate(heart)]
    lines(root / "garmin.csv", ["timestamp,heart_rate,distance,speed,lap_number", *text])
    return Export("garmin.csv", "hr", ("heart_rate",), 1, heart[None].astype(float), clock="timestamp")


def fitbit(root: Path) -> Export:
    heart = np.random.default_rng(6).integers(60, 90, size=60)
    begin = datetime(2016, 4, 12, 11, 59, 30)
    text = [
        f"2022484408,{(begin + timedelta(seconds=5 * i)).strftime('%m/%d/%Y %I:%M:%S %p')},{v}"
        for i, v in enumerate(heart)
    ]
    lines(root / "fitbit.csv", ["Id,Time,Value", *text])
    return Export("fitbit.csv", "hr", ("Value",), 0.2, heart[None].astype(float), clock="Time")


def bitalino(root: Path) -> Export:
    rows = np.random.default_rng(7).integers(300, 600, size=ROWS)
    told = {"98:D3": {"sensor": ["EDA"], "sampling rate": 100, "column": ["nSeq", "I1", "I2", "O1", "O2", "A1"]}}
    text = ["# OpenSignals Text File Format", "# " + json.dumps(told), "# EndOfHeader"]
    text += [joined(i % 16, 1, 1, 0, 0, v, mark="\t") + "\t" for i, v in enumerate(rows)]
    lines(root / "opensignals.txt", text)
    return Export("opensignals.txt", "eda", ("A1 EDA",), 100, rows[None].astype(float), unit="raw")


def pandas_index(root: Path) -> Export:
    rows = eda()
    lines(root / "pandas.csv", [",EDA", *(f"{i},{v}" for i, v in enumerate(rows))])
    return Export("pandas.csv", "eda", ("EDA",), 4, rows[None], stated="4")


def pandas_array(root: Path) -> Export:
    values = eeg(3)
    lines(root / "array.csv", [",0,1,2", *(joined(i, *row) for i, row in enumerate(values.tolist()))])
    return Export("array.csv", "eeg", ("0", "1", "2"), 128, values.T, stated="128")


def r_csv(root: Path) -> Export:
    rows = eda()
    text = [f'"{i + 1}","{1.6e9 + i / 4:.2f}",{v}' for i, v in enumerate(rows)]
    lines(root / "r.csv", ['"","time","gsr"', *text])
    return Export("r.csv", "eda", ("gsr",), 4, rows[None], stated="4", clock="time")


def r_table(root: Path) -> Export:
    rows = eda()
    lines(root / "r.txt", ['"gsr" "block"', *(f'"{i + 1}" {v} "rest"' for i, v in enumerate(rows))])
    return Export("r.txt", "eda", ("gsr",), 4, rows[None], stated="4")


def matlab_matrix(root: Path) -> Export:
    rows = eda()
    lines(root / "matlab.csv", [f"{i / 4:.4f},{v}" for i, v in enumerate(rows)])
    return Export("matlab.csv", "eda", ("ch2",), 4, rows[None], clock="ch1")


def matlab_table(root: Path) -> Export:
    rows = eda()
    days = [739_000 + (3600 + i / 4) / 86_400 for i in range(ROWS)]  # datenum
    lines(
        root / "table.csv",
        ["Var1,Var2,Var3", *(f"{i + 1},{d:.10f},{v}" for i, (d, v) in enumerate(zip(days, rows, strict=True)))],
    )
    return Export("table.csv", "eda", ("Var3",), 4, rows[None], clock="Var2")


def spreadsheet_with_commas(root: Path) -> Export:
    rows = eda()
    text = [f"{f'{i / 4:.2f}'.replace('.', ',')};{str(v).replace('.', ',')}" for i, v in enumerate(rows)]
    lines(root / "excel.csv", ["Zeit (s);Hautleitwert", *text])
    return Export("excel.csv", "eda", ("Hautleitwert",), 4, rows[None], clock="Zeit (s)")


def whole_seconds(root: Path) -> Export:
    rows = eda()
    text = [f"{BEGIN + timedelta(seconds=i // 4):%H:%M:%S},{v}" for i, v in enumerate(rows)]
    lines(root / "clock.csv", ["time of day,gsr", *text])
    return Export("clock.csv", "eda", ("gsr",), 4, rows[None], stated="4", clock="time of day")


EXPORTS: tuple[Callable[[Path], Export], ...] = (
    empatica_processed, empatica_native, embraceplus_minutes, embraceplus_raw, mind_monitor, muselsl, polar, shimmer,
    epoc_x, openbci, biosemi_eeglab, garmin, fitbit, bitalino, pandas_index, pandas_array, r_csv, r_table,
    matlab_matrix, matlab_table, spreadsheet_with_commas, whole_seconds,
)  # fmt: skip
