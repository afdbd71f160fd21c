"""Analyses: what they compute, what they leave out, and that they never look at labels they may not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from own_model import MyNet
from small_cohort import RECIPE, cohort, scored, windows

from insula.evaluation.experiment import experiment_from
from insula.evaluation.results import Result
from insula.evaluation.rows import make_plans
from insula.evaluation.run import Evaluation, evaluate
from insula.explain import explain
from insula.explain.analysis import Evaluated
from insula.explain.attention import temporal_attention
from insula.explain.by_class import distances, permuted
from insula.explain.drift import DRIFT, Drifts, Session, sentence, trial_means
from insula.explain.latent import LATENT, latent_space
from insula.explain.modalities import parts
from insula.explain.time_constants import _groups, liquid_layers, shuffled_time_constants
from insula.explain.traits import TRAITS
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.train_config import TrainConfig
from insula.protocols.protocols import split
from insula.report.page import render
from insula.windows.cutting import cut


def run(found: Any = None, factory: Any = None, **tables: Any) -> tuple[Evaluation, Any]:
    plan = experiment_from(
        {
            "data": {"name": "manifest"},
            "protocol": {"name": "leave_one_subject_out"},
            "compare": {"rows": ["majority"], "variants": ["frozen"], "session": False},
            "train": {"epochs": 2, "batch_trials": 6},
            **tables,
        }
    )
    of = windows() if found is None else found
    return evaluate(of, plan, factory=factory), of


@pytest.fixture(scope="module")
def explained() -> tuple[Result, list[tuple[str, int, int]]]:
    said: list[tuple[str, int, int]] = []
    done, of = run()
    return explain(done.result, of, done.models, lambda *a: said.append(a)), said


def test_everything_is_plain_json_and_progress_is_told(
    explained: tuple[Result, list[tuple[str, int, int]]],
) -> None:
    result, said = explained
    assert {"pairs", "data", "attention", "time_constants", "controls", "latent", "modalities"} <= set(result.analyses)
    json.dumps(result.analyses, allow_nan=False)
    assert [s[1] for s in said] == list(range(1, said[0][2] + 1))


def test_pairs_compare_the_first_row_with_every_other(explained: Any) -> None:
    result = explained[0]
    assert [(p["a"], p["b"]) for p in result.analyses["pairs"]] == [("liquid", "liquid_frozen"), ("liquid", "majority")]
    for pair in result.analyses["pairs"]:
        assert pair["n"] == 3
        assert pair["difference"] == pytest.approx(
            result.people()[pair["a"]].mean() - result.people()[pair["b"]].mean()
        )


def test_attention_counts_each_held_out_trial_once(explained: Any) -> None:
    found = explained[0].analyses["attention"]
    assert found["trials"] == 18
    for name in ("calm", "tense"):
        assert sum(found["classes"][name]) == pytest.approx(1, abs=1e-4)
        low, high = np.asarray(found["interval"][name])
        assert (low <= high).all()
        assert 1 / 501 <= found["p"][name] <= 1
    tokens = found["tokens_s"]
    assert len(tokens) == len(found["classes"]["calm"])
    assert tokens[-1] == 0
    assert tokens[0] == pytest.approx(RECIPE.window_s * (1 - 1 / len(tokens)))


def test_attention_of_a_trial_in_several_folds_is_one_row() -> None:
    model = Estimator(EstimatorConfig(train=TrainConfig(epochs=1))).fit(scored())
    rows = np.arange(len(scored()))
    twice = temporal_attention([(model, scored().take(rows[::2])), (model, scored().take(rows[1::2]))])
    assert twice is not None
    assert twice.trials == 18


def test_permutations_stay_inside_people() -> None:
    rng = np.random.default_rng(0)
    people = np.array(["a", "a", "a", "b", "b"])
    labels = np.array([0, 1, 2, 3, 4])
    seen = set()
    for _ in range(50):
        found = permuted(labels, people, rng)
        assert sorted(found[:3]) == [0, 1, 2]
        assert sorted(found[3:]) == [3, 4]
        seen.add(tuple(found))
    assert len(seen) > 6
    assert labels.tolist() == [0, 1, 2, 3, 4]


def test_attention_test_finds_a_planted_difference_and_no_other() -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 0.1, (40, 6))
    labels = np.arange(40) % 3
    weights[labels == 1, 2] += 1
    relative = (weights - weights.mean(0)) / weights.std(0)
    found = distances(relative, labels, 3)
    assert found.argmax() == 1
    people = np.zeros(40)
    shuffled = np.stack([distances(relative, permuted(labels, people, rng), 3) for _ in range(200)])
    p = (1 + (shuffled >= found).sum(0)) / 201
    assert p[1] < 0.01


def test_time_constants_of_every_layer_beside_the_untrained_twin(explained: Any) -> None:
    layers = explained[0].analyses["time_constants"]["layers"]
    network = Estimator(EstimatorConfig(train=TrainConfig(epochs=1))).initialise(scored()).networks[0]
    own = liquid_layers(network)
    assert set(layers) == set(own)
    for name, layer in layers.items():
        units = own[name].units
        for key in ("tau_s", "tau_untrained_s", "tau_sys_mean_s", "tau_sys_untrained_s"):
            assert len(layer[key]) == units
            assert min(layer[key]) > 0
        assert all(0 <= v <= 1 for h in layer["retention"].values() for v in h)
        share = layer["memory_dominant_share"]
        assert len(share["per_seed"]) == len(layer["groups_over_seeds"]) == 2
        assert 0 <= share["trained"] <= 1
        groups = layer["groups"]
        assert not set(groups["fast"]) & set(groups["slow"])


def test_two_groups_are_found_where_they_are_and_not_where_they_are_not() -> None:
    rng = np.random.default_rng(0)
    two = np.exp(np.concatenate([rng.normal(-2, 0.2, 20), rng.normal(3, 0.2, 20)]))
    found = _groups(two)
    assert found.separated
    assert found.fast == tuple(range(20))
    assert found.slow == tuple(range(20, 40))
    assert not _groups(np.exp(rng.normal(0, 1, 40))).separated
    assert not _groups(np.ones(40)).separated


def test_controls_say_what_frozen_and_shuffled_time_constants_cost(explained: Any) -> None:
    result = explained[0]
    rows = {r["name"]: r for r in result.analyses["controls"]["rows"]}
    assert set(rows) == {"time constants shuffled", "time constants frozen"}
    frozen = rows["time constants frozen"]
    expected = result.people()["liquid_frozen"].mean() - result.people()["liquid"].mean()
    assert frozen["difference"] == pytest.approx(expected)


def test_shuffling_leaves_the_model_and_permutes_only_time_constants() -> None:
    model = Estimator(EstimatorConfig(train=TrainConfig(epochs=1))).fit(scored())
    before = {k: v.clone() for k, v in model.networks[0].state_dict().items()}
    (other,) = shuffled_time_constants(model, np.random.default_rng(0))
    after = other.state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed
    assert all(k.endswith("log_tau") for k in changed)
    for k in changed:
        assert torch.equal(before[k].sort().values, after[k].sort().values)
    assert all(torch.equal(before[k], v) for k, v in model.networks[0].state_dict().items())


def test_latent_map_is_of_one_fold_with_labels_and_a_reference(explained: Any) -> None:
    found = explained[0].analyses["latent"]
    assert len(found["xy"]) == len(found["label"]) == len(found["subject"]) == 24
    assert len(set(found["subject"])) == 1
    assert set(found["label"]) == {"calm", "tense"}
    assert -1 <= found["silhouette"] <= 1
    assert len(found["silhouette_shuffled"]) == 50


def test_a_silhouette_is_not_tested_where_a_fold_has_one_trial_a_class() -> None:
    model = Estimator(EstimatorConfig(train=TrainConfig(epochs=1))).fit(scored())
    table = scored().table
    trials = table["subject"] + table["session"] + table["trial"]
    first = [trials[(table["subject"] == "ann") & (table["y"] == y)].iloc[0] for y in (0, 1)]
    one, several = scored().take(trials.isin(first).to_numpy()), scored().take((table["subject"] == "ann").to_numpy())
    found = latent_space([(model, one)])
    assert found is not None
    assert np.isnan(found.silhouette)
    assert found.silhouette_shuffled == ()
    assert dict(LATENT.lines(found))["latent silhouette"].startswith("cannot be tested")
    both = latent_space([(model, one), (model, several)])
    alone = latent_space([(model, several)])
    assert both is not None
    assert alone is not None
    assert both.silhouette == alone.silhouette


def test_modality_rows_are_changes_of_the_score(explained: Any) -> None:
    rows = explained[0].analyses["modalities"]["rows"]
    assert [r["name"] for r in rows] == ["without eda", "without bvp", "without hr"]
    assert all(r["lo"] <= r["difference"] <= r["hi"] for r in rows)


def test_every_subset_of_sensors_has_a_score(explained: Any) -> None:
    found = explained[0].analyses["modalities"]
    there = [tuple(s["sensors"]) for s in found["subsets"]]
    assert len(set(there)) == 7
    assert there[0] == ("eda", "bvp", "hr")
    whole = explained[0].table().set_index("name").loc["liquid", "balanced_accuracy"]
    assert found["subsets"][0]["score"] == pytest.approx(whole)
    for row, sensors in zip(found["rows"], [("bvp", "hr"), ("eda", "hr"), ("eda", "bvp")], strict=True):
        assert found["subsets"][there.index(sensors)]["difference"] == pytest.approx(row["difference"])
    assert len(parts(list("abcdef"))) == 1 + 6 + 6


@pytest.mark.slow
def test_what_traits_add_is_said(explained: Any) -> None:
    result, said = explained[0], TRAITS.read(explained[0])
    assert said is not None
    assert (said.used, said.trained) == (("extraversion", "openness"), False)
    page = render(result)
    assert "People’s traits (extraversion, openness)" in page
    asked = experiment_from({"data": {"name": "manifest"}, "compare": {"rows": [], "variants": [], "traits": True}})
    plans = make_plans(windows(), asked, split("within_subject", windows().table)[0])
    assert [(p.name, p.traits) for p in plans] == [("liquid", True), ("liquid_no_traits", False)]
    assert windows().without_traits().traits().shape == (len(windows()), 0)


def test_drift_is_looked_for_where_sessions_are_long_enough(explained: Any) -> None:
    found = DRIFT.read(explained[0])
    assert found is not None
    assert (found.sessions, found.short) == ((), 3)
    assert "cannot be told" in sentence(found)
    seen = Drifts((Session("a", "1", 30, 40.0, 12), Session("b", "1", 30, 1.2, 0)))
    assert "In 1 of 2 sessions trials stopped being like those before, after 12 trials" in sentence(seen)
    assert "In none of 1 sessions" in sentence(Drifts(seen.sessions[1:]))
    model, held = Estimator(EstimatorConfig(normaliser="population")).initialise(scored()), scored()
    mine = held.take(np.flatnonzero(held.table["subject"] == "ann"))
    first = model.embed(mine)[(mine.table["trial"] == "t0").to_numpy()].mean(axis=0)
    np.testing.assert_allclose(trial_means(model, mine)[0], first, atol=1e-5)


@pytest.mark.slow
def test_drift_is_not_looked_for_where_other_trials_of_the_session_trained() -> None:
    done, of = run()
    known = [replace(m, split=replace(m.split, name="leave_stimulus_out", subject=None)) for m in done.models]
    assert DRIFT.run(Evaluated(done.result, of, done.models)) is not None
    assert DRIFT.run(Evaluated(done.result, of, known)) is None


@pytest.mark.slow
def test_sure_answers_have_a_picture(explained: Any) -> None:
    assert "Accuracy when only sure answers count" in render(explained[0])
    assert len(explained[0].analyses["certainty"]["accuracy"]) == len(explained[0].analyses["certainty"]["shares"])


def test_data_counts(explained: Any) -> None:
    found = explained[0].analyses["data"]
    assert (found["people"], found["sessions"], found["trials"], found["windows"]) == (3, 3, 18, 72)
    assert found["reference_windows"] == 9
    assert found["channels"] == {"eda": 1, "bvp": 1, "hr": 1}
    assert found["observed_share"] == {"eda": 1.0, "bvp": 1.0, "hr": 1.0}


@pytest.mark.slow
def test_what_a_model_lacks_is_left_out() -> None:
    done, of = run(factory=MyNet)
    found = explain(done.result, of, done.models).analyses
    assert {"pairs", "data", "latent", "modalities"} <= set(found)
    assert not {"attention", "time_constants", "controls"} & set(found)


@pytest.mark.slow
def test_without_liquid_layers_nothing_is_trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    done, of = run(model={"options": {"core": "gru"}}, compare={"rows": [], "variants": [], "session": False})

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(Estimator, "fit", never)
    found = explain(done.result, of, done.models).analyses
    assert not {"time_constants", "controls"} & set(found)


@pytest.mark.slow
def test_continuous_target_and_one_modality() -> None:
    of = cut(cohort(), RECIPE, "valence", modalities=["eda"])
    done, of = run(of, compare={"rows": ["ridge"], "variants": [], "session": False})
    found = explain(done.result, of, done.models).analyses
    assert not {"attention", "latent", "modalities"} & set(found)
    assert {"pairs", "time_constants"} <= set(found)


def test_latent_space_of_very_few_windows() -> None:
    model = Estimator(EstimatorConfig(train=TrainConfig(epochs=1))).fit(scored())
    part = split("leave_one_subject_out", windows().table)[0]
    few = windows().take(part.test)
    calm, tense = (np.flatnonzero(few.y == k) for k in (0, 1))
    found = latent_space([(model, few.take([*calm[:2], *tense[:1]]))])
    assert found is not None
    assert len(found.xy) == 3
    assert latent_space([(model, few.take(calm))]) is None


def test_explaining_again_replaces_and_keeps_predictions(explained: Any) -> None:
    result = explained[0]
    again = result.with_analyses(latent={"note": "new"})
    assert again.analyses["latent"] == {"note": "new"}
    assert set(again.analyses) == set(result.analyses)
    assert replace(result).predictions.equals(result.predictions)
