"""What recordings hold and what they allow: counts, rates, gaps, faults, schedule, protocols, problems."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from insula.data.faults import Fault, trial_faults
from insula.data.info import Problem
from insula.data.schedule import Schedule
from insula.data.twins import twins
from insula.errors import InputError
from insula.signals.flags import of_trial
from insula.signals.grid import window_rows
from insula.signals.quality import FLAGS
from insula.signals.recipe import Recipe
from insula.types import FloatArray, Recording, Trial

Allowed = Callable[[pd.DataFrame], Mapping[str, "str | None"]]
"""Windows table -> protocol name -> why the data do not allow it, or None (`insula.protocols.protocols.allowed`)."""
FindSchedule = Callable[[pd.DataFrame], Schedule | None]
"""Windows table -> what people share (`insula.protocols.schedule.schedule`)."""


@dataclass(frozen=True)
class ModalitySummary:
    """One modality over all trials: rates (0: irregular), channels, units, trials with it, minutes, missing.

    ``flags`` maps each of `insula.signals.quality.FLAGS` that can be judged to the share of time it marks.
    """

    modality: str
    rates_hz: tuple[float, ...]
    channels: tuple[tuple[str, ...], ...]
    units: tuple[str, ...]
    trials: int
    minutes: float
    missing: float
    flags: Mapping[str, float]


@dataclass(frozen=True)
class TargetSummary:
    """One target: trials, minutes and windows a label (discrete), or the range of a rating, and what it allows.

    ``opening`` says in words that every session opens with the same label; ``protocols`` maps a protocol to the reason
    why it is impossible, None where it is possible; empty when nobody asked.
    """

    target: str
    continuous: bool
    trials: Mapping[str, int]
    minutes: Mapping[str, float]
    windows: Mapping[str, int]
    value_range: tuple[float, float, float] | None
    people: int
    people_without: tuple[str, ...]
    schedule: Schedule | None
    opening: str | None
    protocols: Mapping[str, str | None]


@dataclass(frozen=True)
class Gap:
    """Seconds of a session between two trials that belong to neither."""

    subject: str
    session: str
    after: str
    before: str
    seconds: float


@dataclass(frozen=True)
class Description:
    """All that `insula data check` tells; `to_dict` is ready for JSON."""

    people: tuple[str, ...]
    sessions: tuple[str, ...]
    recordings: int
    trials: int
    rests: int
    trial_seconds: tuple[float, float, float]
    traits: tuple[str, ...]
    modalities: tuple[ModalitySummary, ...]
    targets: tuple[TargetSummary, ...]
    gaps: tuple[Gap, ...]
    faults: tuple[Fault, ...]
    problems: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a number that is not finite becomes None."""
        data = asdict(self)
        for told, target in zip(data["targets"], self.targets, strict=True):
            if target.schedule is not None:
                s = target.schedule
                told["schedule"] |= {"kappa": s.kappa, "order_kappa": s.order_kappa, "shared": s.shared}
        cleaned: dict[str, Any] = _plain(data)
        return cleaned


def describe(
    recordings: Sequence[Recording],
    recipe: Recipe | None = None,
    *,
    problems: Sequence[Problem] = (),
    allowed: Allowed | None = None,
    schedule: FindSchedule | None = None,
) -> Description:
    """Count and check recordings.

    Parameters
    ----------
    recordings : what `insula.data.load` returned; at least one.
    recipe : how they would be cut (default Recipe()); windows a label and protocols depend on it.
    problems : what the reader collected.
    allowed, schedule : `insula.protocols.protocols.allowed` and `insula.protocols.schedule.schedule`, to have the
        protocols judged and the schedule looked for; `insula.describe` gives both.
    """
    if not recordings:
        why = "; ".join(f"{p.file}: {p.what}" for p in problems[:3])
        raise InputError(f"0 recordings; expected at least one to describe. {why or 'Check the folder.'}")
    recipe = recipe or Recipe()
    trials = [t for r in recordings for t in r.trials]
    shown = [t for t in trials if t.role == "trial"] or trials
    seconds = np.array([t.stop_s - t.start_s for t in shown])
    names = list(dict.fromkeys(name for t in trials for name in t.labels))
    return Description(
        people=tuple(sorted({r.subject for r in recordings})),
        sessions=tuple(sorted({r.session for r in recordings})),
        recordings=len(recordings),
        trials=len(shown),
        rests=len(trials) - len(shown),
        trial_seconds=(float(seconds.min()), float(np.median(seconds)), float(seconds.max())),
        traits=tuple(sorted({name for r in recordings for name in r.traits})),
        modalities=_modalities(trials, recipe),
        targets=tuple(_target(name, recordings, recipe, allowed, schedule) for name in names),
        gaps=tuple(g for r in recordings for g in _gaps(r)),
        faults=tuple(f for t in trials for f in trial_faults(t)),
        problems=(*problems, *_own_problems(recordings, recipe)),
    )


