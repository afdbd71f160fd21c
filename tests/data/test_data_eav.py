"""Reader eav on files in the native layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures_lab_eeg import write_eav
from scipy.io import savemat

from insula.data import Problem, load
from insula.errors import DataError


def test_segments_emotions_tasks_and_values(tmp_path: Path) -> None:
    written = write_eav(tmp_path)
    first, seventh = load("eav", tmp_path)
    assert (first.subject, seventh.subject) == ("p01", "p07")
    for recording, data in ((first, written[1]), (seventh, written[7])):
        for i, trial in enumerate(recording.trials):
            eeg = trial.signals["eeg"]
            np.testing.assert_array_equal(eeg.values, data[:, :, i].T.astype(np.float32))
            assert (eeg.rate_hz, eeg.unit, eeg.start_s, trial.stop_s) == (500, "uV", 10 * i, 10 * i + 10)
    assert [(t.labels["emotion"], t.labels["task"]) for t in first.trials[:4]] == [
        ("neutral", "listening"), ("neutral", "speaking"), ("sadness", "listening"), ("sadness", "speaking"),
    ]  # fmt: skip
    assert [t.stimulus for t in first.trials[:3]] == ["talk001", "talk001", "talk002"]
    assert [t.trial for t in first.trials[:2]] == ["001-listening", "002-speaking"]
    assert first.provenance["video"].endswith("subject1/Video")
    assert all(set(t.signals) == {"eeg"} for t in first.trials)


def test_electrodes_are_where_a_standard_montage_has_them(tmp_path: Path) -> None:
    import mne

    write_eav(tmp_path, people=(1,))
    names = load("eav", tmp_path)[0].trials[0].signals["eeg"].channels
    assert len(set(names)) == 30
    assert set(names) <= set(mne.channels.make_standard_montage("easycap-M1").ch_names)


def test_sound_of_speaking_segments(tmp_path: Path) -> None:
    write_eav(tmp_path, people=(1,))
    next((tmp_path / "subject1/Audio").glob("004_*.wav")).unlink()
    problems: list[Problem] = []
    (recording,) = load("eav", tmp_path, audio=True, problems=problems)
    assert ["audio" in t.signals for t in recording.trials[:6]] == [False, True, False, False, False, True]
    sound = recording.trials[1].signals["audio"]
    assert (sound.rate_hz, sound.n_samples, sound.start_s) == (16000, 8000, 10)
    np.testing.assert_array_equal(sound.values, np.full((1, 8000), 0.125, np.float32))  # mean of 1/2 and -1/4
    assert [p.what for p in problems] == ["no .wav of segment 4; it is read without audio"]


def test_a_label_that_contradicts_the_file_names_is_an_error(tmp_path: Path) -> None:
    write_eav(tmp_path, people=(1,))
    label = np.zeros((10, 8))
    label[3] = 1
    savemat(tmp_path / "subject1/EEG/subject1_eeg_label.mat", {"label": label})
    with pytest.raises(DataError, match="segment 2 is speaking neutral by its name and speaking sadness in subject1"):
        load("eav", tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("eeg", {"other": np.zeros(3)}, "holds other; expected seg1 or seg, 10000 x 30 x 200"),
        ("eeg", {"seg": np.zeros((100, 29, 8))}, r"seg has shape \(100, 29, 8\); expected \(10000, 30, 200\)"),
        ("eeg_label", {"label": np.zeros((10, 7))}, r"label of shape \(10, 7\); expected \(10, 8\)"),
        ("eeg_label", {"label": np.zeros((10, 8))}, "segment 1 has 0 classes; expected one"),
    ],
)
def test_a_damaged_file_is_one_error(tmp_path: Path, file: str, content: dict[str, object], message: str) -> None:
    write_eav(tmp_path)
    savemat(tmp_path / f"subject1/EEG/subject1_{file}.mat", content)
    with pytest.raises(DataError, match=rf"subject1_{file}\.mat: {message}"):
        load("eav", tmp_path)
    assert [r.subject for r in load("eav", tmp_path, problems=[])] == ["p07"]
