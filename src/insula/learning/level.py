"""Bring features to unit scale: first against the person's own level, then against the training people."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from insula.errors import InputError, unknown_name
from insula.types import BoolArray, DoubleArray, FloatArray, IntArray
from insula.windows.before import rows_before

if TYPE_CHECKING:
    from insula.windows.table import Windows

KINDS: Mapping[str, str] = {
    "population": "the training rows, for everybody alike",
    "opening": "reference rows before the session's first scored one (opening minutes or resting baseline)",
    "pre_trial": "the baseline seconds right before the trial, known before anything in it is predicted",
    "person_trials": "the person's own training rows",
    "running": "all rows of the session up to this one: causal, session scope",
    "whole_session": "all rows of the session, later ones too: transductive",
}
"""Kinds of normaliser: where a person's own level comes from."""

_ARRAYS = ("mean", "within", "carry", "centre", "spread")
_PSEUDO_WINDOWS = 10.0
"""How many windows the training people's deviation counts for when it is mixed with a person's own."""
_CLIP = 5.0
_ROWS = 1 << 14
"""Rows taken to float64 at a time."""

Values = FloatArray | DoubleArray
Reader = Callable[["Windows"], Values]
"""Reads a matrix (windows, F) from windows, NaN where a value is not valid."""


def stacked(windows: Windows) -> Values:
    """All hand-made features side by side, (windows, F), modalities in the schema's order."""
    found = windows.features()
    parts = [found[name] for name in windows.schema.modalities if name in found]
    if len(parts) == 1:  # no second copy of what may be large
        return parts[0]
    return np.hstack(parts) if parts else np.empty((len(windows), 0))


@dataclass(frozen=True)
class _Level:
    """Mean, variance and count of valid rows, (units, F) each."""

    mean: DoubleArray
    variance: DoubleArray
    count: DoubleArray


@dataclass(frozen=True)
class _Own:
    """The level of each row's person: that of its unit."""

    level: _Level
    unit: IntArray


