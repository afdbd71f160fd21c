"""Reader wesad on files as Python 2 wrote them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures_python2 import python2_pickle
from fixtures_wesad import write_wesad

from insula.data import Problem, load
from insula.errors import DataError, InputError


def test_conditions_ratings_and_values(tmp_path: Path) -> None:
    written = write_wesad(tmp_path)
    first, second = load("wesad", tmp_path)
    assert (first.subject, second.subject) == ("S2", "S3")
    assert [(t.trial, t.start_s, t.stop_s) for t in second.trials] == [
        ("1-baseline", 2, 10), ("2-stress", 11, 17), ("3-meditation", 18, 21), ("4-amusement", 21, 26),
        ("5-meditation", 27, 30),
    ]  # fmt: skip
    affect = {"positive_affect": 1 + 3 + 4 + 1 + 5 + 1 + 3 + 5 + 2 + 3, "negative_affect": 60 - 28}
    assert [dict(t.labels) for t in second.trials] == [
        {**affect, **told}
        for told in (
            {"condition": "baseline", "stress": "no stress", "valence": 7, "arousal": 2, "stai": 4 + 2 + 3 + 1 + 1 + 3},
            {"condition": "stress", "stress": "stress", "valence": 3, "arousal": 8, "stai": 1 + 4 + 4 + 4 + 4 + 4},
            {"condition": "meditation", "valence": 6, "arousal": 1, "stai": 4 + 1 + 1 + 4 + 1 + 4},
            {"condition": "amusement", "stress": "no stress", "valence": 8, "arousal": 4, "stai": 15},
            {"condition": "meditation", "valence": 5, "arousal": 3, "stai": 15},
        )
    ]
    signals = second.trials[1].signals
    wrist, chest = (written[3]["signal"][place] for place in ("wrist", "chest"))
    exact = {
        "bvp": (wrist["BVP"], 64, 1, "a.u."), "eda": (wrist["EDA"], 4, 1, "uS"), "temp": (wrist["TEMP"], 4, 1, "degC"),
        "acc": (wrist["ACC"], 32, 1 / 64, "g"), "ecg": (chest["ECG"], 700, 1000, "uV"),
        "emg": (chest["EMG"], 700, 1000, "uV"), "resp": (chest["Resp"], 700, 1, "%"),
    }  # fmt: skip
    assert set(signals) == set(exact)
    for name, (values, rate, scale, unit) in exact.items():
        expected = values[11 * rate : 17 * rate].T.astype(np.float32) * np.float32(scale)
        np.testing.assert_array_equal(signals[name].values, expected)
        assert (signals[name].rate_hz, signals[name].unit, signals[name].start_s) == (rate, unit, 11)


def test_one_device_alone(tmp_path: Path) -> None:
    written = write_wesad(tmp_path, people=(2,))
    (chest,) = load("wesad", tmp_path, device="chest")
    assert set(chest.trials[0].signals) == {"ecg", "eda", "emg", "temp", "resp", "acc"}
    eda = chest.trials[0].signals["eda"]
    np.testing.assert_array_equal(eda.values[0], written[2]["signal"]["chest"]["EDA"][1400:7000, 0].astype(np.float32))
    (wrist,) = load("wesad", tmp_path, device="wrist")
    assert set(wrist.trials[0].signals) == {"bvp", "eda", "temp", "acc"}
    with pytest.raises(InputError, match=r"device 'arm'; expected one of both, chest, wrist"):
        load("wesad", tmp_path, device="arm")


def test_missing_or_odd_questionnaires_cost_only_the_ratings(tmp_path: Path) -> None:
    write_wesad(tmp_path)
    (tmp_path / "S2/S2_quest.csv").unlink()
    path = tmp_path / "S3/S3_quest.csv"
    path.write_text(path.read_text().replace("# DIM;7;2;;;\n", ""))
    problems: list[Problem] = []
    for recording in load("wesad", tmp_path, problems=problems):
        assert set(recording.trials[0].labels) == {"condition", "stress"}
    assert [p.what.split(";")[0] for p in problems] == ["no such file", "4 lines # DIM for 5 conditions"]
    assert not any(p.fatal for p in problems)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (python2_pickle({"signal": {}}), "holds signal; expected a dict with label"),
        (python2_pickle({"label": np.ones(7000), "signal": {}}), "holds ; expected a dict with wrist"),
        (python2_pickle((1, 2)), "holds list; expected a dict with label"),
        (b"\x80\x02", "not a readable pickle"),
    ],
)
def test_a_damaged_file_is_one_error(tmp_path: Path, content: bytes, message: str) -> None:
    write_wesad(tmp_path)
    (tmp_path / "S3/S3.pkl").write_bytes(content)
    with pytest.raises(DataError, match=rf"S3\.pkl: {message}"):
        load("wesad", tmp_path)
    assert [r.subject for r in load("wesad", tmp_path, problems=[])] == ["S2"]


def test_wrong_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no S2/S2\.pkl"):
        load("wesad", tmp_path)


def test_answers_and_clock_as_a_signal_on_request(tmp_path: Path) -> None:
    write_wesad(tmp_path, people=(2,))
    assert all("self_report" not in t.signals for r in load("wesad", tmp_path) for t in r.trials)
    (person,) = load("wesad", tmp_path, self_report=True)
    said = person.trials[1].signals["self_report"]
    assert said.channels == ("positive_affect", "negative_affect", "valence", "arousal", "time_min")
    np.testing.assert_allclose(
        said.values[:, [0, 5]], [[28, 28], [32, 32], [3, 3], [8, 8], [11 / 60, 16 / 60]], rtol=1e-6
    )
    (tmp_path / "S2/S2_quest.csv").unlink()
    (silent,) = load("wesad", tmp_path, self_report=True, problems=[])
    assert all("self_report" not in t.signals for t in silent.trials)
