"""Tuning: candidates are scored on inner units of the training windows only; the best one wins, ties go first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_cohort import scored, windows

from insula.errors import InputError
from insula.evaluation import tuning
from insula.evaluation.experiment import Tune
from insula.evaluation.tuning import choose, with_candidate
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.train_config import TrainConfig
from insula.protocols.protocols import split
from insula.windows.table import Windows

BASE = EstimatorConfig(train=TrainConfig(epochs=1))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, set[str], set[str]]]:
    """Fits without training; the score is the candidate's learning rate, and who was fitted and scored is noted."""
    found: list[tuple[float, set[str], set[str]]] = []

    class Fake(Estimator):
        def fit(self, windows: Windows, y: object = None, *, progress: object = None) -> Estimator:  # noqa: ARG002
            self.people = set(windows.table["subject"])
            return self

        def score(self, windows: Windows, y: object = None) -> float:  # noqa: ARG002
            rate = self.config.train.learning_rate
            found.append((rate, self.people, set(windows.table["subject"])))
            return float(rate)

    monkeypatch.setattr(tuning, "Estimator", Fake)
    return found


def test_the_best_on_inner_people_wins(log: list[tuple[float, set[str], set[str]]]) -> None:
    part = split("leave_one_subject_out", windows().table)[0]
    training = windows().take(part.train)
    tune = Tune(({"learning_rate": 0.001}, {"learning_rate": 0.01}, {"learning_rate": 0.005}), folds=2)
    number, config = choose(training, BASE, tune, part)
    assert number == 1
    assert config.train.learning_rate == 0.01
    assert len(log) == 6
    outside = set(windows().table["subject"].iloc[part.test])
    for _, fitted, held_out in log:
        assert not fitted & held_out
        assert not (fitted | held_out) & outside
    for fold in (log[:3], log[3:]):
        assert len({(frozenset(f), frozenset(h)) for _, f, h in fold}) == 1  # candidates share an inner split


def test_ties_go_to_the_earlier_candidate(log: list[tuple[float, set[str], set[str]]]) -> None:
    part = split("leave_one_subject_out", windows().table)[0]
    tune = Tune(({"options": {"dropout": 0.1}}, {"options": {"dropout": 0.2}}), folds=1)
    number, config = choose(windows().take(part.train), BASE, tune, part)
    assert (number, config.options) == (0, {"dropout": 0.1})
    assert log


def test_candidate_keys_go_where_they_belong() -> None:
    base = EstimatorConfig(options={"ridge": 0.5}, train=TrainConfig(epochs=4))
    found = with_candidate(base, {"learning_rate": 1e-4, "size": "medium", "options": {"dropout": 0.0}})
    assert (found.train.learning_rate, found.train.epochs) == (1e-4, 4)
    assert found.size == "medium"
    assert found.options == {"ridge": 0.5, "dropout": 0.0}
    with pytest.raises(InputError, match="Did you mean 'learning_rate'"):
        with_candidate(base, {"lerning_rate": 1})
    with pytest.raises(InputError, match="expected a number"):
        with_candidate(base, {"learning_rate": "fast"})


@pytest.mark.parametrize(
    "candidate", [{"scope": "session"}, {"normaliser": "running"}, {"normaliser": "whole_session"}]
)
def test_a_candidate_cannot_change_what_must_be_marked(candidate: dict[str, str]) -> None:
    with pytest.raises(InputError, match=next(iter(candidate))):
        with_candidate(BASE, candidate)


def test_score_is_the_mean_over_people_and_survives_a_constant_target() -> None:
    base = scored(windows("valence"))
    model = Estimator(BASE).initialise(base)
    y = base.y.copy()
    y[(base.table["subject"] == "ann").to_numpy()] = 3.0
    score = model.score(base.with_y(y))
    assert np.isfinite(score)


def test_candidates_are_tried_without_the_teacher() -> None:
    part = split("leave_one_subject_out", scored().table)[0]
    taught = replace(BASE, model="tcn", normaliser="population", teacher="nowhere")  # reading it would be an error
    _, config = choose(scored(), taught, Tune(({"epochs": 1}, {"learning_rate": 0.01}), folds=1), part)
    assert config.teacher == "nowhere"
    with pytest.raises(InputError, match="tune key teacher_share; expected one that inner fits use"):
        with_candidate(taught, {"teacher_share": 0.5})
