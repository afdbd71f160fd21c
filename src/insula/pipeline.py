"""From an experiment to a folder of results: load, cut, evaluate, explain, save, report."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from insula.data import Problem, info, load
from insula.data.pseudonyms import NOTE as CODED
from insula.data.pseudonyms import Pseudonyms, coded, coded_key
from insula.errors import DataError, InputError, InsulaError
from insula.evaluation.elders import elders_of, final_teacher, seen_by_folds
from insula.evaluation.experiment import Experiment, apply_recipe
from insula.evaluation.final import final_row, save_models, story_of
from insula.evaluation.finished import Finished, run_key
from insula.evaluation.kept import FOLDS, save_kept
from insula.evaluation.results import Result
from insula.evaluation.rows import model_config, require_encoder, require_names
from insula.evaluation.run import evaluate
from insula.explain import explain
from insula.files import claimed, drop_kept, kept_beside, publishing, require_folder
from insula.learning.learner import Learner
from insula.learning.personal.personal import Personal
from insula.learning.pretraining import PretrainConfig, Pretrained, pretrain
from insula.learning.train import one_thread
from insula.models import model_class
from insula.notebook import counted
from insula.protocols.fold import terms_of
from insula.report import write
from insula.signals.recipe import Recipe
from insula.types import Recording
from insula.windows.cutting import cut
from insula.windows.store import Held, Store
from insula.windows.store.arrays import StoredTrial, TrialKey
from insula.windows.table import Windows

Progress = Callable[[str, float, int], None]
"""Called with (what, done, total); what goes on counts by its share."""

RESULT_FILES = ("result.json", "predictions.parquet", "report.html", "report.json", "model", FOLDS)
"""What a folder of results holds of ours; a new run replaces these and keeps what else lies there."""


@dataclass(frozen=True)
class Run:
    """What one run left: the result, its folder and the page."""

    result: Result
    folder: Path
    page: Path


def read_recordings(
    experiment: Experiment, problems: list[Problem] | None = None, progress: Progress | None = None
) -> tuple[Recording, ...]:
    """Read the experiment's recordings; damaged parts go to ``problems`` (None: the first one raises)."""
    data, codes = experiment.data, _codes(experiment)
    if progress is not None:
        progress("reading recordings", 0, 1)
    with _coded(experiment):
        found = load(data.name, data.root, subjects=_asked(experiment), problems=problems, **experiment.reader_options)
        _require_some(experiment, found, problems or [])
    if progress is not None:
        progress("reading recordings", 1, 1)
    return found if codes is None else codes.renamed(found)


def _codes(experiment: Experiment) -> Pseudonyms | None:
    return None if experiment.data.pseudonyms is None else Pseudonyms(experiment.data.pseudonyms)


def _asked(experiment: Experiment) -> tuple[str, ...] | None:
    """Names of the people who are asked for, whose codes stand in the experiment where there are some."""
    codes, asked = _codes(experiment), experiment.data.subjects
    if codes is None:
        return asked
    codes.names(experiment.data.apart)  # they stand in the result: names are refused
    return None if asked is None else codes.names(asked)


def require_codes(experiment: Experiment) -> None:
    """Raise InputError where the file of codes by which people were named is not there: new ones would be others'."""
    codes = _codes(experiment)
    if codes is not None and not codes.path.is_file():
        raise InputError(
            f"no file {codes.path}, whose codes name the people; expected it, to tell who is meant. Put it there, or "
            "run this where it was run."
        )


@contextmanager
def _coded(experiment: Experiment) -> Iterator[None]:
    """Have what is said of recordings that cannot be read name people by their codes: a grid keeps it."""
    codes = _codes(experiment)
    try:
        yield
    except InsulaError as error:
        if codes is None:
            raise
        raise type(error)(coded(str(error), codes.codes)) from None


def _require_private(experiment: Experiment, folder: Path) -> None:
    codes = _codes(experiment)
    if codes is not None:
        codes.require_outside(folder)


