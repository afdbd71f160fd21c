"""A person's name in what insula wrote: where it stands, and the same text or JSON without it."""

from __future__ import annotations

import html
import json
import re
import shlex
import unicodedata
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

REMOVED = "[removed]"
"""Stands where a name was inside a sentence or a path."""
COLUMNS = ("subject", "person", "participant")
"""Keys and columns whose value is a person's name; a record with one is about that person."""
_MANY = (*(f"{c}s" for c in COLUMNS), "people")
"""Keys whose list or mapping names people."""
_MEANT = r"(?i:\b(?:(?:subject|person|participant|sub)[ _\-:=#]*|(?:subjects|persons|participants|people) ))"
_LISTED = r"(?:[\w.\-]+(?:, ?| and | or ))*"
_GONE = object()


class Name:
    """One person's name, found as a whole: ``S1`` is not in ``S10``, and ``anna`` not in the other person anna-lena.

    ``others`` are the people who stay. An ordinary name, a number or one of ``words`` (what insula itself writes), is
    found only where a person is meant: as the value of a key or column ``subject``, in a list of people, as in
    ``person 4`` or at the start of a note (``4/1: no reference windows``).
    """

    def __init__(self, name: str, others: Collection[str] = (), words: Collection[str] = ()) -> None:
        self.name = plain(name)
        self.ordinary = self.name.isdecimal() or len(self.name) == 1 or self.name in words
        self._others = {plain(o) for o in others} - {self.name}

    def is_(self, value: object) -> bool:
        """Whether a value is this person's name."""
        return isinstance(value, str | int) and not isinstance(value, bool) and plain(str(value)) == self.name

    def mentioned(self, text: str) -> bool:
        """Whether a text names the person."""
        return self.without(text) != text

    def without(self, text: str) -> str:
        """Return a text with every mention of the person replaced."""
        return self._anywhere.sub(_replaced, text)

    def begins(self, text: str) -> bool:
        """Whether a note or fold is the person's: it begins with the name, or with a file whose path has the name."""
        head, colon, _ = text.partition(": ")
        own_file = bool(colon) and not self.ordinary and " " not in head and self.mentioned(head)
        return own_file or self._first.match(plain(text)) is not None

    def cleaned(self, value: Any) -> Any:
        """Return a JSON value without what is about the person; None where all of it is."""
        found = self._cleaned(value, "", False)
        return None if found is _GONE else found

    def _cleaned(self, value: Any, key: str, people: bool) -> Any:
        if isinstance(value, Mapping):
            return self._record(value, people)
        if isinstance(value, list):
            if key in _MANY:
                value = [v for v in value if not self.is_(v)]
            kept = [self._cleaned(v, "", people) for v in value]
            return [v for v in kept if v is not _GONE]
        if isinstance(value, str):
            return self._command(value) if key == "command" else self._note(value)
        return value

    def _note(self, text: str) -> Any:
        """A text without its parts about the person; gone where nothing else was said."""
        parts = text.split("; ")
        others = [part for part in parts if not self.begins(part)]
        return self.without("; ".join(others)) if others else _GONE

    def _record(self, record: Mapping[str, Any], people: bool) -> Any:
        if any(self.is_(record.get(c)) for c in COLUMNS):
            return _GONE
        for column in COLUMNS:
            who = record.get(column)
            if isinstance(who, list) and any(map(self.is_, who)):
                stay = [i for i, v in enumerate(who) if not self.is_(v)]
                record = {k: [v[i] for i in stay] if _as_long(v, who) else v for k, v in record.items()}
        out: dict[str, Any] = {}
        for key, value in record.items():
            if (people and (self.is_(key) or self.begins(key))) or (not self.ordinary and self.mentioned(key)):
                continue
            found = self._cleaned(value, key, people or key in _MANY)
            if found is not _GONE:
                out[key] = found
        return out

    def _command(self, text: str) -> str:
        """A command line without the person, who may be one of ``--subjects`` or of ``data.subjects``."""
        try:
            words = shlex.split(text)
        except ValueError:
            return self.without(text)
        out: list[str] = []
        for word in words:
            option, equals, value = word.partition("=")
            if out and out[-1] == "--subjects":
                word = self._listed(word)
            elif option == "--subjects" and equals:
                word = f"{option}={self._listed(value)}"
            elif option == "data.subjects":
                word = f"{option}={re.sub(self._quoted, f'{chr(34)}{REMOVED}{chr(34)}', value)}"
            out.append(self.without(word))
        return text if out == words else shlex.join(out)

    def _listed(self, names: str) -> str:
        return ",".join(n for n in names.split(",") if not self.is_(n))

    # -- patterns --------------------------------------------------------------------------------------------------

    @cached_property
    def _quoted(self) -> str:
        return rf"""["'](?:{_spelled(self.name)})["']"""

    @cached_property
    def _anywhere(self) -> re.Pattern[str]:
        own = _spelled(self.name)
        if self.ordinary:
            return re.compile(rf"^(?P<lead>{own})(?=[/:])|{_MEANT}{_LISTED}(?P<own>{own})(?![^\W_])", re.MULTILINE)
        longer = sorted((o for o in self._others if self.name in o), key=len, reverse=True)
        return re.compile(
            "|".join(rf"(?<![^\W_])(?:{p})(?![^\W_])" for p in (*map(_spelled, longer), f"(?P<own>{own})"))
        )

    @cached_property
    def _first(self) -> re.Pattern[str]:
        longer = "".join(f"(?!{re.escape(o)}(?:[/:]|$))" for o in self._others if o.startswith(self.name))
        return re.compile(rf"{longer}{re.escape(self.name)}{'[/:]' if self.ordinary else '(?:[/:]|$)'}")


def _spelled(name: str) -> str:
    """Pattern of a name as text, JSON and HTML write it, composed or not."""
    forms = {name, unicodedata.normalize("NFD", name)}
    forms |= {json.dumps(f)[1:-1] for f in forms} | {html.escape(f) for f in forms}
    forms |= {f.replace("'", "&#39;").replace('"', "&#34;") for f in forms}
    return "|".join(re.escape(f) for f in sorted(forms, key=len, reverse=True))


def plain(name: str) -> str:
    """One spelling of a name: composed characters, no space around."""
    return unicodedata.normalize("NFC", name).strip()


def _replaced(found: re.Match[str]) -> str:
    own = next((text for text in found.groupdict().values() if text), None)
    return found[0] if own is None else found[0][: -len(own)] + REMOVED


def _as_long(value: Any, other: list[Any]) -> bool:
    return isinstance(value, list) and len(value) == len(other)