def nothing(problems: Sequence[Problem]) -> Description:
    """Describe a folder of which no recording could be read; the problems say why."""
    none = float("nan")
    return Description((), (), 0, 0, 0, (none, none, none), (), (), (), (), (), tuple(problems))


def window_table(recordings: Sequence[Recording], target: str, recipe: Recipe) -> pd.DataFrame:
    """Return the table of windows a recipe would cut for a target, without touching a signal.

    Columns subject, session, trial, stimulus, trial_index, start_s, stop_s, elapsed_s, role (``scored`` or
    ``reference``) and y (class code in alphabetic order, or the rating).
    """
    labels = [t.labels[target] for r in recordings for t in r.trials if t.role == "trial" and target in t.labels]
    continuous = _continuous(labels)
    codes = {name: i for i, name in enumerate(sorted({str(v) for v in labels}))}
    parts: list[pd.DataFrame] = []
    for recording in recordings:
        for index, trial in enumerate(recording.trials):
            if trial.role == "trial" and target in trial.labels:
                value = trial.labels[target]
                rows = window_rows(recording, index, recipe)
                if rows is not None:
                    parts.append(rows.assign(y=float(value) if continuous else codes[str(value)]))
    kept = [part for part in parts if len(part)]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()


def _modalities(trials: Sequence[Trial], recipe: Recipe) -> tuple[ModalitySummary, ...]:
    judged = [of_trial(t, recipe) for t in trials]
    return tuple(
        _modality(name, trials, [found[name] for found in judged if name in found])
        for name in dict.fromkeys(m for t in trials for m in t.signals)
    )


def _modality(name: str, trials: Sequence[Trial], judged: Sequence[FloatArray]) -> ModalitySummary:
    shares = np.concatenate(judged, axis=1) if judged else np.zeros((len(FLAGS), 0), np.float32)  # (flags, seconds)
    known = np.isfinite(shares)
    signals = [t.signals[name] for t in trials if name in t.signals]
    samples = sum(s.values.size for s in signals)
    finite = sum(int(np.isfinite(s.values).sum()) for s in signals)
    return ModalitySummary(
        name,
        tuple(sorted({0.0 if s.timestamps_s is not None else s.rate_hz for s in signals})),
        tuple(dict.fromkeys(s.channels for s in signals)),
        tuple(dict.fromkeys(s.unit for s in signals)),
        len(signals),
        sum(s.duration_s for s in signals) / 60,
        1 - finite / samples if samples else 1.0,
        {f: float(shares[i, known[i]].mean(dtype=np.float64)) for i, f in enumerate(FLAGS) if known[i].any()},
    )


