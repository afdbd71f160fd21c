"""Folders to choose from, before one is chosen: names and counts, never what is in a file."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from insula.errors import DataError, InputError

MOST = 400
"""Folders that are listed of one place."""
_COUNTED = 2000
_LONGEST = 255
SEARCHED = 20_000
"""Folders that are looked through for one that was dropped on the page."""
DEEPEST = 6


def named(text: str) -> Path:
    """Return the folder that somebody typed; InputError for what cannot be a path."""
    try:
        path = Path(text).expanduser()
        path.exists()
        os.fsencode(path)
        if "\0" in text or any(len(os.fsencode(part)) > _LONGEST for part in path.parts):
            raise ValueError("a name of another kind")
    except (RuntimeError, ValueError, OSError) as error:
        raise InputError(f"{text[:200]!r} is no path ({error}); expected a folder. Correct it.") from None
    return path


def listing(path: Path) -> dict[str, Any]:
    """Return the folders inside ``path``, the one above it, and how many files it holds."""
    here = Path(os.path.realpath(path))
    if not here.is_dir():
        raise DataError(f"{path} is no folder; expected one. Choose another.")
    folders: list[str] = []
    files = 0
    try:
        with os.scandir(here) as entries:
            for i, entry in enumerate(entries):
                if i > _COUNTED * 10:
                    break
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                else:
                    files += 1
    except OSError as error:
        raise DataError(
            f"{here} cannot be read ({error.strerror}); expected a folder of yours. Choose another."
        ) from None
    folders.sort(key=str.lower)
    return {
        "path": str(here),
        "above": None if here.parent == here else str(here.parent),
        "folders": folders[:MOST],
        "more": max(0, len(folders) - MOST),
        "files": files,
        "manifest": any((here / name).is_file() for name in ("manifest.csv", "manifest.xlsx")),
    }


def dropped(name: str, holds: Sequence[str], starts: Sequence[Path]) -> list[str]:
    """Find the folders called ``name`` below some places that hold all of some names: a page is never told a path.

    Nearer ones come first, at most ten of them; hidden folders are not looked into.
    """
    if not name or "/" in name or "\\" in name or named(name) != Path(name):
        raise InputError(f"folder name {name!r}; expected one name. Drop one folder.")
    found: list[str] = []
    queue = deque((Path(os.path.realpath(start)), 0) for start in dict.fromkeys(starts))
    seen = 0
    while queue and seen < SEARCHED and len(found) < 10:
        here, depth = queue.popleft()
        seen += 1
        if here.name == name and all((here / one).exists() for one in holds) and str(here) not in found:
            found.append(str(here))
        if depth < DEEPEST:
            queue.extend((inner, depth + 1) for inner in _inner(here))
    return found


def _inner(here: Path) -> list[Path]:
    try:
        with os.scandir(here) as entries:
            return [Path(e.path) for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
