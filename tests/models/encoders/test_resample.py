"""Rates inside torch are those of scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import resample_poly

from insula.errors import InputError
from insula.models.encoders.resample import Resampler


@pytest.mark.parametrize(("rate", "to"), [(64, 125), (128, 200), (512, 200), (250, 200), (128, 256)])
def test_it_equals_scipy(rate: int, to: int) -> None:
    values = torch.randn(2, 3, rate * 2 + 1, generator=torch.Generator().manual_seed(0))
    expected = resample_poly(values.double().numpy(), to, rate, axis=-1)
    np.testing.assert_allclose(Resampler(rate, to)(values).numpy(), expected, atol=5e-6)


def test_equal_rates_change_nothing() -> None:
    values = torch.randn(1, 1, 40)
    assert Resampler(128.0, 128.0)(values) is values


def test_rates_of_no_simple_ratio_are_refused() -> None:
    with pytest.raises(InputError, match="simple ratio"):
        Resampler(127.93, 200)
