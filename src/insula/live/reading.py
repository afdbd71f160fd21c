"""One network, or an ensemble, reads hops: by its own normaliser and scaler, with its own state from hop to hop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from insula.errors import InputError
from insula.learning.estimator import Estimator
from insula.learning.learner import Learner
from insula.live.seat import Hop
from insula.types import Batch, BoolArray, DoubleArray, FloatArray, ModelOutput

KINDS = ("opening", "population", "person_trials", "running")
"""Normalisers that a device can have: none that reads the future or needs to know when a trial will begin."""
SAID = ("scored", "reference")
"""Kinds of hops about which something can be said."""


class Reader:
    """A trained network on hops of any number of people; InputError for a row that a device cannot have."""

    def __init__(self, model: Learner) -> None:
        if not isinstance(model, Estimator):
            raise InputError(f"{model!r} for a live model; expected a network. Train one: insula train --model liquid.")
        kind = model.normaliser.kind
        if kind not in KINDS:
            raise InputError(
                f"normaliser {kind!r} for a live model; expected one of {', '.join(KINDS)}. Train it with one of them: "
                "--normaliser opening."
            )
        if model.scaler.align != "none" and model.scaler.kind != "person_trials":
            raise InputError(
                f"align {model.scaler.align!r} by normaliser {kind!r} for a live model; expected none, or a "
                "model of the person's own trials. Train it without --align."
            )
        self.estimator, self.normaliser = model, model.normaliser
        self.schema, self.scope = model.schema, model.scope
        self.networks = list(model.networks)
        for network in self.networks:
            network.eval()

    def run(
        self, hops: Sequence[Hop], features: FloatArray, states: Sequence[Any] | None
    ) -> tuple[list[ModelOutput], list[Any]]:
        """Call every network on normalised features (B, F) and the state it left; return outputs and new states.

        Models without state return none.
        """
        batch = self._batch(hops, features)
        with torch.no_grad():
            if self.scope == "window":
                return [network(batch) for network in self.networks], []
            outputs, after = [], []
            for n, network in enumerate(self.networks):
                found = network.sequence(batch, None if states is None else states[n])  # type: ignore[operator]
                after.append(found.state)
                attention = {name: value[:, -1] for name, value in found.attention.items()}
                outputs.append(ModelOutput(found.logits[:, -1], found.embedding[:, -1], None, attention))
        return outputs, after

    def said(self, outputs: Sequence[ModelOutput], b: int) -> DoubleArray:
        """Each network's chances (members, K), or its value (members, 1) of a continuous target, for one hop."""
        logits = np.stack([o.logits[b].numpy() for o in outputs]).astype(np.float64)  # (members, K)
        if self.schema.continuous:
            centre, scale = self.estimator.target_scale
            return np.asarray(logits[:, :1] * scale + centre)
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(shifted / shifted.sum(1, keepdims=True))

    # -- inputs -------------------------------------------------------------------------------------------------

    def normalised(self, hops: Sequence[Hop], raw: FloatArray) -> FloatArray:
        """Features (B, F) of hops, NaN where not valid, by each person's own level."""
        levels = [self._level(hop) for hop in hops]
        mean, variance, count = (np.stack([level[k] for level in levels]) for k in range(3))
        return self.normaliser.standardise(raw, mean, variance, count)

    def _level(self, hop: Hop) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
        normaliser = self.normaliser
        if normaliser.kind == "person_trials":
            subject = _subject(hop)
            if subject in normaliser.people:
                return normaliser.people[subject]
            width = normaliser.mean.size
            return np.full(width, np.nan), np.full(width, np.nan), np.zeros(width)
        return hop.seat.own.features.level

    def _signal_levels(self, hop: Hop) -> Mapping[str, Any]:
        kind = self.estimator.scaler.kind
        if kind == "population":
            return {}
        if kind == "person_trials":
            return self.estimator.scaler.people.get(_subject(hop), {})
        return hop.seat.own.signal_levels

    def _batch(self, hops: Sequence[Hop], features: FloatArray) -> Batch:
        """Build the networks' input; one hop with an axis of hops, or whole windows for models without state."""
        streaming = self.scope != "window"
        signals: dict[str, Tensor] = {}
        observed: dict[str, Tensor] = {}
        elapsed: dict[str, Tensor] = {}
        levels = [self._signal_levels(hop) for hop in hops]
        for name, spec in self.schema.modalities.items():
            pieces = [(hop.new if streaming else hop.window)[name] for hop in hops]
            seen = np.stack([p[1] for p in pieces])
            values = [self._scaled(name, p, own) for p, own in zip(pieces, levels, strict=True)]
            signals[name], observed[name] = torch.from_numpy(np.stack(values)), torch.from_numpy(seen)
            since = np.full((len(hops), seen.shape[1], 1), 1 / spec.rate_hz, np.float32)
            if streaming:
                for b, hop in enumerate(hops):
                    since[b, 0] += hop.seat.gap_s if self.scope == "session" and hop.number == 0 else 0.0
            elapsed[name] = torch.from_numpy(since)
        place, columns = 0, {}
        for name, names in self.schema.features.items():
            part = torch.from_numpy(np.ascontiguousarray(features[:, place : place + len(names)]))
            columns[name] = part.unsqueeze(1) if streaming else part
            place += len(names)
        said = np.array([hop.kind in SAID for hop in hops])
        present = torch.from_numpy(np.stack([hop.present for hop in hops]) & said[:, None])
        traits = torch.from_numpy(np.stack([self._traits(hop) for hop in hops]))
        return Batch(signals, observed, elapsed, columns, traits, present.unsqueeze(1) if streaming else present)

    def _scaled(self, name: str, piece: tuple[FloatArray, BoolArray], own: Mapping[str, Any]) -> FloatArray:
        values, seen = piece
        if name not in self.estimator.scaler.centre or not seen.any():
            return np.zeros_like(values)
        return self.estimator.scaler.scaled(name, values, seen, own)

    def _traits(self, hop: Hop) -> FloatArray:
        known = hop.seat.stretch.begin.traits if hop.seat.stretch is not None else {}
        values = np.array([known.get(name, np.nan) for name in self.schema.traits], np.float32)
        centre, spread = self.estimator.trait_scale
        return ((values - centre) / spread).astype(np.float32)


def _subject(hop: Hop) -> str:
    return hop.seat.stretch.begin.subject if hop.seat.stretch is not None else ""
