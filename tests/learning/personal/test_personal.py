"""Strategies learn what is a person's own, leave the rest alone, and are kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from own_maps import CONFIG, TRIALS, Small, Straight, cohort

import insula
from insula.errors import InputError
from insula.learning.feed import Feed
from insula.learning.personal.likeness import likeness
from insula.learning.personal.personal import STRATEGIES, Personal, personalise
from insula.learning.personal.recalibration import Recalibration
from insula.learning.personal.suggest import suggest
from insula.learning.personal.tuning_weights import head_parameters, retrained
from insula.windows.table import Windows


@pytest.fixture(scope="module")
def data() -> Windows:
    return cohort()


@pytest.fixture(scope="module")
def population(data: Windows) -> insula.Estimator:
    people = data.table["subject"]
    return insula.Estimator(CONFIG, Small).fit(data.take(np.flatnonzero(people.isin(["p0", "p2", "p4"]))))


def person(data: Windows, name: str = "p1") -> Windows:
    return data.take(np.flatnonzero(data.table["subject"] == name))


@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if STRATEGIES[s].labels and s != "recalibrated"])
def test_every_strategy_learns_a_map_of_the_persons_own(
    strategy: str, population: insula.Estimator, data: Windows
) -> None:
    own = person(data)
    half = own.table["trial"] < "t08"
    given, later = own.take(np.flatnonzero(half)), own.take(np.flatnonzero(~half))
    assert (population.predict(later) == later.y).mean() < 0.4, "the others' map is the wrong way round"
    made = population.personalise(given, strategy)
    limit = 0.55 if strategy == "adapters" else 0.75
    assert (made.predict(later) == later.y).mean() > limit
    np.testing.assert_allclose(made.predict_proba(later).sum(1), 1, atol=1e-6)


def test_only_the_named_weights_move_and_the_population_stays(population: insula.Estimator, data: Windows) -> None:
    before = {k: v.clone() for k, v in population.networks[0].state_dict().items()}
    feed = Feed(population.prepare(person(data)), population.scope)
    assert set(head_parameters(population.networks[0], feed)) == {"out.weight", "out.bias"}
    for part, moved in (
        ("head", {"out.weight", "out.bias"}),
        ("adapters", {"out.weight", "out.bias", "body.weight"}),
        ("last", {"out.weight", "out.bias", "body.bias"}),
        ("all", set(before)),
    ):
        after = retrained(population, person(data), part).networks[0].state_dict()
        assert set(after) == set(before), "adapters are merged"
        assert {k for k in before if not torch.equal(before[k], after[k])} == moved
    assert all(torch.equal(v, before[k]) for k, v in population.networks[0].state_dict().items())
    assert all(p.requires_grad for p in population.networks[0].parameters())
    change = retrained(population, person(data), "adapters").networks[0].body.weight - before["body.weight"]
    assert torch.linalg.matrix_rank(change.detach()) <= 4


def test_no_label_and_no_change_agree_with_the_population(population: insula.Estimator, data: Windows) -> None:
    own = person(data)
    same = personalise(population, own, "population")
    np.testing.assert_array_equal(same.predict_proba(own), population.predict_proba(own))
    level = personalise(population, own.with_y(np.full(len(own), -1)), "normalised")
    assert level.base.normaliser.kind == "person_trials"
    assert level.base.normaliser.people.keys() == {"p1"}
    assert population.normaliser.kind == "population"


@pytest.mark.parametrize("strategy", ["recalibrated", "bayes", "head", "normalised"])
def test_personal_models_are_kept(strategy: str, data: Windows, tmp_path: Path) -> None:
    config = insula.EstimatorConfig(model="tcn", normaliser="population", train=CONFIG.train)
    base = insula.Estimator(config).initialise(data)
    own = person(data)
    made = personalise(base, own, strategy)
    again = Personal.load(made.save(tmp_path / "mine"))
    assert again.strategy == strategy
    np.testing.assert_array_equal(again.predict_proba(own), made.predict_proba(own))
    with pytest.raises(insula.errors.DataError, match="no personal model"):
        Personal.load(tmp_path / "nothing")


@pytest.mark.parametrize("strategy", ["recalibrated", "bayes"])
def test_a_forged_readout_is_refused(strategy: str, data: Windows, tmp_path: Path) -> None:
    config = insula.EstimatorConfig(model="tcn", normaliser="population", train=CONFIG.train)
    made = personalise(insula.Estimator(config).initialise(data), person(data), strategy)
    file = made.save(tmp_path / "mine") / "personal.json"
    told = json.loads(file.read_text())
    assert made.readout is not None
    others = {
        "recalibrated": {"temperature": 1.0, "bias": [0.0] * 9},
        "bayes": {**told["readout"], "classes": [f"other{i}" for i in range(len(data.schema.classes))]},
    }
    forged = ({"readout": others[strategy]}, {"kind": "Path"}, {"readout": {}}, {"readout": []}, {"more": 1})
    for text in ("[" * 100_000, *(json.dumps({**told, **change}) for change in forged)):
        file.write_text(text)
        with pytest.raises(insula.errors.DataError, match="^" + re.escape(str(file))):
            Personal.load(file.parent)


def test_what_cannot_be_personal_is_refused(population: insula.Estimator, data: Windows) -> None:
    own = person(data)
    with pytest.raises(InputError, match="8 people"):
        personalise(population, data, "bayes")
    with pytest.raises(InputError, match="one class"):
        personalise(population, own.take(np.flatnonzero(own.y == 0)), "bayes")
    with pytest.raises(InputError, match="Did you mean 'bayes'"):
        personalise(population, own, "baies")


def test_recalibration_finds_temperature_and_bias_and_few_labels_change_little() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(4000, 3)) * 2
    p = np.exp(true) / np.exp(true).sum(1, keepdims=True)
    y = np.array([rng.choice(3, p=row) for row in p])
    found = Recalibration.fit(3 * true - [0.0, 3.0, 0.0], y)
    assert found.temperature == pytest.approx(3, rel=0.1)
    bias = found.bias - found.bias.mean()
    np.testing.assert_allclose(bias, [-1, 2, -1], atol=0.25)
    one = Recalibration.fit(3 * true[:40], np.repeat(y[:1], 40), np.zeros(40, np.int64))
    many = Recalibration.fit(3 * true[:40], np.repeat(y[:1], 40))
    assert abs(one.bias).max() < 0.5 * abs(many.bias).max(), "forty windows of one trial are one label"
    np.testing.assert_allclose(found.predict_proba(true).sum(1), 1)


def test_suggestions_rank_trials_that_are_not_labelled(population: insula.Estimator, data: Windows) -> None:
    own = person(data)
    known = (own.table["trial"] < "t03").to_numpy()
    found = suggest(population, own, known, count=4)
    assert len(found) == 4
    assert not set(found["trial"]) & {"t00", "t01", "t02"}
    assert found["trial"].is_unique
    assert len(suggest(population, own, known, count=50)) == TRIALS - 3
    assert suggest(population, own.with_y(np.full(len(own), -1)), count=2).shape[0] == 2


@pytest.mark.parametrize("strategy", ["normalised", "recalibrated", "bayes", "scratch", "pooled"])
def test_a_classical_row_is_personal_too_and_kept(strategy: str, data: Windows, tmp_path: Path) -> None:
    people = data.table["subject"]
    row = insula.make("logistic_regression", normaliser="population")
    row = row.fit(data.take(np.flatnonzero(people.isin(["p0", "p2", "p4"]))))
    own = person(data)
    half = (own.table["trial"] < "t08").to_numpy()
    given, later = own.take(np.flatnonzero(half)), own.take(np.flatnonzero(~half))
    made = row.personalise(given, strategy)
    assert (row.predict(later) == later.y).mean() < 0.4
    if strategy in ("bayes", "scratch"):
        assert (made.predict(later) == later.y).mean() > 0.75
    again = Personal.load(made.save(tmp_path / "mine"))
    np.testing.assert_array_equal(again.predict_proba(later), made.predict_proba(later))


def test_what_a_model_cannot_is_refused(data: Windows, population: insula.Estimator) -> None:
    row = insula.make("logistic_regression", normaliser="population").fit(data)
    own = person(data)
    with pytest.raises(InputError, match="expected a network for it"):
        row.personalise(own, "head")
    with pytest.raises(InputError, match="training people's windows"):
        population.personalise(own, "similar")
    clock = insula.make("elapsed").fit(data)
    for asked in (clock.embed, clock.of_person):
        with pytest.raises(InputError, match="a row on signals"):
            asked(own)


def test_an_own_network_is_kept_with_its_factory(population: insula.Estimator, data: Windows, tmp_path: Path) -> None:
    own = person(data)
    made = population.personalise(own, "head")
    again = Personal.load(made.save(tmp_path / "mine"), factory=Small)
    np.testing.assert_array_equal(again.predict_proba(own), made.predict_proba(own))


def test_people_with_the_same_traits_and_level_weigh_more_and_teach_their_map() -> None:
    both = cohort(8, kinds=True)
    people = both.table["subject"].to_numpy()
    new, others = both.take(np.flatnonzero(people == "p1")), both.take(np.flatnonzero(people != "p1"))
    weight = likeness(others, new)
    alike = np.isin(others.table["subject"], ["p3", "p5", "p7"])
    assert weight[alike].min() > 1.5 * weight[~alike].max()
    assert np.mean([weight[np.flatnonzero(others.table["subject"] == p)[0]] for p in set(people) - {"p1"}]) == (
        pytest.approx(1, rel=1e-5)
    )
    population = insula.Estimator(CONFIG, Straight).fit(others)
    made = population.personalise(new.with_y(np.full(len(new), -1)), "similar", others=others)
    assert (population.predict(new) == new.y).mean() < 0.7
    assert (made.predict(new) == new.y).mean() > 0.8
