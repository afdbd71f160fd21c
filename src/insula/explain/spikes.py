"""How often the layers of a spiking network fire on held-out windows, and what that costs beside its twin."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch

from insula import plots
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Fitted, Shown
from insula.explain.cost.spikes import SpikeSheet, spike_sheet
from insula.explain.facts import Facts
from insula.explain.wording import joules
from insula.learning.feed import Feed
from insula.models import build, card

WINDOWS = 8
"""Held-out windows whose spikes are counted."""


@dataclass(frozen=True)
class SpikeCosts:
    """Sheet of the network and, where it has one, of its twin without spikes."""

    sheets: tuple[SpikeSheet, ...] = ()
    note: str = ""


def spike_costs(fitted: Fitted) -> SpikeCosts | None:
    """Count the first fold's first network on windows held out from it; None for a network without spikes.

    ``sheets`` holds `SpikeSheet` values: of the network and, where its card names one, of its twin of the same
    shape with fresh weights (its arithmetic is dense and does not depend on them).
    """
    model, held_out = fitted[0]
    network = copy.deepcopy(model.networks[0]).cpu().eval()
    if not any(getattr(m, "spike_driven", False) for m in network.modules()):
        return None
    rows = np.unique(np.linspace(0, len(held_out) - 1, min(WINDOWS, len(held_out))).astype(int))
    batch = next(Feed(model.prepare(held_out.take(rows)), "window").each(len(rows))).batch
    sheets = [spike_sheet("spiking", network, batch, model.spec, windows=len(rows))]
    if model.factory is None:
        for twin in (v for v in card(model.config.model).variants.values() if v.role == "twin"):
            torch.manual_seed(0)
            options = {**dict(model.config.options or {}), **twin.options}
            other = build(model.config.model, model.spec, model.config.size, **options).eval()
            sheets.append(spike_sheet("non-spiking twin", other, batch, model.spec, windows=len(rows)))
    note = f"mean of {len(rows)} held-out windows of the first fold, first network; counted, not measured"
    return SpikeCosts(tuple(sheets), note)


def _run(evaluated: Evaluated) -> SpikeCosts | None:
    return spike_costs(evaluated.fitted)


def _show(found: SpikeCosts, _: Facts) -> Shown:
    if not found.sheets or not found.sheets[0].rates:
        return Shown()
    own = found.sheets[0]
    one_block = not any("block1." in name for name, _ in own.rates)
    rates = [(_layer(name, one_block), rate) for name, rate in own.rates]
    bills = [plots.SpikeBill(s.name, s.joules_synaptic, s.joules_membrane, s.joules_analogue) for s in found.sheets]
    told = f"{own.synaptic:,.0f} synaptic operations and {joules(own.joules)} a decision"
    if len(found.sheets) > 1:
        told += f", {joules(found.sheets[1].joules)} for the same network without spikes"
    highest = max(rates, key=lambda r: r[1])
    caption = f"""A spike costs an addition for every weight it meets, silence costs nothing: the less the layers fire,
        the less the part called spikes. Membranes are updated at every step, spike or not; analogue are the encoders
        that turn samples into currents, and the classifier. Here {told}. Only hardware that works where a spike is
        saves this: this computer does not.{picture.sentence(found.note)}"""
    alt = f"{len(rates)} layers, most active {highest[0]} with {100 * highest[1]:.0f} %; {told}"
    made = picture.make("spikes", "What the spikes cost", caption, alt, plots.spikes, rates, bills, joules=joules)
    return Shown(pictures=(made,))


_PARTS = {
    "enter": "input", "within": "over time", "across": "across signals", "feed": "feed-forward", "gather": "sums",
    "qkv": "q, k, v", "hidden": "hidden", "leave": "last", "first": "first branch",
    "second": "second branch",
}  # fmt: skip


def _layer(name: str, one_block: bool) -> str:
    """Say a layer's dotted name in words: ``block0.within.gather`` is block 1, over time, sums."""
    if one_block:
        name = name.replace("block0.", "")
    if name.split(".")[-2:-1] == ["enter"]:
        name = name.replace("enter.", "")
    parts = [f"block {int(p[5:]) + 1}" if p.startswith("block") and p[5:].isdigit() else p for p in name.split(".")]
    return " · ".join(_PARTS.get(p, p) for p in parts)


SPIKES = Analysis("spikes", SpikeCosts, _run, _show, part="energy")
