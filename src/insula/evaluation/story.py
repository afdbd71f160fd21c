"""Story: what a saved model tells of itself: its experiment, the people it knows by data set, its row in a result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from insula.files import STORY, read_json, understood

Seen = Mapping[str, tuple[str, ...]]
"""People whom a model, its elders and theirs have seen, by data set."""


class Row(msgspec.Struct):
    """The row of a result that a fold model belongs to."""

    title: str = ""
    kind: str = ""


class Of(msgspec.Struct):
    """People of one data set."""

    data: str
    subjects: list[str] = []


class Story(msgspec.Struct):
    """``seen`` came after ``subjects``, which are of the experiment's data alone; what is not known is empty.

    ``person`` is whose own model it is, where it learned from others too.
    """

    experiment: dict[str, Any] = {}
    subjects: list[str] = []
    title: str = ""
    strategy: str = ""
    row: Row | None = None
    seen: list[Of] = []
    person: str = ""

    @property
    def everybody(self) -> Seen:
        """People by data set."""
        data = str(self.experiment.get("data", {}).get("name", ""))
        own = {data: self.subjects} if data and self.subjects else {}
        return merged(own, *({one.data: one.subjects} for one in self.seen))


def read_story(folder: Path) -> Story:
    """Read the story of the model in a folder; an empty one where it has none, DataError for one that is damaged."""
    path = folder / STORY
    if not path.is_file():
        return Story()
    with understood(path, "the story of a model"):
        found = read_json(path, Story, "the story of a model")
        _ = found.everybody
    return found


def merged(*seen: Mapping[str, Iterable[str]]) -> Seen:
    """Join people by data set."""
    names = dict.fromkeys(data for one in seen for data in one)
    return {data: tuple(sorted({p for one in seen for p in one.get(data, ())})) for data in names}


def records(seen: Seen) -> list[dict[str, Any]]:
    """People by data set as a story keeps them (``seen``), for `insula forget` to find."""
    return [{"data": data, "subjects": list(people)} for data, people in seen.items()]
