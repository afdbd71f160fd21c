"""BrainOmni against what its public code says of the same weights, and its rule for montages and sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import encoder_weights
import pytest
import torch
from model_inputs import make_spec
from torch import Tensor, nn

from insula.errors import DataError, InputError
from insula.models.encoders.brainomni import BrainOmni
from insula.models.encoders.weights import Folder

NAMES = ("AF3", "F7", "F3", "T3", "Cz", "Fz")
PUBLIC = (0.0851, -0.0864, -0.0505, -0.0124, 0.1060, -0.0353)
"""First numbers of the mean token that ``encode`` gives for these weights, places and waves: layers retyped from the
public repository and its port in braindecode, with their LSTM, weight norm and complex rotation of torch and einops."""


def opened(folder: Path, *names: str, rate_hz: float = 256.0) -> nn.Module:
    spec = replace(make_spec("eeg"), channels={"eeg": names}, signals={"eeg": (len(names), rate_hz)})
    return BrainOmni.opened(Folder(str(folder), BrainOmni.card), spec)


def waves(rate_hz: int, seconds: int = 4) -> Tensor:
    time = torch.arange(rate_hz * seconds) / rate_hz
    slow = torch.stack([torch.sin(2 * torch.pi * (3 + 2 * c) * time) for c in range(6)])
    return (slow + 0.3 * torch.stack([torch.sin(2 * torch.pi * (20 + c) * time) for c in range(6)]))[None]


def test_it_says_what_the_public_code_says(tmp_path: Path) -> None:
    reader = opened(encoder_weights.brainomni(tmp_path), *NAMES)
    found = reader(waves(256))
    torch.testing.assert_close(found[0, :6], torch.tensor(PUBLIC), atol=3e-4, rtol=1e-3)
    torch.testing.assert_close(reader(50 * waves(256) + 3), found, atol=1e-5, rtol=1e-4)
    assert torch.isfinite(opened(tmp_path, *NAMES, rate_hz=128.0)(waves(128, 1)[..., :9])).all()


def test_places_count_and_unknown_ones_are_named(tmp_path: Path) -> None:
    folder = encoder_weights.brainomni(tmp_path)
    usual, moved = opened(folder, *NAMES), opened(folder, "O1", *NAMES[1:])
    assert not torch.allclose(usual(waves(256)), moved(waves(256)), atol=1e-5)
    with pytest.raises(InputError, match="does not know the channel EXG1"):
        opened(folder, *NAMES[:5], "EXG1")


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"quantize_optimize_method": "simvq"}, "expected ema"), ({"n_head": 3}, "do not divide"),
     ({"ratios": [64, 64]}, "do not divide"), ({"lm_depth": 10**9}, "cannot be read"), ({"n_filters": 3}, "of shape"),
     ({"lm_depth": 4}, "holds 3 blocks; expected 4")],
)  # fmt: skip
def test_a_description_that_does_not_fit_is_refused(changes: dict[str, object], told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        opened(encoder_weights.brainomni(tmp_path, **changes), *NAMES)
