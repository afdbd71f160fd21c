"""Folders that insula writes: refused where they hold something else, put in place whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import unicodedata
import uuid
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from insula.errors import DataError, InputError, InsulaError

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
STORY = "training.json"
"""What a saved model tells of itself, beside its weights."""
LARGEST_TOML = 1 << 20
WINDOWS_NAMES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))]
)
"""Names that Windows keeps for itself, with any ending; no folder of ours has one, so that it can be copied there."""
LONGEST_NAME = 200
"""Bytes of a folder's name: 255 on common file systems, less what marks a folder that is not yet in its place."""


def require_folder(folder: Path, marker: str, what: str) -> None:
    """Refuse a path that is neither new, nor empty, nor an earlier ``what`` (a folder with the file ``marker``)."""
    if not folder.name or len(os.fsencode(folder.name)) > LONGEST_NAME or any(ord(c) < 32 for c in str(folder)):
        raise InputError(
            f"{str(folder)[:200]!r}; expected a folder's name of 1 to {LONGEST_NAME} bytes that can be printed. "
            "Give another --out."
        )
    if not portable(folder.name):
        raise InputError(
            f"the folder's name {folder.name!r}; expected one that Windows can have too: none of its devices' (CON, "
            'NUL, COM1, ...), no : * ? " < > | and no dot or space at the end. Give another --out.'
        )
    for part in (folder, *folder.parents):
        if part.is_dir():
            break
        if part.exists():
            raise InputError(f"{part} is a file; expected a folder for the {what}. Give another --out.")
    if not os.access(part, os.W_OK):
        raise InputError(f"{part} cannot be written; expected a folder for the {what}. Give another --out.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / marker).is_file():
        raise InputError(
            f"{folder} holds other files; expected a new or empty folder, or an earlier {what}. Give another --out."
        )


def portable(name: str) -> bool:
    """Tell whether a name can be that of a file or folder on any system."""
    return (
        not re.search(r'[:*?"<>|\\\x00-\x1f]|[. ]$', name) and name.split(".")[0].strip().lower() not in WINDOWS_NAMES
    )


@contextmanager
def publishing(folder: Path, marker: str, what: str, owns: Collection[str]) -> Iterator[Path]:
    """Give a new folder that becomes ``folder``, whole, once the block is done; nothing is seen of it before.

    Path and permissions are tested at the start. One run at a time: a second is refused with the first one's id. Of
    an earlier ``what`` the files ``owns`` go, and what else lies there is kept. What a killed run left is removed.
    """
    require_folder(folder, marker, what)
    folder = _itself(folder)
    with claimed(folder):
        _recover(folder)
        with replacing(folder, owns) as work:
            yield work


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold a folder for this run; the lock goes with the process, however it ends."""
    import filelock

    folder.parent.mkdir(parents=True, exist_ok=True)
    place = folder.with_name(f".{folder.name}.claim")
    lock = filelock.FileLock(place, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        with suppress(OSError):
            other = place.read_text(encoding="utf-8", errors="replace")[:200].strip() or "another run"
            raise InputError(
                f"{folder} is being written by {other}; expected one run at a time. Wait for it, or give another --out."
            ) from None
        raise InputError(f"{folder} is being written by another run; expected one at a time. Wait for it.") from None
    try:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        place.write_text(f"run {uuid.uuid4().hex[:8]} (process {os.getpid()} on {socket.gethostname()}, since {now})")
        yield
    finally:
        with suppress(OSError):
            place.unlink()
        lock.release()


@contextmanager
def replacing(folder: Path, owns: Collection[str] | None = None) -> Iterator[Path]:
    """Give a new folder beside the wanted one, which takes its place once it is complete.

    Of the folder that was there, everything goes, or with ``owns`` the entries of these names.
    """
    folder = _itself(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex
    work, old = (folder.with_name(f".{folder.name}-{mark}.{which}") for which in ("partial", "old"))
    work.mkdir()
    try:
        yield work
        if folder.exists():
            os.replace(folder, old)
        try:
            os.replace(work, folder)
        except BaseException:
            if old.exists():
                os.replace(old, folder)
            raise
        if old.exists() and owns is not None:
            _keep_others(old, folder, owns)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def put(path: Path, text: str) -> None:
    """Write a text file that is never seen half-written."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n", errors="replace") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _itself(folder: Path) -> Path:
    """Return the folder that a link names, so that it is replaced and not the link."""
    return Path(os.path.realpath(folder)) if folder.is_symlink() else folder


