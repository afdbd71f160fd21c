"""From hops to decisions: the features, normaliser, scaler and networks of training, state carried, people batched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from insula.learning.learner import Learner
from insula.learning.prior import WithPrior, pool, pool_numbers
from insula.live.chunks import Event
from insula.live.reading import SAID, Reader
from insula.live.seat import PATIENCE_S, Hop, Seat
from insula.signals import features as feature_functions
from insula.types import DoubleArray, FloatArray, ModelOutput, Schema


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
    """Read any number of people's hops with one saved model, exactly as its ``predict_proba`` reads whole trials.

    A model with other people's prior has two readers, each with its own normaliser and state; it answers by their pool.

    State starts anew at each stretch (at each session under session scope). Before the opening has been measured
    the training people stand in for the person's own level; once it has, its hops are read again with that level.
    """

    def __init__(self, model: Learner) -> None:
        self.readers = [Reader(one) for one in ((model.own, model.prior) if isinstance(model, WithPrior) else (model,))]
        self.weight: float | None = model.weight if isinstance(model, WithPrior) else None
        self.schema, self.recipe = model.schema, model.recipe
        self.networks = [network for reader in self.readers for network in reader.networks]
        self.scope = self.readers[0].scope

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
            if hop.stop_s <= hop.seat.opening_stop_s + 1e-9 and self.readers[0].normaliser.kind == "opening":
                hop.seat.tape.append(_Inputs(hop, raw[i]))
        return [decision for decision in out if decision is not None]

    # -- inputs -------------------------------------------------------------------------------------------------

    def _learn_level(self, hop: Hop, raw: FloatArray) -> None:
        running = self.readers[0].normaliser.kind == "running" and hop.kind in SAID
        if running or hop.kind == "reference":
            hop.seat.own.features.add(raw[None])

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
        asked = [i for i, hop in enumerate(hops) if self.scope != "window" or hop.kind in SAID]
        features = [reader.normalised(hops, raw) for reader in self.readers]
        outputs = self._run([hops[i] for i in asked], [own[asked] for own in features]) if asked else []
        place = {i: n for n, i in enumerate(asked) if hops[i].kind in SAID}
        return [self._decision(hop, features[0][i], outputs, place.get(i)) for i, hop in enumerate(hops)]

    def _run(self, hops: Sequence[Hop], features: Sequence[FloatArray]) -> list[list[ModelOutput]]:
        """Call every network, reader by reader; state goes from each seat into the batch and back."""
        carried = None if hops[0].seat.memory is None else [list(h.seat.memory) for h in hops if h.seat.memory]
        outputs, states, at = [], [], 0
        for reader, own in zip(self.readers, features, strict=True):
            until = at + len(reader.networks)
            old = (
                None
                if carried is None
                else [joined(each) for each in zip(*(c[at:until] for c in carried), strict=True)]
            )
            said, after = reader.run(hops, own, old)
            outputs.append(said)
            states += after
            at = until
        if states:
            for b, hop in enumerate(hops):
                hop.seat.memory = [row(state, b, len(hops)) for state in states]
        return outputs

    def _decision(
        self, hop: Hop, features: FloatArray, outputs: Sequence[Sequence[ModelOutput]], b: int | None
    ) -> Decision:
        begin = hop.seat.stretch.begin if hop.seat.stretch is not None else None
        key = ("", "", "") if begin is None else (begin.subject, begin.session, begin.trial)
        present = dict(zip(self.schema.modalities, map(bool, hop.present), strict=True))
        chances, spread, value = np.empty(0), None, float("nan")
        embedding, attention = np.empty(0, np.float32), {}
        if b is not None:
            first = outputs[0][0]
            embedding = first.embedding[b].numpy()
            attention = {name: v[b].numpy() for name, v in first.attention.items()}
            said = [reader.said(own, b) for reader, own in zip(self.readers, outputs, strict=True)]
            answers = [each.mean(0) for each in said]
            spread = None if len(said[0]) < 2 else said[0].std(0)
            if self.schema.continuous:
                value = float(self._pooled(answers)[0])
            else:
                chances = self._pooled(answers)
        return Decision(
            key, hop.start_s, hop.stop_s, hop.kind, chances, spread, value, embedding, features, attention, present,
            dict(hop.share),
        )  # fmt: skip

    def _pooled(self, answers: Sequence[DoubleArray]) -> DoubleArray:
        """What the readers say together: chances (K,), or a number (1,)."""
        if self.weight is None:
            return answers[0]
        own, prior = answers
        if self.schema.continuous:
            return pool_numbers(own, prior, self.weight)
        return np.asarray(pool(own[None], prior[None], self.weight)[0])


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
