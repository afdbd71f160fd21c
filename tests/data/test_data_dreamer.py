"""Reader dreamer on a file nested as DREAMER.mat is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures_lab_eeg import cells, write_dreamer
from scipy.io import savemat

from insula.data import Problem, info, load
from insula.errors import DataError, InputError
from insula.windows.cutting import cut


def test_values_ratings_and_baselines(tmp_path: Path) -> None:
    written = write_dreamer(tmp_path)
    people = load("dreamer", tmp_path)
    assert [r.subject for r in people] == ["p01", "p02"]
    trials = people[1].trials
    assert [t.trial for t in trials[:4]] == ["c01-baseline", "c01", "c02-baseline", "c02"]
    assert [(t.start_s, t.stop_s, t.role, t.stimulus) for t in trials[:3]] == [
        (0, 4, "baseline", "c01"), (4, 10, "trial", "c01"), (10, 14, "baseline", "c02"),
    ]  # fmt: skip
    for i in (0, 17):
        for part, trial in (("baseline", trials[2 * i]), ("stimuli", trials[2 * i + 1])):
            for name, rate in (("EEG", 128), ("ECG", 256)):
                signal = trial.signals[name.lower()]
                expected = written[1][name][part][i, 0].T.astype(np.float32)
                np.testing.assert_array_equal(signal.values, expected)
                assert (signal.rate_hz, signal.start_s) == (rate, trial.start_s)
        for name in ("Valence", "Arousal", "Dominance"):
            assert trials[2 * i + 1].labels[name.lower()] == written[1][f"Score{name}"][i, 0]
    assert trials[1].labels["intended"] == "calmness"
    assert trials[35].labels["intended"] == "surprise"
    assert trials[0].labels == {}
    assert trials[1].signals["eeg"].unit == "uV"


def test_electrodes_are_where_a_standard_montage_has_them(tmp_path: Path) -> None:
    import mne

    write_dreamer(tmp_path, people=1)
    names = load("dreamer", tmp_path)[0].trials[0].signals["eeg"].channels
    assert set(names) <= set(mne.channels.make_standard_montage("colin27_1005").ch_names)
    assert names == ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")


def test_windows_of_baselines_serve_as_reference(tmp_path: Path) -> None:
    write_dreamer(tmp_path, seconds=10)
    windows = cut(load("dreamer", tmp_path, subjects=["p01"]), info("dreamer").recipe, "intended")
    assert set(windows.schema.modalities) == {"eeg", "ecg"}
    assert len(windows.schema.classes) == 9
    assert windows.present().all()


def test_missing_parts_end_in_one_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"DREAMER\.mat does not exist"):
        load("dreamer", tmp_path)
    savemat(tmp_path / "DREAMER.mat", {"OTHER": np.zeros(3)})
    with pytest.raises(DataError, match=r"DREAMER\.mat: DREAMER has no fields; expected a struct with Data"):
        load("dreamer", tmp_path)
    written = write_dreamer(tmp_path)
    with pytest.raises(InputError, match="subject 'p09'"):
        load("dreamer", tmp_path, subjects=["p09"])
    written[0]["EEG"]["stimuli"] = cells([np.zeros((640, 13))] * 18)
    written[1]["ScoreValence"] = np.full((17, 1), 3.0)
    data = np.empty((1, 2), dtype=object)
    data[0, 0], data[0, 1] = written
    savemat(tmp_path / "DREAMER.mat", {"DREAMER": {"Data": data}})
    problems: list[Problem] = []
    assert load("dreamer", tmp_path, problems=problems) == ()
    assert "EEG stimuli 1 of p01 has shape (640, 13); expected (samples, 14)" in problems[0].what
    assert "p02: 17 of ScoreValence for 18 clips; expected as many" in problems[1].what


def test_a_file_of_matlab_7_3_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "DREAMER.mat").write_bytes(b"MATLAB 7.3 MAT-file, Platform: PCWIN64".ljust(512) + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(DataError, match=r"DREAMER\.mat: (saved as Matlab 7\.3 .*-v7|scipy or h5py cannot read it)"):
        load("dreamer", tmp_path)
    (tmp_path / "DREAMER.mat").write_bytes(b"\0" * 4096)
    with pytest.raises(DataError, match=r"DREAMER\.mat: not a Matlab file; expected one that begins with MATLAB 5.0"):
        load("dreamer", tmp_path)
