"""Networks trained as one program are those trained alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_cohort import scored
from torch import Tensor, nn

from insula.errors import InputError
from insula.learning import together
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.personal.personal import personalise, personalise_each
from insula.learning.personal.tuning_weights import PARTS, retrained, retrained_each
from insula.learning.together import Training, fit_together
from insula.learning.train import fit
from insula.learning.train_config import TrainConfig
from insula.types import Batch, InputSpec, ModelOutput
from insula.windows.table import Windows

CPU = torch.device("cpu")
CONFIG = TrainConfig(epochs=3, modality_dropout=0.3)


def people() -> list[Windows]:
    """Three people; one has given less, so that batches differ in stretches and in hops."""
    windows = scored()
    found = [windows.take((windows.table["subject"] == name).to_numpy()) for name in ("ann", "bob", "cyd")]
    return [found[0], found[1].take(np.arange(len(found[1]) - 3)), found[2]]


class Small(nn.Module):
    """Reads features of single windows; ``noise`` draws numbers that no stack can draw again."""

    def __init__(self, spec: InputSpec, noise: bool = False) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(sum(spec.features.values()), 8), nn.GELU(), nn.Dropout(0.4))
        self.head, self.noise = nn.Linear(8, spec.outputs), noise

    def forward(self, batch: Batch, _state: object = None) -> ModelOutput:
        h = self.net(torch.nan_to_num(torch.cat(list(batch.features.values()), -1)))
        h = h + torch.randn(h.shape) if self.noise and self.training else h
        return ModelOutput(self.head(h), h)


def trainings(factory: Callable[[InputSpec], nn.Module] | None, **options: object) -> list[Training]:
    found = []
    for i, windows in enumerate(people()):
        model = Estimator(EstimatorConfig(normaliser="population", options=options or None), factory)
        network = model.initialise(windows).built(i)
        found.append(Training(network, model.feed(windows), i, torch.get_rng_state()))
    return found


def alone(made: list[Training], config: TrainConfig) -> tuple[list[nn.Module], list[list[float]]]:
    networks, losses = [], []
    for one in made:
        network = copy.deepcopy(one.network)
        torch.set_rng_state(one.random)
        losses.append(fit(network, one.feed, None, config, classes=2, seed=one.seed, device=CPU).train)
        networks.append(network)
    return networks, losses


def same(one: nn.Module, other: nn.Module, tolerance: float = 5e-4) -> None:
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=tolerance), f"{name}: {float((a - b).abs().max()):.1e}"


@pytest.fixture
def only_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No training alone: what cannot be stacked fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained alone")

    monkeypatch.setattr(together, "fit", refuse)


@pytest.mark.parametrize("case", ["liquid", "equal", "ema", "small"])
@pytest.mark.usefixtures("only_stacks")
def test_a_stack_is_the_separate_trainings(case: str) -> None:
    options = {"liquid": {}, "equal": {"time_constants": "equal"}, "ema": {"core": "ema"}}.get(case, {})
    made = trainings(Small if case == "small" else None, **options)
    networks, losses = alone(made, CONFIG)
    before = [{n: p.clone() for n, p in one.network.named_parameters()} for one in made]
    told: list[tuple[int, int]] = []
    histories = fit_together(made, CONFIG, 2, CPU, lambda done, whole: told.append((done, whole)))
    for one, other, history, loss, old in zip(made, networks, histories, losses, before, strict=True):
        same(one.network, other)
        np.testing.assert_allclose(history.train, loss, rtol=1e-4)
        assert not one.network.training
        assert history.together == 3
        assert history.steps == len(history.train) * one.feed.steps(one.feed.batch_size(CONFIG))
        assert any(not torch.equal(p, old[n]) for n, p in one.network.named_parameters())
    assert told[-1] == (9, 9)


def test_what_cannot_be_stacked_is_trained_alone() -> None:
    made = trainings(lambda spec: Small(spec, noise=True))
    networks, losses = alone(made, CONFIG)
    histories = fit_together(made, CONFIG, 2, CPU)
    for one, other, history, loss in zip(made, networks, histories, losses, strict=True):
        same(one.network, other, 0.0)
        assert history.train == loss
        assert history.together == 1


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.usefixtures("only_stacks")
def test_a_cohort_is_retrained_as_each_person_is(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    population = Estimator(EstimatorConfig(normaliser="population")).initialise(scored())
    population.config = replace(population.config, train=replace(CONFIG, epochs=1))
    found = retrained_each(population, people(), part, seed=2, epochs=3)
    monkeypatch.setattr(together, "fit", fit)
    for model, windows in zip(found, people(), strict=True):
        single = retrained(population, windows, part, seed=2, epochs=3)
        same(model.networks[0], single.networks[0])
        changed = [not torch.equal(a, b) for a, b in zip(_values(model), _values(population), strict=True)]
        assert any(changed)
        np.testing.assert_allclose(model.predict_proba(windows), single.predict_proba(windows), atol=1e-4)


@pytest.mark.slow
def test_each_strategy_takes_a_cohort_and_refuses_as_for_one_person() -> None:
    population = Estimator(EstimatorConfig(normaliser="population")).initialise(scored())
    for strategy in ("population", "normalised", "bayes", "head"):
        made = personalise_each(population, people(), strategy)
        for model, windows in zip(made, people(), strict=True):
            single = personalise(population, windows, strategy)
            assert model.strategy == single.strategy == strategy
            np.testing.assert_allclose(model.predict_proba(windows), single.predict_proba(windows), atol=1e-4)
    with pytest.raises(InputError, match="windows of 3 people"):
        personalise_each(population, [people()[0], scored()], "head")


def _values(model: Estimator) -> list[Tensor]:
    return list(model.networks[0].state_dict().values())
