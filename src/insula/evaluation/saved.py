"""Models in a folder of results: whose each is, which one answers for whom, and how far it was shown to be trusted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from insula.errors import InputError, InsulaError, unknown_name
from insula.evaluation.results import Result
from insula.evaluation.story import read_story

MODEL_FILE = "estimator.json"


@dataclass(frozen=True)
class Saved:
    """One saved model: its folder, the people it is for, and the folder of the evaluation it belongs to.

    It is for the person whose own it is, else for those whom it was trained on.
    """

    folder: Path
    people: tuple[str, ...]
    evaluation: Path | None

    @property
    def personal(self) -> bool:
        """For one person."""
        return len(self.people) == 1


def models_in(folder: Path) -> tuple[Saved, ...]:
    """Return the models of a folder that `evaluate` or `train` wrote (or of its ``model``); none is an InputError."""
    place = folder / "model" if (folder / "result.json").is_file() and (folder / "model").is_dir() else folder
    inner = sorted(p for p in place.glob("*") if (p / MODEL_FILE).is_file()) if place.is_dir() else []
    found = [place] if (place / MODEL_FILE).is_file() else inner
    if not found:
        if (folder / "result.json").is_file():
            raise InputError(f"{folder} holds a result and no model; expected one. Evaluate again, or train one.")
        return (Saved(folder, (), None),)  # loading it says what is missing
    above = next((p for p in (place, *place.parents[:2]) if (p / "result.json").is_file()), None)
    return tuple(Saved(p, _people(p), above) for p in found)


def _people(folder: Path) -> tuple[str, ...]:
    try:
        story = read_story(folder)
        return (story.person,) if story.person else tuple(story.subjects)
    except InsulaError:
        return ()


def named_otherwise(models: Collection[Saved], pseudonyms: str | None) -> list[str]:
    """Say where models name people by other codes than those given: a code is then somebody else's."""
    notes = []
    for one in models if pseudonyms is not None else ():
        theirs = read_story(one.folder).experiment.get("data", {}).get("pseudonyms")
        if theirs is not None and Path(theirs).resolve() != Path(str(pseudonyms)).resolve():
            notes.append(
                f"these models name people by {theirs}, not by {pseudonyms}: what is called a person's own may be "
                "another's"
            )
    return list(dict.fromkeys(notes))


def choose(models: Collection[Saved], people: Collection[str], of: str | None = None) -> Mapping[str, Saved]:
    """Return the model that answers for each person: the own one, or the one of all people.

    ``of`` names the person whose model is to answer for everybody. Raises InputError for a person without a model who
    would be answered by somebody else's.
    """
    personal = {one.people[0]: one for one in models if one.personal}
    if of is not None:
        if of not in personal:
            raise unknown_name("person with a model", of, personal)
        return dict.fromkeys(people, personal[of])
    shared = next((one for one in models if not one.personal), None)
    chosen = {p: found for p in people if (found := personal.get(p, shared)) is not None}
    missing = [p for p in people if p not in chosen]
    if missing:
        raise InputError(
            f"no model of {', '.join(missing[:5])}; expected people with a model of their own "
            f"({', '.join(sorted(personal)[:8])}). A personal model knows one person: name people with --subjects, "
            "train one, or say --as PERSON to use somebody else's."
        )
    return chosen


def trust(model: Saved, person: str) -> str:
    """Say how far a model was shown to be trusted on a person: the score of held-out trials and the verdict."""
    if model.evaluation is None:
        return "never evaluated: nothing is known of how often it is right (run insula evaluate)"
    try:
        result = Result.load(model.evaluation)
        main = next((s for s in result.systems if s.kind == "model"), result.systems[0])
        scores = result.people()[main.name]
    except (InsulaError, KeyError, IndexError):
        return f"the result in {model.evaluation} cannot be read: nothing is known of how often it is right"
    metric = result.main_metric.replace("_", " ")
    chance = f", chance {result.chance:.2f}" if result.classes else ""
    marks = "" if not result.leaky else "leaky protocol: "
    verdict = result.verdict(main.name).sentence
    known = (
        f"{metric} {scores[person]:.2f} on held-out trials{chance}"
        if person in scores.index
        else "never evaluated on them"
    )
    lent = f"the model of {model.people[0]}, not of {person}; " if model.personal and model.people[0] != person else ""
    return f"{lent}{marks}{known}; over all people {verdict[:1].lower()}{verdict[1:]}"
