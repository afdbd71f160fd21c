"""From recordings to Windows: clean every trial, cut it on its grid of hops, encode the target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from insula.errors import DataError, InputError, SchemaError
from insula.notebook import counted
from insula.signals import features as feature_functions
from insula.signals.cleaner import CleanTrial, clean_trial
from insula.signals.grid import window_rows
from insula.signals.recipe import Recipe
from insula.types import ChannelSpec, DoubleArray, FloatArray, Recording, Schema, Trial
from insula.windows.store.arrays import StoredTrial, TrialKey
from insula.windows.table import CleanTrials, Shared, Windows
from insula.windows.targets import Target, require_target

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


def cut(
    recordings: Iterable[Recording],
    recipe: Recipe,
    target: str | Target | None,
    *,
    modalities: Sequence[str] | None = None,
    traits: bool = True,
    schema: Schema | None = None,
    progress: Progress | None = None,
    clean: Mapping[TrialKey, StoredTrial] | None = None,
) -> Windows:
    """Clean recordings and cut them into windows.

    Parameters
    ----------
    recordings : what `insula.data.load` returned.
    recipe : cleaning and cutting.
    target : see `Target.parse`; None: every trial is cut, labelled or not (y is -1), for the target of ``schema`` or
        for none.
    schema : that of the model which is to read the windows; target, classes and traits are taken from it.
    modalities : which to use; default all that the recordings have and the recipe knows.
    traits : whether the people's traits are inputs.
    progress : called with (trials done, trials in all).
    clean : trials that a `insula.windows.store.Store` holds cleaned; the recordings' own signals are not touched then.

    Raises
    ------
    InputError : unknown target or modality, no labelled trial long enough for a window, a single class, no signal.
    DataError : channels or rates that differ between recordings.
    SchemaError : recordings that the model behind ``schema`` cannot read.
    """
    people = list(recordings)
    trials = [t for r in people for t in r.trials]
    there = {name for t in trials for name in (t.signals if clean is None else clean[t.key].specs)}
    recipe = recipe.only(_modalities(there, recipe, modalities, schema))
    used, codes, classes, name, mix = _labelled(trials, target, schema)
    ready = _cleaned(used, recipe, progress) if clean is None else {t.key: clean[t.key] for t in used}
    labelled = [t.key for t in used if t.role == "trial"]
    labels = dict(zip(labelled, codes, strict=True))
    table, notes = _table(people, ready, labels, recipe, bool(classes) and codes.dtype.kind == "i")
    found = _schema(ready, recipe, name, classes, people if traits else [])
    if schema is not None:
        found = replace(found, traits=schema.traits)
        schema.require(found, "the model", "the data")
    shared = Shared(
        ready,
        {(r.subject, r.session): r.traits for r in people},
        table,
        notes=tuple(notes),
        provenance=dict(people[0].provenance) if people else {},
        mix=None if mix is None else _of_windows(table, labelled, mix),
    )
    windows = Windows(shared, np.arange(len(table)), found, recipe)
    seen = windows.present().any(axis=1)
    if not seen.all():
        shared.notes = (*shared.notes, f"{int((~seen).sum())} windows dropped: no modality observed long enough")
    windows = windows.take(np.flatnonzero(seen))
    _require_scored(windows, None if target is None else str(found.target))
    return windows


def _cleaned(trials: Sequence[Trial], recipe: Recipe, progress: Progress | None) -> CleanTrials:
    out: dict[TrialKey, CleanTrial] = {}
    for i, trial in enumerate(trials):
        if trial.key in out:
            raise DataError(f"trial identity {trial.key} twice; expected each (subject, session, trial) once.")
        out[trial.key] = clean_trial(trial, recipe)
        if progress is not None:
            progress(i + 1, len(trials))
    return out


def _require_scored(windows: Windows, target: str | None) -> None:
    """Raise unless scored windows are left, of two classes or more where the target has classes."""
    left = windows.y[windows.table["role"].to_numpy() == "scored"]
    if not len(left):
        raise InputError(
            f"no scored window with {windows.recipe.min_observed:.0%} of a signal; expected at least one. "
            "Look at the signals with `insula data check`."
        )
    if target is not None and windows.schema.classes and len(np.unique(left)) < 2:
        raise InputError(
            f"target {target} has windows of {_only(windows.schema.classes, left[0])}; expected two or more. "
            "Shorten window_s, guard_s or opening_s, or choose another target."
        )


def _labelled(
    trials: Sequence[Trial], target: str | Target | None, schema: Schema | None
) -> tuple[list[Trial], NDArray[np.float64] | NDArray[np.int64], tuple[str, ...], str, DoubleArray | None]:
    """The trials to cut, a code or value for each that is no baseline, the classes, the target's name, and shares."""
    if target is None:
        count = sum(t.role == "trial" for t in trials)
        classes, name = ((), "") if schema is None else (schema.classes, schema.target)
        return list(trials), np.full(count, -1, np.int64), classes, name, None
    goal = target if isinstance(target, Target) else Target.parse(target)
    require_target(goal, {name for t in trials for name in t.labels})
    used = [t for t in trials if t.role == "baseline" or goal.of(t.labels) is not None]
    told = [label for t in used if t.role == "trial" and (label := goal.of(t.labels)) is not None]
    codes, classes = goal.encode(told)
    if classes and len(set(codes.tolist())) < 2:
        only = _only(classes, codes[0]) if len(codes) else "no trial that has it"
        raise InputError(f"target {goal} has {only}; expected two or more. Choose another target.")
    return used, codes, classes, str(goal), goal.shares(told)


