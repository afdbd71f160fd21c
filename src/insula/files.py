"""Folders that insula writes: refused where they hold something else, put in place whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from insula.errors import InputError


def require_folder(folder: Path, marker: str, what: str) -> None:
    """Refuse a path that is neither new, nor empty, nor an earlier ``what`` (a folder with the file ``marker``)."""
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


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Give a new folder beside the wanted one, which takes its place once it is complete."""
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
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def person_folder(person: str) -> str:
    """Turn a person's name into that of a folder of its own, the same for the same name."""
    tame = re.sub(r"[^\w.-]|^\.", "_", person) or "_"
    return tame if tame == person else f"{tame}-{zlib.crc32(person.encode()):08x}"
