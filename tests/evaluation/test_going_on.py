"""A run that was stopped goes on where it was, to the same figures; and how far it is moves within a fit."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import encoder_weights
import numpy as np
import pytest
from small_cohort import cohort, windows, write_manifest

from insula.evaluation import fits, running, ticks
from insula.evaluation.experiment import Experiment, experiment_from
from insula.evaluation.finished import Finished, run_key
from insula.evaluation.results import Result
from insula.evaluation.run import evaluate
from insula.evaluation.ticks import listening
from insula.files import drop_kept, kept_beside
from insula.pipeline.running import run_experiment
from insula.privacy.forget import forget
from insula.processes import MODULES

KEY = "0" * 32


def experiment(root: Path | None = None, epochs: int = 2, **compare: Any) -> Experiment:
    """Two rows under leave one person out: three folds each."""
    return experiment_from(
        {
            "data": {"name": "manifest", "root": None if root is None else str(root), "target": "state"},
            "model": {"name": "tcn"},
            "recipe": {"window_s": 4.0, "hop_s": 2.0, "guard_s": 2.0},
            "protocol": {"name": "leave_one_subject_out"},
            "compare": {"rows": ["majority"], "variants": [], "session": False, **compare},
            "train": {"epochs": epochs},
        }
    )


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_manifest(tmp_path / "data", cohort())


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is fitted in this process, by name; the fourth fit is interrupted as long as nothing stands in its way."""
    names: list[str] = []
    plain = fits.run_fold

    def counted(*task: Any) -> Any:
        names.append(task[3].name)
        if names.count("stop") == 0 and len(names) == 4:
            names.append("stop")
            raise KeyboardInterrupt
        return plain(*task)

    monkeypatch.setattr(running, "run_fold", counted)
    return names


def without_time(result: Result) -> Any:
    return [(s.name, s.steps, s.loss, s.converged, s.notes, s.fallbacks) for s in result.systems]