class Normaliser:
    """Standardise features, NaN left as NaN; values beyond 5 deviations are clipped, for every row alike.

    Each value is taken relative to a person's own mean and deviation (``kind`` says from which rows; the deviation is
    drawn towards that within training people, since a person has few windows), then z-scored by the training rows.
    Where a session, trial or person has no rows of that kind the training population stands in, and ``notes`` says so.
    ``pre_trial`` takes away what the seconds before a trial foretell of it: a share of their deviation from the
    training mean, learned a column by least squares on training trials (near 1 for levels, near 0 for slopes).
    Scored rows of the test side enter only for ``running`` (the past) and ``whole_session`` (all).
    """

    def __init__(self, kind: str = "opening", read: Reader = stacked) -> None:
        if kind not in KINDS:
            raise unknown_name("normaliser", kind, KINDS)
        self.kind = kind
        self.read = read
        self.notes: tuple[str, ...] = ()
        self._fitted = False

    @property
    def scope(self) -> str:
        """``session`` where values depend on earlier trials of the session, else ``trial``."""
        return "session" if self.kind in ("running", "whole_session") else "trial"

    @property
    def transductive(self) -> bool:
        """Whether later windows of the test session are read."""
        return self.kind == "whole_session"

    def fit(self, windows: Windows) -> Normaliser:
        """Learn from training windows."""
        values = self.read(windows)
        scored = _scored(windows)
        if not scored.any():
            scored = np.ones(len(windows), bool)
        one = np.zeros(len(values), np.int64)
        sessions = _units(windows, ("subject", "session"))
        whole = _level(values, one, 1, scored)
        self.mean = _filled(whole.mean[0], 0.0)
        per_session = _level(values, sessions, int(sessions.max(initial=0)) + 1, scored)
        weight = per_session.count
        within = np.nansum(np.nan_to_num(per_session.variance) * weight, axis=0) / np.maximum(weight.sum(axis=0), 1)
        spread = _filled(whole.variance[0], 1.0)
        self.within = np.sqrt(np.where(within > 1e-12, within, np.where(spread > 1e-12, spread, 1.0)))
        self.people: dict[str, tuple[DoubleArray, DoubleArray, DoubleArray]] = {}
        if self.kind == "person_trials":
            people = windows.table["subject"].astype(str).to_numpy()
            self.people = _by_person(people, values, scored)
        self.carry = np.ones(self.mean.size)
        self._fitted = True
        if self.kind == "pre_trial":
            self._learn_carry(windows, values)
        levels = self._own(windows, values)
        last = _level(values, one, 1, scored, lambda part: self._relative(values, levels, part))
        self.centre = _filled(last.mean[0], 0.0)
        spread = np.sqrt(_filled(last.variance[0], 1.0))
        self.spread = np.where(spread > 1e-6, spread, 1.0)
        return self

    def features(self, windows: Windows) -> FloatArray:
        """Normalised features (windows, F) float32, NaN where a value is not valid."""
        if not self._fitted:
            raise InputError("a Normaliser that was not fitted; expected fit before features. Call fit first.")
        values = self.read(windows)
        if values.shape[1] != self.mean.size:
            raise InputError(
                f"{values.shape[1]} feature columns; expected {self.mean.size} as in training. Use the same recipe."
            )
        return self._standardised(values, self._own(windows, values))

    def standardise(self, values: Values, mean: DoubleArray, variance: DoubleArray, count: DoubleArray) -> FloatArray:
        """Normalise rows (n, F) by levels kept elsewhere, (n, F) each and NaN where count is 0: the live predictor."""
        own = None if self.kind == "population" else _Own(_Level(mean, variance, count), np.arange(len(values)))
        return self._standardised(values, own)

    def _standardised(self, values: Values, own: _Own | None) -> FloatArray:
        out = np.empty(values.shape, np.float32)
        for part in _parts(len(values)):
            z = (self._relative(values, own, part) - self.centre) / self.spread
            out[part] = np.clip(z, -_CLIP, _CLIP)
        return out

    def _relative(self, values: Values, own: _Own | None, part: slice) -> DoubleArray:
        """Some rows relative to their person's own level, (rows, F)."""
        block = np.asarray(values[part], np.float64)
        if own is None:
            return block
        mean, variance, count = (
            table[own.unit[part]] for table in (own.level.mean, own.level.variance, own.level.count)
        )
        share = count / (count + _PSEUDO_WINDOWS)
        mean = np.where(count > 0, mean, self.mean)
        variance = share * np.nan_to_num(variance) + (1 - share) * self.within**2
        return np.asarray((block - mean) / np.sqrt(variance))

    def _own(self, windows: Windows, values: Values) -> _Own | None:
        """Level of each row's person from the rows that the kind allows; None where there is none by design."""
        if self.kind == "population":
            return None
        if self.kind == "person_trials":
            subjects = windows.table["subject"].astype(str).to_numpy()
            empty = (np.full(self.mean.size, np.nan), np.full(self.mean.size, np.nan), np.zeros(self.mean.size))
            unknown = sorted(set(subjects) - set(self.people))
            self._note([f"{name}: no training windows of this person" for name in unknown])
            names, unit = np.unique(subjects, return_inverse=True)
            own = [self.people.get(str(name), empty) for name in names]
            return _Own(_Level(*(np.stack([o[i] for o in own]) for i in range(3))), unit.astype(np.int64))
        if self.kind == "pre_trial":
            own_level = self._before(windows)
            mean = self.mean + self.carry * (own_level.level.mean - self.mean)
            return _Own(_Level(mean, own_level.level.variance, own_level.level.count), own_level.unit)
        return self._session_level(windows, values)

    def _before(self, windows: Windows) -> _Own:
        """Level of the baseline seconds right before each window's trial."""
        near, everything = rows_before(windows)
        keys = list(zip(windows.table["subject"], windows.table["session"], windows.table["trial"], strict=True))
        names = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        self._note([f"{'/'.join(map(str, k))}: no seconds before the trial" for k in names if k not in near])
        found = [key for key in names if key in near]
        rows = np.concatenate([near[key] for key in found]) if found else np.empty(0, np.int64)
        unit = np.repeat([names[key] for key in found], [len(near[key]) for key in found]).astype(np.int64)
        values = self.read(everything.take(rows)) if len(rows) else np.empty((0, self.mean.size))
        level = _level(values, unit, len(names), np.ones(len(rows), bool))
        return _Own(level, np.array([names[k] for k in keys], np.int64))

    def _learn_carry(self, windows: Windows, values: Values) -> None:
        """Set the share of a baseline's deviation from the mean that training trials keep, 0 to 1 a column."""
        own = self._before(windows)
        before = own.level.mean[own.unit] - self.mean
        if not np.isfinite(before).any():
            raise InputError(
                "normaliser pre_trial without a window in the seconds before a trial; expected baseline seconds of a "
                "window or more before trials. Shorten window_s, or use another normaliser."
            )
        both = np.isfinite(before) & np.isfinite(values)
        before = np.where(both, before, 0.0)
        now = np.where(both, values - self.mean, 0.0)
        power = (before**2).sum(axis=0)
        share = np.divide((before * now).sum(axis=0), power, out=np.ones_like(power), where=power > 1e-12)
        self.carry = np.clip(share, 0.0, 1.0)

    def _session_level(self, windows: Windows, values: Values) -> _Own:
        """Level of each window's session from the rows that the kind allows."""
        everything = windows.everything()
        keys = list(zip(windows.table["subject"], windows.table["session"], strict=True))
        mine = set(keys)
        table = everything.table
        inside = np.fromiter(
            (k in mine for k in zip(table["subject"], table["session"], strict=True)), bool, len(table)
        )
        if self.kind == "opening":
            inside &= opening_rows(table)
        around = everything.take(np.flatnonzero(inside))
        # unlabelled rows around; a row asked for that is not among them (another view) is not needed here
        surrounding = self.read(around) if len(around) else np.empty((0, values.shape[1]))
        names = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        unit = np.array([names[k] for k in keys], np.int64)
        near = zip(around.table["subject"], around.table["session"], strict=True)
        near_unit = np.fromiter((names[k] for k in near), np.int64, len(around))
        if self.kind == "running":
            stop = around.table["stop_s"].to_numpy(np.float64)
            past = _past(surrounding, near_unit, stop, unit, windows.table["stop_s"].to_numpy(np.float64))
            return _Own(past, np.arange(len(windows)))
        level = _level(surrounding, near_unit, len(names), np.ones(len(around), bool))
        bare = sorted("/".join(map(str, k)) for k, i in names.items() if not (near_unit == i).any())
        self._note([f"{name}: no reference windows, the training population stands in" for name in bare])
        return _Own(level, unit)

    def _note(self, notes: list[str]) -> None:
        self.notes = tuple(dict.fromkeys((*self.notes, *notes)))

    def of_person(self, windows: Windows) -> Normaliser:
        """Return the same population's normaliser with the own level of these windows' people, labelled or not."""
        out = copy.copy(self)
        out.kind = "person_trials"
        people = windows.table["subject"].astype(str).to_numpy()
        out.people = {**self.people, **_by_person(people, self.read(windows), np.ones(len(windows), bool))}
        out.notes = ()
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON (null where NaN)."""
        arrays = {name: getattr(self, name).tolist() for name in _ARRAYS}
        people = {p: [_nullable(v) for v in parts] for p, parts in self.people.items()}
        return {"kind": self.kind, **arrays, "people": people}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], read: Reader = stacked) -> Normaliser:
        """Read what `to_dict` wrote."""
        normaliser = cls(data["kind"], read)
        for name in _ARRAYS:
            setattr(normaliser, name, np.asarray(data[name], np.float64))
        normaliser.people = {
            p: (np.array(m, np.float64), np.array(v, np.float64), np.array(n, np.float64))
            for p, (m, v, n) in data["people"].items()
        }
        own = (part for level in normaliser.people.values() for part in level)
        if len({array.shape for array in (*(getattr(normaliser, name) for name in _ARRAYS), *own)}) > 1:
            raise ValueError("levels and scales of different numbers of columns")
        normaliser._fitted = True
        return normaliser


def opening_rows(table: pd.DataFrame) -> BoolArray:
    """Reference rows that end before their session's first scored row begins: later ones are not known in time."""
    scored = table["role"].to_numpy() == "scored"
    keys = ["subject", "session"]
    begins = table["start_s"].where(pd.Series(scored, table.index), np.inf).groupby([table[k] for k in keys])
    before = table["stop_s"].to_numpy() <= begins.transform("min").to_numpy() + 1e-6
    return np.asarray(~scored & before, bool)


