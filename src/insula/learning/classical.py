"""Classical rows and baselines behind the Estimator's own interface: fit, predict_proba, predict."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from insula.errors import InputError, unknown_name
from insula.learning.classical_models import CLOCKS, build_row
from insula.learning.classical_rows import CLASSICAL
from insula.learning.connectivity import connectivity_columns
from insula.learning.learner import Learner
from insula.learning.level import Normaliser, Reader, running_mean, stacked
from insula.learning.mixed import fit_mixed
from insula.learning.riemann import TangentReader
from insula.learning.signal_free import by_stimulus, clock_columns
from insula.learning.tuning import inner_scores
from insula.learning.weighing import Quality, require_quality, trained_on, weights
from insula.protocols.fold import terms_of
from insula.protocols.own_median import decided
from insula.types import BoolArray, DoubleArray, FloatArray

if TYPE_CHECKING:
    from insula.windows.table import Windows

Context = Literal["trial", "session"]


class ClassicalEstimator(Learner):
    """Fit and use one classical row on Windows.

    Parameters
    ----------
    name : of `CLASSICAL`.
    context : False, ``"trial"`` (or True) to add the causal mean of every column since the trial began, ``"session"``
        to add that since the session began (session scope).
    normaliser : kind of `Normaliser`, None for that of the windows' fold (see `terms_of`); rows without signals ignore
        it.
    traits : add the people's traits as columns.
    options : changes to the row's options.
    tune : values to try by option; the best on inner groups of the training windows is used.
    group : columns that the inner split of ``tune`` keeps whole, None for those of the windows' fold.
    quality, quality_share : what becomes of spoiled training windows, as in `TrainConfig`; majority and prior do not
        weigh.
    """

    def __init__(
        self,
        name: str,
        *,
        seed: int = 0,
        context: bool | Context = False,
        normaliser: str | None = None,
        traits: bool = False,
        options: Mapping[str, float] | None = None,
        tune: Mapping[str, Sequence[float]] | None = None,
        group: Sequence[str] | None = None,
        quality: Quality = "keep",
        quality_share: float = 0.5,
    ) -> None:
        if name not in CLASSICAL:
            raise unknown_name("classical row", name, CLASSICAL)
        if context not in (False, True, "trial", "session"):
            raise InputError(f"context {context!r}; expected False, 'trial' or 'session'. Use 'trial'.")
        self.info = CLASSICAL[name]
        for key in (*(options or {}), *(tune or {})):
            if key not in self.info.options:
                raise unknown_name(f"option of {name}", key, self.info.options)
        require_quality(quality, quality_share)
        self.quality, self.quality_share = quality, quality_share
        self.seed = seed
        self.context: Context | None = "trial" if context is True else context or None
        self.asked = normaliser
        self.kind = normaliser or "opening"
        self.traits = traits
        self.changed = dict(options or {})
        self.options = {**self.info.options, **self.changed}
        self.tune = dict(tune or {})
        self.group = None if group is None else tuple(group)
        self._fitted = False

    @property
    def scope(self) -> str:
        """How far the row looks back: ``none``, ``window``, ``trial`` or ``session``."""
        if self.info.inputs in ("none", "stimulus"):
            return "none"
        if self.info.inputs in CLOCKS or self.context == "session" or Normaliser(self.kind).scope == "session":
            return "session"
        return "trial" if self.context else "window"

    def fit(
        self,
        windows: Windows,
        y: Any = None,
        *,
        progress: Callable[[int, int], None] | None = None,  # noqa: ARG002
    ) -> ClassicalEstimator:
        """Train on the scored rows of these windows, without or with less of those that ``quality`` is about.

        ``y`` replaces the windows' own labels (class codes or numbers).
        """
        windows = windows if y is None else windows.with_y(np.asarray(y))
        rows = np.flatnonzero(windows.table["role"].to_numpy() == "scored")
        if not rows.size:
            raise InputError(f"{self.info.name} without scored training windows; expected some. Check the split.")
        training = decided(windows if rows.size == len(windows) else windows.take(rows))
        training = trained_on(training, self.quality, self.quality_share)
        self._require(training)
        if self.asked is None and self.info.sees:
            self.kind = terms_of(training).normaliser
        self.schema, self.recipe = training.schema, training.recipe
        self.options = {**self.info.options, **self.changed}
        if self.tune:
            self.options = self._tuned(training)
        y = training.y
        x = self._learn_columns(training)
        self.classes = np.unique(y) if not self.schema.continuous else np.empty(0, np.int64)
        if self.schema.continuous:
            self.constant = float(np.median(y) if self.info.name == "majority" else np.mean(y))
        else:
            share = np.bincount(y, minlength=len(self.schema.classes)) / len(y)
            share = share if training.mix is None else training.mix.mean(0, dtype=np.float64)
            one_hot = np.eye(len(share))[share.argmax()]
            self.share = one_hot if self.info.name == "majority" else share
        self.model: Any = None
        self.by_stimulus: dict[str, Any] = {}
        if self.info.inputs == "stimulus":
            self.by_stimulus = by_stimulus(training)
        elif self.info.inputs != "none" and (self.schema.continuous or self.classes.size > 1):
            make = self.info.make or partial(build_row, self.info.name)
            self.model = make(self.options, self.schema.continuous, self.seed, len(y))
            heavy = weights(training) if self.quality == "weigh" else None
            with one_thread():
                if training.mix is None or not fit_mixed(self.model, x, training.mix, heavy):
                    self.model.fit(x, y, **({} if heavy is None else {"sample_weight": heavy}))
        self._fitted = True
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """What makes the row, by name, the model's own options among it."""
        return {
            "name": self.info.name, "seed": self.seed, "context": self.context or False, "normaliser": self.asked,
            "traits": self.traits, "tune": self.tune or None, "group": self.group, "quality": self.quality,
            "quality_share": self.quality_share, **self.info.options, **self.changed,
        }  # fmt: skip

    def set_params(self, **params: Any) -> ClassicalEstimator:
        """Change what makes the row; it must be fitted again."""
        self.__dict__.update(vars(row(**{**self.get_params(), **params})))
        return self

    def clone(self) -> ClassicalEstimator:
        """Return the same row, not fitted."""
        return row(**self.get_params())

    def save(self, folder: str | Path, provenance: Mapping[str, Any] | None = None) -> Path:
        """Write the fitted row into a folder that `insula.load_model` reads."""
        from insula.learning.saving import save_row

        return save_row(self, folder, provenance)

    @property
    def notes(self) -> tuple[str, ...]:
        """Where the training people stood in for a person's own level."""
        found = getattr(self, "normaliser", None)
        return () if found is None else (*found.notes, *getattr(found.read, "notes", ()))

    def _told(self) -> dict[str, Any]:
        usual = ClassicalEstimator(self.info.name).get_params()
        return {k: v for k, v in self.get_params().items() if k == "name" or v != usual[k]}

    def predict_proba(self, windows: Windows) -> DoubleArray:
        """Probability of each class of the schema, (windows, K); classes that training lacked get 0."""
        self._require_fitted(windows)
        if self.schema.continuous:
            raise InputError(
                f"predict_proba for the continuous target {self.schema.target!r}; expected classes. Use predict."
            )
        out = np.zeros((len(windows), len(self.schema.classes)))
        if self.model is None:
            out[:] = self.share
            for place, found in self._stimuli(windows):
                out[place] = found
            return out
        x = self.columns(windows)
        with one_thread():
            soft = hasattr(self.model, "predict_proba")
            answer = self.model.predict_proba(x) if soft else _softmax(self.model.decision_function(x))
        out[:, self.model.classes_] = answer
        return out

    def embed(self, windows: Windows) -> FloatArray:
        """The columns that the model reads, (windows, F)."""
        self._require_fitted(windows)
        return np.asarray(self.columns(windows), np.float32) if self.info.sees else super().embed(windows)

    def of_person(self, windows: Windows) -> ClassicalEstimator:
        """The same row with the own level of these windows' people, labelled or not, in the population's place."""
        self._require_fitted(windows)
        if self.normaliser is None:
            super().of_person(windows)
        out = copy.copy(self)
        out.normaliser = None if self.normaliser is None else self.normaliser.of_person(windows)
        return out

    def predict(self, windows: Windows) -> Any:
        """Most probable class code of each window, or the value of a continuous target."""
        self._require_fitted(windows)
        if not self.schema.continuous:
            return self.predict_proba(windows).argmax(axis=1).astype(np.int64)
        if self.model is None:
            values = np.full(len(windows), self.constant)
            for place, found in self._stimuli(windows):
                values[place] = found
            return values
        with one_thread():
            return np.asarray(self.model.predict(self.columns(windows)), np.float64)

    def _stimuli(self, windows: Windows) -> list[tuple[BoolArray, Any]]:
        """Windows of each stimulus that training knew, and what it answers for them."""
        names = windows.table["stimulus"].astype(object).to_numpy()
        return [(names == name, found) for name, found in self.by_stimulus.items()]

    # -- columns ---------------------------------------------------------------------------------------------------

    def _learn_columns(self, windows: Windows) -> DoubleArray:
        """Fit normaliser, medians and scale on training windows; return their columns (windows, F)."""
        self.normaliser: Normaliser | None = None
        if self.info.sees:
            read: Reader = stacked
            if self.info.inputs == "covariance":
                align = "riemannian" if self.options.get("recentre") else "none"
                read = TangentReader(int(self.options.get("delays", 1)), align, self.kind).fit(windows)
            elif self.info.inputs == "connectivity":
                read = connectivity_columns
            self.normaliser = Normaliser(self.kind, read).fit(windows)
        raw = self._raw(windows)
        self.kept: BoolArray = np.asarray(np.isfinite(raw).any(axis=0))
        if self.normaliser is not None and not self.kept.any():
            raise InputError(f"{self.info.name} without a valid feature in training; expected some. Check the signals.")
        raw = raw[:, self.kept]
        self.median = np.nanmedian(raw, axis=0) if raw.shape[1] else np.empty(0)
        filled = np.where(np.isfinite(raw), raw, self.median)
        self.centre = filled.mean(axis=0)
        spread = filled.std(axis=0)
        self.spread = np.where(spread > 1e-9, spread, 1.0)
        return np.asarray((filled - self.centre) / self.spread)

    def columns(self, windows: Windows) -> DoubleArray:
        """Columns as the fitted model reads them: normalised, filled and standardised, (windows, F)."""
        raw = self._raw(windows)[:, self.kept]
        return np.asarray((np.where(np.isfinite(raw), raw, self.median) - self.centre) / self.spread)

    def _raw(self, windows: Windows) -> DoubleArray:
        if self.info.inputs in CLOCKS:
            return clock_columns(windows, CLOCKS[self.info.inputs])
        if self.normaliser is None:
            return np.empty((len(windows), 0))
        parts = [self.normaliser.features(windows).astype(np.float64)]
        if self.context:
            parts.append(self._context(windows, self.normaliser))
        if self.traits:
            parts.append(np.asarray(windows.traits(), np.float64))
        return np.hstack(parts)

    def _context(self, windows: Windows, normaliser: Normaliser) -> DoubleArray:
        """Causal mean of the normalised features since the trial or session began, (windows, F)."""
        columns = ["subject", "session", "trial"] if self.context == "trial" else ["subject", "session"]
        everything = windows.everything()
        wanted = set(windows.table[columns].itertuples(index=False, name=None))
        keys = list(everything.table[columns].itertuples(index=False, name=None))
        around = everything.take(np.flatnonzero([k in wanted for k in keys]))
        unit = np.asarray(around.table.groupby(columns, sort=False).ngroup(), np.int64)
        values = normaliser.features(around).astype(np.float64)
        means = running_mean(values, unit, around.table["stop_s"].to_numpy(np.float64))
        position = {int(row): i for i, row in enumerate(around.rows)}
        return np.asarray(means[[position[int(row)] for row in windows.rows]])

    # -- choosing and checking -------------------------------------------------------------------------------------

    def _tuned(self, training: Windows) -> dict[str, float]:
        """Best options by mean score over people of three inner splits; ties go to the earlier one."""
        names = list(self.tune)
        tried = [dict(zip(names, values, strict=True)) for values in product(*(self.tune[n] for n in names))]
        group = self.group if self.group is not None else terms_of(training).group
        plain = {**self.get_params(), "tune": None, "normaliser": self.kind}
        makers = [partial(row, **{**plain, **candidate}) for candidate in tried]
        scores = inner_scores(training, group, [self.seed + inner for inner in range(3)], makers)
        return {**self.options, **tried[int(scores.argmax())]}

    def _require(self, windows: Windows) -> None:
        if windows.schema.continuous and not self.info.continuous:
            raise InputError(f"{self.info.name} for a continuous target; expected classes. Use ridge or random_forest.")
        if not windows.schema.continuous and not self.info.discrete:
            raise InputError(f"{self.info.name} for classes; expected a continuous target. Use logistic_regression.")

    def _require_fitted(self, windows: Windows) -> None:
        if not self._fitted:
            raise InputError(f"{self.info.name} that was not fitted; expected fit before. Call fit first.")
        self.schema.require(windows.schema, "the model", "the data")


def row(name: str, **params: Any) -> ClassicalEstimator:
    """Make a classical row; parameters that are not the row's own are options of its model."""
    own = {k: params[k] for k in params if k in _OWN}
    return ClassicalEstimator(name, options={k: v for k, v in params.items() if k not in own}, **own)


_OWN = ("seed", "context", "normaliser", "traits", "tune", "group", "quality", "quality_share")


def one_thread() -> AbstractContextManager[Any]:
    """Keep scikit-learn on one thread: the same numbers everywhere, and no waiting for cores that others use."""
    return _thread_pools().limit(limits=1)  # type: ignore[no-any-return]


@cache
def _thread_pools() -> Any:
    import sklearn.ensemble  # noqa: F401  loads every library whose threads are to be found
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


def _softmax(decision: DoubleArray) -> DoubleArray:
    """Probabilities from decision values (windows,) of two classes or (windows, K)."""
    scores = np.column_stack([-decision, decision]) if decision.ndim == 1 else decision
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
