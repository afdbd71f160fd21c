"""TCN: causal, wide enough to see the whole window, on one grid."""

from __future__ import annotations

import pytest
import torch
from model_inputs import make_batch, make_spec

from insula.errors import InputError
from insula.models.tcn import Branch, CausalConv, TemporalConvolution


def trunk_steps(model: TemporalConvolution, values: torch.Tensor) -> torch.Tensor:
    observed = torch.ones(values.shape[0], values.shape[-1], dtype=torch.bool)
    result: torch.Tensor = model.trunk(model.mix(model.branches["bvp"](values, observed)))
    return result


@pytest.mark.parametrize(("window_s", "grid_hz", "steps"), [(4.0, 16.0, 64), (16.0, 4.0, 64), (60.0, 4.0, 240)])
def test_grid_follows_the_window(window_s: float, grid_hz: float, steps: int) -> None:
    model = TemporalConvolution(make_spec("bvp", window_s=window_s))
    assert (model.grid_hz, model.steps) == (grid_hz, steps)


def test_no_step_sees_what_comes_after_it() -> None:
    torch.manual_seed(0)
    spec = make_spec("bvp", window_s=16.0, traits=0)
    model = TemporalConvolution(spec).eval()
    values = torch.randn(1, 1, 1024)
    changed = values.clone()
    changed[..., 640:] += 3.0  # from 10 s on
    with torch.no_grad():
        before, after = trunk_steps(model, values), trunk_steps(model, changed)
    assert torch.equal(before[..., :40], after[..., :40])  # 4 Hz: steps 0 to 39 end at or before 10 s
    assert not torch.allclose(before[..., 40], after[..., 40])


def test_last_step_sees_the_first_and_the_last_sample() -> None:
    torch.manual_seed(0)
    model = TemporalConvolution(make_spec("bvp", window_s=60.0, traits=0)).eval()
    values = torch.randn(1, 1, 3840).requires_grad_()
    trunk_steps(model, values)[..., -1].sum().backward()
    assert values.grad is not None
    assert values.grad[0, 0, 0].abs() > 0
    assert values.grad[0, 0, -1].abs() > 0


def test_slow_signal_is_held_until_its_next_sample() -> None:
    torch.manual_seed(0)
    branch = Branch(1, 1.0, 4.0, 16, 8).eval()
    steps = branch(torch.randn(1, 1, 4), torch.ones(1, 4, dtype=torch.bool))
    assert steps.shape == (1, 8, 16)
    for second in range(4):
        block = steps[..., 4 * second : 4 * second + 4]
        assert torch.equal(block, block[..., :1].expand_as(block))
    assert not torch.equal(steps[..., 3], steps[..., 4])


@pytest.mark.parametrize(
    ("rate_hz", "strides"), [(128.0, [8, 4]), (64.0, [8, 2]), (52.0, [13]), (4.0, [1]), (6.0, [1])]
)
def test_any_rate_comes_to_the_grid(rate_hz: float, strides: list[int]) -> None:
    branch = Branch(2, rate_hz, 4.0, 16, 8)
    assert [stage.convolve.stride[0] for stage in branch.stages if isinstance(stage, CausalConv)] == strides
    samples = round(4 * rate_hz)
    assert branch(torch.randn(1, 2, samples), torch.ones(1, samples, dtype=torch.bool)).shape == (1, 8, 16)


def test_unobserved_samples_are_ignored_but_known() -> None:
    torch.manual_seed(0)
    branch = Branch(1, 64.0, 4.0, 16, 8).eval()
    values, observed = torch.randn(1, 1, 256), torch.ones(1, 256, dtype=torch.bool)
    observed[:, 100:] = False
    spoiled = torch.where(observed[:, None], values, torch.full_like(values, torch.nan))
    hidden = torch.where(observed[:, None], values, torch.zeros_like(values))
    assert torch.equal(branch(spoiled, observed), branch(values, observed))
    assert not torch.equal(branch(hidden, torch.ones_like(observed)), branch(values, observed))


def test_options() -> None:
    spec = make_spec("eda")
    model = TemporalConvolution(spec, swa=False, swa_start=0.5)
    assert (model.swa, model.swa_start) == (False, 0.5)
    assert TemporalConvolution(spec).swa
    with pytest.raises(InputError, match="swa_start"):
        TemporalConvolution(spec, swa_start=1.0)
    with pytest.raises(InputError, match="grid_hz"):
        TemporalConvolution(spec, grid_hz=0.0)
    with pytest.raises(InputError, match="modality"):
        TemporalConvolution(make_spec())


def test_other_windows_and_missing_modalities_are_refused() -> None:
    spec = make_spec("eda", "bvp")
    model = TemporalConvolution(spec)
    with pytest.raises(InputError, match="window_s"):
        model(make_batch(make_spec("eda", "bvp", window_s=2.0), 1))
    with pytest.raises(InputError, match="batch without bvp"):
        model(make_batch(make_spec("eda"), 1))


def test_averaged_weights_work_without_further_data() -> None:
    """The network has no batch statistics, so that averaged weights need no second pass."""
    model = TemporalConvolution(make_spec("eda"))
    averaged = torch.optim.swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    assert not any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in model.modules())
    batch = make_batch(make_spec("eda"), 2)
    model.eval()
    averaged.eval()
    torch.testing.assert_close(averaged(batch).logits, model(batch).logits)