@pytest.mark.parametrize("analyses", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_interrupted_run_goes_on_and_ends_like_one_that_was_not(
    study: Path, fitted: list[str], analyses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not analyses:
        monkeypatch.setattr("insula.pipeline.running.write", lambda result, path: path.write_text(result.target))
    told: list[str] = []
    out = study.parent / "out"
    with pytest.raises(KeyboardInterrupt) as stopped:
        run_experiment(experiment(study), out, tell=told.append, analyses=analyses)
    assert re.match(r"3 finished fits of this run are kept in \S+\.kept; the same command", stopped.value.__notes__[0])
    assert not out.exists()
    assert told == []
    first = list(fitted)
    again = run_experiment(experiment(study), out, tell=told.append, analyses=analyses)
    assert fitted[len(first) :] == ["majority"] * 3, "the network's three folds were kept"
    assert told[0].startswith("going on: 3 finished fits of this run are kept in")
    whole = run_experiment(experiment(study), study.parent / "whole", analyses=analyses)
    assert again.result.predictions.equals(whole.result.predictions)
    assert without_time(again.result) == without_time(whole.result)
    sheets = [json.dumps(r.result.analyses.get("certainty"), sort_keys=True) for r in (again, whole)]
    assert sheets[0] == sheets[1]
    assert sorted(p.name for p in out.parent.iterdir()) == ["data", "out", "whole"], "nothing is left beside them"


def test_other_settings_data_or_program_are_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    key = run_key(experiment(), "data", "cpu")
    assert key == run_key(experiment(), "data", "cpu")
    others = [run_key(experiment(epochs=3), "data", "cpu"), run_key(experiment(), "other", "cpu")]
    monkeypatch.setattr("insula.evaluation.finished._code", lambda _: "changed")
    others.append(run_key(experiment(), "data", "cpu"))
    assert len({key, *others}) == 4
    assert re.fullmatch("[0-9a-f]{32}", key)


def test_a_reader_or_row_of_the_user_changes_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "myreaders.py"
    module.write_text("one = 1")
    monkeypatch.syspath_prepend(tmp_path)
    plain = run_key(experiment(), "data", "cpu")
    monkeypatch.setenv(MODULES, "myreaders")
    before = run_key(experiment(), "data", "cpu")
    module.write_text("one = 2")
    assert len({plain, before, run_key(experiment(), "data", "cpu")}) == 3


def test_other_weights_of_others_are_another_run(tmp_path: Path) -> None:
    weights = encoder_weights.papagei(tmp_path / "weights")
    elder = tmp_path / "elder" / "estimator.json"
    elder.parent.mkdir()
    elder.write_text("{}")
    model = {"name": "papagei", "start": str(elder.parent), "options": {"weights": str(weights), "finetune": True}}
    plan = experiment_from({"data": {"name": "manifest"}, "model": model})
    keys = [run_key(plan, "data", "cpu")]
    encoder_weights.papagei(weights, seed=1)
    keys.append(run_key(plan, "data", "cpu"))
    elder.write_text("{} ")
    keys.append(run_key(plan, "data", "cpu"))
    assert len(set(keys)) == 3


@pytest.mark.slow
def test_kept_fits_that_cannot_be_read_are_fitted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Finished(tmp_path / ".out.kept")
    first = evaluate(windows(), experiment(), finished=kept)
    assert kept.count == 6
    (kept.folder / "fits-00000" / "fit.json").write_text("{")
    (kept.folder / "fits-00001" / "answer.npy").write_bytes(b"\x80\x04pickle")
    (kept.folder / "fits-00002" / "model" / "weights-0.safetensors").write_bytes(b"")
    redone: list[int] = []
    plain = fits.run_fold
    monkeypatch.setattr(running, "run_fold", lambda *task: (redone.append(task[2]), plain(*task))[1])
    again = evaluate(windows(), experiment(), finished=kept)
    assert redone == [0, 1, 2]
    assert again.result.predictions.equals(first.result.predictions)
    assert len(again.models) == 3


@pytest.mark.slow
def test_forgetting_a_person_removes_what_stopped_runs_kept(tmp_path: Path) -> None:
    kept = Finished(kept_beside(tmp_path / "out", KEY))
    other = Finished(kept_beside(tmp_path / "other", KEY))
    for one, people in ((kept, ["ann", "bob", "cyd"]), (other, ["dora"])):
        with one.open(people):
            evaluate(windows(), experiment(), finished=one)
    told = forget("ann", [tmp_path])
    assert [path.name for path, _ in told.done] == [kept.folder.name]
    assert [kept.folder.exists(), other.folder.exists()] == [False, True]


def test_a_run_that_is_complete_drops_what_all_runs_into_its_folder_kept(tmp_path: Path) -> None:
    mine, other = kept_beside(tmp_path / "out", KEY), kept_beside(tmp_path / "out-2", KEY)
    for folder in (mine, other):
        folder.mkdir()
    drop_kept(tmp_path / "out")
    assert [mine.exists(), other.exists()] == [False, True]


def moving(said: list[tuple[str, float, int]], what: str) -> list[float]:
    return [done for name, done, _ in said if name == what]


@pytest.mark.slow
def test_progress_moves_within_a_fit_and_ends_whole() -> None:
    said: list[tuple[str, float, int]] = []
    evaluate(windows(), experiment(epochs=4), progress=lambda *now: said.append(now))
    steps = moving(said, "fits")
    assert steps == sorted(steps)
    assert [s for s in steps if s < 1] == [0.25, 0.5, 0.75]
    assert steps[-1] == 6


@pytest.mark.slow
def test_progress_of_the_flagship_counts_the_trainings_that_judge_its_deep_path() -> None:
    from insula.learning.making import make

    said: list[tuple[int, int]] = []
    make("liquid", epochs=2).fit(windows(), progress=lambda *now: said.append(now))
    shares = [done / total for done, total in said]
    assert shares == sorted(shares)
    assert len(set(shares)) >= 4
    assert shares[-1] == 1


def test_progress_comes_from_other_processes() -> None:
    said: list[tuple[float, int]] = []
    with listening(3, lambda *now: said.append(now)) as shares:
        assert shares is not None
        code = "import sys; from pathlib import Path; from insula.evaluation.ticks import Shares; "
        code += "Shares(Path(sys.argv[1])).tick(1)(1, 4)"
        subprocess.run([sys.executable, "-c", code, str(shares.file)], check=True, timeout=60)
        until = time.monotonic() + 30
        while (0.25, 3) not in said and time.monotonic() < until:
            pass
    assert set(said) - {(0.0, 3)} == {(0.25, 3)}
    assert not shares.file.exists()
    shares.put(0, 1.0)
    assert shares.done() == 0.0


def test_without_a_place_for_the_file_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> Any:
        raise OSError("no space left on device")

    monkeypatch.setattr(ticks.tempfile, "TemporaryDirectory", full)
    with listening(3, lambda *_: None) as shares:
        assert shares is None


LONG = ("--set", "train.epochs=100000", "--set", "train.patience=100000")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_control_c_says_what_is_kept_and_the_command_goes_on(study: Path) -> None:
    code = "import signal; signal.signal(2, signal.default_int_handler); from insula.cli import main; main()"
    out = study.parent / "out"
    arguments = ["evaluate", "--data", "manifest", "--root", study, "--target", "state", "--model", "tcn", "--quick"]
    arguments += ["--window", 4, "--hop", 2, "--guard", 2, "--jobs", 2, "--out", out]
    arguments += ["--protocol", "leave_one_subject_out", "--epochs", 40, "--set", "compare.rows=['majority']"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    until = time.monotonic() + 120
    while not list(out.parent.glob(".out-*.kept/fits-*")) and time.monotonic() < until:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert re.search(
        r"insula: interrupted. \d+ finished fits? of this run (is|are) kept in \S+; the same command", said
    )
    assert "Traceback" not in said
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "going on: " in done.stderr
    assert np.isfinite(Result.load(out).table()["balanced_accuracy"].astype(float)).all()
