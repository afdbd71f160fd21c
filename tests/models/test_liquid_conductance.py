"""The conductance LTC cell: weights of ncps, bounds, convergence, missing samples, time constants."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from insula.errors import InputError
from insula.models.cells.conductance import ConductanceLTC
from insula.models.cells.wiring import Wiring
from insula.models.kernels import reference_only


def cell(inputs: int = 3, units: int = 5, **options) -> ConductanceLTC:
    torch.manual_seed(0)
    return ConductanceLTC(inputs, units, **options).double()


def sequence(batch: int = 2, steps: int = 6, inputs: int = 3, seed: int = 1) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    u = torch.randn(batch, steps, inputs, generator=random, dtype=torch.float64)
    return u, torch.rand(batch, steps, 1, generator=random, dtype=torch.float64) * 0.5


def opponents() -> list[object]:
    wirings = pytest.importorskip("ncps.wirings")
    return [7, wirings.AutoNCP(20, 4, seed=3)]


@pytest.mark.parametrize("softplus", [True, False])
@pytest.mark.parametrize("which", [0, 1])
def test_equal_to_ncps_and_back(which: int, softplus: bool) -> None:
    ncps = pytest.importorskip("ncps.torch")
    torch.manual_seed(1)
    wiring = opponents()[which]
    theirs = ncps.LTC(3, wiring, implicit_param_constraints=softplus, ode_unfolds=5)
    ours = ConductanceLTC.from_ncps(theirs.state_dict(), sub_steps=5, softplus=softplus)
    u = torch.randn(6, 8, 3)
    start = torch.rand(6, ours.units)
    expected, last = theirs(u, start)
    ones = torch.ones(6, 8, 1)
    for compiled in (True, False):
        if compiled:
            got, state = ours(u, ones, None, start)
        else:
            with reference_only():
                got, state = ours(u, ones, None, start)
        assert (got - expected).abs().max().item() < 1e-5
        assert (state - last).abs().max().item() < 1e-5
    another = ncps.LTC(3, wiring, implicit_param_constraints=softplus, ode_unfolds=5)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.mul_(0.9)
    another.load_state_dict(ours.to_ncps("rnn_cell."))
    assert (another(u, start)[0] - ours(u, ones, None, start)[0]).abs().max().item() < 1e-5


def test_gradients_equal_those_of_ncps() -> None:
    ncps = pytest.importorskip("ncps.torch")
    torch.manual_seed(2)
    theirs = ncps.LTC(3, 6)
    ours = ConductanceLTC.from_ncps(theirs.state_dict())
    u = torch.randn(4, 5, 3)
    theirs(u)[0].square().sum().backward()
    ours(u, torch.ones(4, 5, 1))[0].square().sum().backward()
    for own, name in (("slope", "sigma"), ("sensory_weight", "sensory_w"), ("rest", "vleak"), ("capacitance", "cm")):
        expected = getattr(theirs.rnn_cell, name).grad
        torch.testing.assert_close(getattr(ours, own).grad, expected, rtol=1e-4, atol=1e-6)


def test_missing_weights_are_named() -> None:
    with pytest.raises(InputError, match="without cm, erev"):
        ConductanceLTC.from_ncps({"gleak": torch.ones(3)})


def test_gradients_against_finite_differences() -> None:
    liquid = cell(2, 3, sub_steps=2)
    u, elapsed = sequence(2, 3, 2)
    observed = torch.tensor([[True, False, True], [True, True, True]])
    state = torch.rand(2, 3, dtype=torch.float64)
    names, values = zip(*liquid.named_parameters(), strict=True)

    def run(u: Tensor, elapsed: Tensor, state: Tensor, *weights: Tensor) -> Tensor:
        arguments = (u, elapsed, observed, state)
        return torch.func.functional_call(liquid, dict(zip(names, weights, strict=True)), arguments)[0]

    assert torch.autograd.gradcheck(run, [t.detach().clone().requires_grad_() for t in (u, elapsed, state, *values)])


def test_first_order_convergence_in_sub_steps() -> None:
    u, elapsed = sequence()
    exact = cell(sub_steps=1024)(u, elapsed)[0]
    errors = [(cell(sub_steps=k)(u, elapsed)[0] - exact).abs().max().item() for k in (16, 32, 64)]
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert all(0.85 < order < 1.25 for order in orders), (errors, orders)


def test_constant_input_reaches_the_analytic_fixed_point() -> None:
    liquid = cell()
    with torch.no_grad():
        liquid.recurrent_mask.zero_()
    u = torch.randn(1, 1, 3, dtype=torch.float64)
    _, state = liquid(u.expand(1, 300, 3), torch.ones(1, 300, 1, dtype=torch.float64))
    softplus = torch.nn.functional.softplus
    active = softplus(liquid.sensory_weight) * torch.sigmoid(
        liquid.sensory_slope * (u[0, 0].unsqueeze(-1) - liquid.sensory_midpoint)
    )
    leak = softplus(liquid.leak)
    expected = (leak * liquid.rest + (active * liquid.sensory_reversal).sum(0)) / (leak + active.sum(0))
    torch.testing.assert_close(state[0], expected, atol=1e-7, rtol=0)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 6), longest=st.floats(1e-3, 1e3), scale=st.floats(0.1, 30))
def test_bounds(seed: int, k: int, longest: float, scale: float) -> None:
    torch.manual_seed(seed)
    liquid = ConductanceLTC(2, 4, k).double()
    u, elapsed = torch.randn(3, 5, 2).double() * scale, torch.rand(3, 5, 1).double() * longest
    states = liquid(u, elapsed)[0]
    reversals = torch.cat([liquid.reversal, liquid.sensory_reversal, liquid.rest[None], torch.zeros(1, 4)])
    assert (states >= reversals.min(0).values - 1e-7).all()
    assert (states <= reversals.max(0).values + 1e-7).all()
    taus = liquid.time_constants(u, elapsed)
    softplus = torch.nn.functional.softplus
    longest_tau = softplus(liquid.capacitance) / softplus(liquid.leak)
    most = softplus(liquid.leak) + softplus(liquid.weight).sum(0) + softplus(liquid.sensory_weight).sum(0)
    assert (taus <= longest_tau * (1 + 1e-9)).all()
    assert (taus >= softplus(liquid.capacitance) / most * (1 - 1e-9)).all()


def test_step_by_step_equals_whole_and_rows_keep_their_time() -> None:
    liquid = cell(units=4)
    u, elapsed = sequence(4, 7)
    observed = torch.rand(4, 7) < 0.7
    whole, last = liquid(u, elapsed, observed)
    state, pieces = None, []
    for cut in (slice(0, 1), slice(1, 4), slice(4, 7)):
        out, state = liquid(u[:, cut], elapsed[:, cut], observed[:, cut], state)
        pieces.append(out)
    torch.testing.assert_close(torch.cat(pieces, 1), whole)
    torch.testing.assert_close(state, last)
    one = slice(2, 3)
    torch.testing.assert_close(liquid(u[one], elapsed[one], observed[one])[0], whole[one])


def test_no_time_no_change() -> None:
    liquid = cell()
    state = torch.rand(2, 5, dtype=torch.float64)
    u, elapsed = sequence()
    torch.testing.assert_close(liquid(u, elapsed * 0, None, state)[1], state)


def test_unobserved_sample_silences_the_sensory_synapses() -> None:
    liquid = cell()
    u, elapsed = sequence(1, 3)
    u[0, 1] = math.nan
    out = liquid(u, elapsed, torch.tensor([[True, False, True]]))[0]
    assert out.isfinite().all()
    deaf = cell()
    with torch.no_grad():
        deaf.sensory_mask.zero_()
    first = liquid(u[:, :1], elapsed[:, :1])[1]
    torch.testing.assert_close(deaf(torch.zeros_like(u[:, 1:2]), elapsed[:, 1:2], None, first)[1], out[:, 1])


def test_wiring_reads_out_motor_neurons_and_masks_synapses() -> None:
    wiring = Wiring.policy(3, 4, 3, 2, sensory_fanout=2, inter_fanout=2, recurrent_command=2, motor_fanin=2)
    liquid = cell(3, 9, wiring=wiring)
    u, elapsed = sequence(2, 12)
    out, state = liquid(u, elapsed)
    assert out.shape == (2, 12, 2)
    assert state.shape == (2, 9)
    out.square().sum().backward()
    assert (liquid.weight.grad[torch.from_numpy(wiring.recurrent == 0)] == 0).all()
    assert (liquid.sensory_weight.grad[torch.from_numpy(wiring.sensory == 0)] == 0).all()
    assert liquid.sensory_weight.grad.abs().sum() > 0


def test_models_can_be_stacked_under_vmap() -> None:
    u, elapsed = (t.float() for t in sequence())
    cells = [ConductanceLTC(3, 4) for _ in range(2)]
    weights, buffers = torch.func.stack_module_state(cells)

    def run(weights: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(cells[0], (weights, buffers), (u, elapsed))[0]

    stacked = torch.func.vmap(run)(weights, buffers)
    for i, each in enumerate(cells):
        torch.testing.assert_close(stacked[i], each(u, elapsed)[0], atol=1e-5, rtol=0)
