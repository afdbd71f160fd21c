"""One person's place: lanes of all modalities, stretches that begin and end, and the hops that fall due."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from insula.live.chunks import Appeared, Begin, Chunk, End, Event, Vanished
from insula.live.lane import Lane
from insula.live.levels import Own
from insula.signals.recipe import Recipe
from insula.types import BoolArray, FloatArray, Schema

PATIENCE_S = 0.25
"""How long a hop waits for packets of sensors that still speak."""
LOOK_AHEAD_S = 2.0
"""Cleaning runs at most this far ahead of the hop that is waited for."""

Pieces = Mapping[str, tuple[FloatArray, BoolArray]]


@dataclass(frozen=True)
class Hop:
    """One hop of one person, ready to be decided on.

    Parameters
    ----------
    number : of the hop in its stretch, from 0.
    start_s, stop_s : of the window that ends with it, on the session's clock.
    new : the hop's cleaned samples (C, n) and mask (n,), a modality each.
    window : those of the whole window; empty before the stretch is as long as one.
    present : (M,) modalities observed long enough, in the schema's order.
    share : observed share of the window, a modality each.
    kind : ``scored``, ``reference`` (of a baseline or the opening), ``across`` (the end of the opening) or ``early``
        (before the first whole window).
    """

    seat: Seat
    number: int
    start_s: float
    stop_s: float
    new: Pieces
    window: Pieces
    present: BoolArray
    share: Mapping[str, float]
    kind: str


@dataclass
class Stretch:
    """The stretch that is under way."""

    begin: Begin
    hops: int = 0
    ending_s: float | None = None
    referenced: int | None = None
    """Hops whose samples are in the person's own level, None before the first."""


