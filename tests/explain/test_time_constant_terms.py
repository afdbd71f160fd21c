"""Controls of the time constants control the gains too; statistics leave settling and padding out."""

from __future__ import annotations

import pytest
import torch
from small_cohort import scored

from insula.explain.time_constants import observed_stretches
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.train_config import TrainConfig


@pytest.mark.parametrize("how", ["frozen", "equal"])
def test_controls_learn_neither_time_constants_nor_gains(how: str) -> None:
    config = EstimatorConfig(options={"time_constants": how}, train=TrainConfig(epochs=1, residual="always"))
    before = Estimator(config).initialise(scored()).networks[0]
    after = Estimator(config).fit(scored()).networks[0]
    layers = zip(before.liquid_layers().values(), after.liquid_layers().values(), strict=True)  # type: ignore[operator]
    for first, last in layers:
        assert torch.equal(first.log_tau, last.log_tau)
        assert torch.equal(first.log_gain, last.log_gain)
        if how == "equal":
            assert torch.equal(last.log_tau, last.log_tau[:1].expand_as(last.log_tau))
            assert torch.equal(last.log_gain, -last.log_tau)
    learned = Estimator(EstimatorConfig(train=TrainConfig(epochs=1, residual="always")))
    start, end = (
        n.networks[0].liquid_layers() for n in (learned.initialise(scored()), Estimator(learned.config).fit(scored()))
    )  # type: ignore[operator]
    assert any(not torch.equal(start[k].log_gain, end[k].log_gain) for k in start)


def test_statistics_leave_out_the_settling_step_and_padding() -> None:
    tau = torch.arange(12.0).reshape(2, 6, 1) + 1
    elapsed = torch.full((2, 6, 1), 0.5)
    seen = torch.tensor([[False, True, True, False, True, False], [False] * 6])
    elapsed[0, 1] = 1e5  # the network settles here
    found = list(observed_stretches(tau, elapsed, seen))
    assert len(found) == 1
    own, seconds = found[0]
    assert own.ravel().tolist() == [3, 4, 5]
    assert seconds.ravel().tolist() == [0.5, 0.5, 0.5]
