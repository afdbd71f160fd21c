"""What a run says in a few words, from the numbers beside its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from insula.errors import DataError
from insula.files import read_json
from insula.studio import commands
from insula.studio.state import Run
from insula.studio.study import Study

FILES = ("report.html", "report.json", "table.csv", "predictions.csv", "card.md")
ONNX = ("model.onnx", "model-int8.onnx", "model.json")


class Verdict(msgspec.Struct):
    """The verdict of a report."""

    sentence: str = ""
    tone: str = ""


class Numbers(msgspec.Struct):
    """What is read of ``report.json``."""

    target: str = ""
    protocol: dict[str, Any] = {}
    verdict: Verdict = msgspec.field(default_factory=Verdict)
    provenance: dict[str, Any] = {}


def told_run(study: Study, name: str) -> Run:
    """Say what a run found; one whose report is damaged says so."""
    path = study.inside(name, "report.json")
    try:
        numbers = Numbers() if path is None else _numbers(path)
        sentence = numbers.verdict.sentence
    except DataError as error:
        numbers, sentence = Numbers(), str(error)
    files = [file for file in FILES if study.inside(name, file)]
    files += [f"onnx/{file}" for file in ONNX if study.inside(name, "onnx", file)]
    return Run(
        name, numbers.target, str(numbers.protocol.get("name", "")), sentence, numbers.verdict.tone,
        str(numbers.provenance.get("date", "")), study.models(name), files,
        commands.shown(commands.report(str(study.run(name)))),
    )  # fmt: skip


_seen: dict[tuple[str, int, int], Numbers] = {}


def _numbers(path: Path) -> Numbers:
    """Read a report's numbers, once a version of the file."""
    found = path.stat()
    key = (str(path), found.st_size, found.st_mtime_ns)
    if key not in _seen:
        _seen[key] = read_json(path, Numbers, "the numbers of a report")
    return _seen[key]
