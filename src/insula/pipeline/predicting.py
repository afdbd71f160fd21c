"""What a saved model says of recordings: cut as it expects them, a row a window."""

from __future__ import annotations

import pandas as pd

from insula.data import Problem
from insula.evaluation.experiment import Experiment
from insula.learning.learner import Learner
from insula.learning.personal.personal import Personal
from insula.pipeline.reading import Progress, hold_recordings, named, read_recordings, unread
from insula.windows.cutting import cut
from insula.windows.store import Store
from insula.windows.table import Windows


def predict_windows(
    model: Learner | Personal, experiment: Experiment, progress: Progress | None = None, store: Store | None = None
) -> Windows:
    """Cut recordings as a saved model expects them; labels are not needed. ``store`` as in `run_experiment`."""
    problems: list[Problem] = []
    clean = None
    if store is None:
        recordings = read_recordings(experiment, problems, progress)
    else:
        held = hold_recordings(experiment, model.recipe, store, problems, progress=progress)
        recordings, clean = held.recordings, held.clean
    windows = cut(
        recordings,
        model.recipe,
        None,
        traits=bool(model.schema.traits),
        schema=model.schema,
        progress=named(progress, "cleaning trials"),
        clean=clean,
    )
    windows.note(unread(experiment, problems))
    return windows


def person_windows(
    model: Learner, experiment: Experiment, labelled: bool = True, progress: Progress | None = None
) -> Windows:
    """Cut one person's recordings as a saved model expects them, with the labels of the model's own target."""
    if not labelled:
        return predict_windows(model, experiment, progress)
    problems: list[Problem] = []
    recordings = read_recordings(experiment, problems, progress)
    windows = cut(
        recordings, model.recipe, model.schema.target, modalities=tuple(model.schema.modalities),
        traits=bool(model.schema.traits), progress=named(progress, "cleaning trials"),
    )  # fmt: skip
    windows.note(unread(experiment, problems))
    return windows


def predict_table(model: Learner | Personal, windows: Windows) -> pd.DataFrame:
    """Predict windows: a row each with its place, the prediction and, for classes, their probabilities."""
    table = windows.table[["subject", "session", "trial", "start_s", "stop_s"]].copy()
    if model.schema.continuous:
        table["prediction"] = model.predict(windows)
        return table
    chances = model.predict_proba(windows)
    table["prediction"] = [model.schema.classes[i] for i in chances.argmax(1)]
    for k, name in enumerate(model.schema.classes):
        table[f"p_{name}"] = chances[:, k].round(6)
    return table
