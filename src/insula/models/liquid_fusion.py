"""The flagship: a liquid fusion network as a step model.

(p) arXiv 2602.06997: convolutional front end on raw EEG, liquid time-constant layers with learnable time constants,
self-attention that summarises time, sub-networks for peripheral signals and personality, a shared autoencoder that
fuses the branches into the latent vector that is classified. (?) Everything else is our choice: causal convolutions
with carried buffers, power-and-log front end, the grid of steps, hand-made features with a bank of liquid neurons over
hops, a convex linear readout of both (`insula.learning.readout`) that the network starts from, the published path as a
residual beside it, all widths, and regularisation. The network in its published form, without any of these, is
`insula.models.liquid_published`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insula.errors import InputError, unknown_name
from insula.models.blocks.attention import RingAttention
from insula.models.blocks.encoders import ShapeEncoder, SpectralEncoder, samples_per_step, to_grid
from insula.models.blocks.hops import answer_at_end, last_hop
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
from insula.models.card import Claim, ModelCard, Variant
from insula.models.cells.bank import LiquidBank
from insula.models.cells.cores import build_core
from insula.models.cells.liquid import NeuralLTC
from insula.models.kernels.dropout import Dropout
from insula.models.kernels.stacking import learns
from insula.types import Batch, InputSpec, ModelOutput

TIME_CONSTANTS = ("learned", "frozen", "equal")
CONTEXT_COLUMNS = 32
"""Most columns that a context layer of another core reads; more features are projected to as many first."""


class LiquidFusion(nn.Module):
    """Liquid fusion network; ``core`` puts another layer in the liquid layers' place (`insula.models.cells.cores`).

    Attention ``"time"`` is (B, N, heads, R) over the ring of recent tokens, newest last. ``sequence`` reads many hops
    at once and answers at the end of each; ``forward`` answers once, at the end. Both carry the same state, so that a
    whole pass equals any chunking in hops.
    """

    forms: Mapping[str, str] = {"published": "insula.models.liquid_published:LiquidPublished"}
    card = ModelCard(
        title="Liquid fusion network",
        summary="Liquid layers over raw signals and features of every modality, attention over time, one latent vector",
        source="arXiv 2602.06997, 2026; cells: Hasani et al. 2021, arXiv 2006.04439",
        step=True,
        variants={
            "ema": Variant("Exponential average in the liquid layers' place", {"core": "ema"}, "core", usual=True),
            "gru": Variant("GRU in the liquid layers' place", {"core": "gru"}, "core", usual=True),
            "cfc": Variant("Closed-form cells (CfC) in the liquid layers' place", {"core": "cfc"}, "core"),
            "conductance": Variant(
                "Conductance cells in the liquid layers' place", {"core": "conductance"}, "core"
            ),
            "frozen": Variant(
                "Time constants frozen at their start", {"time_constants": "frozen"}, "control", usual=True
            ),
            "equal": Variant("Time constants all equal", {"time_constants": "equal"}, "control", usual=True),
            "features_only": Variant("Liquid fusion without raw signals", {"use_raw": False}, "ablation"),
            "raw_only": Variant("Liquid fusion without features", {"use_features": False}, "ablation"),
            "no_context": Variant("Liquid fusion without the context layer", {"use_context": False}, "ablation"),
            "published": Variant("Liquid fusion network, published form", {"variant": "published"}, "published"),
            **{
                f"published_no_{block}": Variant(
                    f"Published form without {words}", {"variant": "published", "leave_out": block}, "ablation"
                )
                for block, words in (
                    ("convolution", "the convolution"), ("attention", "attention over time"),
                    ("autoencoder", "the autoencoder"), ("peripheral", "the peripheral branches"),
                    ("traits", "personality"),
                )
            },
            "no_shortcut": Variant("Liquid fusion without the linear short cut", {"shortcut": False}, "ablation"),
        },
        claims=(
            Claim(
                "phymer", "emotion", "accuracy", 95.45,
                "subject-dependent; the split is not public, almost surely random windows",
                "arXiv 2602.06997", ours="random_windows", inferred=True, variant="published",
            ),
        ),
        experiment="liquid_phymer.toml",
        window_cost_s=1.1e-3,
    )  # fmt: skip

    def __init__(
        self,
        spec: InputSpec,
        size: str = "small",
        *,
        core: str = "liquid",
        time_constants: str = "learned",
        dropout: float = 0.3,
        reconstruction: float = 0.1,
        use_raw: bool = True,
        use_features: bool = True,
        use_context: bool = True,
        shortcut: bool = True,
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("size", size, SIZES)
        if not (use_raw or use_features):
            raise InputError("use_raw and use_features both off; expected one of them on.")
        self.spec, self.size, self.core = spec, SIZES[size], core
        self.reconstruction = reconstruction
        self.grid_hz, self.per_token = grid_of(spec)
        self.fast_hz = max(self.size.fast_hz, self.grid_hz)
        fast = [m for m, (_, rate_hz) in spec.signals.items() if m in FAST and rate_hz >= FAST_RATE_HZ]
        self.fast = [m for m in fast if use_raw]
        self.slow = [m for m in spec.signals if m not in fast and use_raw]
        self.columns = {m: n for m, n in spec.features.items() if n and use_features}
        self.dropout = Dropout(dropout)
        widths: dict[str, int] = {}
        self._build_raw(widths)
        self._build_features(widths, use_context, shortcut)
        if spec.traits:
            self.traits = nn.Sequential(nn.Linear(2 * spec.traits, 8), nn.GELU())
            widths["traits"] = 8
        self.widths = widths
        total = sum(widths.values())
        s = self.size
        self.encode = nn.Sequential(nn.LayerNorm(total), Dropout(dropout), nn.Linear(total, s.latent), nn.GELU())
        self.decode = nn.Linear(s.latent, total)
        self.classify = nn.Linear(s.latent, spec.outputs)
        self.register_buffer("gate", torch.ones(1))  # how much of the deep path is in the answer
        fix_time_constants(self, time_constants)

    def liquid_layers(self) -> dict[str, NeuralLTC | LiquidBank]:
        """The liquid layers by branch: ``fast``, ``peripheral``, ``context``; empty with another core."""
        if self.core != "liquid":
            return {}
        found = {"fast": "fast_core", "peripheral": "slow_core", "context": "context_core"}
        return {branch: getattr(self, name) for branch, name in found.items() if hasattr(self, name)}

    # -- the convex start ---------------------------------------------------------------------------------------

    def readout_columns(self, batch: Batch) -> Tensor | None:
        """What the linear readout sees at each hop of a batch as `sequence` takes it, (B, N, D); None without one.

        Of a batch as `forward` takes it, at the end: (B, 1, D).
        """
        hops, single = self._hops(batch), batch.present.dim() == 2
        if single:
            batch = replace(batch, features={m: last_hop(v, hops) for m, v in batch.features.items()})
        values, valid = self._feature_matrix(batch, hops)
        if values is None or valid is None or not hasattr(self, "shortcut"):
            return None
        read = self._read(values, self._context(values, valid, {}, {}))
        return read[:, -1:] if single else read

    def start_readout(self, weight: Tensor, bias: Tensor) -> None:
        """Take a fitted linear readout (D, K) and (K,) and hold it; the deep path begins at nothing beside it."""
        with torch.no_grad():
            self.shortcut.weight.copy_(weight.T)
            self.shortcut.bias.copy_(bias)
            self.classify.weight.zero_()
            self.classify.bias.zero_()
        self.shortcut.requires_grad_(False)

    def _read(self, values: Tensor, context: Tensor | None) -> Tensor:
        return values if context is None else torch.cat([values, context], -1)

    def _build_raw(self, widths: dict[str, int]) -> None:
        s, spec = self.size, self.spec
        self.encoders = nn.ModuleDict()
        self.token_parts: dict[str, int] = {}
        for m in (*self.fast, *self.slow):
            channels, rate_hz = spec.signals[m]
            if m in self.fast:
                step = samples_per_step(rate_hz, self.fast_hz)
                taps = min(round(rate_hz / 4) + 1, 65)
                self.encoders[m] = SpectralEncoder(
                    channels, step, s.width, min(s.spatial, 2 * channels), s.filters, taps
                )
            else:
                self.encoders[m] = ShapeEncoder(channels, samples_per_step(rate_hz, self.grid_hz), s.width)
        if self.fast:
            self.fast_core, units = build_core(self.core, s.width * len(self.fast), s.units, FAST_TAU_S, s.sub_steps)
            self.token_parts["fast"] = units
        if self.slow:
            self.slow_core, units = build_core(
                self.core, s.width * len(self.slow), s.units, (SLOW_TAU_S, slowest_s(spec)), s.sub_steps
            )
            self.token_parts["peripheral"] = units
        if self.token_parts:
            hops = round(self.spec.window_s / self.spec.hop_s)
            self.hop_tokens = round(self.spec.hop_s * self.grid_hz) // self.per_token
            self.tokens = nn.Linear(sum(self.token_parts.values()), s.token)
            self.attend = RingAttention(s.token, hops * self.hop_tokens, s.heads)
            widths["attention"] = s.token
            widths |= {f"{name}_state": n for name, n in self.token_parts.items()}

    def _build_features(self, widths: dict[str, int], use_context: bool, shortcut: bool) -> None:
        if not self.columns:
            return
        count, s = sum(self.columns.values()), self.size
        self.features = nn.Sequential(nn.Linear(2 * count, s.width), nn.GELU())
        widths["features"] = s.width
        linear = count
        if use_context:
            tau_s = (2 * self.spec.hop_s, slowest_s(self.spec))
            if self.core in ("liquid", "ema"):
                self.context_core: nn.Module = LiquidBank(count, tau_s, liquid=self.core == "liquid")
                units = 2 * count
            else:
                bank = min(count, CONTEXT_COLUMNS)
                self.context_in = nn.Linear(count, bank)
                self.context_core, units = build_core(self.core, bank, 2 * bank, tau_s, s.sub_steps)
            widths["context"] = units
            linear += units
        if shortcut:
            self.shortcut = nn.Linear(linear, self.spec.outputs)
            nn.init.zeros_(self.shortcut.weight)

    # -- one step or many ---------------------------------------------------------------------------------------

    def forward(self, batch: Batch, state: Mapping[str, Any] | None = None) -> ModelOutput:
        """Read new samples (a whole number of hops) and answer at their end: logits (B, K), embedding (B, H)."""
        return answer_at_end(self.sequence, batch, self._hops(batch), state)

    def sequence(self, batch: Batch, state: Mapping[str, Any] | None = None) -> ModelOutput:
        """Read N hops at once and answer at the end of each.

        ``batch.features[m]`` is (B, N, F_m) and ``batch.present`` (B, N, M) here. Returns logits (B, N, K) and
        embedding (B, N, H).
        """
        old = dict(state) if state is not None else {}
        new: dict[str, Any] = {}
        branches: dict[str, Tensor] = {}
        attention: dict[str, Tensor] = {}
        hops = self._hops(batch)
        if self.token_parts:
            self._raw_branches(batch, hops, old, new, branches, attention)
        values, valid = self._feature_matrix(batch, hops)
        if values is not None and valid is not None:
            branches["features"] = self.features(torch.cat([self.dropout(values), valid], -1))
            context = self._context(values, valid, old, new)
            if context is not None:
                branches["context"] = context
        if self.spec.traits:
            known = torch.isfinite(batch.traits)
            traits = torch.cat([torch.nan_to_num(batch.traits), known.to(batch.traits.dtype)], -1)
            branches["traits"] = self.traits(traits).unsqueeze(1).expand(-1, hops, -1)
        joint = torch.cat([branches[name] for name in self.widths], -1)  # (B, N, total)
        latent = self.encode(joint)
        logits = self.classify(self.dropout(latent))
        if hasattr(self, "shortcut") and values is not None:
            read = self._read(values, branches.get("context"))
            logits = self.gate * logits + self.shortcut(self.dropout(read) if learns(self.shortcut.weight) else read)
        target = F.layer_norm(joint.detach(), joint.shape[-1:])
        gap = (self.decode(latent) - target).square().mean(-1)  # (B, N)
        extras = {"reconstruction": gap, "penalty": self.reconstruction * gap}
        return ModelOutput(logits, latent, new, attention, extras)

    # -- branches -----------------------------------------------------------------------------------------------

    def _hops(self, batch: Batch) -> int:
        for m, (_, rate_hz) in self.spec.signals.items():
            samples = batch.signals[m].shape[-1]
            hop = round(rate_hz * self.spec.hop_s)
            if samples == 0 or samples % hop:
                raise InputError(f"{samples} samples of {m}; expected a whole number of hops of {hop} samples.")
            return samples // hop
        raise InputError("a batch without signals; expected at least one modality.")

    def _raw_branches(
        self,
        batch: Batch,
        hops: int,
        old: dict[str, Any],
        new: dict[str, Any],
        branches: dict[str, Tensor],
        attention: dict[str, Tensor],
    ) -> None:
        parts: list[Tensor] = []
        filled: list[Tensor] = []
        for name, members, grid_hz in (("fast", self.fast, self.fast_hz), ("peripheral", self.slow, self.grid_hz)):
            if not members:
                continue
            inputs, elapsed, seen = self._steps(batch, members, grid_hz, old, new)
            core = self.fast_core if name == "fast" else self.slow_core
            elapsed = settled(elapsed, seen, name, old, new)
            outputs, new[name] = core(inputs, elapsed, seen, old.get(name))
            per_token = round(self.per_token * grid_hz / self.grid_hz)
            blocks = outputs.unflatten(1, (-1, per_token))  # (B, tokens, per_token, H)
            parts.append(blocks.mean(2))
            filled.append(seen.unflatten(1, (-1, per_token)).any(-1))
            branches[f"{name}_state"] = blocks[:, :, -1].unflatten(1, (hops, -1))[:, :, -1]
        tokens = torch.tanh(self.tokens(torch.cat(parts, -1)))
        branches["attention"], attention["time"], new["ring"] = self.attend(
            tokens, torch.stack(filled).any(0), self.hop_tokens, old.get("ring")
        )

    def _steps(
        self, batch: Batch, members: list[str], grid_hz: float, old: dict[str, Any], new: dict[str, Any]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encode the members onto one grid: inputs (B, S, width * members), elapsed (B, S, 1), observed (B, S)."""
        encoded: list[Tensor] = []
        masks: list[Tensor] = []
        elapsed: list[Tensor] = []
        for m in members:
            step = samples_per_step(self.spec.signals[m][1], grid_hz)
            out, new[f"{m}_buffer"] = self.encoders[m](batch.signals[m], old.get(f"{m}_buffer"))
            seen = to_grid(batch.observed[m], step, "any")
            encoded.append(out * seen.unsqueeze(-1))
            masks.append(seen)
            elapsed.append(to_grid(batch.elapsed_s[m].squeeze(-1), step, "sum"))
        return (
            self.dropout(torch.cat(encoded, -1)),
            torch.stack(elapsed).amax(0).unsqueeze(-1),
            torch.stack(masks).any(0),
        )

    def _context(self, values: Tensor, valid: Tensor, old: dict[str, Any], new: dict[str, Any]) -> Tensor | None:
        """Run the context layer over the hops, (B, N, H); None where there is none."""
        if not hasattr(self, "context_core"):
            return None
        elapsed = torch.full_like(values[..., :1], self.spec.hop_s)
        out: Tensor
        if isinstance(self.context_core, LiquidBank):
            out, new["context"] = self.context_core(values, elapsed, valid > 0, old.get("context"))
            return out
        seen = valid.any(-1)
        elapsed = settled(elapsed, seen, "context", old, new)
        out, new["context"] = self.context_core(self.context_in(values), elapsed, seen, old.get("context"))
        return out

    def _feature_matrix(self, batch: Batch, hops: int) -> tuple[Tensor | None, Tensor | None]:
        """Join the features of all modalities: values (B, N, F) with 0 for invalid ones, and validity (B, N, F)."""
        if not self.columns:
            return None, None
        blocks = []
        for m, count in self.columns.items():
            block = batch.features.get(m)
            if block is None:
                block = batch.traits.new_full((batch.traits.shape[0], hops, count), math.nan)
            blocks.append(block)
        joined = torch.cat(blocks, -1)
        valid = torch.isfinite(joined)
        return torch.nan_to_num(joined).clamp(-5, 5), valid.to(joined.dtype)


def fix_time_constants(model: LiquidFusion, how: str) -> None:
    """Controls of the liquid layers: ``learned``, ``frozen`` at their start, or all ``equal`` (and frozen).

    Gains are frozen with the time constants: what a neuron does in time is the two together.
    """
    if how not in TIME_CONSTANTS:
        raise unknown_name("time_constants", how, TIME_CONSTANTS)
    if how == "learned":
        return
    for layer in model.liquid_layers().values():
        if how == "equal":
            with torch.no_grad():
                middle = layer.log_tau.mean()
                layer.log_tau.copy_(middle.expand_as(layer.log_tau))
                layer.log_gain.copy_(-layer.log_tau)
        layer.log_tau.requires_grad_(False)
        layer.log_gain.requires_grad_(False)
