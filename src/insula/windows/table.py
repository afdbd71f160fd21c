"""Windows: the lazy table between recordings and models; every window lies inside one trial."""

from __future__ import annotations

import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from insula.errors import InputError
from insula.notebook import facts_html
from insula.signals import features as feature_functions
from insula.signals.cleaner import CleanTrial
from insula.signals.quality import FLAGS, window_shares
from insula.signals.recipe import Recipe
from insula.types import BoolArray, FloatArray, Label, Schema
from insula.windows import arrays
from insula.windows.store.arrays import StoredTrial, TrialKey

T = TypeVar("T")
CleanTrials = Mapping[TrialKey, CleanTrial] | Mapping[TrialKey, StoredTrial]
"""Cleaned trials by identity, in memory or read from a store when asked for."""


@dataclass
class Shared:
    """What all views of one table share: cleaned trials, traits, and caches made on first use."""

    clean: CleanTrials
    traits: Mapping[tuple[str, str], Mapping[str, float]]
    table: pd.DataFrame
    features: dict[str, FloatArray] | None = None
    present: BoolArray | None = None
    quality: dict[str, FloatArray] | None = None
    notes: tuple[str, ...] = ()
    mix: FloatArray | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Names the table, in other processes too, for `Windows.once`."""


_MADE: OrderedDict[str, dict[Any, Any]] = OrderedDict()
_TABLES = 4
"""So many tables keep what was made of them in a process."""


@dataclass(frozen=True)
class Terms:
    """On what terms windows may be learned from: what stays whole, the normaliser, and the fold that says so."""

    group: tuple[str, ...]
    normaliser: str
    fold: str = ""


class Windows:
    """A table with a row a window, its labels and groups; signals and features are read when asked for.

    Columns: subject, session, trial, stimulus, trial_index (0.. in the session), start_s and stop_s (session's clock),
    elapsed_s (stop since the session began), hop (index of the window's last hop in its trial), role (``scored`` or
    ``reference``), y (class code, or the value of a continuous target).
    """

    def __init__(
        self,
        shared: Shared,
        rows: NDArray[np.int64],
        schema: Schema,
        recipe: Recipe,
        y: NDArray[np.float64] | NDArray[np.int64] | None = None,
        terms: Terms | None = None,
        mix: FloatArray | None = None,
    ) -> None:
        self._shared = shared
        self.rows = rows
        self.schema = schema
        self.recipe = recipe
        self.terms = terms
        self.table = shared.table.iloc[rows].reset_index(drop=True)
        if y is not None:
            self.table["y"] = y
        self.mix = mix if mix is not None or shared.mix is None else shared.mix[rows]
        """Shares of the emotions in each window (windows, K) where the target is a mixture, else None."""

    def __len__(self) -> int:
        return len(self.rows)

    # -- as scikit-learn, pandas and torch take them -----------------------------------------------------------------

    @classmethod
    def from_arrays(cls, x: NDArray[Any], y: Any, groups: Any, **how: Any) -> Windows:
        """Make Windows of samples that are cut already; see `insula.windows.arrays.from_arrays`."""
        return arrays.from_arrays(x, y, groups, **how)

    @property
    def shape(self) -> tuple[int, int]:
        """(windows, hand-made features), so that scikit-learn may index and count windows like rows of an array."""
        return len(self), sum(map(len, self.schema.features.values()))

    def __getitem__(self, rows: Any) -> Windows:
        """Windows of these row numbers, of a mask or a slice, as arrays are indexed (``windows[rows, ...]``)."""
        if isinstance(rows, tuple):
            if len(rows) != 2 or rows[1] is not Ellipsis:
                raise InputError("windows indexed by columns; expected rows. Use windows.frame() for features.")
            rows = rows[0]
        if isinstance(rows, slice):
            rows = np.arange(len(self))[rows]
        return self.take(np.atleast_1d(np.asarray(rows)))

    def frame(self) -> pd.DataFrame:
        """Hand-made features by name, a row a window."""
        return arrays.frame(self)

    def dataset(self, modality: str | None = None) -> Any:
        """A torch Dataset of (samples, label); samples are (C, T) of one modality, or a dict of all."""
        return arrays.dataset(self, modality)

    @property
    def groups(self) -> NDArray[np.object_]:
        """The person of each window, for ``groups=`` of scikit-learn."""
        return self.table["subject"].to_numpy(object)

    def __repr__(self) -> str:
        return "Windows(" + "; ".join(value for _, value in self._facts()) + ")"

    def _repr_html_(self) -> str:
        return facts_html("Windows", self._facts())

    def _facts(self) -> list[tuple[str, str]]:
        table = self.table
        scored = int((table["role"] == "scored").sum())
        trials = len(table.groupby(["subject", "session", "trial"])) if len(table) else 0
        facts = [("count", f"{scored} scored and {len(table) - scored} reference windows")]
        facts += [("from", f"{table['subject'].nunique()} people, {trials} trials")]
        facts += [("length", f"{self.recipe.window_s:g} s every {self.recipe.hop_s:g} s")]
        facts += [("signals", ", ".join(f"{m} ({len(s.channels)})" for m, s in self.schema.modalities.items()))]
        kinds = ", ".join(self.schema.classes) if self.schema.classes else "a number"
        facts += [("target", f"{self.schema.target}: {kinds}")]
        return facts + ([("terms", f"{self.terms.fold}: {self.terms.normaliser}")] if self.terms else [])

    @property
    def clean(self) -> CleanTrials:
        """Cleaned trials by (subject, session, trial)."""
        return self._shared.clean

    @property
    def token(self) -> str:
        """Names the whole table, in other processes too."""
        return self._shared.token

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out when the windows were cut, in words."""
        return self._shared.notes

    @property
    def y(self) -> NDArray[np.float64] | NDArray[np.int64]:
        values: NDArray[np.float64] | NDArray[np.int64] = self.table["y"].to_numpy()
        return values

    def take(self, rows: Sequence[int] | NDArray[np.int64] | NDArray[np.bool_]) -> Windows:
        """Return the windows of these row numbers (or of a mask), sharing signals and features."""
        chosen = np.asarray(rows) if len(rows) else np.empty(0, np.int64)
        mix = None if self.mix is None else self.mix[chosen]
        return Windows(self._shared, self.rows[chosen], self.schema, self.recipe, self.y[chosen], self.terms, mix)

    def on(self, terms: Terms) -> Windows:
        """Return the same windows, to be learned from on these terms."""
        return Windows(self._shared, self.rows, self.schema, self.recipe, self.y, terms, self.mix)

    @property
    def scored(self) -> Windows:
        """The windows that are labelled and scored, without reference ones."""
        return self.take((self.table["role"] == "scored").to_numpy())

    def everything(self) -> Windows:
        """Return all windows that were cut, those of other splits and the reference ones included."""
        return Windows(self._shared, np.arange(len(self._shared.table)), self.schema, self.recipe)

    def once(self, name: Any, make: Callable[[], T]) -> T:
        """Return what depends on the whole table alone: made once in a process, for all views and copies of it."""
        made = _MADE.setdefault(self._shared.token, {})
        _MADE.move_to_end(self._shared.token)
        while len(_MADE) > _TABLES:
            _MADE.popitem(last=False)
        if name not in made:
            made[name] = make()
        found: T = made[name]
        return found

    def note(self, notes: Iterable[str]) -> None:
        """Add notes that results and reports repeat."""
        self._shared.notes = tuple(dict.fromkeys((*self._shared.notes, *notes)))

    def fingerprint(self) -> str:
        """SHA-256 of all cleaned signals, masks, traits, the table and the recipe: names what a result stands on."""
        digest = hashlib.sha256(repr((self.recipe.to_dict(), self.schema)).encode())
        digest.update(self._shared.table.to_csv(index=False).encode())
        if self._shared.mix is not None:
            digest.update(np.ascontiguousarray(self._shared.mix).data)
        digest.update(repr(sorted((key, sorted(known.items())) for key, known in self._shared.traits.items())).encode())
        for key in sorted(self.clean):
            trial = self.clean[key]
            for name in sorted(set(self.schema.modalities).intersection(trial.specs)):
                values = trial.signals[name]
                digest.update(f"{key}{name}{values.shape}".encode())
                digest.update(np.ascontiguousarray(values).data)
                digest.update(np.ascontiguousarray(trial.observed[name]).data)
        return digest.hexdigest()

    def without_traits(self) -> Windows:
        """Return the same windows of people about whom nothing is known."""
        schema = replace(self.schema, traits=())
        return Windows(self._shared, self.rows, schema, self.recipe, self.table["y"].to_numpy(), self.terms, self.mix)

    def with_y(self, y: NDArray[np.float64] | NDArray[np.int64]) -> Windows:
        """Return a view with other targets, which what is taken from it keeps; mixtures become these classes alone."""
        mix = None if self.mix is None else np.eye(len(self.schema.classes), dtype=np.float32)[y.astype(np.int64)]
        return Windows(self._shared, self.rows, self.schema, self.recipe, y, self.terms, mix)

    def from_rows(self, source: NDArray[np.int64]) -> Windows:
        """Return a view whose targets are those of other windows, a row number for each (used by the null test)."""
        mix = None if self.mix is None else self.mix[source]
        return Windows(self._shared, self.rows, self.schema, self.recipe, self.y[source], self.terms, mix)

    def features(self) -> dict[str, FloatArray]:
        """Hand-made features a modality, (windows, F_m), NaN where a value is not valid."""
        if self._shared.features is None:
            self._shared.features = _all_features(self._shared, self.schema)
        return {name: values[self.rows] for name, values in self._shared.features.items()}

    def traits(self) -> FloatArray:
        """Traits of each window's person, (windows, P), NaN where unknown."""
        out = np.full((len(self), len(self.schema.traits)), np.nan, dtype=np.float32)
        people = list(zip(self.table["subject"], self.table["session"], strict=True))
        for i, person in enumerate(people):
            known = self._shared.traits.get(person, {})
            out[i] = [known.get(name, np.nan) for name in self.schema.traits]
        return out

    def present(self) -> BoolArray:
        """Which modalities are observed long enough, (windows, M) in the schema's order."""
        if self._shared.present is None:
            self._shared.present = _presence(self._shared.clean, self._shared.table, self.schema, self.recipe)
        return self._shared.present[self.rows]

    def quality(self) -> dict[str, FloatArray]:
        """Share of each window that each flag of `insula.signals.quality.FLAGS` marks, a modality (windows, flags)."""
        if self._shared.quality is None:
            self._shared.quality = _all_quality(self._shared, self.schema)
        return {name: values[self.rows] for name, values in self._shared.quality.items()}

    def signals(self, rows: Iterable[int] | None = None) -> tuple[dict[str, FloatArray], dict[str, BoolArray]]:
        """Cleaned signals (n, C_m, T_m) and their observed masks (n, T_m) of some windows; absent ones are zero."""
        chosen = np.arange(len(self)) if rows is None else np.asarray(list(rows), dtype=np.int64)
        places = self.table.iloc[chosen]
        keys = zip(places["subject"], places["session"], places["trial"], strict=True)
        trials = [self.clean[key] for key in keys]
        since_s = places["start_s"].to_numpy() - np.asarray([t.start_s for t in trials])
        values: dict[str, FloatArray] = {}
        observed: dict[str, BoolArray] = {}
        for name, spec in self.schema.modalities.items():
            length = round(self.recipe.window_s * spec.rate_hz)
            block = np.zeros((len(chosen), len(spec.channels), length), dtype=np.float32)
            seen = np.zeros((len(chosen), length), dtype=bool)
            firsts = np.round(since_s * spec.rate_hz).astype(np.int64).tolist()
            for i, (trial, first) in enumerate(zip(trials, firsts, strict=True)):
                if name in trial.specs:
                    block[i], seen[i] = trial.piece(name, first, length)
            values[name], observed[name] = block, seen
        return values, observed


def _presence(clean: CleanTrials, table: pd.DataFrame, schema: Schema, recipe: Recipe) -> BoolArray:
    out = np.zeros((len(table), len(schema.modalities)), dtype=bool)
    for key, group in by_trial(table):
        trial = clean[key]
        for m, (name, spec) in enumerate(schema.modalities.items()):
            if name not in trial.specs:
                continue
            total = np.concatenate([[0], np.cumsum(trial.observed[name])])
            first = np.round((group["start_s"].to_numpy() - trial.start_s) * spec.rate_hz).astype(int)
            length = round(recipe.window_s * spec.rate_hz)
            share = (total[np.minimum(first + length, len(total) - 1)] - total[first]) / length
            out[group.index, m] = share >= recipe.min_observed
    return out


def _all_features(shared: Shared, schema: Schema) -> dict[str, FloatArray]:
    table = shared.table
    out = {
        name: np.full((len(table), len(columns)), np.nan, dtype=np.float32) for name, columns in schema.features.items()
    }
    for key, group in by_trial(table):
        trial = shared.clean[key]
        span_s = float(group["stop_s"].iloc[0] - group["start_s"].iloc[0])
        for name, spec in schema.modalities.items():
            if name not in trial.specs or not schema.features[name]:
                continue
            starts = np.round((group["start_s"].to_numpy() - trial.start_s) * spec.rate_hz).astype(np.int64)
            out[name][group.index] = feature_functions.trial_features(
                name, trial.signals[name], trial.observed[name], spec, starts, round(span_s * spec.rate_hz)
            )
    return out


def _all_quality(shared: Shared, schema: Schema) -> dict[str, FloatArray]:
    table = shared.table
    out = {name: np.full((len(table), len(FLAGS)), np.nan, dtype=np.float32) for name in schema.modalities}
    for key, group in by_trial(table):
        trial = shared.clean[key]
        span_s = float(group["stop_s"].iloc[0] - group["start_s"].iloc[0])
        first_s = group["start_s"].to_numpy() - trial.start_s
        for name in schema.modalities:
            if name in trial.quality:
                out[name][group.index] = window_shares(trial.quality[name], first_s, span_s)
    return out


def by_trial(table: pd.DataFrame) -> Iterator[tuple[TrialKey, pd.DataFrame]]:
    """Go through a table's trials in the order of their first rows."""
    for key, group in table.groupby(["subject", "session", "trial"], sort=False):
        subject, session, trial = key
        yield (str(subject), str(session), str(trial)), group


def label_text(schema: Schema, value: float) -> Label:
    """Turn a class code back into its name (a continuous value into a float)."""
    return float(value) if schema.continuous else schema.classes[int(value)]
