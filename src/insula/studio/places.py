"""Folders to choose from, before one is chosen: names and counts, never what is in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from insula.errors import DataError

MOST = 400
"""Folders that are listed of one place."""
_COUNTED = 2000


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
