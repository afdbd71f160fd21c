"""The nouns that flow through insula: Signal, Trial, Recording, Schema, Batch, ModelOutput."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from insula.errors import InputError, SchemaError
from insula.notebook import facts_html

if TYPE_CHECKING:
    from torch import Tensor

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

Label = str | float
Role = Literal["trial", "baseline"]

MODALITIES = (
    "eeg", "eda", "bvp", "temp", "hr", "ibi", "acc", "ppg", "ecg", "resp", "emg", "emg_envelope", "eog", "eye", "spo2",
    "face_temp", "eeg_power", "audio", "video", "self_report",
)  # fmt: skip
"""Names a signal may have; a reader maps its files onto these."""


@dataclass(frozen=True)
class Signal:
    """One modality of one trial.

    Parameters
    ----------
    values : (channels, samples) float32, NaN where the source has no value.
    rate_hz : samples a second; for irregular series the nominal rate (0 if none).
    channels : one name a row of ``values``.
    unit : physical unit, e.g. ``"uV"``, ``"uS"``, ``"degC"``, ``"1/min"``, ``"a.u."``.
    start_s : time of the first sample, in seconds on the session's clock.
    timestamps_s : (samples,) float64 seconds on the session's clock for irregular series, else None.
    """

    values: FloatArray
    rate_hz: float
    channels: tuple[str, ...]
    unit: str
    start_s: float = 0.0
    timestamps_s: DoubleArray | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2:
            raise InputError(f"signal values of shape {self.values.shape}; expected (channels, samples).")
        if len(self.channels) != self.values.shape[0]:
            raise InputError(
                f"{len(self.channels)} channel names for {self.values.shape[0]} rows; expected one name a row."
            )
        if self.values.dtype != np.float32:
            object.__setattr__(self, "values", self.values.astype(np.float32))
        if self.timestamps_s is None and not self.rate_hz > 0:
            raise InputError(f"rate {self.rate_hz} Hz; expected above 0 for a regular series.")
        if self.timestamps_s is not None and len(self.timestamps_s) != self.values.shape[1]:
            raise InputError(
                f"{len(self.timestamps_s)} timestamps for {self.values.shape[1]} samples; expected one a sample."
            )

    @property
    def n_samples(self) -> int:
        return int(self.values.shape[1])

    @property
    def duration_s(self) -> float:
        if self.timestamps_s is None:
            return self.n_samples / self.rate_hz
        return float(self.timestamps_s[-1] - self.timestamps_s[0]) if self.n_samples > 1 else 0.0

    def crop(self, start_s: float, stop_s: float) -> Signal:
        """Return the samples whose time t on the session's clock obeys start_s <= t < stop_s."""
        if self.timestamps_s is not None:
            keep = (self.timestamps_s >= start_s) & (self.timestamps_s < stop_s)
            times = self.timestamps_s[keep]
            first = float(times[0]) if times.size else start_s
            return Signal(self.values[:, keep], self.rate_hz, self.channels, self.unit, first, times)
        first_i = max(0, int(np.ceil((start_s - self.start_s) * self.rate_hz - 1e-6)))
        stop_i = max(first_i, int(np.ceil((stop_s - self.start_s) * self.rate_hz - 1e-6)))
        return Signal(
            self.values[:, first_i:stop_i],
            self.rate_hz,
            self.channels,
            self.unit,
            self.start_s + first_i / self.rate_hz,
        )


@dataclass(frozen=True)
class Trial:
    """A maximal stretch of constant label (or with a per-sample target), with its own identity.

    ``start_s`` and ``stop_s`` are seconds on the session's clock. ``labels`` holds text for discrete targets and
    numbers for ratings. A trial of role ``baseline`` serves normalisation and is never scored.
    ``curves`` holds per-sample continuous targets as one-channel signals.
    """

    subject: str
    session: str
    trial: str
    start_s: float
    stop_s: float
    signals: Mapping[str, Signal]
    labels: Mapping[str, Label] = field(default_factory=dict)
    stimulus: str | None = None
    role: Role = "trial"
    curves: Mapping[str, Signal] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """Identity of the trial: (subject, session, trial)."""
        return (self.subject, self.session, self.trial)