def unread(experiment: Experiment, problems: Sequence[Problem]) -> list[str]:
    """Notes on what could not be read; only how much where people have codes, since files name them."""
    if experiment.data.pseudonyms is None:
        return [f"{p.file}: {p.what}" for p in problems]
    parts = [f"{counted(len(problems), 'part')} of the recordings could not be read: insula data check lists them"]
    return [CODED, *(parts if problems else [])]


def _require_some(experiment: Experiment, found: Sequence[Recording], problems: Sequence[Problem]) -> None:
    if not found:
        why = "; ".join([note for note in unread(experiment, problems) if note != CODED][:3])
        where = f"{experiment.data.name} in {experiment.data.root}"
        raise DataError(f"no recording of {where}; expected at least one. {why}")


def hold_recordings(
    experiment: Experiment,
    recipe: Recipe,
    store: Store,
    problems: list[Problem],
    jobs: int = 1,
    progress: Progress | None = None,
) -> Held:
    """Give the experiment's recordings from a store, in which people who are missing are put first, cleaned."""
    data = experiment.data
    with _coded(experiment):
        held = store.hold(
            data.name,
            data.root,
            recipe,
            subjects=_asked(experiment),
            options=experiment.reader_options,
            problems=problems,
            jobs=jobs,
            progress=_named(progress, "cleaning people"),
        )
        _require_some(experiment, held.recordings, problems)
    codes = _codes(experiment)
    if codes is None:
        return held
    recordings, known = codes.renamed(held.recordings), codes.codes
    return Held(recordings, {coded_key(key, known): trial for key, trial in held.clean.items()})


def cut_windows(
    experiment: Experiment,
    recordings: tuple[Recording, ...],
    progress: Progress | None = None,
    clean: Mapping[TrialKey, StoredTrial] | None = None,
) -> Windows:
    """Cut the experiment's recordings by its data set's recipe and the experiment's changes to it.

    ``clean`` are the trials of a store, if the recordings come from one.
    """
    data = experiment.data
    known = info(data.name)
    labels = sorted({name for r in recordings for t in r.trials for name in t.labels})
    target = data.target or next((name for name in known.targets if name in labels), None)
    if target is None:
        raise InputError(
            f"data {data.name} without a target; expected one of {', '.join(labels) or '(no labels)'}. "
            "Give --target NAME."
        )
    return cut(
        recordings,
        apply_recipe(known.recipe, experiment.recipe),
        target,
        modalities=data.modalities,
        traits=data.traits,
        progress=_named(progress, "cleaning trials"),
        clean=clean,
    )


def run_experiment(
    experiment: Experiment,
    out: str | Path,
    *,
    jobs: int = 1,
    device: str = "cpu",
    force: bool = False,
    analyses: bool = True,
    keep_model: bool = True,
    keep_folds: bool = False,
    command: str = "",
    progress: Progress | None = None,
    store: Store | None = None,
    tell: Callable[[str], None] | None = None,
) -> Run:
    """Evaluate an experiment and write ``result.json``, ``predictions.parquet``, ``report.html`` and ``model/``.

    All of it appears at once, when it is complete; a run that fails or is killed leaves what was there. An existing
    folder is taken only if it holds an earlier result or is empty, and by one run at a time. With a ``store``, cleaned
    trials come from it and stay on disk (see `insula.windows.store`). ``keep_folds`` also writes the models of the
    folds (see `insula.evaluation.kept`), which stress tests and explanations of single windows need.

    Fits are kept in a hidden folder beside ``out`` as they end; the same experiment on the same data by the same
    program, begun again, computes only what is missing, and ``tell`` hears a sentence about it.
    """
    folder = Path(out)
    _require_private(experiment, folder)
    with publishing(folder, "result.json", "result", RESULT_FILES) as work:
        windows = _read_and_cut(experiment, device, progress, store, jobs)
        data_hash = windows.fingerprint()
        finished = Finished(kept_beside(folder, run_key(experiment, data_hash, device)), device)
        if finished.count and tell is not None:
            tell(f"going on: {finished.sentence}")
        with finished.open(windows.table["subject"].unique()):
            done = evaluate(
                windows,
                experiment,
                jobs=jobs,
                device=device,
                force=force,
                progress=progress,
                command=command,
                data_hash=data_hash,
                keep=keep_folds,
                finished=finished,
            )
            with one_thread():
                result = explain(done.result, windows, done.models, progress) if analyses else done.result
                result.save(work)
                if keep_model and done.models:
                    save_models(
                        windows, experiment, done, work / "model", finished, lambda what: _named(progress, what)
                    )
                if keep_folds:
                    told = {"data_hash": done.result.provenance["data_hash"]}
                    seen = seen_by_folds(experiment)
                    save_kept(done.kept, windows, work / FOLDS, told, experiment.data.name, seen)
            write(result, work / "report.html")
    drop_kept(folder)
    return Run(result, folder, folder / "report.html")


