"""What was asked for is what ran, on equal terms, and is said where it is not."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_cohort import RECIPE, recording, scored

from insula.evaluation.declared import BEST
from insula.evaluation.experiment import experiment_from, read_experiment
from insula.evaluation.results import Result
from insula.evaluation.run import evaluate
from insula.evaluation.system import System
from insula.grid.ledger import _drop
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.level import Normaliser
from insula.learning.train import FEW_STEPS, History
from insula.learning.train_config import TrainConfig
from insula.protocols.protocols import inner_split
from insula.windows.cutting import cut
from insula.windows.table import Windows

NO_EXTRAS: dict[str, Any] = {"variants": [], "session": False, "context": False, "declare": False}


def run(of: Windows, model: str = "logistic_regression", protocol: dict[str, Any] | None = None, **more: Any) -> Result:
    tables = {
        "data": {"name": "simulate", "target": "state"},
        "model": {"name": model},
        "protocol": protocol or {"name": "leave_one_subject_out"},
        "compare": {**NO_EXTRAS, "rows": [], **more.pop("compare", {})},
        **more,
    }
    return evaluate(of, experiment_from(tables)).result


def people(baseline: str = "abc", names: str = "abc") -> Windows:
    made = [recording(n, baseline_s=10.0 if n in baseline else 0.0) for n in names]
    return cut(made, RECIPE, "state")


@pytest.mark.parametrize(
    ("losses", "steps", "stopped", "converged"),
    [
        ([2.0, 1.0, 0.5, 0.4, 0.4, 0.4, 0.39, 0.39, 0.39, 0.39], 500, False, True),
        ([2.0, 1.8, 1.6, 1.4, 1.2, 1.0, 0.8, 0.6, 0.4, 0.2], 500, False, False),
        ([2.0, 1.0, 0.5, 0.4, 0.4, 0.4, 0.39, 0.39, 0.39, 0.39], FEW_STEPS - 1, False, False),
        ([2.0, 1.8], 500, False, False),
        ([0.60, 0.66, 0.62, 0.57, 0.67, 0.59, 0.65, 0.60, 0.64, 0.58] * 2, 500, False, True),
        ([1.0 - 0.01 * k for k in range(40)], 500, False, False),
        ([2.0, 1.8], 500, True, True),
        ([0.693] * 9, FEW_STEPS - 1, True, False),
    ],
)
def test_a_training_has_converged_when_its_loss_has_stopped_falling(
    losses: list[float], steps: int, stopped: bool, converged: bool
) -> None:
    assert History(losses, steps=steps, stopped=stopped).converged is converged


def test_steps_and_final_loss_stand_in_result_and_table() -> None:
    result = run(people(), "liquid", train={"epochs": 2})
    row = result.systems[0]
    assert row.steps == 2 * 3  # 12 trials of two people, 4 a step
    assert row.loss is not None
    assert row.converged is False
    assert row.budget == f"not converged after 6 steps, loss {row.loss:.3f}"
    assert result.table()["budget"].iloc[0] == row.budget
    assert any("not converged" in note for note in row.notes)
    assert run(people()).systems[0].budget == ""


def test_rounds_and_epochs_without_labels_stand_in_the_notes() -> None:
    train = {"epochs": 1, "rounds": 2, "unlabelled_epochs": 2}
    first, plain = run(people(), "tcn", train=train).systems[:2]
    assert "not converged in 3 of 3 trainings; train.rounds=2 was not enough" in first.notes
    assert any(re.match(r"2 epochs, \d+ steps without labels before those with them; loss of", n) for n in first.notes)
    assert (plain.name, plain.steps) == ("tcn_alone", first.steps)
    assert not any("without labels" in note for note in plain.notes)


def test_who_had_no_opening_minutes_is_said() -> None:
    row = run(people(baseline="ab"), model="logistic_regression").systems[0]
    assert row.normaliser == "opening"
    assert row.scaling == "opening; population for 1 (c/s1)"
    assert any("c/s1: no reference windows" in n for n in row.notes)
    assert run(people()).systems[0].scaling == "opening"
    network = run(people(baseline="ab"), "liquid", train={"epochs": 1}).systems[0]
    assert network.fallbacks == row.fallbacks


def test_published_protocols_pool_all_people() -> None:
    pooled = run(people(), protocol={"name": "random_windows", "folds": 2, "pooled": True})
    own = run(people(), protocol={"name": "random_windows", "folds": 2})
    assert pooled.protocol["pooled"] is True
    assert own.protocol["pooled"] is False
    assert pooled.protocol["folds"] == 2
    assert own.protocol["folds"] == 6
    assert (pooled.systems[0].normaliser, own.systems[0].normaliser) == ("opening", "person_trials")
    root = Path(__file__).parents[2] / "experiments"
    assert read_experiment(root / "rbtransformer.toml").protocol.pooled


def test_a_drop_is_between_the_same_model_normaliser_and_pooling() -> None:
    table = run(people(), protocol={"name": "random_windows", "folds": 2}).of("logistic_regression")

    def result(pooled: bool, normaliser: str = "opening") -> Any:
        row = System("x", "X", "model", normaliser=normaliser)
        return SimpleNamespace(protocol={"pooled": pooled}, system=lambda _: row)

    def drop(leaky: Any, *clean: Any) -> Any:
        together = {"leaky": leaky, **{f"clean{i}": c for i, c in enumerate(clean)}}
        return _drop("x", ["leaky"], list(together)[1:], together, {p: {"x": table} for p in together})

    assert drop(result(False), result(True)) is None, "a model a person against one of all people"
    assert drop(result(True), result(True, "person_trials")) is None
    assert drop(result(True), result(True)) is not None
    assert drop(result(False), result(True), result(False)) is not None


def test_networks_and_classical_rows_clip_alike() -> None:
    of = scored()
    values = Normaliser("population", read=lambda w: np.r_[np.zeros((len(w) - 1, 1)), [[1e9]]]).fit(of).features(of)
    assert values.max() == 5


def test_scales_are_learned_inside_the_inner_split() -> None:
    """A person's scale must not come from the trials that decide when training stops."""
    of = scored()
    config = EstimatorConfig(
        normaliser="person_trials",
        group=("subject", "session", "trial"),
        train=TrainConfig(epochs=1, validation_groups=2),
    )
    made = Estimator(config).fit(of)
    chosen, held_out = inner_split(of.table, np.arange(len(of)), config.group, config.seed, 0.2)
    assert len(held_out)
    inside, everything = (Normaliser("person_trials").fit(of.take(r)) for r in (chosen, np.arange(len(of))))
    for name, own in made.normaliser.people.items():
        np.testing.assert_array_equal(own[0], inside.people[name][0])
        assert not np.array_equal(own[0], everything.people[name][0])