def _of_windows(table: pd.DataFrame, keys: Sequence[TrialKey], shares: DoubleArray) -> FloatArray:
    """Shares of each window's trial (windows, K), NaN for reference windows."""
    row = {key: k for k, key in enumerate(keys)}
    at = [row.get(key, -1) for key in zip(table["subject"], table["session"], table["trial"], strict=True)]
    return np.vstack([shares, np.full((1, shares.shape[1]), np.nan)])[at].astype(np.float32)


def _only(classes: Sequence[str], code: float) -> str:
    """Call the one class there is; a float is a rating whose class depends on who trains."""
    return f"one rating only, {code:g}" if isinstance(code, float) else f"one class only, {classes[int(code)]!r}"


def _modalities(there: set[str], recipe: Recipe, wanted: Sequence[str] | None, schema: Schema | None) -> list[str]:
    if schema is not None:
        if not there.issuperset(schema.modalities):
            raise SchemaError(
                f"schema of the model reads {', '.join(schema.modalities)}; the data have "
                f"{', '.join(sorted(there)) or 'none'}; expected all of them. Use such data, or train a new model."
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
    clean: CleanTrials,
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
    clean: CleanTrials,
    labels: Mapping[TrialKey, float],
    recipe: Recipe,
    discrete: bool,
) -> tuple[pd.DataFrame, list[str]]:
    """Cut every trial on its grid of hops; return the table and notes on what was too short."""
    parts: list[pd.DataFrame] = []
    short = {"trial": 0, "baseline": 0}
    for person in people:
        for index, trial in enumerate(person.trials):
            if trial.key not in clean:
                continue
            part = window_rows(person, index, recipe)
            short[trial.role] += part is None
            if part is not None:
                parts.append(part.assign(y=labels.get(trial.key, -1)))
    if not parts or not any((p["role"] == "scored").any() for p in parts):
        raise InputError(
            f"no labelled trial of {recipe.guard_s:g} s guard and {recipe.window_s:g} s window or longer; "
            "expected at least one. Shorten window_s or guard_s."
        )
    table = pd.concat(parts, ignore_index=True)
    table["y"] = table["y"].astype(np.int64 if discrete else np.float64)
    left = [counted(short["trial"], "trial")] if short["trial"] else []
    left += [counted(short["baseline"], "stretch of rest", "stretches of rest")] if short["baseline"] else []
    return table, [f"{one} shorter than guard and window left out" for one in left]
