"""Faults do to a recording what their rules say, the same each time, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from insula.signals.faults import FAULTS, Person, blink_shares, blink_wave
from insula.types import Recording, Signal, Trial

CHANNELS = ("Fp1", "Cz", "T7", "strange")
PLACES = {"Fp1": (-0.29, 0.9), "Cz": (0.0, 0.0), "T7": (-1.0, 0.0), "strange": None}
SIZES = {"eeg": np.full(4, 10, np.float32), "eda": np.ones(1, np.float32), "temp": np.ones(1, np.float32)}


def recording(trials: int = 3) -> Recording:
    rng = np.random.default_rng(0)
    found = []
    for i in range(trials):
        at = 20.0 * i
        signals = {
            "eeg": Signal(10 * rng.standard_normal((4, 2560)), 128.0, CHANNELS, "uV", at),
            "eda": Signal(3 + np.linspace(at, at + 20, 80)[None], 4.0, ("EDA",), "uS", at),
            "temp": Signal(np.full((1, 20), 33.0), 1.0, ("T",), "degC", at),
        }
        found.append(Trial("ann", "s1", f"t{i}", at, at + 20, signals, {"state": "calm"}))
    return Recording("ann", "s1", tuple(found))


def spoiled(name: str, level: float, of: Recording | None = None) -> Recording:
    person = Person(of or recording(), SIZES, PLACES, np.random.default_rng(1))
    return FAULTS[name].spoil(person, level)


def values(of: Recording, modality: str) -> Any:
    return np.concatenate([t.signals[modality].values for t in of.trials], axis=1)


@pytest.mark.parametrize("name", list(FAULTS))
def test_labels_times_and_names_stay_and_the_same_chance_gives_the_same(name: str) -> None:
    level = FAULTS[name].levels[-1]
    found, again, before = spoiled(name, level), spoiled(name, level), recording()
    assert [(t.key, t.start_s, t.stop_s, t.labels) for t in found.trials] == [
        (t.key, t.start_s, t.stop_s, t.labels) for t in before.trials
    ]
    for m in before.trials[0].signals:
        np.testing.assert_array_equal(values(found, m), values(again, m))
    assert any(not np.array_equal(values(found, m), values(before, m), equal_nan=True) for m in SIZES)


def test_noise_has_the_size_that_is_asked_for() -> None:
    added = values(spoiled("noise", 2.0), "eeg") - values(recording(), "eeg")
    np.testing.assert_allclose(added.std(axis=1), 20, rtol=0.05)


def test_blinks_are_largest_at_the_eyes_and_as_many_as_asked() -> None:
    shares = blink_shares(CHANNELS, PLACES)
    assert shares[0] == 1 > shares[1] > 0
    assert shares[3] == 0.3
    assert len(blink_wave(128.0)) == 45
    assert blink_wave(128.0).max() == 1
    added = values(spoiled("blinks", 40.0), "eeg") - values(recording(), "eeg")
    assert added[0].max() >= 60
    np.testing.assert_allclose(added[1], added[0] * shares[1], atol=1e-3)


def test_muscle_is_fast_and_at_the_ears() -> None:
    added = values(spoiled("muscle", 4.0), "eeg") - values(recording(), "eeg")
    assert added[2].std() > 2 * added[1].std() > 0
    power = np.abs(np.fft.rfft(added[2])) ** 2
    hz = np.fft.rfftfreq(added.shape[1], 1 / 128)
    assert power[hz > 15].sum() > 0.9 * power.sum()


def test_lost_electrodes_are_the_same_all_session_and_never_all() -> None:
    off = [tuple((t.signals["eeg"].values == 0).all(axis=1)) for t in spoiled("electrodes", 0.5).trials]
    assert len(set(off)) == 1
    assert sum(off[0]) == 2
    assert sum((spoiled("electrodes", 1.0).trials[0].signals["eeg"].values == 0).all(axis=1)) == 3


def test_lost_sensors_are_gone_and_one_stays() -> None:
    for level, gone in ((1, 1), (2, 2), (9, 2)):
        found = spoiled("sensors", level)
        assert sum(bool(np.isnan(values(found, m)).all()) for m in SIZES) == gone


def test_drift_shifts_every_second_sensor_by_what_it_lost() -> None:
    found = spoiled("drift", 360.0)  # a tenth
    eeg, before = values(found, "eeg"), values(recording(), "eeg")
    np.testing.assert_array_equal(values(found, "eda"), values(recording(), "eda"))
    at = 1280
    np.testing.assert_array_equal(eeg[:, at], before[:, round(at * 1.1)])
    assert np.isnan(eeg[:, -1]).all()  # past the end of the recording


def test_a_lower_rate_keeps_slow_waves_and_their_gaps() -> None:
    t = np.arange(2560) / 128
    wave = np.tile(np.sin(2 * np.pi * 2 * t), (4, 1)).astype(np.float32)
    wave[:, 1280:1400] = np.nan
    one = recording(1)
    eeg = replace(one.trials[0].signals["eeg"], values=wave)
    trial = replace(one.trials[0], signals={**one.trials[0].signals, "eeg": eeg})
    found = spoiled("rate", 0.25, Recording("ann", "s1", (trial,))).trials[0].signals
    assert found["eeg"].rate_hz == 32
    assert np.isnan(found["eeg"].values[:, 320:350]).all()
    np.testing.assert_allclose(found["eeg"].values[0, 32:280], np.sin(2 * np.pi * 2 * t[::4])[32:280], atol=0.05)
    assert found["temp"].rate_hz == 1  # not below 1 Hz
