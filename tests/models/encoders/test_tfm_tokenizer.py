"""TFM-Tokenizer against what its published code says of the same weights, and its rule for size and length."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import encoder_weights
import pytest
import torch
from model_inputs import make_spec
from torch import Tensor, nn

from insula.errors import DataError, InputError
from insula.models.encoders.tfm_tokenizer import TFMTokenizer
from insula.models.encoders.weights import Folder

PUBLISHED = (-0.0519, -0.0460, 0.1178, -0.1712, -0.1522, -0.0555, 0.3056, 0.0500)
"""The first channel's mean word as ``tokenize`` of the authors' repository gives it for these weights and waves."""


def opened(folder: Path, rate_hz: float = 200.0, window_s: float = 4.0) -> nn.Module:
    spec = replace(make_spec("eeg", window_s=window_s), signals={"eeg": (6, rate_hz)})
    return TFMTokenizer.opened(Folder(str(folder), TFMTokenizer.card), spec)


def waves() -> Tensor:
    time = torch.arange(800) / 200
    slow = torch.stack([torch.sin(2 * torch.pi * (3 + 2 * c) * time) for c in range(6)])
    return (slow + 0.3 * torch.stack([torch.sin(2 * torch.pi * (20 + c) * time) for c in range(6)]))[None]


def test_it_says_what_the_published_code_says(tmp_path: Path) -> None:
    reader = opened(encoder_weights.tfm_tokenizer(tmp_path))
    found = reader(waves())
    assert found.shape == (1, 96)
    torch.testing.assert_close(found[0, :8], torch.tensor(PUBLISHED), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(reader(50 * waves()), found, atol=1e-5, rtol=1e-5)


def test_every_token_is_a_word_and_gradients_pass(tmp_path: Path) -> None:
    reader = opened(encoder_weights.tfm_tokenizer(tmp_path))
    tokens = torch.nn.functional.normalize(torch.randn(1, 9, 16), dim=-1).requires_grad_()
    words = reader.network.quantizer["embedding"].weight
    said = reader.network.nearest(tokens)
    nearest = words[torch.cdist(tokens[0], words).argmin(1)]
    torch.testing.assert_close(said[0], nearest)
    said.sum().backward()
    assert torch.equal(tokens.grad, torch.ones_like(tokens))


def test_windows_and_sizes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder = encoder_weights.tfm_tokenizer(tmp_path)
    with pytest.raises(InputError, match="expected 1 s or more"):
        opened(folder, window_s=0.5)
    file = folder / "tfm_tokenizer_last.pth"
    whole = torch.load(file, weights_only=True)
    torch.save({**whole, "freq_patch_embedding.0.weight": torch.ones(16, 1, 7)}, file)
    with pytest.raises(DataError, match="sizes that divide"):
        opened(folder)
    torch.save({name: v for name, v in whole.items() if "quantizer" not in name}, file)
    with pytest.raises(DataError, match="lacks quantizer"):
        opened(folder)
