"""insula: personal emotion recognition from body signals, measured honestly.

Every name of ``__all__`` is imported when it is first used, so that ``import insula`` costs next to nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from insula import data, errors
    from insula.audit import audit
    from insula.classical import CLASSICAL, ClassicalEstimator
    from insula.cutting import cut
    from insula.data import READERS, describe, info, load
    from insula.data.simulate import simulate
    from insula.estimator import Estimator, EstimatorConfig
    from insula.evaluate import evaluate
    from insula.experiment import DataPart, Experiment, experiment_from, read_experiment
    from insula.models import MODELS, build
    from insula.pipeline import run_experiment
    from insula.protocols import PROTOCOLS, split
    from insula.recipe import Recipe, SignalRecipe
    from insula.results import Result
    from insula.store import Store
    from insula.targets import Target
    from insula.train import TrainConfig
    from insula.types import Batch, InputSpec, ModelOutput, Recording, Signal, Trial
    from insula.windows import Windows

__version__ = "0.1.0"

__all__ = [
    "CLASSICAL", "MODELS", "PROTOCOLS", "READERS", "Batch", "ClassicalEstimator", "DataPart", "Estimator",
    "EstimatorConfig", "Experiment", "InputSpec", "ModelOutput", "Recipe", "Recording", "Result", "Signal",
    "SignalRecipe", "Store", "Target", "TrainConfig", "Trial", "Windows", "audit", "build", "cut", "data", "describe",
    "errors", "evaluate", "experiment_from", "info", "load", "read_experiment", "run_experiment", "simulate", "split",
]  # fmt: skip

_MODULES = ("data", "errors")
_HOMES = {
    "audit": ("audit",),
    "classical": ("CLASSICAL", "ClassicalEstimator"),
    "cutting": ("cut",),
    "data": ("READERS", "describe", "info", "load"),
    "data.simulate": ("simulate",),
    "estimator": ("Estimator", "EstimatorConfig"),
    "evaluate": ("evaluate",),
    "experiment": ("DataPart", "Experiment", "experiment_from", "read_experiment"),
    "models": ("MODELS", "build"),
    "pipeline": ("run_experiment",),
    "protocols": ("PROTOCOLS", "split"),
    "recipe": ("Recipe", "SignalRecipe"),
    "results": ("Result",),
    "store": ("Store",),
    "targets": ("Target",),
    "train": ("TrainConfig",),
    "types": ("Batch", "InputSpec", "ModelOutput", "Recording", "Signal", "Trial"),
    "windows": ("Windows",),
}
"""Module -> the public names that live in it."""
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"insula.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'insula' has no attribute {name!r}")
    value = getattr(import_module(f"insula.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *globals()})


class _Package(ModuleType):
    """Keeps ``insula.evaluate`` and ``insula.audit`` the functions when the modules of these names are imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _HOME_OF.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
