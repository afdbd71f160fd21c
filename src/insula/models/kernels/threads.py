"""A thread pool for compiled kernels that release the interpreter lock: one a process, made anew after a fork."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def run_shards(task: Callable[[int], None], shards: int) -> None:
    """Call ``task`` with 0 .. shards - 1, on at most ``torch.get_num_threads()`` threads, this one among them.

    Which thread takes which shard is open, so a task writes only what belongs to its own shard. One shard, or one
    thread, runs here. Callers may come from several threads at once.
    """
    helpers = min(torch.get_num_threads(), shards) - 1
    waiting = deque(range(shards))

    def work() -> None:
        while True:
            try:
                shard = waiting.popleft()
            except IndexError:
                return
            task(shard)

    futures = [_helpers().submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        # A helper that never began has nothing left to do; one that began must end before its arrays may go.
        begun = [future for future in futures if not future.cancel()]
        errors = [future.exception() for future in begun]
    for error in errors:
        if error is not None:
            raise error


def _helpers() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1), thread_name_prefix="insula-kernel")
        return _pool


def _forget() -> None:
    """Drop what a forked child inherited: the threads of the pool stayed in the parent."""
    global _lock, _pool
    _lock, _pool = threading.Lock(), None


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_forget)
