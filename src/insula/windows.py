"""Windows: the lazy table between recordings and models; every window lies inside one trial."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from insula import features as feature_functions
from insula.errors import DataError, InputError, SchemaError
from insula.recipe import Recipe
from insula.signals import CleanTrial, clean_trial
from insula.targets import Target, require_target
from insula.types import BoolArray, ChannelSpec, FloatArray, Label, Recording, Schema, Trial

TrialKey = tuple[str, str, str]
Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass
class _Shared:
    """What all views of one table share: cleaned trials, traits, and caches made on first use."""

    clean: Mapping[TrialKey, CleanTrial]
    traits: Mapping[tuple[str, str], Mapping[str, float]]
    table: pd.DataFrame
    features: dict[str, FloatArray] | None = None
    present: BoolArray | None = None
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)


class Windows:
    """A table with a row a window, its labels and groups; signals and features are read when asked for.

    Columns: subject, session, trial, stimulus, trial_index (0.. in the session), start_s and stop_s (session's clock),
    elapsed_s (stop since the session began), hop (index of the window's last hop in its trial), role (``scored`` or
    ``reference``), y (class code, or the value of a continuous target).
    """

    def __init__(
        self,
        shared: _Shared,
        rows: NDArray[np.int64],
        schema: Schema,
        recipe: Recipe,
        y: NDArray[np.float64] | NDArray[np.int64] | None = None,
    ) -> None:
        self._shared = shared
        self.rows = rows
        self.schema = schema
        self.recipe = recipe
        self.table = shared.table.iloc[rows].reset_index(drop=True)
        if y is not None:
            self.table["y"] = y

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def clean(self) -> Mapping[TrialKey, CleanTrial]:
        """Cleaned trials by (subject, session, trial)."""
        return self._shared.clean

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
        return Windows(self._shared, self.rows[chosen], self.schema, self.recipe, self.y[chosen])

    def everything(self) -> Windows:
        """Return all windows that were cut, those of other splits and the reference ones included."""
        return Windows(self._shared, np.arange(len(self._shared.table)), self.schema, self.recipe)

    def note(self, notes: Iterable[str]) -> None:
        """Add notes that results and reports repeat."""
        self._shared.notes = tuple(dict.fromkeys((*self._shared.notes, *notes)))

    def fingerprint(self) -> str:
        """SHA-256 of all cleaned signals, masks, traits, the table and the recipe: names what a result stands on."""
        digest = hashlib.sha256(repr((self.recipe.to_dict(), self.schema)).encode())
        digest.update(self._shared.table.to_csv(index=False).encode())
        digest.update(repr(sorted((key, sorted(known.items())) for key, known in self._shared.traits.items())).encode())
        for key in sorted(self.clean):
            for name, values in sorted(self.clean[key].signals.items()):
                digest.update(f"{key}{name}{values.shape}".encode())
                digest.update(np.ascontiguousarray(values).data)
                digest.update(np.ascontiguousarray(self.clean[key].observed[name]).data)
        return digest.hexdigest()

    def with_y(self, y: NDArray[np.float64] | NDArray[np.int64]) -> Windows:
        """Return a view with other targets, which what is taken from it keeps (used by the null test)."""
        return Windows(self._shared, self.rows, self.schema, self.recipe, y)

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

    def signals(self, rows: Iterable[int] | None = None) -> tuple[dict[str, FloatArray], dict[str, BoolArray]]:
        """Cleaned signals (n, C_m, T_m) and their observed masks (n, T_m) of some windows; absent ones are zero."""
        chosen = np.arange(len(self)) if rows is None else np.asarray(list(rows), dtype=np.int64)
        values: dict[str, FloatArray] = {}
        observed: dict[str, BoolArray] = {}
        for name, spec in self.schema.modalities.items():
            length = round(self.recipe.window_s * spec.rate_hz)
            block = np.zeros((len(chosen), len(spec.channels), length), dtype=np.float32)
            seen = np.zeros((len(chosen), length), dtype=bool)
            for i, row in enumerate(chosen):
                trial, first = self._locate(int(row), spec.rate_hz)
                if name in trial.signals:
                    block[i] = trial.signals[name][:, first : first + length]
                    seen[i] = trial.observed[name][first : first + length]
            values[name], observed[name] = block, seen
        return values, observed

    def _locate(self, row: int, rate_hz: float) -> tuple[CleanTrial, int]:
        record = self.table.iloc[row]
        trial = self.clean[(record["subject"], record["session"], record["trial"])]
        return trial, round((record["start_s"] - trial.start_s) * rate_hz)


def cut(
    recordings: Iterable[Recording],
    recipe: Recipe,
    target: str | Target | None,
    *,
    modalities: Sequence[str] | None = None,
    traits: bool = True,
    schema: Schema | None = None,
    progress: Progress | None = None,
) -> Windows:
    """Clean recordings and cut them into windows.

    Parameters
    ----------
    recordings : what `insula.data.load` returned.
    recipe : cleaning and cutting.
    target : see `Target.parse`; None with a ``schema``: every trial is cut, labelled or not (y is -1).
    schema : that of the model which is to read the windows; target, classes and traits are taken from it.
    modalities : which to use; default all that the recordings have and the recipe knows.
    traits : whether the people's traits are inputs.
    progress : called with (trials done, trials in all).

    Raises
    ------
    InputError : unknown target or modality, no labelled trial long enough for a window, a single class, no signal.
    DataError : channels or rates that differ between recordings.
    SchemaError : recordings that the model behind ``schema`` cannot read.
    """
    people = list(recordings)
    trials = [t for r in people for t in r.trials]
    recipe = recipe.only(_modalities(trials, recipe, modalities, schema))
    used, codes, classes, name = _labelled(trials, target, schema)
    clean: dict[TrialKey, CleanTrial] = {}
    for i, trial in enumerate(used):
        if trial.key in clean:
            raise DataError(f"trial identity {trial.key} twice; expected each (subject, session, trial) once.")
        clean[trial.key] = clean_trial(trial, recipe)
        if progress is not None:
            progress(i + 1, len(used))
    labels = dict(zip([t.key for t in used if t.role == "trial"], codes, strict=True))
    table, notes = _table(people, clean, labels, recipe, bool(classes))
    found = _schema(clean, recipe, name, classes, people if traits else [])
    if schema is not None:
        found = replace(found, traits=schema.traits)
        schema.require(found, "the model", "the data")
    shared = _Shared(
        clean,
        {(r.subject, r.session): r.traits for r in people},
        table,
        notes=tuple(notes),
        provenance=dict(people[0].provenance) if people else {},
    )
    windows = Windows(shared, np.arange(len(table)), found, recipe)
    seen = windows.present().any(axis=1)
    if not seen.all():
        shared.notes = (*shared.notes, f"{int((~seen).sum())} windows dropped: no modality observed long enough")
    windows = windows.take(np.flatnonzero(seen))
    _require_scored(windows, None if target is None else str(found.target))
    return windows


def _require_scored(windows: Windows, target: str | None) -> None:
    """Raise unless scored windows are left, of two classes or more where the target has classes."""
    left = windows.y[windows.table["role"].to_numpy() == "scored"]
    if not len(left):
        raise InputError(
            f"no scored window with {windows.recipe.min_observed:.0%} of a signal; expected at least one. "
            "Look at the signals with `insula data check`."
        )
    if target is not None and windows.schema.classes and len(np.unique(left)) < 2:
        only = windows.schema.classes[int(left[0])]
        raise InputError(
            f"target {target} has windows of one class only, {only!r}; expected two or more. "
            "Shorten window_s, guard_s or opening_s, or choose another target."
        )


def _labelled(
    trials: Sequence[Trial], target: str | Target | None, schema: Schema | None
) -> tuple[list[Trial], NDArray[np.float64] | NDArray[np.int64], tuple[str, ...], str]:
    """The trials to cut, a code or value for each that is no baseline, the classes and the target's name."""
    if target is None:
        if schema is None:
            raise InputError("neither target nor schema; expected one of them. Name the target.")
        count = sum(t.role == "trial" for t in trials)
        return list(trials), np.full(count, -1, np.int64), schema.classes, schema.target
    goal = target if isinstance(target, Target) else Target.parse(target)
    require_target(goal, {name for t in trials for name in t.labels})
    used = [t for t in trials if t.role == "baseline" or _has(t, goal.name)]
    codes, classes = goal.encode([t.labels[goal.name] for t in used if t.role == "trial"])
    if classes and len(set(codes.tolist())) < 2:
        only = classes[int(codes[0])]
        raise InputError(f"target {goal} has one class only, {only!r}; expected two or more. Choose another target.")
    return used, codes, classes, str(goal)


def _has(trial: Trial, target: str) -> bool:
    label = trial.labels.get(target)
    return label is not None and label == label  # a rating of NaN is no label


def _modalities(
    trials: Sequence[Trial], recipe: Recipe, wanted: Sequence[str] | None, schema: Schema | None
) -> list[str]:
    there = {name for t in trials for name in t.signals}
    if schema is not None:
        if not there.issuperset(schema.modalities):
            raise SchemaError(
                f"schema of the model reads {', '.join(schema.modalities)}; the data have "
                f"{', '.join(sorted(there)) or 'none'}. Use data with all of them, or train a new model."
            )
        chosen = list(schema.modalities)
    elif wanted is None:
        chosen = [name for name in recipe.signals if name in there]
    else:
        chosen = list(dict.fromkeys(wanted))
        for name in chosen:
            if name not in there:
                raise InputError(f"modality {name!r} in no recording; expected some of {', '.join(sorted(there))}.")
    if not chosen:
        raise InputError(
            f"no usable modality among {', '.join(sorted(there)) or 'none'}; expected one that the recipe names. "
            "Name one with --modalities and give it a SignalRecipe."
        )
    return chosen


def _schema(
    clean: Mapping[TrialKey, CleanTrial],
    recipe: Recipe,
    target: str,
    classes: tuple[str, ...],
    people: list[Recording],
) -> Schema:
    specs: dict[str, ChannelSpec] = {}
    for key, trial in clean.items():
        for name, spec in trial.specs.items():
            first = specs.setdefault(name, spec)
            if first != spec:
                raise DataError(
                    f"{name} of trial {'/'.join(key)} has channels {spec.channels} in {spec.unit}; "
                    f"expected {first.channels} in {first.unit} as in the first recording. Rename or drop channels."
                )
    ordered = {name: specs[name] for name in recipe.signals if name in specs}
    columns = {
        name: tuple(column.name for column in feature_functions.columns(name, spec, recipe.window_s))
        for name, spec in ordered.items()
    }
    traits = tuple(sorted({name for r in people for name in r.traits}))
    return Schema(ordered, columns, traits, target, classes)


def _table(
    people: list[Recording],
    clean: Mapping[TrialKey, CleanTrial],
    labels: Mapping[TrialKey, float],
    recipe: Recipe,
    discrete: bool,
) -> tuple[pd.DataFrame, list[str]]:
    """Cut every trial on its grid of hops; return the table and notes on what was too short."""
    parts: list[pd.DataFrame] = []
    short = 0
    per_window = round(recipe.hops_per_window)
    for person in people:
        has_baseline = any(t.role == "baseline" for t in person.trials)
        begin = person.trials[0].start_s if person.trials else 0.0
        opening = begin + (0.0 if has_baseline else recipe.opening_s)
        for index, trial in enumerate(person.trials):
            if trial.key not in clean:
                continue
            part = _trial_rows(trial, index, begin, opening, recipe, per_window, labels.get(trial.key))
            short += part is None
            if part is not None:
                parts.append(part)
    if not parts or not any((p["role"] == "scored").any() for p in parts):
        raise InputError(
            f"no labelled trial of {recipe.guard_s:g} s guard and {recipe.window_s:g} s window or longer; "
            "expected at least one. Shorten window_s or guard_s."
        )
    table = pd.concat(parts, ignore_index=True)
    table["y"] = table["y"].astype(np.int64 if discrete else np.float64)
    notes = [f"{short} trials shorter than guard and window left out"] if short else []
    return table, notes


def _trial_rows(
    trial: Trial, index: int, begin: float, opening: float, recipe: Recipe, per_window: int, label: float | None
) -> pd.DataFrame | None:
    hops = int(np.floor((trial.stop_s - trial.start_s - recipe.guard_s) / recipe.hop_s + 1e-9))
    if hops < per_window:
        return None
    last = np.arange(per_window - 1, hops)
    stop = trial.start_s + recipe.guard_s + (last + 1) * recipe.hop_s
    start = stop - recipe.window_s
    if trial.role == "baseline":
        role = np.full(len(last), "reference", dtype=object)
    else:
        role = np.where(stop <= opening + 1e-9, "reference", "scored").astype(object)
    # a window across the end of the opening belongs to neither part
    keep = (stop <= opening + 1e-9) | (start >= opening - 1e-9) | (trial.role == "baseline")
    rows = pd.DataFrame(
        {
            "subject": trial.subject,
            "session": trial.session,
            "trial": trial.trial,
            "stimulus": trial.stimulus,
            "trial_index": index,
            "start_s": start,
            "stop_s": stop,
            "elapsed_s": stop - begin,
            "hop": last,
            "role": role,
            "y": -1 if label is None else label,
        }
    )
    return rows[keep]


def _presence(clean: Mapping[TrialKey, CleanTrial], table: pd.DataFrame, schema: Schema, recipe: Recipe) -> BoolArray:
    out = np.zeros((len(table), len(schema.modalities)), dtype=bool)
    for key, group in by_trial(table):
        trial = clean[key]
        for m, (name, spec) in enumerate(schema.modalities.items()):
            if name not in trial.observed:
                continue
            total = np.concatenate([[0], np.cumsum(trial.observed[name])])
            first = np.round((group["start_s"].to_numpy() - trial.start_s) * spec.rate_hz).astype(int)
            length = round(recipe.window_s * spec.rate_hz)
            share = (total[np.minimum(first + length, len(total) - 1)] - total[first]) / length
            out[group.index, m] = share >= recipe.min_observed
    return out


def _all_features(shared: _Shared, schema: Schema) -> dict[str, FloatArray]:
    table = shared.table
    out = {
        name: np.full((len(table), len(columns)), np.nan, dtype=np.float32) for name, columns in schema.features.items()
    }
    for key, group in by_trial(table):
        trial = shared.clean[key]
        span_s = float(group["stop_s"].iloc[0] - group["start_s"].iloc[0])
        for name, spec in schema.modalities.items():
            if name not in trial.signals or not schema.features[name]:
                continue
            starts = np.round((group["start_s"].to_numpy() - trial.start_s) * spec.rate_hz).astype(np.int64)
            out[name][group.index] = feature_functions.trial_features(
                name, trial.signals[name], trial.observed[name], spec, starts, round(span_s * spec.rate_hz)
            )
    return out


def by_trial(table: pd.DataFrame) -> Iterator[tuple[TrialKey, pd.DataFrame]]:
    """Go through a table's trials in the order of their first rows."""
    for key, group in table.groupby(["subject", "session", "trial"], sort=False):
        subject, session, trial = key
        yield (str(subject), str(session), str(trial)), group


def label_text(schema: Schema, value: float) -> Label:
    """Turn a class code back into its name (a continuous value into a float)."""
    return float(value) if schema.continuous else schema.classes[int(value)]
