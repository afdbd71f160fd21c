"""Readers seed, seed_iv and seed_v on files in the native layouts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from fixtures_data import lines
from fixtures_lab_eeg import SEED_CAP, write_seed, write_seed_eyes, write_seed_iv, write_seed_session, write_seed_v
from scipy.io import savemat

from insula.data import Problem, info, load
from insula.errors import DataError
from insula.windows.cutting import cut


def test_seed_sessions_by_date_labels_and_values(tmp_path: Path) -> None:
    written = write_seed(tmp_path)
    recordings = load("seed", tmp_path)
    assert [(r.subject, r.session) for r in recordings] == [(s, k) for s in ("s01", "s12") for k in "123"]
    trials = recordings[4].trials
    assert [t.trial for t in trials] == [f"t{i:02d}" for i in range(1, 16)]
    assert [t.labels["emotion"] for t in trials[:5]] == ["positive", "neutral", "negative", "negative", "neutral"]
    assert trials[2].stimulus == "clip03"
    for trial, array in zip(trials, written["12_20131030.mat"], strict=True):
        eeg = trial.signals["eeg"]
        np.testing.assert_array_equal(eeg.values, array.astype(np.float32))
        assert (eeg.rate_hz, eeg.unit, eeg.start_s) == (200, "uV", trial.start_s)
    assert [t.start_s for t in trials[:3]] == [0, 6, 13]
    windows = cut(recordings[:1], info("seed").recipe, "emotion")
    assert windows.schema.classes == ("negative", "neutral", "positive")
    assert windows.present().all()


def test_the_cap_is_where_a_standard_montage_has_it(tmp_path: Path) -> None:
    import mne

    write_seed(tmp_path, people=(1,), seconds=1)
    names = load("seed", tmp_path)[0].trials[0].signals["eeg"].channels
    montage = mne.channels.make_standard_montage("colin27_1005").ch_names
    assert len(set(names)) == 62
    assert set(names) <= set(montage)
    upper = {name.upper() for name in names}
    assert upper ^ set(SEED_CAP) == {"PO9", "PO10", "CB1", "CB2"}
    assert [n.upper() for n in names[:57]] == SEED_CAP[:57]


def test_seed_iv_has_clips_of_its_own_in_each_session(tmp_path: Path) -> None:
    written = write_seed_iv(tmp_path)
    recordings = load("seed_iv", tmp_path, subjects=["s02"])
    assert [r.session for r in recordings] == ["1", "2", "3"]
    assert [t.labels["emotion"] for t in recordings[0].trials[:4]] == ["sad", "fear", "happy", "neutral"]
    assert [t.labels["emotion"] for t in recordings[2].trials[-3:]] == ["neutral", "sad", "neutral"]
    assert len({t.stimulus for r in recordings for t in r.trials}) == 72
    assert recordings[1].trials[0].stimulus == "2-clip01"
    np.testing.assert_array_equal(
        recordings[1].trials[23].signals["eeg"].values, written["2/2_20160512.mat"][23].astype(np.float32)
    )
    for recording in recordings:
        found = [t.labels["emotion"] for t in recording.trials]
        assert {e: found.count(e) for e in found} == {"neutral": 6, "sad": 6, "fear": 6, "happy": 6}


def test_seed_v_cuts_the_session_at_the_published_seconds(tmp_path: Path) -> None:
    written = write_seed_v(tmp_path, seconds=2)
    recordings = load("seed_v", tmp_path, rate_hz=None)
    assert [(r.subject, r.session) for r in recordings] == [("s01", k) for k in "123"]
    trials = recordings[1].trials
    assert [t.labels["emotion"] for t in trials[:6]] == ["sad", "fear", "neutral", "disgust", "happy", "happy"]
    assert [t.labels["emotion"] for t in recordings[0].trials[:5]] == ["happy", "fear", "neutral", "sad", "disgust"]
    assert (trials[3].start_s, trials[3].stop_s, trials[3].stimulus) == (10, 12, "2-clip04")
    eeg = trials[3].signals["eeg"]
    assert (eeg.rate_hz, eeg.unit, len(eeg.channels)) == (1000, "uV", 62)
    assert eeg.channels[0] == "Fp1"
    assert eeg.channels[-5:] == ("PO9", "O1", "Oz", "O2", "PO10")
    np.testing.assert_allclose(eeg.values, written["1_2_20180802.cnt"][:, 10_000:12_000], rtol=1e-5, atol=1e-4)


def test_seed_v_comes_at_200_hz_unless_told(tmp_path: Path) -> None:
    write_seed_v(tmp_path, seconds=2)
    signals = [t.signals["eeg"] for r in load("seed_v", tmp_path) for t in r.trials]
    assert {(s.rate_hz, s.values.shape) for s in signals} == {(200.0, (62, 400))}
    assert signals[3].start_s == 10


def test_a_missing_trial_or_session_is_told(tmp_path: Path) -> None:
    write_seed(tmp_path, people=(1,), seconds=1)
    arrays = {f"djc_eeg{i}": np.zeros((62, 400)) for i in range(1, 15)}
    savemat(tmp_path / "Preprocessed_EEG/1_20131030.mat", arrays)
    (tmp_path / "Preprocessed_EEG/1_20131107.mat").unlink()
    problems: list[Problem] = []
    recordings = load("seed", tmp_path, problems=problems)
    assert [len(r.trials) for r in recordings] == [15, 14]
    assert [p.what for p in problems] == [
        "2 sessions of s01; SEED has 3", "no array *_eeg15; this session is read without it",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros(3)}, r"no array named \*_eeg1; expected 15 of them"),
        ({"djc_eeg1": np.zeros((60, 400))}, r"djc_eeg1 has shape \(60, 400\); expected \(62, samples\)"),
        ({"djc_eeg1": "text"}, r"djc_eeg1 is of type str; expected numbers"),
    ],
)
def test_a_damaged_seed_file_is_one_error(tmp_path: Path, arrays: dict[str, object], message: str) -> None:
    write_seed(tmp_path, people=(1,), seconds=1)
    savemat(tmp_path / "Preprocessed_EEG/1_20131030.mat", arrays)
    with pytest.raises(DataError, match=rf"1_20131030\.mat: {message}"):
        load("seed", tmp_path)


def test_labels_and_times_are_checked(tmp_path: Path) -> None:
    write_seed(tmp_path, people=(1,), seconds=1)
    label = tmp_path / "Preprocessed_EEG/label.mat"
    savemat(label, {"label": np.array([[1, 2, 0]])})
    with pytest.raises(DataError, match=r"label\.mat: labels \[1\.0, 2\.0, 0\.0\]; expected -1, 0 and 1"):
        load("seed", tmp_path)
    label.unlink()
    with pytest.raises(DataError, match=r"label\.mat: no such file"):
        load("seed", tmp_path)
    root = tmp_path / "v"
    write_seed_v(root, seconds=1)
    times = root / "trial_start_end_timestamp.txt"
    text = times.read_text()
    lines(times, [text.replace("[1, 3,", "[1, 300,", 1)])
    with pytest.raises(DataError, match=r"timestamp\.txt: session 1: trial from 300\.0 to 4\.0 s"):
        load("seed_v", root)
    lines(times, [text.replace("start_second: [1, 3,", "start_second: [3,", 1)])
    with pytest.raises(DataError, match="session 1: 14 starts, 15 ends; expected 15"):
        load("seed_v", root)
    times.unlink()
    with pytest.raises(DataError, match="no text file with start_second and end_second"):
        load("seed_v", root)
    lines(tmp_path / "elsewhere.txt", [text])
    assert len(load("seed_v", root, times=tmp_path / "elsewhere.txt")) == 3


def test_a_foreign_cnt_file_is_one_error(tmp_path: Path) -> None:
    write_seed_v(tmp_path, seconds=1)
    path = tmp_path / "EEG_raw/1_2_20180802.cnt"
    path.write_bytes(b"\0" * 5000)
    with pytest.raises(DataError, match=r"1_2_20180802\.cnt: MNE cannot read it"):
        load("seed_v", tmp_path)
    problems: list[Problem] = []
    assert [r.session for r in load("seed_v", tmp_path, problems=problems)] == ["1", "3"]
    assert [p.file for p in problems if p.fatal] == [str(path)]


def test_wrong_folders(tmp_path: Path) -> None:
    for name in ("seed", "seed_iv", "seed_v"):
        with pytest.raises(DataError, match=r"holds no .*; expected SEED"):
            load(name, tmp_path)
    write_seed_session(tmp_path / "1_20131027.mat", 15, 1, 0)
    shutil.copy(tmp_path / "1_20131027.mat", tmp_path / "other.mat")
    with pytest.raises(DataError, match=r"label\.mat: no such file"):
        load("seed", tmp_path)


def test_eye_features_lie_beside_the_eeg(tmp_path: Path) -> None:
    write_seed_iv(tmp_path, people=(1,), seconds=12)
    write_seed_v(tmp_path, seconds=12, rate_hz=200)
    of_iv, of_v = write_seed_eyes(tmp_path, 1)
    for name, count, steps in (("seed_iv", 31, 3), ("seed_v", 33, 3)):
        recordings = load(name, tmp_path)
        eye = recordings[1].trials[4].signals["eye"]
        expected = of_iv["2/eye_5"] if name == "seed_iv" else of_v[15 + 4].T
        np.testing.assert_array_equal(eye.values, expected.astype(np.float32))
        assert (eye.rate_hz, len(eye.channels), eye.n_samples) == (0.25, count, steps)
        windows = cut(recordings[:1], info(name).recipe, "emotion")
        assert tuple(windows.schema.modalities) == ("eeg", "eye")
        assert windows.present().all()
        held = windows.clean[recordings[0].trials[0].key].signals["eye"][0]
        np.testing.assert_allclose(held, np.repeat(recordings[0].trials[0].signals["eye"].values[0], 4), rtol=1e-6)


def test_missing_or_foreign_eye_files_cost_only_the_eyes(tmp_path: Path) -> None:
    write_seed_iv(tmp_path, people=(1,), seconds=4)
    write_seed_v(tmp_path, seconds=4, rate_hz=200)
    write_seed_eyes(tmp_path, 1)
    (tmp_path / "eye_feature_smooth/1/1_20160511.mat").unlink()
    savemat(tmp_path / "eye_feature_smooth/2/1_20160512.mat", {"x": np.zeros(3)})
    np.savez(tmp_path / "Eye_movement_features/1_123.npz", data=b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DataError, match=r"1_123\.npz: its pickle asks for os\.system"):
        load("seed_v", tmp_path)
    with pytest.raises(DataError, match=r"1_20160512\.mat: no array named eye_1"):
        load("seed_iv", tmp_path)
    problems: list[Problem] = []
    for name in ("seed_iv", "seed_v"):
        assert [r.session for r in load(name, tmp_path, problems=problems)] == ["1", "2", "3"]
    told = [p.what for p in problems]
    assert any("read without eyes" in what for what in told)
    assert sum(p.fatal for p in problems) == 2
