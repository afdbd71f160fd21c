"""One data set cleaned one way inside a store: who is in it, their records, reading and writing them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from insula.data import Problem, info, load, people
from insula.errors import DataError
from insula.signals.cleaner import CLEANING_VERSION, clean_trial
from insula.signals.recipe import Recipe
from insula.types import ChannelSpec, Recording, Trial
from insula.windows.store.arrays import Place, Stored, StoredTrial, TrialKey, write_session
from insula.windows.store.folder import Folder
from insula.windows.store.records import ProblemRecord, Record, SessionRecord, SetRecord, TrialRecord, decode_person

FORMAT = 1
MARKER = "insula-store.json"
BEGUN = "begun.json"
"""First file of a person's samples; its time says how old they are."""


@dataclass(frozen=True)
class Held:
    """What a store gives: recordings without samples, and the cleaned trials by identity."""

    recordings: tuple[Recording, ...]
    clean: Mapping[TrialKey, StoredTrial]


@dataclass(frozen=True)
class Source:
    """What recordings are read from, and how they are cleaned."""

    name: str
    root: str | None
    recipe: Recipe
    options: dict[str, Any]

    def read(self, subjects: Sequence[str] | None, problems: list[Problem] | None) -> tuple[Recording, ...]:
        return load(self.name, self.root, subjects=subjects, problems=problems, **self.options)


@dataclass(frozen=True)
class StoreSet:
    """One data set cleaned one way: a folder of the store."""

    folder: Folder
    key: str
    made_from: Mapping[str, Any] | None = None

    def begin(self) -> None:
        """Say what the set is made from, unless it is said already."""
        if self.folder.read(self.key, "set.json") is None and self.made_from is not None:
            self.folder.commit(json.dumps(self.made_from, indent=1, default=str).encode(), self.key, "set.json")

    def complete(self) -> None:
        """Say that everybody is in, for readers that cannot list people."""
        self.folder.commit(b"{}", self.key, "everybody.json")

    def everybody(self, source: Source) -> list[str] | None:
        """Names of all people of the source, None where only reading it can tell."""
        found = people(source.name, source.root, **source.options)
        if found is not None:
            return list(found)
        if self.folder.read(self.key, "everybody.json") is None:
            return None
        return [r.subject for r in self.records()]

    def record(self, person: str) -> Record | None:
        """A person's record, None where there is none yet."""
        return self._read(f"{self._id(person)}.json")

    def records(self) -> list[Record]:
        names = [n for n in self.folder.names(self.key, "people") if n.endswith(".json")]
        return [r for r in map(self._read, names) if r is not None]

    def write(self, person: str, recordings: Sequence[Recording], recipe: Recipe, problems: Sequence[Problem]) -> None:
        """Clean and write a person's recordings, the record last."""
        data = uuid.uuid4().hex
        self.folder.commit(b"{}", self.key, "data", data, BEGUN)
        sessions = []
        for i, recording in enumerate(recordings):
            trials = [clean_trial(trial, recipe) for trial in recording.trials]
            places = write_session(self.folder, trials, self.key, "data", data, str(i))
            sessions.append(_session(recording, [t.bad_channels for t in trials], places))
        told = tuple(ProblemRecord(str(p.file), p.what, p.fatal) for p in problems)
        self._commit(Record(person, data, tuple(sessions), told))

    def samples_of(self, person: str) -> tuple[str, int] | None:
        """The folder of a person's samples inside the store, and how many trials it holds; None where there is none."""
        gone = self.record(person)
        return None if gone is None else (f"{self.key}/data/{gone.data}", sum(len(s.trials) for s in gone.sessions))

    def forget(self, person: str) -> int:
        """Remove a person; return how many trials went."""
        gone = self.record(person)
        if gone is not None:
            self.folder.remove(self.key, "people", f"{self._id(person)}.json")
            self.folder.remove(self.key, "data", gone.data)
        token = re.compile(rf"(?<!\w){re.escape(person)}(?!\w)")
        for record in self.records():
            kept = tuple(p for p in record.problems if not token.search(f"{p.file} {p.what}"))
            if len(kept) < len(record.problems):
                self._commit(msgspec.structs.replace(record, problems=kept))
        return 0 if gone is None else sum(len(s.trials) for s in gone.sessions)

    def require_ours(self, made: SetRecord) -> None:
        """Raise DataError unless the key is that of what the set says it was made from, as insula makes keys."""
        told = msgspec.structs.asdict(made)
        told.pop("insula")
        if _key(told) != self.key:
            raise DataError(
                f"{self.folder.at(self.key, 'set.json')} does not belong to its folder; expected a store that insula "
                "wrote. Nothing was removed: look at it yourself."
            )

    def sweep(self, older_s: float) -> int:
        """Delete samples that no record names and that are older than so many seconds."""
        used = {record.data for record in self.records()}
        there = [n for n in self.folder.names(self.key, "data") if re.fullmatch("[0-9a-f]{32}", n) and n not in used]
        old = [n for n in there if self._age_s(n) >= older_s]
        for name in old:
            self.folder.remove(self.key, "data", name)
        return len(old)

    def _age_s(self, data: str) -> float:
        try:
            changed = self.folder.fs.modified(self.folder.at(self.key, "data", data, BEGUN))
        except FileNotFoundError:  # not begun by us
            return -1.0
        return time.time() - float(changed.timestamp())

    def _id(self, person: str) -> str:
        return hashlib.sha256(f"{self.key}/{person}".encode()).hexdigest()[:20]

    def _commit(self, record: Record) -> None:
        self.folder.commit(msgspec.json.encode(record), self.key, "people", f"{self._id(record.subject)}.json")

    def _read(self, name: str) -> Record | None:
        content = self.folder.read(self.key, "people", name)
        if content is None:
            return None
        where = self.folder.at(self.key, "people", name)
        record = decode_person(content, self.key, where)
        if name != f"{self._id(record.subject)}.json":
            raise DataError(f"{where} is not the record of {record.subject!r}; expected it under its own name.")
        return record