def running_mean(values: DoubleArray, unit: IntArray, stop_s: DoubleArray) -> DoubleArray:
    """Mean of each unit's rows up to and including this one in time, (windows, F), NaN before the first valid value."""
    level = _past(values, unit, stop_s, unit, stop_s)
    return np.where(level.count > 0, level.mean, np.nan)


def _parts(rows: int) -> Iterator[slice]:
    for first in range(0, rows, _ROWS):
        yield slice(first, first + _ROWS)


def _level(
    values: Values,
    unit: IntArray,
    n_units: int,
    use: BoolArray,
    read: Callable[[slice], DoubleArray] | None = None,
) -> _Level:
    """Level of the used rows of each unit; ``read`` gives a part of the rows, itself by default."""

    def valid_part(part: slice) -> tuple[DoubleArray, BoolArray]:
        block = np.asarray(values[part], np.float64) if read is None else read(part)
        return block, np.isfinite(block) & use[part, None]

    count = np.zeros((n_units, values.shape[1]))
    total, square = np.zeros_like(count), np.zeros_like(count)
    for part in _parts(len(values)):
        block, valid = valid_part(part)
        np.add.at(count, unit[part], valid)
        np.add.at(total, unit[part], np.where(valid, block, 0.0))
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    for part in _parts(len(values)):
        block, valid = valid_part(part)
        np.add.at(square, unit[part], np.where(valid, block - mean[unit[part]], 0.0) ** 2)
    return _Level(mean, np.divide(square, count, out=np.full_like(square, np.nan), where=count > 0), count)


