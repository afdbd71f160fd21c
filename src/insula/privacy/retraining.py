"""Models that had learned from a person who was removed: the mark they carry, and training them again on the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from insula.files import STORY
from insula.privacy.names import Name, plain
from insula.privacy.survey import model_people, read_json

MARK = "must_be_retrained"
"""Key of ``training.json`` that lists why a model must be trained again."""
_MODEL = "estimator.json"


def retraining_note(folder: str | Path) -> str:
    """Why the model in a folder must be trained again; empty where nothing speaks for it."""
    story = read_json(Path(folder) / STORY)
    marks = story.get(MARK) if isinstance(story, dict) else None
    return "; ".join(map(str, marks)) if isinstance(marks, list) else ""


def whose(folder: Path) -> str:
    """Whose own model a folder holds, where others' recordings are in it too; empty for any other model."""
    found = [read_json(folder / STORY), (read_json(folder / _MODEL) or {}).get("pool")]
    people = [one.get("person") for one in found if isinstance(one, dict)]
    return plain(str(next(filter(None, people), "")))


def train_each_again(models: Sequence[tuple[Path, str]], name: Name) -> list[tuple[Path, str]]:
    """Train models again without a person, those that others learned from first; return the rest with what to do."""
    left = list(models)
    while left:
        tried = [(folder, why, _train_again(folder, name)) for folder, why in left]
        refused = [(folder, why) for folder, why, reason in tried if reason]
        if len(refused) == len(left):
            return [(folder, f"{why}; not done: {reason}") for folder, why, reason in tried]
        left = refused
    return []


def _train_again(folder: Path, name: Name) -> str:
    """Train one model on the people it was trained on but one; where that cannot be, say what to do instead."""
    from insula.evaluation.experiment import experiment_from
    from insula.pipeline.running import train_model

    story = read_json(folder / STORY)
    if not isinstance(story, dict) or not isinstance(story.get("experiment"), dict) or not folder.is_dir():
        return "it does not say how it was made; make it again as it was made, on the others"
    for key, command in (("personal", "personalise"), ("told", "pretrain")):
        if key in story:
            return f"it was made by insula {command}; run that again on the others, and from a model of the others"
    tables = {**story["experiment"]}
    for elder in (_elder(tables, what) for what in ("start", "teacher")):
        if elder is not None and not (elder / _MODEL).is_file():
            return f"{elder}, which it learned from, is not there; train it without (no --from, no --teacher)"
        if elder is not None and (retraining_note(elder) or name.name in model_people(elder)):
            return (
                f"{elder}, which it learned from, knows the person; have it forget first "
                f"(insula forget ... --in {elder} --retrain) and give both folders"
            )
    others = [p for p in learned_from(story) if not name.is_(p)]
    if not others:
        return "nobody else is left; remove it"
    tables["data"] = {**tables.get("data", {}), "subjects": others}
    train_model(experiment_from(tables), folder, person=str(story.get("person") or ""))
    return ""


def _elder(tables: dict[str, Any], what: str) -> Path | None:
    """Folder of the one model that a model was begun from or taught by."""
    model = tables.get("model")
    asked = model.get(what) if isinstance(model, dict) else None
    if not isinstance(asked, str):
        return None
    return Path(asked) if (Path(asked) / _MODEL).is_file() else Path(asked) / "model"


def learned_from(story: Mapping[str, Any]) -> list[str]:
    """People whose recordings trained a model: those chosen, else all of its data (its elders' people are not)."""
    tables = story.get("experiment")
    data = tables.get("data") if isinstance(tables, dict) else None
    chosen = data.get("subjects") if isinstance(data, dict) else None
    if chosen:
        return [str(p) for p in chosen]
    seen = [
        p
        for one in story.get("seen") or ()
        if isinstance(one, dict) and isinstance(data, dict) and one.get("data") == data.get("name")
        for p in one.get("subjects") or ()
    ]
    return list(dict.fromkeys(map(str, (*(story.get("subjects") or ()), *seen))))
