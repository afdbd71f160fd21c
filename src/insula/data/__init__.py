"""Readers by name, loaded when asked for: `load`, `people`, `info`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from insula.data.info import DataInfo, FileError, Problem
from insula.errors import DataError, InputError, unknown_name
from insula.types import Recording

__all__ = ["READERS", "DataInfo", "FileError", "Problem", "info", "load", "people"]

READERS: dict[str, Any] = {
    "bids": "insula.data.readers.bids",
    "cogwear_e4": "insula.data.readers.cogwear_e4",
    "deap": "insula.data.readers.deap",
    "dreamer": "insula.data.readers.dreamer",
    "e4": "insula.data.readers.e4",
    "eav": "insula.data.readers.eav",
    "eegemotions27": "insula.data.readers.eegemotions27",
    "esports_sensors": "insula.data.readers.esports_sensors",
    "fmov": "insula.data.readers.fmov",
    "kerc2021": "insula.data.readers.kerc2021",
    "manifest": "insula.data.readers.manifest",
    "phymer": "insula.data.readers.phymer",
    "pseudo_trials": "insula.data.readers.pseudo_trials",
    "seed": "insula.data.readers.seed",
    "seed_iv": "insula.data.readers.seed_iv",
    "seed_v": "insula.data.readers.seed_v",
    "simulate": "insula.data.readers.simulate",
    "stress_predict": "insula.data.readers.stress_predict",
    "wesad": "insula.data.readers.wesad",
}
"""Reader name -> module or object with ``INFO``, ``read(root, *, subjects, problems, ...)``, mostly ``people(...)``."""


def info(name: str) -> DataInfo:
    """Return what is known about a data set without touching its files."""
    found: DataInfo = _reader(name).INFO
    return found


def load(
    name: str,
    root: str | Path | None = None,
    *,
    subjects: Collection[str] | None = None,
    problems: list[Problem] | None = None,
    **options: Any,
) -> tuple[Recording, ...]:
    """Read recordings, sorted by subject and session.

    ``subjects`` picks people. With a list ``problems``, damaged files are appended to it and what they hold is left
    out; without, the first damaged file raises DataError. ``options`` are those of the reader's ``read``.
    """
    module = _reader(name)
    _require_options(name, module, root, options)
    if isinstance(subjects, str):
        subjects = (subjects,)
    with _opening(root, options):
        found: Sequence[Recording] = module.read(
            None if root is None else Path(root), subjects=subjects, problems=problems, **options
        )
    recordings = tuple(sorted(found, key=lambda r: (r.subject, r.session)))
    if not recordings and problems is None:
        raise DataError(
            f"{root}: no recording of {name}; expected at least one. Check the folder with insula data check."
        )
    seen: set[tuple[str, str]] = set()
    for recording in recordings:
        key = (recording.subject, recording.session)
        if key in seen:
            raise DataError(
                f"session {key} twice in {root}; expected each (subject, session) once. Rename one of them."
            )
        seen.add(key)
    return recordings


def people(name: str, root: str | Path | None = None, **options: Any) -> tuple[str, ...] | None:
    """Return the names of all people that `load` would give, sorted, without reading their signals.

    ``load(subjects=[one])`` then reads one person's files. Somebody whose files turn out to be damaged is listed too.
    None where only reading everything tells (one file that holds everybody). ``options`` are those of the reader's
    ``read``.
    """
    module = _reader(name)
    _require_options(name, module, root, options)
    listing = getattr(module, "people", None)
    if listing is None:
        return None
    asked = inspect.signature(listing).parameters
    kept = {option: value for option, value in options.items() if option in asked}
    with _opening(root, kept):
        return tuple(sorted(listing(None if root is None else Path(root), **kept)))


def _opening(root: str | Path | None, options: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Allow the files of the root, and those that the user named in an option."""
    from insula.data.formats import gate

    if root is None:
        return nullcontext()
    named = [Path(v) for v in options.values() if isinstance(v, Path) or (isinstance(v, str) and os.path.isfile(v))]
    return gate.opening(Path(root), *named)


def _require_options(name: str, module: Any, root: str | Path | None, options: Mapping[str, Any]) -> None:
    """Raise for an option that the reader's ``read`` does not know, and for a root it needs and does not get."""
    parameters = inspect.signature(module.read).parameters
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        own = [p for p in parameters if p not in ("root", "subjects", "problems")]
        for option in options:
            if option not in own:
                raise unknown_name(f"option of reader {name!r}", option, own)
    if root is None and parameters["root"].default is inspect.Parameter.empty:
        raise InputError(f"data {name!r} without a root; expected the folder of the data. Give root (--root DIR).")


def _reader(name: str) -> Any:
    if name not in READERS:
        raise unknown_name("data", name, READERS)
    found = READERS[name]
    return import_module(found) if isinstance(found, str) else found
