"""Bring cleaned signals to about unit scale: per person where reference minutes exist, by the training people else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from insula.learning.align import MODALITY, UNIT_UV, covariances, people_turns, require_rows, session_turn, turn
from insula.learning.level import opening_rows
from insula.signals.cleaner import CleanTrial
from insula.types import BoolArray, FloatArray
from insula.windows.before import rows_before
from insula.windows.store.arrays import StoredTrial, TrialKey
from insula.windows.table import Windows, by_trial


class Level(NamedTuple):
    """Mean and variance of each channel (C,), and with alignment the matrix (C, C) that turns centred samples."""

    mean: FloatArray
    variance: FloatArray
    turn: FloatArray | None = None


KEEP_BYTES = 512 << 20
"""Scaled signals of up to this size stay in memory."""
_PICTURES = ("video",)
"""Modalities whose channels share one scale: a dark corner must not have its noise blown up."""
_CLIP = 8.0
_PERSONAL = 0.5
"""Share of a person's own variance in the variance that divides; the rest is the training people's."""


@dataclass
class SignalScaler:
    """Centre and scale of every channel.

    ``kind`` is that of the feature normaliser: ``population`` uses the training windows for everybody;
    ``opening`` and ``running`` take centre and part of the scale from the session's reference windows,
    ``pre_trial`` from the baseline seconds right before the trial, ``person_trials`` from the person's training
    windows, ``whole_session`` (transductive) from all its windows. With ``align`` the same rows
    turn the EEG's covariance into the identity instead of scaling its channels (see `insula.learning.align`).
    """

    kind: str = "opening"
    align: str = "none"
    centre: dict[str, FloatArray] = field(default_factory=dict)
    spread: dict[str, FloatArray] = field(default_factory=dict)
    within: dict[str, FloatArray] = field(default_factory=dict)
    people: dict[str, dict[str, Level]] = field(default_factory=dict)
    common: FloatArray | None = None

    def fit(self, windows: Windows) -> SignalScaler:
        """Learn from training windows."""
        per_session = [_moments(windows, rows) for _, rows in _groups(windows, ["subject", "session"])]
        for name in windows.schema.modalities:
            found = [m[name] for m in per_session if name in m]
            if not found:
                continue
            means = np.stack([level.mean for level in found])
            variances = np.stack([level.variance for level in found])
            self.within[name] = np.sqrt(np.mean(variances, 0) + 1e-12).astype(np.float32)
            self.centre[name] = means.mean(0).astype(np.float32)
            self.spread[name] = np.sqrt(means.var(0) + variances.mean(0) + 1e-12).astype(np.float32)
        if self.align != "none":
            require_rows(self.kind)
            self.common = _single(turn(covariances(windows), self.align))
        if self.kind == "person_trials":
            self.people = self._of_people(windows)
        return self

    def apply(self, windows: Windows, keys: Iterable[TrialKey]) -> ScaledSignals:
        """Scale the signals of trials; unobserved samples are zero."""
        trials = {key: windows.clean[key] for key in keys}
        own: dict[TrialKey, Mapping[str, Level]] = {}
        if self.kind == "pre_trial":
            near, everything = rows_before(windows)
            known: dict[TrialKey, dict[str, Level]] = windows.once("moments before trials", dict)
            for key in trials:
                if key in near and key not in known:
                    known[key] = _moments(everything, near[key])
            own = {key: known[key] if key in near else {} for key in trials}
        else:
            sessions = {s: self._own(windows, s) for s in dict.fromkeys(key[:2] for key in trials)}
            own = {key: sessions[key[:2]] for key in trials}
        return ScaledSignals(self, list(windows.schema.modalities), trials, own)

    def scaled(self, name: str, values: FloatArray, observed: BoolArray, own: Mapping[str, Level]) -> FloatArray:
        """Scale samples (C, T) of one modality; ``own`` is the person's level where there is one."""
        centre, scale = self.centre[name], self.spread[name]
        if self.common is not None and name == MODALITY:
            level = own.get(name)
            found = self.common if level is None or level.turn is None else level.turn
            out = found @ ((values - (centre if level is None else level.mean)[:, None]) / np.float32(UNIT_UV))
            out[:, ~observed] = 0.0
            return np.clip(out, -_CLIP, _CLIP).astype(np.float32)
        if name in own:
            centre = own[name][0]
            scale = np.sqrt(_PERSONAL * own[name][1] + (1 - _PERSONAL) * self.within[name] ** 2)
        out = (values - centre[:, None]) / np.maximum(scale, 1e-6)[:, None]
        out[:, ~observed] = 0.0
        return np.clip(out, -_CLIP, _CLIP).astype(np.float32)

    def _own(self, windows: Windows, session: tuple[str, str]) -> dict[str, Level]:
        """A person's own level in a session; empty where the training people stand in."""
        if self.kind == "population":
            return {}
        if self.kind == "person_trials":
            return self.people.get(session[0], {})
        kind = "session" if self.kind == "whole_session" else "opening"
        found = windows.once((f"moments of a {kind}", session), lambda: _session_moments(windows, session, kind))
        if self.align == "none" or MODALITY not in found:
            return found
        own = _single(session_turn(windows, session, self.kind, self.align))
        return {**found, MODALITY: found[MODALITY]._replace(turn=own)}

    def _of_people(self, windows: Windows) -> dict[str, dict[str, Level]]:
        """The own level of these windows' people, from all of the windows."""
        found = {key[0]: _moments(windows, rows) for key, rows in _groups(windows, ["subject"])}
        turns = people_turns(windows, self.align) if self.align != "none" else {}
        for person, own in turns.items():
            if MODALITY in found.get(person, {}):
                found[person][MODALITY] = found[person][MODALITY]._replace(turn=_single(own))
        return found

    def of_person(self, windows: Windows) -> SignalScaler:
        """Return the same population's scaler with the own level of these windows' people, labelled or not."""
        return replace(self, kind="person_trials", people={**self.people, **self._of_people(windows)})

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists for JSON."""
        people = {
            p: {m: [part.tolist() for part in level if part is not None] for m, level in levels.items()}
            for p, levels in self.people.items()
        }
        stats = {n: {m: v.tolist() for m, v in getattr(self, n).items()} for n in ("centre", "spread", "within")}
        aligned = {} if self.common is None else {"align": self.align, "common": self.common.tolist()}
        return {"kind": self.kind, **stats, "people": people, **aligned}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SignalScaler:
        """Read what `to_dict` wrote."""
        scaler = cls(data["kind"], data.get("align", "none"))
        scaler.common = np.asarray(data["common"], np.float32) if "common" in data else None
        for name in ("centre", "spread", "within"):
            setattr(scaler, name, {m: np.asarray(v, np.float32) for m, v in data[name].items()})
        scaler.people = {
            p: {m: Level(*(np.asarray(part, np.float32) for part in parts)) for m, parts in levels.items()}
            for p, levels in data["people"].items()
        }
        return scaler

    def require(self, channels: Mapping[str, int]) -> None:
        """Raise ValueError where a level or scale is not of that many channels of its modality."""
        kept = [(m, v) for stats in (self.centre, self.spread, self.within) for m, v in stats.items()]
        kept += [
            (m, v) for levels in self.people.values() for m, level in levels.items() for v in level if v is not None
        ]
        if any(len(values) != channels.get(m, len(values)) for m, values in kept):
            raise ValueError("signals scaled with another number of channels")


class ScaledSignals(Mapping[TrialKey, Mapping[str, FloatArray]]):
    """Scaled samples of trials: kept while all of them are small, else read and scaled when asked for.

    ``kept`` says which; `hold` takes some trials whole into memory and lets go of those before.
    """

    def __init__(
        self,
        scaler: SignalScaler,
        modalities: Sequence[str],
        trials: Mapping[TrialKey, CleanTrial | StoredTrial],
        own: Mapping[TrialKey, Mapping[str, Level]],
    ) -> None:
        self._scaler, self._trials, self._own = scaler, trials, own
        self._modalities = [name for name in modalities if name in scaler.centre]
        self._held: dict[TrialKey, dict[str, tuple[FloatArray, BoolArray]]] = {}
        self.kept = sum(map(self.size_bytes, trials)) <= KEEP_BYTES
        if self.kept:
            self.hold(trials)

    def size_bytes(self, key: TrialKey) -> int:
        """Memory of one trial's scaled samples and masks."""
        trial = self._trials[key]
        specs = [spec for name, spec in trial.specs.items() if name in self._modalities]
        return round(sum((trial.stop_s - trial.start_s) * s.rate_hz * (4 * len(s.channels) + 1) for s in specs))

    def hold(self, keys: Iterable[TrialKey]) -> None:
        """Keep these trials in memory, and no others."""
        self._held = {}  # goes first, so that two blocks are never in memory
        self._held = {key: self._whole(key) for key in keys}

    def piece(self, key: TrialKey, name: str, first: int, length: int) -> tuple[FloatArray, BoolArray] | None:
        """Scaled samples (C, length) from ``first`` on and their mask; None where the trial lacks the modality."""
        if key in self._held:
            if name not in self._held[key]:
                return None
            values, observed = self._held[key][name]
            return values[:, first : first + length], observed[first : first + length]
        trial = self._trials[key]
        if name not in trial.specs or name not in self._modalities:
            return None
        values, observed = trial.piece(name, first, length)
        return self._scaler.scaled(name, values, observed, self._own[key]), observed

    def _whole(self, key: TrialKey) -> dict[str, tuple[FloatArray, BoolArray]]:
        trial, own = self._trials[key], self._own[key]
        out = {}
        for name in self._modalities:
            if name in trial.specs:
                values, observed = trial.signals[name], trial.observed[name]
                out[name] = (self._scaler.scaled(name, values, observed, own), observed)
        return out

    def __getitem__(self, key: TrialKey) -> Mapping[str, FloatArray]:
        found = self._held[key] if key in self._held else self._whole(key)
        return {name: values for name, (values, _) in found.items()}

    def __iter__(self) -> Iterator[TrialKey]:
        return iter(self._trials)

    def __len__(self) -> int:
        return len(self._trials)


