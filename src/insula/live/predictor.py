"""From hops to decisions: the features, normaliser, scaler and networks of training, state carried, people batched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from insula.errors import InputError
from insula.learning.estimator import Estimator
from insula.live.chunks import Event
from insula.live.seat import PATIENCE_S, Hop, Seat
from insula.signals import features as feature_functions
from insula.types import Batch, BoolArray, DoubleArray, FloatArray, ModelOutput, Schema

KINDS = ("opening", "population", "person_trials", "running")
"""Normalisers that a device can have: none that reads the future or needs to know when a trial will begin."""
SAID = ("scored", "reference")
"""Kinds of hops about which something can be said."""


@dataclass(frozen=True)
class Decision:
    """What the model says at the end of a window.

    Parameters
    ----------
    key : (subject, session, trial) of the stretch.
    start_s, stop_s : of the window on the session's clock.
    kind : as `Hop.kind`; there are no chances unless it is ``scored`` or ``reference``.
    chances : (K,) probability of each class; empty for a continuous target and where nothing was said.
    spread : (K,) deviation between the members of an ensemble, None for a single network.
    value : of a continuous target, NaN otherwise.
    embedding : (H,) what a personal head reads.
    features : (F,) normalised, NaN where not valid.
    attention : name to (heads, R) of the first network, newest last.
    present, share : which modalities counted, and the observed share of each one's window.
    """

    key: tuple[str, str, str]
    start_s: float
    stop_s: float
    kind: str
    chances: DoubleArray
    spread: DoubleArray | None
    value: float
    embedding: FloatArray
    features: FloatArray
    attention: Mapping[str, FloatArray] = field(default_factory=dict)
    present: Mapping[str, bool] = field(default_factory=dict)
    share: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Inputs:
    """What is kept of a hop of the opening, to read it again once the person's own level is known."""

    hop: Hop
    raw: FloatArray  # (F,) features before normalising


