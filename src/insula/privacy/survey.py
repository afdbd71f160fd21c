"""What lies under a folder: results, models, grids of cells, tables, stores; and where a person's name still stands."""

from __future__ import annotations

import codecs
import contextlib
import csv
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from insula.errors import DataError
from insula.evaluation.finished import PEOPLE
from insula.files import STORY, is_person_folder, read_toml
from insula.learning.saving import parts_of
from insula.privacy.names import COLUMNS, Name, plain

_PREDICTED = ("subject", "start_s", "stop_s", "prediction")
"""Columns by which a table of `insula predict` is known."""
_HALF = re.compile(r"\.(.+-)?[0-9a-f]{32}\.(partial|old|kept)")
"""Names of what a save or run that was stopped leaves: half-written, replaced, or finished fits."""
_NAMELESS = re.compile(r"weights-[0-9]+\.safetensors|.*\.(png|svg|jpe?g|gif|woff2?)")
"""Files that insula writes without anybody's name in them."""
_SNIFF = 8192
_SPOKEN = ("report", "plots", "explain", "energy", "compare", "templates")
"""Parts of the package whose words may stand in what it writes."""


@dataclass
class Found:
    """Folders and files by kind, the people each names, all people, and words that insula writes for other reasons."""

    results: list[Path] = field(default_factory=list)
    models: list[Path] = field(default_factory=list)
    grids: list[Path] = field(default_factory=list)
    stores: list[Path] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)
    people_of: dict[Path, set[str]] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)

    @property
    def people(self) -> set[str]:
        return set().union(*self.people_of.values())


def survey(roots: Iterable[Path]) -> Found:
    """Look for what insula wrote, inner folders before those that hold them."""
    from insula.windows.store import MARKER, Store

    found = Found(words=set(_page_words()))
    for root in roots:
        for top, folders, files in os.walk(root):
            folder = Path(top)
            files = [file for file in files if not (folder / file).is_symlink()]
            for name in [n for n in (*folders, *files) if _HALF.fullmatch(n)]:
                found.unfinished.append(folder / name)
                people = read_json(folder / name / PEOPLE)
                if isinstance(people, dict):
                    found.people_of[folder / name] = {plain(str(p)) for p in people.get("subjects") or ()}
                (folders if name in folders else files).remove(name)
            if MARKER in files:
                folders.clear()
                found.stores.append(folder)
                found.people_of[folder] = {plain(p) for p in Store(folder).people()}
                continue
            if "result.json" in files:
                found.results.append(folder)
                found.people_of[folder] = _result_people(folder, found.words)
            if "estimator.json" in files or {"model.json", "model.onnx"} <= set(files):
                found.models.append(folder)
                found.people_of[folder] = model_people(folder)
                parts = {one.name for one in parts_of(folder)}
                folders[:] = [one for one in folders if one not in parts]
            if "cells" in folders and ".lock" in files:
                found.grids.append(folder)
            for table in (folder / f for f in files if f.endswith(".csv")):
                people = _table_people(table)
                if people is not None:
                    found.tables.append(table)
                    found.people_of[table] = people
    for each in (found.results, found.models):
        each.sort(key=lambda p: (-len(p.parts), p))
    return found


def model_people(folder: Path) -> set[str]:
    """People whom a model's own bookkeeping names: those it was trained on or learned from by others."""
    story, people = read_json(folder / STORY), set()
    if isinstance(story, dict):
        people |= set(story.get("subjects") or ()) | _chosen(story.get("experiment"))
        people |= {p for one in story.get("seen") or () if isinstance(one, dict) for p in one.get("subjects") or ()}
    for file in (*(one / "estimator.json" for one in (folder, *parts_of(folder))), folder / "model.json"):
        people |= {p for _, levels in levels_in(read_json(file)) for p in levels}
    return {plain(str(p)) for p in people}


