"""Exports of EmbracePlus, Polar, Shimmer and Muse through the manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures_data import lines
from fixtures_devices import write_embraceplus, write_muse, write_polar, write_shimmer

from insula.data import load
from insula.errors import DataError, MissingDependencyError
from insula.types import Signal, Trial

HEAD = "file,modality,subject,trial,format,start,stop,label"


def one(root: Path, *rows: str) -> Trial:
    lines(root / "manifest.csv", [HEAD, *rows])
    (recording,) = load("manifest", root)
    return recording.trials[0]


def signal(root: Path, file: str, modality: str, kind: str = "") -> Signal:
    return one(root, f"{file},{modality},ann,t,{kind},,,x").signals[modality]


def test_embraceplus(tmp_path: Path) -> None:
    pytest.importorskip("fastavro", reason="fastavro is not installed (extra data)")
    data = write_embraceplus(tmp_path / "1-1-ann_1772359200.avro")
    rows = [f"1-1-ann_1772359200.avro,{m},ann,t,,0,20,x" for m in ("acc", "eda", "temp", "bvp", "ibi")]
    signals = one(tmp_path, *rows).signals
    for name, key, rate, unit in (
        ("eda", "eda", 4, "uS"),
        ("temp", "temperature", 1, "degC"),
        ("bvp", "bvp", 64, "nW"),
    ):
        np.testing.assert_array_equal(signals[name].values[0], data[key].astype(np.float32))
        assert (signals[name].rate_hz, signals[name].unit) == (rate, unit)
    assert signals["eda"].start_s == 2
    np.testing.assert_array_equal(signals["acc"].values, (data["acc"] / 2048).astype(np.float32))
    beats = (data["peaks"] - 1_772_359_200_000_000_000) / 1e9
    np.testing.assert_allclose(signals["ibi"].timestamps_s, beats[1:], atol=1e-6)
    np.testing.assert_allclose(signals["ibi"].values[0], np.diff(beats), rtol=1e-6)
    with pytest.raises(DataError, match=r"modality of an EmbracePlus file 'eeg'; expected one of acc, bvp"):
        signal(tmp_path, "1-1-ann_1772359200.avro", "eeg")
    (tmp_path / "bad.avro").write_bytes(b"Obj\x01 nonsense")
    with pytest.raises(DataError, match=r"bad\.avro: fastavro cannot read it"):
        signal(tmp_path, "bad.avro", "eda")


def test_embraceplus_without_fastavro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "fastavro", None)
    (tmp_path / "a.avro").write_bytes(b"Obj\x01")
    with pytest.raises(MissingDependencyError, match="'fastavro' is not installed"):
        signal(tmp_path, "a.avro", "eda")


def test_polar(tmp_path: Path) -> None:
    data = write_polar(tmp_path)
    ecg = signal(tmp_path, "ecg.txt", "ecg", "polar")
    np.testing.assert_array_equal(ecg.values[0], data["ecg"].astype(np.float32))
    assert (ecg.rate_hz, ecg.unit) == (130, "uV")
    acc = signal(tmp_path, "acc.txt", "acc", "polar")
    np.testing.assert_allclose(acc.values, data["acc"].T / 1000, rtol=1e-6)
    assert (acc.rate_hz, acc.unit) == (50, "g")
    for file in ("hr.txt", "flow.csv"):
        heart = signal(tmp_path, file, "hr", "Polar")
        np.testing.assert_array_equal(heart.values[0], data["hr"].astype(np.float32))
        assert (heart.rate_hz, heart.unit) == (1, "1/min")
    ibi = signal(tmp_path, "rr.txt", "ibi", "polar")
    np.testing.assert_allclose(ibi.timestamps_s, (data["beats"] - data["beats"][0]) / 1000, atol=1e-6)
    np.testing.assert_allclose(ibi.values[0], np.diff(data["beats"], prepend=0) / 1000, rtol=1e-6)


def test_shimmer(tmp_path: Path) -> None:
    data = write_shimmer(tmp_path / "s.csv")
    for name, unit, expected in (
        ("eda", "uS", data["eda"]), ("ppg", "mV", data["ppg"]), ("acc", "g", data["acc"].T / 9.80665),
    ):  # fmt: skip
        found = signal(tmp_path, "s.csv", name, "shimmer")
        np.testing.assert_allclose(found.values, np.atleast_2d(expected), rtol=1e-6)
        assert (found.rate_hz, found.unit) == (128, unit)
    heart = signal(tmp_path, "s.csv", "hr", "shimmer").values[0]
    assert np.isnan(heart[:256]).all()
    assert (heart[256:] == 71.5).all()


def test_muse(tmp_path: Path) -> None:
    eeg = write_muse(tmp_path)
    for file in ("monitor.csv", "lsl.csv"):
        found = signal(tmp_path, file, "eeg", "muse")
        np.testing.assert_array_equal(found.values, eeg.T.astype(np.float32))
        assert (found.rate_hz, found.unit, found.channels) == (256, "uV", ("TP9", "AF7", "AF8", "TP10"))
    acc = signal(tmp_path, "monitor.csv", "acc", "muse")
    assert (acc.channels, acc.unit) == (("Accelerometer_X", "Accelerometer_Y", "Accelerometer_Z"), "g")
    assert (acc.values[:, 5] == [0.5, -0.25, 1]).all()


def test_muse_electrodes_are_in_a_standard_montage(tmp_path: Path) -> None:
    import mne

    write_muse(tmp_path, seconds=2)
    names = signal(tmp_path, "lsl.csv", "eeg", "muse").channels
    assert set(names) <= set(mne.channels.make_standard_montage("colin27_1020").ch_names)


def test_a_real_mind_monitor_file_is_too_slow_for_eeg(recordings: Path, tmp_path: Path) -> None:
    content = (recordings / "eeglab_sample/testmusemonitor.csv").read_bytes()
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"m\.csv: 0\.98\d? rows a second; expected 256 for EEG"):
        signal(tmp_path, "m.csv", "eeg", "muse")
    acc = signal(tmp_path, "m.csv", "acc", "muse")
    assert acc.rate_hz == pytest.approx(0.98, abs=0.02)
    assert 0.9 < np.sqrt((acc.values**2).sum(axis=0)).mean() < 1.1  # one g


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("garmin", "a\n", "line 2: format 'garmin'; expected one of embraceplus, muse, polar, shimmer, xdf"),
        ("polar", "a;b\n1;2\n3;4\n5;6\n", r"f\.csv: columns a, b; expected sensor timestamp .ns. or Phone timestamp"),
        ("polar", "Phone timestamp;x\n1;2\n3;4\n5;6\n", r"f\.csv: columns Phone timestamp, x; expected some like"),
        ("polar", "a\n", r"f\.csv: 1 lines; expected a header and samples"),
        ("shimmer", "a,b\nc,d\ne,f\ng,h\n", r"f\.csv: no line of names above the numbers"),
        ("shimmer", "a,b\n1,2\n1,2\n1,2\n", r"f\.csv: no column Timestamp_CAL"),
        ("muse", "a,b\n1,2\n1,2\n1,2\n", r"f\.csv: columns a, b; expected timestamps or TimeStamp"),
        ("embraceplus", "a", r"f\.csv: fastavro cannot read it"),
        ("xdf", "a", r"f\.csv: (pyxdf cannot read it|no stream)"),
    ],
)
def test_a_file_of_another_kind_is_one_error(tmp_path: Path, kind: str, text: str, message: str) -> None:
    if kind in ("embraceplus", "xdf"):
        package = {"embraceplus": "fastavro", "xdf": "pyxdf"}[kind]
        pytest.importorskip(package, reason=f"{package} is not installed (extra data)")
    (tmp_path / "f.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        signal(tmp_path, "f.csv", "eda" if kind == "embraceplus" else "hr", kind)