class Predictor:
    """Read any number of people's hops with one saved model, exactly as `Estimator.predict_proba` reads whole trials.

    State starts anew at each stretch (at each session under session scope). Before the opening has been measured
    the training people stand in for the person's own level; once it has, its hops are read again with that level.
    """

    def __init__(self, estimator: Estimator) -> None:
        kind = estimator.normaliser.kind
        if kind not in KINDS:
            raise InputError(
                f"normaliser {kind!r} for a live model; expected one of {', '.join(KINDS)}. Train it with one of them: "
                "--normaliser opening."
            )
        if estimator.scaler.align != "none" and estimator.scaler.kind != "person_trials":
            raise InputError(
                f"align {estimator.scaler.align!r} by normaliser {kind!r} for a live model; expected none, or a "
                "model of the person's own trials. Train it without --align."
            )
        self.estimator = estimator
        self.schema, self.recipe = estimator.schema, estimator.recipe
        self.networks = list(estimator.networks)
        for network in self.networks:
            network.eval()
        self.scope = estimator.scope

    def seat(self, patience_s: float = PATIENCE_S) -> Seat:
        """Make a place for one person."""
        return Seat(self.schema, self.recipe, patience_s)

    def step(self, seat: Seat, events: Iterable[Event] = (), now_s: float | None = None) -> list[Decision]:
        """Give one person's events in and take the decisions that have become due, whole windows only."""
        seat.offer(events)
        out = []
        while (hop := seat.next_hop(now_s)) is not None:
            out += [d for d in self.decide([hop]) if d.kind != "early"]
        return out

    def decide(self, hops: Sequence[Hop]) -> list[Decision]:
        """Decide on hops of different people at once, one a person."""
        raw = raw_features(self.schema, hops)  # (B, F)
        self._reread(hops)
        out: list[Decision | None] = [None] * len(hops)
        for i, hop in enumerate(hops):
            if hop.number == 0 and (self.scope != "session" or hop.seat.before_s is None):
                hop.seat.memory = None
            self._learn_level(hop, raw[i])
        begins = [hop.seat.memory is None for hop in hops]
        for fresh in (True, False):
            rows = [i for i, begin in enumerate(begins) if begin is fresh]
            if rows:
                found = self._read([hops[i] for i in rows], raw[rows])
                for i, decision in zip(rows, found, strict=True):
                    out[i] = decision
        for i, hop in enumerate(hops):
            if hop.stop_s <= hop.seat.opening_stop_s + 1e-9 and self.estimator.normaliser.kind == "opening":
                hop.seat.tape.append(_Inputs(hop, raw[i]))
        return [decision for decision in out if decision is not None]

    # -- inputs -------------------------------------------------------------------------------------------------

    def _learn_level(self, hop: Hop, raw: FloatArray) -> None:
        running = self.estimator.normaliser.kind == "running" and hop.kind in SAID
        if running or hop.kind == "reference":
            hop.seat.own.features.add(raw[None])

    def _normalised(self, hops: Sequence[Hop], raw: FloatArray) -> FloatArray:
        normaliser = self.estimator.normaliser
        levels = [self._level(hop) for hop in hops]
        mean, variance, count = (np.stack([level[k] for level in levels]) for k in range(3))
        return normaliser.standardise(raw, mean, variance, count)

    def _level(self, hop: Hop) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
        normaliser = self.estimator.normaliser
        if normaliser.kind == "person_trials":
            subject = self._subject(hop)
            if subject in normaliser.people:
                return normaliser.people[subject]
            width = normaliser.mean.size
            return np.full(width, np.nan), np.full(width, np.nan), np.zeros(width)
        return hop.seat.own.features.level

    def _subject(self, hop: Hop) -> str:
        return hop.seat.stretch.begin.subject if hop.seat.stretch is not None else ""

    def _signal_levels(self, hop: Hop) -> Mapping[str, Any]:
        kind = self.estimator.scaler.kind
        if kind == "population":
            return {}
        if kind == "person_trials":
            return self.estimator.scaler.people.get(self._subject(hop), {})
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

    # -- reading ------------------------------------------------------------------------------------------------

    def _reread(self, hops: Sequence[Hop]) -> None:
        """Read a stretch's opening again with the level that it gave, before its first later hop is read."""
        for hop in hops:
            seat = hop.seat
            if seat.tape and hop.stop_s > seat.opening_stop_s + 1e-9:
                tape, seat.tape, seat.memory = seat.tape, [], None
                for kept in tape:
                    self._read([kept.hop], kept.raw[None])

    def _read(self, hops: Sequence[Hop], raw: FloatArray) -> list[Decision]:
        if self.scope == "window":
            said = [i for i, hop in enumerate(hops) if hop.kind in SAID]
            whole = [hop.kind not in SAID for hop in hops]
            features = self._normalised(hops, raw)
            outputs = self._run([hops[i] for i in said], features[said]) if said else []
            place = iter(range(len(said)))
            return [
                self._decision(h, features[i], outputs, None if w else next(place))
                for i, (h, w) in enumerate(zip(hops, whole, strict=True))
            ]
        features = self._normalised(hops, raw)
        outputs = self._run(hops, features)
        return [
            self._decision(hop, features[i], outputs, i if hop.kind in SAID else None) for i, hop in enumerate(hops)
        ]

    def _run(self, hops: Sequence[Hop], features: FloatArray) -> list[ModelOutput]:
        """Call every network; state goes from each seat into the batch and back."""
        batch = self._batch(hops, features)
        outputs = []
        with torch.no_grad():
            if self.scope == "window":
                return [network(batch) for network in self.networks]
            states = []
            for n, network in enumerate(self.networks):
                old = None if hops[0].seat.memory is None else joined([h.seat.memory[n] for h in hops if h.seat.memory])
                found = network.sequence(batch, old)  # type: ignore[operator]
                states.append(found.state)
                outputs.append(
                    ModelOutput(
                        found.logits[:, -1],
                        found.embedding[:, -1],
                        None,
                        {name: value[:, -1] for name, value in found.attention.items()},
                    )
                )
        for b, hop in enumerate(hops):
            hop.seat.memory = [row(state, b, len(hops)) for state in states]
        return outputs

    def _decision(self, hop: Hop, features: FloatArray, outputs: Sequence[ModelOutput], b: int | None) -> Decision:
        begin = hop.seat.stretch.begin if hop.seat.stretch is not None else None
        key = ("", "", "") if begin is None else (begin.subject, begin.session, begin.trial)
        present = dict(zip(self.schema.modalities, map(bool, hop.present), strict=True))
        chances, spread, value = np.empty(0), None, float("nan")
        embedding, attention = np.empty(0, np.float32), {}
        if b is not None:
            embedding = outputs[0].embedding[b].numpy()
            attention = {name: v[b].numpy() for name, v in outputs[0].attention.items()}
            logits = np.stack([o.logits[b].numpy() for o in outputs]).astype(np.float64)  # (members, K)
            if self.schema.continuous:
                centre, scale = self.estimator.target_scale
                value = float(logits[:, 0].mean() * scale + centre)
                spread = None if len(logits) < 2 else logits.std(0) * scale
            else:
                shifted = np.exp(logits - logits.max(1, keepdims=True))
                each = shifted / shifted.sum(1, keepdims=True)
                chances, spread = each.mean(0), None if len(each) < 2 else each.std(0)
        return Decision(
            key, hop.start_s, hop.stop_s, hop.kind, chances, spread, value, embedding, features, attention, present,
            dict(hop.share),
        )  # fmt: skip


def raw_features(schema: Schema, hops: Sequence[Hop]) -> FloatArray:
    """Features of whole windows (B, F), NaN where there is no window or the sensor was never there."""
    blocks = []
    for name, columns in schema.features.items():
        block = np.full((len(hops), len(columns)), np.nan, np.float32)
        seen = [hop.kind in SAID and hop.seat.lanes[name].stream is not None for hop in hops]
        rows = [i for i, there in enumerate(seen) if there]
        if columns and rows:
            values = np.stack([hops[i].window[name][0] for i in rows])  # (n, C, T)
            masks = np.stack([hops[i].window[name][1] for i in rows])
            block[rows] = feature_functions.compute(name, values, masks, schema.modalities[name])
        blocks.append(block)
    return np.hstack(blocks) if blocks else np.empty((len(hops), 0), np.float32)


def joined(states: Sequence[Any]) -> Any:
    """Stack people's states (trees of tensors, batch first) into one."""
    first = states[0]
    if len(states) == 1:
        return first
    if isinstance(first, Tensor):
        return torch.cat(list(states)) if first.dim() else first
    if isinstance(first, Mapping):
        return {key: joined([s[key] for s in states]) for key in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(joined(list(parts)) for parts in zip(*states, strict=True)))
    if isinstance(first, (tuple, list)):
        return type(first)(joined(list(parts)) for parts in zip(*states, strict=True))
    return first


def row(state: Any, b: int, count: int) -> Any:
    """Take one person's state out of a batch of ``count``."""
    if isinstance(state, Tensor):
        return state[b : b + 1] if count > 1 and state.dim() else state
    if isinstance(state, Mapping):
        return {key: row(value, b, count) for key, value in state.items()}
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        return type(state)(*(row(value, b, count) for value in state))
    if isinstance(state, (tuple, list)):
        return type(state)(row(value, b, count) for value in state)
    return state
