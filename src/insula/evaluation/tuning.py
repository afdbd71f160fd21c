"""Choose among candidates on inner splits of the training windows, grouped exactly like the outer split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from insula.errors import InputError, unknown_name
from insula.evaluation.experiment import Tune, checked
from insula.learning.estimator import Estimator, EstimatorConfig, ModelFactory
from insula.learning.level import Normaliser
from insula.learning.metrics import balanced_accuracy, ccc
from insula.learning.train import TrainConfig
from insula.protocols.protocols import Split, inner_split
from insula.windows.table import Windows

_OWN = ("size", "normaliser", "members")


def choose(
    training: Windows, base: EstimatorConfig, tune: Tune, part: Split, factory: ModelFactory | None = None
) -> tuple[int, EstimatorConfig]:
    """Score every candidate on inner splits and return the best one's number and configuration.

    The score is the mean over the held-out people of balanced accuracy (CCC for a continuous target). Ties go to the
    earlier candidate. The outer test windows are not among ``training``.
    """
    rows = np.arange(len(training))
    scores = np.zeros(len(tune.candidates))
    for inner in range(tune.folds):
        chosen, held_out = inner_split(training.table, rows, part.group, base.seed + 17 * (inner + 1), 0.3)
        for i, candidate in enumerate(tune.candidates):
            config = with_candidate(base, candidate)
            model = Estimator(config, factory).fit(training.take(chosen))
            scores[i] += _score(model, training.take(held_out))
    best = int(np.argmax(scores))
    return best, with_candidate(base, tune.candidates[best])


def with_candidate(base: EstimatorConfig, candidate: Mapping[str, Any]) -> EstimatorConfig:
    """Put a candidate's keys where they belong: ``train`` keys, estimator keys, and ``options`` of the model."""
    train_keys = [f.name for f in fields(TrainConfig)]
    train = checked("tune key", TrainConfig, {k: v for k, v in candidate.items() if k in train_keys})
    own = {k: v for k, v in candidate.items() if k in _OWN}
    options = dict(candidate.get("options", {}))
    for key in candidate:
        if key not in train and key not in own and key != "options":
            raise unknown_name("tune key", key, [*train_keys, *_OWN, "options"])
    if Normaliser(own.get("normaliser", "population")).scope == "session":
        raise InputError(
            f"tune normaliser {own['normaliser']!r}; expected one of trial scope, since the row would not be marked. "
            "Set it in [model]."
        )
    return replace(base, train=replace(base.train, **train), options={**dict(base.options or {}), **options}, **own)


def _score(model: Estimator, held_out: Windows) -> float:
    answers = model.predict(held_out)
    people = held_out.table["subject"].to_numpy()
    metric = ccc if held_out.schema.continuous else balanced_accuracy
    scores = [metric(held_out.y[people == p], answers[people == p]) for p in np.unique(people)]
    return float(np.mean(np.nan_to_num(scores)))  # a person whose target does not vary has no CCC
