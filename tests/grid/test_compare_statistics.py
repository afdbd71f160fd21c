"""Holm, ranks with a critical difference, and paired differences on common windows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from windows_double import make_table, predictions

from insula.errors import InputError
from insula.evaluation.scores import per_person
from insula.grid.statistics import difference, holm, pairs, person_scores, ranks


def made(skill, draw=0, people=9, table=None, seed=0):
    table = make_table(people=people, trials=8, windows=4, seed=3) if table is None else table
    y, rng = table["y"].to_numpy(), np.random.default_rng(draw)
    return predictions(table, np.where(rng.random(len(y)) < skill, y, 1 - y)).assign(seed=seed)


def test_holm_by_hand():
    # sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, then never falling
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert np.isnan(holm([float("nan"), 0.5])[0])
    assert holm([float("nan"), 0.5])[1] == 0.5


@given(st.lists(st.floats(1e-9, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_and_keeps_their_order(p):
    adjusted = holm(p)
    assert all(a >= b for a, b in zip(adjusted, p, strict=True))
    assert max(adjusted) <= 1
    order = np.argsort(p, kind="stable")
    assert all(np.diff(np.array(adjusted)[order]) >= 0)


def test_critical_difference_is_that_of_demsar_2006():
    # Demsar 2006, section 3.2.2: 4 classifiers, 14 data sets, alpha .05: 2.569 sqrt(4 * 5 / (6 * 14)) = 1.25
    rng = np.random.default_rng(0)
    found = ranks(pd.DataFrame(rng.random((14, 4)), columns=list("abcd")))
    assert found.critical == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), abs=1e-3)
    assert sum(found.mean_rank) == pytest.approx(1 + 2 + 3 + 4)


def test_ranks_tell_apart_what_differs_and_join_what_does_not():
    rng = np.random.default_rng(1)
    base = rng.normal(0, 0.02, 20)
    frame = pd.DataFrame(
        {"poor": base + 0.5, "good": base + 0.8, "good too": base + 0.8 + rng.normal(0, 0.01, 20), "fair": base + 0.6}
    )
    found = ranks(frame)
    assert set(found.systems[:2]) == {"good", "good too"}
    assert found.systems[2:] == ("fair", "poor")
    assert [set(c) for c in found.cliques] == [{"good", "good too"}]
    assert found.friedman_p < 1e-6
    same = ranks(pd.DataFrame(dict.fromkeys("abc", base)))
    assert same.friedman_p == 1
    assert [set(c) for c in same.cliques] == [{"a", "b", "c"}]
    with pytest.raises(InputError, match="3 systems and 5 people"):
        ranks(frame.head(4))


def test_difference_is_taken_on_the_windows_that_both_have():
    a, b = made(0.9, 1), made(0.6, 1)
    shorter = b[b["trial"] != "t0"]
    found = difference(a, shorter)
    both = a[a["trial"] != "t0"]
    expected = (per_person(both, "balanced_accuracy") - per_person(shorter, "balanced_accuracy")).mean()
    assert found.mean == pytest.approx(expected)
    assert found.lo < found.mean < found.hi
    assert found.p < 0.05
    with pytest.raises(InputError, match="without a window in common"):
        difference(a, b.assign(subject="nobody"))


def test_seeds_are_averaged_within_a_person():
    table = make_table(people=9, trials=8, windows=4, seed=3)
    each = [made(0.7, s, table=table, seed=s) for s in range(3)]
    mean = pd.concat([per_person(e, "balanced_accuracy") for e in each], axis=1).mean(axis=1)
    stacked = pd.concat(each, ignore_index=True)
    scores = person_scores({"x": stacked})["x"]
    pd.testing.assert_series_equal(scores, mean, check_names=False)
    # a difference of stacked seeds is that of these means
    other = pd.concat([made(0.6, s + 9, table=table, seed=s) for s in range(3)], ignore_index=True)
    gap = (scores - person_scores({"y": other})["y"]).mean()
    assert difference(stacked, other).mean == pytest.approx(gap)


def test_holm_goes_over_the_comparisons_that_are_made():
    tables = {"good": made(0.95, 1), "fair": made(0.75, 2), "poor": made(0.55, 3)}
    all_pairs, against = pairs(tables), pairs(tables, "fair")
    assert len(all_pairs) == 3
    assert [(p.a, p.b) for p in against] == [("good", "fair"), ("poor", "fair")]
    assert [p.p_holm for p in against] == pytest.approx(holm([p.found.p for p in against]))
    assert against[0].found.effect > 0 > against[1].found.effect
    with pytest.raises(InputError, match="reference 'best'"):
        pairs(tables, "best")


def test_holm_over_models_does_not_count_the_other_rows():
    tables = {name: made(0.5 + 0.1 * i, i) for i, name in enumerate(("net", "core", "forest", "clock", "best"))}
    found = {p.a: p for p in pairs(tables, "best", family=["net", "core"])}
    assert [found[n].p_holm for n in ("net", "core")] == pytest.approx(
        holm([found[n].found.p for n in ("net", "core")])
    )
    assert np.isnan(found["forest"].p_holm)
    assert np.isnan(found["clock"].p_holm)
