"""Codes in the place of people's names: given once, in random order, and kept in one private file of the user's.

Recordings are renamed as they are read, before anything is cut, trained, written or told; a folder of results then
holds codes alone. Whoever has the file can tell who is who; nobody else needs it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from insula.errors import DataError, InputError, unknown_name
from insula.files import read_json
from insula.types import Recording, Trial

NOTE = "people are named by codes; who they are is in a file that is not part of this result"
_SHORT = 3
"""A name of fewer letters, or a number, is not looked for inside other texts."""
_WHAT = 'codes of people, {"codes": {"NAME": "c01", ...}}'


class _File(msgspec.Struct, forbid_unknown_fields=True):
    codes: dict[str, str]
    drawn: int = 0
    """So many codes were ever drawn: that of somebody who was forgotten is given to nobody else."""


class Pseudonyms:
    """The codes of a file, which is made when the first people are coded; nobody but its owner may read it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def codes(self) -> Mapping[str, str]:
        """Code of each name; DataError for a file that is something else, or gives two people one code."""
        return self._read().codes

    def _read(self) -> _File:
        if not self.path.exists():
            return _File({})
        file = read_json(self.path, _File, _WHAT)
        found = file.codes
        if len(set(found.values())) < len(found) or not all(map(_sound, found.values())):
            raise DataError(
                f"{self.path} gives a code twice or none; expected one of letters and digits for each name. Correct it."
            )
        return file

    def names(self, codes: Sequence[str]) -> tuple[str, ...]:
        """Names of people who are asked for by their codes; InputError for a code that nobody has."""
        known = {code: name for name, code in self.codes.items()}
        for code in codes:
            if code not in known:
                raise unknown_name(f"code of {self.path}", code, known or ["(none yet: read everybody once)"])
        return tuple(known[code] for code in codes)

    def of(self, people: Iterable[str]) -> Mapping[str, str]:
        """Codes of these people, new ones drawn in random order and kept."""
        names, found = sorted(set(people)), self.codes
        if not found.keys() >= set(names):
            with self._alone():
                file = self._read()
                known, first = file.codes, file.drawn + 1
                missing = [name for name in names if name not in known]
                secrets.SystemRandom().shuffle(missing)
                taken = {*known, *known.values(), *names}
                fresh = (f"c{number:02d}" for number in range(first, first + len(taken) + len(missing)))
                free = (code for code in fresh if code not in taken)
                self._write({**known, **dict(zip(missing, free, strict=False))}, file.drawn)
            found = self.codes
        return {name: found[name] for name in names}

    def forget(self, name: str) -> None:
        """Take a name out: from then on nothing tells whose the code was."""
        with self._alone():
            file = self._read()
            self._write(file.codes, file.drawn, without=name)

    def renamed(self, recordings: Sequence[Recording]) -> tuple[Recording, ...]:
        """The same recordings of coded people; names in sessions, trials and stimuli go too, and those of files."""
        codes = self.of(one.subject for one in recordings)
        return tuple(_recording(one, codes) for one in recordings)

    def require_outside(self, folder: Path) -> None:
        """Raise InputError where the file lies in a folder that is to be written and passed on."""
        if self.path.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{self.path} inside {folder}; expected it elsewhere, in private. Move it.")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        import filelock

        if not self.path.parent.is_dir():
            raise InputError(f"{self.path} in no folder; expected one that is there. Make it, or correct --pseudonyms.")
        with filelock.FileLock(self.path.with_name(f".{self.path.name}.lock")):
            yield

    def _write(self, codes: Mapping[str, str], drawn: int, without: str | None = None) -> None:
        """Write codes, of all but one person; the highest number among those of all is never drawn again."""
        drawn = max(drawn, *(int(code[1:]) for code in codes.values() if re.fullmatch(r"c[0-9]{2,9}", code)), 0)
        kept = {name: code for name, code in sorted(codes.items(), key=lambda one: one[1]) if name != without}
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")  # its owner's alone
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps({"codes": kept, "drawn": drawn}, indent=1))
        os.replace(name, self.path)


def coded(text: str, codes: Mapping[str, str]) -> str:
    """A text with every name of three letters or more replaced by its code, in any case and wherever it stands."""
    wanted = {name.casefold(): code for name, code in codes.items() if len(name) >= _SHORT and not name.isdecimal()}
    if not wanted:
        return text
    spelled = sorted((name for name in codes if name.casefold() in wanted), key=len, reverse=True)
    one_of = "|".join(map(re.escape, spelled))
    return re.sub(one_of, lambda found: wanted.get(found[0].casefold(), "c"), text, flags=re.IGNORECASE)


def _recording(one: Recording, codes: Mapping[str, str]) -> Recording:
    return replace(
        one,
        subject=codes[one.subject],
        session=coded(one.session, codes),
        trials=tuple(_trial(trial, codes) for trial in one.trials),
        provenance={"data": one.provenance["data"]} if "data" in one.provenance else {},
    )


def _trial(one: Trial, codes: Mapping[str, str]) -> Trial:
    subject, session, trial = coded_key(one.key, codes)
    stimulus = None if one.stimulus is None else coded(one.stimulus, codes)
    return replace(one, subject=subject, session=session, trial=trial, stimulus=stimulus)


def coded_key(key: tuple[str, str, str], codes: Mapping[str, str]) -> tuple[str, str, str]:
    """Identity of a coded person's trial."""
    subject, session, trial = key
    return codes[subject], coded(session, codes), coded(trial, codes)


def _sound(code: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_-]{1,40}", code) is not None
