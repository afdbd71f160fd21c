"""Reader deap on files written as DEAP's preprocessed Python files are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures_lab_eeg import write_deap
from fixtures_python2 import python2_pickle

from insula.data import Problem, info, load
from insula.errors import DataError, InputError
from insula.windows.cutting import cut

FILE = Path("data_preprocessed_python/s01.dat")


def test_values_ratings_baselines_and_clock(tmp_path: Path) -> None:
    written = write_deap(tmp_path)
    first, second = load("deap", tmp_path)
    data, labels = written[1]
    assert [t.trial for t in first.trials][:4] == ["v04-baseline", "v04", "v03-baseline", "v03"]  # as shown
    assert [(t.start_s, t.stop_s, t.role) for t in first.trials][:3] == [
        (97, 100, "baseline"), (100, 105, "trial"), (167, 170, "baseline"),
    ]  # fmt: skip
    trial, rest = first.trials[1], first.trials[0]
    assert trial.stimulus == rest.stimulus == "v04"
    assert trial.labels == dict(zip(("valence", "arousal", "dominance", "liking"), labels[3], strict=True)) | {
        "familiarity": 5.0
    }
    assert rest.labels == {}
    np.testing.assert_array_equal(trial.signals["eeg"].values, data[3, :32, 384:].astype(np.float32))
    np.testing.assert_array_equal(rest.signals["eeg"].values, data[3, :32, :384].astype(np.float32))
    for name, row in (("eda", 36), ("resp", 37), ("bvp", 38), ("temp", 39)):
        np.testing.assert_array_equal(trial.signals[name].values[0], data[3, row, 384:].astype(np.float32))
    np.testing.assert_array_equal(trial.signals["emg"].values, data[3, 34:36, 384:].astype(np.float32))
    assert trial.signals["eeg"].unit == trial.signals["eog"].unit == "uV"
    assert trial.signals["eeg"].rate_hz == 128
    assert trial.signals["eeg"].start_s == 100
    assert "familiarity" not in second.trials[1].labels


def test_electrodes_are_where_a_standard_montage_has_them(tmp_path: Path) -> None:
    import mne

    write_deap(tmp_path, people=(1,))
    names = load("deap", tmp_path)[0].trials[0].signals["eeg"].channels
    assert len(set(names)) == 32
    assert set(names) <= set(mne.channels.make_standard_montage("biosemi32").ch_names)
    assert names[:4] == ("Fp1", "AF3", "F3", "F7")
    assert names[-2:] == ("PO4", "O2")


def test_without_the_table_the_clock_is_told_to_mean_nothing(tmp_path: Path) -> None:
    write_deap(tmp_path, people=(1,), table=False)
    problems: list[Problem] = []
    (recording,) = load("deap", tmp_path / "data_preprocessed_python", problems=problems)
    assert [t.trial for t in recording.trials if t.role == "trial"] == ["v01", "v02", "v03", "v04"]
    assert "elapsed time means nothing" in problems[0].what
    assert not problems[0].fatal


def test_windows_come_out_of_the_default_recipe(tmp_path: Path) -> None:
    write_deap(tmp_path, seconds=15)
    windows = cut(load("deap", tmp_path), info("deap").recipe, "valence>=5")
    assert set(windows.schema.modalities) == {"eeg", "eda", "bvp", "resp", "temp"}
    assert len(windows) == 2 * 4 * 4  # people, trials, (12 - 2 - 4) / 2 + 1
    assert windows.present().all()


def test_files_saved_again_by_python_3_are_read_too(tmp_path: Path) -> None:
    import pickle

    data, labels = write_deap(tmp_path, people=(1,))[1]
    for protocol in (2, 4, 5):
        (tmp_path / FILE).write_bytes(pickle.dumps({"labels": labels, "data": data}, protocol=protocol))
        (recording,) = load("deap", tmp_path)
        np.testing.assert_array_equal(recording.trials[1].signals["eeg"].values, data[3, :32, 384:].astype(np.float32))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable pickle"),
        (b"\0" * 100, "not a readable pickle"),
        (python2_pickle((1, 2)), "a list; expected a dict with data and labels"),
        (
            python2_pickle({"data": np.zeros((4, 32, 1000))}),
            r"data of shape \(4, 32, 1000\); expected \(40, 40, 8064\)",
        ),
        (
            python2_pickle({"data": np.zeros((4, 40, 1000)), "labels": np.zeros((3, 4))}),
            "12 ratings for 4 trials; expected 4 each",
        ),
        (
            python2_pickle({"data": np.zeros((1, 40, 1000)), "labels": np.full((1, 4), 11.0)}),
            "valence of trial 1 11; expected 1 to 9",
        ),
    ],
)
def test_a_damaged_file_is_one_error_that_names_it(tmp_path: Path, content: bytes, message: str) -> None:
    write_deap(tmp_path)
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(DataError, match=rf"s01\.dat: .*{message}"):
        load("deap", tmp_path)
    problems: list[Problem] = []
    assert [r.subject for r in load("deap", tmp_path, problems=problems)] == ["s02"]
    assert [p.file for p in problems if p.fatal] == [str(tmp_path / FILE)]


def test_wrong_folder_and_unknown_person(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no s01\.dat; expected DEAP's preprocessed Python files"):
        load("deap", tmp_path)
    write_deap(tmp_path, people=(1,))
    with pytest.raises(InputError, match="subject 's07'; expected one of s01"):
        load("deap", tmp_path, subjects="s07")
