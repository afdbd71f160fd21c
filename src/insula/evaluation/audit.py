"""Checks of somebody else's splits: leaks, notes, and what one nearest neighbour reads from shuffled labels."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insula.data.formats.tables import read_typed, to_numbers
from insula.errors import DataError, InputError, unknown_name
from insula.evaluation.timing import Clock, clock_of, clocks_among
from insula.learning.metrics import balanced_accuracy
from insula.protocols.grouping import codes, on_both_sides, overlapping
from insula.protocols.protocol import TRIAL
from insula.protocols.protocols import PROTOCOLS
from insula.types import BoolArray, DoubleArray, IntArray

LATEST_S = 1e12
"""Times beyond this are no seconds of anything."""
FEATURE_PREFIX = "feature"
"""Columns whose names begin so are read as features."""
_RENAMED = {"start": "start_s", "stop": "stop_s", "y": "label", "target": "label"}
_ROLES = {"train": "train", "training": "train", "test": "test", "val": "validation", "valid": "validation",
          "validation": "validation", "dev": "validation"}  # fmt: skip
_TEXT: dict[Hashable, type[str]] = dict.fromkeys(("subject", "session", "trial", "stimulus", "fold", "role"), str)
_MOST_TESTED = 2000
_UNITS = {"stimulus": ("stimulus",), "session": ("subject", "session"), "person": ("subject",)}


@dataclass(frozen=True)
class Finding:
    """One kind of leak or note: in which folds, how many units, an example, and in words."""

    kind: str
    message: str
    folds: tuple[str, ...]
    count: int
    example: str


@dataclass(frozen=True)
class NearestNeighbour:
    """Score of one nearest neighbour on labels shuffled between trials.

    Above chance it recognises trials, not labels. ``same_trial`` is the share of test windows whose nearest training
    window is of their own trial.
    """

    score: float
    lo: float
    hi: float
    chance: float
    shuffles: int
    same_trial: float
    above_chance: bool


@dataclass(frozen=True)
class AuditReport:
    """What an audit found; ``exit_code`` is 1 with leaks, else 0."""

    windows: int
    folds: tuple[str, ...]
    protocol: str | None
    leaks: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    nearest: NearestNeighbour | None

    @property
    def exit_code(self) -> int:
        return 1 if self.leaks else 0

    @property
    def text(self) -> str:
        """The report in plain lines."""
        under = f" under {self.protocol}" if self.protocol else ""
        lines = [
            f"{self.windows} windows in {len(self.folds)} folds{under}: "
            f"{len(self.leaks)} leaks, {len(self.notes)} notes"
        ]
        for word, findings in (("LEAK", self.leaks), ("note", self.notes)):
            for f in findings:
                where = f"fold {', '.join(f.folds[:4])}{', ...' if len(f.folds) > 4 else ''}: " if f.folds else ""
                lines.append(f"{word}  {where}{f.message}{f' (for instance {f.example})' if f.example else ''}")
        if self.nearest is not None:
            n = self.nearest
            lines.append(
                f"one nearest neighbour on labels shuffled between trials: {n.score:.3f} [{n.lo:.3f}, {n.hi:.3f}] over "
                f"{n.shuffles} shuffles, chance {n.chance:.3f}; {100 * n.same_trial:.0f} % of test windows are nearest "
                "to a training window of their own trial"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "exit_code": self.exit_code}


def audit_file(path: str | Path, protocol: str | None = None, clock: Clock | None = None) -> AuditReport:
    """Audit a CSV of windows; see `audit` for its columns."""
    file = Path(path)
    if not file.is_file():
        raise DataError(f"no split table {file}; expected a CSV with a row a window. Check the path.")
    table = read_typed(file, _TEXT)
    return audit(table, protocol, clock=clock)


def audit(
    table: pd.DataFrame,
    protocol: str | None = None,
    *,
    clock: Clock | None = None,
    shuffles: int = 50,
    seed: int = 0,
) -> AuditReport:
    """Look for leaks in a table of windows.

    Parameters
    ----------
    table : columns subject, trial and fold; session, stimulus, start and stop (or start_s and stop_s, seconds) where
        known. With ``role`` (train, validation, test) a row says what a window is in a fold, so windows appear once a
        fold; without it a window is tested in its fold and trains in all others. ``label`` and columns whose names
        begin with ``feature`` allow the nearest-neighbour test (without labels, made-up ones are shuffled).
    protocol : name of the protocol that the splits should follow; it decides whether a stimulus, session or person on
        both sides is a leak.
    clock : whether start and stop count from the ``session``'s or each ``trial``'s beginning (None: found out).

    Raises
    ------
    InputError : missing columns, unknown roles, nothing to test.
    """
    if protocol is not None and protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    windows = _prepared(table)
    folds = _folds(windows)
    leaks = _Findings()
    notes = _Findings()
    timed = "start_s" in windows
    if timed and (clock or clock_of(windows)) == "trial":
        windows = windows.drop(columns=["start_s", "stop_s"]).assign(start_in_trial_s=windows["start_s"])
        said = "times count from each trial's start: trials cannot overlap, session time was not looked at"
        notes.add("clock of times", "", 1, "", said)
    forbidden = PROTOCOLS[protocol].forbids if protocol else ()
    for name, fold in folds.items():
        _check_fold(windows, name, fold, forbidden, leaks, notes)
    if not timed:
        notes.add("time", "", 1, "", "no start and stop columns: overlapping time was not looked for")
    for name in _clocks(windows):
        notes.add("clock", "", 1, name, f"the column {name} rises or falls with time in nearly every session")
    nearest = _nearest_neighbour(windows, list(folds.values()), shuffles, seed)
    if nearest is not None and nearest.above_chance:
        leaks.add(
            "fingerprint", "", 1, "",
            f"one nearest neighbour scores {nearest.score:.2f} on labels shuffled between trials (chance "
            f"{nearest.chance:.2f}): it recognises trials",
        )  # fmt: skip
    n_windows = len(windows.drop_duplicates(_identity(windows)))
    return AuditReport(n_windows, tuple(folds), protocol, leaks.all(), notes.all(), nearest)


@dataclass(frozen=True)
class _Fold:
    train: IntArray
    validation: IntArray
    test: IntArray


class _Findings:
    """Findings gathered over folds, one of each kind."""

    def __init__(self) -> None:
        self.found: dict[str, Finding] = {}

    def add(self, kind: str, fold: str, count: int, example: str, message: str) -> None:
        before = self.found.get(kind)
        if before is None:
            self.found[kind] = Finding(kind, message, (fold,) if fold else (), count, example)
        else:
            self.found[kind] = Finding(
                kind, before.message, (*before.folds, fold), before.count + count, before.example
            )

    def all(self) -> tuple[Finding, ...]:
        return tuple(self.found.values())


def _check_fold(
    windows: pd.DataFrame, name: str, fold: _Fold, forbidden: Sequence[str], leaks: _Findings, notes: _Findings
) -> None:
    learning = np.concatenate([fold.train, fold.validation])
    identity = _identity(windows)
    if len(identity) > len(TRIAL):
        same = on_both_sides(windows, fold.train, fold.test, identity)
        if same:
            leaks.add("window", name, len(same), same[0], "the same window in training and test")
        same = on_both_sides(windows, fold.validation, fold.test, identity)
        if same:
            share = "all" if len(same) == len(fold.test) == len(fold.validation) else f"{len(same)} windows"
            leaks.add("validation", name, len(same), same[0], f"validation equals test ({share}): tuning saw the test")
    shared = on_both_sides(windows, learning, fold.test, TRIAL)
    if shared:
        leaks.add("trial", name, len(shared), shared[0], "trials on both sides")
    if "start_s" in windows:
        late = overlapping(windows, learning, fold.test)
        if late.size:
            one = windows.iloc[late[0]]
            example = f"{one['subject']}/{one['session']}/{one['trial']} at {one['start_s']:g} s"
            leaks.add("overlap", name, int(late.size), example, "overlapping time on both sides")
    for unit, columns in _UNITS.items():
        if not set(columns) <= set(windows.columns):
            continue
        known = windows[list(columns)].notna().all(axis=1).to_numpy()
        same = on_both_sides(windows, learning[known[learning]], fold.test[known[fold.test]], columns)
        if not same:
            continue
        # a protocol that forbids a person on both sides forbids the sessions too
        if forbidden and forbidden != TRIAL and set(forbidden) <= set(columns):
            leaks.add(unit, name, len(same), same[0], f"{unit} on both sides, which the protocol forbids")
        else:
            notes.add(unit, name, len(same), same[0], f"{unit} on both sides")
    if fold.validation.size:
        same = on_both_sides(windows, fold.train, fold.validation, TRIAL)
        if same:
            notes.add(
                "inner", name, len(same), same[0], "trials on both sides of the validation: it will look too good"
            )
    if "label" in windows and windows["label"].to_numpy()[fold.train].size:
        seen = set(windows["label"].iloc[fold.train].dropna())
        unseen = sorted(set(windows["label"].iloc[fold.test].dropna()) - seen, key=str)
        if unseen and len(seen) < 20:
            notes.add("label", name, len(unseen), str(unseen[0]), "labels tested that training never saw")


def _prepared(table: pd.DataFrame) -> pd.DataFrame:
    windows = table.rename(columns={a: b for a, b in _RENAMED.items() if a in table and b not in table}).reset_index(
        drop=True
    )
    missing = [c for c in ("subject", "trial", "fold") if c not in windows]
    if missing:
        raise InputError(
            f"split table without {', '.join(missing)}; expected the columns subject, trial and fold (and session, "
            "stimulus, start, stop, role where known). Add them."
        )
    if windows.empty:
        raise InputError("split table without rows; expected a row a window. Export the splits again.")
    for column in ("subject", "trial", "fold"):
        if windows[column].isna().any():
            row = int(windows[column].isna().to_numpy().argmax())
            raise InputError(f"row {row + 1} without {column}; expected one in every row. Fill it in.")
        windows[column] = windows[column].astype(str)
    windows["session"] = windows["session"].fillna("").astype(str) if "session" in windows else ""
    if "start_s" not in windows or "stop_s" not in windows:
        windows = windows.drop(columns=[c for c in ("start_s", "stop_s") if c in windows])
    else:
        times = windows[["start_s", "stop_s"]].apply(to_numbers)
        bad = ~(times["stop_s"] > times["start_s"]).to_numpy()
        if bad.any():
            raise InputError(
                f"row {int(bad.argmax()) + 1} with stop not after start; expected seconds, stop above start. Correct "
                "the row, or leave it out."
            )
        far = (times.abs() > LATEST_S).any(axis=1).to_numpy()
        if far.any():
            raise InputError(f"row {int(far.argmax()) + 1} beyond {LATEST_S:g} s; expected seconds. Correct the times.")
        windows[["start_s", "stop_s"]] = times.astype(float)
    if "role" in windows:
        role = windows["role"].astype(str).str.strip().str.lower()
        odd = sorted(set(role) - set(_ROLES))
        if odd:
            raise unknown_name("role", odd[0], _ROLES)
        windows["role"] = role.map(_ROLES)
    return windows


def _clocks(windows: pd.DataFrame) -> list[str]:
    names = [str(c) for c in windows if str(c).startswith(FEATURE_PREFIX)]
    if "start_s" not in windows or not names:
        return []
    once = windows.drop_duplicates(_identity(windows))
    return clocks_among(once, once[names].apply(to_numbers).to_numpy(np.float64), names)


def _identity(windows: pd.DataFrame) -> list[str]:
    """Columns that tell one window from another, as far as the table knows."""
    return [*TRIAL, *(c for c in ("start_s", "stop_s", "start_in_trial_s") if c in windows)]


def _folds(windows: pd.DataFrame) -> dict[str, _Fold]:
    fold = windows["fold"].to_numpy()
    empty = np.empty(0, np.int64)
    out: dict[str, _Fold] = {}
    for name in dict.fromkeys(fold):
        here = fold == name
        if "role" in windows:
            role = windows["role"].to_numpy()
            train, validation, test = (np.flatnonzero(here & (role == r)) for r in ("train", "validation", "test"))
        else:
            train, validation, test = np.flatnonzero(~here), empty, np.flatnonzero(here)
        if not train.size or not test.size:
            raise InputError(
                f"fold {name!r} with {train.size} training and {test.size} test windows; expected some of both. "
                "Give every fold its roles, or leave the role column out when a row names the fold that tests it."
            )
        out[str(name)] = _Fold(train, validation, test)
    return out


def _nearest_neighbour(windows: pd.DataFrame, folds: list[_Fold], shuffles: int, seed: int) -> NearestNeighbour | None:
    columns = [c for c in windows if str(c).startswith(FEATURE_PREFIX)]
    if not columns:
        return None
    features = windows[columns].apply(to_numbers).to_numpy(np.float64)
    rng = np.random.default_rng(seed)
    folds = [_at_most(f, rng) for f in folds]
    every = np.arange(len(windows))
    trial = codes(windows, every, TRIAL)
    person = codes(windows, every, ("subject",))[np.unique(trial, return_index=True)[1]]
    test = np.concatenate([f.test for f in folds])
    near = np.concatenate([_neighbours(features, f) for f in folds])
    labels = _trial_labels(windows, trial, rng)
    if any(np.unique(labels[person == p]).size < 2 for p in np.unique(person)):
        person = np.zeros_like(person)  # someone has one class only: shuffle over all people instead
    people = np.unique(person)
    scores = []
    for _ in range(shuffles):
        shuffled = labels.copy()
        for one in people:
            own = np.flatnonzero(person == one)
            shuffled[own] = labels[rng.permutation(own)]
        scores.append(_mean_over_people(shuffled[trial[test]], shuffled[trial[near]], person[trial[test]]))
    found = np.array(scores)
    half = 1.96 * found.std(ddof=1) / np.sqrt(shuffles)
    mean = float(found.mean())
    chance = float(np.mean([1 / np.unique(labels[person == p]).size for p in people]))
    same = float((trial[test] == trial[near]).mean())
    return NearestNeighbour(mean, mean - half, mean + half, chance, shuffles, same, bool(mean - half > chance + 0.05))


def _at_most(fold: _Fold, rng: np.random.Generator) -> _Fold:
    """The fold with a sample of its test windows where there are many."""
    if fold.test.size <= _MOST_TESTED:
        return fold
    return replace(fold, test=np.sort(rng.choice(fold.test, _MOST_TESTED, replace=False)))


def _neighbours(features: DoubleArray, fold: _Fold) -> IntArray:
    """Row of the nearest training window of each test window, on columns standardised in training."""
    from sklearn.neighbors import NearestNeighbors

    train = features[fold.train]
    kept: BoolArray = np.asarray(np.isfinite(train).any(axis=0))
    if not kept.any():
        raise InputError("feature columns without a number in training; expected numbers. Check the columns.")
    median = np.nanmedian(train[:, kept], axis=0)
    filled = np.where(np.isfinite(features[:, kept]), features[:, kept], median)
    spread = filled[fold.train].std(axis=0)
    scaled = (filled - filled[fold.train].mean(axis=0)) / np.where(spread > 1e-12, spread, 1.0)
    search = NearestNeighbors(n_neighbors=1).fit(scaled[fold.train])
    return np.asarray(fold.train[search.kneighbors(scaled[fold.test], return_distance=False)[:, 0]], np.int64)


def _trial_labels(windows: pd.DataFrame, trial: IntArray, rng: np.random.Generator) -> IntArray:
    """A class code a trial: the given labels (numbers of many values split at the median), or balanced made-up ones."""
    n = int(trial.max()) + 1
    if "label" in windows and windows["label"].notna().all():
        label = windows["label"]
        if pd.api.types.is_numeric_dtype(label) and label.nunique() > 12:
            mean = np.bincount(trial, weights=label.to_numpy(np.float64), minlength=n) / np.bincount(trial, minlength=n)
            return (mean > np.median(mean)).astype(np.int64)
        code = np.unique(label.astype(str).to_numpy(), return_inverse=True)[1]
        counts = np.zeros((n, int(code.max()) + 1), np.int64)  # (trials, classes)
        np.add.at(counts, (trial, code), 1)
        most = counts.argmax(axis=1)
        if np.unique(most).size > 1:
            return np.asarray(np.unique(most, return_inverse=True)[1], np.int64)
    return rng.permutation(np.arange(n) % 2)


def _mean_over_people(true: IntArray, predicted: IntArray, person: IntArray) -> float:
    return float(np.mean([balanced_accuracy(true[person == p], predicted[person == p]) for p in np.unique(person)]))
