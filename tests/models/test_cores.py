"""Layers in the liquid layers' place: sizes, time constants at the start, elapsed time, missing samples, training."""

from __future__ import annotations

import pytest
import torch
from model_inputs import make_batch, make_spec
from torch import nn

from insula.models import build, card
from insula.models.cells.conductance import ConductanceLTC
from insula.models.cells.cores import CORES, build_core

CARD = card("liquid")
OTHERS = [name for name, one in CARD.variants.items() if one.role == "core"]


def test_every_core_but_the_networks_own_is_a_variant() -> None:
    assert sorted([*OTHERS, "liquid"]) == sorted(CORES)
    assert all(CARD.variants[name].options == {"core": name} for name in OTHERS)


@pytest.mark.parametrize("kind", ["gru", "cfc", "conductance"])
def test_other_cores_are_about_as_large_as_the_liquid_layer(kind: str) -> None:
    def size(core: nn.Module) -> int:
        return sum(p.numel() for p in core.parameters() if p.requires_grad)

    wanted = size(build_core("liquid", 24, 24, (0.02, 2.0))[0])
    core, units = build_core(kind, 24, 24, (0.02, 2.0))
    assert 0.8 * wanted <= size(core) <= 1.1 * wanted
    assert core(torch.randn(2, 5, 24), torch.ones(2, 5, 1))[0].shape == (2, 5, units)


def test_a_conductance_layer_starts_between_the_branchs_time_constants() -> None:
    torch.manual_seed(0)
    core, _ = build_core("conductance", 16, 64, (1.0, 600.0), 6)
    assert isinstance(core, ConductanceLTC)
    quiet = core.time_constants(torch.full((1, 1, 16), 0.55), torch.ones(1, 1, 1))  # the middle of all midpoints
    assert 0.3 < quiet.min() < 10
    assert 100 < quiet.max() < 2500


@pytest.mark.parametrize("kind", ["cfc", "conductance"])
def test_elapsed_time_counts_and_differs_by_row(kind: str) -> None:
    torch.manual_seed(1)
    core, _ = build_core(kind, 6, 6, (0.1, 10.0))  # batch equals units: no row may read another's time
    inputs, elapsed = torch.randn(6, 4, 6), torch.rand(6, 4, 1) + 0.1
    with torch.no_grad():
        usual, _ = core(inputs, elapsed)
        slower, _ = core(inputs, 3 * elapsed)
        alone = torch.cat([core(inputs[i : i + 1], elapsed[i : i + 1])[0] for i in range(6)])
    assert not torch.allclose(usual, slower, atol=1e-3)
    torch.testing.assert_close(alone, usual, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("core", ["cfc", "conductance"])
def test_the_network_trains_with_it(core: str) -> None:
    spec = make_spec("eeg", "eda", outputs=2, window_s=2.0, hop_s=1.0)
    torch.manual_seed(2)
    model, batch = build("liquid", spec, core=core, use_context=True), make_batch(spec, 8, seed=5)
    y = torch.arange(8) % 2
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    before = {n: p.detach().clone() for n, p in model.named_parameters() if "core" in n and p.requires_grad}
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(batch).logits, y).backward()
        optimiser.step()
    model.eval()
    with torch.no_grad():
        assert (model(batch).logits.argmax(1) == y).all()
    now = dict(model.named_parameters())
    assert all(not torch.equal(now[n], old) for n, old in before.items() if not n.startswith("slow_core"))
