"""How signals are cleaned and cut: a frozen Recipe, saved with every model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from insula.errors import InputError, unknown_name

Reference = Literal["none", "average"]


@dataclass(frozen=True)
class SignalRecipe:
    """Causal cleaning of one modality.

    ``rate_hz`` is the rate after resampling. A high-pass, low-pass or notch of None is left out. ``hold`` keeps the
    last value instead of filtering when the source is slower than ``rate_hz`` (temperature, heart rate).
    ``limits`` is the valid range in the signal's unit: samples outside it are masked.
    """

    rate_hz: float
    highpass_hz: float | None = None
    lowpass_hz: float | None = None
    notch_hz: float | None = None
    order: int = 4
    reference: Reference = "none"
    hold: bool = False
    limits: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.rate_hz < math.inf:
            raise InputError(f"rate_hz {self.rate_hz}; expected above 0.")
        if self.order < 1:
            raise InputError(f"order {self.order}; expected 1 or more.")
        if self.reference not in get_args(Reference):
            raise unknown_name("reference", str(self.reference), get_args(Reference))
        if self.limits is not None and not (len(self.limits) == 2 and self.limits[0] < self.limits[1]):
            raise InputError(f"limits {self.limits}; expected a lower and a higher value. Swap or correct them.")
        for name in ("highpass_hz", "lowpass_hz", "notch_hz"):
            value = getattr(self, name)
            if value is not None and not 0 < value < self.rate_hz / 2:
                raise InputError(
                    f"{name} {value:g}; expected between 0 and half of rate_hz {self.rate_hz:g}. "
                    "Raise rate_hz or move the corner."
                )


DEFAULT_SIGNALS: Mapping[str, SignalRecipe] = {
    "eeg": SignalRecipe(128.0, 1.0, 45.0, 50.0, reference="average", limits=(-5000.0, 5000.0)),
    "eda": SignalRecipe(4.0, lowpass_hz=1.0, order=2, limits=(0.0, 100.0)),
    "bvp": SignalRecipe(64.0, 0.5, 8.0, order=2),
    "ppg": SignalRecipe(32.0, 0.5, 8.0, order=2),
    "temp": SignalRecipe(4.0, lowpass_hz=0.5, order=2, limits=(15.0, 45.0)),
    "hr": SignalRecipe(1.0, hold=True, limits=(25.0, 240.0)),
    "acc": SignalRecipe(32.0, lowpass_hz=10.0, order=2),
    "ecg": SignalRecipe(128.0, 0.5, 40.0, 50.0, order=2),
    "resp": SignalRecipe(32.0, 0.05, 2.0, order=2),
    "emg": SignalRecipe(128.0, 10.0, 60.0, 50.0, order=2),
    "emg_envelope": SignalRecipe(20.0, lowpass_hz=8.0, order=2),
    "spo2": SignalRecipe(1.0, hold=True, limits=(50.0, 100.0)),
    "face_temp": SignalRecipe(1.0, hold=True),
    "eye": SignalRecipe(1.0, hold=True),
}
"""Defaults a modality; a modality without one must be given a SignalRecipe."""


@dataclass(frozen=True)
class Recipe:
    """Cleaning of every modality and the cutting into windows.

    Windows of ``window_s`` start every ``hop_s`` inside a trial, the first one ``guard_s`` after the trial begins, so
    that slow signals have forgotten the trial before. ``opening_s`` opening seconds of a session (0: none) serve the
    person's normaliser and are never scored; data sets with a resting baseline use that instead.
    ``window_s`` is a whole number of hops, and hop and guard are a whole number of samples of every modality.
    """

    signals: Mapping[str, SignalRecipe] = field(default_factory=lambda: dict(DEFAULT_SIGNALS))
    window_s: float = 60.0
    hop_s: float = 10.0
    guard_s: float = 10.0
    opening_s: float = 0.0
    min_observed: float = 0.5

    def __post_init__(self) -> None:
        for name in ("window_s", "hop_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} {getattr(self, name)}; expected above 0.")
        for name in ("guard_s", "opening_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} {getattr(self, name)}; expected 0 or more.")
        if not 0 < self.min_observed <= 1:
            raise InputError(f"min_observed {self.min_observed}; expected above 0 and at most 1.")
        hops = round(self.hops_per_window) if math.isfinite(self.hops_per_window) else 0
        if hops < 1 or not math.isclose(self.hops_per_window, hops, abs_tol=1e-9):
            raise InputError(
                f"window_s {self.window_s:g} with hop_s {self.hop_s:g}; expected a whole number of hops a window. "
                f"Use hop_s {self.window_s / max(1, hops):g}, for instance."
            )

    @property
    def hops_per_window(self) -> float:
        return self.window_s / self.hop_s

    def only(self, modalities: Iterable[str]) -> Recipe:
        """Keep the named modalities; check that each has a recipe and that hop and guard are whole samples of it."""
        kept: dict[str, SignalRecipe] = {}
        for name in modalities:
            if name not in self.signals:
                raise InputError(
                    f"modality {name!r} without a recipe; expected one of {', '.join(self.signals)}. "
                    f"Add a SignalRecipe for {name!r} to Recipe.signals or leave the modality out."
                )
            for key in ("hop_s", "guard_s"):
                samples = self.signals[name].rate_hz * getattr(self, key)
                if not math.isclose(samples, round(samples), abs_tol=1e-6):
                    raise InputError(
                        f"{key} {getattr(self, key):g} is {samples:g} samples of {name}; expected whole samples. "
                        f"Change {key} or rate_hz."
                    )
            kept[name] = self.signals[name]
        return replace(self, signals=kept)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Read what `to_dict` wrote (lists stand for tuples)."""
        signals = {
            name: SignalRecipe(**{**spec, "limits": tuple(spec["limits"]) if spec.get("limits") else None})
            for name, spec in data["signals"].items()
        }
        return cls(**{**data, "signals": signals})
