"""Changes of training batches that keep the labels."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from small_cohort import fresh, scored

from insula.errors import InputError
from insula.learning.augment import augmented
from insula.learning.batches import LabelledBatch
from insula.learning.feed import Feed, run
from insula.learning.making import make
from insula.learning.train_config import TrainConfig

OFF = TrainConfig(modality_dropout=0.0)


@cache
def batch() -> LabelledBatch:
    model = fresh("liquid")
    return next(iter(Feed(model.prepare(scored()), "trial").each(18)))


def changed(**config: float) -> LabelledBatch:
    return augmented(batch(), replace(OFF, **config), np.random.default_rng(0))


def test_what_is_off_draws_nothing_and_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    found = augmented(batch(), OFF, rng)
    assert rng.random() == np.random.default_rng(0).random()
    for name, values in batch().batch.signals.items():
        torch.testing.assert_close(found.batch.signals[name], values, rtol=0, atol=0)


def test_a_gain_is_one_factor_a_stretch_and_modality() -> None:
    found = changed(gain=0.3)
    before, after = batch().batch.signals["eda"], found.batch.signals["eda"]
    factor = (after * before).sum((1, 2)) / (before * before).sum((1, 2))
    torch.testing.assert_close(after, before * factor[:, None, None])
    assert (factor > 0).all()
    assert 0.1 < float(factor.log().std()) < 0.6
    torch.testing.assert_close(found.y, batch().y)
    torch.testing.assert_close(found.weight, batch().weight)


def test_channels_are_lost_whole_and_never_the_only_one() -> None:
    part = batch()
    two = {m: v.repeat(1, 2, 1) if m == "bvp" else v for m, v in part.batch.signals.items()}
    part = replace(part, batch=replace(part.batch, signals=two))
    found = augmented(part, replace(OFF, channel_dropout=0.5), np.random.default_rng(0))
    silent = (found.batch.signals["bvp"] == 0).all(-1)  # (B, 2)
    assert 0.2 < float(silent.float().mean()) < 0.8
    kept = ~silent
    torch.testing.assert_close(found.batch.signals["bvp"][kept], two["bvp"][kept])
    torch.testing.assert_close(found.batch.signals["eda"], two["eda"])


def test_a_late_start_is_a_shorter_stretch() -> None:
    """What is answered after the new start equals the answers for the stretch cut there, and the rest has no weight."""
    found = changed(late_start=0.6)
    hops = batch().y.shape[1]
    seen = [b.batch.observed["hr"].unflatten(1, (hops, -1)).any(-1) for b in (batch(), found)]
    first = (seen[0] & ~seen[1]).sum(1)  # hops left out
    assert 0 < int(first.max()) <= int(0.6 * hops)
    assert (seen[1].int().diff(dim=1)[seen[0][:, 1:]] >= 0).all()  # a beginning, without holes
    assert (found.weight[seen[0] & ~seen[1]] == 0).all()
    model = fresh("liquid", use_raw=False)  # a convolution sees zeros before the start, not nothing
    late = int(first.argmax())
    n = int(first[late])
    with torch.no_grad():
        whole = run(model.networks[0], found, "trial").logits[late, n:]
        own = batch().batch
        cut = replace(
            own,
            signals={m: v[..., n * v.shape[-1] // hops :] for m, v in own.signals.items()},
            observed={m: v[..., n * v.shape[-1] // hops :] for m, v in own.observed.items()},
            elapsed_s={m: v[:, n * v.shape[1] // hops :] for m, v in own.elapsed_s.items()},
            features={m: v[:, n:] for m, v in own.features.items()},
            present=own.present[:, n:],
        )
        shorter = model.networks[0].sequence(cut).logits[late]
        longer = run(model.networks[0], batch(), "trial").logits[late, n:]
    torch.testing.assert_close(whole, shorter, atol=1e-5, rtol=1e-5)
    assert float((whole - longer).abs().max()) > 1e-3


def test_training_with_all_of_them_is_finite() -> None:
    row = make("liquid", use_features=False, epochs=1, gain=0.2, channel_dropout=0.2, late_start=0.5)
    assert np.isfinite(row.fit(scored()).predict_proba(scored())).all()


@pytest.mark.parametrize("wrong", [{"gain": -0.1}, {"channel_dropout": 1.0}, {"late_start": 2.0}])
def test_shares_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected 0"):
        replace(OFF, **wrong)
