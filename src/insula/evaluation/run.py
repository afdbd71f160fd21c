"""Evaluate systems on the same windows under one protocol: model, ablations, classical rows and the clock."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd

from insula.errors import ProtocolError
from insula.evaluation import declared
from insula.evaluation.calibration import CURVE, TITLES, Curve, curve_of, noted, systems_of
from insula.evaluation.elders import require_unseen
from insula.evaluation.experiment import Experiment
from insula.evaluation.finished import Finished
from insula.evaluation.fits import Fit
from insula.evaluation.folds import folds_of
from insula.evaluation.kept import KeptRow, keeps, kept_rows
from insula.evaluation.nulls import null_test
from insula.evaluation.results import Result
from insula.evaluation.rows import RowPlan, make_plans, require_names
from insula.evaluation.running import Told, run_tasks
from insula.evaluation.scores import mean_over_people
from insula.evaluation.system import System
from insula.evaluation.timing import clock_features
from insula.learning.estimator import Estimator, ModelFactory
from insula.learning.metrics import metrics_for
from insula.learning.prior import FEWEST
from insula.learning.train import History
from insula.models import card
from insula.notebook import counted
from insula.protocols.grouping import permuted_rows
from insula.protocols.own_median import decided, for_fold
from insula.protocols.protocols import Split, exchangeable_labellings
from insula.windows.table import Windows, label_text

_DRAWS = 100
"""Most orders of labels drawn for one shuffle."""
Progress = Callable[[str, float, int], None]
"""Called with (what, done, total); what goes on counts by its share."""


@dataclass(frozen=True)
class FoldModel:
    """The model of one fold, kept for the analyses of what it does on windows it has not seen.

    ``system`` is the row of the result that it answers for: without other people's prior, and under a protocol that
    calibrates the population's.
    """

    split: Split
    model: Estimator
    system: str


@dataclass(frozen=True)
class Evaluation:
    """A result, the fold models of its first row, and the rows whose fold models were to be kept."""

    result: Result
    models: tuple[FoldModel, ...]
    kept: tuple[KeptRow, ...] = ()


def evaluate(
    windows: Windows,
    experiment: Experiment,
    *,
    jobs: int = 1,
    device: str = "cpu",
    force: bool = False,
    progress: Progress | None = None,
    command: str = "",
    data_hash: str = "",
    factory: ModelFactory | None = None,
    keep: bool = False,
    finished: Finished | None = None,
) -> Evaluation:
    """Run every row of an experiment on the same windows and splits.

    Parameters
    ----------
    windows : cut from the experiment's data.
    jobs : processes; each fit runs on one thread, so that results do not depend on it.
    force : allow session scope where the protocol or a fixed schedule of stimuli speaks against it.
    progress : called with (what, done, total).
    data_hash : fingerprint of the windows, if it is known already.
    factory : builds your own network, as in `insula.Estimator`; it replaces the experiment's model.
    keep : also return the fold models of the first row, the best classical one and what stands in the network's place.
    finished : keeps each fit as it ends, and has those of an earlier run of the same experiment, data and program.

    Raises
    ------
    ProtocolError : the data do not allow the protocol, or the protocol not the scope.
    """
    started = time.perf_counter()
    require_names(experiment, device)
    splits = folds_of(windows, experiment)
    plans = make_plans(windows, experiment, splits[0], device, factory, force)
    require_unseen(plans[0].elders, experiment, windows, splits, data_hash)
    if keep:
        plans = [replace(plan, keep=plan is plans[0] or keeps(plan)) for plan in plans]
    windows.features()
    windows.present()
    tasks = [(windows, part, i, plan) for plan in plans for i, part in enumerate(splits)]
    folds = run_tasks(tasks, experiment.seed, jobs, _told(progress, "fits"), finished=finished)
    predictions = pd.concat(
        [prediction_table(windows, splits[f.split], f.plan, f.predictions) for f in folds], ignore_index=True
    )
    nulls: dict[str, Any] = {}
    if experiment.protocol.null:
        nulls[plans[0].name] = run_null(windows, plans[0], experiment, predictions, jobs, progress, finished)
    systems = tuple(_system(plan, [f for f in folds if f.plan == plan.name], splits[0].leaky) for plan in plans)
    curve = curve_of(windows, splits, [f for f in folds if f.plan == plans[0].name], plans[0].strategies)
    if curve is not None:
        systems, predictions = _with_points(windows, splits, curve, systems, folds, predictions)
    best = _declare(windows, plans, splits, experiment, systems, predictions, jobs, progress, finished)
    against, systems, predictions = best.name, best.systems, best.predictions
    result = Result(
        target=windows.schema.target,
        classes=windows.schema.classes,
        protocol={
            "name": experiment.protocol.name,
            "leaky": splits[0].leaky,
            "pooled": splits[0].subject is None,
            "folds": len(splits),
            "notes": list(dict.fromkeys((*splits[0].notes, *windows.notes))),
            "clocks": clock_features(windows.scored),
        },
        config={
            "experiment": experiment.to_dict(),
            "recipe": windows.recipe.to_dict(),
            **({"declared": [plans[0].name, against]} if against else {}),
        },
        provenance=_provenance(
            experiment, device, jobs, command, data_hash or windows.fingerprint(), time.perf_counter() - started
        ),
        systems=systems,
        predictions=predictions,
        nulls=nulls,
        analyses={} if curve is None else {CURVE: curve},
    )
    mine = [f for f in folds if f.plan == plans[0].name]
    models = [FoldModel(splits[f.split], f.model, result.modelled) for f in mine if f.model is not None]
    kept = kept_rows(plans, splits, {(f.plan, f.split): f.kept for f in folds}, best.chosen) if keep else ()
    return Evaluation(result, tuple(models), kept)


@dataclass(frozen=True)
class _Declared:
    """The row that the first one is compared with, the row it stands for in each fold, and the result with it."""

    name: str | None
    chosen: tuple[str, ...]
    systems: tuple[System, ...]
    predictions: pd.DataFrame


def _declare(
    windows: Windows,
    plans: Sequence[RowPlan],
    splits: Sequence[Split],
    experiment: Experiment,
    systems: tuple[System, ...],
    predictions: pd.DataFrame,
    jobs: int,
    progress: Progress | None,
    finished: Finished | None = None,
) -> _Declared:
    """Name the row that the first one is compared with, made from the classical rows where there are several."""
    rows = declared.candidates(plans)
    if len(rows) < 2 or not experiment.compare.declare:
        alone = rows[0].name if rows else None
        return _Declared(alone, (alone,) * len(splits) if alone else (), systems, predictions)
    inner = declared.inner_parts(windows, splits, experiment.seed)
    tasks = [(windows, part, i, row) for i, part in enumerate(inner) if part is not None for row in rows]
    stage, told = "inner fits", _told(progress, "inner fits")
    folds = run_tasks(tasks, experiment.seed, jobs, told, finished=finished, stage=stage, models=False)
    answers = {
        (task[3].name, task[1].fold): prediction_table(windows, task[1], task[3].name, fold.predictions)
        for task, fold in zip(tasks, folds, strict=True)
    }
    continuous = windows.schema.continuous
    chosen = declared.choose_rows(rows, inner, lambda row, part: answers[row.name, part.fold], continuous)
    row, table = declared.composite(chosen, splits, predictions, systems)
    whole = pd.concat([predictions, table], ignore_index=True)
    return _Declared(row.name, tuple(chosen), (*systems, row), whole)


def run_null(
    windows: Windows,
    plan: RowPlan,
    experiment: Experiment,
    predictions: pd.DataFrame,
    jobs: int,
    progress: Progress | None = None,
    finished: Finished | None = None,
) -> dict[str, Any]:
    """Refit a whole row on labels permuted between whole trials inside each person, and test its score against them.

    The splits are made anew for each shuffle, since stratified folds depend on the labels.
    """
    schema = windows.schema
    metric = metrics_for(schema.continuous)[0]
    own = predictions[predictions["system"] == plan.name]
    rng = np.random.default_rng(experiment.seed + 1)
    plan = replace(plan, curve=False)
    shuffles, parts = [], []
    for _ in range(experiment.protocol.null):
        shuffled, dealt = _shuffled(windows, experiment, rng)
        shuffles.append(shuffled)
        parts.append(dealt)
    tasks = [(s, p, i, plan) for s, ps in zip(shuffles, parts, strict=True) for i, p in enumerate(ps)]
    stage, told = "null test", _told(progress, "null test")
    answers = run_tasks(tasks, experiment.seed, jobs, told, finished=finished, stage=stage, models=False)
    scores, place = [], 0
    for shuffled, ps in zip(shuffles, parts, strict=True):
        folds = answers[place : place + len(ps)]
        place += len(ps)
        tables = [prediction_table(shuffled, ps[f.split], plan.name, f.predictions) for f in folds]
        scores.append(mean_over_people(pd.concat(tables, ignore_index=True), metric).mean)
    found = null_test(
        mean_over_people(own, metric).mean,
        scores,
        chance=0.0 if schema.continuous else 1 / len(schema.classes),
        labellings=exchangeable_labellings(decided(windows).table),
    )
    return {**asdict(found), "scores": scores, "text": found.text}


def _shuffled(windows: Windows, experiment: Experiment, rng: np.random.Generator) -> tuple[Windows, list[Split]]:
    """Labels in another order, drawn again where the protocol cannot deal them."""
    for draw in range(_DRAWS):
        found = windows.from_rows(permuted_rows(windows.table, rng))
        try:
            return found, folds_of(found, experiment)
        except ProtocolError:
            if draw == _DRAWS - 1:
                raise
    raise AssertionError


def _with_points(
    windows: Windows,
    splits: Sequence[Split],
    curve: Curve,
    systems: tuple[System, ...],
    folds: Sequence[Fit],
    predictions: pd.DataFrame,
) -> tuple[tuple[System, ...], pd.DataFrame]:
    """Give every strategy and control of the first row a row of its own, at the largest amount."""
    first, rows = noted(systems[0], curve), systems_of(systems[0], curve)
    tables = [predictions]
    for fit in folds:
        if fit.points:
            tables += [
                prediction_table(windows, splits[fit.split], one.name, fit.points[at])
                for one, at in rows
                if at in fit.points
            ]
    return (first, *(one for one, _ in rows), *systems[1:]), pd.concat(tables, ignore_index=True)


def prediction_table(windows: Windows, part: Split, system: str, answer: Any) -> pd.DataFrame:
    """Name every single prediction of one fold."""
    windows = for_fold(windows, part)
    rows = windows.table.iloc[part.test].reset_index(drop=True)
    columns = ["subject", "session", "trial", "stimulus", "trial_index", "start_s", "stop_s", "elapsed_s"]
    table = rows[columns].copy()
    table.insert(0, "system", system)
    table.insert(1, "fold", part.fold)
    table["y_true"] = [label_text(windows.schema, v) for v in rows["y"]]
    if windows.schema.continuous:
        table["y_pred"] = answer
        return table
    table["y_pred"] = [windows.schema.classes[i] for i in answer.argmax(1)]
    for k, name in enumerate(windows.schema.classes):
        table[f"p_{name}"] = answer[:, k]
    if windows.mix is not None:
        for k, name in enumerate(windows.schema.classes):
            table[f"t_{name}"] = windows.mix[part.test, k].astype(np.float64)
    return table


def _system(plan: RowPlan, folds: list[Fit], leaky: bool) -> System:
    parameters = next((f.parameters for f in folds if f.parameters is not None), None)
    notes = []
    if plan.scope == "session":
        notes.append("state carried across the session: it can read the clock")
    notes += [elder.note for elder in plan.elders]
    if plan.network is not None and plan.factory is None:
        others = card(plan.network.model).pretraining
        notes += [] if others is None else [others.note]
    ways = pd.Series([TITLES[f.strategy] for f in folds if f.strategy], dtype=str).value_counts()
    if len(ways) and not (plan.strategies and plan.curve):  # the first row's note says more
        how = "strategy chosen on inner people" if plan.strategies else "the usual strategy for every row but the first"
        told = ", ".join(f"{way} ({n})" for way, n in ways.items())
        notes.append(f"adapted with the largest amount of labels; {how}: {told}")
    picks = [f.chosen for f in folds if f.chosen is not None]
    if picks:
        notes.append("tuned on inner people; candidate chosen a fold: " + ", ".join(map(str, picks)))
    histories = [h for f in folds for h in f.histories]
    alone, trained = sum(f.gate == 0 for f in folds), [h for h in histories if h.steps]
    late = sum(not h.converged for h in trained)
    if late:
        rounds = plan.network.train.rounds if plan.network is not None else 1
        more = f"train.rounds={rounds} was not enough" if rounds > 1 else "train.rounds trains on while the loss falls"
        notes.append(f"not converged in {late} of {len(trained)} trainings; {more}")
    notes += _without_labels(trained)
    weights = [f.prior for f in folds if f.prior is not None]
    prior = _counted(weights)
    if weights:
        how = f", chosen on inner people where there are {FEWEST} or more" if plan.prior == "inner" else ""
        notes.append(f"weight of other people's prior: {prior}{how}")
    fallbacks = tuple(dict.fromkeys(n for f in folds for n in f.notes))
    notes += [f"normaliser {plan.normaliser}: {n}" for n in fallbacks]
    return System(
        name=plan.name,
        title=plan.title,
        kind=plan.kind,
        scope=plan.scope,
        normaliser=plan.normaliser,
        leaky=leaky,
        transductive=plan.normaliser == "whole_session",
        parameters=parameters,
        seconds=float(sum(f.seconds for f in folds)),
        notes=tuple(notes),
        role=plan.role,
        steps=min((h.steps for h in trained or histories), default=None),
        loss=float(np.mean([h.train[-1] for h in histories])) if histories else None,
        converged=not late if histories else None,
        fallbacks=fallbacks,
        readout_alone=alone,
        fits=len(folds),
        prior=prior,
    )


def _without_labels(trained: Sequence[History]) -> list[str]:
    """How long networks learned without labels before they learned with them, and how far the loss of that fell."""
    own = [h for h in trained if h.unlabelled]
    if not own:
        return []
    first, last = (float(np.mean([h.unlabelled[at] for h in own])) for at in (0, -1))
    long = f"{counted(len(own[0].unlabelled), 'epoch')}, {counted(min(h.unlabelled_steps for h in own), 'step')}"
    return [f"{long} without labels before those with them; loss of what was hidden {first:.3f}, at the end {last:.3f}"]


def _counted(weights: list[float]) -> str:
    """The weights of a prior, with how many fits had each where they differ."""
    found = sorted(set(weights))
    if len(found) < 2:
        return "".join(f"{w:g}" for w in found)
    return ", ".join(f"{w:g} in {weights.count(w)} of {len(weights)} fits" for w in found)


def _told(progress: Progress | None, what: str) -> Told | None:
    return None if progress is None else (lambda done, total: progress(what, done, total))


def _provenance(
    experiment: Experiment, device: str, jobs: int, command: str, data_hash: str, seconds: float
) -> dict[str, Any]:
    versions = {}
    for name in ("insula", "torch", "numpy", "scipy", "scikit-learn", "mne", "neurokit2", "pandas", "numba"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "versions": {**versions, "python": platform.python_version()},
        "platform": platform.platform(),
        "seed": experiment.seed,
        "data_hash": data_hash,
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device,
        "threads_per_fit": 1,
        "jobs": jobs,
        "seconds": round(seconds, 1),
    }
