"""Training without spoiled windows or with less of them, testing with all; and no change where all are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import Terminal
from own_model import MyNet
from sklearn.base import clone
from small_cohort import write_manifest
from spoiled_cohort import flat_share, people, scored, windows
from torch import Tensor

import insula.learning.train
from insula.errors import InputError
from insula.evaluation.experiment import experiment_from
from insula.evaluation.rows import make_plans
from insula.evaluation.run import evaluate
from insula.learning.batches import LabelledBatch
from insula.learning.classical import ClassicalEstimator
from insula.learning.classical_rows import CLASSICAL
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.feed import Feed
from insula.learning.losses import training_loss
from insula.learning.train_config import TrainConfig
from insula.learning.weighing import LEAST_WEIGHT, good_rows, trained_on, weights, worst_flags
from insula.protocols.protocols import split
from insula.types import ModelOutput
from insula.windows.table import Windows

FAST = TrainConfig(epochs=2, batch_trials=4, residual="always")


def fitted(of: Windows, config: TrainConfig = FAST, factory: Any = None, **changes: Any) -> Estimator:
    return Estimator(EstimatorConfig(train=config, **changes), factory).fit(of)


def state(model: Estimator) -> dict[str, Tensor]:
    return model.networks[0].state_dict()


def equal(a: Estimator, b: Estimator) -> bool:
    one, other = state(a), state(b)
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


# -- verdicts ------------------------------------------------------------------------------------------------------


def test_worst_flag_of_every_window_is_what_was_spoiled() -> None:
    of = scored()
    assert set(flat_share(of)) >= {0.0, 0.5, 1.0}
    np.testing.assert_allclose(worst_flags(of)[:, 0], flat_share(of), atol=1e-6)
    both = scored("eda", "hr")
    np.testing.assert_allclose(worst_flags(both), np.column_stack([flat_share(both), np.zeros(len(both))]), atol=1e-6)


def test_weight_is_the_mean_over_the_modalities_a_window_has() -> None:
    share = np.array(flat_share(scored()))
    np.testing.assert_allclose(weights(scored()), np.maximum(1 - share, LEAST_WEIGHT), atol=1e-6)
    np.testing.assert_allclose(weights(scored("eda", "hr")), 1 - share / 2, atol=1e-6)
    assert weights(scored()).dtype == np.float32


def test_dropped_are_windows_bad_in_more_than_half_of_their_modalities() -> None:
    share = np.array(flat_share(scored()))
    assert good_rows(scored(), 0.5).tolist() == np.flatnonzero(share <= 0.5).tolist()
    assert good_rows(scored(), 0.4).tolist() == np.flatnonzero(share <= 0.4).tolist()
    assert (share > 0.5).sum() > 10
    assert len(good_rows(scored("eda", "hr"), 0.5)) == len(share), "one of two is no majority"


class Told:
    """Windows with invented shares."""

    def __init__(self, shares: dict[str, list[list[float]]], present: list[list[bool]], y: list[float]) -> None:
        self.shares = {m: np.array(v, np.float32) for m, v in shares.items()}
        self._present, self.y = np.array(present), np.array(y)
        self.schema = type("Schema", (), {"modalities": dict.fromkeys(shares), "continuous": False})()

    def __len__(self) -> int:
        return len(self.y)

    def quality(self) -> dict[str, Any]:
        return self.shares

    def present(self) -> Any:
        return self._present


NAN = float("nan")


def test_absent_modalities_and_flags_without_a_verdict_do_not_count() -> None:
    told: Any = Told(
        {"a": [[0.2, 0.8], [NAN, NAN], [NAN, 1.0], [0.3, NAN]], "b": [[1.0, 1.0], [0.6, NAN], [0.0, 1.0], [1.0, 0.0]]},
        [[True, False], [True, True], [True, True], [False, False]],
        [0, 0, 1, 1],
    )
    np.testing.assert_allclose(worst_flags(told), [[0.8, NAN], [0, 0.6], [1, 1], [NAN, NAN]], rtol=1e-6)
    np.testing.assert_allclose(weights(told), [0.2, 0.7, LEAST_WEIGHT, 1], rtol=1e-6)
    assert good_rows(told, 0.5).tolist() == [1, 3], "a window without any modality is not called bad"


def test_a_class_that_would_be_lost_keeps_its_windows() -> None:
    told: Any = Told({"a": [[1.0], [1.0], [0.0], [1.0]]}, [[True]] * 4, [0, 0, 1, 1])
    assert good_rows(told, 0.5).tolist() == [0, 1, 2]


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="Did you mean 'weigh'"):
        TrainConfig(quality="weight")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="quality_share 1"):
        TrainConfig(quality_share=1.0)
    with pytest.raises(InputError, match="quality"):
        ClassicalEstimator("clock", quality="none")  # type: ignore[arg-type]


# -- the loss ------------------------------------------------------------------------------------------------------


class Fixed(torch.nn.Module):
    """Answers what it is told; its penalty is the number of the window."""

    def __init__(self, logits: Tensor, penalty: bool = False) -> None:
        super().__init__()
        self.logits, self.penalty = logits, penalty

    def sequence(self, batch: Any) -> ModelOutput:  # noqa: ARG002  what it is shown does not matter
        rows = torch.arange(self.logits.shape[1], dtype=torch.float32)[None]
        return ModelOutput(self.logits, self.logits, extras={"penalty": rows} if self.penalty else {})


def batch(y: list[float], weight: list[float]) -> LabelledBatch:
    return LabelledBatch(None, torch.tensor([y]), torch.tensor([weight]), torch.arange(len(y))[None])  # type: ignore[arg-type]


def test_weighed_loss_by_hand() -> None:
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.5, 0.5]])
    model = Fixed(torch.tensor(np.log(p), dtype=torch.float32)[None])
    part = batch([0, 0, 1, 1], [1.0, 0.25, 0.5, 0.0])  # the last one has no label
    weight = torch.tensor([0.5, 2.0])
    found = training_loss(model, part, weight, 0.0, "trial", 7.0)
    losses = -np.log([0.9, 0.4, 0.7])
    own = np.array([1.0 * 0.5, 0.25 * 0.5, 0.5 * 2.0])
    assert float(found) == pytest.approx((own * losses).sum() / 7, rel=1e-6)
    smooth = training_loss(model, part, torch.ones(2), 0.1, "trial", 7.0)
    each = 0.9 * losses + 0.1 * -np.log(p[:3]).mean(1)
    assert float(smooth) == pytest.approx((np.array([1, 0.25, 0.5]) * each).sum() / 7, rel=1e-6)
    with_penalty = training_loss(Fixed(model.logits, True), part, weight, 0.0, "trial", 7.0)
    assert float(with_penalty - found) == pytest.approx((0.25 * 1 + 0.5 * 2) / 7, rel=1e-5)


def test_weighed_loss_of_a_number_by_hand() -> None:
    model = Fixed(torch.tensor([[[0.0], [0.5], [3.0]]]))
    found = training_loss(model, batch([1.0, 0.0, 0.0], [0.5, 1.0, 0.25]), None, 0.0, "trial", 7.0)
    assert float(found) == pytest.approx((0.5 * 0.5 + 1.0 * 0.125 + 0.25 * 2.5) / 7)


def test_a_loss_of_the_models_own_cannot_be_weighed() -> None:
    model = Fixed(torch.zeros(1, 2, 2))
    model.loss = lambda output, target: output.logits.sum() * target.sum()  # type: ignore[assignment]
    assert float(training_loss(model, batch([0, 1], [1.0, 1.0]), torch.ones(2), 0.0, "trial", 2.0)) == 0
    with pytest.raises(InputError, match="keep or drop"):
        training_loss(model, batch([0, 1], [1.0, 0.5]), torch.ones(2), 0.0, "trial", 2.0)


def test_classes_are_balanced_by_weight() -> None:
    seen: list[Tensor] = []
    kept = training_loss

    def spy(model: Any, part: Any, weights: Any, *more: Any) -> Tensor:
        seen.append(weights)
        return kept(model, part, weights, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(insula.learning.train, "training_loss", spy)
        fitted(scored(), replace(FAST, quality="weigh", validation_fraction=0.0))
    mass = np.bincount(scored().y, weights(scored()))
    np.testing.assert_allclose(seen[0].numpy(), mass.sum() / mass / 2, rtol=1e-5)


# -- training ------------------------------------------------------------------------------------------------------


def served(of: Windows, config: TrainConfig, scope: str, monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """Rows of ``of`` that training saw with a label, and their weights."""
    found: dict[int, float] = {}
    kept = Feed.each

    def spy(self: Feed, *arguments: Any) -> Any:
        table = self.prepared.windows.table
        asked = self.prepared.asked
        place = {int(a): i for i, a in enumerate(asked) if a >= 0}
        for part in kept(self, *arguments):
            for row, weight in zip(part.row.ravel().tolist(), part.weight.ravel().tolist(), strict=True):
                if row >= 0:
                    one = table.iloc[place[row]]
                    found[names[one["subject"], one["trial"], one["start_s"]]] = weight
            yield part

    names = {(r.subject, r.trial, r.start_s): i for i, r in enumerate(of.table.itertuples())}
    with monkeypatch.context() as patch:
        patch.setattr(Feed, "each", spy)
        fitted(of, config, scope=scope)
    return found


@pytest.mark.parametrize("scope", ["trial", "session", "window"])
def test_training_is_served_what_the_rule_says(scope: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of = scored()
    config = replace(FAST, epochs=8 if scope == "session" else 1)  # sessions begin anywhere: all rows need some epochs
    every = set(range(len(of)))
    assert served(of, config, scope, monkeypatch) == dict.fromkeys(every, 1.0)
    dropped = served(of, replace(config, quality="drop"), scope, monkeypatch)
    assert dropped == dict.fromkeys(good_rows(of, 0.5).tolist(), 1.0)
    weighed = served(of, replace(config, quality="weigh"), scope, monkeypatch)
    assert weighed == dict(enumerate(weights(of).tolist()))


def test_dropping_is_training_without_them_and_weighing_is_neither() -> None:
    of = scored()
    keep, drop, weigh = (fitted(of, replace(FAST, quality=q)) for q in ("keep", "drop", "weigh"))
    assert equal(drop, fitted(of.take(good_rows(of, 0.5))))
    assert not equal(drop, keep)
    assert not equal(weigh, keep)
    assert not equal(weigh, drop)
    assert equal(fitted(of, replace(FAST, quality="drop", quality_share=0.99)), fitted(of.take(good_rows(of, 0.99))))


def test_a_users_own_network_is_weighed_too() -> None:
    keep, weigh = (fitted(scored(), replace(FAST, quality=q), MyNet) for q in ("keep", "weigh"))
    assert not equal(keep, weigh)


def test_rule_is_saved_with_the_model(tmp_path: Path) -> None:
    model = fitted(scored(), replace(FAST, quality="drop", quality_share=0.3))
    loaded = Estimator.load(model.save(tmp_path / "m"))
    assert (loaded.config.train.quality, loaded.config.train.quality_share) == ("drop", 0.3)
    np.testing.assert_array_equal(loaded.predict_proba(scored()), model.predict_proba(scored()))


DISCRETE = [name for name, i in CLASSICAL.items() if i.discrete and i.inputs == "features"]


@pytest.mark.parametrize("name", [*DISCRETE, "clock"])
def test_classical_rows_drop_and_weigh(name: str) -> None:
    of = scored()
    few = {k: 10 for k in CLASSICAL[name].options if k in ("trees", "rounds")}
    make: Callable[..., Any] = lambda **k: ClassicalEstimator(name, normaliser="population", options=few, **k)  # noqa: E731
    chances = {q: make(quality=q).fit(of).predict_proba(of) for q in ("keep", "drop", "weigh")}
    assert np.array_equal(chances["keep"], make().fit(of).predict_proba(of))
    assert np.array_equal(chances["drop"], make().fit(of.take(good_rows(of, 0.5))).predict_proba(of))
    assert not np.array_equal(chances["weigh"], chances["keep"])
    row = make(quality="weigh").fit(of)
    again = clone(row.model).fit(row.columns(of), of.y, sample_weight=weights(of))
    row.model = again
    assert np.array_equal(row.predict_proba(of), chances["weigh"])


@pytest.mark.parametrize("name", [n for n, i in CLASSICAL.items() if i.continuous and i.inputs == "features"])
def test_classical_rows_weigh_numbers(name: str) -> None:
    of = scored(target="valence")
    few = {k: 10 for k in CLASSICAL[name].options if k in ("trees", "rounds")}
    keep, weigh = (
        ClassicalEstimator(name, normaliser="population", options=few, quality=q).fit(of).predict(of)
        for q in ("keep", "weigh")
    )
    assert not np.array_equal(keep, weigh)


# -- evaluation and commands ---------------------------------------------------------------------------------------

TABLES = {
    "data": {"name": "manifest"},
    "protocol": {"name": "leave_one_subject_out"},
    "compare": {"rows": ["majority", "logistic_regression"], "variants": [], "session": False},
}


def test_every_row_of_an_evaluation_has_the_rule_and_every_test_window_a_prediction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learned: list[tuple[str, int]] = []

    def spy(windows: Windows, how: str, share: float) -> Windows:
        kept = trained_on(windows, how, share)
        learned.append((how, len(windows) - len(kept)))
        return kept

    monkeypatch.setattr("insula.learning.estimator.trained_on", spy)
    monkeypatch.setattr("insula.learning.classical.trained_on", spy)
    found = {}
    for how in ("keep", "drop"):
        plan = experiment_from({**TABLES, "train": {"epochs": 1, "quality": how, "quality_share": 0.4}})
        found[how] = evaluate(windows(), plan).result
        made = make_plans(windows(), plan, split("leave_one_subject_out", windows().table)[0])
        assert {(p.quality, p.quality_share) for p in made} == {(how, 0.4)}
    rows = [r.predictions.drop(columns=["y_pred", "p_calm", "p_tense"]) for r in found.values()]
    assert rows[0].equals(rows[1])
    assert set(found["drop"].predictions["system"]) == {"liquid", "majority", "logistic_regression",
                                                        "logistic_regression_context", "best_classical"}  # fmt: skip
    bad = np.array(flat_share(scored())) > 0.4
    subject = scored().table["subject"].to_numpy()
    expected = [int(bad[subject != who].sum()) for who in ("ann", "bob", "cyd")]
    drops = [n for how, n in learned if how == "drop"]
    assert drops[:12] == expected * 4
    inner = drops[12:]  # the best classical row is chosen by two rows on two people at a time, under the same rule
    assert len(inner) == 6
    assert all(0 < n < max(expected) for n in inner)
    assert [n for how, n in learned if how == "keep"] == [0] * 18


@pytest.fixture
def insula_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


@pytest.mark.slow
def test_option_and_setting_of_the_commands(insula_command: Terminal, tmp_path: Path) -> None:
    root = write_manifest(tmp_path, people())
    common = ("--data", "manifest", "--root", root, "--target", "state", "--modalities", "eda", "--epochs", 1,
              "--set", "recipe.window_s=4.0", "--set", "recipe.hop_s=2.0", "--set", "recipe.guard_s=2.0")  # fmt: skip
    assert insula_command("train", "--out", tmp_path / "a", "--quality", "weigh", *common).code == 0
    told = json.loads((tmp_path / "a" / "estimator.json").read_text())["config"]["train"]
    assert (told["quality"], told["quality_share"]) == ("weigh", 0.5)
    setting = ("--set", "train.quality=drop", "--set", "train.quality_share=0.4")
    rows = ("--model", "logistic_regression", "--set", 'compare.rows=["majority"]')
    done = insula_command("evaluate", "--out", tmp_path / "b", "--quick", "--jobs", 1, *rows, *setting, *common)
    assert done.code == 0, done.err
    told = json.loads((tmp_path / "b" / "result.json").read_text())["config"]["experiment"]["train"]
    assert (told["quality"], told["quality_share"]) == ("drop", 0.4)
    insula_command.refused("train", "--out", tmp_path / "c", "--quality", "dorp", *common, says="quality")
