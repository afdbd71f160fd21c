"""What `insula data check --json` found, cut to what a page shows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

SHOWN = 60
"""Problems, gaps and faults that are told one by one."""


def digest(text: str, root: str) -> dict[str, Any]:
    """Return a check's findings for the page; what is no such JSON raises ValueError."""
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
        "problems": grouped(found["problems"], root)[:SHOWN],
        "faults": faulty(found.get("faults", []))[:SHOWN],
    }


def grouped(problems: Sequence[Mapping[str, Any]], root: str) -> list[dict[str, Any]]:
    """Put problems that differ in numbers and names only together, those that lose data first."""
    kinds: dict[tuple[bool, str], list[Mapping[str, Any]]] = {}
    for one in problems:
        kinds.setdefault((not one["fatal"], re.sub(r"'[^']*'|[-+]?\d[\d.,e+-]*", "#", one["what"])), []).append(one)
    return [_problem(same, root) for _, same in sorted(kinds.items(), key=lambda item: item[0][0])]


def _problem(same: Sequence[Mapping[str, Any]], root: str) -> dict[str, Any]:
    files = list(dict.fromkeys(one["file"].removeprefix(f"{root}/") for one in same))
    where = files[0] if len(files) == 1 else f"{len(files)} files, such as {files[0]}"
    many = f" ({len(same)} times)" if len(same) > 1 else ""
    level = "lost" if same[0]["fatal"] else "note"
    return {"level": level, "text": f"{same[0]['what']}{many}", "where": where, "remedies": []}


def faulty(faults: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Put the faults of one kind of signal together: where they are, and for how much of the time."""
    kinds: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in faults:
        kinds.setdefault((one["modality"], one["what"]), []).append(one)
    return [_fault(*kind, same) for kind, same in kinds.items()]


def _fault(modality: str, what: str, same: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    trials = list(dict.fromkeys((one["subject"], one["session"], one["trial"]) for one in same))
    worst = max(one["fraction"] for one in same)
    text = f"{modality} is {what} in {len(trials)} trials, for up to {worst:.0%} of the time."
    return {"level": "note", "text": text, "where": ", ".join("/".join(t) for t in trials[:4]), "remedies": []}