def require_whole(problems: Sequence[Problem]) -> None:
    """Raise DataError for the first problem by which something was left out."""
    for problem in problems:
        if problem.fatal:
            raise DataError(f"{problem.file}: {problem.what}")


def write_person(one: StoreSet, source: Source, person: str, strict: bool) -> None:
    if one.record(person) is not None:  # somebody else was faster
        return
    problems: list[Problem] = []
    recordings = source.read([person], problems)
    if strict:
        require_whole(problems)
    one.write(person, recordings, source.recipe, problems)


def identity(
    name: str, root: str | Path | None, recipe: Recipe, options: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """What a set is made from, and the hash that names it."""
    made = {
        "reader": name,
        "options": dict(sorted(options.items())),
        "signals": {m: asdict(rule) for m, rule in recipe.signals.items()},
        "source": _source_hash(None if root is None else Path(root)),
        "reading": info(name).version,
        "cleaning": CLEANING_VERSION,
        "format": FORMAT,
    }
    return _key(made), {**made, "insula": version("insula")}


def _key(made: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made, sort_keys=True, default=str).encode()).hexdigest()[:20]


def _source_hash(root: Path | None) -> str:
    """Hash of names, sizes and times of change of all files of a source."""
    digest = hashlib.sha256()
    for file in _files(root) if root is not None else ():
        known = file.stat()
        digest.update(f"{os.path.relpath(file, root)}/{known.st_size}/{known.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _files(root: Path) -> list[Path]:
    """All files under a folder, stores left out; or a file with its companions (.set and .fdt, .vhdr and .eeg)."""
    if root.is_file():
        return sorted(p for p in root.parent.iterdir() if p.is_file() and p.stem == root.stem)
    out = []
    for folder, inner, names in os.walk(root):
        if MARKER in names:
            inner.clear()
            continue
        out += [Path(folder) / name for name in names]
    return sorted(out)


def _session(
    recording: Recording, bad: Sequence[Mapping[str, tuple[str, ...]]], places: Sequence[Mapping[str, Place]]
) -> SessionRecord:
    """Describe a session in plain values; arrays are described once."""
    arrays: dict[str, Any] = {}
    trials = []
    for trial, left_out, place in zip(recording.trials, bad, places, strict=True):
        for p in place.values():
            spec = p.array.spec
            arrays[p.array.path] = (spec.channels, spec.rate_hz, spec.unit, dict(p.array.rows))
        where = {m: (p.array.path, p.first, p.length, p.second, p.seconds) for m, p in place.items()}
        lost = {m: tuple(channels) for m, channels in left_out.items() if channels}
        trials.append(
            TrialRecord(
                trial.trial, trial.start_s, trial.stop_s, trial.stimulus, trial.role, dict(trial.labels), lost, where
            )
        )
    return SessionRecord(recording.session, dict(recording.traits), dict(recording.provenance), arrays, tuple(trials))


def held(folder: Folder, records: Sequence[Record]) -> Held:
    recordings: list[Recording] = []
    clean: dict[TrialKey, StoredTrial] = {}
    for record in records:
        for session in record.sessions:
            recordings.append(_recording(folder, record.subject, session, clean))
    recordings.sort(key=lambda r: (r.subject, r.session))
    return Held(tuple(recordings), clean)


def _recording(folder: Folder, person: str, session: SessionRecord, clean: dict[TrialKey, StoredTrial]) -> Recording:
    """Build a session without samples and add its cleaned trials."""
    arrays = {
        path: Stored(path, ChannelSpec(channels, rate_hz, unit), rows)
        for path, (channels, rate_hz, unit, rows) in session.arrays.items()
    }
    trials = []
    for t in session.trials:
        trial = Trial(person, session.session, t.trial, t.start_s, t.stop_s, {}, t.labels, t.stimulus, t.role)
        places = {m: Place(arrays[path], *numbers) for m, (path, *numbers) in t.places.items()}
        bad = {m: t.bad.get(m, ()) for m in places}
        clean[trial.key] = StoredTrial(trial.key, trial.start_s, trial.stop_s, places, bad, folder)
        trials.append(trial)
    return Recording(person, session.session, tuple(trials), session.traits, session.provenance)
