"""Sets hold the truth as often as promised for new people, equal the library's for one window a person, and say so."""

from __future__ import annotations

import numpy as np
import pytest
from crepes import ConformalClassifier

from insula.errors import InputError
from insula.learning.personal.conformal import ConformalSets, accuracy_when_answering


def people(count, windows=20, seed=0, spread=1.0):
    """Probabilities whose quality differs between people."""
    rng = np.random.default_rng(seed)
    who = np.repeat([f"p{i}" for i in range(count)], windows).astype(object)
    y = rng.integers(0, 3, count * windows)
    skill = np.repeat(1.5 + spread * rng.normal(size=count), windows)
    logits = rng.normal(size=(y.size, 3))
    logits[np.arange(y.size), y] += skill
    p = np.exp(logits)
    return p / p.sum(1, keepdims=True), y, who


def test_one_window_a_person_is_split_conformal_prediction() -> None:
    p, y, who = people(200, 1)
    test, _, _ = people(50, 1, seed=1)
    for level in (0.8, 0.9):
        oracle = ConformalClassifier().fit(1 - p[np.arange(200), y])
        expected = oracle.predict_set(1 - test, confidence=level, smoothing=False).astype(bool)
        found = 1 - test <= ConformalSets.fit(p, y, who, level).threshold + 1e-12
        np.testing.assert_array_equal(found, expected)


def test_a_new_person_is_covered_as_often_as_promised() -> None:
    covered = []
    for seed in range(60):
        p, y, who = people(41, 15, seed)
        new = who == "p40"
        sets = ConformalSets.fit(p[~new], y[~new], who[~new]).sets(p[new])
        covered.append(sets[np.arange(new.sum()), y[new]].mean())
    assert np.mean(covered) > 0.88
    assert np.mean(covered) < 0.97


def test_few_people_make_sets_of_everything_and_no_guarantee() -> None:
    p, y, who = people(8)
    found = ConformalSets.fit(p, y, who, 0.9)
    assert found.sets(p).all()
    assert not found.guaranteed
    assert ConformalSets.fit(*people(20)).guaranteed
    with pytest.raises(InputError, match="level"):
        ConformalSets.fit(p, y, who, 1.0)


def test_sure_answers_are_better_where_probabilities_mean_something() -> None:
    p, y, who = people(20)
    accuracy = [accuracy_when_answering(p, y, who, share) for share in (1.0, 0.5, 0.25)]
    assert accuracy[0] == pytest.approx(np.mean([(p.argmax(1) == y)[who == w].mean() for w in set(who)]))
    assert accuracy[0] < accuracy[1] < accuracy[2]
    uniform = np.full_like(p, 1 / 3)
    assert accuracy_when_answering(uniform, y, who, 0.5) < 0.5


def test_the_analysis_is_on_the_page_with_its_limits() -> None:
    from fake_result import emotions

    from insula.explain.certainty import CERTAINTY, certainty, sentences

    result = emotions()
    found = certainty(result)
    assert found is not None
    told = " ".join(sentences(found))
    assert "no guarantee" in told
    kept = result.with_analyses(certainty=CERTAINTY.write(found))
    assert CERTAINTY.read(kept) == found
