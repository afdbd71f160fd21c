"""Protocol `calibrated`: an own map makes a personal model win, one map for everybody must not; controls stay down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_maps import CONFIG, Small, cohort

import insula
from insula.errors import InputError
from insula.evaluation import adapting
from insula.evaluation.adapting import CHOSEN, OWN, SHUFFLED, SUGGESTED, WRONG
from insula.evaluation.calibration import Curve
from insula.evaluation.experiment import Experiment, ModelPart, experiment_from
from insula.evaluation.finished import Finished
from insula.evaluation.folds import folds_of
from insula.evaluation.results import Result
from insula.evaluation.rows import make_plans
from insula.evaluation.run import evaluate
from insula.explain.personal import PERSONAL, controls, lead, order
from insula.learning.personal import personal
from insula.privacy.forget import without
from insula.privacy.names import Name
from insula.protocols.protocol import Amounts
from insula.protocols.protocols import split
from insula.report.page import render
from insula.windows.table import Windows


def plan(**protocol: Any) -> Experiment:
    return experiment_from(
        {
            "data": {"name": "simulate"},
            "model": {"normaliser": "population"},
            "protocol": {"name": "calibrated", "trials": [0, 1], "strategies": ["bayes"], **protocol},
            "compare": {"rows": [], "context": False},
            "train": {"epochs": 15, "learning_rate": 0.05, "average": 0.0, "modality_dropout": 0.0},
        }
    )


def run(of: Windows, asked: Experiment | None = None, **more: Any) -> Result:
    return evaluate(of, plan() if asked is None else asked, factory=Small, **more).result


def curve(of: Result) -> Curve:
    found = PERSONAL.read(of)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Four people, two with the map turned round, as they are read again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(personal, "OWN_EPOCHS", 15)
        patch.setattr(adapting, "OWN_FOLDS", 2)
        return Result.load(run(cohort(4)).save(tmp_path_factory.mktemp("own") / "result"))


def test_an_own_map_is_learned_from_one_trial_of_each_class(own: Result) -> None:
    found = curve(own)
    assert found.people == ("p0", "p1", "p2", "p3")
    assert found.interval(CHOSEN, 1, "population")[1] > 0
    assert found.needed(CHOSEN)[0] == 1
    assert set(found.chosen.values()) == {"bayes"}
    assert not found.rises(WRONG)
    assert not found.rises(SHUFFLED)
    assert found.interval(OWN, 1)[0] > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("maps", ["their own", "everybody's"])
def test_personal_models_win_where_maps_are_peoples_own_and_only_there(maps: str) -> None:
    asked = plan(trials=[0, 1, 2], strategies=["normalised", "bayes", "head"])
    found = curve(run(cohort(8, own=maps == "their own"), asked))
    if maps == "their own":
        assert found.interval(CHOSEN, 2, "population")[1] > 0.4
        assert found.needed("head")[0] in (1, 2)
        assert set(found.chosen.values()) <= {"bayes", "head"}
        assert found.interval(SHUFFLED, 2)[0] < found.interval(CHOSEN, 2)[0] - 0.15
    else:
        assert found.interval("population", 0)[0] > 0.85
        for strategy in (CHOSEN, "bayes", "head"):
            mean, lo, _ = found.interval(strategy, 2, "population")
            assert lo <= 0
            assert mean < 0.03
    assert not found.rises(WRONG)
    assert not found.rises(SHUFFLED)


@pytest.mark.slow
def test_the_result_says_it_as_any_other(own: Result) -> None:
    names = [s.name for s in own.systems]
    assert names[:3] == ["Small", "Small_population", "Small_bayes"]
    assert {"Small_wrong_person", "Small_shuffled_labels", "Small_own_full"} < set(names)
    assert own.protocol["name"] == "calibrated"
    assert "inner people chose" in own.system("Small").notes[0]
    table = own.table().set_index("name")
    assert table.loc["Small", "balanced_accuracy"] == pytest.approx(curve(own).interval(CHOSEN, 1)[0])
    assert set(table["verdict"]) == {"cannot be tested"}, "there are four people"
    assert "beats the population model from 1 trial labelled" in lead(curve(own))[0]
    assert all("must be" in line or "return to chance" in line for line in controls(curve(own)))
    page = render(own)
    assert "How much does a new person have to label?" in page
    assert "Control: adapted to another person" in page


def test_suggested_trials_are_labelled_before_the_test_and_are_as_many(own: Result) -> None:
    assert curve(own).interval(SUGGESTED, 1)[0] > 0.6
    assert "Labelling the trials that were suggested" in order(curve(own))[0]
    windows = cohort(4)
    part = split("calibrated", windows.table, amounts=Amounts((0, 1)))[0]
    assert part.calibration is not None
    population = insula.Estimator(CONFIG, Small).initialise(windows)
    ranked = adapting._ranked(population, windows, part.calibration.before)
    assert sorted(np.concatenate(ranked)) == sorted(part.calibration.before)
    first = adapting._first(windows, ranked, len(part.calibration.given[1.0]))
    assert len(first) == len(part.calibration.given[1.0])
    assert np.isin(ranked[0], first).all()


def test_a_classical_row_is_adapted_too() -> None:
    asked = replace(plan(), model=ModelPart("logistic_regression", normaliser="population"))
    found = curve(evaluate(cohort(4), asked).result)
    assert found.interval(CHOSEN, 1)[0] > found.interval("population", 1)[0] + 0.4
    named = replace(asked, protocol=replace(asked.protocol, strategies=("bayes", "head")))
    with pytest.raises(InputError, match="strategies head with logistic_regression; expected a network"):
        evaluate(cohort(4), named)
    unnamed = replace(asked, protocol=replace(asked.protocol, strategies=()))
    part = folds_of(cohort(4), unnamed)[0]
    assert make_plans(cohort(4), unnamed, part)[0].strategies == ("normalised", "recalibrated", "bayes")
    assert make_plans(cohort(4), replace(unnamed, model=ModelPart("tcn")), part)[0].strategies == adapting.USUAL


def adapted(strategies: Sequence[str], people: int = 4, **more: Any) -> adapting.Adapted:
    windows = cohort(people)
    part = split("calibrated", windows.table, amounts=Amounts((0, 1)))[0]
    row = insula.make("logistic_regression", normaliser="population").fit(windows.take(part.train))
    return adapting.adapt(row, windows, part, strategies, 0, **more)


def test_what_is_asked_for_is_what_runs() -> None:
    assert adapted(("population",)).chosen == "population"
    assert adapted(()).chosen == "bayes"
    assert adapted(("normalised",), people=2).chosen == "normalised", "too few people to choose on"
    with pytest.raises(InputError, match=r"strategies head, adapters with <logistic_regression.*expected a network"):
        adapted(("head", "adapters"))


def test_equal_strategies_go_to_the_cheapest_in_whatever_order_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, ...]] = []
    monkeypatch.setattr(adapting, "choose", lambda *asked: told.append(asked[4]) or asked[4][0])
    assert adapted(("scratch", "bayes", "recalibrated"), curve=False).chosen == "population"
    assert told == [("population", "recalibrated", "bayes", "scratch")]


@pytest.mark.slow
def test_only_the_population_is_a_curve_too() -> None:
    asked = replace(plan(strategies=["population"]), model=ModelPart("logistic_regression", normaliser="population"))
    made = evaluate(cohort(4), asked).result
    found = curve(made)
    assert set(found.chosen.values()) == {"population"}
    assert found.interval(CHOSEN, 1)[0] == found.interval("population", 0)[0]
    assert "How much does a new person have to label?" in render(made)


def test_a_strategy_is_chosen_without_the_teacher() -> None:
    windows = cohort(4)
    part = split("calibrated", windows.table, amounts=Amounts((0, 1)))[0]
    population = insula.Estimator(replace(CONFIG, train=replace(CONFIG.train, epochs=1)), Small)
    population.fit(windows.take(part.train))
    population.config = replace(population.config, teacher="nowhere")  # reading it would be an error
    assert adapting.adapt(population, windows, part, ("bayes",), 0, curve=False).chosen in ("population", "bayes")


def test_a_person_is_forgotten_from_the_curve(own: Result) -> None:
    left = curve(without(own, Name("p1")))
    assert left.people == ("p0", "p2", "p3")
    assert left.interval(CHOSEN, 1)[0] == pytest.approx(curve(own).of(CHOSEN, 1).drop("p1").mean())


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        adapting, "_own", lambda population, windows, part, _: population.predict_proba(windows.take(part.test))
    )
    kept = Finished(tmp_path / "kept")
    with kept.open(["p0"]):
        whole = run(cohort(3), finished=kept)
        count = kept.count
        again = run(cohort(3), finished=kept)
    assert kept.count == count == 3
    assert curve(again) == curve(whole)
    assert again.predictions.equals(whole.predictions)


def test_amounts_and_strategies_belong_to_it() -> None:
    with pytest.raises(InputError, match="Did you mean 'bayes'"):
        evaluate(cohort(3), plan(strategies=["baies"]), factory=Small)
    with pytest.raises(InputError, match="Use protocol calibrated"):
        evaluate(cohort(3), plan(name="leave_one_subject_out", strategies=[]), factory=Small)
    with pytest.raises(InputError, match="strategies bayes without calibration"):
        evaluate(cohort(3), plan(name="within_subject", strategies=["bayes"]), factory=Small)
    with pytest.raises(InputError, match="one of them"):
        evaluate(cohort(3), plan(minutes=[1]), factory=Small)
