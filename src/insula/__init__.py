"""insula: personal emotion recognition from body signals, measured honestly.

Every name of ``__all__`` is imported when it is first used, so that ``import insula`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from insula import data, errors
    from insula.data import READERS, info, load
    from insula.data.readers.simulate import simulate
    from insula.evaluation.audit import audit
    from insula.evaluation.experiment import DataPart, Experiment, experiment_from, read_experiment
    from insula.evaluation.results import Result
    from insula.evaluation.run import evaluate
    from insula.learning.classical import ClassicalEstimator
    from insula.learning.classical_rows import CLASSICAL
    from insula.learning.estimator import Estimator, EstimatorConfig
    from insula.learning.making import make
    from insula.learning.saving import load_model
    from insula.learning.torch_module import from_torch
    from insula.learning.train_config import TrainConfig
    from insula.models import MODELS, build
    from insula.pipeline.running import run_experiment
    from insula.protocols.describing import describe
    from insula.protocols.fold import Fold, split
    from insula.protocols.protocols import PROTOCOLS
    from insula.registry import register
    from insula.signals.recipe import Recipe, SignalRecipe
    from insula.types import Batch, InputSpec, ModelOutput, Recording, Signal, Trial
    from insula.windows.cutting import cut
    from insula.windows.store import Store
    from insula.windows.table import Windows
    from insula.windows.targets import Target

__version__ = "0.1.0"

__all__ = [
    "CLASSICAL", "MODELS", "PROTOCOLS", "READERS", "Batch", "ClassicalEstimator", "DataPart", "Estimator",
    "EstimatorConfig", "Experiment", "Fold", "InputSpec", "ModelOutput", "Recipe", "Recording", "Result", "Signal",
    "SignalRecipe", "Store", "Target", "TrainConfig", "Trial", "Windows", "audit", "build", "cut", "data",
    "describe", "errors", "evaluate", "experiment_from", "from_torch",
    "info", "load", "load_model", "make", "read_experiment", "register",
    "run_experiment", "simulate", "split",
]  # fmt: skip

_MODULES = ("data", "errors")
_HOMES = {
    "data": ("READERS", "info", "load"),
    "data.readers.simulate": ("simulate",),
    "evaluation.audit": ("audit",),
    "evaluation.experiment": ("DataPart", "Experiment", "experiment_from", "from_torch", "read_experiment"),
    "evaluation.results": ("Result",),
    "evaluation.run": ("evaluate",),
    "learning.classical": ("ClassicalEstimator",),
    "learning.classical_rows": ("CLASSICAL",),
    "learning.estimator": ("Estimator", "EstimatorConfig"),
    "learning.making": ("make",),
    "learning.saving": ("load_model",),
    "learning.torch_module": ("from_torch",),
    "learning.train_config": ("TrainConfig",),
    "models": ("MODELS", "build"),
    "pipeline.running": ("run_experiment",),
    "protocols.describing": ("describe",),
    "protocols.fold": ("Fold", "split"),
    "protocols.protocols": ("PROTOCOLS",),
    "registry": ("register",),
    "signals.recipe": ("Recipe", "SignalRecipe"),
    "types": ("Batch", "InputSpec", "ModelOutput", "Recording", "Signal", "Trial"),
    "windows.cutting": ("cut",),
    "windows.store": ("Store",),
    "windows.table": ("Windows",),
    "windows.targets": ("Target",),
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
