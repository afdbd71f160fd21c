"""EAVS-TF: a spiking multimodal transformer as a step model, its non-spiking twin, and the liquid-spiking variant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from insula.errors import InputError, unknown_name
from insula.models.blocks.spiking_attention import SpikingBlock
from insula.models.blocks.spiking_encoders import Grid, ModalityCurrents, tokens_per_hop
from insula.models.card import ModelCard, Variant
from insula.models.cells.liquid import NeuralLTC
from insula.models.cells.neurons import neuron_maker
from insula.models.cells.spiking import Integrator, SpikeCounter, spike_weights
from insula.types import Batch, InputSpec, ModelOutput

READOUTS = ("membrane", "liquid")
ENCODER_THRESHOLD = 0.5
TWIN_START = 0.5
"""Start weights of the twin against those behind spikes: rectified units would begin saturated."""
MEMORY_WINDOWS = 4.0
"""Longest memory of the readout at the start, in windows."""


@dataclass(frozen=True)
class SpikingSize:
    """Widths of one size; ``tokens`` is about how many tokens a window has."""

    width: int
    heads: int
    hidden: int
    depth: int
    tokens: int
    readout: int


SIZES: Mapping[str, SpikingSize] = {
    "small": SpikingSize(width=32, heads=2, hidden=64, depth=1, tokens=8, readout=32),
    "medium": SpikingSize(width=64, heads=4, hidden=128, depth=2, tokens=16, readout=64),
}


class EAVSTF(nn.Module):
    """Spiking transformer over any set of modalities, hand-made features and traits.

    (p) Title and keywords only: a bio-inspired, energy-efficient, multimodal spiking network. (?) The name reads
    EEG-Audio-Visual Spiking TransFormer; all of the structure is ours: direct coding (an analogue encoder a modality
    gives the currents, see ``blocks``), leaky integrate-and-fire neurons with surrogate gradient
    and learnable thresholds and decays, spiking self-attention within and across modalities
    (``blocks``), ``steps`` time steps a token, readout of membrane potentials.

    A hop is cut into tokens; modalities, features and traits are groups of neurons side by side. Membranes, the ring of
    keys and values and the convolutions' buffers are the state, so that a whole pass equals any chunking in hops.
    Without bias an absent modality is silence: it costs and adds nothing. Membranes decay a step, not a second.

    ``extras["spikes"]`` maps each spiking layer to its rate a hop, (B, N) (``forward``: (B,)): the share of its neurons
    and steps that fired. Attention: see `SpikingBlock`, of the last block.

    Parameters
    ----------
    spec : sizes; any modalities.
    size : ``small`` or ``medium``.
    spiking : False builds the twin: the same layers with ReLU for neurons and one step a token.
    neuron : ``lif``, ``tc_lif`` or ``fspike``, for every layer; ``neuron_options`` go to it.
    steps : time steps a token.
    depth : blocks; None takes the size's, 0 leaves encoders and readout.
    readout : ``membrane``, running means of the last weights' currents; ``liquid``, a liquid time-constant layer driven
        by the spikes (the liquid-spiking variant).
    sparsity : weight of the mean spike rate in the loss; 0 leaves rates free.
    """

    card = ModelCard(
        title="Spiking transformer (EAVS-TF)",
        summary="Spiking encoders and spiking self-attention over all modalities",
        source="only the title is public; the architecture is ours (attention as in Spikformer, arXiv 2209.15425)",
        step=True,
        not_exportable="its neurons fold the batch with their steps of time, which a step's state must keep apart",
        variants={
            "twin": Variant("Non-spiking twin of the spiking transformer", {"spiking": False}, "twin", usual=True),
            "liquid_readout": Variant("Spiking transformer with a liquid readout", {"readout": "liquid"}, "core"),
            "tc_lif": Variant("Spiking transformer of two-compartment neurons", {"neuron": "tc_lif"}, "core"),
            "fspike": Variant("Spiking transformer of fractional-order neurons", {"neuron": "fspike"}, "core"),
        },
        window_cost_s=2.2e-3,
    )

    def __init__(
        self,
        spec: InputSpec,
        size: str = "small",
        *,
        spiking: bool = True,
        neuron: str = "lif",
        neuron_options: Mapping[str, Any] | None = None,
        steps: int = 4,
        depth: int | None = None,
        readout: str = "membrane",
        dropout: float = 0.3,
        sparsity: float = 0.0,
        use_raw: bool = True,
        use_features: bool = True,
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("eavs_tf size", size, SIZES)
        if readout not in READOUTS:
            raise unknown_name("readout", readout, READOUTS)
        if steps < 1 or sparsity < 0:
            raise InputError(f"steps {steps}, sparsity {sparsity}; expected steps of 1 or more, sparsity of 0 or more.")
        if not (use_raw or use_features):
            raise InputError("use_raw and use_features both off; expected one of them on.")
        self.spec, self.size = spec, SIZES[size]
        self.spiking, self.steps, self.sparsity = spiking, steps, sparsity
        self.raw = list(spec.signals) if use_raw else []
        self.columns = {m: n for m, n in spec.features.items() if n and use_features}
        self.groups = [*self.raw, *(["features"] if self.columns else []), *(["traits"] if spec.traits else [])]
        if not spec.signals:
            raise InputError("eavs_tf without signals; expected at least one modality. Choose data with one.")
        self._build(neuron, neuron_options, self.size.depth if depth is None else depth, readout, dropout)

    def _build(self, neuron: str, options: Mapping[str, Any] | None, depth: int, readout: str, dropout: float) -> None:
        s, spec, inner = self.size, self.spec, self.steps if self.spiking else 1
        make = neuron_maker(neuron, self.spiking, options)
        self.hops_per_window = max(1, round(spec.window_s / spec.hop_s))
        samples = {m: round(rate_hz * spec.hop_s) for m, (_, rate_hz) in spec.signals.items()}
        self.hop_tokens = tokens_per_hop(list(samples.values()), s.tokens / self.hops_per_window)
        self.encoders = nn.ModuleDict()
        for m in self.raw:
            channels, rate_hz = spec.signals[m]
            grid = Grid.of(samples[m], self.hop_tokens, self.steps)
            self.encoders[m] = ModalityCurrents(m, channels, rate_hz, grid, s.width)
        if self.columns:
            self.features = _columns_in(sum(self.columns.values()), s.width)
        if spec.traits:
            self.traits = _columns_in(spec.traits, s.width)
        self.enter = nn.ModuleDict({g: make(s.width, threshold=ENCODER_THRESHOLD) for g in self.groups})
        self.lift = nn.ModuleDict({g: spike_weights(s.width, s.width) for g in self.groups})
        count, length = len(self.groups), self.hop_tokens * self.hops_per_window
        self.blocks = nn.ModuleList(
            SpikingBlock(s.width, s.heads, s.hidden, count, length, self.hop_tokens, inner, make) for _ in range(depth)
        )
        self.leave = make(s.width)
        self.readout: nn.Module
        self.weigh: nn.Module
        self.step_s = spec.hop_s / (self.hop_tokens * inner)
        if readout == "liquid":
            self.weigh = nn.Identity()
            self.readout = NeuralLTC(count * s.width, s.readout, tau_s=(self.step_s, spec.window_s), sub_steps=1)
        else:
            self.weigh = spike_weights(count * s.width, s.readout)
            self.readout = Integrator(s.readout, (1.0, MEMORY_WINDOWS * length * inner))
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(s.readout, spec.outputs)
        self.counter = SpikeCounter()
        for part in (*self.lift.values(), *self.blocks, self.weigh):
            part.spike_driven = self.spiking  # the energy counter prices their products a spike
            if not self.spiking:
                with torch.no_grad():
                    for weight in part.parameters():
                        weight *= TWIN_START

    # -- one hop or many ----------------------------------------------------------------------------------------

    def forward(self, batch: Batch, state: Mapping[str, Any] | None = None) -> ModelOutput:
        """Read new samples (a whole number of hops) and answer at their end: logits (B, K), embedding (B, H)."""
        hops = self._hops(batch)
        features = {m: _last_hop(v, hops) for m, v in batch.features.items()}
        out = self.sequence(replace(batch, features=features), state)
        extras: dict[str, Any] = {"spikes": {name: rate[:, -1] for name, rate in out.extras["spikes"].items()}}
        if "penalty" in out.extras:
            extras["penalty"] = out.extras["penalty"][:, -1]
        attention = {name: value[:, -1] for name, value in out.attention.items()}
        return ModelOutput(out.logits[:, -1], out.embedding[:, -1], out.state, attention, extras)

    def sequence(self, batch: Batch, state: Mapping[str, Any] | None = None) -> ModelOutput:
        """Read N hops at once, ``batch.features[m]`` (B, N, F_m), and answer at the end of each.

        Returns logits (B, N, K) and embedding (B, N, H), the readout's membranes.
        """
        old = dict(state) if state is not None else {}
        new: dict[str, Any] = {}
        fired: dict[str, Tensor] = {}
        attention: dict[str, Tensor] = {}
        hops = self._hops(batch)
        current = self._enter(batch, hops, old, new, fired)  # (B * M, S, D)
        for i, block in enumerate(self.blocks):
            current, attention, spikes, new[f"block{i}"] = block(current, hops, old.get(f"block{i}", {}))
            fired |= {f"block{i}.{name}": value for name, value in spikes.items()}
        fired["leave"], new["leave"] = self.leave(current, old.get("leave"))
        size = batch.traits.shape[0]
        joined = fired["leave"].unflatten(0, (size, -1)).transpose(1, 2).flatten(2)  # (B, S, M * D)
        drive = self.weigh(joined)
        if isinstance(self.readout, NeuralLTC):
            elapsed_s = drive.new_full((*drive.shape[:2], 1), self.step_s)
            membranes, new["readout"] = self.readout(drive, elapsed_s, None, old.get("readout"))
        else:
            membranes, new["readout"] = self.readout(drive, old.get("readout"))
        embedding = membranes.unflatten(1, (hops, -1))[:, :, -1]  # (B, N, H)
        extras: dict[str, Any] = {"spikes": {}}
        if self.spiking:
            extras["spikes"] = {
                name: self.counter(spikes if self.sparsity else spikes.detach(), size, hops)
                for name, spikes in fired.items()
            }
            if self.sparsity:
                extras["penalty"] = self.sparsity * torch.stack(list(extras["spikes"].values())).mean(0)  # (B, N)
        return ModelOutput(self.classify(self.dropout(embedding)), embedding, new, attention, extras)

    # -- groups -------------------------------------------------------------------------------------------------

    def _enter(
        self, batch: Batch, hops: int, old: dict[str, Any], new: dict[str, Any], fired: dict[str, Tensor]
    ) -> Tensor:
        """Let every group's currents drive its first neurons and weigh their spikes: (B * M, S, D)."""
        lifted = []
        for group in self.groups:
            current = self._current(group, batch, hops, old, new)  # (B, S at full steps, D)
            if not self.spiking:
                current = current.unflatten(1, (-1, self.steps)).mean(2)  # (B, tokens, D)
            name = f"enter.{group}"
            fired[name], new[name] = self.enter[group](self.dropout(current), old.get(name))
            lifted.append(self.lift[group](fired[name]))
        return torch.stack(lifted, 1).flatten(0, 1)

    def _current(self, group: str, batch: Batch, hops: int, old: dict[str, Any], new: dict[str, Any]) -> Tensor:
        if group in self.encoders:
            name = f"buffer.{group}"
            found, new[name] = self.encoders[group](batch.signals[group], batch.observed[group], old.get(name))
            return torch.as_tensor(found)
        if group == "features":
            blocks = []
            for m, count in self.columns.items():
                block = batch.features.get(m)
                empty = batch.traits.new_full((batch.traits.shape[0], hops, count), math.nan)
                blocks.append(empty if block is None else block)
            per_hop = self.features(_flagged(torch.cat(blocks, -1)))  # (B, N, D)
        else:
            per_hop = self.traits(_flagged(batch.traits)).unsqueeze(1).expand(-1, hops, -1)
        held: Tensor = per_hop.repeat_interleave(self.hop_tokens * self.steps, 1)
        return held

    def _hops(self, batch: Batch) -> int:
        for m, (_, rate_hz) in self.spec.signals.items():
            if m not in batch.signals:
                raise InputError(
                    f"batch without {m}; expected the modalities {', '.join(self.spec.signals)}. "
                    "Give zeros that are not observed for a modality that is absent."
                )
            samples, hop = batch.signals[m].shape[-1], round(rate_hz * self.spec.hop_s)
            if samples == 0 or samples % hop:
                raise InputError(f"{samples} samples of {m}; expected a whole number of hops of {hop} samples.")
        return samples // hop


def _columns_in(columns: int, width: int) -> nn.Linear:
    """Weights of number columns and their validity flags; none are known: no current."""
    layer = nn.Linear(2 * columns, width, bias=False)
    nn.init.normal_(layer.weight, std=(2 * columns) ** -0.5)
    return layer


def _flagged(columns: Tensor) -> Tensor:
    """Zeros for unknown columns, and a flag beside each: (..., 2 F)."""
    known = torch.isfinite(columns)
    return torch.cat([torch.nan_to_num(columns, 0.0, 0.0, 0.0).clamp(-5, 5), known.to(columns.dtype)], -1)


def _last_hop(features: Tensor, hops: int) -> Tensor:
    """Place features (B, F) at the last of N hops, unknown before: (B, N, F)."""
    before = features.new_full((features.shape[0], hops - 1, features.shape[1]), math.nan)
    return torch.cat([before, features.unsqueeze(1)], 1)
