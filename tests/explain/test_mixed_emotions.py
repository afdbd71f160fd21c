"""Analyses of mixed emotions, of prototypes and of modalities held together, on data whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import insula
from insula.evaluation.experiment import experiment_from
from insula.evaluation.run import evaluate
from insula.explain.agreement import AGREEMENT, agreement
from insula.explain.analyses import explain
from insula.explain.mixtures import MIXTURES
from insula.explain.prototypes import PROTOTYPES, felt_together
from insula.signals.recipe import Recipe, SignalRecipe
from insula.types import Recording, Signal, Trial
from insula.windows.cutting import cut

RECIPE = Recipe(signals={"temp": SignalRecipe(4.0), "hr": SignalRecipe(1.0)}, window_s=4.0, hop_s=4.0, guard_s=0.0)


def people() -> list[Recording]:
    """Joy warms the skin, fear quickens the heart; calm is felt without either."""
    out = []
    for name in ("ann", "bob", "cyd"):
        rng = np.random.default_rng(sum(map(ord, name)))
        trials = []
        for k in range(9):
            joy, fear = rng.uniform(0, 1, 2)
            warm = (33 + 2 * joy + 0.05 * rng.standard_normal((1, 48))).astype(np.float32)
            fast = (70 + 20 * fear + 0.5 * rng.standard_normal((1, 12))).astype(np.float32)
            at = 20.0 * k
            signals = {"temp": Signal(warm, 4.0, ("T",), "degC", at), "hr": Signal(fast, 1.0, ("HR",), "1/min", at)}
            trials.append(Trial(name, "1", f"t{k}", at, at + 12, signals, {"joy": joy, "fear": fear, "calm": 0.3}))
        out.append(Recording(name, "1", tuple(trials)))
    return out


@pytest.fixture(scope="module")
def evaluated() -> object:
    windows = cut(people(), RECIPE, "mix(joy,fear,calm)")
    plan = experiment_from({
        "data": {"name": "simulate", "target": "mix(joy,fear,calm)"},
        "model": {"name": "mpcl", "normaliser": "population"},
        "train": {"epochs": 60, "learning_rate": 1e-2},
        "protocol": {"name": "leave_one_subject_out"},
        "compare": {"rows": ["prior"], "variants": [], "context": False},
    })  # fmt: skip
    return windows, evaluate(windows, plan, keep=True)


@pytest.mark.slow
def test_shares_are_scored_shown_and_compared_with_the_mean(evaluated) -> None:  # type: ignore[no-untyped-def]
    windows, found = evaluated
    result = explain(found.result, windows, found.models)
    table = result.table().set_index("name")
    assert table.loc["mpcl", "kl"] < 0.7 * table.loc["prior", "kl"]
    assert table.loc["mpcl", "intersection"] > table.loc["prior", "intersection"]
    mixed = MIXTURES.read(result)
    assert mixed is not None
    assert [one.name for one in mixed.emotions] == ["joy", "fear", "calm"]
    assert mixed.emotions[0].r > 0.8
    assert mixed.against_prior is not None
    assert mixed.against_prior.difference < 0
    assert len(mixed.trials) == 9
    shown = MIXTURES.show(mixed, None)  # type: ignore[arg-type]
    assert "joy" in shown.pictures[0].wide
    assert "closer than" in shown.sentences[0]
    kinds = PROTOTYPES.read(result)
    assert kinds is not None
    assert np.shape(kinds.cosines) == np.shape(kinds.learned) == np.shape(kinds.rated) == (3, 3)
    assert [p.name for p in PROTOTYPES.show(kinds, None).pictures] == ["prototypes", "co-occurrence"]  # type: ignore[arg-type]


def test_what_is_felt_together_is_counted_by_shares() -> None:
    mix = np.array([[0.5, 0.5, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    np.testing.assert_allclose(felt_together(mix), [[1.25 / 1.5, 0.25 / 1.5, 0], [0.5, 0.5, 0], [0, 0, 1]])


def test_modalities_that_share_a_cause_know_each_other() -> None:
    (person,) = insula.load("simulate", people=1, trials_per_emotion=1, trial_s=12.0, eyes=True)
    recipe = Recipe(
        signals={"eeg": SignalRecipe(128.0, notch_hz=None), "eye": SignalRecipe(60.0)}, window_s=2.0, hop_s=2.0,
        guard_s=0.0,
    )  # fmt: skip
    windows = cut([person], recipe, "emotion").scored
    model = insula.make("cmslnet", normaliser="population", epochs=2).fit(windows)
    found = agreement([(model, windows)])
    assert found is not None
    assert sum(found.same) == pytest.approx(1)
    assert 0 <= found.found <= 1
    assert AGREEMENT.show(found, None).pictures[0].name == "agreement"  # type: ignore[arg-type]
    assert agreement([(insula.make("mpcl", normaliser="population", epochs=1).fit(windows), windows)]) is None
    assert isinstance(windows.table, pd.DataFrame)