@dataclass(frozen=True, repr=False)
class Recording:
    """One person's session: trials in time order, traits, and where everything came from.

    ``traits`` are numbers known about the person (Big Five on the data set's own scale, and others by name).
    ``provenance`` holds plain strings: data set, files, licence.
    """

    subject: str
    session: str
    trials: tuple[Trial, ...]
    traits: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        starts = [t.start_s for t in self.trials]
        if starts != sorted(starts):
            raise InputError(f"trials of {self.subject}/{self.session} out of order; expected them sorted by start_s.")
        keys = [t.key for t in self.trials]
        if len(set(keys)) != len(keys):
            twice = sorted({k for k in keys if keys.count(k) > 1})
            raise InputError(f"trial identity {twice[0]} twice; expected each (subject, session, trial) once.")

    def __repr__(self) -> str:
        return f"Recording({self.subject}/{self.session}: " + "; ".join(value for _, value in self._facts()) + ")"

    def _repr_html_(self) -> str:
        return facts_html(f"Recording {self.subject}/{self.session}", self._facts())

    def _facts(self) -> list[tuple[str, str]]:
        minutes = sum(t.stop_s - t.start_s for t in self.trials) / 60
        rates = {m: f"{m} {s.rate_hz:g} Hz ({len(s.channels)})" for t in self.trials for m, s in t.signals.items()}
        labels = sorted({name for t in self.trials for name in t.labels})
        facts = [("trials", f"{len(self.trials)} trials, {minutes:.1f} min")]
        facts += [("signals", ", ".join(rates.values()) or "no signals"), ("labels", ", ".join(labels) or "no labels")]
        return facts + ([("traits", ", ".join(self.traits))] if self.traits else [])


@dataclass(frozen=True)
class ChannelSpec:
    """What one modality looks like after cleaning: channel names, rate and unit."""

    channels: tuple[str, ...]
    rate_hz: float
    unit: str


@dataclass(frozen=True)
class Schema:
    """What a model reads and says: cleaned modalities, feature and trait columns, target and classes.

    ``classes`` is empty for a continuous target.
    """

    modalities: Mapping[str, ChannelSpec]
    features: Mapping[str, tuple[str, ...]]
    traits: tuple[str, ...]
    target: str
    classes: tuple[str, ...]

    @property
    def continuous(self) -> bool:
        return not self.classes

    def differences(self, other: Schema) -> list[str]:
        """Say in words where two schemas differ (this one first)."""
        out: list[str] = []
        for name in sorted({*self.modalities, *other.modalities}):
            a, b = self.modalities.get(name), other.modalities.get(name)
            if a != b:
                out.append(f"{name}: {_spec(a)} against {_spec(b)}")
        for name in sorted({*self.features, *other.features}):
            fa, fb = self.features.get(name, ()), other.features.get(name, ())
            if fa != fb:
                out.append(f"{name} features: {len(fa)} against {len(fb)} columns")
        for what in ("traits", "target", "classes"):
            va, vb = getattr(self, what), getattr(other, what)
            if va != vb:
                out.append(f"{what}: {va!r} against {vb!r}")
        return out

    def require(self, other: Schema, mine: str, theirs: str) -> None:
        """Raise SchemaError naming both sides unless the schemas are equal."""
        differences = self.differences(other)
        if differences:
            raise SchemaError(
                f"schema of {mine} differs from {theirs}: {'; '.join(differences)}; expected the same. "
                "Use data recorded and cleaned as the model expects, or train a new model."
            )


def _spec(spec: ChannelSpec | None) -> str:
    if spec is None:
        return "absent"
    return f"{len(spec.channels)} channels {','.join(spec.channels)} at {spec.rate_hz:g} Hz in {spec.unit}"


@dataclass(frozen=True)
class Batch:
    """What a model reads at once. Tensors, batch first.

    signals[m] (B, C_m, T_m) float; observed[m] (B, T_m) bool; elapsed_s[m] (B, T_m, 1) seconds since the sample
    before; features[m] (B, F_m), NaN where a value is not valid; traits (B, P), NaN where unknown;
    present (B, M) bool, columns in the order of ``signals``.
    """

    signals: Mapping[str, Tensor]
    observed: Mapping[str, Tensor]
    elapsed_s: Mapping[str, Tensor]
    features: Mapping[str, Tensor]
    traits: Tensor
    present: Tensor


@dataclass(frozen=True)
class ModelOutput:
    """What a model says: logits (B, K) (K = 1 and the value itself for a continuous target), embedding (B, H).

    ``state`` goes back into the next call; ``attention`` maps a name to a tensor whose axes the model documents;
    ``extras`` holds reconstruction terms, regressions, spike counts.
    """

    logits: Tensor
    embedding: Tensor
    state: Any = None
    attention: Mapping[str, Tensor] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class InputSpec:
    """Everything a model needs to size itself.

    signals[m] = (channels, rate_hz); features[m] = number of columns; outputs = number of classes (1 if continuous).
    ``trial_s`` is the median length of the training trials, 0 where it is not known: where time constants start.
    ``channels[m]`` names the channels where they are known.
    """

    signals: Mapping[str, tuple[int, float]]
    features: Mapping[str, int]
    traits: int
    outputs: int
    continuous: bool
    window_s: float
    hop_s: float
    trial_s: float = 0.0
    channels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
