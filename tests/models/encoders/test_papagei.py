"""PaPaGei against what its published code says of the same weights, and its rule for rates and segments."""

from __future__ import annotations

from pathlib import Path

import encoder_weights
import pytest
import torch
from model_inputs import make_spec
from torch import Tensor, nn

from insula.models.encoders.papagei import PaPaGei
from insula.models.encoders.weights import Folder

PUBLISHED = ((-1.4270, -1.3610, -3.1718, 2.1266), (-1.4673, -1.4230, -3.2846, 2.1753))
"""First numbers that ResNet1DMoE of the authors' repository gave for these weights and waves, brought to 125 Hz by
scipy.signal.resample_poly and to mean 0 and deviation 1."""


@pytest.fixture
def reader(tmp_path: Path) -> nn.Module:
    return PaPaGei.opened(Folder(str(encoder_weights.papagei(tmp_path)), PaPaGei.card), make_spec("bvp"))


def waves(seconds: float) -> Tensor:
    time = torch.arange(round(64 * seconds)) / 64
    return torch.stack([_sine(1.2, time), _sine(1.7, time) + 0.3 * _sine(3.4, time)])[:, None]


def _sine(hz: float, time: Tensor) -> Tensor:
    return torch.sin(2 * torch.pi * hz * time)


def test_it_says_what_the_published_code_says(reader: nn.Module) -> None:
    torch.testing.assert_close(reader(waves(10))[:, :4], torch.tensor(PUBLISHED), atol=2e-3, rtol=1e-3)


def test_loudness_does_not_count(reader: nn.Module) -> None:
    torch.testing.assert_close(reader(3 * waves(4)), reader(waves(4)), atol=1e-4, rtol=1e-4)
    assert torch.isfinite(reader(torch.zeros(1, 1, 256))).all()


def test_longer_windows_pass_in_segments(reader: nn.Module) -> None:
    once = reader.resample(waves(25))
    parts = [once[..., k : k + 1250] for k in (0, 1250)]
    each = [reader.network((p - p.mean(-1, keepdim=True)) / p.std(-1, keepdim=True, correction=0)) for p in parts]
    torch.testing.assert_close(reader(waves(25)), torch.stack(each).mean(0), atol=1e-4, rtol=1e-4)