def test_the_declared_row_is_chosen_on_inner_people() -> None:
    of = people(names="abcdefg", baseline="abcdefg")
    rows = ["logistic_regression", "random_forest"]
    result = run(of, "svm", {"name": "leave_subjects_out", "folds": 2}, compare={"rows": rows, "declare": True})
    assert result.declared == ("svm", BEST)
    best = result.of(BEST)
    found = set()
    for fold, own in best.groupby("fold"):
        same = [n for n in rows if own["p_calm"].equals(result.of(n).loc[own.index, "p_calm"])]
        assert same, fold
        found |= set(same)
    assert "chosen: " in result.system(BEST).notes[0]
    one = run(of, "svm", {"name": "leave_subjects_out", "folds": 2}, compare={"rows": rows[:1], "declare": True})
    assert one.declared == ("svm", "logistic_regression")


def test_a_forest_has_the_context_that_logistic_regression_has() -> None:
    result = run(people(), "random_forest", compare={"rows": ["logistic_regression"], "context": True})
    assert {"random_forest_context", "logistic_regression_context"} <= {s.name for s in result.systems}
    assert result.system("random_forest_context").scope == "trial"


def test_a_readout_without_a_deep_path_is_not_called_unconverged() -> None:
    row = System("x", "X", "model", steps=0, loss=1.0, converged=True, readout_alone=3, fits=3)
    assert row.budget == "convex readout alone in 3 of 3 fits, loss 1.000"
    some = System("x", "X", "model", steps=60, loss=1.0, converged=False, readout_alone=1, fits=3)
    assert some.budget == "convex readout alone in 1 of 3 fits, not converged after 60 steps, loss 1.000"
    result = run(people(), "liquid", train={"epochs": 2, "residual": "never"})
    assert (result.systems[0].readout_alone, result.systems[0].fits) == (3, 3)
    assert result.systems[0].converged is True
