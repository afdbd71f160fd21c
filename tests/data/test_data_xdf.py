"""Lab Streaming Layer recordings through the manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures_data import lines
from fixtures_xdf import drifting, write_xdf

from insula.data import Problem, load
from insula.data.formats import xdf as xdf_module
from insula.errors import DataError, MissingDependencyError
from insula.types import Recording

HEAD = "file,modality,subject,trial,start,stop,emotion,stream,channels,unit"


def one(root: Path, *rows: str, problems: list[Problem] | None = None) -> Recording:
    lines(root / "manifest.csv", [HEAD, *rows])
    (recording,) = load("manifest", root, problems=problems)
    return recording


@pytest.fixture
def written(tmp_path: Path) -> Path:
    pytest.importorskip("pyxdf", reason="pyxdf is not installed (extra data)")
    eeg = drifting("EEG", 1000.0, 60.0, 250.0, 2e-4, 500.0, labels=("Fp1", "Oz"), unit="microvolts", name="amp")
    eda = drifting("GSR", 1003.0, 50.0, 16.0, -3e-4, -90.0, labels=("EDA",), unit="uS", name="watch")
    write_xdf(tmp_path / "a.xdf", [eeg, eda])
    return tmp_path


def test_devices_share_a_clock_and_drift_is_removed(written: Path) -> None:
    recording = one(
        written,
        "a.xdf,eeg,ann,t1,5,45,happy,,,",
        "a.xdf,eda,ann,t1,5,45,happy,,,",
        "a.xdf,eeg,ann,t2,50,59,sad,amp,Oz,",
    )
    first, second = recording.trials
    eeg, eda = first.signals["eeg"], first.signals["eda"]
    assert (eeg.channels, eeg.unit, eeg.rate_hz, eda.channels, eda.rate_hz) == (("Fp1", "Oz"), "uV", 250, ("EDA",), 16)
    for signal, level, tolerance in (
        (eeg, 0, 0.05),
        (eda, 60, 0.6),
    ):  # a drift of 2e-4 would be 3 to 10 microvolts here
        at = 1000.0 + signal.start_s + np.arange(signal.n_samples) / signal.rate_hz
        for i, row in enumerate(signal.values - level):
            np.testing.assert_allclose(row, 50 * np.sin(2 * np.pi * (0.3 + i) * at), atol=tolerance)
    assert abs(eda.start_s - 5) < 1 / 16
    assert second.signals["eeg"].channels == ("Oz",)
    assert abs(second.signals["eeg"].start_s - 50) < 1 / 250
    assert second.labels == {"emotion": "sad"}


def test_units_streams_and_channels_that_do_not_fit(written: Path, tmp_path: Path) -> None:
    for row, message in (
        ("a.xdf,eeg,ann,t,,,x,cap,,", r"a\.xdf: stream 'cap'; expected one of amp, watch"),
        ("a.xdf,eeg,ann,t,,,x,,Cz,", r"a\.xdf: channel 'Cz'; expected one of Fp1, Oz"),
        ("a.xdf,eeg,ann,t,,,x,,,pints", r"a\.xdf: unit 'pints'; expected one of"),
        ("a.xdf,bvp,ann,t,,,x,,,", r"a\.xdf: 0 streams of type bvp; expected one among amp .EEG., watch .GSR."),
        ("b.xdf,eeg,ann,t,,,x,,,", r"b\.xdf: no such file"),
        ("a.xdf,eeg,ann,t,5,99,x,,,", r"a\.xdf: piece from 5 s to 99 s; expected within the file's 60"),
    ):
        with pytest.raises(DataError, match=message):
            one(written, row)
    with pytest.raises(DataError, match=r"'Fp1' \(varies by 3\.\d+e\+07 uV; eeg varies by 0\.05 to 50000 uV\)"):
        one(written, "a.xdf,eeg,ann,t,5,6,x,,,V")
    (millivolts,) = one(written, "a.xdf,eeg,ann,t,5,6,x,,Fp1,mV").trials
    assert 2e4 < np.abs(millivolts.signals["eeg"].values).max() <= 5e4
    (tmp_path / "a.xdf").write_bytes(b"XDF:" + b"\xff" * 200)
    with pytest.raises(DataError, match=r"a\.xdf: (pyxdf cannot read it|no stream)"):
        one(written, "a.xdf,eeg,ann,t,5,6,x,,,")


def test_without_pyxdf_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyxdf", None)
    lines(tmp_path / "manifest.csv", [HEAD, "a.xdf,eeg,ann,t,,,x,,,"])
    (tmp_path / "a.xdf").write_bytes(b"XDF:")
    with pytest.raises(MissingDependencyError, match=r"'pyxdf' is not installed; .* a\.xdf.*insula\[data\]"):
        load("manifest", tmp_path)
    assert xdf_module.TYPES["eda"] == "gsr"


def test_a_real_recording(recordings: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyxdf", reason="pyxdf is not installed (extra data)")
    (tmp_path / "test.xdf").write_bytes((recordings / "eeglab_sample/test.xdf").read_bytes())
    problems: list[Problem] = []
    recording = one(tmp_path, "test.xdf,eeg,ann,t,,,x,,,", problems=problems)
    eeg = recording.trials[0].signals["eeg"]
    assert (len(eeg.channels), eeg.rate_hz, eeg.unit) == (8, 1000, "uV")
    assert 9520 < eeg.n_samples < 9550  # the device ran at 998.4 Hz by the common clock
    assert np.isfinite(eeg.values).all()
    assert [p.what for p in problems] == ["no unit in the stream; taken as microvolts (name it in the column unit)"]
