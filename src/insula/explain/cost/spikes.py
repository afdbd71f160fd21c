"""Spike rates, synaptic operations and energy of a spiking network, measured on data, beside its non-spiking twin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from insula.errors import InputError
from insula.explain.cost import Costs, Work, joules_text, sheet
from insula.models.blocks.spiking_attention import ModalityMixer, TimeMixer
from insula.models.cascade import taken
from insula.types import Batch, InputSpec

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class SpikeSheet:
    """Mean cost of a decision over some windows, split by who causes it.

    ``rates`` lists (layer, share of its neurons and steps that fired). ``synaptic`` counts the additions that spikes
    cause in weights and attention; ``membrane`` the multiply-accumulates and additions of the neurons and the readout's
    membranes; ``analogue`` everything else: encoders, classifier (in the twin: all weights). Each has its joules.
    """

    name: str
    rates: tuple[tuple[str, float], ...]
    synaptic: float
    membrane: float
    analogue: float
    joules_synaptic: float
    joules_membrane: float
    joules_analogue: float
    windows: int

    @property
    def joules(self) -> float:
        """Energy of one decision."""
        return self.joules_synaptic + self.joules_membrane + self.joules_analogue

    def text(self) -> str:
        """Write the sheet in plain lines."""
        lines = [
            f"{self.name}: {joules_text(self.joules)} a decision, mean of {self.windows} windows",
            f"  spikes {self.synaptic:,.0f} synaptic operations, {joules_text(self.joules_synaptic)}",
            f"  membranes {self.membrane:,.0f} operations, {joules_text(self.joules_membrane)}",
            f"  analogue {self.analogue:,.0f} operations, {joules_text(self.joules_analogue)}",
        ]
        return "\n".join(lines + [f"  {layer} fires {rate:.1%}" for layer, rate in self.rates])


def spike_sheet(
    name: str, model: nn.Module, batch: Batch, spec: InputSpec, *, windows: int = 8, costs: Costs | None = None
) -> SpikeSheet:
    """Measure a network, spiking or not, on the first ``windows`` windows of a batch, as the energy sheet counts.

    A streaming network is counted on the last hop of each window with its carried state.
    """
    n = min(windows, len(batch.traits))
    if n < 1:
        raise InputError(f"windows {windows} of {len(batch.traits)}; expected 1 or more.")
    price = costs or Costs()
    kinds = _kinds(model)
    total = {"synaptic": Work(), "membrane": Work(), "analogue": Work()}
    for i in range(n):
        found = sheet(name, model, taken(batch, slice(i, i + 1)), spec, costs=price, runs=1, warm_up=0)
        for layer, macs, adds, others in found.layers:
            kind = kinds.get(layer, "analogue")
            total[kind] = total[kind] + Work(macs, adds, others)
    mean = {kind: (work.macs + work.adds) / n for kind, work in total.items()}
    joules = {f"joules_{kind}": price.joules(work) / n for kind, work in total.items()}
    return SpikeSheet(name, tuple(spike_rates(model, batch).items()), **mean, **joules, windows=n)


def spike_rates(model: nn.Module, batch: Batch) -> dict[str, float]:
    """Rate of every spiking layer over the last hop of each window: the share of its neurons and steps that fired."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            extras = model(batch).extras
    finally:
        model.train(training)
    return {layer: float(rate.mean()) for layer, rate in extras.get("spikes", {}).items()}


def _kinds(model: nn.Module) -> dict[str, str]:
    """Which layers are synapses that spikes drive, and which are neurons."""
    found: dict[str, str] = {}
    for name, module, driven in _walk("", model, False):
        if driven and isinstance(module, nn.Linear | TimeMixer | ModalityMixer):
            found[name] = "synaptic"
        elif type(module).__module__ in ("insula.models.cells.spiking", "insula.models.cells.neurons"):
            found[name] = "membrane"
    return found


def _walk(name: str, module: nn.Module, driven: bool) -> Iterator[tuple[str, nn.Module, bool]]:
    """Every module with its dotted name and whether it or a module around it says that spikes drive it."""
    driven = bool(getattr(module, "spike_driven", driven))
    yield name, module, driven
    for part, child in module.named_children():
        yield from _walk(f"{name}.{part}" if name else part, child, driven)
