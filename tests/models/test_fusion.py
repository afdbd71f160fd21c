"""The flagship as a step model: any chunking in hops equals the whole pass; absent parts leave finite answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from fusion_inputs import SPEC, one_hop, random_batch

from insula.errors import InputError
from insula.models import build
from insula.models.cells.cores import CORES
from insula.types import InputSpec


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("size", ["small", "medium"])
def test_hop_by_hop_equals_the_whole_pass(core: str, size: str) -> None:
    torch.manual_seed(0)
    model = build("liquid", SPEC, size, core=core).eval()
    batch = random_batch(SPEC, 3, 6)
    with torch.no_grad():
        whole = model.sequence(batch)
        state = None
        for hop in range(6):
            part = model(one_hop(batch, SPEC, hop), state)
            state = part.state
            torch.testing.assert_close(part.logits, whole.logits[:, hop], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(part.attention["time"], whole.attention["time"][:, hop], atol=1e-5, rtol=1e-5)


def test_state_matters_and_the_future_does_not() -> None:
    torch.manual_seed(0)
    model = build("liquid", SPEC).eval()
    batch = random_batch(SPEC, 2, 4)
    changed = replace(batch, signals={m: v.clone() for m, v in batch.signals.items()})
    half = batch.signals["eeg"].shape[2] // 2
    changed.signals["eeg"][:, :, half:] += 3.0
    with torch.no_grad():
        a, b = model.sequence(batch).logits, model.sequence(changed).logits
        fresh = model(one_hop(batch, SPEC, 3)).logits
    torch.testing.assert_close(a[:, :2], b[:, :2])
    assert (a[:, 2:] - b[:, 2:]).abs().max() > 1e-3
    assert (a[:, 3] - fresh).abs().max() > 1e-3


def test_elapsed_time_changes_the_answer() -> None:
    torch.manual_seed(0)
    model = build("liquid", SPEC).eval()
    batch = random_batch(SPEC, 2, 2)
    slow = replace(batch, elapsed_s={m: v * 20 for m, v in batch.elapsed_s.items()})
    with torch.no_grad():
        assert (model.sequence(batch).logits - model.sequence(slow).logits).abs().max() > 1e-4


@pytest.mark.parametrize("absent", ["eeg", "bvp", "eda", "hr"])
def test_absent_modality_is_ignored_whatever_its_samples(absent: str) -> None:
    torch.manual_seed(0)
    model = build("liquid", SPEC).eval()
    batch = random_batch(SPEC, 2, 2)
    position = list(SPEC.signals).index(absent)
    present = batch.present.clone()
    present[..., position] = False
    features = {m: torch.full_like(v, float("nan")) if m == absent else v for m, v in batch.features.items()}
    observed = {m: torch.zeros_like(v) if m == absent else v for m, v in batch.observed.items()}
    gone = replace(batch, present=present, features=features, observed=observed)
    noisy = replace(gone, signals={m: v + (7.0 if m == absent else 0.0) for m, v in gone.signals.items()})
    with torch.no_grad():
        a, b, full = model.sequence(gone), model.sequence(noisy), model.sequence(batch)
    assert torch.isfinite(a.logits).all()
    torch.testing.assert_close(a.logits, b.logits)
    assert (a.logits - full.logits).abs().max() > 1e-5


def test_gradients_reach_every_parameter_and_reconstruction_is_in_the_loss() -> None:
    torch.manual_seed(0)
    model = build("liquid", SPEC, dropout=0.0)
    out = model.sequence(random_batch(SPEC, 3, 3))
    assert (out.extras["penalty"] > 0).all()
    (out.logits.square().mean() + out.extras["penalty"].mean()).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_samples_that_are_no_whole_hops_are_refused() -> None:
    model = build("liquid", SPEC)
    batch = random_batch(SPEC, 1, 1)
    short = replace(batch, signals={m: v[..., :-1] for m, v in batch.signals.items()})
    with pytest.raises(InputError, match="whole number of hops"):
        model.sequence(short)


def test_unknown_size_and_core_name_what_is_known() -> None:
    with pytest.raises(InputError, match="medium"):
        build("liquid", SPEC, "smal")
    with pytest.raises(InputError, match="ema"):
        build("liquid", SPEC, core="lstm")
    with pytest.raises(InputError, match="liquid"):
        build("liqid", SPEC)


def test_a_slow_amplitude_goes_to_the_peripheral_branch() -> None:
    spec = InputSpec(
        signals={"emg": (1, 1.0), "eda": (1, 4.0)},
        features={"emg": 0, "eda": 0},
        traits=0,
        outputs=2,
        continuous=False,
        window_s=10.0,
        hop_s=5.0,
    )
    model = build("liquid", spec)
    assert model.fast == []
    assert model.slow == ["emg", "eda"]
