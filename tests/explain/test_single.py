"""One prediction explained: attributions find what an answer stands on, add up, and survive deletion."""

from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import Terminal
from small_cohort import cohort, fresh, scored, write_manifest
from torch import nn

import insula
from insula.errors import InputError, MissingDependencyError
from insula.evaluation.experiment import experiment_from
from insula.evaluation.results import Result
from insula.explain.attribution import network_parts
from insula.explain.single import SINGLE, explain_window, trial_rows
from insula.learning.classical import ClassicalEstimator
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.pipeline.reopened import explain_answers
from insula.pipeline.running import run_experiment, train_model
from insula.types import Batch, InputSpec, ModelOutput


class LastSecondOfPulse(nn.Module):
    """Answers by the last second of the pulse's samples, squared, and by nothing else."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.rate = round(spec.signals["bvp"][1])
        self.bias = nn.Parameter(torch.zeros(spec.outputs))

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:  # noqa: ARG002
        power = 20 * batch.signals["bvp"][..., -self.rate :].square().mean((1, 2))  # (B,)
        logits = torch.stack([power, -power], 1) + self.bias
        return ModelOutput(logits, logits)


def test_a_network_is_explained_by_what_it_reads() -> None:
    model = Estimator(EstimatorConfig(normaliser="population"), LastSecondOfPulse).initialise(scored())
    found = explain_window(model, scored(), 3, "mine", "Mine", "model")
    assert found.said == "calm"
    assert found.sensors[0].name == "bvp"
    assert [m.value for m in found.sensors[1:]] == [0] * (len(found.sensors) - 1)
    moved = {m.name: m.value for m in found.seconds}
    last = max(moved, key=float)
    assert float(last) == found.stop_s - 1
    assert moved.pop(last) == pytest.approx(found.sensors[0].value)
    assert set(moved.values()) == {0.0}
    assert found.deletion.chosen[0] < 0.6 < found.chance  # the one second, deleted, leaves nothing
    assert max(found.deletion.chosen) < min(found.deletion.random)
    assert found.deletion.as_low < 0.1  # one of the pulse's four seconds at random is right now and then


def test_parts_of_a_network_add_up_to_its_answer() -> None:
    model = fresh("tcn")
    parts = network_parts(model, scored(), 5)
    logits = model.outputs(scored())["logits"][5]
    assert parts.said == int(logits.argmax())
    assert abs(parts.gap) < 0.05 * np.abs(parts.moved).sum()
    assert replace(parts, gap=0.9).missed.startswith("+0.90 of what moved the answer is in no part")
    assert replace(parts, gap=0.04).missed == ""
    none, every = parts.without(np.stack([np.zeros(len(parts.cells), bool), np.ones(len(parts.cells), bool)]))
    assert none == pytest.approx(float(model.predict_proba(scored())[5].max()), abs=1e-5)
    assert every != pytest.approx(float(none), abs=1e-3)


@pytest.mark.parametrize("context", [False, True])
def test_a_linear_row_is_explained_exactly(context: bool) -> None:
    row = ClassicalEstimator("logistic_regression", context=context).fit(scored())
    found = explain_window(row, scored(), 2, "lr", "Logistic regression", "classical")
    decision = float(row.model.decision_function(row.columns(scored())[2:3])[0])
    intercept = float(row.model.intercept_[0])
    assert sum(m.value for m in found.sensors) == pytest.approx(abs(decision - intercept) / 2, rel=1e-6)
    assert found.chance == pytest.approx(float(row.predict_proba(scored())[2].max()))
    assert found.method == "exact, linear"


def test_bands_of_eeg_split_what_its_samples_moved() -> None:
    recordings = insula.load("simulate", people=2)
    windows = insula.cut(recordings, insula.data.info("simulate").recipe, "emotion").scored
    model = Estimator(EstimatorConfig(model="eegnet", normaliser="population")).initialise(windows)
    parts = network_parts(model, windows, 0)
    samples = sum(v for c, v in zip(parts.cells, parts.moved, strict=True) if c.modality == "eeg" and not c.feature)
    assert abs(float(samples)) > 1e-4
    assert sum(parts.bands.values()) == pytest.approx(float(samples), abs=1e-4 + 0.01 * abs(float(samples)))


def test_what_cannot_be_explained_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    forest = ClassicalEstimator("random_forest").fit(scored())
    with pytest.raises(InputError, match="a network or a linear row"):
        explain_window(forest, scored(), 0, "rf", "Forest", "classical")
    with pytest.raises(InputError, match="expected one of ann/s1/t0, bob/s1/t0"):
        trial_rows(scored(), "t0")
    assert len(trial_rows(scored(), "bob/t0"))
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("captum"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    model = Estimator(EstimatorConfig(normaliser="population"), LastSecondOfPulse).initialise(scored())
    with pytest.raises(MissingDependencyError, match=r"insula\[explain\]"):
        explain_window(model, scored(), 3, "mine", "Mine", "model")


def tables(root: Path) -> dict[str, Any]:
    return {
        "data": {"name": "manifest", "root": str(root), "target": "state"},
        "model": {"name": "tcn"},
        "protocol": {"name": "leave_one_subject_out"},
        "compare": {"rows": ["logistic_regression"], "variants": [], "session": False, "context": False},
        "recipe": {"window_s": 4.0, "hop_s": 2.0, "guard_s": 2.0},
        "train": {"epochs": 1},
    }


@pytest.mark.slow
def test_the_command_explains_a_trial_into_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_manifest(tmp_path, cohort())
    run_experiment(experiment_from(tables(root)), tmp_path / "run", keep_model=False, keep_folds=True)
    before = SINGLE.read(Result.load(tmp_path / "run"))
    assert before is not None
    rights = [one.right for one in before.windows]
    assert rights in ([True, False], [True], [False])
    say = Terminal(monkeypatch, capsys)
    done = say("explain", tmp_path / "run", "--trial", "bob/t1")
    assert done.code == 0, done.err
    assert "bob, trial t1" in done.out
    assert "Logistic regression" in done.out
    after = SINGLE.read(Result.load(tmp_path / "run"))
    assert after is not None
    assert [(e.row, e.subject, e.trial) for e in after.windows[-2:]] == [
        ("tcn", "bob", "t1"),
        ("classical", "bob", "t1"),
    ]
    table = Result.load(tmp_path / "run").of("tcn")
    own = table[(table["subject"] == "bob") & np.isclose(table["stop_s"], after.windows[-2].stop_s)].iloc[0]
    assert after.windows[-2].chance == pytest.approx(max(own["p_calm"], own["p_tense"]), abs=1e-5)
    assert "Why " in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert say("explain", tmp_path / "run", "--trial", "bob/t9").code == 2
    assert "expected one of" in say("explain", tmp_path / "run", "--trial", "bob/t9").err


@pytest.mark.slow
def test_a_saved_model_says_that_it_has_seen_the_trial(tmp_path: Path) -> None:
    root = write_manifest(tmp_path, cohort())
    train_model(experiment_from(tables(root)), tmp_path / "model")
    (one,) = explain_answers(tmp_path / "model", "ann/s1/t2").windows
    assert "<" not in one.title
    assert (one.subject, one.trial) == ("ann", "t2")
    assert "was trained on this trial" in one.note
