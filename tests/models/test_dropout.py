"""Dropout by hashed keys: the same masks compiled and plain, the right share, no pattern."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from insula.models.kernels import reference_only
from insula.models.kernels.dropout import Dropout, draw_key, dropped, factors


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(1,), (3, 5), (2, 33, 7)]),
    p=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_the_kernel_and_the_reference_say_the_same(seed: int, shape: tuple[int, ...], p: float) -> None:
    torch.manual_seed(seed)
    key, x = draw_key(), torch.randn(shape, requires_grad=True)
    mask = factors(shape, p, key)
    with reference_only():
        plain = dropped(x, p, key)
    got = dropped(x, p, key)
    torch.testing.assert_close(got, x * mask, rtol=0, atol=0)
    torch.testing.assert_close(plain, got, rtol=0, atol=0)
    asked = torch.randn(shape)
    torch.testing.assert_close(torch.autograd.grad((got * asked).sum(), x)[0], asked * mask, rtol=0, atol=0)


def test_masks_have_the_asked_share_and_are_strangers_to_each_other_and_to_themselves_moved() -> None:
    torch.manual_seed(0)
    count = 40_000
    kept = torch.stack([(factors((count,), 0.3, draw_key()) > 0).float() for _ in range(12)])
    slack = 5 / count**0.5
    assert (kept.mean(1) - 0.7).abs().max() < slack
    alike = torch.corrcoef(kept) - torch.eye(12)
    assert alike.abs().max() < slack
    own = (kept[0] - kept[0].mean()) / kept[0].std()
    for lag in (1, 2, 3, 16, 24, 96, 128, 256):
        assert abs(float((own[lag:] * own[:-lag]).mean())) < slack


def test_the_layer_draws_anew_each_time_from_torchs_generator_and_nothing_in_evaluation() -> None:
    layer, x = Dropout(0.5), torch.ones(64)
    torch.manual_seed(1)
    first, second = layer(x), layer(x)
    torch.manual_seed(1)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)
    assert first.unique().tolist() == [0.0, 2.0]
    assert layer.eval()(x) is x


@pytest.mark.parametrize(("key", "kept"), [((0, 0), "1111101110110111"), ((2**32 - 1, 2**32 - 1), "0101110111110011")])
def test_the_mask_of_a_key_never_changes(key: tuple[int, int], kept: str) -> None:
    assert "".join(str(int(v)) for v in factors((16,), 0.3, key) > 0) == kept
