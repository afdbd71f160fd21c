"""The normaliser pre_trial: the baseline right before a trial and nothing else of the session."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from small_cohort import RECIPE, scored, trial, windows

from insula.errors import InputError
from insula.learning.level import Normaliser
from insula.learning.scale import SignalScaler
from insula.types import Recording
from insula.windows.before import rows_before
from insula.windows.cutting import cut
from insula.windows.table import Windows


def person(name: str, lift: dict[int, float] | None = None) -> Recording:
    """Six trials, each after 8 s of its own rest; conductance drifts from trial to trial."""
    rng = np.random.default_rng([*map(ord, name)])
    found = []
    for i, tense in enumerate(rng.permutation(np.arange(6) % 2)):
        drift = rng.uniform(0, 9)  # above 0, where the sensor rests
        at = 30.0 * i
        label = {"state": "tense" if tense else "calm"}
        for made in (
            trial(rng, name, f"t{i}-rest", at, 8.0, 0.0, role="baseline"),
            trial(rng, name, f"t{i}", at + 8.0, 12.0, float(tense), labels=label),
        ):
            eda = made.signals["eda"]
            by = drift + ((lift or {}).get(i, 0.0) if made.role == "baseline" else 0.0)
            found.append(replace(made, signals={**made.signals, "eda": replace(eda, values=eda.values + by)}))
    return Recording(name, "s1", tuple(found), {}, {"data": "test"})


def made(lift: dict[int, float] | None = None) -> Windows:
    return cut([person("ann"), person("bob"), person("cyd"), person("dot", lift)], RECIPE, "state")


def of(found: Windows, who: str, others: bool = False) -> Windows:
    mask = (found.table["subject"] == who).to_numpy() != others
    return found.take(mask & (found.table["role"] == "scored").to_numpy())


def test_rows_of_the_baseline_right_before() -> None:
    found = made()
    near, everything = rows_before(of(found, "dot"))
    assert {key[2] for key in near} == {f"t{i}" for i in range(6)}
    for key, rows in near.items():
        assert set(everything.table["trial"].iloc[rows]) == {f"{key[2]}-rest"}
    assert rows_before(scored())[0] == {}  # a baseline 3 s before the first trial


def test_drift_between_trials_is_removed() -> None:
    found = made()
    train, test = of(found, "dot", others=True), of(found, "dot")
    kinds = {}
    for kind in ("population", "opening", "pre_trial"):
        normaliser = Normaliser(kind).fit(train)
        level, tense = normaliser.features(test)[:, 0], test.y == test.schema.classes.index("tense")
        kinds[kind] = (level[tense].mean() - level[~tense].mean()) / level.std()
    assert kinds["pre_trial"] > 1.5
    assert max(kinds["population"], kinds["opening"]) < 1
    fitted = Normaliser("pre_trial").fit(train)
    assert fitted.scope == "trial"
    assert not fitted.transductive
    assert fitted.carry[0] > 0.9  # the level of skin conductance stays
    assert fitted.carry[1:3].max() < 0.5  # noise of slope and deviation does not
    again = Normaliser.from_dict(json.loads(json.dumps(fitted.to_dict())))
    np.testing.assert_array_equal(again.features(test), fitted.features(test))


def test_only_the_own_baseline_is_read() -> None:
    plain, other = made(), made({4: 2.0})
    train = of(plain, "dot", others=True)
    before, after = (Normaliser("pre_trial").fit(train).features(of(w, "dot")) for w in (plain, other))
    same = ((before == after) | np.isnan(before)).all(axis=1)
    assert set(of(plain, "dot").table["trial"][~same]) == {"t4"}
    keys = [("dot", "s1", f"t{i}") for i in range(6)]
    one, two = (SignalScaler("pre_trial").fit(train).apply(w, keys) for w in (plain, other))
    changed = [key[2] for key in keys if not np.array_equal(one[key]["eda"], two[key]["eda"])]
    assert changed == ["t4"]
    assert all(np.array_equal(one[key]["hr"], two[key]["hr"]) for key in keys)


def test_without_such_seconds_it_is_refused_or_the_population_stands_in() -> None:
    with pytest.raises(InputError, match="pre_trial without a window in the seconds before"):
        Normaliser("pre_trial").fit(scored())
    fitted = Normaliser("pre_trial").fit(of(made(), "dot", others=True))
    z = fitted.features(scored(windows()))
    assert np.isfinite(z[:, 0]).all()
    assert any("ann/s1/t0: no seconds before the trial" in note for note in fitted.notes)


def test_opening_does_not_read_later_baselines() -> None:
    plain, other, first = made(), made({4: 2.0}), made({0: 2.0})
    train = of(plain, "dot", others=True)
    a, b, c = (Normaliser("opening").fit(train).features(of(w, "dot")) for w in (plain, other, first))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
