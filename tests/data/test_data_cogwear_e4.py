"""Reader cogwear_e4 on files written from the layout's description."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures_data import lines, write_cogwear, write_cogwear_condition

from insula.data import Problem, load
from insula.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_cogwear(tmp_path / "cogwear")


def test_people_sessions_conditions_and_clock(root: Path) -> None:
    recordings = load("cogwear_e4", root)
    assert [(r.subject, r.session) for r in recordings] == [
        ("p00", "only"), ("p10", "only"), ("s11", "post"), ("s11", "pre"),
    ]  # fmt: skip
    pilot, survey = recordings[0], recordings[3]
    assert [(t.trial, t.start_s, t.stop_s) for t in pilot.trials] == [
        ("cognitive_load", 0, 60),
        ("baseline", 100.5, 145.5),
    ]
    assert [t.labels.get("load") for t in survey.trials] == ["load", "rest", None]
    assert [t.labels["condition"] for t in survey.trials] == ["cognitive_load", "baseline", "survey"]
    assert sorted(pilot.trials[0].signals) == ["bvp", "eda", "temp"]
    raw = np.loadtxt(root / "pilot/0/baseline/empatica_bvp.csv", delimiter=",", skiprows=1)[:, 0]
    np.testing.assert_allclose(pilot.trials[1].signals["bvp"].values[0], raw, rtol=1e-6)


def test_watch_is_sorted_interpolated_and_masked_in_gaps(root: Path) -> None:
    problems: list[Problem] = []
    recordings = load("cogwear_e4", root, subjects=["p00", "p10"], problems=problems, ppg=True)
    assert not problems
    assert "ppg" not in recordings[1].trials[0].signals
    signal = recordings[0].trials[0].signals["ppg"]
    assert signal.rate_hz == 25
    at = signal.start_s + np.arange(signal.n_samples) / 25
    gap = (at > 8.05) & (at < 12.9)
    assert np.isnan(signal.values[0, gap]).all()
    clear = (at < 7.9) | (at > 13.1)
    error = signal.values[0, clear] - (2e6 + 1000 * np.sin(2 * np.pi * at[clear]))
    assert np.abs(error).max() < 30  # 1000 at 1 Hz: 6.3 a millisecond, times are jittered by 1 ms


def test_another_sensor_in_the_watch_file_is_told(root: Path) -> None:
    lines(root / "pilot/0/baseline/samsung_bvp.csv", ["Samsung HR Raw Sensor,time", "2.7e-39,1767000101.0"])
    problems: list[Problem] = []
    (recording,) = load("cogwear_e4", root, subjects=["p00"], problems=problems, ppg=True)
    assert ["ppg" in t.signals for t in recording.trials] == [True, False]
    (problem,) = problems
    assert "columns Samsung HR Raw Sensor, time; expected PPG GREEN" in problem.what
    assert not problem.fatal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empatica_eda.csv: 0 lines"),
        ("eda,time\n", "empatica_eda.csv: 0 rows below the header"),
        ("eda,tme\n1,2\n", "columns eda, tme; expected eda, time. Add or rename time"),
        ("eda,time\n1,1\n1,x\n", "line 3: time 'x'; expected a number"),
        ("eda,time\n1,1\n1,11e999768100192.25\n", "line 3: time '11e999768100192.25'; expected a number"),
        ("eda,time\nnan,1\nnan,2\n", "no finite sample"),
        ("eda,time\n" + "".join(f"1,{i / 8}\n" for i in range(50)), "times 8.00 Hz apart; expected 4 Hz"),
        ("eda,time\n" + "".join(f"1,{i / 4}\n" for i in range(50)) + "1,99999\n", "times span 99999 s"),
    ],
)
def test_a_damaged_file_is_one_error_that_names_it(root: Path, text: str, message: str) -> None:
    (root / "pilot/0/baseline/empatica_eda.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load("cogwear_e4", root, subjects=["p00"])
    problems: list[Problem] = []
    (recording,) = load("cogwear_e4", root, subjects=["p00"], problems=problems)
    assert [t.trial for t in recording.trials] == ["cognitive_load"]
    assert [p.fatal for p in problems] == [True]


def test_missing_conditions_and_overlaps(root: Path, tmp_path: Path) -> None:
    for file in (root / "pilot/10/baseline").iterdir():
        file.unlink()
    (root / "pilot/10/baseline").rmdir()
    problems: list[Problem] = []
    (recording,) = load("cogwear_e4", root, subjects=["p10"], problems=problems)
    assert [t.trial for t in recording.trials] == ["cognitive_load"]
    assert problems[0].file.endswith("pilot/10/baseline")
    write_cogwear_condition(root / "pilot/10/baseline", 1_767_000_010.0 + 30, 40, 0)
    with pytest.raises(DataError, match=r"'cognitive_load' and 'baseline' of p10 overlap by 30\.000 s"):
        load("cogwear_e4", root, subjects=["p10"])
    write_cogwear_condition(root / "pilot/10/baseline", 1_767_000_200.0, 40, 0)
    late = (root / "pilot/10/baseline/empatica_temp.csv").read_text().replace(",1767", ",1777")
    (root / "pilot/10/baseline/empatica_temp.csv").write_text(late)
    with pytest.raises(DataError, match=r"pilot/10/baseline: its E4 files lie 10000040 s apart"):
        load("cogwear_e4", root, subjects=["p10"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds no folder of a person; expected pilot/0"):
        load("cogwear_e4", tmp_path / "empty")