def _past(values: Values, unit: IntArray, stop_s: DoubleArray, ask_unit: IntArray, ask_stop_s: DoubleArray) -> _Level:
    """Level of the rows of ``ask_unit`` that stop no later than ``ask_stop_s``, (asked, F)."""
    shape = (ask_unit.size, values.shape[1])
    mean, variance, count = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)
    for one in np.unique(ask_unit):
        asked = np.flatnonzero(ask_unit == one)
        rows = np.flatnonzero(unit == one)
        rows = rows[np.argsort(stop_s[rows], kind="stable")]
        part = np.asarray(values[rows], np.float64)
        valid = np.isfinite(part)
        seen = np.vstack([np.zeros(shape[1]), valid.cumsum(axis=0)])  # (rows + 1, F)
        first = np.take_along_axis(part, valid.argmax(axis=0)[None], axis=0) if len(part) else np.zeros((1, shape[1]))
        shift = np.nan_to_num(first)  # a first value near the data keeps the sums of squares exact
        part = np.where(valid, part - shift, 0.0)
        total = np.vstack([np.zeros(shape[1]), part.cumsum(axis=0)])
        square = np.vstack([np.zeros(shape[1]), (part**2).cumsum(axis=0)])
        upto = np.searchsorted(stop_s[rows], ask_stop_s[asked] + 1e-6, "right")
        n = seen[upto]
        m = np.divide(total[upto], n, out=np.full(n.shape, np.nan), where=n > 0)
        v = np.divide(square[upto], n, out=np.full(n.shape, np.nan), where=n > 0) - m**2
        mean[asked], variance[asked], count[asked] = m + shift, np.maximum(v, 0.0), n
    return _Level(mean, variance, count)


def _by_person(
    people: NDArray[Any], values: Values, use: BoolArray
) -> dict[str, tuple[DoubleArray, DoubleArray, DoubleArray]]:
    """Mean, variance and count (F,) of each person's used rows."""
    names, unit = np.unique(people, return_inverse=True)
    own = _level(values, unit.astype(np.int64), names.size, use)
    return {str(n): (own.mean[i], own.variance[i], own.count[i]) for i, n in enumerate(names)}


def _units(windows: Windows, columns: tuple[str, ...]) -> IntArray:
    grouped = windows.table.groupby(list(columns), sort=False, dropna=False).ngroup()
    return np.asarray(grouped, np.int64)


def _scored(windows: Windows) -> BoolArray:
    return np.asarray(windows.table["role"] == "scored", bool)


def _filled(values: DoubleArray, instead: float) -> DoubleArray:
    return np.where(np.isfinite(values), values, instead)


def _nullable(values: DoubleArray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]