def levels_in(described: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Find the parts of a model's description that hold people's own levels, each with its levels by person."""
    if isinstance(described, dict):
        for place in (described, described.get("fitted")):
            for part in ("normaliser", "scaler", "signal_scale"):
                found = place.get(part) if isinstance(place, dict) else None
                if isinstance(found, dict) and isinstance(found.get("people"), dict):
                    yield found, found["people"]


def _result_people(folder: Path, words: set[str]) -> set[str]:
    """People with predictions or named in the configuration; classes, systems and the like go to ``words``."""
    import pyarrow.parquet as pq

    people: set[str] = set()
    table = folder / "predictions.parquet"
    if table.is_file():
        with contextlib.suppress(OSError, ValueError, KeyError):
            people |= {str(v) for v in pq.read_table(table, columns=["subject"])["subject"].unique().to_pylist()}
    document = read_json(folder / "result.json")
    if isinstance(document, dict):
        config = document.get("config") or {}
        people |= _chosen(config.get("experiment"))
        words |= {str(document.get("target")), *map(str, document.get("classes") or ())}
        words |= {str(s.get("name")) for s in document.get("systems") or () if isinstance(s, dict)}
        words |= set((config.get("recipe") or {}).get("signals") or ())
    return {plain(str(p)) for p in people}


def _chosen(experiment: Any) -> set[str]:
    data = experiment.get("data") if isinstance(experiment, dict) else None
    return set((data or {}).get("subjects") or ())


def _table_people(path: Path) -> set[str] | None:
    """People of a table written by `insula predict`; None for any other CSV."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            head = next(rows, [])
            if not set(_PREDICTED) <= set(head):
                return None
            at = head.index("subject")
            return {plain(r[at]) for r in rows if len(r) > at}
    except (OSError, UnicodeDecodeError, csv.Error):
        return None


# -- traces ------------------------------------------------------------------------------------------------------------


def traces(path: Path, name: Name) -> Iterator[tuple[Path, str]]:
    """Find every file and folder, this one included, whose name or content names the person, and where."""
    if path.is_file():
        found = _inside(path, name)
        if found:
            yield path, found
        return
    if not path.is_dir():
        return
    for top, folders, files in os.walk(path):
        here = Path(top)
        if _in_name(here, name):
            yield here, "in the folder's name"
        folders.sort()
        for file in sorted(files):
            one = here / file
            if not name.ordinary and name.mentioned(file):
                yield one, "in the file's name"
            if one.is_file() and not one.is_symlink():
                where = _inside(one, name)
                if where:
                    yield one, where


def closed(path: Path) -> Iterator[tuple[Path, str]]:
    """Find the files that `traces` cannot look into, samples of a store and weights of a model left out."""
    from insula.windows.store import MARKER

    for top, folders, files in os.walk(path):
        if MARKER in files:
            folders.clear()
            continue
        for file in sorted(files):
            one = Path(top) / file
            if one.is_symlink():
                yield one, "a link: what it leads to was not touched"
            elif one.suffix != ".parquet" and not _NAMELESS.fullmatch(file) and one.is_file():
                with one.open("rb") as opened:
                    start = opened.read(_SNIFF)
                if not _is_text(start):
                    kinds = {b"\x1f\x8b": "compressed (gzip)", b"PK": "an archive (zip)", b"\xff\xfe": "text in UTF-16",
                             b"\xfe\xff": "text in UTF-16"}  # fmt: skip
                    yield one, kinds.get(start[:2], "not text that insula can read")


def named(path: Path, name: Name) -> bool:
    """Whether anything in a file or folder names the person."""
    return next(traces(path, name), None) is not None


def _in_name(folder: Path, name: Name) -> bool:
    if name.ordinary:
        return is_person_folder(folder.name, name.name) and (folder / "estimator.json").is_file()
    return name.mentioned(folder.name) or is_person_folder(folder.name, name.name)


def _inside(path: Path, name: Name) -> str:
    """Where a file names the person; empty where it does not, or is not text."""
    if path.suffix == ".parquet":
        return _in_parquet(path, name)
    with path.open("rb") as file:
        start = file.read(_SNIFF)
    if not _is_text(start):
        return ""
    if path.suffix in (".json", ".toml"):
        value = read_json(path) if path.suffix == ".json" else _read_toml(path)
        if value is not None:
            return "in its values" if name.cleaned(value) != value else ""
    return _in_text(path, name)


def _is_text(start: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return b"\0" not in start


def _in_text(path: Path, name: Name) -> str:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        at: list[int] | None = None
        for number, line in enumerate(file, 1):
            if path.suffix in (".csv", ".tsv"):
                row = next(csv.reader([line], delimiter="\t" if path.suffix == ".tsv" else ","), [])
                if at is None:
                    at = [i for i, head in enumerate(row) if head in COLUMNS]
                elif any(i < len(row) and name.is_(row[i]) for i in at):
                    return f"in line {number}"
            if name.mentioned(line):
                return f"in line {number}"
    return ""


def _in_parquet(path: Path, name: Name) -> str:
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as error:
        return f"unreadable: {error}"
    for column in table.column_names:
        if not name.ordinary and name.mentioned(column):
            return f"in the name of column {column}"
        kind = table.schema.field(column).type
        if column in COLUMNS or str(kind) in ("string", "large_string") or "dictionary" in str(kind):
            texts = [str(v) for v in table[column].unique().to_pylist() if v is not None]
            told = name.is_ if column in COLUMNS else lambda t: name.mentioned(t) or name.begins(t)
            if any(map(told, texts)):
                return f"in column {column}"
    kept = b" ".join((table.schema.metadata or {}).values()).decode("utf-8", "replace")
    return "in its metadata" if not name.ordinary and name.mentioned(kept) else ""


def read_json(path: Path) -> Any:
    """Value of a JSON file; None where there is none or it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _read_toml(path: Path) -> Any:
    try:
        return read_toml(path, "TOML")
    except DataError:
        return None


@cache
def _page_words() -> frozenset[str]:
    """Single words in the sources of what insula writes: a person of such a name cannot be told from the word."""
    found: set[str] = set()
    todo = [resources.files("insula") / part for part in _SPOKEN]
    while todo:
        one = todo.pop()
        if one.is_dir():
            todo += list(one.iterdir())
        elif one.name.endswith((".py", ".j2", ".js", ".css")):
            found |= set(re.findall(r"[^\W\d_]+", one.read_text(encoding="utf-8")))
    return frozenset(found)
