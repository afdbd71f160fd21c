"""The live page as a child process of the studio."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from insula.studio.jobs import child, end

_LISTENS = re.compile(r"insula live: (http://\S+)")


@dataclass
class Now:
    """What is shown: a run's model, by which command, where."""

    run: str
    arguments: tuple[str, ...]
    url: str = ""
    error: str = ""


class Showing:
    """At most one live page; ``changed`` is called when it listens or ends."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.changed = changed
        self.now: Now | None = None
        self._process: subprocess.Popen[str] | None = None

    def start(self, run: str, arguments: Sequence[str]) -> None:
        """Start the page; one that runs already for the same model and source stays."""
        if self.now is not None and self.now.arguments == tuple(arguments) and self._alive:
            return
        self.end()
        now = self.now = Now(run, tuple(arguments))
        process = self._process = child(arguments)
        threading.Thread(target=self._follow, args=(now, process), daemon=True, name="live").start()

    def end(self) -> None:
        """End the page."""
        process, self._process, self.now = self._process, None, None
        if process is not None:
            end(process)

    @property
    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _follow(self, now: Now, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        last = ""
        for line in process.stderr:
            if found := _LISTENS.match(line):
                now.url = found[1]
                self.changed()
            elif line.strip() and not line.startswith('{"what"'):
                last = line.strip()
        process.wait()
        if self.now is now:
            now.url, now.error = "", last.removeprefix("insula: ") or "it has ended"
            self.changed()
