"""The leaky sum and the gated recurrence on compiled kernels against their plain references."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from insula.errors import InputError
from insula.models.cells.bank import LiquidBank
from insula.models.cells.cores import ExponentialAverage, GatedRecurrent
from insula.models.kernels import reference_only
from insula.models.kernels.scan import SPAN, reference, scan

LAYERS = {
    "bank": lambda: LiquidBank(3, (4.0, 400.0)),
    "ema": lambda: ExponentialAverage(3, 7, (1.0, 60.0)),
    "gru": lambda: GatedRecurrent(3, 7),
}


def gradients(out: Tensor, *leaves: Tensor) -> list[Tensor]:
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape_as(out)
    return list(torch.autograd.grad((out * weights).sum() + out.square().sum(), leaves))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 9999),
    batch=st.sampled_from([1, 3, 35]),
    steps=st.integers(1, 2 * SPAN + 3),
    units=st.integers(1, 20),
)
def test_the_leaky_sum_equals_its_reference_and_a_loop(seed: int, batch: int, steps: int, units: int) -> None:
    torch.manual_seed(seed)
    log_keep, fresh, state = (
        -torch.rand(batch, steps, units),
        torch.randn(batch, steps, units),
        torch.rand(batch, units),
    )
    leaves = [t.requires_grad_() for t in (log_keep, fresh, state)]
    double = [t.detach().double().requires_grad_() for t in leaves]
    got, expected = scan(*leaves), reference(*double)
    h, looped = double[2], []
    for t in range(steps):
        h = double[0][:, t].exp() * h + double[1][:, t]
        looped.append(h)
    torch.testing.assert_close(expected, torch.stack(looped, 1))
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-5)
    for a, b in zip(gradients(got, *leaves), gradients(expected, *double), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 9999),
    batch=st.sampled_from([1, 4, 5, 67]),
    steps=st.integers(1, 9),
    inputs=st.integers(1, 9),
    units=st.sampled_from([1, 5, 9, 16, 17, 33]),
)
def test_the_gated_recurrence_equals_torchs(seed: int, batch: int, steps: int, inputs: int, units: int) -> None:
    torch.manual_seed(seed)
    layer = GatedRecurrent(inputs, units)
    u, state = torch.randn(batch, steps, inputs, requires_grad=True), torch.randn(batch, units, requires_grad=True)
    seen = torch.rand(batch, steps) < 0.7
    leaves = [u, state, *layer.parameters()]
    got, last = layer(u, torch.ones(batch, steps, 1), seen, state)
    with reference_only():
        expected, expected_last = layer(u, torch.ones(batch, steps, 1), seen, state)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=2e-6)
    torch.testing.assert_close(last, expected_last, rtol=1e-5, atol=2e-6)
    for a, b in zip(gradients(got, *leaves), gradients(expected, *leaves), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * max(1.0, float(b.abs().max())))


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_are_the_same_with_and_without_kernels_and_in_pieces(kind: str) -> None:
    torch.manual_seed(3)
    layer, u = LAYERS[kind](), torch.randn(5, 40, 3)
    seen = torch.rand(5, 40, 3) < 0.8 if kind == "bank" else torch.rand(5, 40) < 0.8
    elapsed = torch.full((5, 40, 1), 2.0)
    whole, _ = layer(u, elapsed, seen)
    with reference_only():
        plain, _ = layer(u, elapsed, seen)
    torch.testing.assert_close(whole, plain, rtol=1e-4, atol=2e-5)
    first, state = layer(u[:, :13], elapsed[:, :13], seen[:, :13])
    rest, _ = layer(u[:, 13:], elapsed[:, 13:], seen[:, 13:], state)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole, rtol=1e-4, atol=2e-5)
    alone, _ = layer(u[2:3], elapsed[2:3], seen[2:3])
    torch.testing.assert_close(alone, whole[2:3], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_second_derivative_is_refused(kind: str) -> None:
    layer, u = LAYERS[kind](), torch.randn(2, 3, 3, requires_grad=True)
    out, _ = layer(u, torch.ones(2, 3, 1))
    with pytest.raises(InputError, match="create_graph"):
        torch.autograd.grad(out.sum(), u, create_graph=True)
