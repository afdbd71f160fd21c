"""Who listens: one bounded queue a client; a slow client loses frames and holds up nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable

QUEUE = 64
"""Frames that wait for a client before the oldest is dropped."""

Frame = str | bytes


class Listener:
    """One client's queue. ``kinds`` are the kinds of frames it wants."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self.kinds = frozenset(kinds)
        self.queue: asyncio.Queue[Frame] = asyncio.Queue(QUEUE)
        self.dropped = 0

    def put(self, frame: Frame) -> None:
        """Queue a frame, at the cost of the oldest one."""
        if self.queue.full():
            self.queue.get_nowait()
            self.dropped += 1
        self.queue.put_nowait(frame)


class Hub:
    """Pass frames from the engine's thread to all clients of the server's loop."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._latest: dict[str, tuple[str, Frame]] = {}

    def attach(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Name the loop in which clients live; None: there is none any more."""
        with self._lock:
            self._loop = loop

    def publish(self, kind: str, frame: Frame, keep: str | None = None) -> None:
        """Send a frame to those who want its kind; ``keep`` names it, so that newcomers get the latest one."""
        with self._lock:
            loop = self._loop
            if keep is not None:
                self._latest[keep] = (kind, frame)
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._deliver, kind, frame)

    def _deliver(self, kind: str, frame: Frame) -> None:
        for listener in self._listeners:
            if kind in listener.kinds:
                listener.put(frame)

    def join(self, kinds: Iterable[str]) -> Listener:
        """Add a client; what is kept of its kinds comes first."""
        listener = Listener(kinds)
        with self._lock:
            kept = list(self._latest.values())
        for kind, frame in kept:
            if kind in listener.kinds:
                listener.put(frame)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Remove a client."""
        self._listeners.discard(listener)

    @property
    def clients(self) -> int:
        return len(self._listeners)

    @property
    def dropped(self) -> int:
        """Frames that slow clients of the present lost."""
        return sum(listener.dropped for listener in self._listeners)
