"""Reader stress_predict on files written from the layout's description."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from fixtures_data import START, lines, write_stress_predict

from insula.data import Problem, load
from insula.errors import DataError, InputError

LABELS = Path("Processed_data") / "Improved_All_Combined_hr_rsp_binary.csv"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stress_predict(tmp_path_factory.mktemp("stress"))


@pytest.fixture
def root(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "stress"))


def test_seven_blocks_with_labels_tasks_traits_and_clock(written: Path) -> None:
    problems: list[Problem] = []
    s01, s02, s03 = load("stress_predict", written, problems=problems)
    assert [(t.trial, t.start_s, t.stop_s) for t in s02.trials] == [
        ("1-rest", 9, 29), ("2-stroop", 29, 49), ("3-rest", 49, 69), ("4-interview", 69, 89), ("5-rest", 89, 109),
        ("6-hyperventilation", 109, 129), ("7-rest", 129, 149),
    ]  # fmt: skip
    assert [t.labels["stress"] for t in s03.trials] == ["rest", "stress"] * 3 + ["rest"]
    assert s02.trials[3].labels["task"] == s02.trials[3].stimulus == "interview"
    assert s02.traits["pss_before"] == sum((item + 2) % 4 + 1 for item in range(10))
    assert s02.traits["stai_before"] == sum((item + 2) % 4 + 1 for item in range(40))
    assert [t.labels for t in s01.trials] == [{}]
    assert [p.what for p in problems] == ["no label for S01; the session is kept as one unlabelled trial"]
    assert not problems[0].fatal


def test_samples_land_where_the_file_has_them(written: Path) -> None:
    (recording,) = load("stress_predict", written, subjects="S02")
    trial = recording.trials[1]
    raw = np.loadtxt(written / "Raw_data/S02/BVP.csv")[2:]
    np.testing.assert_allclose(trial.signals["bvp"].values[0], raw[29 * 64 : 49 * 64], rtol=1e-6)
    heart = np.loadtxt(written / "Raw_data/S02/HR.csv")[2:]  # starts 10 s late
    np.testing.assert_allclose(trial.signals["hr"].values[0], heart[19:39], rtol=1e-6)
    assert trial.signals["ibi"].timestamps_s is not None
    assert trial.signals["ibi"].timestamps_s.min() >= 29
    assert {name: s.unit for name, s in trial.signals.items()} == {
        "eda": "uS", "bvp": "a.u.", "temp": "degC", "hr": "1/min", "ibi": "s",
    }  # fmt: skip


def test_eda_zeros_before_contact_are_missing(root: Path) -> None:
    path = root / "Raw_data/S02/EDA.csv"
    rows = path.read_text().splitlines()
    rows[2:60] = ["0.000000"] * 58
    rows[300] = "0.000000"
    lines(path, rows)
    (recording,) = load("stress_predict", root, subjects=["S02"])
    first = recording.trials[0].signals["eda"].values[0]
    assert np.isnan(first[: 58 - 36]).all()  # 36 samples lie before the first label at 9 s
    assert np.isfinite(first[58 - 36 :]).all()
    eda = np.concatenate([t.signals["eda"].values[0] for t in recording.trials])
    assert eda[300 - 2 - 36] == 0  # a later zero stays


def test_unlabelled_seconds_split_a_block(root: Path) -> None:
    path = root / LABELS
    start = START + 20_000 + 9
    kept = [row for row in path.read_text().splitlines() if row.split(",")[3] not in {f"{start + s}" for s in (45, 46)}]
    lines(path, kept)
    (recording,) = load("stress_predict", root, subjects=["S02"])
    assert [(t.trial, t.start_s, t.stop_s) for t in recording.trials[2:5]] == [
        ("3-rest", 49, 54), ("4-rest", 56, 69), ("5-interview", 69, 89),
    ]  # fmt: skip


def test_other_order_of_blocks_has_no_task(root: Path) -> None:
    path = root / LABELS
    rows = [row if row.startswith("P") else row[:-1] + str(1 - int(row[-1])) for row in path.read_text().splitlines()]
    lines(path, rows)
    problems: list[Problem] = []
    recording = load("stress_predict", root, subjects=["S03"], problems=problems)[0]
    assert [dict(t.labels) for t in recording.trials][:2] == [{"stress": "stress"}, {"stress": "rest"}]
    assert "do not follow rest stroop" in problems[-1].what


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("Raw_data/S02/EDA.csv", "", "EDA.csv: 0 lines; expected samples or rows"),
        ("Raw_data/S02/EDA.csv", "1644.0\n", "EDA.csv: 2 lines; expected a start time, a rate and samples"),
        ("Raw_data/S02/EDA.csv", "1644227574\n8.0\n1\n2\n", "EDA.csv: rate 8 Hz in line 2; expected 4 Hz"),
        ("Raw_data/S02/EDA.csv", "1644227574\n4.0\n1\nx2\n3\n", "EDA.csv: line 4 holds 'x2'; expected a number"),
        ("Raw_data/S02/EDA.csv", "1644227574\n4.0\n1\n2,3\n3\n", "EDA.csv: line 4 has 2 cells; expected 1"),
        ("Raw_data/S02/EDA.csv", "1644227574\n4.0\n11e999768100192.25\n3\n", "line 3 holds '11e999768100192.25'"),
        ("Raw_data/S02/EDA.csv", "1644227574\n4.0\nnan\nnan\n", "EDA.csv: no finite sample"),
        ("Raw_data/S02/EDA.csv", "17.0\n4.0\n1\n2\n", "EDA.csv: start 17 s .unix.; expected within an hour"),
        ("Raw_data/S02/IBI.csv", "1644247574, IBI\n9,1\n5,1\n", "IBI.csv: beat times go backwards"),
        (LABELS, "", "binary.csv: 0 lines"),
        (
            LABELS,
            "Participant,Time(sec),Lable\n2,1,0\n",
            "columns Participant, Time.sec., Lable; expected .* rename Label",
        ),
        (LABELS, "Participant,Time(sec),Label\n", "0 rows below the header"),
        (LABELS, "Participant,Time(sec),Label\n2,1644247584,7\n", "label 7 of S02; expected 0 .rest. or 1 .stress."),
        (LABELS, "Participant,Time(sec),Label\n2,1644247584,x\n", "line 2: Label 'x'; expected a number"),
        (LABELS, "Participant,Time(sec),Label\n2,9,1\n2,9,1\n", "time 9 of S02 repeats or goes back"),
        (LABELS, "Participant,Time(sec),Label\n2,9,1\n2,10,1\n", "labels of S02 from .* expected within its 152 s"),
        (LABELS, "Participant,Time(sec),Label\n2,9,1,8\n2,10,1,8\n", "not a CSV table"),
    ],
)
def test_a_damaged_file_is_one_error_that_names_it(root: Path, file: Path | str, text: str, message: str) -> None:
    (root / file).write_text(text)
    with pytest.raises(DataError, match=message):
        load("stress_predict", root, subjects=["S02"])


def test_with_a_list_a_damaged_file_costs_only_its_person(root: Path) -> None:
    (root / "Raw_data/S02/BVP.csv").write_text("")
    problems: list[Problem] = []
    assert [r.subject for r in load("stress_predict", root, problems=problems)] == ["S01", "S03"]
    (fatal,) = [p for p in problems if p.fatal]
    assert fatal.file.endswith("S02/BVP.csv")
    assert fatal.what.startswith("0 lines")


def test_missing_files_are_told_but_cost_nothing_else(root: Path) -> None:
    (root / "Raw_data/S02/TEMP.csv").unlink()
    (root / "Processed_data/Questionnaires_scores.xlsx").unlink()
    problems: list[Problem] = []
    (recording,) = load("stress_predict", root, subjects=["S02"], problems=problems)
    assert "temp" not in recording.trials[0].signals
    assert recording.traits == {}
    assert [p.what.split(";")[0] for p in problems] == ["no such file", "no such file"]
    (root / LABELS).unlink()
    with pytest.raises(DataError, match=r"binary\.csv: no such file"):
        load("stress_predict", root)


def test_short_signal_is_told(root: Path) -> None:
    path = root / "Raw_data/S02/TEMP.csv"
    lines(path, path.read_text().splitlines()[:200])
    problems: list[Problem] = []
    load("stress_predict", root, subjects=["S02"], problems=problems)
    assert any("ends after 50 s of 152 s" in p.what and "TEMP" in p.file for p in problems)


def test_missing_and_wrong_folders(tmp_path: Path, root: Path) -> None:
    with pytest.raises(DataError, match=r"folder .*nothing does not exist; expected Raw_data/S02"):
        load("stress_predict", tmp_path / "nothing")
    with pytest.raises(DataError, match=r"EDA\.csv is a file; expected a folder"):
        load("stress_predict", root / "Raw_data/S02/EDA.csv")
    with pytest.raises(DataError, match=r"Raw_data does not exist"):
        load("stress_predict", root / "Raw_data")
    with pytest.raises(InputError, match=r"subject 'S04'; expected one of S01, S02, S03. Did you mean"):
        load("stress_predict", root, subjects=["S04"])
