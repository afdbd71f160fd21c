"""The numbers of a report as plain JSON data."""

from __future__ import annotations

from typing import Any

from insula.evaluation.results import Result
from insula.evaluation.writing import jsonable
from insula.explain import facts as read
from insula.explain.facts import Facts
from insula.report import prose, sources, words


def numbers(result: Result) -> dict[str, Any]:
    """Return everything the page shows as JSON data: NaN becomes None, arrays become lists."""
    return numbers_of(read.gather(sources.public(result)))


def numbers_of(facts: Facts) -> dict[str, Any]:
    """Return the numbers of a report whose facts are gathered already."""
    result, head = facts.result, facts.headline
    verdict = words.verdict(facts)
    frame = facts.predictions(head.system)
    classes = result.classes
    out: dict[str, Any] = {
        "version": 1,
        "target": result.target,
        "classes": classes,
        "protocol": result.protocol,
        "score": facts.score_name,
        "chance": facts.chance,
        "verdict": {"tone": verdict.tone, "sentence": verdict.sentence, "more": verdict.more},
        "checks": [{"question": c.question, "state": c.state, "answer": c.answer} for c in words.checks(facts)],
        "headline": head.system,
        "systems": [_system(row) for row in facts.rows],
        "people": {system: dict(scores) for system, scores in facts.person_scores.items()},
        "shared_schedule": result.shared_schedule,
        "nulls": result.nulls,
        "analyses": result.analyses,
        "methods": prose.methods(facts),
        "config": result.config,
        "provenance": result.provenance,
    }
    if classes:
        out["confusion"] = {"rows": "true", "columns": "predicted", "counts": read.confusion_counts(frame, classes)}
        out["reliability"] = [
            {"confidence": b.confidence, "right": b.right, "windows": b.count}
            for b in read.reliability_bins(frame, classes)
        ]
    plain: dict[str, Any] = jsonable(out)
    return plain


def _system(row: read.Row) -> dict[str, Any]:
    return {
        "name": row.system,
        "title": row.title,
        "kind": row.kind,
        "scope": row.scope,
        "normaliser": row.normaliser,
        "leaky": row.leaky,
        "transductive": row.transductive,
        "parameters": row.parameters,
        "seconds": row.seconds,
        "notes": row.notes,
        "verdict": row.verdict,
        "people": row.people,
        "unit": row.unit,
        "score": row.score,
        "lo": row.lo,
        "hi": row.hi,
        "per_trial": row.trial,
        **row.others,
        "contrast": row.contrast,
        "contrast_lo": row.contrast_lo,
        "contrast_hi": row.contrast_hi,
    }
