"""The closed-form cell: ncps as oracle at elapsed 1, held states, missing samples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from insula.errors import InputError
from insula.models.cells.cfc import CfC
from insula.models.cells.wiring import Wiring
from insula.models.kernels import reference_only

MODES = ["default", "no_gate", "pure"]


def cell(mode: str, inputs: int = 3, units: int = 5, backbone_units: int = 8, **options) -> CfC:
    torch.manual_seed(0)
    made = CfC(inputs, units, mode, backbone_units, **options)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return made.double()


def sequence(batch: int = 2, steps: int = 6, inputs: int = 3, seed: int = 1) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    u = torch.randn(batch, steps, inputs, generator=random, dtype=torch.float64)
    return u, torch.rand(batch, steps, 1, generator=random, dtype=torch.float64) * 0.5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("backbone_units", [0, 6])
def test_equal_to_ncps(mode: str, backbone_units: int) -> None:
    ncps = pytest.importorskip("ncps.torch")
    torch.manual_seed(1)
    theirs = ncps.CfC(3, 5, mode=mode, backbone_units=backbone_units or 1, backbone_layers=bool(backbone_units))
    ours = CfC(3, 5, mode, backbone_units)  # type: ignore[arg-type]
    state = theirs.state_dict()
    heads = ["ff1"] if mode == "pure" else ["ff1", "ff2", "time_a", "time_b"]
    weight, bias = (torch.cat([state[f"rnn_cell.{h}.{what}"] for h in heads]) for what in ("weight", "bias"))
    with torch.no_grad():
        if backbone_units:
            first, first_bias = state["rnn_cell.backbone.0.weight"], state["rnn_cell.backbone.0.bias"]
            ours.head_weight.copy_(weight.T)
            ours.head_bias.copy_(bias)
        else:
            first, first_bias = weight, bias
        ours.input_weight.copy_(first[:, :3].T)
        ours.recurrent_weight.copy_(first[:, 3:].T)
        ours.bias.copy_(first_bias)
        if mode == "pure":
            ours.w_tau.copy_(state["rnn_cell.w_tau"][0])
            ours.reversal.copy_(state["rnn_cell.A"][0])
    u = torch.randn(4, 6, 3)
    expected = theirs(u)[0]
    for elapsed in (torch.ones(4, 6, 1), torch.ones(4, 6, 1).requires_grad_()):  # three heads, four heads
        assert (ours(u, elapsed)[0] - expected).abs().max().item() < 1e-5
    with reference_only():
        assert (ours(u, torch.ones(4, 6, 1))[0] - expected).abs().max().item() < 1e-5


@pytest.mark.parametrize("mode", MODES)
def test_gradients_against_finite_differences(mode: str) -> None:
    liquid = cell(mode, 2, 3, 4)
    u, elapsed = sequence(2, 3, 2)
    observed = torch.tensor([[True, False, True], [True, True, True]])
    state = torch.rand(2, 4, dtype=torch.float64)
    names, values = zip(*((n, p) for n, p in liquid.named_parameters() if p.requires_grad), strict=True)

    def run(u: Tensor, elapsed: Tensor, state: Tensor, *weights: Tensor) -> Tensor:
        arguments = (u, elapsed, observed, state)
        return torch.func.functional_call(liquid, dict(zip(names, weights, strict=True)), arguments)[0]

    assert torch.autograd.gradcheck(run, [t.detach().clone().requires_grad_() for t in (u, elapsed, state, *values)])


@pytest.mark.parametrize("mode", MODES)
def test_unobserved_steps_hold_the_state_and_their_time_counts_later(mode: str) -> None:
    liquid = cell(mode)
    u, _ = sequence(1, 4)
    elapsed = torch.tensor([0.2, 0.3, 0.4, 0.5], dtype=torch.float64).reshape(1, 4, 1)
    observed = torch.tensor([[True, False, False, True]])
    u[0, 1:3] = math.nan
    out, state = liquid(u, elapsed, observed)
    torch.testing.assert_close(out[:, 1], out[:, 0])
    torch.testing.assert_close(out[:, 2], out[:, 0])
    short = liquid(u[:, [0, 3]], torch.tensor([0.2, 1.2], dtype=torch.float64).reshape(1, 2, 1))
    torch.testing.assert_close(out[:, 3], short[0][:, 1])
    assert state[0, -1].item() == 0
    waiting = liquid(u[:, :3], elapsed[:, :3], observed[:, :3])[1]
    assert waiting[0, -1].item() == pytest.approx(0.7)


@pytest.mark.parametrize("mode", MODES)
def test_step_by_step_equals_whole_and_rows_keep_their_time(mode: str) -> None:
    liquid = cell(mode, units=4)
    u, elapsed = sequence(4, 9)
    observed = torch.rand(4, 9) < 0.5
    whole, last = liquid(u, elapsed, observed)
    state, pieces = None, []
    for cut in (slice(0, 1), slice(1, 4), slice(4, 9)):
        out, state = liquid(u[:, cut], elapsed[:, cut], observed[:, cut], state)
        pieces.append(out)
    torch.testing.assert_close(torch.cat(pieces, 1), whole)
    torch.testing.assert_close(state, last)
    one = slice(2, 3)
    torch.testing.assert_close(liquid(u[one], elapsed[one], observed[one])[0], whole[one])


def test_gap_after_hours_keeps_its_precision() -> None:
    liquid = cell("default").float()
    u = torch.randn(1, 40_000, 3)
    elapsed = torch.full((1, 40_000, 1), 1 / 3)
    observed = torch.ones(1, 40_000, dtype=torch.bool)
    start = torch.zeros(1, 6)
    with torch.no_grad():
        _, with_mask = liquid(u, elapsed, observed, start)
        _, without = liquid(u, elapsed, None, start)
    torch.testing.assert_close(with_mask, without, atol=1e-4, rtol=0)


def test_default_stays_between_its_two_ends() -> None:
    liquid = cell("default")
    u, elapsed = sequence(3, 30)
    assert liquid(u * 20, elapsed * 50)[0].abs().max().item() <= 1


def test_time_constants_by_hand() -> None:
    liquid = cell("pure", backbone_units=0)
    u, elapsed = sequence(1, 2)
    states = liquid(u, elapsed)[0]
    f1 = u[:, 1] @ liquid.input_weight + liquid.bias + states[:, 0] @ liquid.recurrent_weight
    torch.testing.assert_close(liquid.time_constants(u, elapsed)[:, 1], 1 / (liquid.w_tau.abs() + f1.abs()))
    gated = cell("default", backbone_units=0)
    states = gated(u, elapsed)[0]
    heads = u[:, 1] @ gated.input_weight + gated.bias + states[:, 0] @ gated.recurrent_weight
    torch.testing.assert_close(gated.time_constants(u, elapsed)[:, 1], 1 / heads[:, 10:15].abs())


def test_wiring_needs_no_backbone() -> None:
    wiring = Wiring.policy(3, 4, 3, 2, sensory_fanout=2, inter_fanout=2, recurrent_command=2, motor_fanin=2)
    with pytest.raises(InputError, match="backbone_units 128"):
        CfC(3, 9, wiring=wiring)
    liquid = CfC(3, 9, backbone_units=0, wiring=wiring)
    u, elapsed = (t.float() for t in sequence(2, 8))
    liquid(u, elapsed)[0].square().sum().backward()
    absent = torch.from_numpy(wiring.recurrent == 0).repeat(1, 4)
    assert (liquid.recurrent_weight.grad[absent] == 0).all()
    assert liquid.recurrent_weight.grad.abs().sum() > 0
    with pytest.raises(InputError, match="mode 'gated'"):
        CfC(3, 9, "gated")  # type: ignore[arg-type]
