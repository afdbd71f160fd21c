"""The readers on real recordings (skipped where they are not there)."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from fixtures_data import lines

from insula.data import Problem, info, load
from insula.protocols.describing import describe


@pytest.mark.slow
def test_stress_predict(recordings: Path) -> None:
    problems: list[Problem] = []
    began = time.perf_counter()
    people = load("stress_predict", recordings / "stress_predict", problems=problems)
    seconds = time.perf_counter() - began
    assert seconds < 6 * 3  # 2 s on an idle core; the factor is for busy machines
    assert [r.subject for r in people] == [f"S{i:02d}" for i in range(1, 21)]
    assert [len(r.trials) for r in people] == [1] + [7] * 19
    assert [(p.what.split(";")[0], p.fatal) for p in problems] == [("no label for S01", False)]
    tasks = ["rest", "stroop", "rest", "interview", "rest", "hyperventilation", "rest"]
    assert all([t.labels["task"] for t in r.trials] == tasks for r in people[1:])
    assert people[1].traits == {"pss_before": 25, "stai_before": 94}
    assert all(set(r.traits) == {"pss_before", "stai_before"} for r in people)
    lengths = {task: [t.stop_s - t.start_s for r in people for t in r.trials if t.stimulus == task] for task in tasks}
    assert 240 < np.median(lengths["stroop"]) < 420
    assert 480 < np.median(lengths["interview"]) < 720
    assert 80 < np.median(lengths["hyperventilation"]) < 180
    told = describe(people, info("stress_predict").recipe, problems=problems)
    stress = told.targets[0]
    assert (stress.target, stress.trials, stress.people) == ("stress", {"rest": 76, "stress": 57}, 19)
    assert stress.windows == {"rest": 3487, "stress": 1673}
    assert stress.people_without == ("S01",)
    assert stress.schedule is not None
    assert stress.schedule.shared
    assert stress.schedule.order_agreement == 1
    assert 0.88 < stress.schedule.agreement < 0.91
    assert stress.opening is not None
    assert stress.protocols["within_subject"] is None
    assert "1 session" in str(stress.protocols["cross_session"])
    assert {m.modality: m.rates_hz for m in told.modalities} == {
        "eda": (4.0,), "bvp": (64.0,), "temp": (4.0,), "hr": (1.0,), "ibi": (0.0,),
    }  # fmt: skip


def test_task_order_agrees_with_the_time_logs(recordings: Path) -> None:
    """The logs give hours and minutes in Irish time (winter: UTC), in twelve-hour form."""
    import openpyxl

    root = recordings / "stress_predict"
    some = [f"S{i:02d}" for i in range(2, 12)]
    people = {r.subject: r for r in load("stress_predict", root, subjects=some)}
    rows = list(
        openpyxl.load_workbook(root / "Processed_data/Time_logs.xlsx", data_only=True).active.iter_rows(
            values_only=True
        )
    )
    columns = {"stroop": "Stroop Test", "interview": "Interview", "hyperventilation": "Hyperventilation"}
    off = []
    for row in rows[2:]:
        recording = people.get(str(row[0]))
        if recording is None or not recording.trials[0].labels:
            continue
        zero = float(recording.provenance["start_unix_s"])
        for trial in recording.trials:
            if trial.stimulus in columns:
                logged = row[rows[0].index(columns[trial.stimulus])]
                minutes = (zero + trial.start_s) / 60 % 720
                off.append((minutes - (logged.hour * 60 + logged.minute) + 360) % 720 - 360)
    assert len(off) == 30
    assert np.mean(np.abs(off) < 3) > 0.9


@pytest.mark.slow
def test_cogwear_e4(recordings: Path) -> None:
    problems: list[Problem] = []
    people = load("cogwear_e4", recordings / "cogwear_e4", problems=problems, ppg=True)
    assert len({r.subject for r in people}) == 19
    assert [sum(r.session == s for r in people) for s in ("only", "pre", "post")] == [11, 8, 8]
    told = describe(people, info("cogwear_e4").recipe, problems=problems)
    by_name = {t.target: t for t in told.targets}
    assert by_name["load"].trials == {"load": 27, "rest": 27}
    assert by_name["condition"].trials == {"baseline": 27, "cognitive_load": 27, "survey": 16}
    assert by_name["load"].windows == {"load": 629, "rest": 371}
    assert by_name["load"].schedule is not None
    assert by_name["load"].schedule.shared
    assert "open with 'load'" in str(by_name["load"].opening)
    assert [by_name["load"].protocols[p] for p in ("leave_one_subject_out", "cross_session")] == [None, None]
    modalities = {m.modality: m for m in told.modalities}
    assert modalities["ppg"].rates_hz == (25.0,)
    assert modalities["ppg"].missing < 0.02
    assert sum("expected PPG GREEN" in p.what for p in problems) == 6
    assert sum("47.62 Hz apart" in p.what for p in problems) == 1
    assert sum("lasts 32.5 s" in p.what for p in told.problems) == 1
    assert not any(p.fatal for p in problems)


def test_e4_session(recordings: Path) -> None:
    (recording,) = load("e4", recordings / "e4_session")
    (trial,) = recording.trials
    assert trial.stop_s == 3661.5
    assert {name: s.values.shape for name, s in trial.signals.items()} == {
        "eda": (1, 14646), "bvp": (1, 234311), "temp": (1, 14640), "hr": (1, 3651), "ibi": (1, 570), "acc": (3, 117156),
    }  # fmt: skip
    assert 0.5 < np.median(np.linalg.norm(trial.signals["acc"].values, axis=0)) < 1.5  # gravity
    assert np.isnan(trial.signals["eda"].values[0, 0])


def test_eeg_formats_through_a_manifest(recordings: Path, tmp_path: Path) -> None:
    source = recordings / "eeglab_sample"
    for file in source.iterdir():
        if file.suffix in (".set", ".fdt", ".edf", ".bdf", ".csv"):
            shutil.copy(file, tmp_path)
    rows = ["file,modality,subject,trial,start,stop,label,channels,time"]
    rows += [f"eeglab_data_numerical_events.set,eeg,set,t{i},{i * 9},{i * 9 + 9},{'ab'[i % 2]},," for i in range(24)]
    rows += ["test.edf,eeg,edf,t,10,50,a,,", "test.bdf,eeg,bdf,t,,,b,A1;A2,"]
    rows += ["testmusemonitor.csv,eeg,muse,t,,,a,RAW_TP9;RAW_AF7;RAW_AF8;RAW_TP10,TimeStamp"]
    lines(tmp_path / "manifest.csv", rows)
    problems: list[Problem] = []
    people = {r.subject: r for r in load("manifest", tmp_path, problems=problems)}
    assert [len(people[s].trials) for s in ("set", "edf", "bdf", "muse")] == [24, 1, 1, 1]
    shapes = {
        s: (r.trials[0].signals["eeg"].values.shape, r.trials[0].signals["eeg"].rate_hz) for s, r in people.items()
    }
    assert shapes == {
        "set": ((32, 1152), 128.0), "edf": ((16, 10240), 256.0), "bdf": ((2, 15360), 256.0), "muse": ((4, 26), 0.9843),
    }  # fmt: skip
    microvolts = people["set"].trials[3].signals["eeg"].values
    assert 5 < np.median(microvolts.std(axis=1)) < 60
    assert people["set"].trials[3].start_s == 27
    (warned,) = problems
    assert warned.file.endswith("test.bdf")
    assert "Number of records from the header does not match" in warned.what
    assert not warned.fatal
    told = describe(list(people.values()))
    assert told.targets[0].trials == {"a": 14, "b": 13}
    with_fault = {f.subject for f in told.faults}
    assert "set" not in with_fault
