"""Hostile values, and a way to run the command line on them: exit 0 or 1 with an answer, or 2 with one clean line."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from insula.cli import main

SHARE = float(os.environ.get("INSULA_ATTACK", "0.75"))
"""How many times the usual number of inputs is tried."""
SECONDS = 60
LARGEST_BYTES = 2 << 30
NUMBERS = [
    "0", "-1", "1e308", "-1e308", "1e-320", "inf", "-inf", "nan", "1e999999999999", "9" * 400, "0x10", "1_000", "1,5",
    "٣", "½", "1e3", "2147483648", "9223372036854775808", "1700000000", "1700000000000", "1700000000000000000", "-0.0",
]  # fmt: skip
TEXTS = [
    "", " ", "\x1b[31mred\x1b[0m", "[/b]", "[link=http://x]y[/link]", "[red]", "=cmd|' /C calc'!A0", "+1", "@SUM(A1)",
    "../../../etc/passwd", "/etc/passwd", "a\x00b", "a\rb", "\u202eabc", "\ud7ff\U0001f600", "CON", "NUL.txt",
    "a" * 5000, "{x}", "%s%n", "'; DROP TABLE", "<script>alert(1)</script>", "None", "null", "true", "\ufeffx",
    "é" * 300, "..", ".", "2024-03-31T02:30:00+01:00", "2024-03-31T02:30:00Z", "2024-13-45", "1970-01-01",
    "0001-01-01T00:00:00",
    "9999-12-31T23:59:59.999999999",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, -(10**30), 1e308, -1e308, 5e-324, float("nan"),
    float("inf"), [], {}, [[]], [None], {"": None}, [1e999], ["x"] * 50, {"a": {"b": {"c": []}}}, *TEXTS,
]  # fmt: skip


def times(count: int) -> int:
    """How many inputs of a family to try."""
    return max(4, round(count * SHARE))


class Hang(BaseException):
    """A command took too long."""


@dataclass
class Tally:
    """How the commands of a family ended, and every breach of the rule."""

    ended: Counter[int] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)

    def run(self, what: str, *arguments: object) -> int:
        """Run one command and judge how it ended."""
        began = time.perf_counter()
        code, out, err, trace = call(*arguments)
        self.ended[code] += 1
        problem = judge(code, out, err, trace)
        if time.perf_counter() - began > SECONDS:
            problem = f"took {time.perf_counter() - began:.0f} s"
        if problem:
            self.breaches.append(f"{what}: insula {' '.join(map(str, arguments))[:160]}: {problem}")
        return code

    def require(self, inputs: int) -> None:
        """Fail with the first breaches, or where fewer inputs than promised were tried."""
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * 1024
        assert not self.breaches, f"{len(self.breaches)} breaches:\n" + "\n".join(self.breaches[:12])
        assert sum(self.ended.values()) >= times(inputs)
        assert peak < LARGEST_BYTES


def call(*arguments: object) -> tuple[int, str, str, str]:
    """Run `insula` in this process: exit code (70 for an exception that came through), output, errors, traceback."""
    out, err = io.StringIO(), io.StringIO()
    argv, stdin = sys.argv, sys.stdin
    sys.argv, sys.stdin = ["insula", *map(str, arguments)], io.StringIO("")
    before = signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    code, trace = 0, ""
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", module="insula")
            main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException as error:
        code, trace = 70, "".join(traceback.format_exception(error)[-3:])[-900:]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.argv, sys.stdin = argv, stdin
    return code, out.getvalue(), err.getvalue(), trace


def _late(_: int, __: FrameType | None) -> None:
    raise Hang


def judge(code: int, out: str, err: str, trace: str) -> str:
    """Say what is wrong with how a command ended; empty where nothing is."""
    if trace:
        return f"an exception came through:\n{trace}"
    if any(ord(c) < 32 and c not in "\n\t" for c in out + err) or "\x9b" in out + err:
        return f"control characters on the terminal: {(out + err)[:200]!r}"
    if code not in (0, 1, 2):
        return f"exit code {code}"
    if "Traceback" in err:
        return f"a traceback: {err[-300:]}"
    told = [line for line in err.splitlines() if not line.startswith(("reading", "cleaning", "note:", "will be done:"))]
    if code == 2 and not (len(told) == 1 and told[0].startswith("insula: ") and len(told[0]) < 3000):
        usage = told and told[0].startswith("Usage:")
        return "" if usage else f"exit code 2 and {len(told)} lines: {told[:3]}"
    return ""


# -- damage ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def changed(file: Path, content: bytes) -> Iterator[None]:
    """Give a file another content for a while."""
    before = file.read_bytes()
    try:
        file.write_bytes(content)
        yield
    finally:
        file.write_bytes(before)


def spoiled_json(value: Any, rng: np.random.Generator) -> bytes:
    """Change one to three places of a JSON value: replace, remove, add, nest; or break its text."""
    out = copy.deepcopy(value)
    for _ in range(int(rng.integers(1, 4))):
        out = _spoil(out, rng)
    text = json.dumps(out)
    kind = int(rng.integers(20))
    if kind == 0:
        return b"[" * 100_000
    if kind == 1:
        return text.encode()[: int(rng.integers(len(text) + 1))]
    if kind == 2:
        return text.encode("utf-16")
    return text.encode("utf-8", "surrogatepass")


def _spoil(value: Any, rng: np.random.Generator) -> Any:
    bad = VALUES[int(rng.integers(len(VALUES)))]
    if isinstance(value, dict) and value and rng.random() > 0.1:
        key = list(value)[int(rng.integers(len(value)))]
        kind = int(rng.integers(8))
        if kind == 0:
            return {k: v for k, v in value.items() if k != key}
        if kind == 1:
            return {**value, str(bad)[:50]: bad}
        return {**value, key: _spoil(value[key], rng)}
    if isinstance(value, list) and value and rng.random() > 0.1:
        at = int(rng.integers(len(value)))
        kind = int(rng.integers(8))
        if kind == 0:
            return [*value[:at], *value[at + 1 :]]
        if kind == 1:
            return value * 3
        return [*value[:at], _spoil(value[at], rng), *value[at + 1 :]]
    return bad


def spoiled_csv(rows: list[list[str]], rng: np.random.Generator) -> bytes:
    """Change one to four places of a table: a cell, a name, a column, rows twice or gone; or its encoding."""
    out = [list(row) for row in rows]
    pool = NUMBERS + TEXTS
    for _ in range(int(rng.integers(1, 5))):
        row, column = int(rng.integers(len(out))), int(rng.integers(len(out[0])))
        kind = int(rng.integers(12))
        if kind == 0:
            out[0][column] = pool[int(rng.integers(len(pool)))]
        elif kind == 1:
            out = [r[:column] + r[column + 1 :] for r in out] if len(out[0]) > 1 else out
        elif kind == 2:
            out.append(list(out[row]))
        elif kind == 3 and len(out) > 2:
            del out[max(1, row)]
        elif kind == 4:
            out[row] = out[row] + ["x"]
        elif kind == 5:
            bad = pool[int(rng.integers(len(pool)))]
            out = [out[0], *([bad if i == column else c for i, c in enumerate(r)] for r in out[1:])]
        elif column < len(out[row]):
            out[row][column] = pool[int(rng.integers(len(pool)))]
    text = "\n".join(",".join(row) for row in out) + "\n"
    kind = int(rng.integers(30))
    if kind == 0:
        return text.encode("utf-16")
    if kind == 1:
        return text.encode("utf-8", "surrogatepass")[: int(rng.integers(len(text)))]
    if kind == 2:
        return text.replace(",", ";").encode("utf-8", "surrogatepass")
    return text.encode("utf-8", "surrogatepass")
