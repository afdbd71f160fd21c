"""A live server inside the test process, and one as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from insula.live.access import Access
from insula.live.engine import Engine, Setup
from insula.live.hub import Hub
from insula.live.server import build
from insula.live.serving import make_server


@contextmanager
def serving(source: Any, host: str = "127.0.0.1", token: str = "", **setup: Any) -> Iterator[tuple[str, Engine]]:
    """Serve a source on a free port; yields HOST:PORT and the engine."""
    engine = Engine(Setup(source, Hub(), **setup))
    where: list[str] = []
    known = threading.Event()

    def ready(url: str) -> None:
        where.append(url.split("//")[1].rstrip("/"))
        known.set()

    server = make_server(build(engine, Access(host, token)), host, 0, ready)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert known.wait(30)
        yield where[0], engine
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def process(*arguments: str, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run ``insula live``; yields the page's address and the process, which is ended by its number."""
    command = [sys.executable, "-m", "insula", "live", "--port", str(port), *arguments]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert running.stderr is not None
    drain: threading.Thread | None = None
    try:
        url = None
        for line in running.stderr:
            if found := re.match(r"insula live: (\S+)", line):
                url = found[1]
                break
        assert url is not None, "the server ended before it listened"
        drain = threading.Thread(target=running.stderr.read, daemon=True)
        drain.start()
        yield url, running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGKILL)
        running.wait(10)
        if drain is not None:
            drain.join(5)


def folder_text(folder: Path) -> list[str]:
    """Every file below a folder, by name."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
