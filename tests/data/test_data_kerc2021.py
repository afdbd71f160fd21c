"""Reader kerc2021 on files written from the challenge's layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from fixtures_data import EPOC, lines, write_kerc2021

from insula.data import Problem, load
from insula.errors import DataError, InputError


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_kerc2021(tmp_path_factory.mktemp("kerc"), samples=3, seconds=60)


@pytest.fixture
def root(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "kerc"))


def test_samples_people_labels_and_signals(written: Path) -> None:
    problems: list[Problem] = []
    recordings = load("kerc2021", written, problems=problems)
    assert not problems
    assert [(r.subject, r.session) for r in recordings] == [
        ("p2-2-3-4-5", "0"), ("p2-2-3-4-5", "1"), ("p3-2-3-4-5", "2"),
    ]  # fmt: skip
    trial = recordings[1].trials[0]
    assert dict(trial.labels) == {"quadrant": "HALV", "arousal": "high", "valence": "low"}
    assert (trial.start_s, trial.stop_s) == (0, 60)
    assert trial.signals["eeg"].channels == EPOC
    assert {name: (s.rate_hz, s.values.shape) for name, s in trial.signals.items()} == {
        "eeg": (256, (14, 15360)), "eda": (4, (1, 240)), "bvp": (64, (1, 3840)), "temp": (4, (1, 240)),
    }  # fmt: skip
    raw = np.loadtxt(written / "train/1/EEG_256.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(trial.signals["eeg"].values, raw.T, rtol=1e-6)
    assert recordings[0].traits["Openness"] == 2


def test_other_parts_have_no_labels(written: Path) -> None:
    (recording,) = load("kerc2021", written, parts=("test",))
    assert dict(recording.trials[0].labels) == {}
    with pytest.raises(InputError, match=r"part 'tset'; expected one of test, train, valid. Did you mean 'test'"):
        load("kerc2021", written, parts=("tset",))
    with pytest.raises(DataError, match=r"valid: no such folder"):
        load("kerc2021", written, parts=("valid",))


@pytest.mark.parametrize(
    ("file", "rows", "message"),
    [
        (
            "train_labels.csv",
            ["Id,label", "0,HAHV", "1,HAXV"],
            r"line 3: label 'HAXV'; expected one of HAHV.* Did you mean",
        ),
        ("train_labels.csv", ["Id,label", "0,HAHV", "0,HAHV"], "line 3: Id 0 twice"),
        ("train_labels.csv", ["Id,quadrant", "0,HAHV"], "columns Id, quadrant; expected Id, label"),
        ("train_personality.csv", ["Id,a,b", "0,1,2"], "2 columns beside Id; expected 5"),
        ("train_personality.csv", ["Id,a,b,c,d,e", "0,1,2,3,4,x"], "line 2: a score is no number"),
        ("train/0/EEG_256.csv", ["a,b", "1,2"], r"train/0/EEG_256\.csv: 2 columns in the header; expected 14"),
        ("train/0/EEG_256.csv", [",".join(EPOC), "1,2"], r"EEG_256\.csv: 2 columns; expected 14"),
        ("train/0/EDA_4.csv", ["1", "two"], r"EDA_4\.csv: line 2 holds 'two'; expected a number"),
        ("train/0/EDA_4.csv", [""], r"EDA_4\.csv: 0 lines"),
    ],
)
def test_damaged_files(root: Path, file: str, rows: list[str], message: str) -> None:
    lines(root / file, rows)
    with pytest.raises(DataError, match=message):
        load("kerc2021", root)


def test_missing_parts_are_told(root: Path) -> None:
    lines(root / "train_labels.csv", ["Id,label", "0,HAHV", "1,HALV", "9,LALV"])
    (root / "train/1/BVP_64.csv").unlink()
    (root / "train_personality.csv").unlink()
    problems: list[Problem] = []
    recordings = load("kerc2021", root, problems=problems)
    assert [r.subject for r in recordings] == ["unknown-0", "unknown-1", "unknown-2"]
    assert [dict(r.trials[0].labels).get("quadrant") for r in recordings] == ["HAHV", "HALV", None]
    told = " ".join(p.what for p in problems)
    for part in (
        "every sample counts as a person",
        "labelled in train_labels.csv",
        "read without bvp",
        "no label for sample 2",
    ):
        assert part in told
    assert not any(p.fatal for p in problems)
