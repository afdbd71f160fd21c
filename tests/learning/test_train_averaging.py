"""Stochastic weight averaging: the equal mean of the last epochs' weights, at a learning rate that is held."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from small_cohort import scored
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from insula.learning.batches import Prepared
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.feed import Feed
from insula.learning.train import fit
from insula.learning.train_config import TrainConfig
from insula.types import Batch, ModelOutput

EPOCHS = 8


class Runner(nn.Module):
    """Its weight moves by the learning rate each step; its held-out loss grows from epoch to epoch."""

    def __init__(self, swa: bool, swa_start: float = 0.5) -> None:
        super().__init__()
        self.swa, self.swa_start = swa, swa_start
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, batch: Batch, state: object = None) -> ModelOutput:
        logits = self.weight.expand(len(batch.traits), 2)
        return ModelOutput(logits, logits, state)

    def loss(self, output: ModelOutput, target: Tensor) -> Tensor:
        del target
        return -output.logits.mean() if self.training else output.logits.mean()


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return Estimator(EstimatorConfig(train=TrainConfig(epochs=1))).initialise(scored()).prepare(scored())


def run(model: Runner, prepared: Prepared, validation: bool = False, patience: int = 2) -> tuple[list[float], int]:
    """Weights of each epoch's end, and the epoch that was kept."""
    ends: list[float] = []
    feed = Feed(prepared, "window")
    history = fit(
        model, feed, feed if validation else None, TrainConfig(epochs=EPOCHS, batch_trials=1, patience=patience),
        classes=2, seed=0, device=torch.device("cpu"), progress=lambda *_: ends.append(float(model.weight.detach())),
    )  # fmt: skip
    return ends, history.best


def test_average_is_that_of_torch_from_the_start_epoch_on(prepared: Prepared) -> None:
    model = Runner(swa=True)
    ends, best = run(model, prepared)
    averaged = AveragedModel(Runner(swa=True))
    for value in ends[EPOCHS // 2 :]:
        epoch = Runner(swa=True)
        nn.init.constant_(epoch.weight, value)
        averaged.update_parameters(epoch)
    assert float(model.weight.detach()) == pytest.approx(float(averaged.module.weight.detach()), rel=1e-6)
    assert float(model.weight.detach()) == pytest.approx(sum(ends[4:]) / 4, rel=1e-5)
    assert best == EPOCHS - 1


def test_learning_rate_is_held_while_weights_are_averaged(prepared: Prepared) -> None:
    def steps(swa: bool) -> list[float]:
        ends, _ = run(Runner(swa), prepared)
        return [b - a for a, b in pairwise(ends)]

    held, falling = steps(True), steps(False)
    assert held[:3] == pytest.approx(falling[:3], rel=1e-6)
    assert held[4:] == pytest.approx([held[4]] * 3, rel=1e-2)
    assert falling[-1] < 0.2 * falling[3]


def test_validation_neither_stops_nor_chooses(prepared: Prepared) -> None:
    model = Runner(swa=True)
    ends, best = run(model, prepared, validation=True)
    assert len(ends) == EPOCHS
    assert best == EPOCHS - 1
    assert float(model.weight.detach()) == pytest.approx(sum(ends[4:]) / 4, rel=1e-5)
    stopped, _ = run(Runner(swa=False), prepared, validation=True)
    assert len(stopped) < EPOCHS


def test_late_start_keeps_the_last_epoch_and_tcn_asks_for_it(prepared: Prepared) -> None:
    model = Runner(swa=True, swa_start=0.99)
    ends, _ = run(model, prepared)
    assert float(model.weight.detach()) == pytest.approx(ends[-1], rel=1e-6)
    fitted = Estimator(EstimatorConfig(model="tcn", train=TrainConfig(epochs=2))).fit(scored())
    other = Estimator(EstimatorConfig(model="tcn", train=TrainConfig(epochs=2), options={"swa": False})).fit(scored())
    pairs = zip(fitted.networks[0].parameters(), other.networks[0].parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)