def _read_and_cut(
    experiment: Experiment, device: str, progress: Progress | None, store: Store | None = None, jobs: int = 1
) -> Windows:
    """Check every name, then read and cut; what was damaged is in the windows' notes."""
    require_names(experiment, device)
    recipe = apply_recipe(info(experiment.data.name).recipe, experiment.recipe)
    problems: list[Problem] = []
    if store is None:
        windows = cut_windows(experiment, read_recordings(experiment, problems, progress), progress)
    else:
        held = hold_recordings(experiment, recipe, store, problems, jobs, progress)
        windows = cut_windows(experiment, held.recordings, progress, held.clean)
    windows.note(unread(experiment, problems))
    return windows


def train_model(
    experiment: Experiment,
    out: str | Path,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
    store: Store | None = None,
    jobs: int = 1,
    person: str = "",
) -> tuple[Learner, Windows]:
    """Train one model on all labelled windows of an experiment and save it; ``store`` as in `run_experiment`.

    With a ``person`` it is that person's own, times what all others taught: the experiment's ``model.prior``.
    """
    require_folder(Path(out), "estimator.json", "model")
    _require_private(experiment, Path(out))
    elders_of(experiment)
    if experiment.model.teacher is not None and final_teacher(experiment) is None:
        raise InputError(
            f"{experiment.model.teacher} has no one model for all; expected a saved model as teacher. Name a folder of "
            "insula train."
        )
    with claimed(Path(out)):
        windows = _read_and_cut(experiment, device, progress, store, jobs)
        scored = windows.scored
        row = final_row(experiment, scored, device, person)
        with one_thread():
            model = row.fit(scored, progress=_named(progress, "training"))
        model.save(out, story_of(experiment, scored, windows.fingerprint(), person))
    return model, scored


def pretrain_model(
    experiment: Experiment,
    out: str | Path,
    how: PretrainConfig,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> tuple[Pretrained, Windows]:
    """Train a network on an experiment's recordings without their labels and save its weights with whose they are."""
    require_folder(Path(out), "estimator.json", "model")
    _require_private(experiment, Path(out))
    model_class(experiment.model.name)
    require_encoder(experiment.model)
    with claimed(Path(out)):
        problems: list[Problem] = []
        recordings = read_recordings(experiment, problems, progress)
        recipe = apply_recipe(info(experiment.data.name).recipe, experiment.recipe)
        data = experiment.data
        windows = cut(
            recordings, recipe, None, modalities=data.modalities, traits=False,
            progress=_named(progress, "cleaning trials"),
        )  # fmt: skip
        windows.note(unread(experiment, problems))
        config = model_config(experiment, experiment.model.normaliser or terms_of(windows).normaliser, (), device)
        with one_thread():
            done = pretrain(windows, config, how, _named(progress, "pre-training"))
        story = story_of(experiment, windows, windows.fingerprint())
        done.estimator.save(
            out,
            {
                **story,
                "title": f"weights pre-trained on {data.name}",
                "told": done.told if math.isfinite(done.told) else None,
            },
        )
    return done, windows


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
        progress=_named(progress, "cleaning trials"),
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
        traits=bool(model.schema.traits), progress=_named(progress, "cleaning trials"),
    )  # fmt: skip
    windows.note(unread(experiment, problems))
    return windows


def _named(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return None if progress is None else (lambda done, total: progress(what, done, total))


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
