"""How far running fits are, told from one process to another through a small file."""

from __future__ import annotations

import contextlib
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

EVERY_S = 0.5
"""How often the listener looks at what workers wrote."""
_SHARE = struct.Struct("<d")


@dataclass(frozen=True)
class Shares:
    """The share of each task that is done, 0 to 1, in a file in which every process writes its tasks' own places."""

    file: Path

    def put(self, index: int, share: float) -> None:
        """Say how far a task is; a file that is gone is no reason to stop computing."""
        with contextlib.suppress(OSError), self.file.open("r+b") as opened:
            opened.seek(index * _SHARE.size)
            opened.write(_SHARE.pack(min(max(share, 0.0), 1.0)))

    def tick(self, index: int) -> Callable[[float, float], None]:
        """Return what a task calls with (done, total)."""
        return lambda done, total: self.put(index, done / total)

    def done(self) -> float:
        """Tasks that are done, running ones by their share."""
        try:
            return float(np.fromfile(self.file, "<f8").sum())
        except OSError:
            return 0.0


@contextmanager
def listening(count: int, told: Callable[[float, int], None] | None) -> Iterator[Shares | None]:
    """Call ``told`` with (tasks done, ``count``) from a thread while other processes go on with them.

    Gives None where nobody listens or no file can be written; the work goes on without.
    """
    with contextlib.ExitStack() as stack:
        shares = None if told is None else _file(stack, count)
        if shares is None or told is None:
            yield None
            return
        over = threading.Event()
        thread = threading.Thread(target=_listen, args=(shares, count, told, over), daemon=True, name="listens")
        thread.start()
        try:
            yield shares
        finally:
            over.set()
            thread.join()


def _file(stack: contextlib.ExitStack, count: int) -> Shares | None:
    try:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="insula-", ignore_cleanup_errors=True))
        file = Path(folder) / "shares"
        file.write_bytes(_SHARE.pack(0.0) * count)
    except OSError:
        return None
    return Shares(file)


def _listen(shares: Shares, count: int, told: Callable[[float, int], None], over: threading.Event) -> None:
    before = -1.0
    while not over.wait(EVERY_S):
        now = shares.done()
        if now != before and now < count:
            before = now
            told(now, count)
