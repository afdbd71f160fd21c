"""Files and folders without a person: each takes the place of the old one at once, or nothing changes."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from insula.errors import DataError
from insula.files import claimed, replacing
from insula.privacy.names import COLUMNS, Name
from insula.privacy.survey import read_json


def clean_table(path: Path, name: Name) -> None:
    """Drop rows of a CSV, every other field as it was; a table of nobody is removed."""
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    at = next(head.index(c) for c in COLUMNS if c in head)
    rows = [r for r in rows if not name.is_(r[at])]
    if not rows:
        path.unlink()
        return
    work = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        with work.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([head, *rows])
        os.replace(work, path)
    finally:
        work.unlink(missing_ok=True)


def clean_file(path: Path, name: Name) -> None:
    """Rewrite a JSON file or a text without the name."""
    if path.suffix == ".json":
        value = read_json(path)
        if value is None:
            raise DataError(f"{path} cannot be read; expected JSON that insula wrote. Remove it.")
        write_text(path, json.dumps(name.cleaned(value), indent=1))
        return
    write_text(path, name.without(path.read_text(encoding="utf-8", errors="replace")))


def write_text(path: Path, text: str) -> None:
    work = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        work.write_text(text, encoding="utf-8")
        os.replace(work, path)
    finally:
        work.unlink(missing_ok=True)


@contextmanager
def renewed(folder: Path) -> Iterator[Path]:
    """Give a copy of a folder to change, which takes its place once it is complete."""
    with replacing(folder) as work:
        shutil.copytree(folder, work, dirs_exist_ok=True, copy_function=_link)
        yield work


def _link(source: str, target: str) -> None:
    """A second name of the same file: every writer here replaces files and changes none in place."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def remove_leftover(path: Path) -> None:
    """Remove what a killed save left, unless a run is writing there now."""
    whose = re.sub(r"^\.(.*)-[0-9a-f]{32}\.\w+$", r"\1", path.name)
    with claimed(path.with_name(whose)) if whose != path.name else nullcontext():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Remove a folder: it is out of the way at once, whatever happens next."""
    if folder.is_symlink():
        folder.unlink()
        return
    away = folder.with_name(f".{uuid.uuid4().hex}.old")
    os.replace(folder, away)
    shutil.rmtree(away)
