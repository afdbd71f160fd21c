"""Losses over people: an embedding tells less of who it is from, by training people alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mixed_cohort import people_told, windows
from torch import nn

import insula
from insula.errors import InputError, ProtocolError
from insula.learning.domains import Adversary, Correlation, Discrepancy, TurnRound, domain_terms
from insula.learning.losses import Said, Term
from insula.learning.train_config import TrainConfig
from insula.types import Batch, InputSpec, ModelOutput


class Powers(nn.Module):
    """Products of channels, an embedding, and a linear answer: the person stands in the embedding by itself."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        count = spec.signals["eeg"][0]
        self.body = nn.Sequential(nn.Linear(count * count, 32), nn.ReLU(), nn.Linear(32, 12))
        self.head = nn.Linear(12, spec.outputs)

    def forward(self, batch: Batch, state: object = None) -> ModelOutput:  # noqa: ARG002
        x = batch.signals["eeg"]  # (B, C, T)
        h = self.body((x @ x.transpose(1, 2) / x.shape[2]).flatten(1))
        return ModelOutput(self.head(h), h)


def hidden(kind: type[Term] | None, weight: float = 0.0, spread: bool = False) -> tuple[float, float]:
    """Accuracy of the person told from a linear embedding, and of the state, after training by both losses.

    A person stands in the means of four of six columns, or with ``spread`` in their deviations.
    """
    torch.manual_seed(0)
    n = 400
    who, state = torch.randint(0, 4, (n,)), torch.randint(0, 2, (n,))
    x = 0.5 * torch.randn(n, 6)
    x[:, 0] += 2 * state
    x[:, 1:5] = x[:, 1:5] * (1 + 3 * F.one_hot(who, 4)) if spread else x[:, 1:5] + 2 * F.one_hot(who, 4)
    net, head = nn.Linear(6, 4), nn.Linear(4, 2)
    terms = [] if kind is None else [Adversary(who, 4, weight) if kind is Adversary else kind(who, weight)]  # type: ignore[call-arg]
    learned = [p for one in (net, head, *terms) for p in one.parameters()]
    optimiser = torch.optim.Adam(learned, lr=1e-2)
    for step in range(300):
        h = net(x)
        loss = F.cross_entropy(head(h), state)
        for term in terms:
            loss = loss + term(Said(head(h), h, torch.arange(n), step / 300))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = net(x).detach().numpy()
    found = (found - found.mean(0)) / found.std(0)
    if spread:
        found = np.einsum("na,nb->nab", found, found).reshape(n, -1)
    return people_told(found, who.tolist()), float((head(net(x)).argmax(1) == state).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "weight"), [(Adversary, 1.0), (Discrepancy, 3.0)])
def test_an_embedding_tells_less_of_the_person(kind: type[Term], weight: float) -> None:
    before, _ = hidden(None)
    after, state = hidden(kind, weight)
    assert after < 0.75 < before
    assert state > 0.9


def test_correlations_tell_less_of_the_person() -> None:
    before, _ = hidden(None, spread=True)
    after, state = hidden(Correlation, 3.0, spread=True)
    assert after < before - 0.15
    assert state > 0.9


@pytest.mark.slow
def test_training_takes_the_loss() -> None:
    of = windows().scored
    told = {}
    for weight in (0.0, 1.0):
        how = {"epochs": 40, "normaliser": "population", "validation_fraction": 0.0, "batch_trials": 2, "average": 0.0}
        model = insula.make("powers", factory=Powers, mmd=weight, **how).fit(of)
        told[weight] = people_told(model.embed(of), of.table["subject"].tolist())  # type: ignore[attr-defined]
        assert float((model.predict(of) == of.y).mean()) > 0.8
    assert told[1.0] < told[0.0] - 0.3


def test_the_gradient_is_turned_round() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    out = TurnRound.apply(x, 0.5)
    assert torch.equal(out, x)
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-0.5, -0.5]


def test_distances_are_zero_for_equal_people_and_not_else() -> None:
    torch.manual_seed(0)
    one = torch.randn(50, 3)
    people = torch.tensor([0] * 50 + [1] * 50)
    scale = torch.tensor([3.0, 1.0, 0.2])
    for kind in (Correlation, Discrepancy):
        term = kind(people, 1.0)
        same = term(Said(torch.zeros(100, 2), torch.cat([one, one]), torch.arange(100), 0.5))
        other = term(Said(torch.zeros(100, 2), torch.cat([one, one * scale]), torch.arange(100), 0.5))
        assert abs(float(same)) < 1e-6 < 0.01 < float(other)
        alone = term(Said(torch.zeros(50, 2), one, torch.arange(50), 0.5))
        assert float(alone) == 0.0


def test_the_adversary_begins_weak_and_grows() -> None:
    term = Adversary(torch.tensor([0, 1]), 3, 1.0)
    sizes = []
    for done in (0.0, 0.5, 1.0):
        h = torch.ones(2, 3, requires_grad=True)
        term(Said(torch.zeros(2, 2), h, torch.arange(2), done)).backward()
        assert h.grad is not None
        sizes.append(float(h.grad.norm()))
    assert sizes[0] == 0.0 < sizes[1] < sizes[2]


def test_one_person_and_bad_weights_are_refused() -> None:
    of = windows().scored
    alone = of.take((of.table["subject"] == "ann").to_numpy())
    with pytest.raises(ProtocolError, match="two people or more"):
        insula.make("eegnet", adversarial=1.0, epochs=1, normaliser="population").fit(alone)
    with pytest.raises(InputError, match="mmd -1"):
        TrainConfig(mmd=-1.0)
    assert domain_terms(alone, 4, TrainConfig(), 0) == []


def test_losses_are_off_by_default_and_change_nothing() -> None:
    of = windows().scored
    a, b = (insula.make("eegnet", epochs=1, normaliser="population", **more).fit(of) for more in ({}, {"mmd": 0.0}))
    np.testing.assert_array_equal(a.predict_proba(of), b.predict_proba(of))
