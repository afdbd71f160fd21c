"""UDC-SNN: a cascade in which the uncertainty of a cheap branch decides whether the expensive branch runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insula.errors import InputError
from insula.models import build
from insula.models.card import Claim, ModelCard, Variant
from insula.types import Batch, InputSpec, ModelOutput

EXPENSIVE = ("eeg", "audio", "video")
"""Modalities left to the second branch unless the options say otherwise."""

Reads = Literal["rest", "all"]


class Cascade(nn.Module):
    """Two branches and a gate: the second runs only on windows where the first is unsure.

    (p) UDC-SNN (Sensors 2026, DREAMER): a cheap spiking ECG branch first; the Shannon entropy of its prediction decides
    whether the spiking EEG branch runs; p = softmax(sum_m w_m log p_m), w_m proportional to exp(-beta H_m).
    (?) Ours: both branches are registered models, so that the gate can stand in front of any of them; which modalities
    are cheap; entropies are shares of their maximum log K; weights w sum to one and pass no gradient; in training both
    branches run and each window is answered by the first, the second or both, drawn at random, so that either branch
    learns to answer alone. A window is read by itself: a sleeping branch could not carry state (no step model).
    A continuous target has no entropy: the second branch then always runs and the mean is answered.

    ``threshold`` may be set at any time: the second branch wakes above this share of the maximum entropy (0: for every
    window that is not certain; 1: never). ``extras``: ``first`` and ``second`` log probabilities (B, K), NaN where the
    second slept, ``entropy`` (B,) as a share, ``woken`` (B,) bool, ``spikes`` rates by layer (B,) of branches that
    have them. The embedding joins both branches'. A sleeping second has zeros in both.

    Parameters
    ----------
    spec : sizes; any modalities.
    size : of both branches.
    cheap : modalities of the first branch; None: all but EEG, audio and video, or the fewest samples a second of them.
    reads : whether the second branch reads the ``rest`` of the modalities (as published) or ``all`` of them.
    first, second : registered models; ``first_options`` and ``second_options`` go to them. A first
        ``eavs_tf`` has depth 0 unless its options say otherwise.
    """

    card = ModelCard(
        title="Entropy-gated cascade (UDC-SNN)",
        summary="A cheap branch answers first; where it is uncertain a second one is woken",
        source="UDC-SNN, Sensors 2026",
        not_exportable="its gate wakes the second branch for some windows only, and a graph has one path",
        variants={
            name: Variant(f"Entropy gate before {name}", {"second": name}, "core")
            for name in ("liquid", "rbtransformer", "eegnet", "tcn")
        },
        claims=(
            Claim(
                "dreamer", "mean of valence, arousal, dominance", "accuracy", 90.75,
                "170,660 segments; the split is not stated here", "Sensors 2026",
            ),
        ),
        window_cost_s=2.2e-3,
    )  # fmt: skip

    def __init__(
        self,
        spec: InputSpec,
        size: str = "small",
        *,
        threshold: float = 0.5,
        beta: float = 1.0,
        cheap: Sequence[str] | None = None,
        reads: Reads = "rest",
        first: str = "eavs_tf",
        second: str = "eavs_tf",
        first_options: Mapping[str, Any] | None = None,
        second_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if reads not in ("rest", "all"):
            raise InputError(f"reads {reads!r}; expected rest or all.")
        if beta < 0:
            raise InputError(f"beta {beta}; expected 0 or more.")
        self.spec, self.beta = spec, beta
        self.threshold = threshold
        self.cheap = _cheap(spec, cheap)
        rest = tuple(m for m in spec.signals if m not in self.cheap)
        self.costly = rest if reads == "rest" and rest else tuple(spec.signals)
        own = {**({"depth": 0} if first == "eavs_tf" else {}), **dict(first_options or {})}
        self.first = build(first, narrowed_spec(spec, self.cheap), size, **own)
        rest_spec = narrowed_spec(spec, self.costly)
        self.second = build(second, rest_spec, size, **dict(second_options or {}))
        self.late_width = _embedding_width(self.second, rest_spec)

    @property
    def threshold(self) -> float:
        """Share of the maximum entropy above which the second branch wakes."""
        return self._threshold

    @threshold.setter
    def threshold(self, share: float) -> None:
        if not 0 <= share <= 1:
            raise InputError(f"threshold {share}; expected a share of the maximum entropy, 0 to 1.")
        self._threshold = float(share)

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Answer each window by itself; ``state`` is ignored and returned."""
        begun: ModelOutput = self.first(narrowed(batch, self.cheap))
        if self.spec.continuous:
            ended = self.second(narrowed(batch, self.costly))
            embedding = torch.cat([begun.embedding, ended.embedding], 1)
            return ModelOutput((begun.logits + ended.logits) / 2, embedding, state)
        first = F.log_softmax(begun.logits, -1)  # (B, K)
        entropy = entropy_share(first)
        woken = torch.ones_like(entropy, dtype=torch.bool) if self.training else entropy > self.threshold
        rows = woken.nonzero()[:, 0]
        spikes = {f"first.{name}": rate for name, rate in begun.extras.get("spikes", {}).items()}
        second = torch.full_like(first, math.nan)
        late = first.new_zeros(len(first), self.late_width)
        logits = first
        if len(rows):
            ended = self.second(narrowed(taken(batch, rows), self.costly))
            found = F.log_softmax(ended.logits, -1)
            joint = self._answer(first[rows], found) if self.training else fuse((first[rows], found), self.beta)
            second, logits = second.index_put((rows,), found), first.index_put((rows,), joint)
            late = late.index_put((rows,), ended.embedding)
            for name, rate in ended.extras.get("spikes", {}).items():
                spikes[f"second.{name}"] = rate.new_zeros(len(first)).index_put((rows,), rate)
        extras = {"first": first, "second": second, "entropy": entropy, "woken": woken, "spikes": spikes}
        return ModelOutput(logits, torch.cat([begun.embedding, late], 1), state, {}, extras)

    def branches(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log probabilities (B, K) of both branches for every window, whatever the gate would say."""
        first = self.first(narrowed(batch, self.cheap)).logits
        second = self.second(narrowed(batch, self.costly)).logits
        return F.log_softmax(first, -1), F.log_softmax(second, -1)

    def _answer(self, first: Tensor, second: Tensor) -> Tensor:
        """Draw for each window who answers in training: first, second or both."""
        who = torch.randint(0, 3, (len(first), 1), device=first.device)
        both = fuse((first, second), self.beta)
        return torch.where(who == 0, first, torch.where(who == 1, second, both))


def entropy_share(log_p: Tensor) -> Tensor:
    """Shannon entropy of log probabilities (..., K) as a share of log K."""
    return -(log_p.exp() * log_p).sum(-1) / math.log(log_p.shape[-1])


def fuse(log_p: Sequence[Tensor], beta: float) -> Tensor:
    """Log-linear fusion: log probabilities of softmax(sum_m w_m log p_m), w_m proportional to exp(-beta H_m).

    log_p : (B, K) a branch; H_m is the entropy as a share of its maximum. The weights sum to one.
    """
    stacked = torch.stack(tuple(log_p))  # (M, B, K)
    weights = torch.softmax(-beta * entropy_share(stacked).detach(), 0)  # (M, B)
    return F.log_softmax((weights.unsqueeze(-1) * stacked).sum(0), -1)


def narrowed_spec(spec: InputSpec, modalities: Sequence[str]) -> InputSpec:
    """Keep some modalities of a spec, in its order."""
    return replace(
        spec,
        signals={m: v for m, v in spec.signals.items() if m in modalities},
        features={m: n for m, n in spec.features.items() if m in modalities},
    )


def narrowed(batch: Batch, modalities: Sequence[str]) -> Batch:
    """Keep some modalities of a batch, in its order."""
    columns = [i for i, m in enumerate(batch.signals) if m in modalities]

    def kept(part: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {m: v for m, v in part.items() if m in modalities}

    return Batch(
        kept(batch.signals),
        kept(batch.observed),
        kept(batch.elapsed_s),
        kept(batch.features),
        batch.traits,
        batch.present[..., columns],
    )


def taken(batch: Batch, rows: Tensor | slice) -> Batch:
    """Keep some windows of a batch."""

    def kept(part: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {m: v[rows] for m, v in part.items()}

    return Batch(
        kept(batch.signals),
        kept(batch.observed),
        kept(batch.elapsed_s),
        kept(batch.features),
        batch.traits[rows],
        batch.present[rows],
    )


def _embedding_width(model: nn.Module, spec: InputSpec) -> int:
    """Width of a model's embedding, seen on one blank window."""
    length = {m: round(rate_hz * spec.window_s) for m, (_, rate_hz) in spec.signals.items()}
    blank = Batch(
        {m: torch.zeros(1, channels, length[m]) for m, (channels, _) in spec.signals.items()},
        {m: torch.zeros(1, n, dtype=torch.bool) for m, n in length.items()},
        {m: torch.full((1, n, 1), 1 / spec.signals[m][1]) for m, n in length.items()},
        {m: torch.full((1, n), math.nan) for m, n in spec.features.items()},
        torch.full((1, spec.traits), math.nan),
        torch.zeros(1, len(length), dtype=torch.bool),
    )
    model.eval()
    with torch.no_grad():
        width = int(model(blank).embedding.shape[1])
    model.train()
    return width


def _cheap(spec: InputSpec, asked: Sequence[str] | None) -> tuple[str, ...]:
    """Modalities of the first branch, in the spec's order."""
    known = list(spec.signals)
    if not known:
        raise InputError("udc_snn without signals; expected at least one modality. Choose data with one.")
    if asked is not None:
        strange = [m for m in asked if m not in known]
        if strange or not asked:
            raise InputError(
                f"cheap modalities {', '.join(asked) or '(none)'}; expected some of {', '.join(known)}. "
                "Name modalities that the data have."
            )
        return tuple(m for m in known if m in asked)
    light = [m for m in known if m not in EXPENSIVE]
    if light and len(light) < len(known):
        return tuple(light)
    return (min(known, key=lambda m: spec.signals[m][0] * spec.signals[m][1]),)
