"""Pictures that say nothing are left out, with a line that says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_result import gathered

from insula.explain.attention import ATTENTION, Attention
from insula.explain.latent import LATENT, Latent
from insula.explain.time_constants import TIME_CONSTANTS, LayerTimes, MemoryShare, TimeConstants


def attention(height: float) -> Attention:
    curve = tuple((1 + height * np.linspace(0, 1, 8)) / 8)
    return Attention(tuple(np.arange(8.0)[::-1]), {"rest": curve, "stress": curve}, p={"rest": 0.5, "stress": 0.4})


def test_flat_attention_is_a_line() -> None:
    flat = ATTENTION.show(attention(0.02), gathered("stress"))
    assert flat.pictures == ()
    assert "about equally (within 2.0 % of an even share)" in flat.silent[0]
    assert len(ATTENTION.show(attention(0.5), gathered("stress")).pictures) == 1


@pytest.mark.parametrize(("seeds", "drawn"), [((0.0, 0.0), False), ((0.0, 0.2), True)])
def test_memory_of_neurons_that_keep_nothing_is_a_line(seeds: tuple[float, ...], drawn: bool) -> None:
    layer = LayerTimes(retention={"window": (0.1, 0.2)}, memory_dominant_share=MemoryShare(0.0, 0.0, seeds))
    shown = TIME_CONSTANTS.show(TimeConstants({"fast": layer}), gathered("stress"))
    assert bool(shown.pictures) is drawn
    assert bool(shown.silent) is not drawn


def test_specks_and_a_silhouette_that_no_shuffle_changes_are_lines() -> None:
    rng = np.random.default_rng(0)
    specks = np.repeat(rng.normal(0, 50, (7, 2)), 8, axis=0) + rng.normal(0, 0.05, (56, 2))
    cloud = rng.normal(0, 10, (200, 2))

    def latent(xy: np.ndarray) -> Latent:
        places = tuple((float(a), float(b)) for a, b in xy)
        return Latent(places, ("rest",) * len(xy), ("S01",) * len(xy))

    few = LATENT.show(latent(specks), gathered("stress"))
    assert few.pictures == ()
    assert "7 specks" in few.silent[0]
    assert "cannot be tested" in few.silent[1]
    many = LATENT.show(latent(cloud), gathered("stress"))
    assert len(many.pictures) == 1
    assert "cannot be tested" in many.pictures[0].caption
    told = LATENT.show(replace(latent(cloud), silhouette=0.4, silhouette_shuffled=(0.1, 0.2)), gathered("stress"))
    assert "with shuffled labels 0.10 to 0.20" in told.pictures[0].caption
