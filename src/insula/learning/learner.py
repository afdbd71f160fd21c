"""What every row can do, network or classical: scikit-learn's manners on Windows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from insula.errors import InputError
from insula.learning.metrics import person_mean
from insula.types import DoubleArray, FloatArray, IntArray, Schema

if TYPE_CHECKING:
    from insula.learning.personal.personal import Personal
    from insula.signals.recipe import Recipe
    from insula.windows.table import Windows


class Learner(ABC):
    """A row of an evaluation: `insula.make` makes one by name.

    It is fitted on Windows, whose own ``y`` (class codes, or numbers) is learned unless another is given, and keeps to
    scikit-learn: `sklearn.base.clone`, ``cross_val_score`` with ``groups`` and ``GridSearchCV`` take it as it is.
    """

    schema: Schema
    recipe: Recipe

    @abstractmethod
    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Everything that makes the row, by name."""

    @abstractmethod
    def set_params(self, **params: Any) -> Learner:
        """Change what makes the row; it must be fitted again."""

    @abstractmethod
    def fit(self, windows: Windows, y: Any = None, *, progress: Callable[[int, int], None] | None = None) -> Learner:
        """Learn from the scored ones of these windows."""

    @abstractmethod
    def predict_proba(self, windows: Windows) -> DoubleArray:
        """Probability of each class, (windows, K)."""

    @abstractmethod
    def predict(self, windows: Windows) -> Any:
        """Class code of each window, or the value of a continuous target."""

    @abstractmethod
    def save(self, folder: str | Path, provenance: Mapping[str, Any] | None = None) -> Path:
        """Write a folder that `insula.load_model` reads."""

    @abstractmethod
    def clone(self) -> Learner:
        """Return the same row, not fitted."""

    @property
    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """Where something stood in for what was missing, person by person."""

    def embed(self, windows: Windows) -> FloatArray:  # noqa: ARG002
        """What the row makes of each window before it decides, (windows, H)."""
        raise InputError(f"an embedding of {self!r}; expected a network, or a row on signals. Use another row.")

    def of_person(self, windows: Windows) -> Learner:  # noqa: ARG002
        """The same row with the own level of these windows' people, labelled or not, in the population's place."""
        raise InputError(f"the own level of a person for {self!r}; expected a row on signals. Use another row.")

    def personalise(
        self, windows: Windows, strategy: str = "bayes", seed: int = 0, others: Windows | None = None
    ) -> Personal:
        """Make a model of one person's own from this population model and the person's labelled windows.

        ``strategy`` is a name of `insula.learning.personal.personal.STRATEGIES`; ``others`` are labelled windows of the
        people it was trained on, for the strategy that looks for similar ones.
        """
        from insula.learning.personal.personal import personalise

        return personalise(self, windows, strategy, seed, others)

    @property
    def classes_(self) -> IntArray:
        """Codes of the classes, in the order of the probabilities; their names are ``schema.classes``."""
        if not hasattr(self, "schema"):
            raise InputError(f"classes of {self!r}; expected a fitted row. Call fit first.")
        return np.arange(len(self.schema.classes))

    def score(self, windows: Windows, y: Any = None) -> float:
        """Mean over people of balanced accuracy, or of CCC for a continuous target."""
        true = windows.y if y is None else np.asarray(y)
        return person_mean(windows.table["subject"].to_numpy(), true, self.predict(windows), not len(self.classes_))

    def __sklearn_clone__(self) -> Learner:
        return self.clone()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "schema")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        continuous = hasattr(self, "schema") and self.schema.continuous
        return Tags(
            estimator_type="regressor" if continuous else "classifier",
            target_tags=TargetTags(required=False),
            classifier_tags=None if continuous else ClassifierTags(),
            regressor_tags=RegressorTags() if continuous else None,
            input_tags=InputTags(two_d_array=False, allow_nan=True),
        )

    def __repr__(self) -> str:
        told = self._told()
        name = next(told.pop(key) for key in ("model", "name") if key in told)
        shown = "".join(f", {k}={v!r}" for k, v in told.items())
        fitted = f", fitted on {self.schema.target}" if hasattr(self, "schema") else ""
        return f"<{name}{shown}{fitted}>"

    @abstractmethod
    def _told(self) -> dict[str, Any]:
        """The name, and the parameters that differ from their defaults."""
