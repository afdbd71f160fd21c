"""Spiking layers: a hand-computed trace, snntorch, gradients, compiled against reference, spike-driven weights."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from insula.errors import InputError
from insula.explain.cost import Work, count_layer
from insula.models.cells.spiking import LIF, Integrator, SpikeCounter, spike_weights
from insula.models.kernels import lif, reference_only


def sequence(batch: int, steps: int, units: int, seed: int = 0, scale: float = 0.7) -> torch.Tensor:
    return torch.randn(batch, steps, units, generator=torch.Generator().manual_seed(seed)) * scale


@pytest.mark.parametrize("compiled", [True, False])
def test_a_trace_by_hand(compiled: bool) -> None:
    # d = .5, theta = 1. Currents .8 .8 .8 0 2.4 0:
    # .8 | .4 + .8 = 1.2 fires, rest .2 | .1 + .8 = .9 | .45 | .225 + 2.4 = 2.625 fires, rest 1.625 | .8125
    current = torch.tensor([0.8, 0.8, 0.8, 0.0, 2.4, 0.0]).view(1, 6, 1)
    layer = LIF(1)
    if compiled:
        spikes, before, after = layer.trace(current)
    else:
        with reference_only():
            spikes, before, after = layer.trace(current)
    assert spikes.flatten().tolist() == [0, 1, 0, 0, 1, 0]
    torch.testing.assert_close(before.flatten(), torch.tensor([0.8, 1.2, 0.9, 0.45, 2.625, 0.8125]))
    torch.testing.assert_close(after, torch.tensor([[0.8125]]))


def test_the_surrogate_by_hand() -> None:
    # slope 2, membrane .5 below theta: 1 / (1 + (pi * .5)^2) = .288400
    current = torch.tensor([[[0.5]]], requires_grad=True)
    spikes, _ = LIF(1)(current)
    spikes.sum().backward()
    assert current.grad is not None
    assert current.grad.item() == pytest.approx(1 / (1 + (math.pi / 2) ** 2), rel=1e-5)


def test_dynamics_and_gradient_equal_snntorch() -> None:
    snntorch = pytest.importorskip("snntorch", reason="snntorch is not installed (pip install insula[bench])")
    current = sequence(4, 60, 5).clamp(max=0.9)  # a membrane never exceeds 2 theta, where snntorch resets once more
    other = snntorch.Leaky(
        beta=0.5, threshold=1.0, reset_delay=False, spike_grad=snntorch.surrogate.atan(alpha=2.0), init_hidden=False
    )
    membrane, theirs, after = torch.zeros(4, 5), [], []
    for t in range(60):
        fired, membrane = other(current[:, t], membrane)
        theirs.append(fired)
        after.append(membrane)
    spikes, before, _ = LIF(5).trace(current)
    assert 0.02 < spikes.mean() < 0.5
    torch.testing.assert_close(spikes, torch.stack(theirs, 1), atol=0, rtol=0)
    torch.testing.assert_close(before - spikes, torch.stack(after, 1), atol=1e-5, rtol=1e-5)
    one, two = (current[:, :1].clone().requires_grad_() for _ in range(2))
    LIF(5)(one)[0].sum().backward()
    other(two[:, 0], torch.zeros(4, 5))[0].sum().backward()
    torch.testing.assert_close(one.grad, two.grad)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 20), st.integers(1, 40), st.integers(0, 1000))
def test_kernel_equals_reference(batch: int, steps: int, units: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    given_values = (
        sequence(batch, steps, units, seed),
        torch.rand(units, generator=g) * 0.6 + 0.3,
        torch.rand(units, generator=g) + 0.3,
        torch.randn(batch, units, generator=g) * 0.3,
    )
    weights = [torch.randn(s, generator=g) for s in ((batch, steps, units), (batch, steps, units), (batch, units))]
    found = []
    for function in (lif.reference, lif.integrate):
        values = [v.clone().requires_grad_() for v in given_values]
        outputs = function(*values, 1.7)
        sum((o * w).sum() for o, w in zip(outputs, weights, strict=True)).backward()
        found.append((*outputs, *(v.grad for v in values)))
    for plain, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, plain, atol=2e-4, rtol=2e-4)
    assert torch.equal(found[0][0], found[1][0])


def test_gradients_twice_are_refused_by_the_kernel_and_served_by_the_reference() -> None:
    current, layer = sequence(2, 5, 3).requires_grad_(), LIF(3)
    with pytest.raises(InputError, match="create_graph=True"):
        torch.autograd.grad(layer(current)[0].sum(), current, create_graph=True)
    with reference_only():
        (slope,) = torch.autograd.grad(layer(current)[0].sum(), current, create_graph=True)
        assert slope.requires_grad
        (again,) = torch.autograd.grad(slope.sum(), current)
    assert torch.isfinite(again).all()


@pytest.mark.parametrize(("decay", "threshold"), [(0.5, 1.0), (0.9, 0.4), (0.2, 2.0)])
def test_learned_decays_and_thresholds_have_snntorchs_gradients(decay: float, threshold: float) -> None:
    snntorch = pytest.importorskip("snntorch", reason="snntorch is not installed (pip install insula[bench])")
    current = sequence(3, 1, 4).clamp(max=0.9 * threshold) + 0.5 * threshold
    ours = LIF(4, decay=decay, threshold=threshold)
    other = snntorch.Leaky(
        torch.full((4,), decay), learn_beta=True, threshold=torch.full((4,), threshold), learn_threshold=True,
        spike_grad=snntorch.surrogate.atan(alpha=2.0 / threshold), reset_delay=False,
    )  # fmt: skip
    before = torch.rand(3, 4) * 0.3 * threshold
    with reference_only():
        fired, _ = ours(current, before)
    told, _ = other(current[:, 0], before)
    torch.testing.assert_close(fired[:, 0], told, atol=0, rtol=0)
    weights = torch.randn(3, 4)
    for output in ((fired[:, 0] * weights).sum(), (told * weights).sum()):
        output.backward()
    # by the chain rule: decay = sigmoid(logit), threshold = exp(log)
    torch.testing.assert_close(ours.decay_logit.grad, other.beta.grad * decay * (1 - decay), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.log_threshold.grad, other.threshold.grad * threshold, atol=1e-5, rtol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 19))
def test_any_chunking_gives_the_same_spikes(cut: int) -> None:
    layer, current = LIF(7, decay=0.8), sequence(3, 20, 7)
    whole, last = layer(current)
    first, state = layer(current[:, :cut])
    second, state = layer(current[:, cut:], state)
    assert torch.equal(torch.cat([first, second], 1), whole)
    assert torch.equal(state, last)


def test_silence_stays_silence_and_thresholds_and_decays_learn() -> None:
    layer = LIF(4)
    assert layer(torch.zeros(2, 9, 4))[0].sum() == 0
    layer(sequence(2, 9, 4))[0].sum().backward()
    assert all(p.grad is not None and (p.grad != 0).all() for p in layer.parameters())


def test_a_higher_threshold_fires_less_and_a_longer_memory_more() -> None:
    current = sequence(8, 50, 6).abs()
    rates = [LIF(6, decay=d, threshold=t)(current)[0].mean().item() for d, t in ((0.5, 2.0), (0.5, 1.0), (0.9, 1.0))]
    assert rates[0] < rates[1] < rates[2]


def test_the_readout_is_a_running_mean() -> None:
    layer = Integrator(3, (1.0, 20.0))
    membranes, last = layer(torch.ones(2, 300, 3))
    torch.testing.assert_close(last, torch.ones(2, 3), atol=1e-4, rtol=0)
    # after one step u = 1 - exp(-1 / memory)
    expected = [1 - math.exp(-1 / m) for m in (1.0, math.sqrt(20.0), 20.0)]
    torch.testing.assert_close(membranes[0, 0], torch.tensor(expected), atol=1e-5, rtol=0)


def test_spike_weights_give_unit_drive_at_the_usual_rate() -> None:
    torch.manual_seed(0)
    spikes = (torch.rand(500, 64) < 0.2).float()
    assert spike_weights(64, 256)(spikes).std().item() == pytest.approx(1.0, abs=0.1)


def test_counter_and_operations_by_hand() -> None:
    spikes = torch.zeros(4, 6, 5)  # 2 windows of 2 groups, 3 hops of 2 steps
    spikes[0, 0, :] = 1  # window 0, hop 0: 5 of 2 x 2 x 5
    rates = SpikeCounter()(spikes, 2, 3)
    torch.testing.assert_close(rates, torch.tensor([[0.25, 0, 0], [0, 0, 0]]))
    assert count_layer(SpikeCounter(), spikes, 2, 3).adds == 0
    counted = count_layer(LIF(5), spikes)
    assert (counted.macs, counted.adds) == (120, 240)
    assert count_layer(Integrator(5, (1.0, 4.0)), spikes).by_layer["layer"] == Work(240)


def test_a_layer_that_never_fires_equals_its_reference() -> None:
    current, layer = sequence(5, 12, 6), Integrator(6, (1.0, 9.0))
    found = []
    for only in (False, True):
        values = current.clone().requires_grad_()
        layer.zero_grad()
        if only:
            with reference_only():
                out, _ = layer(values)
        else:
            out, _ = layer(values)
        (out * sequence(5, 12, 6, seed=1)).sum().backward()
        found.append((out, values.grad, layer.decay_logit.grad.clone()))
    for compiled, plain in zip(*found, strict=True):
        torch.testing.assert_close(compiled, plain, atol=1e-5, rtol=1e-4)


def test_wrong_values_are_refused() -> None:
    with pytest.raises(InputError, match="decay"):
        LIF(3, decay=1.0)
    with pytest.raises(InputError, match="threshold"):
        LIF(3, threshold=0.0)
    with pytest.raises(InputError, match=r"\(batch, steps, 3\)"):
        LIF(3)(torch.zeros(2, 4, 5))
