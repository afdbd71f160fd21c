"""Other people's prior: what it is made of, what it never sees, and how much it counts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from small_cohort import RECIPE, recording

from insula.errors import InputError, ProtocolError
from insula.evaluation.experiment import experiment_from
from insula.evaluation.fits import run_fold
from insula.evaluation.rows import RowPlan
from insula.evaluation.run import evaluate
from insula.learning import fitting
from insula.learning.classical import ClassicalEstimator
from insula.learning.learner import Learner
from insula.learning.making import make
from insula.learning.prior import _KEPT, USUAL, WithPrior, _judged, _once, choose_weight, pool, pool_numbers
from insula.protocols.lending import lent
from insula.protocols.own_median import split_windows
from insula.protocols.protocol import TRIAL
from insula.protocols.protocols import Split
from insula.windows.cutting import cut
from insula.windows.table import Windows

NAMES = "abcdefgh"
PLAN = RowPlan("own", "Own", "classical", "window", "person_trials", classical="logistic_regression", prior=0.5)
FILMS = tuple(f"film{i}" for i in range(8))


@cache
def people(names: str = NAMES, number: bool = False) -> Windows:
    """People who saw the same films, each in an order of the own; odd films are tense."""
    made = []
    for name in names:
        one = recording(name, trials=len(FILMS))
        seen = {"calm": iter(FILMS[0::2]), "tense": iter(FILMS[1::2])}
        trials = tuple(
            replace(t, stimulus=next(seen[str(t.labels["state"])])) if t.role == "trial" else t for t in one.trials
        )
        made.append(replace(one, trials=trials))
    return cut(tuple(made), RECIPE, "valence" if number else "state")


def fold(name: str, windows: Windows, personal: bool | None = None) -> Split:
    return split_windows(windows, name, folds=2, personal=personal)[0]


def test_a_pool_multiplies_chances_and_a_weight_of_0_leaves_the_own_ones() -> None:
    own, prior = np.array([[0.6, 0.4], [1.0, 0.0]]), np.array([[0.2, 0.8], [0.0, 1.0]])
    assert pool(own, prior, 0.0) is own
    found = pool(own, prior, 0.5)
    odds = 0.6 / 0.4 * (0.2 / 0.8) ** 0.5
    np.testing.assert_allclose(found[0], [odds / (1 + odds), 1 / (1 + odds)])
    np.testing.assert_allclose(found.sum(1), 1)
    assert found[1, 0] > found[1, 1] > 0.01  # a chance of 0 is not certainty
    np.testing.assert_allclose(pool_numbers(np.array([1.0]), np.array([4.0]), 0.5), [2.0])


@pytest.mark.parametrize(("protocol", "personal"), [("within_subject", None), ("leave_stimulus_out", True)])
def test_others_lend_nothing_that_is_tested(protocol: str, personal: bool | None) -> None:
    windows = people()
    part = fold(protocol, windows, personal)
    rows = lent(windows, part)
    table = windows.table.iloc[rows]
    assert part.subject == "a"
    assert set(table["subject"]) == set(NAMES) - {"a"}
    assert (table["role"] == "scored").all()
    tested = set(windows.table["stimulus"].iloc[part.test])
    if protocol == "leave_stimulus_out":
        assert len(tested) == 4
        assert set(table["stimulus"]) == set(FILMS) - tested
    else:
        assert tested < set(table["stimulus"])  # others saw the film: stimulus_prior_with_prior says what that is worth


@pytest.mark.parametrize(("protocol", "personal"), [("within_subject", None), ("leave_stimulus_out", True)])
def test_labels_of_what_is_tested_change_no_answer(protocol: str, personal: bool | None) -> None:
    """The answers stay to the bit when every label that a fold may not know is turned round; others do change them."""
    windows = people()
    part = fold(protocol, windows, personal)
    known = np.union1d(part.train, lent(windows, part))
    secret = np.setdiff1d(np.flatnonzero(windows.y >= 0), known)
    assert set(part.test) <= set(secret)

    def answers(turned: Any) -> Any:
        y = windows.y.copy()
        y[turned] = 1 - y[turned]
        return run_fold(windows.with_y(y), part, 0, PLAN, 0).predictions

    honest = answers(secret[:0])
    np.testing.assert_array_equal(answers(secret), honest)
    assert not np.allclose(answers(lent(windows, part)), honest)


def test_the_prior_is_the_same_row_of_other_people_at_the_level_of_the_person() -> None:
    windows = people()
    part = fold("within_subject", windows)
    own, others = windows.take(part.train), windows.take(lent(windows, part))
    row = ClassicalEstimator("logistic_regression", normaliser="person_trials")
    both = WithPrior(row, "a", 0.3, group=TRIAL).fit(windows.take(np.union1d(part.train, lent(windows, part))))
    test = windows.take(part.test)
    alone, taught = row.clone().fit(own), row.clone().fit(others)
    assert taught.normaliser is not None
    taught.normaliser = taught.normaliser.of_person(own)
    expected = pool(alone.predict_proba(test), taught.predict_proba(test), 0.3)
    np.testing.assert_allclose(both.predict_proba(test), expected, atol=1e-12)
    assert both.clone().get_params()["weight"] == 0.3


def test_a_number_is_the_weighed_mean() -> None:
    windows = people(number=True).scored
    row = ClassicalEstimator("ridge", normaliser="population")
    both = WithPrior(row, "b", 1.0, group=TRIAL).fit(windows)
    test = windows.take(windows.table["subject"].to_numpy() == "b")
    np.testing.assert_allclose(both.predict(test), (both.own.predict(test) + both.prior.predict(test)) / 2)


class Scripted(Learner):
    """Tells the truth with .7 after one person; after several with ``helpful``, of the windows it is asked about."""

    def __init__(self, helpful: float) -> None:
        self.helpful, self.people, self.films = helpful, 0, set[str]()

    def fit(self, windows: Windows, _y: Any = None, **_told: Any) -> Scripted:  # type: ignore[override]
        self.people, self.films = windows.table["subject"].nunique(), set(windows.table["stimulus"])
        return self

    def predict_proba(self, windows: Windows) -> Any:
        if self.people > 1 and FILMS_APART:
            assert not self.films & set(windows.table["stimulus"])
        right = 0.7 if self.people == 1 else self.helpful
        return np.where(np.eye(2)[windows.y] > 0, right, 1 - right)

    def predict(self, windows: Windows) -> Any:
        return self.predict_proba(windows).argmax(1)

    def get_params(self, _deep: bool = True) -> dict[str, Any]:
        return {"helpful": self.helpful}

    def set_params(self, **params: Any) -> Scripted:
        self.helpful = params["helpful"]
        return self

    def clone(self) -> Scripted:
        return Scripted(self.helpful)

    def save(self, *_: Any) -> Any:
        raise NotImplementedError

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    def _told(self) -> dict[str, Any]:
        return {"name": "scripted"}


FILMS_APART: list[bool] = []


@pytest.mark.parametrize("group", [TRIAL, ("stimulus",)])
def test_the_weight_is_chosen_on_inner_people(group: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.FILMS_APART", [True] if group == ("stimulus",) else [])
    windows = people().scored
    assert choose_weight(Scripted(0.8), windows, group, 0) == USUAL
    assert choose_weight(Scripted(0.2), windows, group, 0) == 0.0
    few = windows.take(np.isin(windows.table["subject"], list("abc")))
    assert choose_weight(Scripted(0.2), few, group, 0) == USUAL  # too few to choose by


@pytest.mark.slow
def test_rows_stand_with_the_prior_and_without_and_clocks_have_it_too() -> None:
    tables = {
        "data": {"name": "simulate", "target": "state"},
        "model": {"name": "logistic_regression", "prior": 0.5},
        "protocol": {"name": "leave_stimulus_out", "folds": 2, "by_person": True},
        "compare": {"rows": ["majority", "elapsed_trial"], "context": False, "declare": False},
    }
    result = evaluate(people(NAMES[:2]), experiment_from(tables)).result
    names = [s.name for s in result.systems]
    assert names == [
        "logistic_regression_with_prior",
        "logistic_regression",
        "majority",
        "elapsed_trial",
        "elapsed_trial_with_prior",
    ]
    first, plain = result.systems[:2]
    assert first.title == "Logistic regression, with other people's prior"
    assert (first.prior, plain.prior) == ("0.5", "")
    assert result.table()["prior"].tolist() == ["0.5", "", "", "", "0.5"]
    lent_to, against = result.opponent(first.name), result.opponent(plain.name)
    assert lent_to is not None
    assert against is not None
    assert (lent_to.name, against.name) == ("elapsed_trial_with_prior", "elapsed_trial")
    assert not np.allclose(result.of(first.name)["p_calm"], result.of(plain.name)["p_calm"])


def test_a_network_lends_its_convex_readout_alone() -> None:
    windows = people(NAMES[:3]).scored
    network = make("liquid", use_raw=False, epochs=1, normaliser="person_trials", residual="always", members=2)
    both = WithPrior(network, "a", 0.5, group=TRIAL).fit(windows)
    assert both.prior.begun.gate == 0
    assert both.own.begun.gate == 1
    assert (len(both.own.networks), len(both.prior.networks)) == (2, 1)


@pytest.mark.parametrize(
    ("model", "protocol", "match"),
    [
        ({"prior": 2.0}, {}, "expected 0 to 1"),
        ({"prior": 0.5}, {"name": "leave_one_subject_out"}, "a model a person"),
        ({"prior": 0.5}, {"name": "leave_stimulus_out"}, "by_person"),
        ({}, {"pooled": True, "by_person": True}, "one of them"),
    ],
)
def test_a_prior_that_cannot_be_is_refused(model: dict[str, Any], protocol: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        experiment_from({"data": {"name": "simulate"}, "model": model, "protocol": protocol})


def test_nobody_to_lend_is_said() -> None:
    alone = people("a")
    with pytest.raises(ProtocolError, match="no window of another person"):
        lent(alone, fold("within_subject", alone))
    with pytest.raises(ProtocolError, match="no person of its own"):
        lent(people(), fold("leave_stimulus_out", people()))
    with pytest.raises(InputError, match="some of each"):
        WithPrior(ClassicalEstimator("logistic_regression"), "a").fit(alone)


def test_what_is_kept_belongs_to_what_was_judged() -> None:
    windows = people("abcd").scored
    group, seeds = ("stimulus",), range(4)
    row = ClassicalEstimator("logistic_regression")
    apart = []
    for seed in seeds:
        _KEPT.clear()
        apart.append(choose_weight(row, windows, group, seed))
    _KEPT.clear()
    told = windows.table["subject"].to_numpy() == "a"
    prior = row.clone().fit(windows.take(~told))
    fit, few, more = (
        np.flatnonzero(np.isin(windows.table["stimulus"], films)) for films in (FILMS[:4], FILMS[4:6], FILMS[4:])
    )
    assert _judged(row, prior, windows, told, group, (fit, few), 0) is not None
    after = _judged(row, prior, windows, told, group, (fit, more), 0)
    _KEPT.clear()
    assert after == _judged(row, prior, windows, told, group, (fit, more), 0)
    assert [choose_weight(row, windows, group, seed) for seed in seeds] == apart


def test_what_is_kept_belongs_to_the_traits_that_were_known() -> None:
    windows = people("ab").scored
    known = replace(windows.schema, traits=("openness",))
    made = [_once(("own",), w, object) for w in (windows, replace_schema(windows, known))]
    assert made[0] is not made[1]
    assert _once(("own",), windows, object) is made[0]


def replace_schema(windows: Windows, schema: Any) -> Windows:
    return Windows(windows._shared, windows.rows, schema, windows.recipe, windows.y, windows.terms, windows.mix)


def test_a_prior_and_its_weight_come_without_the_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    taught: list[set[str]] = []

    def said(folder: str, training: Windows) -> np.ndarray:  # noqa: ARG001
        taught.append(set(training.table["subject"]))
        return np.full((len(training), 2), 0.5)

    monkeypatch.setattr(fitting, "_said_by", said)
    row = make("tcn", epochs=1, normaliser="population", teacher="somebody")
    WithPrior(row, "a", "inner", group=TRIAL).fit(people("abcde"))
    assert taught == [{"a"}]
