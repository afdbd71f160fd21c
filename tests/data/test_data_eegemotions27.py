"""Reader eegemotions27 on plain text files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures_data import lines
from fixtures_lab_eeg import write_eegemotions27

from insula.data import Problem, info, load
from insula.errors import DataError
from insula.protocols.describing import describe


def test_values_emotions_and_clips(tmp_path: Path) -> None:
    written = write_eegemotions27(tmp_path)
    recordings = load("eegemotions27", tmp_path)
    assert [r.subject for r in recordings] == ["p01", "p12"]
    for recording, person in zip(recordings, (1, 12), strict=True):
        assert [t.labels["emotion"] for t in recording.trials] == ["admiration", "adoration", "surprise"]
        assert [t.stimulus for t in recording.trials] == ["clip01", "clip02", "clip27"]
        assert [t.start_s for t in recording.trials] == [0, 6, 12]
        for trial, emotion in zip(recording.trials, (1, 2, 27), strict=True):
            eeg = trial.signals["eeg"]
            np.testing.assert_array_equal(eeg.values, written[f"{person}_{emotion}.0.txt"].T.astype(np.float32))
            assert (eeg.channels[0], eeg.channels[-1], eeg.rate_hz, eeg.unit) == ("AF3", "AF4", 256, "uV")


def test_the_software_says_that_nothing_can_be_held_out_inside_a_person(tmp_path: Path) -> None:
    write_eegemotions27(tmp_path, seconds=10)
    told = describe(load("eegemotions27", tmp_path), info("eegemotions27").recipe)
    (emotion,) = told.targets
    assert emotion.protocols["within_subject"]
    assert emotion.protocols["leave_one_subject_out"] is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1 2 3"] * 300, "3 columns; expected 14"),
        (["time,AF3,F7", *["1,2,3"] * 300], "no column F3, FC5, .*; expected the 14 electrodes"),
        ([" ".join(["1"] * 14), " ".join(["1"] * 13 + ["x"])], "line 2 holds 'x'; expected a number"),
        ([""], "0 lines"),
    ],
)
def test_a_damaged_file_costs_only_its_trial(tmp_path: Path, rows: list[str], message: str) -> None:
    write_eegemotions27(tmp_path, people=(1,))
    lines(tmp_path / "eeg_raw/1_2.0.txt", rows)
    with pytest.raises(DataError, match=rf"1_2\.0\.txt: {message}"):
        load("eegemotions27", tmp_path)
    problems: list[Problem] = []
    (recording,) = load("eegemotions27", tmp_path, problems=problems)
    assert [t.trial for t in recording.trials] == ["clip01", "clip27"]


def test_wrong_folder_and_number(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no 1_1\.0\.txt"):
        load("eegemotions27", tmp_path)
    lines(tmp_path / "1_31.0.txt", ["1"])
    with pytest.raises(DataError, match="emotion 31 in its name; expected 1 to 27"):
        load("eegemotions27", tmp_path)
