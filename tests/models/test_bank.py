"""The liquid bank: 1/n for the first observations, no clock, streaming, columns apart."""

from __future__ import annotations

import copy

import pytest
import torch

from insula.errors import InputError
from insula.models.cells.bank import LiquidBank
from insula.models.kernels.scan import SPAN


def bank(liquid: bool = True, columns: int = 3) -> LiquidBank:
    return LiquidBank(columns, (4.0, 400.0), liquid)


def hops(steps: int = 2 * SPAN + 3, columns: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, steps, columns, generator=generator), torch.full((2, steps, 1), 2.0)


def test_slow_neurons_begin_as_a_running_mean() -> None:
    inputs, elapsed = hops(6)
    out, _ = bank(liquid=False)(inputs, elapsed)
    means = inputs.cumsum(1) / torch.arange(1, 7).view(1, -1, 1)
    torch.testing.assert_close(out[..., 3:], means, rtol=0.02, atol=0.02)
    torch.testing.assert_close(out[:, 0, :3], inputs[:, 0])


def test_a_liquid_neuron_begins_near_the_running_mean_too() -> None:
    inputs, elapsed = hops(6)
    out, _ = bank()(inputs, elapsed)
    means = inputs.cumsum(1) / torch.arange(1, 7).view(1, -1, 1)
    assert float((out[..., 3:] - means).abs().max().detach()) < 0.35
    assert torch.corrcoef(torch.stack([out[..., 3:].flatten(), means.flatten()]))[0, 1] > 0.99


@pytest.mark.parametrize("liquid", [True, False])
def test_a_constant_column_tells_no_time(liquid: bool) -> None:
    steady = torch.full((1, 50, 3), 0.7)
    out, _ = bank(liquid)(steady, torch.full((1, 50, 1), 2.0))
    assert float((out - out[:, :1]).abs().max().detach()) < 1e-4


@pytest.mark.parametrize("liquid", [True, False])
def test_whole_equals_pieces_and_single_steps(liquid: bool) -> None:
    inputs, elapsed = hops()
    seen = torch.rand(inputs.shape, generator=torch.Generator().manual_seed(1)) > 0.3
    layer = bank(liquid)
    whole, last = layer(inputs, elapsed, seen)
    for size in (1, 5, SPAN):
        state, parts = None, []
        for k in range(0, inputs.shape[1], size):
            out, state = layer(inputs[:, k : k + size], elapsed[:, k : k + size], seen[:, k : k + size], state)
            parts.append(out)
        torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(state, last, rtol=1e-4, atol=1e-5)


def test_columns_do_not_touch_each_other_and_gaps_hold() -> None:
    inputs, elapsed = hops(10)
    layer = bank()
    other = inputs.clone()
    other[..., 1] += 5
    a, b = layer(inputs, elapsed)[0], layer(other, elapsed)[0]
    torch.testing.assert_close(a[..., [0, 2, 3, 5]], b[..., [0, 2, 3, 5]])
    seen = torch.ones(2, 10, 3, dtype=torch.bool)
    seen[:, 4:, 1] = False
    held, _ = layer(torch.where(seen, inputs, torch.full_like(inputs, float("nan"))), elapsed, seen)
    torch.testing.assert_close(held[:, 4:, 1], held[:, 3:4, 1].expand(-1, 6))
    none, _ = layer(inputs, elapsed, torch.zeros_like(seen))
    assert not none.any()


def test_time_constants_and_gradients() -> None:
    inputs, elapsed = hops(8)
    layer = bank()
    tau = layer.time_constants(inputs, elapsed)
    assert ((tau < layer.tau_s) & (tau > layer.tau_s / 2)).all()  # the gain is 1/tau
    layer(inputs, elapsed)[0].square().sum().backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in layer.parameters())
    assert float(layer.log_tau.grad.abs().max()) > 0
    with pytest.raises(InputError, match="0 columns"):
        LiquidBank(0, (1.0,))


@pytest.mark.parametrize(("batch", "steps", "columns", "tau_s"), [(4, 9, 13, (4.0, 40.0)), (2, 90, 3, (2.0, 1200.0))])
@pytest.mark.parametrize("carried", [False, True])
def test_the_kernel_equals_the_plain_form_in_double_precision(
    batch: int, steps: int, columns: int, tau_s: tuple[float, ...], carried: bool
) -> None:
    torch.manual_seed(0)
    layer = LiquidBank(columns, tau_s)
    with torch.no_grad():
        for weight in (layer.steepness, layer.bias, layer.reversal):
            weight.add_(0.1 * torch.randn_like(weight))
    seen = torch.rand(batch, steps, columns) > 0.3
    before = torch.cat([torch.rand(batch, layer.units), -torch.rand(batch, layer.units)], -1)
    given = [torch.randn(batch, steps, columns), torch.rand(batch, steps, 1) + 0.5, *([before] if carried else [])]
    found = []
    for one, values in ((layer, given), (copy.deepcopy(layer).double(), [v.double() for v in given])):
        leaves = [v.requires_grad_() for v in values]
        out, last = one(*leaves[:2], seen, *leaves[2:])
        asked, asked_last = torch.linspace(-1, 1, out.numel()), torch.linspace(1, -1, last.numel())
        total = (out * asked.view_as(out)).sum() + (last * asked_last.view_as(last)).sum()
        found.append([out, last, *torch.autograd.grad(total, [*leaves, *one.parameters()])])
    for got, expected in zip(*found, strict=True):
        scale = max(1.0, float(expected.detach().abs().max()))
        torch.testing.assert_close(got.double(), expected, rtol=1e-4, atol=1e-5 * scale)
