"""Faults that recordings suffer outside the laboratory, put into clean ones by rule: what stress tests are made of.

Each is written down here so that a curve can be read without the code. A channel's *size* is the deviation of its
cleaned samples. (?) All shapes and sizes are our choice: plausible, not measured.

- noise: white Gaussian noise of 1/2, 1 or 2 sizes on every channel.
- blinks: on EEG, 10 to 40 a minute at chance times; a wave that rises for 0.1 s and falls for 0.25 s (half cosines), 6
  to 10 sizes high at Fp1 and Fp2 and less by exp(-distance / 0.5 head radii) behind them.
- muscle: on EEG, 12 bursts a minute of 0.3 to 1.5 s; noise above 20 Hz of 1 to 4 sizes under a Hann window, all of it
  at the ears and 0.3 of it on the midline.
- electrodes: a share of the EEG's electrodes comes off for the whole session and reads 0.
- sensors: whole modalities are not worn.
- drift: the clocks of every second modality lose so many seconds an hour against the clock of the labels.
- rate: every modality is recorded at a half, a quarter or an eighth of its rate (not below 1 Hz), with an anti-alias
  filter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import signal as sps

from insula.types import DoubleArray, FloatArray, Recording, Signal, Trial

Places = Mapping[str, tuple[float, float] | None]
"""Where electrodes sit, nose up, 1 from the centre at the ears; None where unknown."""
Sizes = Mapping[str, FloatArray]
"""Deviation of the cleaned samples of each channel (C,), by modality."""


@dataclass(frozen=True)
class Person:
    """A recording with what faults need of it: sizes of its channels, places of its electrodes, a source of chance."""

    recording: Recording
    sizes: Sizes
    places: Places
    rng: np.random.Generator

    @property
    def modalities(self) -> list[str]:
        """Names in the order in which they first occur."""
        return list(dict.fromkeys(m for t in self.recording.trials for m in t.signals))


@dataclass(frozen=True)
class Fault:
    """One kind of fault: ``levels`` in ``unit``, mildest first, and ``spoil`` that puts one into a recording.

    ``reads`` names the modality that it needs, empty where it needs none; ``clean`` is the level without the fault.
    """

    name: str
    title: str
    unit: str
    levels: tuple[float, ...]
    spoil: Callable[[Person, float], Recording]
    reads: str = ""
    clean: float = 0.0


def _each(person: Person, change: Callable[[str, Signal], Signal]) -> Recording:
    trials = tuple(replace(t, signals={m: change(m, s) for m, s in t.signals.items()}) for t in person.recording.trials)
    return replace(person.recording, trials=trials)


def _sizes(person: Person, modality: str, count: int) -> DoubleArray:
    found = person.sizes.get(modality)
    return np.zeros(count) if found is None or len(found) != count else np.asarray(found, np.float64)


def _noise(person: Person, level: float) -> Recording:
    def change(modality: str, one: Signal) -> Signal:
        size = _sizes(person, modality, len(one.channels))
        added = person.rng.standard_normal(one.values.shape) * (level * size[:, None])
        return replace(one, values=(one.values + added).astype(np.float32))

    return _each(person, change)


# -- artefacts of EEG ----------------------------------------------------------------------------------------------

_UNKNOWN = 0.3
"""Share of a blink or burst at an electrode whose place is not known."""
_BLINK_SIZES = (6.0, 10.0)
_BLINK_REACH = 0.5
_BURSTS_A_MINUTE = 12.0
_BURST_S = (0.3, 1.5)
_MUSCLE_ABOVE_HZ = 20.0
_EYES = ((-0.29, 0.9), (0.29, 0.9))


def blink_shares(channels: Sequence[str], places: Places) -> DoubleArray:
    """Share of a blink that each electrode sees, 0 to 1, (C,)."""
    out = []
    for name in channels:
        at = places.get(name)
        apart = min(np.hypot(at[0] - x, at[1] - y) for x, y in _EYES) if at is not None else 0.0
        out.append(_UNKNOWN if at is None else float(np.exp(-apart / _BLINK_REACH)))
    return np.asarray(out)


def muscle_shares(channels: Sequence[str], places: Places) -> DoubleArray:
    """Share of a burst that each electrode sees, 0.3 on the midline to 1 at the ears, (C,)."""
    found = [places.get(name) for name in channels]
    return np.asarray([_UNKNOWN if at is None else min(1.0, 0.3 + 0.7 * abs(at[0])) for at in found])


def blink_wave(rate_hz: float) -> DoubleArray:
    """One blink of height 1 at a rate: 0.1 s up, 0.25 s down."""
    up, down = max(1, round(0.1 * rate_hz)), max(1, round(0.25 * rate_hz))
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(up) / up)
    return np.concatenate([rise, 0.5 + 0.5 * np.cos(np.pi * np.arange(down) / down)])


def _blinks(person: Person, level: float) -> Recording:
    def change(modality: str, one: Signal) -> Signal:
        if modality != "eeg":
            return one
        wave, n = blink_wave(one.rate_hz), one.n_samples
        course = np.zeros(n + len(wave))
        for start in person.rng.integers(0, max(n, 1), person.rng.poisson(level * n / one.rate_hz / 60)):
            course[start : start + len(wave)] += person.rng.uniform(*_BLINK_SIZES) * wave
        height = float(np.median(_sizes(person, modality, len(one.channels))))
        added = blink_shares(one.channels, person.places)[:, None] * (height * course[:n])
        return replace(one, values=(one.values + added).astype(np.float32))

    return _each(person, change)


def _muscle(person: Person, level: float) -> Recording:
    def change(modality: str, one: Signal) -> Signal:
        if modality != "eeg" or one.rate_hz <= 2.2 * _MUSCLE_ABOVE_HZ:
            return one
        n, rng, rate = one.n_samples, person.rng, one.rate_hz
        added = np.zeros(one.values.shape)
        high = sps.butter(4, _MUSCLE_ABOVE_HZ, "highpass", fs=rate, output="sos")
        for start in rng.integers(0, max(n, 1), rng.poisson(_BURSTS_A_MINUTE * n / rate / 60)):
            length = min(round(rng.uniform(*_BURST_S) * rate), n - int(start))
            if length < 8:
                continue
            burst = sps.sosfilt(high, rng.standard_normal((len(one.channels), length)))
            deviation = np.maximum(burst.std(axis=1, keepdims=True), 1e-9)
            added[:, start : start + length] += burst / deviation * np.hanning(length)
        size = _sizes(person, modality, len(one.channels)) * muscle_shares(one.channels, person.places)
        return replace(one, values=(one.values + level * size[:, None] * added).astype(np.float32))

    return _each(person, change)


# -- what is not there ---------------------------------------------------------------------------------------------


def _electrodes(person: Person, level: float) -> Recording:
    lost: dict[int, DoubleArray] = {}  # one draw a session

    def change(modality: str, one: Signal) -> Signal:
        if modality != "eeg":
            return one
        count = len(one.channels)
        if count not in lost:
            off = np.zeros(count)
            off[person.rng.permutation(count)[: min(count - 1, max(1, round(level * count)))]] = 1
            lost[count] = off
        return replace(one, values=np.where(lost[count][:, None] > 0, 0, one.values).astype(np.float32))

    return _each(person, change)


def _sensors(person: Person, level: float) -> Recording:
    names = person.modalities
    off = set(person.rng.permutation(names)[: min(len(names) - 1, round(level))].tolist())

    def change(modality: str, one: Signal) -> Signal:
        return replace(one, values=np.full_like(one.values, np.nan)) if modality in off else one

    return _each(person, change)


# -- clocks and rates ----------------------------------------------------------------------------------------------


def _drift(person: Person, level: float) -> Recording:
    recording, share = person.recording, level / 3600
    if not recording.trials:
        return recording
    begin = recording.trials[0].start_s
    late = set(person.modalities[::2])
    whole = {m: _joined(recording.trials, m) for m in late}

    def change(trial: Trial) -> Trial:
        moved = {}
        for m, one in trial.signals.items():
            if m not in late:
                moved[m] = one
                continue
            times, values = whole[m]
            if one.timestamps_s is not None:
                shown = begin + (times - begin) / (1 + share)
                keep = (shown >= trial.start_s) & (shown < trial.stop_s)
                first = float(shown[keep][0]) if keep.any() else one.start_s
                moved[m] = replace(one, values=values[:, keep], timestamps_s=shown[keep], start_s=first)
                continue
            asked = begin + (one.start_s + np.arange(one.n_samples) / one.rate_hz - begin) * (1 + share)
            after = np.clip(np.searchsorted(times, asked), 1, max(len(times) - 1, 1))
            nearest = np.where(np.abs(times[after - 1] - asked) <= np.abs(times[after] - asked), after - 1, after)
            taken = values[:, nearest].copy()
            taken[:, np.abs(times[nearest] - asked) > 1.5 / one.rate_hz] = np.nan
            moved[m] = replace(one, values=taken)
        return replace(trial, signals=moved)

    return replace(recording, trials=tuple(change(t) for t in recording.trials))


def _joined(trials: Sequence[Trial], modality: str) -> tuple[DoubleArray, FloatArray]:
    """Times (n,) and samples (C, n) of one modality over a session."""
    own = [t.signals[modality] for t in trials if modality in t.signals]
    times = [s.start_s + np.arange(s.n_samples) / s.rate_hz if s.timestamps_s is None else s.timestamps_s for s in own]
    joined = np.concatenate(times)
    order = np.argsort(joined, kind="stable")
    return joined[order], np.concatenate([s.values for s in own], axis=1)[:, order]


def _rate(person: Person, level: float) -> Recording:
    def change(_: str, one: Signal) -> Signal:
        step = round(1 / level)
        if one.timestamps_s is not None:
            return replace(one, values=one.values[:, ::step], timestamps_s=one.timestamps_s[::step])
        if one.rate_hz / step < 1 or one.n_samples < 2 * step:
            return one
        missing = np.isnan(one.values)
        values = one.values.astype(np.float64)
        if missing.any():
            values = np.where(missing, 0.0, values)
        offset = values[:, :1]
        slow = sps.resample_poly(values - offset, 1, step, axis=1) + offset
        slow[missing[:, ::step][:, : slow.shape[1]]] = np.nan
        return replace(one, values=slow.astype(np.float32), rate_hz=one.rate_hz / step)

    return _each(person, change)


FAULTS: Mapping[str, Fault] = {
    one.name: one
    for one in (
        Fault("noise", "Added noise", "× channel's size", (0.5, 1.0, 2.0), _noise),
        Fault("blinks", "Blinks", "a minute", (10.0, 20.0, 40.0), _blinks, "eeg"),
        Fault("muscle", "Muscle bursts", "× channel's size", (1.0, 2.0, 4.0), _muscle, "eeg"),
        Fault("electrodes", "Lost electrodes", "share of electrodes", (0.1, 0.25, 0.5), _electrodes, "eeg"),
        Fault("sensors", "Lost sensors", "sensors", (1.0, 2.0, 3.0), _sensors),
        Fault("drift", "Clock drift", "seconds lost an hour", (1.0, 10.0, 60.0), _drift),
        Fault("rate", "Lower sampling rate", "share of the rate", (0.5, 0.25, 0.125), _rate, clean=1.0),
    )
}
"""Every fault by name, in the order of the page."""
