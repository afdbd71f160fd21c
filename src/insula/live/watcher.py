"""Without a model: the features of every window, relative to the person's own so far, for a head to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from insula.errors import InputError
from insula.live.chunks import Event, Stream
from insula.live.predictor import Decision, raw_features
from insula.live.reading import SAID
from insula.live.seat import PATIENCE_S, Hop, Seat
from insula.signals import features as feature_functions
from insula.signals.recipe import DEFAULT_SIGNALS, Recipe
from insula.types import ChannelSpec, Schema

WINDOW_S, HOP_S = 8.0, 1.0
"""(?) Our choice: long enough for a pulse and two breaths, short enough for a moment."""
CLIP = 8.0


def schema_of(streams: Sequence[Stream]) -> tuple[Schema, Recipe]:
    """Make the schema that sensors allow, cleaned by the default recipes; unknown modalities are left out."""
    known = {s.modality: s for s in streams if s.modality in DEFAULT_SIGNALS}
    if not known:
        there = ", ".join(s.modality for s in streams) or "none"
        raise InputError(
            f"no usable sensor among {there}; expected one of {', '.join(DEFAULT_SIGNALS)}. "
            "Name the stream's type after one of them."
        )
    recipe = Recipe(window_s=WINDOW_S, hop_s=HOP_S, guard_s=0.0).only(known)
    specs = {
        name: ChannelSpec(stream.channels, recipe.signals[name].rate_hz, stream.unit) for name, stream in known.items()
    }
    columns = {
        name: tuple(c.name for c in feature_functions.columns(name, spec, WINDOW_S)) for name, spec in specs.items()
    }
    return Schema(specs, columns, (), "label", ()), recipe


class Watcher:
    """Give every window's features; it says nothing itself."""

    def __init__(self, schema: Schema, recipe: Recipe) -> None:
        self.schema, self.recipe = schema, recipe

    def seat(self, patience_s: float = PATIENCE_S) -> Seat:
        """Make a place for the person."""
        return Seat(self.schema, self.recipe, patience_s)

    def step(self, seat: Seat, events: Iterable[Event] = (), now_s: float | None = None) -> list[Decision]:
        """As `Predictor.step`."""
        seat.offer(events)
        out = []
        while (hop := seat.next_hop(now_s)) is not None:
            if hop.kind != "early":
                out.append(self._decision(hop))
        return out

    def _decision(self, hop: Hop) -> Decision:
        raw = raw_features(self.schema, [hop])
        if hop.kind in SAID:
            hop.seat.own.features.add(raw)
        mean, variance, count = hop.seat.own.features.level
        spread = np.sqrt(np.where((count > 1) & (variance > 1e-12), variance, 1.0))
        scaled = np.clip((raw[0] - mean) / spread, -CLIP, CLIP).astype(np.float32)
        begin = hop.seat.stretch.begin if hop.seat.stretch is not None else None
        key = ("", "", "") if begin is None else (begin.subject, begin.session, begin.trial)
        present = dict(zip(self.schema.modalities, map(bool, hop.present), strict=True))
        return Decision(
            key, hop.start_s, hop.stop_s, hop.kind, np.empty(0), None, float("nan"), np.empty(0, np.float32), scaled,
            {}, present, dict(hop.share),
        )  # fmt: skip
