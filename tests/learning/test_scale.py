"""Signals come to about unit scale; whose level is subtracted depends on the kind."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from small_cohort import RECIPE, cohort, recording, scored, windows

from insula.learning.scale import SignalScaler
from insula.types import Recording, Trial
from insula.windows.cutting import cut
from insula.windows.table import TrialKey, Windows

KINDS = ("population", "opening", "person_trials", "running", "whole_session")


def keys(of: Windows) -> list[TrialKey]:
    return list(dict.fromkeys(zip(of.table["subject"], of.table["session"], of.table["trial"], strict=True)))


def lifted(one: Trial, by: float) -> Trial:
    """The trial with more skin conductance."""
    eda = one.signals["eda"]
    return replace(one, signals={**one.signals, "eda": replace(eda, values=eda.values + np.float32(by))})


def changed(subject: str, by: float, only: str | None = None) -> tuple[Recording, ...]:
    """The cohort with one person's skin conductance lifted (in one trial only)."""
    out = []
    for r in cohort():
        trials = tuple(
            lifted(t, by) if r.subject == subject and (only is None or t.trial == only) else t for t in r.trials
        )
        out.append(replace(r, trials=trials))
    return tuple(out)


@pytest.mark.parametrize("kind", KINDS)
def test_unit_scale_and_zero_where_unobserved(kind: str) -> None:
    made = recording("ann")
    gap = made.trials[2].signals["bvp"].values.copy()
    gap[:, 200:300] = np.nan
    holey = replace(
        made.trials[2],
        signals={**made.trials[2].signals, "bvp": replace(made.trials[2].signals["bvp"], values=gap)},
    )
    found = cut([replace(made, trials=(*made.trials[:2], holey, *made.trials[3:])), cohort()[1]], RECIPE, "state")
    scaled = SignalScaler(kind).fit(scored(found)).apply(found, keys(found))
    joined = {m: np.concatenate([v[m][0] for v in scaled.values()]) for m in found.schema.modalities}
    for values in joined.values():
        assert values.dtype == np.float32
        assert 0.4 < values.std() < 2.5
        assert np.abs(values).max() <= 8
    seen = found.clean[holey.key].observed["bvp"]
    assert not seen.all()
    assert not scaled[holey.key]["bvp"][:, ~seen].any()


def test_opening_takes_the_level_of_the_baseline_and_forgets_a_persons_offset() -> None:
    plain, other = windows(), cut(changed("bob", 5.0), RECIPE, "state")
    train = scored(plain).take((scored(plain).table["subject"] != "bob").to_numpy())
    key = ("bob", "s1", "t1")
    opening = SignalScaler("opening").fit(train)
    np.testing.assert_allclose(
        opening.apply(plain, [key])[key]["eda"], opening.apply(other, [key])[key]["eda"], atol=0.01
    )
    population = SignalScaler("population").fit(train)
    assert (population.apply(other, [key])[key]["eda"] > population.apply(plain, [key])[key]["eda"] + 1).all()


def test_reference_of_new_recordings_is_their_own_not_a_remembered_one() -> None:
    """Two recordings of the same names: nothing of the first may stay in the scaler."""
    plain, other = windows(), cut(changed("bob", 5.0), RECIPE, "state")
    key = ("bob", "s1", "t1")
    used = SignalScaler("opening").fit(scored(plain))
    used.apply(plain, keys(plain))
    fresh = SignalScaler("opening").fit(scored(plain))
    np.testing.assert_array_equal(used.apply(other, [key])[key]["eda"], fresh.apply(other, [key])[key]["eda"])


@pytest.mark.parametrize("kind", KINDS)
def test_only_whole_session_reads_other_trials_of_a_test_person(kind: str) -> None:
    """Change bob's last trial: his first one may be scaled differently by the transductive kind only."""
    plain, other = windows(), cut(changed("bob", 5.0, only="t5"), RECIPE, "state")
    train = scored(plain).take((scored(plain).table["subject"] != "bob").to_numpy())
    key = ("bob", "s1", "t0")
    scaler = SignalScaler(kind).fit(train)
    same = np.array_equal(scaler.apply(plain, [key])[key]["eda"], scaler.apply(other, [key])[key]["eda"])
    assert same == (kind != "whole_session")


def test_person_trials_uses_the_persons_training_rows_and_the_population_for_others() -> None:
    own = scored().take((scored().table["subject"] != "cyd").to_numpy())
    personal, population = SignalScaler("person_trials").fit(own), SignalScaler("population").fit(own)
    assert set(personal.people) == {"ann", "bob"}
    unknown, known = ("cyd", "s1", "t0"), ("ann", "s1", "t0")
    for key, equal in ((unknown, True), (known, False)):
        a, b = (s.apply(windows(), [key])[key]["hr"] for s in (personal, population))
        assert np.array_equal(a, b) == equal


@pytest.mark.parametrize("kind", KINDS)
def test_json_round_trip_is_exact(kind: str) -> None:
    scaler = SignalScaler(kind).fit(scored())
    again = SignalScaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    a, b = (s.apply(windows(), keys(windows())) for s in (scaler, again))
    for key, signals in a.items():
        for m, values in signals.items():
            np.testing.assert_array_equal(values, b[key][m])


def test_constant_channel_stays_finite() -> None:
    flat = tuple(
        replace(
            t, signals={**t.signals, "hr": replace(t.signals["hr"], values=np.full_like(t.signals["hr"].values, 70))}
        )
        for t in recording("ann").trials
    )
    found = cut([replace(recording("ann"), trials=flat)], RECIPE, "state")
    for signals in SignalScaler("population").fit(scored(found)).apply(found, keys(found)).values():
        assert np.isfinite(signals["hr"]).all()
