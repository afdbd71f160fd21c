"""Stress tests answer spoiled recordings with the fold models of a result, and nothing is trained again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import Terminal
from small_cohort import cohort, write_manifest

from insula.errors import DataError, InputError
from insula.evaluation.experiment import Experiment, experiment_from
from insula.evaluation.results import Result
from insula.explain.stress import STRESS
from insula.learning.classical import ClassicalEstimator
from insula.learning.estimator import Estimator
from insula.pipeline.reopened import open_result, stress_result
from insula.pipeline.running import run_experiment
from insula.signals.faults import FAULTS, Fault

pytestmark = pytest.mark.slow


def experiment(root: Path) -> Experiment:
    return experiment_from(
        {
            "data": {"name": "manifest", "root": str(root), "target": "state"},
            "model": {"name": "tcn"},
            "protocol": {"name": "leave_one_subject_out"},
            "compare": {"rows": ["majority", "logistic_regression"], "variants": [], "session": False},
            "recipe": {"window_s": 4.0, "hop_s": 2.0, "guard_s": 2.0},
            "train": {"epochs": 1},
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_manifest(root, cohort())
    out = tmp_path_factory.mktemp("out") / "run"
    run_experiment(experiment(root), out, analyses=False, keep_model=False, keep_folds=True)
    return out


def test_kept_models_are_those_that_answered(folder: Path) -> None:
    there = open_result(folder)
    assert [(r.name, r.title, r.kind) for r in there.rows] == [
        ("tcn", there.result.systems[0].title, "model"),
        ("classical", "Logistic regression", "classical"),
    ]
    systems = ("tcn", "logistic_regression")
    for row, system in zip(there.rows, systems, strict=True):
        for part, model in zip(row.splits, row.models, strict=True):
            assert model is not None
            test = there.windows.take(part.test)
            everything = there.result.predictions
            own = everything[(everything["system"] == system) & (everything["fold"] == part.fold)]
            chances = own[[f"p_{c}" for c in there.result.classes]].to_numpy()
            np.testing.assert_allclose(model.predict_proba(test), chances, atol=1e-6)


def test_without_a_fault_nothing_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none = Fault("noise", "Nothing", "", (0.0, 1.0), lambda person, _: person.recording)
    monkeypatch.setitem(FAULTS, "noise", none)  # type: ignore[arg-type]
    for kind in (Estimator, ClassicalEstimator):
        monkeypatch.setattr(kind, "fit", lambda *_, **__: pytest.fail("trained again"))
    found = STRESS.read(stress_result(folder, ["noise"]))
    assert found is not None
    assert [c.row for c in found.curves] == ["tcn", "classical"]
    for curve in found.curves:
        assert [p.score for p in curve.points] == [curve.points[0].score] * 3
        assert [p.change for p in curve.points] == [0.0] * 3


def test_the_command_writes_curves_page_and_picture(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = Terminal(monkeypatch, capsys)("stress", folder, "--faults", "sensors,noise")
    assert done.code == 0, done.err
    assert "lost sensors, Logistic regression" in done.out
    assert (folder / "stress.png").read_bytes()[:4] == b"\x89PNG"
    assert "What does it bear?" in (folder / "report.html").read_text(encoding="utf-8")
    found = STRESS.read(Result.load(folder))
    assert found is not None
    assert {c.fault: [p.level for p in c.points] for c in found.curves} == {
        "noise": [0, 0.5, 1, 2],
        "sensors": [0, 1, 2],
    }
    assert (folder / "folds" / "tcn" / "0").is_dir()


def test_what_cannot_be_stressed_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown fault|fault 'rain'"):
        stress_result(folder, ["rain"])
    with pytest.raises(InputError, match="applies"):
        stress_result(folder, ["blinks"])
    bare = tmp_path / "bare"
    Result.load(folder).save(bare)
    with pytest.raises(InputError, match="--keep-folds"):
        stress_result(bare)
    (folder / "folds").rename(bare / "folds")
    changed = Result.load(bare)
    changed.provenance["data_hash"] = "other"  # type: ignore[index]
    changed.save(bare)
    with pytest.raises(DataError, match="not those it was made from"):
        stress_result(bare)
    (bare / "folds").rename(folder / "folds")
