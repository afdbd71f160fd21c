"""Every protocol runs on the same windows, every prediction is kept once, and what leaks is marked everywhere."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from own_model import MyNet
from small_cohort import RECIPE, cohort, recording, scored, windows

from insula.cli.tables import result_table, title
from insula.data import info, load
from insula.errors import InputError, ProtocolError
from insula.evaluation.experiment import Experiment, experiment_from
from insula.evaluation.rows import make_plans, require_names
from insula.evaluation.run import Evaluation, evaluate
from insula.learning.classical import ClassicalEstimator
from insula.protocols import tuned_on_test_trials
from insula.protocols.protocols import PROTOCOLS, split
from insula.report import write
from insula.windows.cutting import cut
from insula.windows.table import Windows

QUICK = {"epochs": 2, "batch_trials": 6}
ROWS = ["clock", "majority", "logistic_regression"]


def experiment(protocol: str = "leave_one_subject_out", **tables: Any) -> Experiment:
    return experiment_from(
        {
            "data": {"name": "manifest"},
            "protocol": {"name": protocol, **tables.pop("how", {})},
            "compare": {"rows": ROWS, "variants": [], **tables.pop("compare", {})},
            "train": {**QUICK, **tables.pop("train", {})},
            **tables,
        }
    )


def two_sessions() -> Windows:
    return cut([recording(p, session=s) for p in ("ann", "bob") for s in ("s1", "s2")], RECIPE, "state")


@pytest.fixture(scope="module")
def done() -> Evaluation:
    return evaluate(windows(), experiment(), command="insula evaluate --data manifest")


def test_result_says_what_was_done(done: Evaluation) -> None:
    result = done.result
    assert [s.name for s in result.systems] == [
        "liquid", "liquid_session", "clock", "majority", "logistic_regression", "logistic_regression_context",
        "best_classical",
    ]  # fmt: skip
    kinds = [s.kind for s in result.systems]
    assert kinds == ["model", "model", "baseline", "baseline", "classical", "classical", "classical"]
    assert [s.scope for s in result.systems[:6]] == ["trial", "session", "session", "none", "window", "trial"]
    assert result.protocol["name"] == "leave_one_subject_out"
    assert (result.leaky, result.protocol["folds"]) == (False, 3)
    assert result.provenance["data_hash"] == windows().fingerprint()
    assert result.provenance["command"] == "insula evaluate --data manifest"
    assert result.provenance["versions"]["torch"] != "not installed"
    assert result.config["experiment"]["train"] == QUICK
    assert result.config["recipe"]["window_s"] == 4.0
    liquid = result.system("liquid")
    assert liquid.normaliser == "opening"
    assert liquid.parameters is not None
    assert liquid.parameters > 1000
    assert "carried across the session" in result.system("liquid_session").notes[0]
    assert result.system("liquid_session").marks == "session scope"


def test_every_prediction_once_a_system(done: Evaluation) -> None:
    table = done.result.predictions
    expected = scored().table.set_index(["subject", "session", "trial", "start_s"])
    for name, own in table.groupby("system"):
        keyed = own.set_index(["subject", "session", "trial", "start_s"])
        assert keyed.index.is_unique, name
        assert set(keyed.index) == set(expected.index), name
        truth = expected["y"].loc[keyed.index].map(dict(enumerate(windows().schema.classes)))
        assert (keyed["y_true"] == truth).all()
        np.testing.assert_allclose(own[["p_calm", "p_tense"]].sum(axis=1), 1, atol=1e-6)
        guessed = own[["p_calm", "p_tense"]].to_numpy().argmax(1)
        assert (own["y_pred"] == np.array(["calm", "tense"])[guessed]).all()
        assert (own["fold"] == own["subject"]).all()
    assert set(table["system"]) == {s.name for s in done.result.systems}


def test_fold_models_have_not_seen_their_test_people(done: Evaluation) -> None:
    assert len(done.models) == 3
    for one in done.models:
        test = windows().take(one.split.test)
        assert len(set(test.table["subject"])) == 1
        own = done.result.of("liquid")
        own = own[own["fold"] == one.split.fold]
        np.testing.assert_allclose(one.model.predict_proba(test), own[["p_calm", "p_tense"]], atol=1e-6)


def test_scores_follow_what_is_there(done: Evaluation) -> None:
    table = done.result.table().set_index("name")
    assert table.loc["logistic_regression", "balanced_accuracy"] > 0.9
    assert table.loc["majority", "balanced_accuracy"] == pytest.approx(0.5)
    assert table["trials"].eq(18).all()


def test_same_seed_same_predictions_other_seed_others() -> None:
    plan = experiment(compare={"rows": []})
    first, again = (evaluate(windows(), plan, factory=MyNet).result.predictions for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    other = evaluate(windows(), replace(plan, seed=1), factory=MyNet).result.predictions
    assert np.abs(first["p_calm"] - other["p_calm"]).max() > 1e-4


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_every_protocol_runs_and_leaky_ones_are_marked_everywhere(
    protocol: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuned_on_test_trials, "GIVEN_S", 4.0)  # these trials are short
    quick = replace(tuned_on_test_trials.PROTOCOL, then_epochs=3)
    monkeypatch.setitem(PROTOCOLS, tuned_on_test_trials.NAME, quick)
    found = two_sessions() if protocol == "cross_session" else windows()
    result = evaluate(found, experiment(protocol, compare={"rows": ["majority"]}), factory=MyNet).result
    leaky = protocol in ("random_windows", "within_trial", "tuned_on_test_trials")
    assert result.protocol["name"] == protocol
    assert result.leaky is leaky is PROTOCOLS[protocol].leaky
    assert all(s.leaky is leaky for s in result.systems)
    keys = ["system", "subject", "session", "trial", "start_s"]
    assert not result.predictions.duplicated(keys).any()
    assert ("LEAKY" in title(result)) is leaky
    assert all(("leaky" in marks) is leaky for marks in result.table()["marks"])
    printed = list(result_table(result).columns[-2].cells)
    assert all(("leaky" in str(cell)) is leaky for cell in printed)
    if protocol == "within_trial":
        assert "leaky" in write(result, tmp_path / "report.html").read_text(encoding="utf-8").lower()
    model = result.system("MyNet")
    assert model.scope == "window"
    assert model.normaliser == ("person_trials" if PROTOCOLS[protocol].personal else "opening")
    assert all(v != "shown" for v in result.table()["verdict"]) or not leaky


def test_an_own_network_is_evaluated_beside_the_rows() -> None:
    plan = experiment(train={"epochs": 40, "batch_trials": 1}, compare={"rows": ["majority"]})
    done = evaluate(windows(), plan, factory=MyNet)
    table = done.result.table().set_index("name")
    assert list(table.index) == ["MyNet", "majority"]
    assert table.loc["MyNet", "balanced_accuracy"] > 0.7
    assert isinstance(done.models[0].model.networks[0], MyNet)


def test_ablations_and_controls_are_rows_of_their_own() -> None:
    plan = experiment(compare={"rows": [], "variants": ["ema", "gru", "frozen", "equal"], "session": False})
    plans = make_plans(windows(), plan, split("leave_one_subject_out", windows().table)[0])
    assert [p.name for p in plans] == ["liquid", "liquid_ema", "liquid_gru", "liquid_frozen", "liquid_equal"]
    assert [p.kind for p in plans] == ["model", *["ablation"] * 4]
    options = [dict(p.network.options or {}) for p in plans if p.network is not None]
    assert options == [
        {}, {"core": "ema"}, {"core": "gru"}, {"time_constants": "frozen"}, {"time_constants": "equal"},
    ]  # fmt: skip
    groups = {p.network.group for p in plans if p.network is not None}
    assert groups == {("subject",)}


def test_a_continuous_target_has_its_own_rows_and_scores() -> None:
    plan = experiment(compare={"rows": ["clock", "majority", "logistic_regression", "ridge"], "session": False})
    result = evaluate(windows("valence"), plan).result
    assert [s.name for s in result.systems] == [
        "liquid", "clock", "majority", "ridge", "ridge_context", "best_classical",
    ]  # fmt: skip
    assert result.continuous
    table = result.table().set_index("name")
    assert table.loc["ridge", "ccc"] > 0.5
    assert np.isfinite(result.predictions["y_pred"]).all()


def test_tuning_is_noted_with_the_choice_of_each_fold() -> None:
    plan = experiment(
        model={"name": "tcn"},
        compare={"rows": []},
        tune={"folds": 1, "candidates": [{"epochs": 1}, {"epochs": 2}]},
    )
    result = evaluate(windows(), plan).result
    notes = " ".join(result.system("tcn").notes)
    assert "tuned on inner people" in notes
    assert len(notes.split(": ")[-1].split(", ")) == 3


def test_session_scope_is_refused_or_marked() -> None:
    with pytest.raises(ProtocolError, match="tests whole sessions or people"):
        evaluate(windows(), experiment("within_subject", model={"scope": "session"}))
    with pytest.raises(ProtocolError, match="tests whole sessions or people"):
        evaluate(windows(), experiment("within_subject", compare={"session": True}))
    with pytest.raises(ProtocolError, match="tests whole sessions or people"):
        evaluate(windows(), experiment("within_subject", model={"normaliser": "running"}))
    shared = cut([replace_name(recording("ann", trials=4), name) for name in ("ann", "bob")], RECIPE, "state")
    with pytest.raises(ProtocolError, match=r"in one order.*--force"):
        evaluate(shared, experiment(model={"scope": "session"}))
    result = evaluate(shared, experiment(model={"scope": "session"}, compare={"rows": []}), force=True).result
    assert [s.marks for s in result.systems] == ["session scope"]


def replace_name(of: Any, name: str) -> Any:
    trials = tuple(replace(t, subject=name) for t in of.trials)
    return replace(of, subject=name, trials=trials)


@pytest.mark.parametrize(
    ("model", "scope", "marks"),
    [
        ({"name": "tcn", "scope": "trial"}, None, None),
        ({"normaliser": "running"}, "session", "session scope"),
        ({"normaliser": "whole_session"}, "trial", "transductive"),
    ],
)
def test_the_row_says_the_scope_that_is_used(model: dict[str, str], scope: str | None, marks: str | None) -> None:
    from insula.evaluation.run import Fit, _system
    from insula.learning.estimator import streams

    plan = experiment(model=model, compare={"rows": [], "session": False})
    first = make_plans(windows(), plan, split("leave_one_subject_out", windows().table)[0], force=True)[0]
    expected = scope if scope is not None else ("trial" if streams("tcn") else "window")
    assert first.scope == expected
    row = _system(first, [Fit(first.name, 0, None, None, 0.0)], leaky=False)
    assert row.marks == (marks or "")


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({"model": {"name": "liqid"}}, "Did you mean 'liquid'"),
        ({"protocol": {"name": "within_subjects"}}, "Did you mean 'within_subject'"),
        ({"compare": {"rows": ["clok"]}}, "Did you mean 'clock'"),
        ({"train": {"epoch": 3}}, "Did you mean 'epochs'"),
        ({"train": {"epochs": "many"}}, "epochs is 'many'; expected a whole number"),
        ({"train": {"epochs": 0}}, "epochs 0"),
        ({"model": {"scope": "day"}}, "scope 'day'"),
        ({"model": {"normaliser": "open"}}, "normaliser 'open'"),
        ({"tune": {"candidates": [{"epoch": 1}]}}, "Did you mean 'epochs'"),
    ],
)
def test_names_are_checked_before_anything_takes_time(tables: dict[str, Any], says: str) -> None:
    plan = experiment_from({"data": {"name": "simulate"}, **tables})
    started = time.process_time()
    with pytest.raises(InputError, match=says):
        require_names(plan)
    with pytest.raises(InputError, match=says):
        evaluate(windows(), plan)
    assert time.process_time() - started < 5


def test_impossible_protocols_say_why() -> None:
    one = cut([recording("ann")], RECIPE, "state")
    with pytest.raises(ProtocolError, match="1 person"):
        evaluate(one, experiment())
    rare = cut([recording("ann", trials=2)], RECIPE, "state")
    with pytest.raises(ProtocolError, match="1 trial of class"):
        evaluate(rare, experiment("within_subject"))


def test_null_test_trains_on_shuffled_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    fit = ClassicalEstimator.fit

    def spy(self: ClassicalEstimator, found: Windows, **told: Any) -> ClassicalEstimator:
        seen.append((found.table[["subject", "trial"]], found.y.copy()))
        return fit(self, found, **told)

    monkeypatch.setattr(ClassicalEstimator, "fit", spy)
    plan = experiment(model={"name": "logistic_regression"}, compare={"rows": [], "context": False}, how={"null": 3})
    result = evaluate(windows(), plan).result
    assert len(seen) == 3 + 3 * 3
    truth = {(r.subject, r.trial): r.y for r in scored().table.itertuples()}
    share = [np.mean([truth[tuple(k)] == v for k, v in zip(t.to_numpy().tolist(), y, strict=True)]) for t, y in seen]
    assert share[:3] == [1, 1, 1]
    assert max(share[3:]) < 1
    null = result.nulls["logistic_regression"]
    assert null["shuffles"] == 3
    assert null["floor"] == pytest.approx(0.25)
    assert max(null["scores"]) < null["score"]


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "at_chance"), [("within_subject", True), ("random_windows", False)])
def test_without_effect_a_clean_protocol_is_at_chance_and_a_leaky_one_is_not(protocol: str, at_chance: bool) -> None:
    """The simulated body knows nothing of the emotion; each trial still has its fingerprint."""
    people = load("simulate", people=2, trials_per_emotion=3, trial_s=10.0, baseline_s=6.0, effect=0.0, seed=2)
    found = cut(people, info("simulate").recipe, "emotion", modalities=["eeg", "eda"])
    plan = experiment(
        protocol, model={"name": "logistic_regression"}, compare={"rows": [], "context": False},
        how={"null": 20, "folds": 3},
    )  # fmt: skip
    result = evaluate(found, plan).result
    null = result.nulls["logistic_regression"]
    chance = 1 / 7
    assert null["chance"] == pytest.approx(chance)
    assert null["at_chance"] is at_chance
    score = result.table()["balanced_accuracy"].iloc[0]
    if at_chance:
        assert score < 0.3
        assert null["p"] > 0.05
    else:
        assert null["mean"] > 2 * chance
        assert null["lo"] > chance
        assert score > 2 * chance


@pytest.mark.slow
def test_jobs_do_not_change_the_numbers() -> None:
    plan = experiment(compare={"rows": ["random_forest", "clock"]})
    one, two = (evaluate(windows(), plan, jobs=jobs).result for jobs in (1, 2))
    pd.testing.assert_frame_equal(one.predictions, two.predictions, check_exact=True)
    own = [evaluate(windows(), plan, jobs=jobs, factory=MyNet).result.predictions for jobs in (1, 2)]
    pd.testing.assert_frame_equal(*own, check_exact=True)


def test_windows_of_the_evaluation_are_left_as_they_were(done: Evaluation) -> None:
    fresh = cut(cohort(), RECIPE, "state")
    assert done is not None
    pd.testing.assert_frame_equal(fresh.table, windows().table)
    assert fresh.fingerprint() == windows().fingerprint()


def test_threads_of_the_process_are_left_as_they_were() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        evaluate(windows(), experiment(compare={"rows": []}), factory=MyNet)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
