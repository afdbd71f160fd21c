"""Training steps are torch's own, and no fit loads torch's compiler."""

from __future__ import annotations

import inspect
import sys

import pytest
import torch
from own_model import MyNet
from small_cohort import scored
from torch import Tensor, nn

from insula.learning.eager_adamw import EagerAdamW
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.train_config import TrainConfig


def steps(made: type[torch.optim.AdamW], **options: bool) -> list[Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    groups = [{"params": [net[0].weight, net[2].weight], "weight_decay": 0.1}, {"params": [net[0].bias], "lr": 0.5}]
    optimiser = made(groups, lr=0.05, **options)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [0.05, 0.5], total_steps=9)
    for _ in range(8):
        loss = net(torch.randn(5, 3)).square().sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return [p.detach() for p in net.parameters()]


@pytest.mark.parametrize("fused", [True, False])
def test_steps_are_those_of_torch(fused: bool) -> None:
    ours, theirs = steps(EagerAdamW, fused=fused), steps(torch.optim.AdamW, fused=fused)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_no_fit_loads_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # importing it fails now
    for wrapped in (torch.optim.Optimizer.add_param_group, torch.optim.Optimizer.zero_grad):
        monkeypatch.delattr(inspect.unwrap(wrapped), "__dynamo_disable", raising=False)
    with pytest.raises(ImportError):
        torch.optim.AdamW([nn.Parameter(torch.ones(1))])
    train = TrainConfig(epochs=1, batch_trials=4)
    Estimator(EstimatorConfig(train=train), MyNet).fit(scored())
