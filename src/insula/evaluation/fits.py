"""One fit: a row of an evaluation trained on one fold, and what it answers for the fold's test windows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from insula.evaluation.adapting import Adapted, adapt
from insula.evaluation.rows import RowPlan
from insula.evaluation.tuning import choose
from insula.learning.classical import ClassicalEstimator
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.learner import Learner
from insula.learning.personal.tuning_weights import retrained
from insula.learning.prior import Weight, WithPrior
from insula.learning.train import History, one_thread
from insula.protocols.lending import lent
from insula.protocols.own_median import for_fold
from insula.protocols.protocols import PROTOCOLS, Split
from insula.windows.table import Windows

Task = tuple[Windows, Split, int, RowPlan]
"""Windows, fold, number of the fold, row."""
Tick = Callable[[float, float], None]
"""Called with (done, total) as a fit goes on."""


@dataclass(frozen=True)
class Fit:
    """What one fit left: probabilities (or values) of the test rows, parameters, seconds, the choice of tuning.

    ``histories`` are those of a network's members, ``gate`` is how much of a deep path was kept beside a convex
    readout, ``prior`` how much other people's prior counts, ``notes`` say for whom the normaliser had nothing to go by,
    ``kept`` is the model of a row whose models are to be kept, other people's prior included. Under a protocol that
    calibrates ``points`` are the answers of the calibration curve by name (see `insula.evaluation.adapting`),
    ``strategy`` is the one that inner people chose.
    """

    plan: str
    split: int
    predictions: Any
    parameters: int | None
    seconds: float
    chosen: int | None = None
    model: Estimator | None = None
    notes: tuple[str, ...] = ()
    histories: tuple[History, ...] = ()
    gate: float | None = None
    prior: float | None = None
    kept: Learner | None = None
    points: Mapping[str, Any] = field(default_factory=dict)
    strategy: str = ""


@one_thread()
def run_fold(windows: Windows, part: Split, index: int, plan: RowPlan, seed: int, tick: Tick | None = None) -> Fit:
    """Fit one row on one fold and predict its test windows, on one thread; ``tick`` hears how far a network is."""
    started = time.perf_counter()
    windows = windows if plan.traits else windows.without_traits()
    everything, windows = windows, for_fold(windows, part)
    training, test = windows.take(part.train), windows.take(part.test)
    chosen: int | None = None
    prior: float | None = None
    if plan.network is not None:
        config, before = _of_fold(plan.network, plan, index), 0
        if plan.tune is not None:
            before = len(plan.tune.candidates) * plan.tune.folds
            chosen, config = choose(training, config, plan.tune, part, plan.factory, _within(tick, 0, before + 1, True))
        row: Any = Estimator(config, plan.factory)
        told = _within(tick, before, before + 1)
    else:
        normaliser = "population" if plan.normaliser == "none" else plan.normaliser
        row = ClassicalEstimator(
            plan.classical or "", seed=seed, context=plan.context or False, normaliser=normaliser,
            quality=plan.quality, quality_share=plan.quality_share,
        )  # fmt: skip
        training, told = windows.take(part.train if plan.strategies else part.learned), None
    answers: Learner
    if plan.prior:
        answers = _with_prior(row, everything, part, plan.prior, seed, told)
        model, prior = answers.own, answers.weight
    else:
        model = row.fit(training, progress=told)
        if plan.network is not None and part.then is not None and part.calibration is None:
            model = retrained(model, windows.take(part.then), "all", seed, PROTOCOLS[part.name].then_epochs)
        answers = model
    adapted: Adapted | None = None
    if part.calibration is not None and (plan.network is not None or plan.strategies):
        adapted = adapt(model, windows, part, plan.strategies, seed, plan.curve)
        answer: Any = adapted.answer(max(part.calibration.given))
    else:
        answer = answers.predict(test) if windows.schema.continuous else answers.predict_proba(test)
    network = model if isinstance(model, Estimator) else None
    begun = None if network is None else network.begun
    return Fit(
        plan.name, index, np.asarray(answer), None if network is None else network.parameters,
        time.perf_counter() - started, chosen, network if plan.kind == "model" else None, model.notes,
        () if network is None else tuple(network.histories), None if begun is None else begun.gate, prior,
        answers if plan.keep else None,
        adapted.answers if adapted is not None and plan.strategies and plan.curve else {},
        "" if adapted is None else adapted.chosen,
    )  # fmt: skip


def _of_fold(config: EstimatorConfig, plan: RowPlan, index: int) -> EstimatorConfig:
    """The configuration with the teacher of a fold, which has not seen what the fold tests."""
    for elder in plan.elders:
        own = elder.model(index)
        config = replace(config, teacher=own) if elder.what == "teacher" else replace(config, start=own)
    return config


def _with_prior(
    row: Learner, windows: Windows, part: Split, weight: Weight, seed: int, told: Callable[[int, int], None] | None
) -> WithPrior:
    """Fit a row of a fold's person and the prior of others, who lend nothing of what the fold tests."""
    rows = np.union1d(part.learned, lent(windows, part))
    both = WithPrior(row, str(part.subject), weight, group=part.group, seed=seed)
    return both.fit(windows.take(rows), progress=told)


def _within(tick: Tick | None, before: int, parts: int, whole: bool = False) -> Callable[[int, int], None] | None:
    """Pass on how far one of ``parts`` trainings is, or with ``whole`` how many of them are done."""
    if tick is None:
        return None
    if whole:
        return lambda done, _: tick(done, parts)
    return lambda done, total: tick(before + done / total, parts)
