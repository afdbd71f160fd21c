"""Reader esports_sensors on files in the native layout, and on the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fixtures_data import lines
from fixtures_esports import write_esports

from insula.data import Problem, info, load
from insula.errors import DataError
from insula.protocols.describing import describe
from insula.windows.cutting import cut


def test_days_are_sessions_and_matches_are_stimuli(tmp_path: Path) -> None:
    written = write_esports(tmp_path)
    recordings = load("esports_sensors", tmp_path)
    assert [(r.subject, r.session) for r in recordings] == [
        ("amateurs-0", "day1"), ("amateurs-0", "day2"), ("amateurs-3", "day1"), ("amateurs-3", "day2"),
    ]  # fmt: skip
    day = recordings[2].trials
    assert [(t.trial, t.start_s, t.stop_s, t.stimulus) for t in day] == [
        ("match_01", 0, 41, "match_01"), ("match_00", 41, 81, "match_00"),
    ]  # fmt: skip
    assert dict(day[0].labels) == {"opponents": "human", "mental_load": 3.0, "performance": 4.0}
    assert dict(day[1].labels) == {"opponents": "bot", "mental_load": 2.0, "performance": 4.0}
    assert set(day[0].signals) == {"eda", "hr", "spo2", "face_temp", "emg"}
    eda, heart = day[1].signals["eda"], day[1].signals["hr"]
    np.testing.assert_allclose(eda.values[0], 1e6 / written["0/3/gsr.csv"][:38, 0], rtol=1e-6)  # the match ends
    assert (eda.unit, eda.start_s, eda.rate_hz) == ("uS", 43, 1)
    assert np.flatnonzero(np.isnan(heart.values[0])).tolist() == [5, 6, 7]
    np.testing.assert_array_equal(heart.values[0, 8:], written["0/3/heart_rate.csv"][8:38, 0].astype(np.float32))
    emg = day[1].signals["emg"]
    assert emg.channels == ("right_hand", "left_hand")
    np.testing.assert_array_equal(emg.values.T, written["0/3/emg.csv"][:38].astype(np.float32))


def test_what_is_missing_costs_only_itself(tmp_path: Path) -> None:
    write_esports(tmp_path)
    (tmp_path / "matches/match_0/player_0/player_report.json").unlink()
    (tmp_path / "matches/match_1/player_0/player_report.json").write_text(json.dumps({"mental_load": 9}))
    (tmp_path / "matches/match_2/meta_info.json").write_text("{")
    lines(tmp_path / "matches/match_0/player_3/gsr.csv", ["time,gsr", "0.0,5", "1.0,x", "2.0,5"])
    problems: list[Problem] = []
    first, second = load("esports_sensors", tmp_path, problems=problems)
    assert [dict(t.labels) for t in first.trials] == [{"opponents": "human"}, {"opponents": "bot"}]
    assert [t.trial for t in second.trials] == ["match_01"]
    assert sorted((Path(p.file).name, p.fatal) for p in problems) == [
        ("gsr.csv", True), ("meta_info.json", True), ("player_report.json", False), ("player_report.json", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("meta_info.json", "", "meta_info.json: 0 lines"),
        ("meta_info.json", "[]", "meta_info.json: a list; expected a JSON object"),
        ("meta_info.json", '{"match_duration": "x"}', "match_duration 'x'; expected a number"),
        ("player_0/gsr.csv", "time,gsr\n", "gsr.csv: 0 rows below the header"),
        ("player_0/gsr.csv", "time,gsr\n1e9,3\n", "gsr.csv: times up to 1e.09 s; expected seconds of a match"),
        ("player_0/gsr.csv", "time,grs\n1,3\n", "columns time, grs; expected time, gsr"),
    ],
)
def test_a_damaged_file_is_one_error(tmp_path: Path, file: str, text: str, message: str) -> None:
    write_esports(tmp_path)
    (tmp_path / "matches/match_1" / file).write_text(text)
    with pytest.raises(DataError, match=message):
        load("esports_sensors", tmp_path)


@pytest.mark.slow
def test_real_matches(recordings: Path) -> None:
    problems: list[Problem] = []
    people = load("esports_sensors", recordings / "esports_sensors", problems=problems)
    assert problems == []
    assert sorted({r.subject for r in people}) == [f"amateurs-{i}" for i in range(5)]
    assert sum(len(r.trials) for r in people) == 55
    told = describe(people, info("esports_sensors").recipe)
    targets = {t.target: t for t in told.targets}
    assert targets["opponents"].trials == {"bot": 25, "human": 30}
    assert targets["opponents"].windows == {"bot": 2335, "human": 5485}
    assert targets["mental_load"].value_range[::2] == (1.0, 5.0)
    assert {m.modality: m.trials for m in told.modalities} == {
        "eda": 55, "hr": 49, "spo2": 55, "face_temp": 35, "emg": 55, "eye": 44, "eeg_power": 25,
    }  # fmt: skip
    eda = np.concatenate([t.signals["eda"].values[0] for r in people for t in r.trials])
    assert 8 < eda.min() < eda.max() < 70
    windows = cut(people, info("esports_sensors").recipe, "opponents")
    assert len(windows) == 7820
    assert len(windows.schema.modalities) == 6
