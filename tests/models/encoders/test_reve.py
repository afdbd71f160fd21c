"""REVE against what its published code says of the same weights, and its rule for montages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import encoder_weights
import pytest
import torch
from model_inputs import make_spec
from torch import nn

from insula.errors import DataError, InputError
from insula.models.encoders.reve import Reve
from insula.models.encoders.weights import Folder
from insula.types import InputSpec

NAMES = ("AF3", "F7", "F3", "T3", "Cz", "Fz")
QUERY, MEAN = (-2.4708, 0.6873, -2.3063, -1.7510), (-2.6956, 0.5162, -2.3025, -2.1950)
"""First numbers of attention pooling and of the mean token that public code (REVE of braindecode 1.8.1) gave for these
weights, places and waves."""


def spec_of(*names: str, rate_hz: float = 200.0, window_s: float = 4.0) -> InputSpec:
    spec = make_spec("eeg", window_s=window_s)
    return replace(spec, channels={"eeg": names}, signals={"eeg": (len(names), rate_hz)})


def opened(folder: Path, spec: InputSpec) -> nn.Module:
    return Reve.opened(Folder(str(folder), Reve.card), spec)


def waves(rate_hz: int, seconds: int = 4) -> torch.Tensor:
    time = torch.arange(rate_hz * seconds) / rate_hz
    return torch.stack([torch.sin(2 * torch.pi * (3 + c) * time) for c in range(6)])[None]


def test_it_says_what_the_published_code_says(tmp_path: Path) -> None:
    found = opened(encoder_weights.reve(tmp_path), spec_of(*NAMES))(waves(200))[0]
    torch.testing.assert_close(found[:4], torch.tensor(QUERY), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found[16:20], torch.tensor(MEAN), atol=1e-3, rtol=1e-3)
    other = opened(tmp_path, spec_of(*NAMES, rate_hz=128.0))(waves(128))[0]
    torch.testing.assert_close(other, found, atol=0.15, rtol=0)


def test_the_bank_may_be_a_file_and_names_old_or_with_a_reference(tmp_path: Path) -> None:
    usual = opened(encoder_weights.reve(tmp_path / "a"), spec_of(*NAMES))(waves(200))
    file = encoder_weights.reve(tmp_path / "b", bank=False)
    torch.testing.assert_close(opened(file, spec_of(*NAMES))(waves(200)), usual)
    told = ("EEG AF3-REF", "f7", "F3", "T7", "CZ", "EEG Fz")
    torch.testing.assert_close(opened(file, spec_of(*told))(waves(200)), usual)
    moved = opened(file, spec_of("Fz", *NAMES[1:5], "AF3"))(waves(200))
    assert not torch.allclose(moved, usual)


def test_what_the_bank_lacks_is_named(tmp_path: Path) -> None:
    folder = encoder_weights.reve(tmp_path)
    with pytest.raises(InputError, match="does not know the channels EXG1, Nose"):
        opened(folder, spec_of("AF3", "EXG1", "Nose"))
    with pytest.raises(InputError, match="no names"):
        opened(folder, make_spec("eeg"))
    (folder / "reve-positions" / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"without positions.json or reve-positions.*huggingface"):
        opened(folder, spec_of(*NAMES))


def test_windows_are_at_least_a_patch_and_long_ones_pass_in_segments(tmp_path: Path) -> None:
    folder = encoder_weights.reve(tmp_path)
    with pytest.raises(InputError, match=r"0.5 s for REVE; expected 1 s"):
        opened(folder, spec_of(*NAMES, window_s=0.5))
    reader = opened(folder, spec_of(*NAMES, window_s=25))
    long = waves(200, 25)
    halves = torch.stack([reader(long[..., :2000]), reader(long[..., 2000:4000])]).mean(0)
    torch.testing.assert_close(reader(long), halves)


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"patch_overlap": 200}, "sizes that fit"), ({"freqs": 1}, "sizes that fit"), ({"depth": 10**9}, "cannot be read"),
     ({"heads": "two"}, "cannot be read"), ({"depth": 3}, "lacks transformer"), ({"embed_dim": 8}, "of shape")],
)  # fmt: skip
def test_a_description_that_does_not_fit_is_refused(changes: dict[str, object], told: str, tmp_path: Path) -> None:
    folder = encoder_weights.reve(tmp_path)
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    with pytest.raises(DataError, match=told):
        opened(folder, spec_of(*NAMES))
