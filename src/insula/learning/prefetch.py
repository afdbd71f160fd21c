"""Make the next items while the present one is used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()


def prefetched(items: Iterator[T], ahead: int = 2) -> Iterator[T]:
    """Yield what ``items`` yields, made in a thread of its own, at most ``ahead`` of them waiting.

    An exception in ``items`` is raised here, in its turn. Who stops early stops the thread as well.
    """
    waiting: queue.Queue[Any] = queue.Queue(ahead)
    stop = threading.Event()

    def offer(item: Any) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not offer((item, None)):
                    return
            offer((_END, None))
        except BaseException as error:  # whatever went wrong belongs to who asked for the items
            offer((_END, error))

    thread = threading.Thread(target=work, name="insula-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stop.set()
        thread.join()
