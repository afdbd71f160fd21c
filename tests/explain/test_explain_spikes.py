"""Spikes on held-out windows: what the analysis holds, and what the page makes of it."""

from __future__ import annotations

import pytest
from fake_result import stress
from small_cohort import fresh, scored

from insula.explain.cost.spikes import SpikeSheet
from insula.explain.facts import gather
from insula.explain.spikes import SPIKES, SpikeCosts, _layer, spike_costs
from insula.learning.feed import Feed
from insula.report.page import render


def test_rates_and_costs_are_those_of_the_network_and_its_twin() -> None:
    model, windows = fresh("eavs_tf"), scored()
    found = spike_costs([(model, windows)])
    assert found is not None
    own, twin = found.sheets
    assert own.windows == twin.windows == min(8, len(windows))
    assert own.synaptic > 0
    assert twin.synaptic == 0
    assert twin.rates == ()
    batch = next(Feed(model.prepare(windows), "window").each(8)).batch
    assert dict(own.rates).keys() == model.networks[0].eval()(batch).extras["spikes"].keys()
    assert all(0 <= rate <= 1 for _, rate in own.rates)


def test_a_cascade_has_rates_of_both_branches_and_other_networks_none() -> None:
    found = spike_costs([(fresh("udc_snn"), scored())])
    assert found is not None
    assert len(found.sheets) == 1
    names = {name.split(".")[0] for name, _ in found.sheets[0].rates}
    assert "first" in names
    assert spike_costs([(fresh("tcn"), scored())]) is None


@pytest.mark.slow
def test_the_page_draws_them() -> None:
    rates = (("enter.eeg", 0.2), ("block0.within.qkv", 0.125), ("leave", 0.5))
    own = SpikeSheet("spiking", rates, 1000.0, 50.0, 2e5, 9e-10, 1e-10, 9e-7, 8)
    twin = SpikeSheet("non-spiking twin", (), 0.0, 10.0, 4e5, 0.0, 1e-11, 1.8e-6, 8)
    analysis = SpikeCosts((own, twin), "mean of 8 windows")
    assert "fig-spikes" not in render(stress())
    result = stress().with_analyses(spikes=SPIKES.write(analysis))
    assert SPIKES.read(result) == analysis
    (picture,) = SPIKES.show(analysis, gather(result)).pictures
    assert 'id="energy"' in render(result)
    assert "1,000 synaptic operations" in picture.caption
    assert "mean of 8 windows" in picture.caption.lower()
    for text in ("eeg", "over time · q, k, v", "non-spiking twin"):
        assert text in picture.wide
    assert picture.wide.count("50 %") >= 1


def test_layers_in_words() -> None:
    assert _layer("enter.eeg", True) == "eeg"
    assert _layer("block0.feed.hidden", True) == "feed-forward · hidden"
    assert _layer("second.block1.within.gather", False) == "second branch · block 2 · over time · sums"
    assert _layer("block0.within.enter", True) == "over time · input"
