"""Choose among candidates on inner splits of the training windows, grouped exactly like the outer split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np

from insula.errors import InputError, unknown_name
from insula.evaluation.experiment import Tune, checked
from insula.learning.estimator import Estimator, EstimatorConfig, ModelFactory
from insula.learning.level import Normaliser
from insula.learning.train_config import TrainConfig
from insula.learning.tuning import inner_scores
from insula.protocols.protocols import Split
from insula.windows.table import Windows

_OWN = ("size", "normaliser", "members")
_TAUGHT = ("teacher_share", "teacher_temperature")


def choose(
    training: Windows,
    base: EstimatorConfig,
    tune: Tune,
    part: Split,
    factory: ModelFactory | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, EstimatorConfig]:
    """Score every candidate on inner splits and return the best one's number and configuration.

    The score is the mean over the held-out people of balanced accuracy (CCC for a continuous target). Ties go to the
    earlier candidate. The outer test windows are not among ``training``. Inner fits have no teacher, who may have
    learned from the people held out.
    """
    configs = [with_candidate(base, candidate) for candidate in tune.candidates]
    scores = inner_scores(
        training,
        part.group,
        [base.seed + 17 * (inner + 1) for inner in range(tune.folds)],
        [partial(Estimator, replace(config, teacher=None), factory) for config in configs],
        progress,
    )
    best = int(np.argmax(scores))
    return best, configs[best]


def with_candidate(base: EstimatorConfig, candidate: Mapping[str, Any]) -> EstimatorConfig:
    """Put a candidate's keys where they belong: ``train`` keys, estimator keys, and ``options`` of the model."""
    train_keys = [f.name for f in fields(TrainConfig)]
    train = checked("tune key", TrainConfig, {k: v for k, v in candidate.items() if k in train_keys})
    own = {k: v for k, v in candidate.items() if k in _OWN}
    options = dict(candidate.get("options", {}))
    for key in candidate:
        if key in _TAUGHT:
            raise InputError(
                f"tune key {key}; expected one that inner fits use, which have no teacher. Set it in [train]."
            )
        if key == "unlabelled_epochs":
            raise InputError(
                f"tune key {key}; expected one that leaves the row's name true. Set it in [train], which puts the same "
                "row without it beside."
            )
        if key not in train and key not in own and key != "options":
            raise unknown_name("tune key", key, [*train_keys, *_OWN, "options"])
    if Normaliser(own.get("normaliser", "population")).scope == "session":
        raise InputError(
            f"tune normaliser {own['normaliser']!r}; expected one of trial scope, since the row would not be marked. "
            "Set it in [model]."
        )
    return replace(base, train=replace(base.train, **train), options={**dict(base.options or {}), **options}, **own)
