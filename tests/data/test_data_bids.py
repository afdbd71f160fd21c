"""Reader bids on a tiny EEG-BIDS folder."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from fixtures_bids import write_bids
from fixtures_data import lines

from insula.data import Problem, info, load
from insula.errors import DataError
from insula.windows.cutting import cut

RUN = "sub-01/ses-mon/eeg/sub-01_ses-mon_task-film_run-1"


def test_sessions_runs_events_and_values(tmp_path: Path) -> None:
    written = write_bids(tmp_path)
    monday, tuesday, second = load("bids", tmp_path)
    assert [(r.subject, r.session) for r in (monday, tuesday, second)] == [("01", "mon"), ("01", "tue"), ("02", "only")]
    assert [(t.trial, t.start_s, t.stop_s, t.role, t.stimulus) for t in monday.trials] == [
        ("task-film_run-1-001", 0, 5, "baseline", None),
        ("task-film_run-1-002", 5.5, 15.5, "trial", "clips/a.mp4"),
        ("task-film_run-1-004", 17, 29, "trial", "clips/b.mp4"),
        ("task-film_run-2-001", 30, 35, "baseline", None),
        ("task-film_run-2-002", 35.5, 45.5, "trial", "clips/a.mp4"),
        ("task-film_run-2-004", 47, 59, "trial", "clips/b.mp4"),
    ]
    assert dict(monday.trials[1].labels) == {"trial_type": "happy", "valence": 7.5}
    assert monday.traits == {"age": 31, "openness": 3.5}
    assert second.traits == {"openness": 2}
    for trial, stem in ((monday.trials[1], "mon_task-film_run-1"), (monday.trials[4], "mon_task-film_run-2")):
        data = written[f"sub-01_ses-{stem}"][:, 704:1984]
        eeg, eog = trial.signals["eeg"], trial.signals["eog"]
        assert (eeg.channels, eog.channels, eeg.unit, eeg.rate_hz) == (("Fp1", "Cz", "Oz"), ("VEOG",), "uV", 128)
        np.testing.assert_allclose(np.vstack([eeg.values, eog.values]), data, atol=0.01)  # EDF keeps 16 bits
        assert eeg.start_s == trial.start_s
        physio = written[f"sub-01_ses-{stem}_physio"][224:544]  # begins 1.5 s before the EEG
        eda = trial.signals["eda"]
        np.testing.assert_array_equal(eda.values[0], physio[:, 1].astype(np.float32))
        assert (eda.unit, eda.rate_hz, eda.start_s) == ("uS", 32, trial.start_s)
    assert np.isnan(monday.trials[0].signals["bvp"].values[0]).sum() == 0  # the n/a lies before the EEG
    windows = cut([monday, tuesday], info("bids").recipe, "trial_type", modalities=["eeg", "eda"])
    assert windows.schema.classes == ("happy", "sad")


def test_a_run_without_events_is_one_unlabelled_trial(tmp_path: Path) -> None:
    written = write_bids(tmp_path)
    problems: list[Problem] = []
    (recording,) = load("bids", tmp_path, subjects=["02"], problems=problems)
    (trial,) = recording.trials
    assert (trial.trial, trial.start_s, trial.stop_s, trial.labels) == ("task-rest", 0, 10, {})
    np.testing.assert_allclose(trial.signals["eeg"].values, written["sub-02_task-rest"], atol=1e-3)
    assert [p.what.split(";")[0] for p in problems] == ["no such file", "no event with a duration"]


def test_other_baselines(tmp_path: Path) -> None:
    write_bids(tmp_path)
    recording = load("bids", tmp_path, subjects="01", baseline=("sad",))[0]
    assert [t.role for t in recording.trials[:3]] == ["trial", "trial", "baseline"]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("_events.tsv", "onset\ttrial_type\n1\tx\n", "columns onset, trial_type; expected onset, duration"),
        ("_events.tsv", "onset\tduration\n1\tx\n", "line 2: duration 'x'; expected a number"),
        ("_events.tsv", "onset\tduration\n20\t20\n", "line 2: event from 20 to 40 s; expected within 0 to 30"),
        ("_channels.tsv", "name\ttype\nFp9\tEEG\n", r"eeg\.edf: no channel of a known type"),
        ("_eeg.edf", "0", "MNE cannot read it"),
        ("_physio.tsv.gz", "x", "gzip cannot read it"),
        ("_physio.json", "{}", "sidecar without SamplingFrequency"),
        ("_physio.json", "{", "not JSON"),
    ],
)
def test_a_damaged_file_costs_only_its_run(tmp_path: Path, file: str, text: str, message: str) -> None:
    write_bids(tmp_path)
    (tmp_path / f"{RUN}{file}").write_text(text)
    with pytest.raises(DataError, match=rf"sub-01_ses-mon_task-film_run-1.*{message}"):
        load("bids", tmp_path)
    problems: list[Problem] = []
    recordings = load("bids", tmp_path, problems=problems)
    assert [len(r.trials) for r in recordings] == [3, 3, 1]
    assert sum(p.fatal for p in problems) == 1


def test_a_packed_bomb_is_refused(tmp_path: Path) -> None:
    write_bids(tmp_path)
    with gzip.open(tmp_path / f"{RUN}_physio.tsv.gz", "wb") as file:
        for _ in range(16):
            file.write(b"\0" * (1 << 22))
    with pytest.raises(
        DataError, match=r"physio\.tsv\.gz: (no table of numbers within|reading it asks for more memory)"
    ):
        load("bids", tmp_path)


def test_wrong_folder(tmp_path: Path) -> None:
    lines(tmp_path / "x.txt", [json.dumps({})])
    with pytest.raises(DataError, match="holds no folder sub-01; expected a BIDS data set"):
        load("bids", tmp_path)
