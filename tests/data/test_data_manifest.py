"""Reader manifest: your own files, listed in a CSV."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fixtures_data import lines, write_e4, write_eeg

from insula.data import Problem, load
from insula.errors import DataError, InputError, InsulaError
from insula.types import Recording

NAMES = ("Fp1", "Fp2", "O1")
STEADY = [i * i % 97 for i in range(400)]
"""Whole numbers that do not count (a counter is no signal)."""


def manifest(root: Path, *rows: str) -> Path:
    return lines(root / "manifest.csv", list(rows))


def one(root: Path, *rows: str, **options: object) -> Recording:
    manifest(root, *rows)
    (recording,) = load("manifest", root, **options)
    return recording


@pytest.mark.parametrize("suffix", [".fif", ".set", ".edf", ".vhdr"])
def test_eeg_files_come_in_microvolts_and_cut_to_the_sample(tmp_path: Path, suffix: str) -> None:
    written = write_eeg(tmp_path / f"eeg/rec_raw{suffix}", 10, 100.0, NAMES)
    recording = one(
        tmp_path,
        "file,modality,subject,trial,start,stop,emotion,valence",
        f"eeg/rec_raw{suffix},eeg,ann,t1,1.5,4,happy,7.5",
        f"eeg/rec_raw{suffix},eeg,ann,t2,6,9,sad,",
    )
    first, second = recording.trials
    assert (first.start_s, first.stop_s, second.start_s, second.stop_s) == (1.5, 4, 6, 9)
    assert dict(first.labels) == {"emotion": "happy", "valence": 7.5}
    assert dict(second.labels) == {"emotion": "sad"}
    eeg = first.signals["eeg"]
    assert (eeg.channels, eeg.rate_hz, eeg.unit, eeg.start_s) == (NAMES, 100.0, "uV", 1.5)
    np.testing.assert_allclose(eeg.values, written[:, 150:400], atol=0.01)  # EDF keeps 16 bits


def test_rows_of_one_trial_join_and_start_together(tmp_path: Path) -> None:
    write_eeg(tmp_path / "eeg.fif", 20, 128.0, NAMES)
    lines(tmp_path / "eda.csv", ["a,b", *(f"{STEADY[i]},{-STEADY[i] % 7}" for i in range(400))])
    recording = one(
        tmp_path,
        "file,modality,subject,session,trial,stimulus,start,stop,label,rate,channels,unit",
        "eeg.fif,eeg,ann,mon,t1,film,2,7,happy,,O1;Fp1,",
        "eda.csv,eda,ann,mon,t1,,50,55,,4,a,uS",
        "eeg.fif,eeg,ann,mon,t2,clip,10,15,sad,128,,",
    )
    first, second = recording.trials
    assert (first.trial, first.stimulus, first.start_s, first.stop_s) == ("t1", "film", 2, 7)
    assert first.signals["eeg"].channels == ("O1", "Fp1")
    eda = first.signals["eda"]
    assert (eda.start_s, eda.values[0, 0], eda.n_samples) == (2.0, STEADY[200], 20)
    assert second.signals["eeg"].channels == NAMES
    assert second.start_s == 10


def test_clock_of_trials_in_files_of_their_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        lines(tmp_path / f"{name}.csv", [str(v) for v in STEADY[:40]])
    head = "file,modality,subject,trial,rate,label"
    rows = ["a.csv,eda,ann,t1,4,x", "b.csv,eda,ann,t2,4,y"]
    recording = one(tmp_path, head, *rows)
    assert [(t.start_s, t.stop_s) for t in recording.trials] == [(0, 10), (10, 20)]
    assert recording.trials[1].signals["eda"].start_s == 10
    recording = one(tmp_path, head + ",onset", rows[0] + ",300", rows[1] + ",100")
    assert [(t.trial, t.start_s) for t in recording.trials] == [("t2", 100), ("t1", 300)]


def test_start_without_stop_reads_to_the_end_of_the_file(tmp_path: Path) -> None:
    lines(tmp_path / "a.csv", [str(v) for v in STEADY[:40]])
    write_eeg(tmp_path / "a.fif", 10, 100.0, NAMES)
    head = "file,modality,subject,trial,start,rate,label"
    recording = one(tmp_path, head, "a.csv,eda,ann,t1,4,4,x", "a.fif,eeg,ann,t1,3,,x")
    (trial,) = recording.trials
    assert trial.signals["eda"].values[0].tolist() == STEADY[16:40]
    assert (trial.start_s, trial.stop_s, trial.signals["eeg"].n_samples) == (4, 11, 700)


def test_csv_with_a_time_column_fills_gaps_with_nan(tmp_path: Path) -> None:
    times = np.r_[np.arange(0, 50), np.arange(75, 100)] / 10 + 1000
    lines(tmp_path / "s.csv", ["clock,gsr,note", *(f"{t:.1f},{2 + np.sin(t):.3f},x" for t in times)])
    problems: list[Problem] = []
    recording = one(tmp_path, "file,modality,subject,trial,time,label", "s.csv,eda,ann,t1,clock,x", problems=problems)
    eda = recording.trials[0].signals["eda"]
    assert (eda.rate_hz, eda.channels, eda.n_samples) == (10.0, ("gsr",), 100)
    assert np.flatnonzero(np.isnan(eda.values[0])).tolist() == list(range(50, 75))
    assert [p.what for p in problems] == ["no channels of eda: 'note' (not named like eda)"]


def test_csv_with_dates_and_jitter(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    seconds = np.arange(200) / 20 + rng.uniform(-0.004, 0.004, 200)
    stamps = pd.Timestamp("2024-05-01 10:00:00") + pd.to_timedelta(seconds, unit="s")
    lines(
        tmp_path / "s.csv", ["when,AF7", *(f"{t},{10 * np.sin(s):.4f}" for t, s in zip(stamps, seconds, strict=True))]
    )
    recording = one(tmp_path, "file,modality,subject,trial,time,label,unit", "s.csv,eeg,ann,t,when,x,mV")
    eeg = recording.trials[0].signals["eeg"]
    assert (eeg.rate_hz, eeg.unit) == (20.0, "uV")
    at = np.arange(eeg.n_samples) / 20 + seconds[0]
    np.testing.assert_allclose(eeg.values[0] / 1e3, 10 * np.sin(at), atol=0.2)  # mV -> uV


def test_beats_stay_irregular_and_native_e4_files_are_known(tmp_path: Path) -> None:
    lines(tmp_path / "rr.csv", ["t,rr", "0.5,0.8", "1.3,0.8", "2.4,1.1"])
    write_e4(tmp_path / "e4", seconds=20)
    recording = one(
        tmp_path,
        "file,modality,subject,trial,time,rate,label",
        "rr.csv,ibi,ann,t,t,,x",
        "e4/BVP.csv,bvp,ann,t,,e4,x",
    )
    trial = recording.trials[0]
    assert trial.signals["ibi"].timestamps_s is not None
    np.testing.assert_allclose(trial.signals["ibi"].timestamps_s, [0, 0.8, 1.9])
    np.testing.assert_allclose(trial.signals["ibi"].values[0], [0.8, 0.8, 1.1], rtol=1e-6)
    assert (trial.signals["bvp"].n_samples, trial.signals["bvp"].start_s) == (1280, 0)


def test_people_baseline_semicolons_and_bom(tmp_path: Path) -> None:
    lines(tmp_path / "a.csv", [str(i % 7) for i in range(400)])
    lines(tmp_path / "people.csv", ["subject,openness,sex", "ann,3.5,f", "bob,,m"])
    head = "file;modality;subject;trial;start;stop;rate;role;label\n"
    text = head + "a.csv;eda;ann;rest;0;20;4;baseline;\na.csv;eda;ann;t;20;60;4;;x\n"
    (tmp_path / "manifest.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    problems: list[Problem] = []
    (recording,) = load("manifest", tmp_path / "manifest.csv", problems=problems)
    assert recording.traits == {"openness": 3.5}
    assert [t.role for t in recording.trials] == ["baseline", "trial"]
    assert [p.what for p in problems] == ["column 'sex' holds text; only numbers are traits, it was left out"]


def test_stretches_annotated_bad_are_missing(tmp_path: Path) -> None:
    import mne

    write_eeg(tmp_path / "a_raw.fif", 10, 100.0, NAMES)
    raw = mne.io.read_raw(tmp_path / "a_raw.fif", preload=True, verbose="ERROR")
    raw.set_annotations(mne.Annotations([2.0], [1.0], ["BAD_jump"]))
    raw.save(tmp_path / "b_raw.fif", verbose="ERROR")
    eeg = one(tmp_path, "file,modality,subject,trial,label", "b_raw.fif,eeg,ann,t,x").trials[0].signals["eeg"]
    missing = np.flatnonzero(np.isnan(eeg.values[0]))
    assert (missing.min(), missing.max()) == (200, 299)


HEAD = "file,modality,subject,trial,rate,start,stop,label,channels,time"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["nothing.csv,eda,ann,t,4,,,x,,"], r"nothing\.csv: no such file"),
        (["nothing.edf,eeg,ann,t,,,,x,,"], r"nothing\.edf: no such file"),
        (["a.csv,edaa,ann,t,4,,,x,,"], r"line 2: modality 'edaa'; expected one of .* Did you mean .*'eda'"),
        (["a.csv,eda,,t,4,,,x,,"], "line 2: no subject; expected one"),
        (["a.csv,eda,ann,t,,,,x,,"], r"a\.csv: no rate and no time column"),
        (["a.csv,eda,ann,t,-4,,,x,,"], "line 2: rate '-4'; expected Hz above 0"),
        (["a.csv,eda,ann,t,fast,,,x,,"], "line 2: rate 'fast'; expected Hz above 0"),
        (["a.csv,eda,ann,t,4,9,3,x,,"], r"line 2: start 9, stop 3\.0; expected 0 <= start < stop"),
        (["a.csv,eda,ann,t,4,zero,3,x,,"], "line 2: start 'zero'; expected a number"),
        (["a.csv,eda,ann,t,4,0,300,x,,"], r"a\.csv: piece from 0 s to 300 s; expected within the file's 100\.000 s"),
        (["a.csv,eda,ann,t,400,5,9,x,,"], r"a\.csv: piece from 5 s to 9 s; expected within the file's 1\.000 s"),
        (["timed.csv,eda,ann,t,8,,,x,,t"], r"timed\.csv: rate 8 Hz; column 't' says 4 Hz"),
        (["timed.csv,eda,ann,t,,,,x,,when"], r"timed\.csv: columns t, v; expected when"),
        (["timed.csv,eda,ann,t,,,,x,w,t"], r"timed\.csv: channel 'w'; expected one of t, v"),
        (["eeg.fif,eeg,ann,t,,,,x,Fp3,"], r"eeg\.fif: channel 'Fp3'; expected one of Fp1, Fp2, O1\. Did you mean 'Fp"),
        (["eeg.fif,eeg,ann,t,200,,,x,,"], r"eeg\.fif: rate 200 Hz asked; the file says 100 Hz"),
        (["eeg.fif,eda,ann,t,,,,x,,"], r"eeg\.fif: no channel of type eda; expected the column channels"),
        (["eeg.fif,eeg,ann,t,,,99,x,,"], r"eeg\.fif: piece from 0 s to 99 s; expected within the file's 10\.000 s"),
        (["notes.pdf,eeg,ann,t,,,,x,,"], r"notes\.pdf: file type \.pdf; expected \.fif"),
        (["empty.csv,eda,ann,t,4,,,x,,"], r"empty\.csv: 0 lines"),
        (["empty.edf,eeg,ann,t,,,,x,,"], r"empty\.edf: MNE cannot read it"),
        (["../a.csv,eda,ann,t,4,,,x,,"], r"line 2: file '\.\./a\.csv' lies outside"),
        (["/etc/hostname,eda,ann,t,4,,,x,,"], "line 2: file '/etc/hostname' lies outside"),
        (["link.csv,eda,ann,t,4,,,x,,"], r"line 2: file 'link\.csv' lies outside"),
        (["a.csv,eda,ann,t,4,0,9,x,,", "a.csv,eda,ann,t,4,20,29,x,,"], r"trial \('ann', 'only', 't'\) has eda twice"),
        (
            ["a.csv,eda,ann,t,4,0,9,x,,", "a.csv,bvp,ann,t,4,0,9,y,,"],
            "line 3: label 'y' but 'x' in another row of trial t",
        ),
        (["a.csv,eda,ann,t,4,0,9,x,,", "a.csv,eda,ann,u,4,8,12,x,,"], r"'t' and 'u' of ann overlap by 1\.000 s"),
        (["a.csv,eda,ann,t,4,0,9,x,,,,"], "not a CSV table"),
    ],
)
def test_bad_rows_end_in_one_error_that_says_where(tmp_path: Path, rows: list[str], message: str) -> None:
    root = tmp_path / "data"
    root.mkdir()
    lines(tmp_path / "a.csv", ["1", "2"])
    lines(root / "a.csv", [str(i % 7) for i in range(400)])
    lines(root / "timed.csv", ["t,v", *(f"{i / 4},{STEADY[i]}" for i in range(50))])
    (root / "empty.csv").write_text("")
    (root / "empty.edf").write_text("")
    (root / "notes.pdf").write_text("x")
    os.symlink(tmp_path / "a.csv", root / "link.csv")
    write_eeg(root / "eeg.fif", 10, 100.0, NAMES)
    manifest(root, HEAD, *rows)
    with pytest.raises(DataError, match=message):
        load("manifest", root)
    problems: list[Problem] = []
    assert all(len(r.trials) < len(rows) for r in load("manifest", root, problems=problems))
    assert sum(p.fatal for p in problems) >= 1


def test_a_bad_trial_costs_only_itself_when_problems_are_collected(tmp_path: Path) -> None:
    lines(tmp_path / "a.csv", [str(i % 7) for i in range(400)])
    manifest(tmp_path, HEAD, "a.csv,eda,ann,t,4,0,9,x,,", "gone.csv,eda,ann,u,4,,,y,,", "a.csv,eda,bob,t,4,0,9,x,,")
    problems: list[Problem] = []
    recordings = load("manifest", tmp_path, problems=problems)
    assert [(r.subject, [t.trial for t in r.trials]) for r in recordings] == [("ann", ["t"]), ("bob", ["t"])]
    (problem,) = problems
    assert problem.file.endswith("gone.csv")
    assert problem.fatal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"manifest\.csv: 0 lines"),
        (
            "file,subject\na,b\n",
            "columns file, subject; expected file, modality, subject, trial. Add or rename modality, trial",
        ),
        (
            "file,modality,subject,trial,my label\na.csv,eda,s,t,x\n",
            "label column 'my label'; expected letters, digits",
        ),
        ("file,modality,subject,trial,role\na.csv,eda,s,t,rest\n", "role 'rest'; expected one of baseline, trial"),
    ],
)
def test_a_bad_manifest_ends_in_one_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "manifest.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=message):
        load("manifest", tmp_path)


def test_missing_manifest_people_and_subjects(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest .*manifest\.csv does not exist; expected a CSV with columns file"):
        load("manifest", tmp_path)
    lines(tmp_path / "a.csv", [str(i % 7) for i in range(400)])
    manifest(tmp_path, HEAD, "a.csv,eda,ann,t,4,0,9,x,,")
    with pytest.raises(DataError, match=r"no such people table"):
        load("manifest", tmp_path, people=tmp_path / "gone.csv")
    with pytest.raises(InputError, match=r"subject 'bob'; expected one of ann"):
        load("manifest", tmp_path, subjects=["bob"])
    lines(tmp_path / "people.csv", ["subject,o", "ann,1", "ann,2"])
    with pytest.raises(DataError, match=r"people\.csv: subject 'ann' twice"):
        load("manifest", tmp_path)


@pytest.mark.parametrize("suffix", [".fif", ".edf", ".set"])
def test_a_cut_eeg_file_is_a_recording_or_one_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"eeg{suffix}"
    write_eeg(path, 4, 100.0, NAMES)
    manifest(tmp_path, "file,modality,subject,trial,label", f"{path.name},eeg,ann,t,x")
    content = path.read_bytes()
    outcomes = set()
    for end in np.unique(np.linspace(0, len(content), 25).astype(int)):
        path.write_bytes(content[:end])
        try:
            (recording,) = load("manifest", tmp_path)
        except InsulaError as error:
            outcomes.add(f"error naming {path.name}" if path.name in str(error) else str(error))
        else:
            outcomes.add("read" if recording.trials[0].signals["eeg"].n_samples else "read nothing")
    assert outcomes == {"read", f"error naming {path.name}"}
