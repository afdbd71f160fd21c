"""What is particular to the field's networks: sizes, graphs, maps of the head, complex numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from model_inputs import make_batch, make_spec

from insula.errors import InputError
from insula.learning.losses import cross_entropy
from insula.models import build, card
from insula.models.blocks.scalp import SIDE, cell, scalp_map
from insula.models.cv_eegnet import SpectralConv
from insula.models.dgcnn import DGCNN, ChebyshevConv
from insula.models.fc_attention import BandGraphs
from insula.models.histn import HiSTN

EPOC = make_spec("eeg", traits=0, outputs=5, window_s=1.0, hop_s=1.0, shapes={"eeg": (14, 128.0)})


def test_histn_is_as_small_as_published_and_joins_regions_only() -> None:
    model = build("histn", EPOC)
    assert isinstance(model, HiSTN)
    assert 900 <= sum(p.numel() for p in model.parameters()) <= 1100
    joined = model.electrode_level.messages.laplacian != 0
    region = torch.tensor([0] * 4 + [1] * 3 + [2] * 3 + [3] * 4)
    assert torch.equal(joined, (region[:, None] == region) & ~torch.eye(14, dtype=torch.bool))
    ring = model.region_level.messages.laplacian != 0
    assert ring.sum(1).tolist() == [2, 2, 2, 2]
    torch.testing.assert_close(model.collect.sum(1), torch.ones(4))
    with pytest.raises(InputError, match="4 or more"):
        build("histn", make_spec("eeg", shapes={"eeg": (3, 128.0)}))


def test_chebyshev_filters_are_polynomials_of_the_scaled_laplacian() -> None:
    torch.manual_seed(0)
    layer, nodes, graph = ChebyshevConv(2, 3, 4), torch.randn(2, 5, 2), torch.rand(5, 5)
    graph = graph + graph.T
    root = torch.diag(graph.sum(1) ** -0.5)
    values, vectors = torch.linalg.eigh(-(root @ graph @ root))
    terms = [vectors @ torch.diag(torch.cos(k * torch.arccos(values.clamp(-1, 1)))) @ vectors.T for k in range(4)]
    expected = torch.cat([t @ nodes for t in terms], -1) @ layer.mix.weight.T + layer.mix.bias
    torch.testing.assert_close(layer(nodes, graph), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("variant", ["c2dgcn", "freqdgt"])
def test_published_relatives_learn_and_show_their_graph(variant: str) -> None:
    spec = make_spec("eeg", traits=0, outputs=2)
    torch.manual_seed(1)
    model, batch, y = (
        build("dgcnn", spec, **card("dgcnn").variants[variant].options),
        make_batch(spec, 8),
        torch.arange(8) % 2,
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(80):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(batch).logits, y).backward()
        optimiser.step()
    model.eval()
    out = model(batch)
    assert (out.logits.argmax(1) == y).all()
    graph = out.attention["electrode"]
    assert graph.shape == (8, 1, 1, 6, 6)
    torch.testing.assert_close(graph.sum(-1), torch.ones(8, 1, 1, 6))
    assert not torch.allclose(graph[0], graph[1]), "made from the window"
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_learned_graph_is_the_same_for_every_window_and_moves_in_training() -> None:
    spec = make_spec("eeg", traits=0)
    model, batch = build("dgcnn", spec), make_batch(spec, 4)
    assert isinstance(model, DGCNN)
    graph = model(batch).attention["electrode"]
    torch.testing.assert_close(graph[0], graph[3])
    model(batch).logits.square().sum().backward()
    assert model.adjacency.grad is not None
    assert model.adjacency.grad.abs().sum() > 0


def test_a_complex_convolution_is_that_of_its_parts() -> None:
    torch.manual_seed(2)
    layer, x = SpectralConv(2, 3, 5), torch.randn(1, 2, 9, dtype=torch.complex64)
    weight = torch.view_as_complex(layer.weight)
    padded = torch.nn.functional.pad(x, (2, 2))
    expected = torch.stack([(padded[:, :, k : k + 5].unsqueeze(1) * weight).sum((2, 3)) for k in range(9)], -1)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_magnitudes_are_logits_and_loudness_does_not_matter() -> None:
    spec = make_spec("eeg", traits=0)
    model, batch = build("cv_eegnet", spec).eval(), make_batch(spec, 3)
    logits = model(batch).logits
    assert (logits >= 0).all()
    louder = replace(batch, signals={"eeg": 5 * batch.signals["eeg"]})
    torch.testing.assert_close(model(louder).logits, logits, atol=1e-4, rtol=1e-4)
    assert "complex" in str(card("cv_eegnet").not_exportable)


def test_ordinal_smoothing_forgives_neighbours() -> None:
    weights, y = torch.tensor([1.0, 2.0, 1.0, 1.0, 1.0]), torch.tensor([1, 1])
    near = torch.tensor([[0.0, 0, 4, 0, 0], [0, 0, 0, 0, 4]])
    soft = cross_entropy(near, y, weights, "ordinal")
    hard = cross_entropy(near, y, weights, 0.0)
    assert soft[0] < soft[1]
    torch.testing.assert_close(hard[0], hard[1])
    target = torch.exp(-((torch.arange(5) - 1.0) ** 2) / (2 * 0.25))
    expected = -2 * (target / target.sum() * near[0].log_softmax(0)).sum()
    torch.testing.assert_close(soft[0], expected)


def test_coherence_finds_the_band_in_which_electrodes_move_together() -> None:
    torch.manual_seed(3)
    time_s = torch.arange(512) / 128
    signals = 0.2 * torch.randn(2, 3, 512)
    signals[:, 0] += torch.sin(2 * torch.pi * 10 * time_s)
    signals[:, 2] += torch.cos(2 * torch.pi * 10 * time_s)  # a quarter of a cycle later: coherent all the same
    for graph in ("coherence", "locking"):
        found = BandGraphs(128.0, graph)(signals)  # theta, alpha, beta, gamma
        assert found.shape == (2, 4, 3, 3)
        assert (found[:, 1, 0, 2] > 0.9).all()
        assert (found[:, [0, 2, 3], 0, 2] < 0.6).all()
        assert (found[:, :, 0, 1] < 0.6).all()
        torch.testing.assert_close(found.diagonal(dim1=2, dim2=3), torch.ones(2, 4, 3), atol=1e-3, rtol=0)
        torch.testing.assert_close(found, found.transpose(2, 3))


def test_heads_look_where_their_bands_graph_points_unless_they_have_none() -> None:
    spec = make_spec("eeg", traits=0)
    batch = make_batch(spec, 3)
    together = batch.signals["eeg"].clone()
    together[:, 3] = 2 * together[:, 0]
    linked = replace(batch, signals={"eeg": together})
    found = {}
    for graph in ("coherence", "none"):
        torch.manual_seed(4)
        model = build("fc_attention", spec, graph=graph).eval()
        weights = model(linked).attention["electrode"][:, 0].mean(1)  # (B, C, C), first block
        found[graph] = float((weights[:, 0, 3] - weights[:, 0, [1, 2, 4, 5]].mean(-1)).mean())
    assert found["coherence"] > found["none"] + 0.02


def test_electrodes_are_laid_by_their_names() -> None:
    place = {name: divmod(cell(name) or 0, SIDE) for name in ("Fp1", "Fz", "T7", "T3", "C3", "C4", "Oz", "O2", "POZ")}
    assert place["Fz"] == (2, 4)
    assert place["T7"] == place["T3"] == (4, 0)
    assert (place["C3"], place["C4"]) == ((4, 2), (4, 6))
    assert place["Fp1"][1] < 4 < place["O2"][1]
    assert place["Oz"] == (8, 4)
    assert cell("EEG 7") is None
    laid = scalp_map(("Fp1", "C3", "Oz"), 3)
    assert laid.sum(1).bool().nonzero().flatten().tolist() == [cell(c) for c in ("Fp1", "C3", "Oz")]
    unknown = scalp_map((), 5)
    torch.testing.assert_close(unknown.sum(0), torch.ones(5))
    many = scalp_map((), 128)
    assert (many.sum(0) > 0).all()


def test_maps_matter_to_sft_crn_and_its_attention_sums_to_one() -> None:
    named = replace(make_spec("eeg", traits=0), channels={"eeg": ("Fp1", "Fp2", "C3", "C4", "O1", "O2")})
    batch, logits = make_batch(named, 2), {}
    for maps in ("scalp", "order"):
        torch.manual_seed(5)
        out = build("sft_crn", named, maps=maps).eval()(batch)
        logits[maps] = out.logits
        assert out.attention["time"].shape == (2, 1, 8)
        torch.testing.assert_close(out.attention["time"].sum(-1), torch.ones(2, 1))
    assert not torch.allclose(logits["scalp"], logits["order"])
