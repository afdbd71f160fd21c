"""The one gate for what a recording may open: regular files inside the folder that the user named."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from insula.data.info import FileError

_roots: ContextVar[tuple[Path, ...]] = ContextVar("roots", default=())


@contextmanager
def opening(*places: Path) -> Iterator[None]:
    """Allow the files inside these places (a file: itself and its folder) and no others, while the block runs."""
    resolved = [Path(os.path.realpath(place)) for place in places]
    token = _roots.set(tuple(place if place.is_dir() else place.parent for place in resolved))
    try:
        yield
    finally:
        _roots.reset(token)


def allow(places: Iterable[Path]) -> None:
    """Allow the files inside resolved folders from now on (for a process that does nothing else)."""
    _roots.set(tuple(places))


def roots(path: Path) -> tuple[Path, ...]:
    """Return the folders whose files may be opened; outside `opening` that is the folder of ``path``."""
    return _roots.get() or (Path(os.path.realpath(path)).parent,)


def require(path: Path) -> Path:
    """Return ``path`` resolved; what is no regular file, or lies outside the allowed folders, is a FileError."""
    try:
        found = path.resolve(strict=True)
        kind = found.stat().st_mode
    except FileNotFoundError:
        raise FileError(path, "no such file; expected it here. Copy the file again from its source.") from None
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise FileError(path, f"cannot be read ({why}); expected a readable file.") from None
    if not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "a pipe, device or socket"
        raise FileError(path, f"{what}; expected a regular file. Give the file itself.")
    require_inside(path, found)
    return found


def require_inside(path: Path, found: Path) -> None:
    """Raise FileError for a resolved path outside the allowed folders."""
    allowed = roots(path) if _roots.get() else ()
    if allowed and not any(found.is_relative_to(root) for root in allowed):
        raise FileError(
            path,
            f"lies outside {allowed[0]} (it is {found}); expected a file inside the folder of the data. "
            "Copy it there, or name the folder above both.",
        )


def require_reference(path: Path, named: str) -> None:
    """Check a file that ``path`` names: it must lie inside the allowed folders, and be regular where it exists."""
    target = Path(os.path.realpath(path)).parent / (named.replace("\\", "/") if os.sep == "/" else named)
    inside = Path(os.path.realpath(target))
    if not any(inside.is_relative_to(root) for root in roots(path)):
        raise FileError(
            path, f"names the file {named[:200]!r} outside the folder of the data; expected one beside it. Correct it."
        )
    if inside.exists():
        require(target)
