"""Files that are copies of another one: the same person under two names would be trained on and tested."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

_MADE_BY_COPYING = re.compile(r"\(\d+\)|\b(?:copy|kopie)\b", re.I)
_PART_BYTES = 1 << 20


def copies(root: Path, files: Sequence[str]) -> dict[str, str]:
    """Return the files (paths inside ``root``) whose bytes another one has too, each with that other one.

    Kept is the one whose path does not look like a copy's, and of those the shortest. Files of equal size are read.
    """
    by_size: dict[int, list[str]] = defaultdict(list)
    for name in files:
        by_size[(root / name).stat().st_size].append(name)
    by_content: dict[tuple[int, bytes], list[str]] = defaultdict(list)
    for size, alike in by_size.items():
        if len(alike) > 1:
            for name in alike:
                by_content[size, _digest(root / name)].append(name)
    out: dict[str, str] = {}
    for alike in by_content.values():
        first, *others = sorted(alike, key=lambda name: (bool(_MADE_BY_COPYING.search(name)), len(name), name))
        out |= dict.fromkeys(others, first)
    return out


def _digest(path: Path) -> bytes:
    made = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while part := file.read(_PART_BYTES):
            made.update(part)
    return made.digest()