def _groups(windows: Windows, columns: list[str]) -> list[tuple[tuple[str, ...], Any]]:
    grouped = windows.table.groupby(columns, sort=True).indices
    return [(k if isinstance(k, tuple) else (k,), rows) for k, rows in grouped.items()]


def _session_moments(windows: Windows, session: tuple[str, str], kind: str) -> dict[str, Level]:
    """Level of a whole session, or of its opening."""
    everything = windows.everything()
    table = everything.table
    mask = (table["subject"] == session[0]) & (table["session"] == session[1])
    if kind == "opening":
        mask &= opening_rows(table)
    return _moments(everything, np.flatnonzero(mask))


def _moments(windows: Windows, rows: Any) -> dict[str, Level]:
    """Mean and variance (C,) of the observed samples under some windows, each sample once."""
    table = windows.table.iloc[rows]
    sums: dict[str, list[Any]] = {}
    for key, group in by_trial(table):
        trial = windows.clean[key]
        for name, spec in windows.schema.modalities.items():
            if name not in trial.specs:
                continue
            first = round((group["start_s"].min() - trial.start_s) * spec.rate_hz)
            last = round((group["stop_s"].max() - trial.start_s) * spec.rate_hz)
            keep = trial.observed[name][first:last]
            values = trial.signals[name][:, first:last][:, keep].astype(np.float64)
            if values.shape[1]:
                sums.setdefault(name, []).append((values.shape[1], values.sum(1), np.square(values).sum(1)))
    out: dict[str, Level] = {}
    for name, parts in sums.items():
        n = sum(p[0] for p in parts)
        mean = sum(p[1] for p in parts) / n
        variance = np.maximum(sum(p[2] for p in parts) / n - mean**2, 0)
        if name in _PICTURES:
            variance = np.full_like(variance, variance.mean())
        out[name] = Level(mean.astype(np.float32), variance.astype(np.float32))
    return out


def _single(matrix: Any) -> FloatArray | None:
    return None if matrix is None else np.asarray(matrix, np.float32)
