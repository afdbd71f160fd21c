"""What `insula data check --json` found, cut to what a page shows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from insula.studio import remedies
from insula.studio.messages import Cutting
from insula.studio.table import Table

SHOWN = 60
"""Problems and faults that are told one by one."""
SPOILED = 0.5
"""A trial is offered to be dropped when so much of a signal is at fault."""


def digest(text: str, root: str, table: Table | None, cutting: Cutting) -> dict[str, Any]:
    """Return a check's findings for the page; what is no such JSON raises ValueError.

    With the ``table`` that was checked, problems come with what can be done about them.
    """
    found = json.loads(text)
    if not isinstance(found, dict) or "problems" not in found:
        raise ValueError("the check said nothing that can be read; expected its JSON.")
    return {
        "people": found.get("people", []),
        "sessions": found.get("sessions", []),
        "trials": found.get("trials", 0),
        "trial_seconds": found.get("trial_seconds"),
        "traits": found.get("traits", []),
        "modalities": found.get("modalities", []),
        "targets": found.get("targets", []),
        "gaps": len(found.get("gaps", [])),
        "problems": grouped(found["problems"], root, table, cutting)[:SHOWN],
        "faults": faulty(found.get("faults", []), table)[:SHOWN],
    }


def grouped(
    problems: Sequence[Mapping[str, Any]], root: str, table: Table | None, cutting: Cutting
) -> list[dict[str, Any]]:
    """Put problems that differ in numbers and names only together, those that lose data first."""
    kinds: dict[tuple[bool, str], list[Mapping[str, Any]]] = {}
    for one in problems:
        kinds.setdefault((not one["fatal"], re.sub(r"'[^']*'|[-+]?\d[\d.,e+-]*", "#", one["what"])), []).append(one)
    return [
        _problem(same, root) | {"remedies": [] if table is None else remedies.of_problem(same, table, root, cutting)}
        for _, same in sorted(kinds.items(), key=lambda item: item[0][0])
    ]


def _problem(same: Sequence[Mapping[str, Any]], root: str) -> dict[str, Any]:
    first = same[0]
    trials = list(dict.fromkeys(named(*one["trial"]) for one in same if one["trial"] is not None))
    files = trials or list(dict.fromkeys(one["file"].removeprefix(f"{root}/") for one in same))
    kind = "trials" if trials else "files"
    where = files[0] if len(files) == 1 else f"{len(files)} {kind}, such as {files[0]}"
    many = f" ({len(same)} times)" if len(same) > 1 else ""
    return {"level": "lost" if first["fatal"] else "note", "text": f"{sentence(first['what'])}{many}", "where": where}


def sentence(text: str) -> str:
    """Begin with a capital."""
    return text[:1].upper() + text[1:]


def named(subject: str, session: str, trial: str) -> str:
    """Name a trial; a session that nothing told has none."""
    return f"{subject} {trial}" if session == "only" else f"{subject} {session} {trial}"


def faulty(faults: Sequence[Mapping[str, Any]], table: Table | None) -> list[dict[str, Any]]:
    """Put the faults of one kind of signal together: where they are, and for how much of the time."""
    kinds: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in faults:
        kinds.setdefault((one["modality"], one["what"]), []).append(one)
    return [_fault(*kind, same, table) for kind, same in kinds.items()]


def _fault(modality: str, what: str, same: Sequence[Mapping[str, Any]], table: Table | None) -> dict[str, Any]:
    trials = list(dict.fromkeys((one["subject"], one["session"], one["trial"]) for one in same))
    worst = max(one["fraction"] for one in same)
    many = "one trial" if len(trials) == 1 else f"{len(trials)} trials"
    text = f"{modality.upper()} is {what} in {many}, for up to {worst:.0%} of the time."
    where = ", ".join(named(*t) for t in trials[:4]) + (", ..." if len(trials) > 4 else "")
    bad = list(dict.fromkeys((o["subject"], o["session"], o["trial"]) for o in same if o["fraction"] >= SPOILED))
    told = remedies.of_trials(bad, table) if table is not None and bad else []
    return {"level": "note", "text": text, "where": where, "remedies": told}
