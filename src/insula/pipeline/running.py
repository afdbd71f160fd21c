"""From an experiment to a folder of results or a saved model, whole or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from insula.data import Problem, info
from insula.errors import InputError
from insula.evaluation.elders import elders_of, final_teacher, seen_by_folds
from insula.evaluation.experiment import Experiment, apply_recipe
from insula.evaluation.final import final_row, save_models, story_of
from insula.evaluation.finished import Finished, run_key
from insula.evaluation.kept import FOLDS, save_kept
from insula.evaluation.results import Result
from insula.evaluation.rows import model_config, require_encoder
from insula.evaluation.run import evaluate
from insula.explain import explain
from insula.files import claimed, drop_kept, kept_beside, publishing, require_folder
from insula.learning.learner import Learner
from insula.learning.pretraining import PretrainConfig, Pretrained, pretrain
from insula.learning.train import one_thread
from insula.models import model_class
from insula.pipeline.reading import Progress, named, read_and_cut, read_recordings, require_private, unread
from insula.protocols.fold import terms_of
from insula.report import write
from insula.windows.cutting import cut
from insula.windows.store import Store
from insula.windows.table import Windows

RESULT_FILES = ("result.json", "predictions.parquet", "report.html", "report.json", "model", FOLDS)
"""What a folder of results holds of ours; a new run replaces these and keeps what else lies there."""


@dataclass(frozen=True)
class Run:
    """What one run left: the result, its folder and the page."""

    result: Result
    folder: Path
    page: Path


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
    require_private(experiment, folder)
    with publishing(folder, "result.json", "result", RESULT_FILES) as work:
        windows = read_and_cut(experiment, device, progress, store, jobs)
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
                    save_models(windows, experiment, done, work / "model", finished, lambda what: named(progress, what))
                if keep_folds:
                    told = {"data_hash": done.result.provenance["data_hash"]}
                    seen = seen_by_folds(experiment)
                    save_kept(done.kept, windows, work / FOLDS, told, experiment.data.name, seen)
            write(result, work / "report.html")
    drop_kept(folder)
    return Run(result, folder, folder / "report.html")


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
    require_private(experiment, Path(out))
    elders_of(experiment)
    if experiment.model.teacher is not None and final_teacher(experiment) is None:
        raise InputError(
            f"{experiment.model.teacher} has no one model for all; expected a saved model as teacher. Name a folder of "
            "insula train."
        )
    with claimed(Path(out)):
        windows = read_and_cut(experiment, device, progress, store, jobs)
        scored = windows.scored
        row = final_row(experiment, scored, device, person)
        with one_thread():
            model = row.fit(scored, progress=named(progress, "training"))
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
    require_private(experiment, Path(out))
    model_class(experiment.model.name)
    require_encoder(experiment)
    with claimed(Path(out)):
        problems: list[Problem] = []
        recordings = read_recordings(experiment, problems, progress)
        recipe = apply_recipe(info(experiment.data.name).recipe, experiment.recipe)
        data = experiment.data
        windows = cut(
            recordings, recipe, None, modalities=data.modalities, traits=False,
            progress=named(progress, "cleaning trials"),
        )  # fmt: skip
        windows.note(unread(experiment, problems))
        config = model_config(experiment, experiment.model.normaliser or terms_of(windows).normaliser, (), device)
        with one_thread():
            done = pretrain(windows, config, how, named(progress, "pre-training"))
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
