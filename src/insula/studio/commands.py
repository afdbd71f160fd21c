"""The commands that the studio's steps are: the same in a terminal does the same."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from insula.studio.messages import Cutting


def shown(arguments: Sequence[str]) -> str:
    """Write a command as one types it."""
    return shlex.join(["insula", *arguments])


def init(root: str, overwrite: bool) -> list[str]:
    """Draft the table."""
    return ["init", root, *(["--overwrite"] if overwrite else [])]


def check(data: str, root: str | None, cutting: Cutting) -> list[str]:
    """Say what is there, as JSON."""
    return ["data", "check", data, *_root(root), *_cutting(cutting), "--json"]


def look(data: str, root: str | None, subject: str) -> list[str]:
    """Read one person's signals, as JSON."""
    return ["data", "look", data, *_root(root), "--subject", subject, "--json"]


def evaluate(
    data: str, root: str | None, target: str, protocol: str, cutting: Cutting, depth: str, out: str
) -> list[str]:
    """Train, evaluate, report; a rehearsal trains one epoch, in two folds where their number is free."""
    from insula.protocols.protocols import PROTOCOLS

    free = PROTOCOLS[protocol].folds == "free"
    how = {"rehearsal": ["--quick", "--epochs", "1", *(["--folds", "2"] if free else [])], "first": ["--quick"]}
    return [
        "evaluate", "--data", data, *_root(root), "--target", target, "--protocol", protocol, *_cutting(cutting),
        *how.get(depth, []), "--out", out,
    ]  # fmt: skip


def report(run: str) -> list[str]:
    """Write the report's page again."""
    return ["report", run]


def live(model: str, source: str, root: str | None, subject: str | None) -> list[str]:
    """Serve the live page."""
    whose = [] if subject is None else ["--subject", subject]
    return ["live", "--model", model, "--source", source, *_root(root), *whose, "--port", "0"]


def export(what: str, run: str, model: str, out: str) -> list[str]:
    """Write something of a run: table, predictions, card or onnx."""
    return {
        "table": ["table", run, "--csv", "--out", out],
        "predictions": ["table", run, "--csv", "--per", "window", "--out", out],
        "card": ["card", run, "--out", out],
        "onnx": ["export", "--model", model, "--out", out],
    }[what]


def _root(root: str | None) -> list[str]:
    return [] if root is None else ["--root", root]


def _cutting(cutting: Cutting) -> list[str]:
    named = {"--window": cutting.window_s, "--hop": cutting.hop_s, "--guard": cutting.guard_s}
    return [part for flag, value in named.items() if value is not None for part in (flag, f"{value:g}")]
