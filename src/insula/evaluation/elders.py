"""Saved models that others learn from, as teachers or by their weights, and whom they must not have seen.

A fold model of a result teaches the same fold of the same protocol on the same data: it has not seen what is tested.
Any other saved model must name its people and those of its own elders, by data set, and none of them may be tested.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from insula.errors import InputError, ProtocolError
from insula.evaluation.kept import FOLDS, require_folds
from insula.evaluation.results import Result
from insula.evaluation.saved import MODEL_FILE
from insula.evaluation.story import Seen, merged, read_story
from insula.evaluation.writing import jsonable
from insula.files import STORY
from insula.notebook import counted
from insula.protocols.protocols import Split
from insula.windows.table import Windows

if TYPE_CHECKING:
    from insula.evaluation.experiment import Experiment

What = Literal["teacher", "start"]


@dataclass(frozen=True)
class Elder:
    """A model to learn from: its folder, what it is called, and the people of each data set that it has seen.

    ``row`` is that of a result with a model a fold, empty for a single saved model.
    """

    what: What
    folder: Path
    title: str
    seen: Seen
    row: str = ""

    def model(self, fold: int) -> str:
        """Folder of the model for a fold."""
        return str(self.folder / FOLDS / self.row / str(fold) if self.row else self.folder)

    @property
    def words(self) -> str:
        """What it does for a row, for titles and notes."""
        return f"taught by {self.title}" if self.what == "teacher" else f"begun from {self.title}"

    @property
    def note(self) -> str:
        """Whom it has seen."""
        if self.row:
            return (
                f"{self.words}: the same fold's model, which has not seen its test windows; inner choices are untaught"
            )
        whom = " and ".join(f"{counted(len(people), 'person')} of {data}" for data, people in self.seen.items())
        return f"{self.words}, which has seen {whom}; none of them is tested"


def open_elder(folder: str | Path, what: What) -> Elder:
    """Read what a folder says of itself; InputError where it holds no model or does not name its people."""
    place = Path(folder)
    if (place / "result.json").is_file():
        if what == "start":
            raise InputError(f"{place} holds a result; expected one model to begin from. Name {place / 'model'}.")
        result = Result.load(place)
        require_folds(place)
        first = result.systems[0].name
        own = {str(result.experiment["data"]["name"]): set(result.predictions["subject"].astype(str))}
        folds = sorted(p.parent for p in (place / FOLDS / first).glob(f"*/{STORY}"))
        seen = merged(own, *(read_story(p).everybody for p in folds))
        return Elder(what, place, result.systems[0].title, seen, first)
    if not (place / MODEL_FILE).is_file():
        raise InputError(
            f"{place} without {MODEL_FILE}; expected a saved model. Make one with insula train or pretrain."
        )
    story = read_story(place)
    if not story.subjects or not story.everybody:
        raise InputError(
            f"{place} does not name its people; expected a model that insula train or pretrain wrote. Train it again."
        )
    return Elder(what, place, story.title or place.name, story.everybody)


def elders_of(experiment: Experiment) -> tuple[Elder, ...]:
    """What an experiment's network learns from."""
    model = experiment.model
    asked: Sequence[tuple[str | None, What]] = ((model.teacher, "teacher"), (model.start, "start"))
    found = tuple(open_elder(folder, what) for folder, what in asked if folder is not None)
    for elder in found:
        _require_same_names(elder, experiment)
    if model.teacher is not None and experiment.protocol.null:
        raise ProtocolError(
            "a null test with a teacher, who knows the labels that are shuffled; expected one of both. Leave out "
            "--null."
        )
    return found


def _require_same_names(elder: Elder, experiment: Experiment) -> None:
    """Raise InputError where people of the same data go by other names, so that nobody can tell who has been seen."""
    if experiment.data.name not in elder.seen:
        return
    story = Result.load(elder.folder).experiment if elder.row else read_story(elder.folder).experiment
    theirs, mine = story.get("data", {}).get("pseudonyms"), experiment.data.pseudonyms
    if _place(theirs) != _place(mine):
        raise InputError(
            f"{elder.folder} names people by {theirs or 'their names'} and this experiment by {mine or 'their names'}; "
            "expected one way, to tell who has been seen. Give the same --pseudonyms, or train it again."
        )


def _place(file: str | None) -> Path | None:
    return None if file is None else Path(file).resolve()


def require_unseen(
    elders: Sequence[Elder], experiment: Experiment, windows: Windows, splits: Sequence[Split], data_hash: str
) -> None:
    """Raise ProtocolError where a model to learn from has seen what is tested, and says whom."""
    for elder in elders:
        if elder.row:
            _require_same(elder, experiment, data_hash or windows.fingerprint())
        elif experiment.data.name in elder.seen:
            subjects = windows.table["subject"].astype(str)
            tested = {name for part in splits for name in subjects.iloc[part.test].unique()}
            seen = sorted(tested.intersection(elder.seen[experiment.data.name]))
            if seen:
                raise ProtocolError(
                    f"{elder.folder} has seen {', '.join(seen[:8])}, who are tested; expected a model of other people. "
                    "Train it on others with --subjects, or name a result with --keep-folds of the same protocol."
                )


def _require_same(elder: Elder, experiment: Experiment, data_hash: str) -> None:
    other = Result.load(elder.folder)
    theirs = other.experiment
    mine = jsonable(experiment.to_dict())  # lists, as a result has them
    differ = [
        name
        for name, a, b in (
            ("data", other.provenance.get("data_hash"), data_hash),
            ("seed", theirs["seed"], mine["seed"]),
            *(
                (f"protocol.{k}", theirs["protocol"].get(k), mine["protocol"].get(k))
                for k in mine["protocol"]
                if k not in ("null", "strategies")
            ),
        )
        if a != b
    ]
    if differ:
        raise ProtocolError(
            f"{elder.folder} differs in {', '.join(differ)}; expected the same data, protocol and seed, so that each "
            "fold's teacher has not seen what the fold tests. Evaluate the teacher again with --keep-folds."
        )


def final_teacher(experiment: Experiment) -> str | None:
    """Folder of the teacher of a model that is trained on everybody; None where the teacher has none of that kind."""
    folder = experiment.model.teacher
    if folder is None or (Path(folder) / MODEL_FILE).is_file():
        return folder
    whole = Path(folder) / "model"
    return str(whole) if (whole / MODEL_FILE).is_file() else None


def seen_by(experiment: Experiment, own: Iterable[str]) -> Seen:
    """Whom a model knows that an experiment trains: its ``own`` people, those of its elders and of theirs."""
    return merged({experiment.data.name: own}, *(elder.seen for elder in elders_of(experiment)))


def seen_by_folds(experiment: Experiment) -> Seen:
    """Whom every fold model of an experiment knows by its elders; the teacher of a fold knows nobody who is tested."""
    elders, mine = elders_of(experiment), experiment.data.name
    return merged(*({d: who for d, who in one.seen.items() if not one.row or d != mine} for one in elders))
