"""Work of the studio: `insula` commands as child processes that end with it, one at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from insula.errors import InputError
from insula.processes import ENDS_WITH

LARGEST_OUTPUT = 64 << 20
"""Most characters of standard output that are kept of a command."""
LAST_LINES = 12
EVERY_S = 0.2
"""Progress is told at most this often."""
END_S = 10.0
"""A child that is told to end gets so long."""

Standing = Literal["running", "done", "failed", "stopped"]


@dataclass
class Job:
    """One command: what it does in words, its arguments, how far it is, what came of it."""

    kind: str
    title: str
    arguments: tuple[str, ...]
    standing: Standing = "running"
    what: str = ""
    done: int = 0
    total: int = 0
    began_s: float = field(default_factory=time.time)
    ended_s: float | None = None
    error: str = ""
    output: str = ""
    steps: dict[str, tuple[int, int]] = field(default_factory=dict)


class Jobs:
    """Run one job at a time.

    Parameters
    ----------
    changed : called, from a thread of the job, whenever something about it is new.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.changed = changed
        self.job: Job | None = None
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        return self.job is not None and self.job.standing == "running"

    def start(
        self,
        kind: str,
        title: str,
        arguments: Sequence[str],
        after: Callable[[Job], None],
        accepts: Sequence[int] = (0,),
        then: Callable[[], None] = lambda: None,
    ) -> Job:
        """Start a command; the same kind of work that is under way is not started twice.

        ``after`` is called with the job once it is done (not when it failed or was stopped); ``accepts`` are the exit
        codes with which it is, ``then`` is called when something else may begin.
        """
        with self._lock:
            if self.running and self.job is not None:
                if self.job.kind == kind:
                    return self.job
                raise InputError(
                    f"{self.job.title} is under way; expected one thing at a time. Wait for it or stop it."
                )
            job = self.job = Job(kind, title, tuple(arguments))
            self._process = process = child(arguments)
            self._thread = threading.Thread(
                target=self._follow, args=(job, process, after, accepts, then), daemon=True, name=kind
            )
            self._thread.start()
        self.changed()
        return job

    def stop(self) -> None:
        """End the job that is under way, and wait until it is gone."""
        with self._lock:
            process, job = self._process, self.job
            if process is None or job is None or job.standing != "running":
                return
            job.standing = "stopped"
        end(process)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(END_S)

    def _follow(
        self,
        job: Job,
        process: subprocess.Popen[str],
        after: Callable[[Job], None],
        accepts: Sequence[int],
        then: Callable[[], None],
    ) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        parts: list[str] = []
        reading = threading.Thread(target=lambda: parts.append(process.stdout.read(LARGEST_OUTPUT)), daemon=True)  # type: ignore[union-attr]
        reading.start()
        last: list[str] = []
        told_s = 0.0
        for line in process.stderr:
            if not self._progress(job, line):
                last = [*last, line.rstrip()][-LAST_LINES:]
            elif time.monotonic() - told_s > EVERY_S:
                told_s = time.monotonic()
                self.changed()
        reading.join(END_S)
        code = process.wait()
        job.output = "".join(parts)
        job.ended_s = time.time()
        if job.standing == "running":
            try:
                if code in accepts:
                    after(job)
                    job.standing = "done"
                else:
                    job.error = _complaint(last, code)
                    job.standing = "failed"
            except Exception as error:
                job.error, job.standing = str(error), "failed"
        job.output = ""
        self.changed()
        if job.standing == "done":
            then()

    def _progress(self, job: Job, line: str) -> bool:
        """Take a line of progress; False for any other one."""
        if not line.startswith('{"what"'):
            return False
        try:
            told = json.loads(line)
            job.what, job.done, job.total = str(told["what"]), int(told["done"]), int(told["total"])
        except (ValueError, LookupError, TypeError):
            return False
        job.steps[job.what] = (job.done, job.total)
        return True


def child(arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Start `insula ARGUMENTS` so that it tells progress as JSON and ends with this process."""
    environment = {**os.environ, ENDS_WITH: str(os.getpid()), "INSULA_PROGRESS": "json", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "insula", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace", env=environment,
        start_new_session=True,
    )  # fmt: skip


def end(process: subprocess.Popen[str]) -> None:
    """End a child, at first politely; its own children end with it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(END_S)


def _complaint(lines: Sequence[str], code: int) -> str:
    """Return what a command said before it failed: its own sentence, or the last line."""
    own = [line.removeprefix("insula: ") for line in lines if line.startswith("insula: ")]
    return own[-1] if own else lines[-1] if lines else f"it ended with code {code}"
