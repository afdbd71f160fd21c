"""The published form: a step model without features, attention over the branches, blocks that can be left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fixtures_data import write_phymer
from fusion_inputs import SPEC, one_hop, random_batch

from insula.data import load
from insula.errors import InputError
from insula.evaluation.experiment import read_experiment
from insula.evaluation.run import evaluate
from insula.models import build, card
from insula.models.liquid_published import BLOCKS
from insula.windows.cutting import cut

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "liquid_phymer.toml"


def published(**options):  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    return build("liquid", SPEC, variant="published", **options).eval()


@pytest.mark.parametrize("left_out", [None, *BLOCKS])
def test_hop_by_hop_equals_the_whole_pass(left_out: str | None) -> None:
    model, batch = published(leave_out=left_out), random_batch(SPEC, 3, 5)
    with torch.no_grad():
        whole, state = model.sequence(batch), None
        for hop in range(5):
            part = model(one_hop(batch, SPEC, hop), state)
            state = part.state
            torch.testing.assert_close(part.logits, whole.logits[:, hop], atol=1e-5, rtol=1e-5)
    assert ("time" in whole.attention) == (left_out != "attention")
    assert ("reconstruction" in whole.extras) == (left_out != "autoencoder")
    without = {"peripheral": ["eeg", "traits"], "traits": ["eeg", "bvp", "eda", "hr"]}
    assert model.branches == without.get(str(left_out), ["eeg", "bvp", "eda", "hr", "traits"])


def test_branches_are_weighed_and_absent_ones_count_nothing() -> None:
    model, batch = published(), random_batch(SPEC, 2, 3)
    there = batch.present.clone()
    there[0, :, 1] = False  # bvp
    with torch.no_grad():
        found = model.sequence(replace(batch, present=there))
    weight = found.attention["branches"]
    assert weight.shape == (2, 3, 5)
    torch.testing.assert_close(weight.sum(-1), torch.ones(2, 3))
    assert not weight[0, :, 1].any()
    assert (weight[1] > 0).all()


def test_nothing_hand_made_is_read_and_the_latent_alone_is_classified() -> None:
    model, batch = published(), random_batch(SPEC, 2, 3)
    other = replace(batch, features={m: v + 5 for m, v in batch.features.items()})
    with torch.no_grad():
        a, b = model.sequence(batch), model.sequence(other)
        torch.testing.assert_close(a.logits, b.logits)
        torch.testing.assert_close(model.classify(a.embedding), a.logits)
    assert set(model.liquid_layers()) == {"eeg", "bvp", "eda", "hr"}
    assert not hasattr(model, "start_readout")


def test_names_are_checked_and_the_card_lists_the_form() -> None:
    with pytest.raises(InputError, match="leave_out 'attentoin'"):
        published(leave_out="attentoin")
    with pytest.raises(InputError, match="variant of model 'liquid' 'publisht'"):
        build("liquid", SPEC, variant="publisht")
    with pytest.raises(InputError, match="option of model 'liquid' with variant 'published' 'core'"):
        build("liquid", SPEC, variant="published", core="gru")
    told = card("liquid")
    assert told.title_of({"variant": "published"}) == "Liquid fusion network, published form"
    assert {f"published_no_{block}" for block in BLOCKS} <= set(told.variants)
    assert told.claims[0].variant == "published"


def test_the_experiment_runs_under_its_published_and_a_clean_protocol(tmp_path: Path) -> None:
    recordings = load("phymer", write_phymer(tmp_path, 16))
    experiment = read_experiment(EXPERIMENT)
    windows = cut(recordings, _recipe(), "emotion")
    quick = {**experiment.train, "epochs": 1}
    compare = replace(experiment.compare, rows=("majority",), variants=("published_no_attention",))
    for name, folds, leaky in (("random_windows", 2, True), ("leave_one_subject_out", None, False)):
        plan = replace(
            experiment, train=quick, compare=compare, protocol=replace(experiment.protocol, name=name, folds=folds)
        )
        found = evaluate(windows, plan).result
        assert [s.name for s in found.systems[:1]] == ["liquid"]
        assert found.systems[0].title == "Liquid fusion network, published form"
        assert found.systems[0].leaky == leaky
        assert "liquid_published_no_attention" in [s.name for s in found.systems]


def _recipe():  # type: ignore[no-untyped-def]
    from insula.data import info

    return replace(info("phymer").recipe, guard_s=0.0)