def _target(
    name: str,
    recordings: Sequence[Recording],
    recipe: Recipe,
    allowed: Allowed | None,
    schedule: FindSchedule | None,
) -> TargetSummary:
    trials = [t for r in recordings for t in r.trials if t.role == "trial" and name in t.labels]
    values = [t.labels[name] for t in trials]
    continuous = _continuous(values)
    table = window_table(recordings, name, recipe)
    counts: Counter[str] = Counter()
    windows: Counter[str] = Counter()
    minutes: dict[str, float] = {}
    scored = table[table["role"] == "scored"] if len(table) else table
    per_trial = Counter(zip(scored["subject"], scored["session"], scored["trial"], strict=True)) if len(table) else {}
    for trial in trials:
        label = "all" if continuous else str(trial.labels[name])
        counts[label] += 1
        minutes[label] = minutes.get(label, 0.0) + (trial.stop_s - trial.start_s) / 60
        windows[label] += per_trial.get(trial.key, 0)
    numbers = np.array(values, dtype=np.float64) if continuous else np.zeros(0)
    have = {t.subject for t in trials}
    return TargetSummary(
        target=name,
        continuous=continuous,
        trials=dict(sorted(counts.items())),
        minutes=dict(sorted(minutes.items())),
        windows=dict(sorted(windows.items())),
        value_range=(float(numbers.min()), float(np.median(numbers)), float(numbers.max())) if numbers.size else None,
        people=len(have),
        people_without=tuple(sorted({r.subject for r in recordings} - have)),
        schedule=None if continuous or schedule is None or not len(table) else schedule(table),
        opening=None if continuous else _opening(recordings, name, recipe),
        protocols={} if allowed is None or not len(table) else _judged(allowed(table), sorted(counts)),
    )


def _judged(reasons: Mapping[str, str | None], labels: Sequence[str]) -> dict[str, str | None]:
    """Call classes by their labels where a reason calls them by code."""

    def name(match: re.Match[str]) -> str:
        code = int(match[1])
        return f"class {labels[code]!r}" if code < len(labels) else match[0]

    return {p: None if why is None else re.sub(r"\bclass (\d+)\b", name, why) for p, why in reasons.items()}


def _opening(recordings: Sequence[Recording], target: str, recipe: Recipe) -> str | None:
    """Say so when every session opens with the same label: what is normalised by the opening knows that label."""
    first = [[t for t in r.trials if target in t.labels][:1] for r in recordings]
    labels = {str(trials[0].labels[target]) for trials in first if trials}
    sessions = sum(bool(trials) for trials in first)
    if len(labels) != 1 or sessions < 2:
        return None
    label = labels.pop()
    if recipe.opening_s > 0 and not any(t.role == "baseline" for r in recordings for t in r.trials):
        return (
            f"all {sessions} sessions open with {label!r}: normalising by their first {recipe.opening_s:g} s is "
            f"normalising by {label!r}, and the clock alone knows that label there"
        )
    return f"all {sessions} sessions open with {label!r}: the clock alone knows that label there"


def _gaps(recording: Recording) -> list[Gap]:
    return [
        Gap(recording.subject, recording.session, a.trial, b.trial, round(b.start_s - a.stop_s, 3))
        for a, b in pairwise(recording.trials)
        if b.start_s - a.stop_s > 1e-3
    ]


def _own_problems(recordings: Sequence[Recording], recipe: Recipe) -> list[Problem]:
    """Trials that are too short for one window, and channel layouts or rates that differ between trials."""
    found: list[Problem] = []
    for recording in recordings:
        file = recording.provenance.get("files", f"{recording.subject}/{recording.session}")
        for trial in recording.trials:
            seconds = trial.stop_s - trial.start_s
            if trial.role == "trial" and trial.labels and seconds < recipe.guard_s + recipe.window_s - 1e-9:
                what = (
                    f"trial {trial.trial!r} of {trial.subject} lasts {seconds:.1f} s; a window needs "
                    f"{recipe.guard_s:g} s guard and {recipe.window_s:g} s"
                )
                found.append(Problem(file, what, fatal=False, trial=trial.key))
    trials = [t for r in recordings for t in r.trials]
    for name in dict.fromkeys(m for t in trials for m in t.signals):
        layouts = Counter(t.signals[name].channels for t in trials if name in t.signals)
        if len(layouts) > 1:
            told = " and ".join(f"{','.join(c[:4])}{',...' if len(c) > 4 else ''} in {n}" for c, n in layouts.items())
            what = f"channels of {name} differ between trials: {told}"
            found.append(Problem("(all files)", what, fatal=False))
    return [*found, *(Problem("(all files)", what, fatal=False) for what in twins(trials))]


def _continuous(values: Sequence[Any]) -> bool:
    return bool(values) and all(not isinstance(v, str) for v in values)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
