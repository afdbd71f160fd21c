"""From an experiment to a folder of results: load, cut, evaluate, explain, save, report."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from insula.data import Problem, info, load
from insula.errors import DataError, InputError
from insula.estimator import Estimator
from insula.evaluate import Evaluation, evaluate
from insula.experiment import Experiment, apply_recipe
from insula.explain import explain
from insula.folders import replacing, require_folder
from insula.plans import default_normaliser, model_config, require_names
from insula.protocols import PROTOCOLS
from insula.report import write
from insula.results import Result
from insula.train import one_thread
from insula.types import Recording
from insula.windows import Windows, cut

Progress = Callable[[str, int, int], None]
"""Called with (what, done, total)."""


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
    data = experiment.data
    if progress is not None:
        progress("reading recordings", 0, 1)
    found = load(data.name, data.root, subjects=data.subjects, problems=problems, **dict(data.options))
    if not found:
        why = "; ".join(f"{p.file}: {p.what}" for p in (problems or [])[:3])
        raise DataError(f"no recording of {data.name} in {data.root}; expected at least one. {why}")
    if progress is not None:
        progress("reading recordings", 1, 1)
    return found


def cut_windows(experiment: Experiment, recordings: tuple[Recording, ...], progress: Progress | None = None) -> Windows:
    """Cut the experiment's recordings by its data set's recipe and the experiment's changes to it."""
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
    command: str = "",
    progress: Progress | None = None,
) -> Run:
    """Evaluate an experiment and write ``result.json``, ``predictions.parquet``, ``report.html`` and ``model/``.

    Nothing is written before the evaluation is complete. An existing folder is taken only if it holds an earlier
    result or is empty.
    """
    folder = Path(out)
    require_folder(folder, "result.json", "result")
    windows = _read_and_cut(experiment, device, progress)
    done = evaluate(
        windows,
        experiment,
        jobs=jobs,
        device=device,
        force=force,
        progress=progress,
        command=command,
        data_hash=windows.fingerprint(),
    )
    with one_thread():
        result = explain(done.result, windows, done.models, progress) if analyses else done.result
        result.save(folder)
        if keep_model and done.models:
            save_models(windows, experiment, done, folder / "model", progress)
    return Run(result, folder, write(result, folder / "report.html"))


def _read_and_cut(experiment: Experiment, device: str, progress: Progress | None) -> Windows:
    """Check every name, then read and cut; what was damaged is in the windows' notes."""
    require_names(experiment, device)
    apply_recipe(info(experiment.data.name).recipe, experiment.recipe)
    problems: list[Problem] = []
    windows = cut_windows(experiment, read_recordings(experiment, problems, progress), progress)
    windows.note([f"{p.file}: {p.what}" for p in problems])
    return windows


def save_models(
    windows: Windows, experiment: Experiment, done: Evaluation, folder: Path, progress: Progress | None = None
) -> None:
    """Train on everything that is labelled and save: one model, or one a person under a personal protocol.

    ``folder`` belongs to an earlier result, if it is there, and is replaced. A person with one class has no model.
    """
    config = done.models[0].model.config
    scored = windows.take((windows.table["role"] == "scored").to_numpy())
    if not PROTOCOLS[experiment.protocol.name].personal:
        model = Estimator(config).fit(scored)
        with replacing(folder) as work:
            model.save(work)
        return
    people = sorted(scored.table["subject"].unique())
    with replacing(folder) as work:
        for i, person in enumerate(people):
            own = scored.take((scored.table["subject"] == person).to_numpy())
            if own.schema.continuous or len(set(own.y.tolist())) > 1:
                Estimator(config).fit(own).save(work / _file_name(person))
            if progress is not None:
                progress("personal models", i + 1, len(people))


def train_model(
    experiment: Experiment, out: str | Path, *, device: str = "cpu", progress: Progress | None = None
) -> tuple[Estimator, Windows]:
    """Train one model on all labelled windows of an experiment and save it."""
    require_folder(Path(out), "estimator.json", "model")
    windows = _read_and_cut(experiment, device, progress)
    scored = windows.take((windows.table["role"] == "scored").to_numpy())
    people = scored.table["subject"].nunique()
    group = ("subject",) if people > 2 else ("subject", "session", "trial")
    protocol = "within_subject" if people == 1 else "leave_one_subject_out"
    normaliser = experiment.model.normaliser or default_normaliser(windows, protocol)
    config = model_config(experiment, normaliser, group, device)
    with one_thread():
        estimator = Estimator(config).fit(scored, _named(progress, "training"))
    provenance = {"experiment": experiment.to_dict(), "data_hash": windows.fingerprint(), "people": int(people)}
    estimator.save(out, provenance)
    return estimator, scored


def predict_windows(model: Estimator, experiment: Experiment, progress: Progress | None = None) -> Windows:
    """Cut recordings as a saved model expects them; labels are not needed."""
    problems: list[Problem] = []
    recordings = read_recordings(experiment, problems, progress)
    windows = cut(
        recordings,
        model.recipe,
        None,
        traits=bool(model.schema.traits),
        schema=model.schema,
        progress=_named(progress, "cleaning trials"),
    )
    windows.note([f"{p.file}: {p.what}" for p in problems])
    return windows


def _file_name(person: str) -> str:
    """Turn a person's name into that of a folder of its own, the same for the same name."""
    plain = re.sub(r"[^\w.-]|^\.", "_", person) or "_"
    return plain if plain == person else f"{plain}-{zlib.crc32(person.encode()):08x}"


def _named(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return None if progress is None else (lambda done, total: progress(what, done, total))


def predict_table(model: Estimator, windows: Windows) -> pd.DataFrame:
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
