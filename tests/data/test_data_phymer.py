"""Reader phymer on files written from the published layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from fixtures_data import EPOC, lines, write_phymer

from insula.data import Problem, info, load
from insula.errors import DataError


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phymer(tmp_path_factory.mktemp("phymer"))


@pytest.fixture
def root(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "phymer"))


def test_trials_signals_labels_and_traits(written: Path) -> None:
    problems: list[Problem] = []
    first, second = load("phymer", written, problems=problems)
    assert not problems
    assert (first.subject, first.session, second.subject) == ("S1", "only", "S2")
    assert first.traits == {
        "openness": 3, "conscientiousness": 4, "extraversion": 2, "agreeableness": 5, "neuroticism": 1,
    }  # fmt: skip
    assert [(t.trial, t.stimulus, t.start_s, t.stop_s) for t in first.trials] == [
        ("v0", "v0", 0, 12), ("v1", "v1", 12, 24), ("v2", "v2", 24, 36),
    ]  # fmt: skip
    assert dict(first.trials[1].labels) == {"emotion": "fear", "arousal": 3.0, "valence": 6.0}
    for trial in second.trials:
        assert set(trial.signals) == {"eeg", "eda", "bvp", "temp", "hr"} == set(info("phymer").recipe.signals)
        eeg = trial.signals["eeg"]
        assert (eeg.channels, eeg.rate_hz, eeg.unit, eeg.n_samples) == (EPOC, 256.0, "uV", 12 * 256)
        assert 15 < eeg.values.std() < 25
        assert eeg.start_s == trial.signals["bvp"].start_s == trial.start_s
    raw = np.loadtxt(written / "E4/S2/S2v1_BVP_64.csv")
    np.testing.assert_allclose(second.trials[1].signals["bvp"].values[0], raw, rtol=1e-6)


def test_experiment_eeg_session_and_start_columns(root: Path) -> None:
    table = "subject,video,emotion,experiment,eeg,session,start_s"
    lines(root / "own.csv", [table, "S1,clipB,sad,S1v0,S1v2_raw.fif,2,100", "S1,clipA,Happy,S1v1,,2,30"])
    (recording,) = load("phymer", root, labels=root / "own.csv")
    assert recording.session == "2"
    assert [(t.trial, t.start_s, t.labels["emotion"]) for t in recording.trials] == [
        ("clipA", 30, "happy"), ("clipB", 100, "sad"),
    ]  # fmt: skip
    assert recording.trials[0].signals["eeg"].n_samples == 12 * 256


def test_header_lines_and_the_e4s_own_head(root: Path) -> None:
    path = root / "E4/S1/S1v0_TEMP_4.csv"
    rows = path.read_text().splitlines()
    bare = load("phymer", root, subjects=["S1"])[0].trials[0].signals["temp"].values
    for head in (["TEMP"], ["1644227574.0", "4.0"]):
        lines(path, head + rows)
        again = load("phymer", root, subjects=["S1"])[0].trials[0].signals["temp"].values
        np.testing.assert_array_equal(again, bare)


def test_missing_parts_are_told(root: Path) -> None:
    (root / "Emotiv/S1v0_raw.fif").unlink()
    shutil.rmtree(root / "E4/S2")
    shutil.rmtree(root / "Personality")
    problems: list[Problem] = []
    first, second = load("phymer", root, problems=problems)
    assert "eeg" not in first.trials[0].signals
    assert set(second.trials[0].signals) == {"eeg"}
    assert not any(p.fatal for p in problems)
    told = " ".join(p.what for p in problems)
    assert "no .fif or .set named S1v0 or S1_v0 or S1-v0" in told
    assert "no E4 file named S2v0 or S2_v0 or S2-v0_EDA_4.csv" in told
    assert "people are read without traits" in told


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["subject,clip,emotion", "S1,v0,sad"], "columns subject, clip, emotion; expected subject, video"),
        (
            ["subject,video", "S1,v0"],
            "no column emotion, arousal or valence; expected a CSV with columns subject, video",
        ),
        (
            ["subject,video,emotion", "S1,v0,hapy"],
            "line 2: emotion 'hapy'; expected one of anger, .* Did you mean 'happy'",
        ),
        (["subject,video,arousal", "S1,v0,11"], "line 2: arousal 11; expected 1 to 9"),
        (["subject,video,arousal", "S1,v0,much"], "line 2: arousal 'much'; expected a number"),
        (["subject,video,emotion", "S1,v0,sad", "S1,v0,sad"], r"line 3: trial \('S1', 'only', 'v0'\) twice"),
        (["subject,video,emotion", "S1,v9,sad"], "line 2: no file of S1v9 or S1_v9 or S1-v9 in Emotiv or E4"),
        (
            ["subject,video,emotion,eeg", "S1,v0,sad,../labels.csv"],
            r"line 2: eeg '\.\./labels\.csv' lies outside Emotiv",
        ),
        (["subject,video,emotion,start_s", "S1,v0,sad,0", "S1,v1,sad,5"], r"'v0' and 'v1' of S1 overlap by 7\.000 s"),
    ],
)
def test_bad_labels_tables(root: Path, rows: list[str], message: str) -> None:
    lines(root / "labels.csv", rows)
    with pytest.raises(DataError, match=message):
        load("phymer", root)


def test_missing_labels_table_wrong_rate_and_broken_eeg(root: Path) -> None:
    with pytest.raises(
        DataError, match=r"gone\.csv does not exist; expected a CSV with columns subject, video, emotion"
    ):
        load("phymer", root, labels=root / "gone.csv")
    (root / "E4/S1/S1v0_BVP_64.csv").rename(root / "E4/S1/S1v0_BVP_32.csv")
    with pytest.raises(DataError, match=r"S1v0_BVP_32\.csv: rate 32 Hz in its name; expected 64 Hz for bvp"):
        load("phymer", root)
    (root / "E4/S1/S1v0_BVP_32.csv").unlink()
    (root / "Emotiv/S1v2_raw.fif").write_bytes(b"nonsense")
    problems: list[Problem] = []
    first = load("phymer", root, problems=problems)[0]
    assert [t.trial for t in first.trials] == ["v0", "v1"]
    assert [p.file.rsplit("/", 1)[1] for p in problems if p.fatal] == ["S1v2_raw.fif"]
