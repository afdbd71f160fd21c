"""The thread between source and page: reads, decides, learns, records, and tells everybody."""

from __future__ import annotations

import json
import math
import queue
import struct
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from insula.errors import InputError, InsulaError
from insula.live import messages as say
from insula.live.calibration import Calibration
from insula.live.certainty import certainty, verdict
from insula.live.chunks import Appeared, Begin, Event, Source, Stream
from insula.live.electrodes import places
from insula.live.hub import Hub
from insula.live.learner import Adapted, Learner
from insula.live.predictor import SAID, Decision, Predictor
from insula.live.recorder import Recorder
from insula.live.seat import Seat
from insula.live.watcher import Watcher, schema_of

FRAME_S = 1 / 30
"""How often signals go out."""
STATUS_S = 1.0
POLL_S = 0.02
"""How long a turn waits for packets."""


class Outlet(Protocol):
    """Somewhere decisions and markers go: a stream, a port."""

    def decision(self, message: dict[str, Any]) -> None: ...

    def marker(self, text: str) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Setup:
    """What an engine is made of; ``energy`` is the price of a decision in joules, None where not counted."""

    source: Source
    hub: Hub
    predictor: Predictor | None = None
    recorder: Recorder | None = None
    save: Callable[[dict[str, Any]], str] | None = None
    outlets: tuple[Outlet, ...] = ()
    energy_j: float | None = None
    model_name: str = ""
    patience_s: float = 0.25


