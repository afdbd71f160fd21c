"""What everybody is told: decisions, frames of cleaned signals, what is read, how each sensor is."""

from __future__ import annotations

import json
import math
import struct
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from insula.live.certainty import certainty, verdict
from insula.live.electrodes import places
from insula.live.learner import Learner
from insula.live.predictor import Decision
from insula.live.reading import SAID
from insula.live.seat import Seat
from insula.signals.recipe import Recipe
from insula.types import Schema


def told(
    decision: Decision, learner: Learner, now_s: float | None, compute_ms: float, energy_j: float | None
) -> dict[str, Any]:
    """Put a decision into the documented JSON: the person's own chances where something was learned."""
    personal = learner.chances(decision)
    chances, spread = decision.chances, decision.spread
    if personal is not None:
        chances, spread = personal
    code, why = verdict(chances, spread, learner.classes)
    if not learner.classes:
        why = "nothing to recognise yet: name two states and label them"
    elif not len(chances) and decision.kind in SAID:
        why = "not enough labels yet"
    return {
        "type": "decision",
        "time_s": round(decision.stop_s, 6),
        "window_s": round(decision.stop_s - decision.start_s, 6),
        "trial": decision.key[2],
        "kind": decision.kind,
        "classes": learner.classes[: len(chances)] or learner.classes,
        "chances": [round(float(p), 6) for p in chances],
        "spread": None if spread is None else [round(float(s), 6) for s in spread],
        "saved_chances": [round(float(p), 6) for p in decision.chances],
        "value": None if math.isnan(decision.value) else round(decision.value, 6),
        "label": None if code is None else learner.classes[code],
        "why": why,
        "certainty": round(certainty(chances), 4),
        "personal": personal is not None,
        "sensors": {
            name: {"counts": there, "observed": round(decision.share.get(name, 0.0), 4)}
            for name, there in decision.present.items()
        },
        "attention": {name: np.mean(v, 0).round(4).tolist() for name, v in decision.attention.items()},
        "late_s": None if now_s is None else round(max(0.0, now_s - decision.stop_s), 4),
        "compute_ms": round(compute_ms, 3),
        "energy_j": energy_j,
        "sent_ms": round(time.time() * 1000, 1),
    }


class Frames:
    """Cleaned signals in order, each sample once: a header in JSON, then float32 samples and masks."""

    def __init__(self) -> None:
        self._shown: dict[str, int] = {}
        self._start_s = math.nan

    def next(self, seat: Seat, now_s: float | None) -> bytes | None:
        """Return what was cleaned since the last frame; None where nothing was."""
        if seat.stretch is None:
            return None
        start_s = seat.stretch.begin.start_s
        if start_s != self._start_s:
            self._shown, self._start_s = {}, start_s
        parts, payload = [], []
        for name, lane in seat.lanes.items():
            first = max(self._shown.get(name, 0), lane.due - lane.values.shape[1])
            count = lane.due - first
            if count <= 0 or lane.stream is None:
                continue
            self._shown[name] = lane.due
            values, seen = lane.piece(first, count)
            parts.append({"m": name, "first": first, "count": count, "channels": len(values)})
            payload += [np.ascontiguousarray(values, np.float32).tobytes(), seen.astype(np.uint8).tobytes()]
        if not parts:
            return None
        newest_s = seat.newest_s
        header = {
            "start_s": start_s,
            "age_s": None if now_s is None or not math.isfinite(newest_s) else round(max(0.0, now_s - newest_s), 4),
            "sent_ms": round(time.time() * 1000, 1),
            "parts": parts,
        }
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 4)
        return struct.pack("<I", len(text)) + text + b"".join(payload)


def hello(schema: Schema, recipe: Recipe, classes: Sequence[str], predicts: bool) -> dict[str, Any]:
    """Message of what is read and told: target, classes, windows, modalities with channels and rates."""
    return {
        "type": "hello",
        "target": schema.target,
        "classes": classes,
        "continuous": schema.continuous and predicts,
        "window_s": recipe.window_s,
        "hop_s": recipe.hop_s,
        "modalities": {
            name: {
                "channels": spec.channels,
                "rate_hz": spec.rate_hz,
                "unit": spec.unit,
                "places": places(spec.channels) if name == "eeg" else None,
            }
            for name, spec in schema.modalities.items()
        },
    }


def sensors_of(seat: Seat) -> dict[str, dict[str, Any]]:
    """How each sensor is: there or why not, packets lost, late and arrived, the share that is observed."""
    return {
        name: {
            "there": lane.stream is not None and name not in seat.gone,
            "why": seat.gone.get(name, "" if lane.stream is not None else "not found yet"),
            "lost": lane.counts.lost,
            "late": lane.counts.late,
            "arrived": lane.counts.arrived,
            "observed": round(float(lane.observed.mean()), 4) if lane.observed.size else 0.0,
            "bad": list(lane.bad_channels),
        }
        for name, lane in seat.lanes.items()
    }
