"""What is particular to networks of eyes and of mixed emotions: routing, fusion, styles, contrast, memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from model_inputs import make_batch, make_spec

from insula.errors import InputError
from insula.models import build
from insula.models.cmslnet import CMSLNet, LowRankFusion, MixStyle
from insula.models.mpcl import MPCL, Memory
from insula.models.tcfn import TCFN, Routing, squash

EYE = make_spec("eye", traits=0)
BOTH = make_spec("eeg", "eye", traits=0)


def test_squash_keeps_direction_and_shortens() -> None:
    v = torch.tensor([[3.0, 4.0], [0.03, 0.04], [0.0, 0.0]])
    torch.testing.assert_close(
        squash(v).norm(dim=-1), torch.tensor([25 / 26, 0.0025 / 1.0025, 0.0]), atol=1e-5, rtol=1e-3
    )
    torch.testing.assert_close(squash(v)[0] / squash(v)[0].norm(), torch.tensor([0.6, 0.8]))


def test_capsules_that_agree_win_the_routing() -> None:
    layer = Routing(3, 2, 2, 2)
    with torch.no_grad():
        layer.weight.zero_()
        for p in range(3):
            layer.weight[p, 0] = torch.eye(2)  # to the first emotion all vote alike
            layer.weight[p, 1] = torch.eye(2) * (-1) ** p  # to the second they quarrel
    capsules = torch.tensor([[[1.0, 0.0]] * 3])
    found, gave = layer(capsules, torch.ones(1, 3))
    assert found[0, 0].norm() > found[0, 1].norm() + 0.2
    assert (gave[0, :, 0] > gave[0, :, 1]).sum() >= 2
    alone, _ = layer(capsules, torch.tensor([[1.0, 0.0, 0.0]]))
    assert alone[0, 0].norm() < found[0, 0].norm(), "an absent capsule has no vote"


def test_shares_of_the_parts_sum_to_one_and_the_ablation_has_no_rounds() -> None:
    batch = make_batch(EYE, 3)
    for routing in (True, False):
        torch.manual_seed(0)
        model = build("tcfn", EYE, routing=routing).eval()
        assert isinstance(model, TCFN)
        time = model(batch).attention["time"]
        assert time.shape == (3, 1, 6)
        torch.testing.assert_close(time.sum(-1), torch.ones(3, 1))
    with pytest.raises(InputError, match="without eye"):
        build("tcfn", make_spec("eeg", traits=0))


def test_fusion_is_the_weighed_sum_of_rank_one_terms() -> None:
    torch.manual_seed(0)
    layer, a, b = LowRankFusion(3, 2), torch.randn(4, 3), torch.randn(4, 3)
    fused, weights = layer(a, b)
    first, second = layer.first(a).view(4, 2, 3), layer.second(b).view(4, 2, 3)
    torch.testing.assert_close(weights.sum(1), torch.ones(4))
    torch.testing.assert_close(fused, sum(weights[:, [r]] * first[:, r] * second[:, r] for r in range(2)))


def test_styles_are_mixed_in_training_only() -> None:
    torch.manual_seed(0)
    layer, x = MixStyle(1.0), torch.randn(5, 6, 4) * torch.arange(1, 6)[:, None, None]
    assert torch.equal(layer.eval()(x), x)
    mixed = layer.train()(x)
    assert not torch.allclose(mixed, x)

    def plain(v: torch.Tensor) -> torch.Tensor:
        return (v - v.mean(1, keepdim=True)) / v.std(1, keepdim=True, unbiased=False)

    torch.testing.assert_close(plain(mixed), plain(x), atol=1e-3, rtol=1e-3)


def test_the_contrast_falls_as_windows_find_their_own_eyes() -> None:
    unit = torch.eye(4)
    both = torch.ones(4, dtype=torch.bool)
    right, wrong = CMSLNet._apart(unit, unit, both), CMSLNet._apart(unit, unit.roll(1, 0), both)
    assert (right < 0.1).all()
    assert (wrong > 3).all()
    both[2] = False
    assert CMSLNet._apart(unit, unit, both)[2] == 0
    model = build("cmslnet", BOTH).eval()
    assert model(make_batch(BOTH, 4)).extras["penalty"].shape == (4,)
    assert (build("cmslnet", BOTH, consistency=0.0).eval()(make_batch(BOTH, 4)).extras["penalty"] == 0).all()


def test_memory_gives_back_what_is_stored_for_what_is_like() -> None:
    layer = Memory(4, 4)
    with torch.no_grad():
        layer.keys.copy_(torch.eye(4))
        layer.values.copy_(torch.arange(16.0).view(4, 4))
        layer.query.weight.copy_(torch.eye(4))
        layer.log_sharpness.fill_(5.0)
    torch.testing.assert_close(layer(torch.eye(4)[None, [2]])[0, 0], torch.tensor([8.0, 9, 10, 11]))


def test_what_goes_together_raises_what_was_not_seen() -> None:
    spec = make_spec("eda", traits=0)
    torch.manual_seed(0)
    model, batch = build("mpcl", spec).eval(), make_batch(spec, 3)
    assert isinstance(model, MPCL)
    found = model.co_occurrence()
    assert found is not None
    torch.testing.assert_close(found.sum(1), torch.ones(3))
    torch.testing.assert_close(model.prototypes().diagonal(), torch.ones(3))
    before = model(batch).logits.softmax(1)
    assert model.together is not None
    with torch.no_grad():
        model.together[:, 2] += 8.0  # whatever is felt, the third goes with it
    after = model(batch).logits.softmax(1)
    assert (after[:, 2] > before[:, 2] + 0.1).all()
    alone = build("mpcl", spec, together=False)
    assert isinstance(alone, MPCL)
    assert alone.co_occurrence() is None
    with pytest.raises(InputError, match="without hand-made features"):
        build("mpcl", replace(spec, features={"eda": 0}))
