"""The thread between source and page: reads, decides, learns, records, and tells everybody."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol

from insula.errors import InputError, InsulaError
from insula.live import messages as say
from insula.live.calibration import Calibration
from insula.live.chunks import Appeared, Begin, Event, Source, Stream
from insula.live.hub import Hub
from insula.live.learner import Adapted, Learner
from insula.live.predictor import Decision, Predictor
from insula.live.recorder import Recorder
from insula.live.seat import Seat
from insula.live.telling import Frames, hello, sensors_of, told
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
        self._frames = Frames()
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
        message = told(decision, self.learner, self.source.now_s(), self._compute_ms, self.setup.energy_j)
        reason = self.learner.propose(decision, message["certainty"], decision.stop_s)
        if reason is not None and self.calibration is None:
            self.hub.publish("page", _text({"type": "proposal", "why": reason}))
        text = _text(message)
        self.hub.publish("decision", text, keep="decision")
        for outlet in self.setup.outlets:
            outlet.decision(message)

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
        frame = None if self.seat is None else self._frames.next(self.seat, self.source.now_s())
        if frame is not None:
            self.hub.publish("signals", frame)

    def _hello(self) -> None:
        """Tell what is read: modalities, channels, rates."""
        if self.reader is None:
            return
        said = {"source": self.source.name, "keys": list(self.source.keys), "model": self.setup.model_name}
        predicts = self.setup.predictor is not None
        message = hello(self.reader.schema, self.reader.recipe, self.learner.classes, predicts)
        self.hub.publish("page", _text({**message, **said}), keep="hello")

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
        recorder = self.setup.recorder
        self.hub.publish(
            "page",
            _text(
                {
                    "type": "status",
                    "ended": self.ended,
                    "problem": self.problem,
                    "sensors": {} if self.seat is None else sensors_of(self.seat),
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