class Seat:
    """Take one person's events and give hops in order; a lost packet costs its samples, never the hop.

    Parameters
    ----------
    schema, recipe : what the model reads.
    patience_s : how long a hop waits for late packets after its end.
    """

    def __init__(self, schema: Schema, recipe: Recipe, patience_s: float = PATIENCE_S) -> None:
        self.schema, self.recipe, self.patience_s = schema, recipe, patience_s
        keep_s = recipe.window_s + recipe.hop_s + LOOK_AHEAD_S + recipe.guard_s
        self.lanes = {
            name: Lane(name, recipe.signals[name], spec, math.ceil(keep_s * spec.rate_hz) + 1)
            for name, spec in schema.modalities.items()
        }
        widths = {name: len(spec.channels) for name, spec in schema.modalities.items()}
        self.own = Own(widths, sum(len(columns) for columns in schema.features.values()))
        self.fastest = sorted(self.lanes.values(), key=lambda lane: -lane.rule.rate_hz)
        self.newest_s = -math.inf
        """Time of the newest sample of any sensor."""
        self.events: deque[Event] = deque()
        self.stretch: Stretch | None = None
        self.session_start_s: float | None = None
        self.rested = False
        self.before_s: float | None = None
        """Where the stretch before ended, in hops."""
        self.gap_s = 0.0
        self.memory: list[Any] | None = None
        self.tape: list[Any] = []
        self.gone: dict[str, str] = {}
        self.per_window = round(recipe.hops_per_window)

    # -- in -----------------------------------------------------------------------------------------------------

    def offer(self, events: Iterable[Event]) -> None:
        """Take events in the order in which they came."""
        self.events.extend(events)

    def _take(self) -> bool:
        """Handle the next event; False when there is none or it must wait for hops of the stretch that ends."""
        if not self.events:
            return False
        event = self.events[0]
        if isinstance(event, Begin) and self.stretch is not None:
            if self.stretch.ending_s is None:
                self.stretch.ending_s = min(self.newest_s, event.start_s)
            return False
        self.events.popleft()
        if isinstance(event, Chunk):
            if event.modality in self.lanes:
                lane = self.lanes[event.modality]
                lane.offer(event)
                self.newest_s = max(self.newest_s, lane.newest_s)
                self.gone.pop(event.modality, None)
        elif isinstance(event, Begin):
            self._begin(event)
        elif isinstance(event, End):
            if self.stretch is not None:
                self.stretch.ending_s = event.stop_s
        elif isinstance(event, Appeared):
            if event.stream.modality in self.lanes:
                self.lanes[event.stream.modality].appear(event.stream)
            self.gone.pop(event.stream.modality, None)
        elif isinstance(event, Vanished):
            self.gone[event.modality] = event.why
        return True

    def _begin(self, event: Begin) -> None:
        for lane in self.lanes.values():
            lane.begin(event.start_s)
        self.newest_s = -math.inf
        self.stretch = Stretch(event)
        self.rested |= event.role == "baseline"
        if self.session_start_s is None:
            self.session_start_s = event.start_s
        begin_s = event.start_s + self.recipe.guard_s
        self.gap_s = 0.0 if self.before_s is None else max(0.0, begin_s - self.before_s)
        self.tape = []

    def begin_of(self, start_s: float) -> Begin:
        """A beginning at another time that keeps who the person is."""
        return Begin(start_s) if self.stretch is None else replace(self.stretch.begin, start_s=start_s)

    # -- out ----------------------------------------------------------------------------------------------------

    def next_hop(self, now_s: float | None = None) -> Hop | None:
        """Give the next hop that is due, or None; ``now_s`` lets time pass when every sensor is silent."""
        while True:
            stretch = self.stretch
            if stretch is not None:
                stop_s = stretch.begin.start_s + self.recipe.guard_s + (stretch.hops + 1) * self.recipe.hop_s
                if stretch.ending_s is not None:
                    if stop_s <= stretch.ending_s + 1e-9 and not self._more_before(stretch.ending_s):
                        return self._hop(stretch, stop_s)
                    if stop_s > stretch.ending_s + 1e-9:
                        self._finish(stretch)
                        continue
                elif self._ready(stop_s, now_s):
                    return self._hop(stretch, stop_s)
            if not self._take():
                if stretch is not None and stretch.ending_s is not None and self.stretch is stretch:
                    if stop_s <= stretch.ending_s + 1e-9:
                        return self._hop(stretch, stop_s)
                    continue
                return None

    def _more_before(self, ending_s: float) -> bool:
        """Whether late packets of the stretch that ends still wait in the queue."""
        return bool(self.events) and isinstance(self.events[0], Chunk) and self.events[0].times_s[0] < ending_s

    def _finish(self, stretch: Stretch) -> None:
        self.before_s = stretch.begin.start_s + self.recipe.guard_s + stretch.hops * self.recipe.hop_s
        self.stretch = None

    def _ready(self, stop_s: float, now_s: float | None) -> bool:
        head_s = self.newest_s if now_s is None else max(self.newest_s, now_s)
        if head_s >= stop_s + self.patience_s:
            return True
        waited = False
        for lane in self.fastest:
            if lane.regular and not lane.silent(head_s):
                if lane.reached_s < stop_s - 1e-9:
                    return False
                waited = True
        return waited and head_s >= stop_s - 1.0

    def clean_ahead(self) -> None:
        """Clean what has come without a gap, so that a page can draw it before its hop is due."""
        if self.stretch is None:
            return
        stop_s = self.stretch.begin.start_s + self.recipe.guard_s + (self.stretch.hops + 1) * self.recipe.hop_s
        for lane in self.lanes.values():
            if lane.regular:
                lane.advance(min(lane.reached_s, stop_s + LOOK_AHEAD_S / 2))

    def _hop(self, stretch: Stretch, stop_s: float) -> Hop:
        recipe, number = self.recipe, stretch.hops
        new, window, share = {}, {}, {}
        for name, lane in self.lanes.items():
            lane.advance(stop_s)
            rate_hz = lane.spec.rate_hz
            last = round((stop_s - stretch.begin.start_s) * rate_hz)
            per_hop, length = round(recipe.hop_s * rate_hz), round(recipe.window_s * rate_hz)
            new[name] = lane.piece(last - per_hop, per_hop)
            if number >= self.per_window - 1:
                window[name] = lane.piece(last - length, length)
                share[name] = float(window[name][1].mean())
        present = np.array([share.get(name, 0.0) >= recipe.min_observed for name in self.schema.modalities], bool)
        stretch.hops += 1
        start_s = stop_s - recipe.window_s
        hop = Hop(
            self, number, start_s, stop_s, new, window, present, share, self._kind(stretch, start_s, stop_s, number)
        )
        if hop.kind in ("reference", "scored") and not present.any():
            hop = Hop(self, number, start_s, stop_s, new, window, present, share, "unseen")
        if hop.kind == "reference":
            self._refer(stretch, hop)
        return hop

    def _kind(self, stretch: Stretch, start_s: float, stop_s: float, number: int) -> str:
        if number < self.per_window - 1:
            return "early"
        if stretch.begin.role == "baseline":
            return "reference"
        opening_s = self.opening_stop_s
        if stop_s <= opening_s + 1e-9:
            return "reference"
        return "scored" if start_s >= opening_s - 1e-9 else "across"

    @property
    def opening_stop_s(self) -> float:
        """Where the session's opening ends; it has none where a baseline was measured."""
        begin_s = self.session_start_s or 0.0
        return begin_s + (0.0 if self.rested else self.recipe.opening_s)

    def _refer(self, stretch: Stretch, hop: Hop) -> None:
        """Take the samples of a reference window into the person's own level, each once."""
        first = hop.number - self.per_window + 1
        if stretch.referenced is not None:
            first = max(first, stretch.referenced)
        for name, lane in self.lanes.items():
            if lane.stream is None:
                continue
            per_hop = round(self.recipe.hop_s * lane.spec.rate_hz)
            last = round((hop.stop_s - stretch.begin.start_s) * lane.spec.rate_hz)
            length = (hop.number + 1 - first) * per_hop
            self.own.add_samples(name, *lane.piece(last - length, length))
        stretch.referenced = hop.number + 1

    # -- state --------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Everything carried but the networks' memory and events not yet handled."""
        stretch = None
        if self.stretch is not None:
            b = self.stretch.begin
            stretch = {
                "begin": [b.start_s, b.role, b.subject, b.session, b.trial, dict(b.traits)],
                "hops": self.stretch.hops,
                "ending_s": self.stretch.ending_s,
                "referenced": self.stretch.referenced,
            }
        return {
            "lanes": {name: lane.to_dict() for name, lane in self.lanes.items()},
            "own": self.own.to_dict(),
            "stretch": stretch,
            "session_start_s": self.session_start_s,
            "rested": self.rested,
            "before_s": self.before_s,
            "gap_s": self.gap_s,
        }

    def restore(self, tree: Mapping[str, Any]) -> None:
        """Go on from what `to_dict` gave."""
        for name, lane in self.lanes.items():
            lane.restore(tree["lanes"][name])
        self.newest_s = max((lane.newest_s for lane in self.lanes.values()), default=-math.inf)
        self.own.restore(tree["own"])
        stretch = tree["stretch"]
        self.stretch = None
        if stretch is not None:
            start_s, role, subject, session, trial, traits = stretch["begin"]
            begin = Begin(start_s, role, subject, session, trial, traits)
            self.stretch = Stretch(begin, stretch["hops"], stretch["ending_s"], stretch["referenced"])
        for key in ("session_start_s", "rested", "before_s", "gap_s"):
            setattr(self, key, tree[key])
