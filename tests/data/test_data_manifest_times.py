"""Clock times, annotations, tags, spreadsheets and sloppy headers in a manifest."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fixtures_data import lines, write_e4

from insula.data import Problem, load
from insula.errors import DataError
from insula.types import Recording

BEGIN = datetime(2026, 3, 1, 9, 0, 0, tzinfo=UTC)


def one(root: Path, *rows: str, problems: list[Problem] | None = None) -> Recording:
    lines(root / "manifest.csv", list(rows))
    (recording,) = load("manifest", root, problems=problems)
    return recording


def signal(rows: int) -> np.ndarray:
    return np.round(3 + np.sin(np.arange(rows) / 9.0) + np.arange(rows) % 7 / 10, 4)


def devices(root: Path) -> None:
    """Two devices: one on unix time in milliseconds, one whose clock is 30 s ahead and says local time."""
    lines(
        root / "a.csv",
        ["unix ms,EDA", *(f"{int(BEGIN.timestamp() * 1000) + 250 * i},{v}" for i, v in enumerate(signal(2400)))],
    )
    local = pd.Timestamp("2026-03-01 10:00:30")
    rows = [f"{local + pd.Timedelta(seconds=i / 2)},{30 + v / 10:.4f}" for i, v in enumerate(signal(1200))]
    lines(root / "b.csv", ["time,Temperature", *rows])


@pytest.mark.parametrize(
    ("first", "stop", "second", "zone"),
    [
        ("2026-03-01 10:01:00", "10:02:00", "10:03:00", "Europe/Berlin"),
        ("2026-03-01T09:01:00Z", "09:02", "09:03:00", ""),
        ("2026-03-01 11:01:00+02:00", "11:02", "11:03:00", "+02:00"),
        (str(BEGIN.timestamp() + 60), str(BEGIN.timestamp() + 120), str(1000 * (BEGIN.timestamp() + 180)), ""),
        ("10:01 am", "10:02:00", "10:03:00 AM", "UTC+1"),
    ],
)
def test_clock_times_of_any_zone(tmp_path: Path, first: str, stop: str, second: str, zone: str) -> None:
    devices(tmp_path)
    recording = one(
        tmp_path,
        "File,Modality,Subject,Trial,Start_Time,Stop time,Zone,mood",
        f"a.csv,EDA,ann,t1,{first},{stop},{zone},happy",
        f"a.csv,eda,ann,t2,{second},,{zone},sad",
    )  # fmt: skip
    trials = recording.trials
    assert [t.start_s for t in trials] == pytest.approx([60, 180])
    assert trials[0].stop_s == pytest.approx(120)
    np.testing.assert_allclose(trials[0].signals["eda"].values[0, :20], signal(2400)[240:260], rtol=1e-6)
    np.testing.assert_allclose(trials[1].signals["eda"].values[0, :20], signal(2400)[720:740], rtol=1e-6)


def test_devices_whose_clocks_differ_are_aligned_by_the_stated_offset(tmp_path: Path) -> None:
    devices(tmp_path)
    recording = one(
        tmp_path,
        "file,modality,subject,trial,start_time,stop_time,zone,clock_offset,mood",
        "a.csv,eda,ann,t1,10:01:00,10:02:00,+01:00,,happy",
        "b.csv,temp,ann,t1,10:01:00,10:02:00,,30,happy",  # says 10:01:30 when it is 10:01:00
    )
    (trial,) = recording.trials
    np.testing.assert_allclose(trial.signals["temp"].values[0], 30 + signal(1200)[120:240] / 10, rtol=1e-5)
    assert (trial.signals["eda"].start_s, trial.signals["temp"].start_s) == (60, 60)


def test_a_time_before_the_file_and_a_file_without_a_clock_say_what_to_do(tmp_path: Path) -> None:
    devices(tmp_path)
    head = "file,modality,subject,trial,start_time,zone,rate,mood"
    with pytest.raises(DataError, match=r"line 2: start_time 2026-03-01 08:00:00 is 3600 s before a\.csv begins"):
        one(tmp_path, head, "a.csv,eda,ann,t1,2026-03-01 08:00:00,,,x")
    with pytest.raises(DataError, match=r"line 2: zone 'Mars'; expected one like Europe/Berlin"):
        one(tmp_path, head, "a.csv,eda,ann,t1,2026-03-01 08:00:00,Mars,,x")
    with pytest.raises(DataError, match=r"line 2: 'noon' is no time; expected 10:03:20"):
        one(tmp_path, head, "a.csv,eda,ann,t1,noon,,,x")
    lines(tmp_path / "c.csv", [str(v) for v in signal(80)])
    with pytest.raises(DataError, match=r"c\.csv: does not know when it began"):
        one(tmp_path, head, "c.csv,eda,ann,t1,10:00:00,,4,x")


@pytest.mark.parametrize("suffix", [".fif", ".set", ".edf"])
def test_annotations_of_a_file_become_trials(tmp_path: Path, suffix: str) -> None:
    import mne

    values = np.random.default_rng(0).normal(size=(2, 60 * 128)) * 2e-5
    raw = mne.io.RawArray(values, mne.create_info(["Fp1", "O1"], 128.0, "eeg"), verbose="ERROR")
    raw.set_meas_date(BEGIN)
    raw.set_annotations(mne.Annotations([5, 20, 30, 31], [10, 10, 20, 1], ["happy", "sad", "happy", "BAD jump"]))
    path = tmp_path / f"r_raw{suffix}"
    if suffix == ".fif":
        raw.save(path, verbose="ERROR")
    else:
        mne.export.export_raw(path, raw, verbose="ERROR")
    recording = one(tmp_path, "file,modality,subject,trials", f"{path.name},eeg,ann,annotations")
    told = [(t.trial, t.start_s, t.stop_s, t.labels["annotation"]) for t in recording.trials]
    assert [(name, label) for name, *_, label in told] == [("001", "happy"), ("002", "sad"), ("003", "happy")]
    np.testing.assert_allclose([(a, b) for _, a, b, _ in told], [(5, 15), (20, 30), (30, 50)], atol=0.02)


def test_markers_without_length_last_until_the_next_one(tmp_path: Path) -> None:
    import mne

    rng = np.random.default_rng(0)
    data = np.vstack([rng.normal(size=(1, 60 * 100)) * 2e-5, np.zeros((1, 6000))])
    data[1, [500, 2000, 4000]] = [3, 7, 3]
    raw = mne.io.RawArray(data, mne.create_info(["Fp1", "STI"], 100.0, ["eeg", "stim"]), verbose="ERROR")
    raw.save(tmp_path / "r_raw.fif", verbose="ERROR")
    recording = one(tmp_path, "file,modality,subject,trials", "r_raw.fif,eeg,ann,annotations")
    assert [(t.start_s, t.stop_s, t.labels["annotation"]) for t in recording.trials] == [
        (5, 20, "3"), (20, 40, "7"), (40, 60, "3"),
    ]  # fmt: skip


def test_lsl_markers_become_trials(tmp_path: Path) -> None:
    pytest.importorskip("pyxdf", reason="pyxdf is not installed (extra data)")
    from fixtures_xdf import drifting, write_xdf

    eeg = drifting("EEG", 100.0, 40.0, 250.0, 0.0, 0.0, labels=("Fp1", "Oz"), unit="uV")
    write_xdf(tmp_path / "a.xdf", [eeg], markers=[(105.0, "happy"), (120.0, "sad"), (130.0, "recording ends")])
    recording = one(tmp_path, "file,modality,subject,trials", "a.xdf,eeg,ann,markers")
    assert [(round(t.start_s, 2), t.labels["annotation"]) for t in recording.trials] == [(5, "happy"), (20, "sad")]


def test_tags_of_an_e4_cut_its_session(tmp_path: Path) -> None:
    write_e4(tmp_path / "e4", seconds=60)
    begin = float((tmp_path / "e4/EDA.csv").read_text().splitlines()[0])
    lines(tmp_path / "e4/tags.csv", [f"{begin + 10:.2f}", f"{begin + 30:.2f}"])
    head = "file,modality,subject,trials,rate"
    recording = one(tmp_path, head, "e4/EDA.csv,eda,ann,tags,e4", "e4/TEMP.csv,temp,ann,tags,e4")
    told = [(t.stop_s - t.start_s, t.labels["annotation"], sorted(t.signals)) for t in recording.trials]
    assert told[0] == (pytest.approx(20), "tag1", ["eda", "temp"])
    assert told[1][1] == "tag2"


def test_a_workbook_is_a_manifest_and_decimal_commas_are_numbers(tmp_path: Path) -> None:
    lines(tmp_path / "a.csv", [str(v) for v in signal(400)])
    rows = [
        ["a.csv", "EDA", "ann", "t1", 0, 20.5, 4, "3,5", "microSiemens"],
        ["a.csv", "EDA", "ann", "t2", 20.5, 60, 4, "6,25", "µS"],
    ]
    names = ["File", "Modality", "Subject", "Trial", "Start", "Stop", "Rate", "valence", "Unit"]
    pd.DataFrame(rows, columns=names).to_excel(tmp_path / "manifest.xlsx", index=False)
    pd.DataFrame([["ann", 4.5]], columns=["Subject", "openness"]).to_excel(tmp_path / "people.xlsx", index=False)
    problems: list[Problem] = []
    (recording,) = load("manifest", tmp_path, problems=problems)
    assert [t.labels["valence"] for t in recording.trials] == [3.5, 6.25]
    assert (recording.trials[0].stop_s, recording.traits) == (20.5, {"openness": 4.5})
    assert "decimal commas read as points in 'valence'" in [p.what for p in problems]
    assert recording.trials[0].signals["eda"].unit == "uS"


def test_a_semicolon_manifest_with_decimal_commas_in_western_european_text(tmp_path: Path) -> None:
    lines(tmp_path / "a.csv", [str(v) for v in signal(400)])
    text = "file;modality;subject;trial;start;stop;rate;valence\na.csv;eda;Zoë;t;0,5;60,5;4;3,5\n"
    (tmp_path / "manifest.csv").write_bytes(text.encode("cp1252"))
    problems: list[Problem] = []
    (recording,) = load("manifest", tmp_path, problems=problems)
    assert recording.subject == "Zoë"
    assert recording.trials[0].labels == {"valence": 3.5}
    assert {p.what for p in problems} >= {"not UTF-8; read as Western European text"}
