"""What the page is told: one state, whole, whenever something is new."""

from __future__ import annotations

from typing import Any

import msgspec

from insula.studio.jobs import Job
from insula.studio.messages import Choose, Cutting


class Folder(msgspec.Struct):
    """The chosen folder: its path, its name, and whether a table lists its data (else a data set by ``data``)."""

    path: str
    name: str
    data: str
    title: str
    own: bool


class Told(msgspec.Struct):
    """The table: how large, which of its columns are labels, what can be taken back or made again."""

    file: str
    rows: int
    columns: list[str]
    labels: list[str]
    undo: str | None
    redo: str | None
    mark: str
    problem: str = ""


class Work(msgspec.Struct):
    """The last command: how it stands, how far each of its steps is, what it said when it failed."""

    kind: str
    title: str
    command: str
    standing: str
    what: str
    steps: dict[str, tuple[int, int]]
    began_s: float
    ended_s: float | None
    error: str


class Way(msgspec.Struct):
    """A protocol in words: the question it answers, what it needs, and whether its figures are leaky."""

    name: str
    question: str
    where: str
    limits: str
    needs: str
    leaky: bool
    personal: bool


class Run(msgspec.Struct):
    """A result: its name, sentence, question, models (a folder a person, or "" for all) and the report's command."""

    name: str
    target: str
    protocol: str
    sentence: str
    tone: str
    made: str
    models: list[str]
    files: list[str]
    command: str


class Live(msgspec.Struct):
    """The live page: where it is and the command that runs it; ``url`` is empty until it listens."""

    run: str
    url: str
    command: str
    error: str = ""


class State(msgspec.Struct):
    """Everything that the page shows, but the table's rows and signals; ``looked`` is whose signals are read."""

    version: str
    home: str
    fixed: bool
    folder: Folder | None
    table: Told | None
    reasons: dict[str, list[str]]
    check: dict[str, Any] | None
    looked: str | None
    cutting: Cutting
    choice: Choose | None
    ways: list[Way]
    work: Work | None
    runs: list[Run]
    live: Live | None
    commands: dict[str, str]


def work_of(job: Job, command: str) -> Work:
    """Tell about a job."""
    return Work(
        job.kind, job.title, command, job.standing, job.what, dict(job.steps), job.began_s, job.ended_s, job.error
    )
