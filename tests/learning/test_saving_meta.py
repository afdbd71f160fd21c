"""A forged size of a network is refused before it is made, and no registered network is refused by that."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from model_inputs import make_spec
from safetensors.torch import load, save
from small_cohort import fresh

import insula
from insula.errors import DataError
from insula.learning.saving import _require_size, digest
from insula.models import MODELS, build, card


@pytest.mark.parametrize("name", MODELS)
def test_every_network_is_drawn_up_or_left_alone(name: str) -> None:
    reads = card(name).reads or ("eda", "bvp")
    spec = make_spec(*reads, *(("eda",) if "self_report" in reads else ()))  # a network of answers says conductance
    _require_size(build(name, spec).state_dict(), lambda: build(name, spec))


def test_a_forged_size_takes_no_memory() -> None:
    weights = torch.nn.Linear(3, 2).state_dict()
    with pytest.raises(RuntimeError, match="size mismatch"):
        _require_size(weights, lambda: torch.nn.Linear(1 << 30, 1 << 14))  # 64 TB


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_though_every_digest_fits(tmp_path: Path, value: float) -> None:
    folder = fresh().save(tmp_path / "model")
    insula.load_model(folder)
    file, described = folder / "weights-0.safetensors", folder / "estimator.json"
    tensors = load(file.read_bytes())
    name = next(k for k, v in tensors.items() if v.is_floating_point() and v.numel())
    tensors[name].view(-1)[0] = value
    file.write_bytes(save(tensors))
    told = json.loads(described.read_text())
    del told["sha256"]
    told["weights_sha256"][0] = hashlib.sha256(file.read_bytes()).hexdigest()
    described.write_text(json.dumps(told | {"sha256": digest(told)}))
    with pytest.raises(DataError, match=f"holds {name} that is not finite"):
        insula.load_model(folder)


@pytest.mark.parametrize("forged", ["normaliser", "scaler"])
def test_levels_of_another_number_of_columns_are_refused(tmp_path: Path, forged: str) -> None:
    folder = fresh().save(tmp_path / "model")
    described = folder / "estimator.json"
    told = json.loads(described.read_text())
    del told["sha256"]
    if forged == "normaliser":
        told["normaliser"]["centre"] = told["normaliser"]["centre"][1:]
    else:
        modality = next(iter(told["scaler"]["centre"]))
        told["scaler"]["centre"][modality] = told["scaler"]["centre"][modality][1:]
    described.write_text(json.dumps(told | {"sha256": digest(told)}))
    with pytest.raises(DataError, match=r"of different numbers of columns|another number of channels"):
        insula.load_model(folder)
