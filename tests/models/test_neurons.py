"""Two-compartment and fractional neurons against hand-computed traces, and every neuron's contract."""

from __future__ import annotations

import pytest
import torch

from insula.errors import InputError
from insula.explain.cost import count_layer
from insula.models.cells.neurons import NEURONS, FractionalLIF, Rectifier, TwoCompartmentLIF, neuron_maker
from insula.models.cells.spiking import LIF


def sequence(batch: int, steps: int, units: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, steps, units, generator=torch.Generator().manual_seed(seed))


def test_two_compartments_by_hand() -> None:
    # sigmoid(b1) = sigmoid(b2) = .5, theta 1, gamma .5. Currents 1, 1.5, 0:
    # v_d = 1, v_s = .5, silent
    # v_d = 1 - .25 + 1.5 = 2.25, v_s = .5 + 1.125 = 1.625 fires: v_d = 1.75, v_s = .625
    # v_d = 1.75 - .3125 = 1.4375, v_s = .625 + .71875 = 1.34375 fires: v_d = .9375, v_s = .34375
    spikes, state = TwoCompartmentLIF(1)(torch.tensor([1.0, 1.5, 0.0]).view(1, 3, 1))
    assert spikes.flatten().tolist() == [0, 1, 1]
    torch.testing.assert_close(state.flatten(), torch.tensor([0.9375, 0.34375]))


def test_fractional_weights_by_hand() -> None:
    # order .5: c_1 = -.5, c_2 = (1 - 1.5 / 2) c_1 = -.125, c_3 = (1 - 1.5 / 3) c_2 = -.0625; d = .5
    layer = FractionalLIF(1, order=0.5, memory=3)
    torch.testing.assert_close(layer.weights().flatten(), torch.tensor([0.5 - 1 + 0.5, 0.125, 0.0625]))


def test_fractional_trace_by_hand() -> None:
    # weights 0, .125, .0625. Currents .8 0 2 0: .8 | 0 | .1 + 2 = 2.1 fires, 1.1 | .125 * 0 + .0625 * .8 = .05
    layer = FractionalLIF(1, order=0.5, memory=3)
    spikes, past = layer(torch.tensor([0.8, 0.0, 2.0, 0.0]).view(1, 4, 1))
    assert spikes.flatten().tolist() == [0, 0, 1, 0]
    torch.testing.assert_close(past.flatten(), torch.tensor([0.05, 1.1, 0.0]), atol=1e-6, rtol=0)


def test_order_one_is_the_leaky_neuron() -> None:
    current = sequence(4, 200, 6)
    plain, fractional = LIF(6, decay=0.7), FractionalLIF(6, decay=0.7, order=1.0, memory=8)
    spikes, after = plain(current)
    others, past = fractional(current)
    assert torch.equal(spikes, others)
    torch.testing.assert_close(past[:, 0], after, atol=1e-6, rtol=0)
    assert not torch.equal(FractionalLIF(6, decay=0.7, order=0.6)(current)[0], spikes)


def test_a_fractional_neuron_remembers_longer() -> None:
    pulse = torch.zeros(1, 30, 1)
    pulse[0, 0] = 0.9
    _, far = FractionalLIF(1, order=0.6, memory=30)(pulse)
    _, near = LIF(1)(pulse)
    assert far[0, 0, 0] > 100 * near[0, 0].abs()


@pytest.mark.parametrize("kind", sorted(NEURONS))
def test_every_neuron_keeps_the_contract(kind: str) -> None:
    layer = neuron_maker(kind, True)(5)
    current = sequence(3, 24, 5)
    whole, last = layer(current)
    assert set(whole.unique().tolist()) <= {0.0, 1.0}
    assert 0.01 < whole.mean() < 0.9
    assert layer(torch.zeros(3, 24, 5))[0].sum() == 0
    first, state = layer(current[:, :7])
    second, state = layer(current[:, 7:], state)
    assert torch.equal(torch.cat([first, second], 1), whole)
    assert torch.equal(state, last)
    whole.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters())
    counted = count_layer(layer, current)
    assert counted.macs >= current.numel()
    assert counted.adds >= 2 * current.numel()


def test_the_twin_rectifies_between_zero_and_one() -> None:
    out, state = neuron_maker("lif", False)(3, threshold=2.0)(torch.tensor([[[-1.0, 1.0, 9.0]]]))
    assert out.flatten().tolist() == [0.0, 0.5, 1.0]
    assert state is None
    assert count_layer(Rectifier(3), torch.zeros(1, 4, 3)).macs == 0


def test_wrong_values_are_refused() -> None:
    with pytest.raises(InputError, match="order"):
        FractionalLIF(3, order=1.5)
    with pytest.raises(InputError, match="memory"):
        FractionalLIF(3, memory=1)
    with pytest.raises(InputError, match="fspike"):
        neuron_maker("fspkie", True)
