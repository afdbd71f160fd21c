"""Learning and scoring shares of emotions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial import distance
from scipy.special import rel_entr
from sklearn.linear_model import LogisticRegression
from small_cohort import RECIPE, recording

import insula
from insula.errors import InputError
from insula.evaluation.scores import pooled, to_trials
from insula.learning.losses import mixed_loss
from insula.learning.metrics import METRICS, metrics_for
from insula.learning.mixed import apart, fit_mixed
from insula.types import Label
from insula.windows.cutting import cut
from insula.windows.table import Windows

RNG = np.random.default_rng(0)
TRUE, SAID = RNG.dirichlet([1, 1, 1], 6), RNG.dirichlet([2, 2, 2], 6)


def table() -> pd.DataFrame:
    names = ("joy", "fear", "calm")
    frame = pd.DataFrame({f"p_{n}": SAID[:, k] for k, n in enumerate(names)})
    frame = frame.assign(**{f"t_{n}": TRUE[:, k] for k, n in enumerate(names)})
    frame["y_true"] = np.array(names, object)[TRUE.argmax(1)]
    frame["y_pred"] = np.array(names, object)[SAID.argmax(1)]
    return frame.assign(subject="ann", session="1", trial=["a", "a", "b", "b", "c", "c"])


def test_scores_are_those_of_scipy() -> None:
    pairs = list(zip(TRUE, SAID, strict=True))
    expected = {
        "kl": [rel_entr(t, p).sum() for t, p in pairs],
        "js": [distance.jensenshannon(t, p) ** 2 for t, p in pairs],
        "cosine": [1 - distance.cosine(t, p) for t, p in pairs],
        "clark": [np.sqrt((((t - p) / (t + p)) ** 2).sum()) for t, p in pairs],
        "canberra": [distance.canberra(t, p) for t, p in pairs],
        "chebyshev": [distance.chebyshev(t, p) for t, p in pairs],
        "intersection": [1 - distance.cityblock(t, p) / 2 for t, p in pairs],
    }
    assert set(expected) == {n for n, m in METRICS.items() if m.mixed}
    for name, values in expected.items():
        assert pooled(table(), name) == pytest.approx(np.mean(values), rel=1e-5), name
    assert set(metrics_for(False, mixed=True)) - set(metrics_for(False)) == set(expected)
    assert METRICS["clark"].function(np.eye(2), np.eye(2)) == 0, "an emotion that neither names is no difference"
    trials = to_trials(table())
    np.testing.assert_allclose(trials["t_joy"], TRUE[:, 0].reshape(3, 2).mean(1))
    with pytest.raises(InputError, match="expected a mixed target"):
        pooled(table().drop(columns="t_joy"), "kl")


def test_the_loss_is_the_divergence() -> None:
    logits = torch.tensor(SAID).log() + 3
    np.testing.assert_allclose(mixed_loss(logits, torch.tensor(TRUE)), rel_entr(TRUE, SAID).sum(1))
    one_hot = torch.eye(3, dtype=torch.float64)
    assert torch.isfinite(mixed_loss(logits[:3], one_hot)).all()


def test_a_classifier_learns_shares_by_weight() -> None:
    x = np.repeat([[-1.0], [1.0]], 200, 0)
    mix = np.repeat([[0.7, 0.3], [0.1, 0.9]], 200, 0).astype(np.float32)
    model = LogisticRegression(C=1e4, class_weight="balanced")
    assert fit_mixed(model, x, mix)
    np.testing.assert_allclose(model.predict_proba([[-1.0], [1.0]]), [[0.7, 0.3], [0.1, 0.9]], atol=0.01)
    row, code, weight = apart(np.array([[1.0, 0.0], [0.25, 0.75]], np.float32))
    assert (row.tolist(), code.tolist(), weight.tolist()) == ([0, 1, 1], [0, 0, 1], [1, 0.25, 0.75])


def rated() -> Windows:
    """Each trial's loudness says how tense it was."""
    people = []
    for name in ("ann", "bob"):
        whole = recording(name, effect=4.0, trials=6)
        trials = []
        for t in whole.trials:
            tense = 3.0 if t.labels.get("state") == "tense" else 1.0
            labels: dict[str, Label] = {"calm": 4 - tense, "tense": tense} if t.labels else {}
            trials.append(replace(t, labels=labels))
        people.append(replace(whole, trials=tuple(trials)))
    return cut(people, RECIPE, "mix(calm,tense)")


@pytest.mark.parametrize("name", ["mpcl", "logistic_regression", "prior"])
def test_rows_answer_with_shares_not_with_certainties(name: str) -> None:
    windows = rated().scored
    how = {"epochs": 60, "learning_rate": 1e-2, "normaliser": "population"} if name == "mpcl" else {}
    said = insula.make(name, **how).fit(windows).predict_proba(windows)
    assert windows.mix is not None
    off = np.abs(said - windows.mix).mean()
    assert off < (0.3 if name == "prior" else 0.12)
    assert said.max() < 0.95, "three quarters at most were felt"
