"""Results and models opened again, with the recordings they stand on: stress tests and single answers explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from insula.errors import InputError
from insula.evaluation.experiment import experiment_from
from insula.evaluation.kept import KeptRow, load_kept, require_folds
from insula.evaluation.results import Result
from insula.evaluation.story import read_story
from insula.explain.single import SINGLE, Explained, Single, explain_trial, trial_rows
from insula.explain.stress import STRESS, stress
from insula.files import STORY, claimed, understood
from insula.learning.classical import ClassicalEstimator
from insula.learning.estimator import Estimator
from insula.learning.learner import Learner
from insula.learning.personal.personal import PERSONAL
from insula.learning.prior import own_of
from insula.learning.saving import load_model
from insula.learning.train import one_thread
from insula.models import card
from insula.pipeline.predicting import person_windows
from insula.pipeline.reading import Progress, cut_windows, read_recordings, require_codes
from insula.protocols.own_median import for_fold
from insula.report import write
from insula.types import Recording
from insula.windows.table import Windows

KEPT_WINDOWS = 12
"""So many explained windows stay in a report, the newest ones."""


@dataclass(frozen=True)
class Opened:
    """A result that kept its fold models, opened again: the recordings and windows it stands on, and the models."""

    result: Result
    recordings: tuple[Recording, ...]
    windows: Windows
    rows: tuple[KeptRow, ...]


def open_result(folder: str | Path, progress: Progress | None = None) -> Opened:
    """Read a result that was made with ``keep_folds`` again, and its recordings from where they were.

    Raises
    ------
    InputError : it kept no models.
    DataError : the recordings are not those it was made from.
    """
    result = Result.load(folder)
    with understood(Path(folder) / "result.json", "a result that insula wrote"):
        experiment = experiment_from(result.experiment)
    require_folds(Path(folder))
    require_codes(experiment)
    recordings = read_recordings(experiment, [], progress)
    windows = cut_windows(experiment, recordings, progress)
    return Opened(result, recordings, windows, load_kept(result, experiment, windows, Path(folder)))


def stress_result(
    folder: str | Path, faults: Sequence[str] | None = None, *, seed: int = 0, progress: Progress | None = None
) -> Result:
    """Stress the fold models of a result (see `insula.explain.stress`); write the curves into it and its page anew."""
    there = open_result(folder, progress)
    with one_thread():
        found = stress(there.result, there.recordings, there.windows, there.rows, faults, seed, progress)
    return _with_analysis(Path(folder), there.result, STRESS.name, STRESS.write(found))


def explain_answers(
    folder: str | Path, trial: str, row: str | None = None, *, progress: Progress | None = None
) -> Single:
    """Explain the answers of a result's fold models for one trial, which they have not seen, or of a saved model.

    ``trial`` is TRIAL, PERSON/TRIAL or PERSON/SESSION/TRIAL; ``row`` names a kept row, by default the first one and
    the linear row beside it. What is found goes into the result and its page.

    Raises
    ------
    InputError : no such trial or row, no kept models, or a row that is neither a network nor linear.
    """
    place = Path(folder)
    if not (place / "result.json").is_file():
        if row is not None:
            raise InputError(f"row {row!r} of {place}, one saved model; expected no row. Leave --row out.")
        return Single((_of_saved(place, trial, progress),))
    there = open_result(place, progress)
    names = [one.name for one in there.rows]
    if row is not None and row not in names:
        raise InputError(f"row {row!r}; expected one whose models were kept: {', '.join(names)}.")
    rows = trial_rows(there.windows.scored, trial)
    wanted = set(there.windows.scored.rows[rows].tolist())
    found = []
    for one in there.rows:
        if row in (None, one.name) and (row is not None or one is there.rows[0] or one.kind == "classical"):
            try:
                found += _of_fold(one, there.windows, wanted)
            except InputError:
                if row is not None or one is there.rows[0]:
                    raise
    old = SINGLE.read(there.result) or Single()
    again = {(e.row, e.subject, e.session, e.trial, e.start_s) for e in found}
    kept = [e for e in old.windows if (e.row, e.subject, e.session, e.trial, e.start_s) not in again]
    _with_analysis(place, there.result, SINGLE.name, SINGLE.write(Single((*kept, *found)[-KEPT_WINDOWS:])))
    return Single(tuple(found))


def _of_fold(row: KeptRow, windows: Windows, wanted: set[int]) -> list[Explained]:
    """Explain the trial by the model of the fold in which it was tested."""
    for part, model in zip(row.splits, row.models, strict=True):
        test = for_fold(windows, part).take(part.test)
        mine = np.flatnonzero([int(r) in wanted for r in test.rows])
        if model is not None and len(mine):
            with one_thread():
                return [explain_trial(model, test, mine, row.name, row.title, row.kind)]
    raise InputError(f"a trial that {row.title} was not tested on; expected one of its test trials. Name another.")


def _of_saved(folder: Path, trial: str, progress: Progress | None) -> Explained:
    """Explain a saved model's answer on the recordings it was trained on, and say that it has seen them."""
    if (folder / PERSONAL).is_file():
        raise InputError(
            f"{folder} holds a personalised model, whose readout is not explained; expected one by itself. Name "
            f"{folder / 'model'} for what it reads."
        )
    model = load_model(folder)
    story = read_story(folder)
    if not story.experiment:
        raise InputError(
            f"{folder} does not say its recordings; expected a model that `insula train` wrote. Train one."
        )
    with understood(folder / STORY, "the story of a model"):
        experiment = experiment_from(story.experiment)
    require_codes(experiment)
    windows = person_windows(model, experiment, progress=progress).scored
    rows = trial_rows(windows, trial)
    with one_thread():
        found = explain_trial(model, windows, rows, folder.name, _title(model), "model")
    if found.subject in story.subjects:
        known = "the model was trained on this trial: it explains what was learned"
        return replace(found, note="; ".join(filter(None, (known, found.note))))
    return found


def _title(model: Learner) -> str:
    """What a saved row is called in tables; of one with other people's prior the person's own, which is explained."""
    own = own_of(model)
    if isinstance(own, Estimator):
        return card(own.config.model).title_of(own.config.options or {})
    return own.info.title if isinstance(own, ClassicalEstimator) else repr(own)


def _with_analysis(folder: Path, result: Result, name: str, found: Any) -> Result:
    """Put one analysis into a saved result and write its page again, its models and other files as they are."""
    made = result.with_analyses(**{name: found})
    with claimed(folder):
        made.save(folder)
        write(made, folder / "report.html")
    return made
