"""The liquid fusion network in its published form, as far as it is public; a step model.

(p) arXiv 2602.06997: a convolution on raw EEG, liquid time-constant layers with learnable time constants,
self-attention that summarises time, sub-networks of their own for every peripheral signal and for personality, a
shared autoencoder over all branches, and a classifier of its latent vector. (?) Ours, because nothing public says it:
widths and depths; convolutions that are causal with carried buffers; two liquid layers that begin at the fixed point of
their first sample; attention that looks back over one window; peripheral sub-networks of a convolution and a liquid
layer; how branches are weighed (one learned score each, softmax over those that are present); the weight of
reconstruction. There are no hand-made features, no short cut from the input to the classes, and no context beyond the
liquid states.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insula.errors import InputError, unknown_name
from insula.models.blocks.attention import RingAttention
from insula.models.blocks.encoders import ShapeEncoder, samples_per_step, to_grid
from insula.models.blocks.hops import answer_at_end
from insula.models.blocks.liquid_form import (
    FAST,
    FAST_RATE_HZ,
    FAST_TAU_S,
    SIZES,
    SLOW_TAU_S,
    grid_of,
    settled,
    slowest_s,
)
from insula.models.card import ModelCard
from insula.models.cells.liquid import NeuralLTC
from insula.models.kernels.dropout import Dropout
from insula.types import Batch, InputSpec, ModelOutput

BLOCKS = ("convolution", "attention", "autoencoder", "peripheral", "traits")
"""What ``leave_out`` may name."""


class LiquidPublished(nn.Module):
    """Published form of the liquid fusion network; ``leave_out`` names one of `BLOCKS` for an ablation.

    Without the convolution, block means stand in its place; without attention, the last token; without the
    autoencoder, the branches are classified as they are. Attention ``"time"`` is (B, N, heads, R) over recent tokens,
    newest last, and ``"branches"`` (B, N, branches) in the order of `branches`, 0 for one that is absent.
    """

    card = ModelCard(
        title="Liquid fusion network, published form",
        summary="Convolution, liquid layers, attention over time and branches, one autoencoder, a classified latent",
        source="arXiv 2602.06997, 2026; cells: Hasani et al. 2021, arXiv 2006.04439",
        step=True,
    )

    def __init__(
        self,
        spec: InputSpec,
        size: str = "small",
        *,
        leave_out: str | None = None,
        dropout: float = 0.2,
        reconstruction: float = 0.1,
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("size", size, SIZES)
        if leave_out is not None and leave_out not in BLOCKS:
            raise unknown_name("leave_out", leave_out, BLOCKS)
        self.spec, self.left_out, self.reconstruction = spec, leave_out, reconstruction
        s = SIZES[size]
        self.grid_hz, self.per_token = grid_of(spec)
        self.fast_hz = max(s.fast_hz, self.grid_hz)
        fast = [m for m, (_, rate_hz) in spec.signals.items() if m in FAST and rate_hz >= FAST_RATE_HZ]
        slow = [m for m in spec.signals if m not in fast and (leave_out != "peripheral" or not fast)]
        self.position = {m: i for i, m in enumerate(spec.signals)}
        self.dropout = Dropout(dropout)
        self.encoders, self.liquids, self.attends = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        self.hop_tokens = round(spec.hop_s * self.grid_hz) // self.per_token
        ring = round(spec.window_s / spec.hop_s) * self.hop_tokens
        self.rates = {m: self.fast_hz if m in fast else self.grid_hz for m in (*fast, *slow)}
        for m, grid_hz in self.rates.items():
            channels, rate_hz = spec.signals[m]
            step = samples_per_step(rate_hz, grid_hz)
            plain = leave_out == "convolution"
            self.encoders[m] = nn.Linear(channels, s.width) if plain else ShapeEncoder(channels, step, s.width)
            tau_s = FAST_TAU_S if m in fast else (SLOW_TAU_S, slowest_s(spec))
            layers = [NeuralLTC(s.width, s.token, tau_s, s.sub_steps)]
            if m in fast:
                layers.append(NeuralLTC(s.token, s.token, tau_s, s.sub_steps))
                self.attends[m] = RingAttention(s.token, ring, s.heads)
            self.liquids[m] = nn.ModuleList(layers)
        self.branches = [*self.rates, *(["traits"] if spec.traits and leave_out != "traits" else [])]
        if "traits" in self.branches:
            self.personality = nn.Sequential(nn.Linear(2 * spec.traits, s.token), nn.GELU())
        self.score = nn.Sequential(nn.Linear(s.token, s.token), nn.Tanh(), nn.Linear(s.token, 1))
        total = s.token * len(self.branches)
        self.latent = total if leave_out == "autoencoder" else s.latent
        if leave_out != "autoencoder":
            self.encode = nn.Sequential(nn.LayerNorm(total), nn.Linear(total, s.latent), nn.GELU())
            self.decode = nn.Linear(s.latent, total)
        self.classify = nn.Linear(self.latent, spec.outputs)

    def liquid_layers(self) -> dict[str, NeuralLTC]:
        """The last liquid layer of every branch of signals."""
        return {m: layers[-1] for m, layers in self.liquids.items()}  # type: ignore[index]

    def forward(self, batch: Batch, state: Mapping[str, Any] | None = None) -> ModelOutput:
        """Read new samples (a whole number of hops) and answer at their end: logits (B, K), embedding (B, H)."""
        return answer_at_end(self.sequence, batch, self._hops(batch), state)

    def sequence(self, batch: Batch, state: Mapping[str, Any] | None = None) -> ModelOutput:
        """Read N hops and answer at the end of each: logits (B, N, K), embedding (B, N, H)."""
        old = dict(state) if state is not None else {}
        new: dict[str, Any] = {}
        hops = self._hops(batch)
        attention: dict[str, Tensor] = {}
        told = [self._signal(m, batch, hops, old, new, attention) for m in self.rates]
        there = [batch.present[..., self.position[m]] for m in self.rates]
        if "traits" in self.branches:
            known = torch.isfinite(batch.traits)
            traits = torch.cat([torch.nan_to_num(batch.traits), known.to(batch.traits.dtype)], -1)
            told.append(self.personality(traits).unsqueeze(1).expand(-1, hops, -1))
            there.append(known.any(-1, keepdim=True).expand(-1, hops))
        parts, seen = torch.stack(told, 2), torch.stack(there, 2)  # (B, N, branches, token), (B, N, branches)
        score = self.score(parts).squeeze(-1).masked_fill(~seen, -1e4)
        weight = torch.softmax(score, -1) * seen
        attention["branches"] = weight
        joint = (parts * weight.unsqueeze(-1) * len(self.branches)).flatten(2)  # (B, N, branches * token)
        if self.left_out == "autoencoder":
            return ModelOutput(self.classify(self.dropout(joint)), joint, new, attention, {})
        latent = self.encode(joint)
        target = F.layer_norm(joint.detach(), joint.shape[-1:])
        gap = (self.decode(latent) - target).square().mean(-1)  # (B, N)
        extras = {"reconstruction": gap, "penalty": self.reconstruction * gap}
        return ModelOutput(self.classify(self.dropout(latent)), latent, new, attention, extras)

    def _hops(self, batch: Batch) -> int:
        for m, (_, rate_hz) in self.spec.signals.items():
            samples, hop = batch.signals[m].shape[-1], round(rate_hz * self.spec.hop_s)
            if samples == 0 or samples % hop:
                raise InputError(f"{samples} samples of {m}; expected a whole number of hops of {hop} samples.")
            return samples // hop
        raise InputError("a batch without signals; expected at least one modality.")

    def _signal(
        self,
        m: str,
        batch: Batch,
        hops: int,
        old: dict[str, Any],
        new: dict[str, Any],
        attention: dict[str, Tensor],
    ) -> Tensor:
        """Embedding of one branch at the end of each hop, (B, N, token)."""
        step = samples_per_step(self.spec.signals[m][1], self.rates[m])
        if isinstance(self.encoders[m], nn.Linear):
            means = torch.stack([to_grid(c, step, "mean") for c in batch.signals[m].unbind(1)], -1)  # (B, S, C)
            x = self.encoders[m](means)
        else:
            x, new[f"{m}_buffer"] = self.encoders[m](batch.signals[m], old.get(f"{m}_buffer"))
        seen = to_grid(batch.observed[m], step, "any")
        elapsed = to_grid(batch.elapsed_s[m].squeeze(-1), step, "sum").unsqueeze(-1)
        x = self.dropout(x * seen.unsqueeze(-1))
        elapsed = settled(elapsed, seen, m, old, new)
        for k, layer in enumerate(self.liquids[m]):  # type: ignore[arg-type,var-annotated]
            x, new[f"{m}_{k}"] = layer(x, elapsed, seen, old.get(f"{m}_{k}"))
        if m not in self.attends:
            return last_of(x, hops)
        per_token = round(self.per_token * self.rates[m] / self.grid_hz)
        tokens = x.unflatten(1, (-1, per_token)).mean(2)  # (B, tokens, token)
        if self.left_out == "attention":
            return last_of(tokens, hops)
        filled = seen.unflatten(1, (-1, per_token)).any(-1)
        found: Tensor
        found, weights, new[f"{m}_ring"] = self.attends[m](tokens, filled, self.hop_tokens, old.get(f"{m}_ring"))
        attention.setdefault("time", weights)
        return found


def last_of(steps: Tensor, hops: int) -> Tensor:
    """Last step of each hop: (B, S, H) -> (B, N, H)."""
    blocks: Tensor = steps.unflatten(1, (hops, -1))
    return blocks[:, :, -1]