class Engine:
    """Run a source through a predictor on one thread until stopped."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.hub, self.source = setup, setup.hub, setup.source
        self.reader: Predictor | Watcher | None = setup.predictor
        classes = setup.predictor.schema.classes if setup.predictor is not None else ()
        self.learner = Learner(classes)
        self.seat: Seat | None = None if self.reader is None else self.reader.seat(setup.patience_s)
        self.calibration: Calibration | None = None
        self.last: Decision | None = None
        self.ended = False
        self.problem = ""
        self._commands: queue.Queue[say.Message] = queue.Queue(1000)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._learning: Future[Adapted] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="insula-learn")
        self._shown: dict[str, int] = {}
        self._shown_start_s = math.nan
        self._streams: dict[str, Stream] = {}
        self._frame_at = self._status_at = 0.0
        self._compute_ms = 0.0

    # -- running ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin on a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="insula-live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, close the source and what goes out; wait until it is done."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def command(self, message: say.Message) -> None:
        """Hand a message of a client to the thread; dropped when a thousand wait."""
        try:
            self._commands.put_nowait(message)
        except queue.Full:
            self.tell("too many commands wait; this one is dropped")

    def _run(self) -> None:
        import torch

        torch.set_num_threads(1)
        try:
            while not self._stop.is_set():
                self.turn()
        except InsulaError as error:
            self.problem = str(error)
            self._status(force=True)
        except Exception as error:  # what a thread raises nobody would see
            self.problem = f"{type(error).__name__}: {error}"
            self._status(force=True)
            raise
        finally:
            self.close()

    def close(self) -> None:
        """Close everything that was opened."""
        self.source.close()
        for outlet in self.setup.outlets:
            outlet.close()
        if self.setup.recorder is not None:
            self.setup.recorder.stop(self.learner.stretches)

    def turn(self) -> None:
        """One round: commands, new samples, decisions, frames."""
        while not self._commands.empty():
            self._obey(self._commands.get_nowait())
        events: Sequence[Event] = ()
        if self.ended:
            self._stop.wait(POLL_S)
        else:
            found = self.source.read(POLL_S)
            self.ended = found is None
            events = found or ()
        self._meet(events)
        if self.seat is not None and self.reader is not None:
            if self.setup.recorder is not None and self.setup.recorder.on:
                self.setup.recorder.add(events)
            began = time.perf_counter()
            # time passes by what is measured; by the clock only when nothing was, lest a slow moment look like a loss
            now_s = None if self.ended or events else self.source.now_s()
            decisions = self.reader.step(self.seat, events, now_s)
            if decisions:
                self._compute_ms = (time.perf_counter() - began) * 1000 / len(decisions)
            for decision in decisions:
                self._decided(decision)
            self.seat.clean_ahead()
        self._learned()
        self._guide()
        now = time.monotonic()
        if now - self._frame_at >= FRAME_S:
            self._frame_at = now
            self._signals()
        self._status()

    def _meet(self, events: Sequence[Event]) -> None:
        """Learn which sensors there are; without a model they decide what is read."""
        for event in events:
            if isinstance(event, Appeared):
                self._streams[event.stream.modality] = event.stream
        if self.reader is None and self._streams and any(not isinstance(e, (Appeared, Begin)) for e in events):
            schema, recipe = schema_of(list(self._streams.values()))
            self.reader = Watcher(schema, recipe)
            self.seat = self.reader.seat(self.setup.patience_s)
            self.seat.offer([Begin(self.source.now_s() or 0.0)])
            self.seat.offer([Appeared(stream) for stream in self._streams.values()])
            self._hello()

    # -- decisions ----------------------------------------------------------------------------------------------

    def _decided(self, decision: Decision) -> None:
        self.last = decision
        self.learner.see(decision)
        message = self.describe(decision)
        reason = self.learner.propose(decision, message["certainty"], decision.stop_s)
        if reason is not None and self.calibration is None:
            self.hub.publish("page", _text({"type": "proposal", "why": reason}))
        text = _text(message)
        self.hub.publish("decision", text, keep="decision")
        for outlet in self.setup.outlets:
            outlet.decision(message)

    def describe(self, decision: Decision) -> dict[str, Any]:
        """Put a decision into the documented JSON."""
        personal = self.learner.chances(decision)
        chances, spread = decision.chances, decision.spread
        if personal is not None:
            chances, spread = personal
        code, why = verdict(chances, spread, self.learner.classes)
        if not self.learner.classes:
            why = "nothing to recognise yet: name two states and label them"
        elif not len(chances) and decision.kind in SAID:
            why = "not enough labels yet"
        now_s = self.source.now_s()
        return {
            "type": "decision",
            "time_s": round(decision.stop_s, 6),
            "window_s": round(decision.stop_s - decision.start_s, 6),
            "trial": decision.key[2],
            "kind": decision.kind,
            "classes": self.learner.classes[: len(chances)] or self.learner.classes,
            "chances": [round(float(p), 6) for p in chances],
            "spread": None if spread is None else [round(float(s), 6) for s in spread],
            "saved_chances": [round(float(p), 6) for p in decision.chances],
            "value": None if math.isnan(decision.value) else round(decision.value, 6),
            "label": None if code is None else self.learner.classes[code],
            "why": why,
            "certainty": round(certainty(chances), 4),
            "personal": personal is not None,
            "sensors": {
                name: {"counts": there, "observed": round(decision.share.get(name, 0.0), 4)}
                for name, there in decision.present.items()
            },
            "attention": {name: np.mean(v, 0).round(4).tolist() for name, v in decision.attention.items()},
            "late_s": None if now_s is None else round(max(0.0, now_s - decision.stop_s), 4),
            "compute_ms": round(self._compute_ms, 3),
            "energy_j": self.setup.energy_j,
            "sent_ms": round(time.time() * 1000, 1),
        }

    # -- learning -----------------------------------------------------------------------------------------------

    def _learn(self) -> None:
        task = self.learner.snapshot()
        if task is None or (self._learning is not None and not self._learning.done()):
            return
        self._learning = self._pool.submit(task.run)
        self.hub.publish("page", _text({"type": "learning", "on": True}))

    def _learned(self) -> None:
        if self._learning is None or not self._learning.done():
            return
        done, self._learning = self._learning, None
        try:
            self.learner.take(done.result())
        except InsulaError as error:
            self.tell(str(error))
        if self.learner.adapted is None or self.learner.adapted.labels != len(self.learner.stretches):
            self._learn()
        self._labels()

    def _labels(self) -> None:
        """Tell the page about labels and what was learned."""
        learner = self.learner
        adapted = learner.adapted
        self.hub.publish(
            "page",
            _text(
                {
                    "type": "labels",
                    "classes": learner.classes,
                    "fixed": learner.fixed,
                    "counts": learner.counts,
                    "stretches": [
                        {"name": s.name, "start_s": s.start_s, "stop_s": s.stop_s} for s in learner.stretches[-50:]
                    ],
                    "ready": learner.ready,
                    "learning": self._learning is not None,
                    "score": None if adapted is None else {**adapted.score.__dict__, "serves": adapted.serves},
                    "can_save": self.setup.save is not None,
                    "can_record": self.setup.recorder is not None,
                }
            ),
            keep="labels",
        )

    # -- commands -----------------------------------------------------------------------------------------------

    def tell(self, text: str) -> None:
        """Say something to whoever looks at the page."""
        self.hub.publish("page", _text({"type": "note", "text": text}))

    def _obey(self, message: say.Message) -> None:
        try:
            self._carry_out(message)
        except InputError as error:
            self.tell(str(error))

    def _carry_out(self, message: say.Message) -> None:
        learner = self.learner
        if isinstance(message, say.Label):
            stop_s = self.last.stop_s if self.last is not None else 0.0
            self.label(message.name, stop_s - message.seconds, stop_s)
        elif isinstance(message, say.Undo):
            gone = learner.undo()
            self.tell("no label to take back" if gone is None else f"taken back: {gone.name}")
            self._labels()
        elif isinstance(message, say.Forget):
            learner.forget()
            self._labels()
        elif isinstance(message, say.Adapt):
            self._learn()
        elif isinstance(message, say.AddClass):
            learner.add_class(message.name)
            self._labels()
        elif isinstance(message, say.Key):
            done = self.source.press(message.key)
            if done is not None:
                self.tell(done)
        elif isinstance(message, say.Save):
            if self.setup.save is None:
                raise InputError("nowhere to save to; expected --save DIR when the server was started.")
            self.tell(f"saved to {self.setup.save(learner.to_dict())}")
        elif isinstance(message, say.Record):
            self._record(message.on)
        elif isinstance(message, say.Calibrate):
            self.calibration = Calibration(tuple(learner.classes)) if message.on and learner.classes else None
            if message.on and self.calibration is None:
                raise InputError("nothing to calibrate; expected two states at least. Name them first.")
            if self.calibration is None:
                self.hub.publish("page", _text({"type": "guide", "on": False}), keep="guide")

    def label(self, name: str, start_s: float, stop_s: float) -> None:
        """Label a stretch, tell everybody, and learn when there is enough."""
        self.learner.label(name, start_s, stop_s)
        for outlet in self.setup.outlets:
            outlet.marker(name)
        self._learn()
        self._labels()

    def _record(self, on: bool) -> None:
        recorder = self.setup.recorder
        if recorder is None:
            raise InputError("nowhere to record to; expected --record DIR when the server was started.")
        if on and not recorder.on:
            recorder.start(list(self._streams.values()))
        elif not on and recorder.on:
            self.tell(f"recorded to {recorder.stop(self.learner.stretches)}")
        self._status(force=True)

    def _guide(self) -> None:
        """Go on with the guided calibration."""
        if self.calibration is None or self.last is None:
            return
        step = self.calibration.step(self.last.stop_s)
        if step is None:
            return
        if (step.begin_rest or step.end_rest) and self.seat is not None:
            begin_s = max(self.seat.newest_s, self.last.stop_s)
            begin = self.seat.begin_of(begin_s)
            if step.begin_rest:
                self.seat.offer([replace(begin, role="baseline", trial="rest")])
            else:
                self.seat.offer([replace(begin, role="trial", trial="after-rest")])
        if step.press is not None:
            self.source.press(step.press)
        if step.label is not None:
            try:
                self.label(*step.label)
            except InputError as error:
                self.tell(str(error))
        self.hub.publish("page", _text({"type": "guide", **step.shown}), keep="guide")
        if step.done:
            self.calibration = None

    # -- frames -------------------------------------------------------------------------------------------------

    def _signals(self) -> None:
        """Send what was cleaned since the last frame: a header in JSON, then float32 samples and masks."""
        if self.seat is None or self.seat.stretch is None:
            return
        start_s = self.seat.stretch.begin.start_s
        if start_s != self._shown_start_s:
            self._shown, self._shown_start_s = {}, start_s
        parts, payload = [], []
        for name, lane in self.seat.lanes.items():
            first = max(self._shown.get(name, 0), lane.due - lane.values.shape[1])
            count = lane.due - first
            if count <= 0 or lane.stream is None:
                continue
            self._shown[name] = lane.due
            values, seen = lane.piece(first, count)
            parts.append({"m": name, "first": first, "count": count, "channels": len(values)})
            payload += [np.ascontiguousarray(values, np.float32).tobytes(), seen.astype(np.uint8).tobytes()]
        if not parts:
            return
        now_s, newest_s = self.source.now_s(), self.seat.newest_s
        header = {
            "start_s": start_s,
            "age_s": None if now_s is None or not math.isfinite(newest_s) else round(max(0.0, now_s - newest_s), 4),
            "sent_ms": round(time.time() * 1000, 1),
            "parts": parts,
        }
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 4)
        self.hub.publish("signals", struct.pack("<I", len(text)) + text + b"".join(payload))

    def _hello(self) -> None:
        """Tell what is read: modalities, channels, rates."""
        if self.reader is None:
            return
        schema, recipe = self.reader.schema, self.reader.recipe
        message = {
            "type": "hello",
            "source": self.source.name,
            "model": self.setup.model_name,
            "target": schema.target,
            "classes": self.learner.classes,
            "continuous": schema.continuous and self.setup.predictor is not None,
            "window_s": recipe.window_s,
            "hop_s": recipe.hop_s,
            "keys": list(self.source.keys),
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
        self.hub.publish("page", _text(message), keep="hello")

    def _status(self, force: bool = False) -> None:
        """Once a second: sensors, losses, recording."""
        now = time.monotonic()
        if not force and now - self._status_at < STATUS_S:
            return
        first = self._status_at == 0.0
        self._status_at = now
        if first:
            self._hello()
            self._labels()
        lanes = {} if self.seat is None else self.seat.lanes
        gone = {} if self.seat is None else self.seat.gone
        sensors = {
            name: {
                "there": lane.stream is not None and name not in gone,
                "why": gone.get(name, "" if lane.stream is not None else "not found yet"),
                "lost": lane.counts.lost,
                "late": lane.counts.late,
                "arrived": lane.counts.arrived,
                "observed": round(float(lane.observed.mean()), 4) if lane.observed.size else 0.0,
                "bad": list(lane.bad_channels),
            }
            for name, lane in lanes.items()
        }
        recorder = self.setup.recorder
        self.hub.publish(
            "page",
            _text(
                {
                    "type": "status",
                    "ended": self.ended,
                    "problem": self.problem,
                    "sensors": sensors,
                    "recording": recorder is not None and recorder.on,
                    "clients": self.hub.clients,
                    "frames_dropped": self.hub.dropped,
                    "resting": self.seat is not None
                    and self.seat.stretch is not None
                    and self.seat.stretch.begin.role == "baseline",
                }
            ),
            keep="status",
        )


def _text(message: dict[str, Any]) -> str:
    return json.dumps(message, allow_nan=False)
