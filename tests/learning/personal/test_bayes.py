"""The Bayesian head: label by label equals all at once, equals ridge regression, and knows what it does not know."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from insula.errors import DataError, InputError
from insula.learning.personal.bayes import BayesianHead


def made(n=60, features=4, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    x = rng.normal(size=(n, features))
    x[:, 0] += 2 * (y == 0)
    x[:, 1] += 2 * (y == 1)
    return x, y


def test_label_by_label_in_any_order_equals_the_closed_form() -> None:
    x, y = made()
    one, other = BayesianHead("abc", 4), BayesianHead("abc", 4)
    for i in np.random.default_rng(1).permutation(len(y)):
        one.update(x[i], int(y[i]))
    rows = np.hstack([x, np.ones((len(x), 1))])
    prior = np.diag([1.0] * 4 + [1.0])
    covariance = np.linalg.inv(prior + rows.T @ rows / 0.25)
    start = np.zeros((5, 3))
    start[-1] = 1 / 3
    np.testing.assert_allclose(one.covariance, covariance, atol=1e-10)
    np.testing.assert_allclose(one.mean, covariance @ (prior @ start + rows.T @ np.eye(3)[y] / 0.25), atol=1e-10)
    other.fit(x, y)  # classes are equally frequent, so that no row weighs more
    np.testing.assert_allclose(other.mean, one.mean, atol=1e-10)
    np.testing.assert_allclose(other.predict_proba(x), one.predict_proba(x), atol=1e-10)
    assert one.seen.tolist() == [20, 20, 20]


def test_scores_equal_those_of_scikit_learn() -> None:
    x, y = made(200)
    head = BayesianHead("abc", 4, alpha=1.0, noise=0.25, weights=np.zeros((5, 3)))
    head.covariance[-1] = head.covariance[:, -1] = 0  # no intercept, as the oracle
    for row, label in zip(x, y, strict=True):
        head.update(row, int(label))
    oracle = Ridge(alpha=0.25, fit_intercept=False).fit(x, np.eye(3)[y])  # alpha = noise / prior variance
    np.testing.assert_allclose(head.scores(x), oracle.predict(x), atol=1e-9)


def test_it_recognises_and_is_less_certain_far_away() -> None:
    x, y = made(300)
    head = BayesianHead(("calm", "glad", "sad"), 4)
    before = head.uncertainty(x[0])
    for row, label in zip(x[:200], y[:200], strict=True):
        head.update(row, head.classes[label])
    assert (head.predict(x[200:]) == y[200:]).mean() > 0.6
    assert head.uncertainty(x[0]) < before / 2
    assert head.uncertainty(10 * x[0]) > 3 * head.uncertainty(x[0])
    chances = head.predict_proba(x)
    np.testing.assert_allclose(chances.sum(1), 1)
    np.testing.assert_allclose(head.predict_proba(x[3]), chances[3], atol=1e-12)
    few = BayesianHead("abc", 4).update(x[0], int(y[0])).update(x[1], int(y[1]))
    assert few.predict_proba(1e4 * x[2]).max() < 0.95, "two labels do not make it certain, however far it is asked"
    np.testing.assert_allclose(few.predict_proba(1e4 * x[2]), few.predict_proba(1e6 * x[2]), atol=1e-3)


def test_no_label_says_nothing_and_population_weights_say_something() -> None:
    x, y = made(300)
    np.testing.assert_allclose(BayesianHead("abc", 4).predict_proba(x), 1 / 3)
    population = BayesianHead("abc", 4).fit(x, y)
    new = BayesianHead("abc", 4, weights=population.mean)
    assert (new.predict(x) == population.predict(x)).all()
    assert new.seen.sum() == 0


def test_missing_values_count_as_the_centre_and_scale_is_taken_out() -> None:
    x, y = made(90)
    plain = BayesianHead("abc", 4).fit(x, y)
    scaled = BayesianHead("abc", 4, centre=np.full(4, 7.0), spread=np.full(4, 3.0)).fit(3 * x + 7, y)
    np.testing.assert_allclose(scaled.predict_proba(3 * x + 7), plain.predict_proba(x), atol=1e-9)
    gap = x[0].copy()
    gap[2] = np.nan
    np.testing.assert_allclose(plain.scores(gap), plain.scores(np.where(np.isnan(gap), 0, gap)))


def test_a_rare_class_weighs_as_much() -> None:
    x, y = made(300, seed=2)
    keep = (y != 0) | (np.arange(300) < 30)
    head = BayesianHead("abc", 4).fit(x[keep], y[keep])
    assert (head.predict(x)[y == 0] == 0).mean() > 0.5


def test_it_is_kept_as_json_and_broken_ones_are_refused() -> None:
    x, y = made()
    head = BayesianHead("abc", 4).fit(x, y)
    again = BayesianHead.from_dict(json.loads(json.dumps(head.to_dict())))
    np.testing.assert_array_equal(again.predict_proba(x), head.predict_proba(x))
    again.update(x[0], 1)
    head.update(x[0], 1)
    np.testing.assert_array_equal(again.mean, head.mean)
    for change in ({"mean": [[0]]}, {"covariance": "x"}, {"classes": ["a"]}):
        with pytest.raises((DataError, InputError)):
            BayesianHead.from_dict({**head.to_dict(), **change})
    with pytest.raises(DataError):
        BayesianHead.from_dict({})


@pytest.mark.parametrize(("x", "label"), [([0.0] * 3, 0), ([0.0] * 4, 3), ([0.0] * 4, "d")])
def test_wrong_rows_and_labels_are_named(x, label) -> None:
    with pytest.raises(InputError):
        BayesianHead("abc", 4).update(np.array(x), label)
