"""One name, one row: networks, classical rows and your own classes are made and read the same way."""

from __future__ import annotations

import importlib
from typing import Any

from insula.errors import InputError, unknown_name
from insula.learning.classical import row
from insula.learning.classical_rows import CLASSICAL
from insula.learning.estimator import Estimator, EstimatorConfig, ModelFactory
from insula.learning.learner import Learner
from insula.models import ENCODERS, MODELS, encoder_named


def make(name: str, *, factory: ModelFactory | None = None, **params: Any) -> Learner:
    """Make a row by name, not fitted.

    Parameters
    ----------
    name : a network or a classical row (`insula models` lists both), an encoder with the folder of its weights
        (``NAME:DIR``), or ``module:Class`` of your own network.
    factory : builds your own network from an InputSpec; ``name`` is then only what it is called.
    params : of the estimator (``size``, ``scope``, ``normaliser``, ``members``, ``seed``, ...), of training
        (``epochs``, ``learning_rate``, ...) or of the model itself; any of them may be searched over.
    """
    if factory is None and name.partition(":")[0] in ENCODERS:
        name, options = encoder_named(name) if ":" in name else (name, {})
        return Estimator(EstimatorConfig(model=name).with_params(False, **{**options, **params}))
    if factory is None and ":" in name:
        factory = _named(name)
    if factory is not None:
        return Estimator(EstimatorConfig().with_params(True, **params), factory)
    if name in CLASSICAL:
        return row(name, **params)
    if name not in MODELS:
        raise unknown_name("row", name, [*MODELS, *CLASSICAL, *ENCODERS])
    return Estimator(EstimatorConfig(model=name).with_params(**params))


def _named(name: str) -> ModelFactory:
    module, _, attribute = name.partition(":")
    try:
        found: ModelFactory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"model {name!r} ({error}); expected module:Class that can be imported.") from None
    return found