def leftovers(folder: Path) -> list[Path]:
    """Find the hidden folders beside ``folder`` that killed savers of it left, half-written or replaced."""
    pattern = re.compile(rf"\.{re.escape(folder.name)}-[0-9a-f]{{32}}\.(partial|old)")
    return sorted(path for path in folder.parent.glob(".*") if pattern.fullmatch(path.name))


def kept_beside(folder: Path, key: str) -> Path:
    """Return the hidden folder beside ``folder`` in which the run ``key`` keeps what it has finished."""
    return folder.with_name(f".{folder.name}-{key}.kept")


def drop_kept(folder: Path) -> None:
    """Remove what runs into ``folder`` kept, once it is complete."""
    pattern = re.compile(rf"\.{re.escape(folder.name)}-[0-9a-f]{{32}}\.kept")
    for path in folder.parent.glob(".*"):
        if pattern.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def _recover(folder: Path) -> None:
    """Put back the folder of a saver that was killed between its two renames; remove what others left."""
    for left in leftovers(folder):
        if left.suffix == ".old" and not folder.exists():
            os.replace(left, folder)
        else:
            shutil.rmtree(left, ignore_errors=True)


def _keep_others(old: Path, folder: Path, owns: Collection[str]) -> None:
    for entry in old.iterdir():
        if entry.name not in owns and not (folder / entry.name).exists():
            os.replace(entry, folder / entry.name)


def person_folder(person: str) -> str:
    """Turn a person's name into that of a folder of its own, the same for the same name."""
    tame = re.sub(r"[^\w.-]|^\.|\.$", "_", person) or "_"
    tame = tame if portable(tame) else f"_{tame}"
    return tame if tame == person else _apart(tame, person)


def person_folders(people: Iterable[str]) -> dict[str, str]:
    """Folder of each person, apart on any file system: names that differ by case or composition alone get a suffix."""
    folders = {person: person_folder(person) for person in people}
    alike = Counter(map(_folded, folders.values()))
    return {p: _apart(name, p) if alike[_folded(name)] > 1 else name for p, name in folders.items()}


def is_person_folder(name: str, person: str) -> bool:
    """Whether a folder of this name is a person's, whoever else has one beside it."""
    own = person_folder(person)
    return name in (own, _apart(own, person))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _apart(folder: str, person: str) -> str:
    return f"{folder}-{zlib.crc32(person.encode()):08x}"


def read_json(path: Path, kind: type[T], what: str) -> T:
    """Read one of insula's own JSON files into a type that msgspec checks; what does not fit is a DataError."""
    import msgspec

    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError, OSError) as error:
        raise DataError(f"{path} cannot be read ({_short(error)}); expected {what}.") from None


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Read a TOML file of a user into plain tables; anything else is a DataError that says ``what`` was expected."""
    import tomllib

    if not path.is_file():
        raise DataError(f"no file {path}; expected {what}. Correct the path.")
    if path.stat().st_size > LARGEST_TOML:
        raise DataError(f"{path} of {path.stat().st_size} bytes; expected {what} within {LARGEST_TOML}.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise DataError(f"{path} is not TOML ({_short(error)}); expected {what}.") from None


@contextmanager
def understood(path: Path, what: str) -> Iterator[None]:
    """Turn whatever fails on values out of one of insula's own files into a DataError that names the file.

    For what a schema does not reach: texts and numbers of the right type that nothing can be done with.
    """
    try:
        yield
    except InsulaError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, RuntimeError) as error:
        raise DataError(
            f"{path} holds values that cannot be used ({type(error).__name__}: {_short(error)}); expected {what}. "
            "Make it anew."
        ) from None


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def quoted(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts no spreadsheet takes for a formula: a quote stands before ``= + - @``.

    Columns of numbers stay as they are, and so do texts that are numbers.
    """
    out = table.copy()
    for column in out.columns:
        if out[column].dtype == object or str(out[column].dtype) in ("string", "str", "category"):
            out[column] = [_quoted(value) if isinstance(value, str) else value for value in out[column]]
    return out.rename(columns=lambda name: _quoted(str(name)))


def _quoted(text: str) -> str:
    if not text.startswith(("=", "+", "-", "@", "\t", "\r")) or re.fullmatch(r"[+-]?\d+(\.\d*)?", text):
        return text
    return f"'{text}"
