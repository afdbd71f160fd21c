"""Every error that insula raises on purpose says what, what was expected, and what to do: one table of all of them."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import insula

SOURCE = Path(insula.__file__).parent
ERRORS = {"InputError", "KindError", "DataError", "FileError", "ProtocolError", "SchemaError", "MissingDependencyError"}


@functools.cache
def raised() -> tuple[tuple[str, str], ...]:
    return tuple(_raised())


def _raised() -> Iterator[tuple[str, str]]:
    """Yield (place, message) of each raise whose message is written there; what is computed is {} in it."""
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
                continue
            name = getattr(node.exc.func, "id", getattr(node.exc.func, "attr", ""))
            if name in ERRORS and node.exc.args:
                text = written(node.exc.args[-1])
                if text.replace("{}", "").strip(": "):
                    yield f"{file.relative_to(SOURCE)}:{node.lineno}", text


def written(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(written(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return "AGAIN. " if getattr(node.value, "id", "") == "AGAIN" else "{}"
    if isinstance(node, ast.BinOp):
        return written(node.left) + written(node.right)
    return "{}"


def told(text: str) -> bool:
    """Say whether a message names its rule; one that only passes another error on needs none."""
    return "expected" in text or "AGAIN" in text or not re.search(r"[a-z]{3}", text.replace("line {}", ""))


def test_every_error_says_what_was_expected() -> None:
    found = raised()
    assert len(found) > 500
    assert [f"{place}: {text}" for place, text in found if not told(text)] == []


def test_no_error_ends_in_the_middle_of_a_sentence() -> None:
    ends = (".", ":", "AGAIN", "?", ")", "`", "}")
    assert [f"{place}: {text}" for place, text in raised() if not text.rstrip().endswith(ends)] == []


def test_an_error_that_a_user_meets_says_what_to_do() -> None:
    rooms = ("cli/", "evaluation/", "explain/", "grid/", "studio/", "privacy/", "report/", "pipeline/")
    found = [(place, text) for place, text in raised() if place.startswith(rooms) and "/cost/" not in place]
    assert len(found) > 150
    silent = [f"{place}: {text}" for place, text in found if "expected" in text and not _remedy(text)]
    assert silent == []


def _remedy(text: str) -> bool:
    """Whether a sentence, or an option in brackets, follows the rule."""
    return re.search(r"[.;:?}] ?[A-Z{`]", text.partition("expected")[2]) is not None
