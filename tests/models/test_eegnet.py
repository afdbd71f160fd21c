"""EEGNet: the published sizes, the norms of its weights, and its window."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from model_inputs import make_batch, make_spec

from insula.errors import InputError
from insula.models.eegnet import EEGNet
from insula.types import InputSpec


def eeg_spec(electrodes: int = 14, rate_hz: float = 128.0, window_s: float = 4.0, outputs: int = 4) -> InputSpec:
    return make_spec("eeg", outputs=outputs, traits=0, window_s=window_s, shapes={"eeg": (electrodes, rate_hz)})


def test_parameters_of_the_published_model() -> None:
    # EEGNet-8,2, 64 electrodes, 128 samples at 128 Hz, 4 classes, by hand:
    # 8 x 64 temporal; 2 x 8 norm; 16 x 64 spatial; 2 x 16 norm; 16 x 16 + 16 x 16 separable; 2 x 16 norm;
    # after pooling by 4 and 8 there are 4 steps: 16 x 4 x 4 + 4 dense
    # 512 + 16 + 1024 + 32 + 256 + 256 + 32 + 256 + 4 = 2388
    model = EEGNet(eeg_spec(64, 128.0, 1.0))
    assert sum(p.numel() for p in model.parameters()) == 2388


def test_kernels_follow_the_rate() -> None:
    model = EEGNet(eeg_spec(rate_hz=256.0))
    assert model.temporal[1].kernel_size == (1, 128)  # half a second
    assert model.spatial[3].kernel_size == (1, 8)  # to 32 Hz
    assert model.separable[1].kernel_size == (1, 16)  # half a second at 32 Hz


def test_weights_are_used_within_their_norms() -> None:
    spec = eeg_spec()
    torch.manual_seed(0)
    model = EEGNet(spec).eval()
    with torch.no_grad():
        model.spatial[0].weight.mul_(100)
        model.classify.weight.mul_(100)
        first = model(make_batch(spec, 2))
        model.spatial[0].weight.mul_(10)
        model.classify.weight.mul_(10)
        second = model(make_batch(spec, 2))
        limit = 0.25 * first.embedding.norm(dim=1, keepdim=True) + model.classify.bias.abs()
    torch.testing.assert_close(first.logits, second.logits, rtol=1e-4, atol=1e-5)
    assert (first.logits.abs() <= limit + 1e-5).all()


def test_it_sees_oscillations_and_space() -> None:
    spec = eeg_spec(outputs=2)
    torch.manual_seed(0)
    model = EEGNet(spec).eval()
    batch = make_batch(spec, 1)
    turned = replace(batch, signals={"eeg": batch.signals["eeg"].flip(1)})
    with torch.no_grad():
        assert not torch.allclose(model(batch).logits, model(turned).logits)


def test_windows_it_cannot_read_are_refused() -> None:
    with pytest.raises(InputError, match="at least 32"):
        EEGNet(eeg_spec(window_s=0.2))
    with pytest.raises(InputError, match="expected eeg"):
        EEGNet(make_spec("eda"))
    with pytest.raises(InputError, match="expected 512"):
        EEGNet(eeg_spec())(make_batch(eeg_spec(window_s=2.0), 1))
