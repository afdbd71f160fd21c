"""Reader e4, the registry of readers, and cut files: every cut is either a recording or one error naming the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fixtures_data import write_cogwear, write_e4, write_stress_predict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insula.data import READERS, Problem, info, load
from insula.errors import DataError, InputError, InsulaError


def test_one_folder_or_a_folder_of_sessions(tmp_path: Path) -> None:
    write_e4(tmp_path / "many" / "ann", acc=True)
    write_e4(tmp_path / "many" / "bob", seed=1)
    (tmp_path / "many" / "notes").mkdir()
    problems: list[Problem] = []
    ann, bob = load("e4", tmp_path / "many", problems=problems)
    assert (ann.subject, bob.subject, len(ann.trials), dict(ann.trials[0].labels)) == ("ann", "bob", 1, {})
    assert ann.trials[0].stop_s == 60
    raw = np.loadtxt(tmp_path / "many/ann/ACC.csv", delimiter=",", skiprows=2)
    np.testing.assert_allclose(ann.trials[0].signals["acc"].values, raw.T / 64, rtol=1e-6)
    assert ann.trials[0].signals["hr"].start_s == 10
    assert any(p.file.endswith("bob/ACC.csv") and "read without acc" in p.what for p in problems)
    (alone,) = load("e4", tmp_path / "many" / "ann")
    assert alone.subject == "ann"
    with pytest.raises(DataError, match=r"notes holds no E4 session; expected EDA\.csv"):
        load("e4", tmp_path / "many" / "notes")


def test_nan_and_infinity_are_missing_values(tmp_path: Path) -> None:
    write_e4(tmp_path / "ann")
    path = tmp_path / "ann" / "TEMP.csv"
    rows = path.read_text().splitlines()
    rows[5], rows[6], rows[7] = "nan", "inf", ""
    path.write_text("\n".join(rows) + "\n")
    (recording,) = load("e4", tmp_path / "ann")
    temp = recording.trials[0].signals["temp"].values[0]
    assert temp.size == 240
    assert np.flatnonzero(np.isnan(temp)).tolist() == [3, 4, 5]


def test_a_last_line_without_line_break_is_left_out(tmp_path: Path) -> None:
    write_e4(tmp_path / "ann")
    path = tmp_path / "ann" / "BVP.csv"
    path.write_bytes(path.read_bytes()[:-2])
    problems: list[Problem] = []
    (recording,) = load("e4", tmp_path / "ann", problems=problems)
    assert recording.trials[0].signals["bvp"].n_samples == 60 * 64 - 1
    assert any(p.file.endswith("BVP.csv") and "may be cut" in p.what for p in problems)


def test_registry_is_complete_and_checks_names(tmp_path: Path) -> None:
    for name in READERS:
        told = info(name)
        assert told.name == name
        assert told.title
        assert told.licence
        assert told.recipe.signals
    with pytest.raises(InputError, match=r"data 'stress_predikt'; expected one of .* Did you mean 'stress_predict'"):
        load("stress_predikt", tmp_path)
    with pytest.raises(
        InputError, match=r"option of reader 'cogwear_e4' 'ppgg'; expected one of ppg. Did you mean 'ppg'"
    ):
        load("cogwear_e4", tmp_path, ppgg=True)
    with pytest.raises(InputError, match="data 'e4' without a root; expected the folder"):
        load("e4")


def test_import_and_info_load_nothing_heavy() -> None:
    code = (
        "import sys, insula.data as d; d.info('stress_predict'); d.info('phymer'); d.info('manifest'); "
        "heavy = ('torch', 'sklearn', 'neurokit2', 'pyriemann', 'numba', 'mne', 'matplotlib'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cut")
    write_stress_predict(root / "stress_predict", (2,), block_s=2)
    write_cogwear(root / "cogwear_e4")
    write_e4(root / "e4" / "ann", seconds=14, acc=True)
    return root


FILES = {
    "stress_predict": (
        *(f"Raw_data/S02/{n}.csv" for n in ("EDA", "BVP", "TEMP", "HR", "IBI")),
        "Processed_data/Improved_All_Combined_hr_rsp_binary.csv",
        "Processed_data/Questionnaires_scores.xlsx",
    ),
    "cogwear_e4": ("pilot/0/baseline/empatica_eda.csv", "pilot/0/baseline/samsung_bvp.csv"),
    "e4": ("ann/ACC.csv", "ann/IBI.csv", "ann/HR.csv"),
}


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_cut_at_any_byte_is_a_recording_or_one_error(whole: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(FILES)))
    path = whole / name / data.draw(st.sampled_from(FILES[name]))
    content = path.read_bytes()
    end = data.draw(st.one_of(st.integers(0, min(80, len(content))), st.integers(0, len(content))))
    options = {"ppg": True} if name == "cogwear_e4" else {}
    try:
        path.write_bytes(content[:end])
        with_list: list[Problem] = []
        try:
            recordings = load(name, whole / name, **options)
        except InsulaError as error:
            recordings, said = (), str(error)
            load(name, whole / name, problems=with_list, **options)
        if recordings:
            signals = [s for r in recordings for t in r.trials for s in t.signals.values()]
            assert all(s.n_samples and np.isfinite(s.values).any() for s in signals)
            assert all(t.stop_s > t.start_s for r in recordings for t in r.trials)
        else:
            assert path.name in said
            assert any(p.fatal and p.file.endswith(path.name) for p in with_list)
    finally:
        path.write_bytes(content)
