"""Encoders of raw signals: the filter bank's kernel against its plain reference, convolutions against torch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from insula.errors import InputError
from insula.explain.cost.counting import count_layer
from insula.models.blocks.encoders import ShapeEncoder, SpectralEncoder
from insula.models.kernels import reference_only
from insula.models.kernels.band_power import BandPower, band_power, reference
from insula.models.kernels.stacking import stacked_models


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 9999),
    batch=st.sampled_from([1, 3, 18]),
    channels=st.integers(1, 3),
    filters=st.integers(1, 3),
    taps=st.sampled_from([1, 7, 8, 33]),
    step=st.sampled_from([1, 5, 16, 50]),
    steps=st.integers(1, 9),
)
def test_the_kernel_equals_the_reference_in_double_precision(
    seed: int, batch: int, channels: int, filters: int, taps: int, step: int, steps: int
) -> None:
    torch.manual_seed(seed)
    signal = torch.randn(batch, channels, steps * step + taps - 1, requires_grad=True)
    weight = torch.randn(channels * filters, 1, taps, requires_grad=True)
    double = [t.detach().double().requires_grad_() for t in (signal, weight)]
    got, expected = band_power(signal, weight, step), reference(*double, step)
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-5)
    asked = torch.randn_like(got)
    found = torch.autograd.grad((got * asked).sum(), (signal, weight))
    true = torch.autograd.grad((expected * asked.double()).sum(), double)
    for a, b in zip(found, true, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5 * max(1.0, float(b.abs().max())))


def test_an_encoder_is_the_same_with_and_without_the_kernel_and_in_pieces() -> None:
    torch.manual_seed(0)
    encoder = SpectralEncoder(channels=3, step=16, width=5, spatial=2, filters=3, taps=33)
    signal = torch.randn(2, 3, 160)
    whole, buffer = encoder(signal, None)
    with reference_only():
        torch.testing.assert_close(encoder(signal, None)[0], whole)
    first, carried = encoder(signal[..., :48], None)
    second, last = encoder(signal[..., 48:], carried)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close(last, buffer)


def test_models_in_a_stack_are_those_alone() -> None:
    torch.manual_seed(0)
    signal, weight = torch.randn(3, 2, 2, 46), torch.randn(3, 6, 1, 7)
    with stacked_models():
        together = torch.vmap(lambda x, w: band_power(x, w, 8))(signal, weight)
        one_filter = torch.vmap(lambda x: band_power(x, weight[0], 8))(signal)
    for i in range(3):
        torch.testing.assert_close(together[i], reference(signal[i], weight[i], 8))
        torch.testing.assert_close(one_filter[i], reference(signal[i], weight[0], 8))


def test_its_work_is_what_torch_would_count_for_the_reference() -> None:
    class Plain(nn.Module):
        def __init__(self, weight: nn.Parameter) -> None:
            super().__init__()
            self.weight = weight

        def forward(self, signal: torch.Tensor) -> torch.Tensor:
            return reference(signal, self.weight, 8)

    layer, signal = BandPower(channels=2, filters=3, taps=7, step=8), torch.randn(1, 2, 46)
    own, plain = count_layer(layer, signal), count_layer(Plain(layer.weight), signal)
    assert (own.macs, own.adds, own.others) == (plain.macs, plain.adds, plain.others)


def test_second_derivatives_are_refused() -> None:
    signal, weight = torch.randn(1, 1, 20, requires_grad=True), torch.randn(1, 1, 5)
    with pytest.raises(InputError, match="first derivatives only"):
        torch.autograd.grad(band_power(signal, weight, 4).sum(), signal, create_graph=True)


@pytest.mark.parametrize(("channels", "step"), [(1, 16), (3, 4), (2, 1), (1, -4)])
def test_the_other_encoder_is_two_convolutions_of_torchs(channels: int, step: int) -> None:
    torch.manual_seed(0)
    encoder = ShapeEncoder(channels, step, width=5)
    signal = torch.randn(2, channels, 8 * max(step, 1), requires_grad=True)
    held = signal.repeat_interleave(max(-step, 1), 2)
    padded = nn.functional.pad(held, (encoder.taps - encoder.first_stride, 0))
    first = nn.functional.conv1d(padded, encoder.first.weight, encoder.first.bias, encoder.first_stride)
    expected = nn.functional.conv1d(
        nn.functional.gelu(first), encoder.second.weight, encoder.second.bias, encoder.stride
    ).transpose(1, 2)
    got = encoder(signal, None)[0]
    torch.testing.assert_close(got, expected)
    leaves = (signal, *encoder.parameters())
    asked = torch.randn_like(got)
    found, true = (torch.autograd.grad((out * asked).sum(), leaves) for out in (got, expected))
    torch.testing.assert_close(found, true, rtol=1e-4, atol=1e-5)
