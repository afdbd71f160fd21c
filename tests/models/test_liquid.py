"""The neural LTC cell: its mathematics, bounds, missing samples, time constants and memory."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from insula.errors import InputError
from insula.models.cells.liquid import NeuralLTC, retention
from insula.models.cells.wiring import Wiring


def cell(inputs: int = 3, units: int = 5, tau_s: tuple[float, float] = (0.1, 2.0), **options) -> NeuralLTC:
    torch.manual_seed(0)
    made = NeuralLTC(inputs, units, tau_s, **options)
    with torch.no_grad():
        made.bias.normal_()
    return made.double()


def sequence(batch: int = 2, steps: int = 6, inputs: int = 3, seed: int = 1) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    u = torch.randn(batch, steps, inputs, generator=random, dtype=torch.float64)
    return u, torch.rand(batch, steps, 1, generator=random, dtype=torch.float64) * 0.5


@pytest.mark.parametrize("solver", ["fused", "exponential"])
def test_gradients_against_finite_differences(solver: str) -> None:
    liquid = cell(2, 3, sub_steps=2, solver=solver)
    u, elapsed = sequence(2, 3, 2)
    observed = torch.tensor([[True, False, True], [True, True, True]])
    state = torch.rand(2, 3, dtype=torch.float64)
    names, values = zip(*liquid.named_parameters(), strict=True)

    def run(u: Tensor, elapsed: Tensor, state: Tensor, *weights: Tensor) -> Tensor:
        arguments = (u, elapsed, observed, state)
        return torch.func.functional_call(liquid, dict(zip(names, weights, strict=True)), arguments)[0]

    given_ = [t.detach().clone().requires_grad_() for t in (u, elapsed, state, *values)]
    assert torch.autograd.gradcheck(run, given_)


@pytest.mark.parametrize("solver", ["fused", "exponential"])
def test_first_order_convergence_in_sub_steps(solver: str) -> None:
    u, elapsed = sequence()
    errors = []
    exact = cell(sub_steps=512, solver=solver)(u, elapsed)[0]
    for k in (8, 16, 32):
        errors.append((cell(sub_steps=k, solver=solver)(u, elapsed)[0] - exact).abs().max().item())
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert all(0.85 < order < 1.25 for order in orders), (errors, orders)


def test_both_solvers_have_one_limit() -> None:
    u, elapsed = sequence()
    fused, exponential = (cell(sub_steps=512, solver=s)(u, elapsed)[0] for s in ("fused", "exponential"))
    torch.testing.assert_close(fused, exponential, atol=2e-3, rtol=0)


@pytest.mark.parametrize("solver", ["fused", "exponential"])
def test_constant_input_reaches_the_analytic_fixed_point(solver: str) -> None:
    liquid = cell(solver=solver)
    with torch.no_grad():
        liquid.recurrent_weight.zero_()
    u = torch.randn(1, 1, 3, dtype=torch.float64).expand(1, 400, 3)
    _, state = liquid(u, torch.full((1, 400, 1), 0.25, dtype=torch.float64))
    f = liquid.gain_hz * torch.sigmoid(u[:, 0] @ liquid.input_weight + liquid.bias)
    torch.testing.assert_close(state, f * liquid.reversal / (1 / liquid.tau_s + f))


@pytest.mark.parametrize("solver", ["fused", "exponential"])
def test_exponential_step_is_exact_without_recurrence_and_fused_is_first_order(solver: str) -> None:
    liquid = cell(solver=solver, sub_steps=1)
    with torch.no_grad():
        liquid.recurrent_weight.zero_()
    u = torch.randn(1, 1, 3, dtype=torch.float64)
    start, dt = torch.rand(1, 5, dtype=torch.float64), 0.05
    f = liquid.gain_hz * torch.sigmoid(u[:, 0] @ liquid.input_weight + liquid.bias)
    total = 1 / liquid.tau_s + f
    rest = f * liquid.reversal / total
    exact = rest + (start - rest) * torch.exp(-dt * total)
    got = liquid(u, torch.full((1, 1, 1), dt, dtype=torch.float64), None, start)[1]
    error = (got - exact).abs().max().item()
    assert error < 1e-12 if solver == "exponential" else 1e-5 < error < 0.2


@pytest.mark.parametrize("solver", ["fused", "exponential"])
def test_two_half_steps_equal_one(solver: str) -> None:
    u = torch.randn(4, 1, 3, dtype=torch.float64)
    differences = []
    for k in (4, 8, 16):
        liquid = cell(sub_steps=k, solver=solver)
        whole = liquid(u, torch.ones(4, 1, 1, dtype=torch.float64))[1]
        halves = liquid(u.expand(4, 2, 3), torch.full((4, 2, 1), 0.5, dtype=torch.float64))[1]
        differences.append((whole - halves).abs().max().item())
        twice = cell(sub_steps=2 * k, solver=solver)(u, torch.ones(4, 1, 1, dtype=torch.float64))[1]
        torch.testing.assert_close(halves, twice)  # the same sub-steps
    assert differences[0] < 0.05
    assert differences[1] < 0.65 * differences[0]
    assert differences[2] < 0.65 * differences[1]


def test_step_by_step_equals_whole() -> None:
    liquid = cell()
    u, elapsed = sequence(steps=7)
    observed = torch.rand(2, 7) < 0.7
    whole, last = liquid(u, elapsed, observed)
    state, pieces = None, []
    for cut in (slice(0, 1), slice(1, 4), slice(4, 7)):
        out, state = liquid(u[:, cut], elapsed[:, cut], observed[:, cut], state)
        pieces.append(out)
    torch.testing.assert_close(torch.cat(pieces, 1), whole)
    torch.testing.assert_close(state, last)


def test_elapsed_time_belongs_to_its_row_even_where_batch_equals_units() -> None:
    liquid = cell(units=4)
    u, elapsed = sequence(4, 5)
    whole = liquid(u, elapsed)[0]
    for row in range(4):
        torch.testing.assert_close(liquid(u[row : row + 1], elapsed[row : row + 1])[0], whole[row : row + 1])


def test_no_time_no_change() -> None:
    liquid = cell()
    state = torch.rand(2, 5, dtype=torch.float64)
    u, elapsed = sequence()
    torch.testing.assert_close(liquid(u, elapsed * 0, None, state)[1], state)


def test_unobserved_input_is_dropped_and_recurrence_goes_on() -> None:
    liquid = cell()
    u, elapsed = sequence(1, 3)
    observed = torch.tensor([[True, False, True]])
    hidden = u.clone()
    hidden[0, 1] = math.nan
    out = liquid(hidden, elapsed, observed)[0]
    zeroed = u.clone()
    zeroed[0, 1] = 0
    torch.testing.assert_close(out, liquid(zeroed, elapsed)[0])  # W u gone, U x + b still there
    assert not torch.equal(out[:, 1], out[:, 0])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    k=st.integers(1, 6),
    solver=st.sampled_from(["fused", "exponential"]),
    longest=st.floats(1e-3, 1e3),
    scale=st.floats(0.1, 30),
)
def test_bounds(seed: int, k: int, solver: str, longest: float, scale: float) -> None:
    torch.manual_seed(seed)
    liquid = NeuralLTC(2, 4, (0.01, 100.0), k, solver).double()  # type: ignore[arg-type]
    with torch.no_grad():
        liquid.reversal.normal_(0, 2)
        liquid.log_gain.normal_(0, 2)
    u, elapsed = torch.randn(3, 5, 2).double() * scale, torch.rand(3, 5, 1).double() * longest
    states = liquid(u, elapsed)[0]
    zero = torch.zeros(())
    assert (states >= torch.minimum(zero, liquid.reversal) - 1e-9).all()
    assert (states <= torch.maximum(zero, liquid.reversal) + 1e-9).all()
    taus = liquid.time_constants(u, elapsed)
    assert (taus <= liquid.tau_s * (1 + 1e-9)).all()
    assert (taus >= liquid.tau_s / (1 + liquid.gain_hz * liquid.tau_s) * (1 - 1e-9)).all()


@pytest.mark.parametrize(("rate_hz", "tau_s"), [(256.0, (0.02, 2.0)), (4.0, (1.0, 600.0))])
def test_input_changes_the_output_by_more_than_a_tenth(rate_hz: float, tau_s: tuple[float, float]) -> None:
    torch.manual_seed(0)
    liquid = NeuralLTC(4, 32, tau_s)
    steps = int(20 * rate_hz) if rate_hz < 10 else int(2 * rate_hz)
    elapsed = torch.full((1, steps, 1), 1 / rate_hz)
    with torch.no_grad():
        high, low = (liquid(torch.full((1, steps, 4), level), elapsed)[1] for level in (1.0, -1.0))
    assert ((high - low).abs().mean() / low.abs().mean()).item() > 0.1


def test_start_values_are_log_uniform_between_the_scales() -> None:
    torch.manual_seed(0)
    liquid = NeuralLTC(1, 2000, (0.02, 2.0))
    assert 0.02 <= liquid.tau_s.min().item() < 0.0225
    assert 1.8 < liquid.tau_s.max().item() <= 2.0001
    assert abs(liquid.tau_s.log().mean().item() - math.log(0.2)) < 0.1
    torch.testing.assert_close(liquid.gain_hz, 1 / liquid.tau_s)


def test_time_constants_by_hand() -> None:
    liquid = cell(sub_steps=3)
    u, elapsed = sequence(1, 2)
    states = liquid(u, elapsed)[0]
    f = liquid.gain_hz * torch.sigmoid(
        u[:, 1] @ liquid.input_weight + states[:, 0] @ liquid.recurrent_weight + liquid.bias
    )
    tau = liquid.tau_s
    torch.testing.assert_close(liquid.time_constants(u, elapsed)[:, 1], tau / (1 + tau * f))


def test_retention_of_a_constant_time_constant() -> None:
    elapsed = torch.full((1, 100, 1), 0.1, dtype=torch.float64)
    tau = torch.full((1, 100, 2), 2.0, dtype=torch.float64)
    fused = retention(tau, elapsed, 3.0, sub_steps=4)
    torch.testing.assert_close(fused[0, 0], torch.full((2,), (1 + 0.025 / 2) ** (-4.0 * 30)).double())
    exponential = retention(tau, elapsed, 2.55, solver="exponential")  # 25 steps and a half
    torch.testing.assert_close(exponential[0, 5], torch.full((2,), math.exp(-2.55 / 2)).double())
    assert exponential[0, :75].isfinite().all()
    assert exponential[0, 75:].isnan().all()
    torch.testing.assert_close(
        retention(tau, elapsed, 10.0, solver="exponential").nanmean((0, 1)), torch.full((2,), math.exp(-5.0)).double()
    )
    with pytest.raises(InputError, match="horizon_s 11 "):
        retention(tau, elapsed, 11.0)


@pytest.mark.parametrize("solver", ["fused", "exponential"])
def test_retention_does_not_depend_on_the_input_rate(solver: str) -> None:
    torch.manual_seed(3)
    liquid = NeuralLTC(2, 24, (0.1, 10.0), 6, solver)  # type: ignore[arg-type]
    seconds = torch.arange(0, 8, 1 / 128)
    wave = torch.stack([torch.sin(2 * math.pi * 0.7 * seconds), torch.cos(2 * math.pi * 0.3 * seconds)], -1)[None]
    found = []
    for stride in (4, 2, 1):  # 32, 64, 128 Hz
        u, elapsed = wave[:, ::stride], torch.full((1, len(seconds) // stride, 1), stride / 128)
        with torch.no_grad():
            taus = liquid.time_constants(u, elapsed)
        kept = retention(taus, elapsed, 1.0, sub_steps=6, solver=solver)  # type: ignore[arg-type]
        found.append(kept.nanmean((0, 1)))
    assert found[0].max() > 0.5 > found[0].min()
    for slow, quick in itertools.pairwise(found):
        assert ((slow - quick).abs() <= 0.05 * quick.clamp_min(0.01)).all()  # below .01, nothing is remembered


def test_models_can_be_stacked_under_vmap() -> None:
    u, elapsed = (t.float() for t in sequence())
    cells = [cell().float() for _ in range(3)]
    for i, each in enumerate(cells):
        with torch.no_grad():
            each.bias += i
    weights, buffers = torch.func.stack_module_state(cells)

    def run(weights: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(cells[0], (weights, buffers), (u, elapsed))[0]

    stacked = torch.func.vmap(run)(weights, buffers)
    for i, each in enumerate(cells):
        torch.testing.assert_close(stacked[i], each(u, elapsed)[0], atol=1e-5, rtol=0)
    slopes = torch.func.vmap(torch.func.grad(lambda w, b: run(w, b).sum()))(weights, buffers)
    cells[2](u, elapsed)[0].sum().backward()
    torch.testing.assert_close(slopes["bias"][2], cells[2].bias.grad, atol=1e-5, rtol=1e-4)


def test_wiring_removes_synapses() -> None:
    wiring = Wiring.policy(3, 4, 3, 2, sensory_fanout=2, inter_fanout=2, recurrent_command=2, motor_fanin=2, seed=1)
    liquid = cell(3, 9, wiring=wiring)
    u, elapsed = sequence(1, 5)
    liquid(u, elapsed)[0].square().sum().backward()
    assert (liquid.input_weight.grad[torch.from_numpy(wiring.sensory == 0)] == 0).all()
    assert (liquid.recurrent_weight.grad[torch.from_numpy(wiring.recurrent == 0)] == 0).all()
    assert liquid.input_weight.grad.abs().sum() > 0


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="tau_s"):
        NeuralLTC(2, 3, (2.0, 1.0))
    with pytest.raises(InputError, match="sub_steps 0"):
        NeuralLTC(2, 3, (1.0, 2.0), 0)
    with pytest.raises(InputError, match="solver 'euler'"):
        NeuralLTC(2, 3, (1.0, 2.0), solver="euler")  # type: ignore[arg-type]
    liquid = NeuralLTC(2, 3, (1.0, 2.0))
    u, elapsed = torch.zeros(4, 5, 2), torch.ones(4, 5, 1)
    with pytest.raises(InputError, match="elapsed_s of shape \\(4, 5\\)"):
        liquid(u, elapsed[..., 0])
    with pytest.raises(InputError, match="inputs of shape"):
        liquid(u[..., :1], elapsed)
    with pytest.raises(InputError, match="observed of shape"):
        liquid(u, elapsed, torch.ones(4, 4, dtype=torch.bool))
    with pytest.raises(InputError, match="state of shape"):
        liquid(u, elapsed, None, torch.zeros(4, 2))
