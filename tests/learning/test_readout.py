"""The convex readout weighs columns by trials; the deep path beside it is kept only where inner splits gain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_cohort import scored

from insula.errors import InputError
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.readout import Rows, fit_readout, loss, refitted, relevance, shrunk
from insula.learning.start import judged, start
from insula.learning.train_config import TrainConfig


def rows(trials: int = 24, noise: int = 200, seed: int = 0, classes: int = 3) -> Rows:
    """Three columns tell the class, the others only the trial, which six windows share."""
    rng = np.random.default_rng(seed)
    y = np.repeat(rng.permutation(np.arange(trials) % classes), 6)
    trial = np.repeat(np.arange(trials), 6)
    columns = rng.normal(size=(trials, noise + 3))[trial] + 0.3 * rng.normal(size=(len(y), noise + 3))
    columns[:, :3] += 2.0 * np.eye(3)[y]
    return Rows(columns.astype(np.float32), y, np.ones(len(y), np.float32), trial)


def test_columns_that_tell_classes_count_and_the_others_do_not() -> None:
    train, test = rows(), rows(seed=1)
    ratio = relevance(train, 3)
    assert ratio[:3].min() > np.quantile(ratio[3:], 0.9)
    assert shrunk(ratio, "hard").max() == 1.0
    found = fit_readout(train, [], 3)
    right = {
        how: float((refitted(train, replace(found, shrink=how), 3).answer(test.columns).argmax(1) == test.y).mean())
        for how in ("hard", "none")
    }
    assert right["hard"] > right["none"] + 0.1


def test_windows_of_a_trial_are_no_independent_witnesses() -> None:
    """Noise that a trial's windows share must not look relevant, however many windows there are."""
    noise = rows(noise=400)
    assert np.mean(relevance(noise, 3)[3:]) == pytest.approx(21 / 19, abs=0.2)  # the mean of an F ratio
    assert shrunk(np.full(4, 0.5), "hard").tolist() == [1.0] * 4  # nothing tells: all alike


def test_two_classes_a_missing_class_and_numbers() -> None:
    two = rows(classes=2)
    found = fit_readout(two, [], 3)  # the third class is never seen
    assert found.answer(two.columns).argmax(1).max() == 1
    assert loss(found.answer(two.columns)[:, :2], two.y, 2) < 0.5
    y = two.columns[:, 0].astype(np.float64)
    number = fit_readout(Rows(two.columns, y, two.weight, two.trial), [], 0)
    assert np.corrcoef(number.answer(two.columns)[:, 0], y)[0, 1] > 0.95


def test_choice_needs_a_gain_in_every_split() -> None:
    many = rows(trials=90, noise=3)
    cut = np.arange(len(many.y)) < 300
    parts = [(np.flatnonzero(cut), np.flatnonzero(~cut)), (np.flatnonzero(~cut), np.flatnonzero(cut))]
    chosen = fit_readout(many, parts, 3)
    few = fit_readout(rows(), parts[:0], 3)
    assert (few.shrink, few.penalty) == ("hard", 0.1)
    assert chosen.penalty in (0.01, 0.1, 1.0)
    usual = [loss(fit_readout(many.take(a), [], 3).answer(many.columns[b]), many.y[b], 3) for a, b in parts]
    own = [loss(refitted(many.take(a), chosen, 3).answer(many.columns[b]), many.y[b], 3) for a, b in parts]
    assert all(mine <= other + 1e-9 for mine, other in zip(own, usual, strict=True))


def test_a_network_starts_at_the_readout_and_says_what_was_kept(tmp_path: Path) -> None:
    config = EstimatorConfig(normaliser="population", members=3, train=TrainConfig(epochs=1, residual="never"))
    found = Estimator(config).fit(scored())
    assert len(found.networks) == 1  # without a deep path all members are one
    network = found.networks[0]
    assert float(network.gate) == 0  # type: ignore[arg-type]
    assert not network.shortcut.weight.requires_grad  # type: ignore[union-attr]
    p = found.predict_proba(scored())
    assert (p.argmax(1) == scored().y).mean() > 0.8
    found.save(tmp_path / "model")
    np.testing.assert_allclose(Estimator.load(tmp_path / "model").predict_proba(scored()), p, rtol=1e-5)
    inner = Estimator(EstimatorConfig(normaliser="population", train=TrainConfig(epochs=1))).fit(scored())
    assert inner.begun is not None
    assert "deep path" in inner.begun.told
    with pytest.raises(InputError, match="residual 'often'"):
        TrainConfig(residual="often")  # type: ignore[arg-type]


class Deep(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("gate", torch.ones(1))

    def start_readout(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        self.sizes = (weight.shape, bias.shape)


@pytest.mark.parametrize("helps", [True, False])
def test_the_deep_path_is_kept_where_every_split_gains(helps: bool) -> None:
    all_rows = rows()
    half = np.arange(len(all_rows.y)) < 72
    splits = [(np.flatnonzero(half), np.flatnonzero(~half)), (np.flatnonzero(~half), np.flatnonzero(half))]
    readout = fit_readout(all_rows, splits, 3)

    made = []

    def trained(part, alone):  # type: ignore[no-untyped-def]
        made.append(part)
        network = Deep()
        start(network, alone)
        network.alone = alone
        return network

    def answers(network, part):  # type: ignore[no-untyped-def]
        right = np.eye(3)[all_rows.y[part[1]]] * (2.0 if helps else -2.0)
        return network.alone.answer(all_rows.columns[part[1]]) + float(network.gate) * right

    kept = judged(all_rows, readout, splits, 3, trained, answers)
    assert (kept.gate > 0) == helps
    assert ("not kept" in kept.told) != helps
    assert len(made) == (2 if helps else 1)  # what no share gains in one split is decided
