"""Writers of tiny exports of Empatica EmbracePlus, Polar, Shimmer and Muse."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from fixtures_data import lines

BEGIN = datetime(2026, 3, 1, 10, 0, 0)


def write_embraceplus(path: Path, seconds: int = 20) -> dict[str, np.ndarray]:
    """EDA begins 2 s after the accelerometer; the schema is a subset of Empatica's version 6."""
    import fastavro

    rng = np.random.default_rng(0)
    start = 1_772_359_200_000_000
    data = {
        "eda": np.round(rng.random((seconds - 2) * 4), 4),
        "temperature": np.round(33 + rng.random(seconds), 3),
        "bvp": np.round(rng.normal(size=seconds * 64), 3),
        "acc": rng.integers(-2048, 2048, size=(3, seconds * 64)),
        "peaks": start * 1000 + np.cumsum(np.r_[500_000_000, rng.integers(700, 1000, size=12) * 1_000_000]),
    }
    time = [{"name": "timestampStart", "type": "long"}, {"name": "samplingFrequency", "type": "float"}]
    floats, ints = {"type": "array", "items": "float"}, {"type": "array", "items": "int"}

    def series(name: str) -> dict:
        fields = [*time, {"name": "values", "type": floats}]
        return {"name": name, "type": {"type": "record", "name": f"{name}Data", "fields": fields}}

    scale = [{"name": f"{kind}{end}", "type": "int"} for kind in ("physical", "digital") for end in ("Min", "Max")]
    imu = {"name": "imuParams", "type": {"type": "record", "name": "imu", "fields": scale}}
    accel = [*time, imu, *({"name": axis, "type": ints} for axis in "xyz")]
    peaks = [{"name": "peaksTimeNanos", "type": {"type": "array", "items": "long"}}]
    raw = [
        {"name": "accelerometer", "type": {"type": "record", "name": "acc", "fields": accel}},
        *(series(name) for name in ("eda", "temperature", "bvp")),
        {"name": "systolicPeaks", "type": {"type": "record", "name": "peaks", "fields": peaks}},
    ]
    fields = [
        {"name": "timezone", "type": "int"},
        {"name": "rawData", "type": {"type": "record", "name": "raw", "fields": raw}},
    ]
    schema = fastavro.parse_schema({"type": "record", "name": "Avro", "fields": fields})
    accelerometer = dict(zip("xyz", data["acc"].tolist(), strict=True))
    accelerometer |= {"timestampStart": start, "samplingFrequency": 64.0}
    accelerometer["imuParams"] = {"physicalMin": -16, "physicalMax": 16, "digitalMin": -32768, "digitalMax": 32768}
    record = {
        "timezone": 0,
        "rawData": {
            "accelerometer": accelerometer,
            "eda": {"timestampStart": start + 2_000_000, "samplingFrequency": 4.0, "values": data["eda"].tolist()},
            "temperature": {"timestampStart": start, "samplingFrequency": 1.0, "values": data["temperature"].tolist()},
            "bvp": {"timestampStart": start, "samplingFrequency": 64.0, "values": data["bvp"].tolist()},
            "systolicPeaks": {"peaksTimeNanos": data["peaks"].tolist()},
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        fastavro.writer(file, schema, [record], codec="deflate")
    return data


def stamp(seconds: float, separator: str = "T") -> str:
    return (BEGIN + timedelta(seconds=seconds)).isoformat(separator, "milliseconds")


def write_polar(folder: Path, seconds: int = 20) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    ecg = rng.integers(-900, 900, size=seconds * 130)
    acc = rng.integers(-1000, 1000, size=(seconds * 50, 3))
    heart = rng.integers(60, 90, size=seconds)
    beats = np.cumsum(rng.integers(700, 1000, size=seconds))
    rows = [f"{stamp(i / 130)};{6e17 + i * 1e9 / 130:.0f};{i * 1000 / 130:.1f};{v}" for i, v in enumerate(ecg)]
    lines(folder / "ecg.txt", ["Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV]", *rows])
    rows = [f"{stamp(i / 50)};{6e17 + i * 2e7:.0f};{x};{y};{z}" for i, (x, y, z) in enumerate(acc.tolist())]
    lines(folder / "acc.txt", ["Phone timestamp;sensor timestamp [ns];X [mg];Y [mg];Z [mg]", *rows])
    lines(
        folder / "hr.txt", ["Phone timestamp;HR [bpm];HRV [ms];", *(f"{stamp(i)};{v};;" for i, v in enumerate(heart))]
    )
    rows = [f"{stamp(at / 1000)};{v}" for at, v in zip(beats, np.diff(beats, prepend=0), strict=True)]
    lines(folder / "rr.txt", ["Phone timestamp;RR-interval [ms]", *rows])
    flow = ["Name,Sport,Date,Start time,Duration", "ann,OTHER,01-03-2026,10:00:00,00:00:20"]
    flow += [
        "Sample rate,Time,HR (bpm),Speed (km/h),",
        *(f"{1 if i == 0 else ''},00:00:{i:02d},{v},," for i, v in enumerate(heart)),
    ]
    lines(folder / "flow.csv", flow)
    return {"ecg": ecg, "acc": acc, "hr": heart, "beats": beats}


def write_shimmer(path: Path, seconds: int = 20) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    count = seconds * 128
    data = {"eda": 2 + rng.random(count), "ppg": rng.random(count) * 2000, "hr": np.full(count, 71.5)}
    data["acc"] = rng.normal(size=(count, 3)) * 9.80665
    data["hr"][:256] = -1
    names = ["Timestamp_Unix", "Accel_LN_X", "Accel_LN_Y", "Accel_LN_Z", "GSR_Skin_Conductance", "PPG_A13", "PPGtoHR"]
    rows = ["sep=,", ",".join(f"Shimmer_8DC6_{n}_CAL" for n in names), "ms,m/(s^2),m/(s^2),m/(s^2),uS,mV,BPM"]
    for i in range(count):
        cells = [1.7e12 + i * 1000 / 128, *data["acc"][i], data["eda"][i], data["ppg"][i], data["hr"][i]]
        rows.append(",".join(repr(float(c)) for c in cells))
    lines(path, rows)
    return data


def write_muse(folder: Path, seconds: int = 10) -> np.ndarray:
    """The same EEG as Mind Monitor (dates, a marker row between) and muselsl (unix seconds) write it."""
    rng = np.random.default_rng(3)
    eeg = np.round(800 + rng.normal(size=(seconds * 256, 4)) * 30, 3)
    head = "TimeStamp,Delta_TP9,RAW_TP9,RAW_AF7,RAW_AF8,RAW_TP10,AUX_RIGHT,Accelerometer_X,Accelerometer_Y"
    rows = [f"{head},Accelerometer_Z,Elements"]
    for i, row in enumerate(eeg.tolist()):
        values = ",".join(map(str, row))
        rows.append(f"{(BEGIN + timedelta(seconds=i / 256)).isoformat(' ')},0.1,{values},1,0.5,-0.25,1.0,")
        if i == 700:
            rows.append(f"{(BEGIN + timedelta(seconds=i / 256)).isoformat(' ')},,,,,,,,,,/muse/elements/blink")
    lines(folder / "monitor.csv", rows)
    rows = [f"{1.7e9 + i / 256:.6f},{','.join(map(str, row))},0" for i, row in enumerate(eeg.tolist())]
    lines(folder / "lsl.csv", ["timestamps,TP9,AF7,AF8,TP10,Right AUX", *rows])
    return eeg
