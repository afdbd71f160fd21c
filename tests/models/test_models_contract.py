"""Contract of every registered model (insula.types): shapes, gradients, absence, equality of batches, capacity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from model_inputs import absent, make_batch, make_spec, rows_of
from torch import nn

from insula.errors import InputError
from insula.models import MODELS, build, card, model_class
from insula.types import Batch, InputSpec, ModelOutput

NAMES = sorted(MODELS)
OVERFIT_STEPS = 400


def spec_for(name: str, **changes: Any) -> InputSpec:
    required = card(name).reads
    return make_spec(*dict.fromkeys([*required, "eeg", "eda", "bvp", "hr"]), **changes)


def built(name: str, spec: InputSpec, seed: int = 0, size: str = "small") -> nn.Module:
    torch.manual_seed(seed)
    return build(name, spec, size).eval()


def test_every_model_of_the_registry_declares_its_contract() -> None:
    for name in NAMES:
        kind = model_class(name)
        assert card(name).step == hasattr(kind, "sequence"), name
        assert len((kind.__doc__ or "").strip()) > 60, f"{name}: say what is published and what is chosen"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", ["small", "medium"])
def test_shapes_and_dtype(name: str, size: str) -> None:
    spec = spec_for(name)
    output: ModelOutput = built(name, spec, size=size)(make_batch(spec, 3))
    assert output.logits.shape == (3, 3)
    assert output.logits.dtype == torch.float32
    assert output.embedding.shape[0] == 3
    assert output.embedding.dim() == 2
    assert torch.isfinite(output.logits).all()
    assert all(a.shape[0] == 3 for a in output.attention.values())


@pytest.mark.parametrize("name", NAMES)
def test_continuous_target_has_one_output(name: str) -> None:
    spec = spec_for(name, outputs=1, continuous=True)
    assert built(name, spec)(make_batch(spec, 2)).logits.shape == (2, 1)


@pytest.mark.parametrize("name", NAMES)
def test_slow_signals_in_long_windows(name: str) -> None:
    required = card(name).reads
    spec = make_spec(*dict.fromkeys([*required, "eda", "hr"]), window_s=60.0, hop_s=10.0, traits=0)
    assert torch.isfinite(built(name, spec)(make_batch(spec, 2)).logits).all()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_parameter(name: str) -> None:
    spec = spec_for(name)
    model = built(name, spec)
    output: ModelOutput = model(make_batch(spec, 4))
    loss = output.logits.square().sum()
    penalty = output.extras.get("penalty")
    if penalty is not None:
        loss = loss + penalty.sum()
    loss.backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", NAMES)
def test_one_by_one_equals_a_batch(name: str) -> None:
    spec = spec_for(name)
    model, batch = built(name, spec), make_batch(spec, 4)
    with torch.no_grad():
        whole = model(batch).logits
        single = torch.cat([model(rows_of(batch, slice(i, i + 1))).logits for i in range(4)])
    torch.testing.assert_close(single, whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_modality_is_ignored(name: str) -> None:
    spec = spec_for(name)
    model, batch = built(name, spec), make_batch(spec, 3)
    with torch.no_grad():
        usual = model(batch).logits
        for modality in spec.signals:
            empty = model(absent(batch, modality, 0.0)).logits
            assert torch.isfinite(empty).all(), modality
            torch.testing.assert_close(model(absent(batch, modality, 7.5)).logits, empty, atol=1e-6, rtol=1e-6)
            if modality in card(name).reads:
                assert not torch.allclose(empty, usual), f"{modality} does not matter"


@pytest.mark.parametrize("name", NAMES)
def test_everything_absent_or_unknown_is_finite(name: str) -> None:
    spec = spec_for(name)
    batch = make_batch(spec, 2)
    for modality in spec.signals:
        batch = absent(batch, modality, 0.0)
    batch = replace(batch, traits=torch.full_like(batch.traits, torch.nan))
    model = built(name, spec).train()
    output = model(batch)
    output.logits.square().sum().backward()
    assert torch.isfinite(output.logits).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_round_trip(name: str) -> None:
    spec = spec_for(name)
    model, other, batch = built(name, spec), built(name, spec, seed=1), make_batch(spec, 2)
    with torch.no_grad():
        expected = model(batch).logits
        assert not torch.allclose(other(batch).logits, expected)
        other.load_state_dict(model.state_dict())
        torch.testing.assert_close(other(batch).logits, expected, atol=0, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_size_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="small"):
        build(name, spec_for(name), "smal")


@pytest.mark.parametrize("name", NAMES)
def test_every_model_overfits_sixteen_windows(name: str) -> None:
    spec = spec_for(name, outputs=4, window_s=2.0, hop_s=1.0)
    batch = make_batch(spec, 16, seed=3)
    y = torch.randint(0, 4, (16,), generator=torch.Generator().manual_seed(4))
    model = built(name, spec)
    assert _overfits(model, batch, y), f"{name} did not learn 16 windows in {OVERFIT_STEPS} steps"


def _overfits(model: nn.Module, batch: Batch, y: torch.Tensor) -> bool:
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    for step in range(OVERFIT_STEPS):
        model.train()
        output: ModelOutput = model(batch)
        loss = nn.functional.cross_entropy(output.logits, y)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 10 == 9:
            model.eval()
            with torch.no_grad():
                if (model(batch).logits.argmax(1) == y).all():
                    return True
    return False
