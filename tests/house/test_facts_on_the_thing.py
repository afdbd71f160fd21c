"""No code outside models/ knows a network by name, and none outside learning/ a classical row that reads signals."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import insula
from insula.learning.classical_rows import CLASSICAL
from insula.models import MODELS

SOURCE = Path(insula.__file__).parent
OWN_READERS = "evaluation/fakes.py"
"""Fakes of answers fit readers of their own that share a name with two rows and are none."""
NETWORKS = [name for name in MODELS if name != "liquid"]  # also an English word: whole strings only
ROWS = [name for name, row in CLASSICAL.items() if row.kind == "classical" and row.inputs != "clock"]


@functools.cache
def strings(file: Path) -> list[tuple[int, str]]:
    """Strings and imported modules of a file with their lines, docstrings aside."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body
        if isinstance(node.body[0], ast.Expr)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            found.append((node.lineno, node.value))
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.lineno, node.module))
    return found


def named(room: str, words: list[str], whole: list[str]) -> list[str]:
    pattern = re.compile(rf"(?<![A-Za-z0-9_])({'|'.join(words)})(?![a-z0-9])")
    return [
        f"{file.relative_to(SOURCE)}:{line}: {text[:60]}"
        for file in sorted(SOURCE.rglob("*.py"))
        if file.relative_to(SOURCE).parts[0] != room and file.relative_to(SOURCE).as_posix() != OWN_READERS
        for line, text in strings(file)
        if pattern.search(text) or text in whole
    ]


def test_networks_are_named_in_models_only() -> None:
    assert named("models", NETWORKS, ["liquid"]) == []


def test_classical_rows_are_named_in_learning_only() -> None:
    assert named("learning", ROWS, []) == []
