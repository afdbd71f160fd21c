"""Run the command line as a user does, inside this process: exit code, standard output, standard error."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from insula.cli import main


@dataclass(frozen=True)
class Done:
    """What a command left."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Terminal:
    """Calls `insula` with arguments."""

    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object) -> Done:
        self.patch.setattr(sys, "argv", ["insula", *map(str, arguments)])
        self.capture.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = self.capture.readouterr()
        return Done(code, captured.out, captured.err)

    def refused(self, *arguments: object, says: str) -> str:
        """Expect one clear line on standard error, exit code 2 and nothing on standard output."""
        done = self(*arguments)
        assert done.code == 2, done
        assert done.out == ""
        message = [line for line in done.err.splitlines() if not line.startswith(("reading", "cleaning", "note:"))]
        assert len(message) == 1, done.err
        assert message[0].startswith("insula: ")
        assert says in message[0], message[0]
        assert "Traceback" not in done.err
        return message[0]
