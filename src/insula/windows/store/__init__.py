"""Cleaned trials on disk or object storage: cleaned once, read piece by piece, larger than memory.

Layout under the store's folder, in which no person's name is part of a file's name::

    insula-store.json            says that this is a store
    SET/set.json                 what the set was made from: reader, recipe, version (SET: hash of source and recipe)
    SET/people/ID.json           one person: sessions, trials, labels, traits, where the samples lie; written last
    SET/data/RANDOM/SESSION/     a Zarr group: MODALITY/{values (T, C), observed (T, 1), quality (seconds, flags)}

A person exists once the record under ``people`` does, which appears whole or not at all; samples without a record are
swept away after a day. Two writers write beside each other, and the later record holds. Samples are not compressed
(noise hardly shrinks), so that a window on a local disk is one short read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from insula import processes
from insula.data import Problem
from insula.errors import DataError, InputError
from insula.signals.recipe import Recipe
from insula.windows.store.folder import Folder
from insula.windows.store.records import Marker, SetRecord, decode
from insula.windows.store.sets import (
    FORMAT,
    MARKER,
    Held,
    Source,
    StoreSet,
    held,
    identity,
    require_whole,
    write_person,
)

__all__ = ["MARKER", "Held", "SetInfo", "Store", "is_store"]

_KEY = re.compile("[0-9a-f]{20}")
ORPHAN_S = 24 * 3600.0
"""Samples without a record that are older than this belong to no living writer."""


@dataclass(frozen=True)
class SetInfo:
    """One set of a store: its folder, what it was made from, how much it holds."""

    key: str
    reader: str
    insula: str
    people: int
    trials: int
    size_bytes: int


class Store:
    """Cleaned trials of any number of data sets and recipes under one folder or URL.

    Parameters
    ----------
    where : folder, or a URL that fsspec knows (``s3://bucket/cleaned``); made when something is first written.
    options : given to the file system, credentials for instance.
    """

    def __init__(self, where: str | Path, **options: Any) -> None:
        text = str(where).removeprefix("file://")
        self.folder = Folder(text, options)
        if not self.folder.local:
            return
        there = Path(text)
        if there.exists() and not there.is_dir():
            raise InputError(f"{there} is a file; expected a folder for the store. Give another --store.")
        if there.is_dir() and any(there.iterdir()) and not (there / MARKER).is_file():
            raise InputError(
                f"{there} holds other files; expected a new or empty folder, or a store. Give another --store."
            )

    def hold(
        self,
        name: str,
        root: str | Path | None,
        recipe: Recipe,
        *,
        subjects: Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
        problems: list[Problem] | None = None,
        jobs: int = 1,
        progress: Callable[[int, int], None] | None = None,
    ) -> Held:
        """Give the cleaned trials of a data set; people who are not in the store are read, cleaned and written first.

        Parameters
        ----------
        name, root, subjects, options, problems : as in `insula.data.load`.
        recipe : its ``signals`` say how to clean; how windows are cut does not matter here.
        jobs : people cleaned at a time, each in a process of its own.
        progress : called with (people done, people in all).
        """
        one = self._set(*identity(name, root, recipe, options or {}))
        source = Source(name, None if root is None else str(root), recipe, dict(options or {}))
        everybody = list(subjects) if subjects is not None else one.everybody(source)
        if everybody is None:
            everybody = self._write_all(one, source, problems)
        records = {person: one.record(person) for person in sorted(everybody)}
        missing = [person for person, record in records.items() if record is None]
        if missing:
            self._begin(one)
            self._write_each(one, source, missing, problems, jobs, progress)
            records |= {person: one.record(person) for person in missing}
        there = [record for record in records.values() if record is not None]
        told = [Problem(p.file, p.what, p.fatal) for record in there for p in record.problems]
        if problems is None:
            require_whole(told)  # an earlier run may have gone on without the damaged people
        else:
            problems += told
        return held(self.folder, there)

    def sets(self) -> list[SetInfo]:
        """Sum up what the store holds."""
        out = []
        for one, made in self._all():
            records = one.records()
            trials = sum(len(s.trials) for r in records for s in r.sessions)
            size = int(self.folder.fs.du(self.folder.at(one.key, "data"))) if self.folder.names(one.key, "data") else 0
            out.append(SetInfo(one.key, made.reader, made.insula, len(records), trials, size))
        return out

    def people(self) -> list[str]:
        """Names of everybody in any set of the store, sorted."""
        return sorted({record.subject for one, _ in self._all() for record in one.records()})

    def forget(self, person: str) -> int:
        """Remove a person's record, samples and mentions from every set; return how many trials went.

        Samples without a record, which a crash may have left, go too: no other process should be writing meanwhile.
        """
        self.require_ours()
        gone = sum(one.forget(person) for one, _ in self._all())
        self.sweep(0.0)
        return gone

    def sweep(self, older_s: float = ORPHAN_S) -> int:
        """Delete samples without a record that are older than so many seconds; return how many folders went."""
        return sum(one.sweep(older_s) for one, _ in self._all())

    def samples_of(self, person: str) -> list[tuple[str, int]]:
        """The folders of a person's samples inside the store, with the trials in each."""
        return [found for one, _ in self._all() if (found := one.samples_of(person)) is not None]

    def require_ours(self) -> None:
        """Raise DataError unless everything in the store is as insula writes it, so that removing is safe."""
        marker = self.folder.read(MARKER)
        if marker is None or decode(marker, Marker, self.folder.at(MARKER)).format != FORMAT:
            raise DataError(f"{self.folder.at(MARKER)}; expected a store of format {FORMAT}. Nothing was removed.")
        for one, made in self._all():
            one.require_ours(made)
            one.records()

    def _all(self) -> list[tuple[StoreSet, SetRecord]]:
        """Every set and what it was made from."""
        texts = {key: self.folder.read(key, "set.json") for key in self.folder.names() if _KEY.fullmatch(key)}
        return [
            (StoreSet(self.folder, key), decode(text, SetRecord, self.folder.at(key, "set.json")))
            for key, text in texts.items()
            if text is not None
        ]

    def _set(self, key: str, made: Mapping[str, Any]) -> StoreSet:
        """The set of this key, or one made the same way that holds more modalities."""
        if self.folder.read(key, "set.json") is None:
            for other, record in self._all():
                known = msgspec.to_builtins(record)
                signals = {**known["signals"], **made["signals"]}
                if known == json.loads(json.dumps({**made, "signals": signals}, default=str)):
                    return other
        return StoreSet(self.folder, key, made)

    def _begin(self, one: StoreSet) -> None:
        if self.folder.read(MARKER) is None:
            self.folder.commit(json.dumps({"format": FORMAT}).encode(), MARKER)
        one.begin()
        one.sweep(ORPHAN_S)

    def _write_each(
        self,
        one: StoreSet,
        source: Source,
        missing: list[str],
        problems: list[Problem] | None,
        jobs: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        from joblib import Parallel, delayed

        strict = problems is None
        work = (
            delayed(processes.run_with)(os.getpid(), write_person, one, source, person, strict) for person in missing
        )
        for done, _ in enumerate(Parallel(n_jobs=jobs, return_as="generator", batch_size=1)(work)):
            if progress is not None:
                progress(done + 1, len(missing))

    def _write_all(self, one: StoreSet, source: Source, problems: list[Problem] | None) -> list[str]:
        """Read a data set whose people cannot be listed at once; write each person and who everybody is."""
        self._begin(one)
        found: list[Problem] | None = None if problems is None else []
        recordings = source.read(None, found)
        everybody = list(dict.fromkeys(r.subject for r in recordings))
        for person in everybody:
            if one.record(person) is None:
                own = (found or []) if person == everybody[0] else []  # not a person's own: they are kept once
                one.write(person, [r for r in recordings if r.subject == person], source.recipe, own)
        one.complete()
        return everybody


def is_store(where: str | Path) -> bool:
    """Say whether a folder or URL holds a store."""
    return Folder(str(where)).read(MARKER) is not None
