"""Flags of raw signals with faults put in at known places: exact shares of every second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import insula
from insula.signals.cleaner import clean_trial
from insula.signals.flags import LINE_RATIO, MOVED, movement, of_trial
from insula.signals.quality import FLAGS, window_shares
from insula.signals.recipe import DEFAULT_SIGNALS, Recipe
from insula.types import FloatArray, Signal, Trial

FLAT, CLIPPED, GAP, HUM, MOTION = range(5)
UNITS = {"eeg": "uV", "eda": "uS", "bvp": "a.u.", "temp": "degC", "hr": "1/min", "acc": "g"}


def noise(channels: int, samples: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).standard_normal((channels, samples)).astype(np.float32)


def signal(modality: str, values: FloatArray, rate_hz: float, start_s: float = 0.0, unit: str | None = None) -> Signal:
    names = tuple(f"c{i}" for i in range(len(values)))
    return Signal(values, rate_hz, names, unit or UNITS[modality], start_s)


def shares(signals: dict[str, Signal], seconds: float = 10.0) -> dict[str, FloatArray]:
    recipe = Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0).only(signals)
    trial = Trial("p", "s", "t", 0.0, seconds, signals)
    found = clean_trial(trial, recipe).quality
    again = of_trial(trial, recipe)
    assert found.keys() == again.keys() == signals.keys()
    for name, values in found.items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, again[name])
    return dict(found)


def test_good_signals_have_no_flag_and_nothing_is_claimed_that_cannot_be_judged() -> None:
    found = shares(
        {
            "eeg": signal("eeg", 20 * noise(4, 1280) + 4200, 128),
            "eda": signal("eda", 3 + 0.1 * noise(1, 40), 4),
            "bvp": signal("bvp", 50 * noise(1, 640), 64),
            "temp": signal("temp", 32 + 0.1 * noise(1, 40), 4),
            "hr": signal("hr", np.full((1, 10), 70, np.float32), 1),
        }
    )
    nan = float("nan")
    expected = {
        "eeg": [0, 0, 0, 0, nan],
        "eda": [0, nan, 0, nan, nan],
        "bvp": [0, 0, 0, nan, nan],
        "temp": [0, nan, 0, nan, nan],
        "hr": [nan, nan, 0, nan, nan],
    }
    for name, row in expected.items():
        np.testing.assert_array_equal(found[name], np.tile(np.array(row, np.float32)[:, None], 10), err_msg=name)


def test_flat_stretches_are_marked_from_their_first_sample_on() -> None:
    bvp = noise(1, 640)
    bvp[0, 96:192] = 0.5  # 1.5 s at 64 Hz from 1.5 s on; the corner of 0.5 Hz asks for 1 s
    bvp[0, 320:383] = 0.25  # 63 samples: one too few
    eeg = noise(4, 1280)
    eeg[1, 256:448] = 7.0  # 1.5 s of one channel in four
    found = shares({"bvp": signal("bvp", bvp, 64), "eeg": signal("eeg", eeg, 128)})
    assert found["bvp"][FLAT].tolist() == [0, 0.5, 1, 0, 0, 0, 0, 0, 0, 0]
    assert found["eeg"][FLAT].tolist() == [0, 0, 0.25, 0.125, 0, 0, 0, 0, 0, 0]
    assert not found["bvp"][CLIPPED].any(), "flat inside the range is not clipped"


def test_slow_sensors_may_repeat_themselves() -> None:
    eda = 3 + 0.1 * noise(1, 120)
    eda[0, 8:47] = 3.0  # 9.75 s
    eda[0, 60:101] = 3.1  # 10.25 s
    temp = np.repeat(32 + 0.02 * np.arange(8, dtype=np.float32), 15)[None]  # steps of 3.75 s
    found = shares({"eda": signal("eda", eda, 4), "temp": signal("temp", temp, 4)}, 30.0)
    assert np.flatnonzero(found["eda"][FLAT]).tolist() == list(range(15, 26))
    assert found["eda"][FLAT, 25] == 0.25
    assert not found["temp"][FLAT].any()
    stuck = shares({"temp": signal("temp", np.full((1, 280), 32.0, np.float32), 4)}, 70.0)
    assert (stuck["temp"][FLAT] == 1).all()


def test_clipped_is_resting_at_an_extreme_and_nowhere_else() -> None:
    bvp = np.clip(noise(1, 640), -3, 2.5)
    bvp[0, 64:80] = 9.0  # a quarter of a second at the top
    bvp[0, 128:132] = 9.0  # four samples are too few
    bvp[0, 200:216] = 1.0  # inside the range
    bvp[0, 320:328] = -9.0
    found = shares({"bvp": signal("bvp", bvp, 64)})
    assert found["bvp"][CLIPPED].tolist() == [0, 0.25, 0, 0, 0, 0.125, 0, 0, 0, 0]
    assert not found["bvp"][FLAT].any()
    dead = shares({"bvp": signal("bvp", np.zeros((1, 640), np.float32), 64)})
    assert (dead["bvp"][FLAT] == 1).all()
    assert not dead["bvp"][CLIPPED].any()


def test_gaps_are_missing_values_the_time_outside_the_source_and_values_out_of_range() -> None:
    eda = 3 + 0.1 * noise(1, 24)
    eda[0, 2:4] = np.nan
    eda[0, 8:12] = 0.0  # not worn
    found = shares({"eda": signal("eda", eda, 4, start_s=2.0)})  # from 2 s to 8 s of 10
    assert found["eda"][GAP].tolist() == [1, 1, 0.5, 0, 1, 0, 0, 0, 1, 1]
    nothing = shares({"eda": signal("eda", np.full((1, 40), np.nan, np.float32), 4)})
    assert (nothing["eda"][GAP] == 1).all()
    assert not nothing["eda"][FLAT].any()


@pytest.mark.parametrize("rate_hz", [128.0, 250.0, 128.5])
def test_mains_hum_is_marked_where_it_is_and_judged_only_where_the_rate_allows(rate_hz: float) -> None:
    samples = int(10 * rate_hz)
    t = np.arange(samples) / rate_hz
    eeg = 10 * noise(4, samples)
    hum = 400 * np.sin(2 * np.pi * 50 * t + 0.3).astype(np.float32)
    eeg[2] += np.where((t >= 3) & (t < 5), hum, 0)
    found = shares({"eeg": signal("eeg", eeg + 4200, rate_hz)})["eeg"]
    assert found[HUM].tolist() == [0, 0, 0, 0.25, 0.25, 0, 0, 0, 0, 0]
    other = Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0).only(["eeg"])
    other = replace(other, signals={"eeg": replace(other.signals["eeg"], notch_hz=40.0)})
    trial = Trial("p", "s", "t", 0.0, 10.0, {"eeg": signal("eeg", eeg, rate_hz)})
    assert not clean_trial(trial, other).quality["eeg"][HUM].any(), "only the recipe's own mains frequency counts"
    slow = shares({"eeg": signal("eeg", noise(4, 1100), 110)})
    assert np.isnan(slow["eeg"][HUM]).all()


def test_how_strong_hum_must_be() -> None:
    """White noise of variance 1 has a mean power of sum(w^2) a bin; a sine of amplitude a has (a n / 4)^2."""
    n, seconds = 128, 400
    window_power = 3 / 8 * n
    edge = 4 / n * np.sqrt(LINE_RATIO * window_power)
    t = np.arange(n * seconds) / n
    for factor, low, high in ((2.0, 0.97, 1.0), (0.5, 0.0, 0.03)):
        x = noise(1, n * seconds) + factor * edge * np.sin(2 * np.pi * 50 * t).astype(np.float32)
        found = shares({"eeg": signal("eeg", x.astype(np.float32), n)}, seconds)["eeg"][HUM].mean()
        assert low <= found <= high
    constant = shares({"eeg": signal("eeg", np.full((1, 1280), 4321.123, np.float32), 128)})
    assert not constant["eeg"][HUM].any(), "rounding is no hum"


@pytest.mark.parametrize(("unit", "scale"), [("g", 1.0), ("1/64 g", 64.0), ("mg", 1000.0)])
def test_motion_goes_to_everything_on_the_wrist(unit: str, scale: float) -> None:
    acc = np.zeros((3, 320), np.float32)
    acc[2] = 1.0
    acc[2, 64:128] += 0.3 * (-1.0) ** np.arange(64)  # seconds 2 and 3: standard deviation 0.3 g
    acc[2, 160:192] += 0.09 * (-1.0) ** np.arange(32)  # second 5: 0.09 g
    acc[:, 224:256] = np.nan
    found = shares(
        {
            "acc": signal("acc", scale * acc, 32, unit=unit),
            "eda": signal("eda", 3 + 0.1 * noise(1, 40), 4),
            "eeg": signal("eeg", noise(4, 1280), 128),
        }
    )
    expected = np.array([0, 0, 1, 1, 0, 0, 0, np.nan, 0, 0], np.float32)
    for name in ("acc", "eda"):
        np.testing.assert_array_equal(found[name][MOTION], expected)
    assert np.isnan(found["eeg"][MOTION]).all(), "the head is elsewhere"


def test_motion_needs_acceleration_in_a_known_unit() -> None:
    acc = signal("acc", noise(3, 320), 32, unit="counts")
    assert np.isnan(movement(Trial("p", "s", "t", 0.0, 10.0, {"acc": acc}))).all()
    assert movement(Trial("p", "s", "t", 0.0, 9.5, {})).shape == (10,)


def test_a_second_in_part_and_slow_series_have_shares_too() -> None:
    bvp = noise(1, 96)
    bvp[0, 64:] = np.nan
    found = shares({"bvp": signal("bvp", bvp, 64)}, 1.5)["bvp"]
    assert found[GAP].tolist() == [0, 1]
    rule = replace(DEFAULT_SIGNALS["hr"], rate_hz=1.0)
    hr = Signal(np.array([[70, np.nan, 72]], np.float32), 0.25, ("hr",), "1/min")
    recipe = replace(Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0), signals={"hr": rule})
    gap = of_trial(Trial("p", "s", "t", 0.0, 12.0, {"hr": hr}), recipe)["hr"][GAP]
    assert gap.tolist() == [0] * 4 + [1] * 4 + [0] * 4


def test_flags_do_not_depend_on_the_trials_place_on_the_clock() -> None:
    bvp = noise(1, 640)
    bvp[0, 96:192] = 0.5
    recipe = Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0).only(["bvp"])
    here, there = (
        of_trial(Trial("p", "s", "t", at, at + 10, {"bvp": signal("bvp", bvp, 64, at)}), recipe)["bvp"]
        for at in (0.0, 1234.5)
    )
    np.testing.assert_array_equal(here, there)


def test_a_worn_wristband_has_plausible_shares(recordings: Path) -> None:
    """A whole E4 session: never flat or clipped, hardly a gap, moved for a part of the hour."""
    trial = insula.load("e4", recordings / "e4_session", problems=[])[0].trials[0]
    recipe = insula.data.info("e4").recipe
    found = clean_trial(trial, recipe).quality
    for name in ("eda", "bvp", "temp"):
        whole = window_shares(found[name], np.array([0.0]), trial.stop_s)[0]
        assert whole[FLAT] == 0
        assert whole[GAP] < 0.005
        assert 0.1 < whole[MOTION] < 0.4
        assert np.isnan(whole[HUM])
        assert name in MOVED
    assert window_shares(found["bvp"], np.array([0.0]), trial.stop_s)[0][CLIPPED] < 0.001
    assert len(found["eda"]) == len(FLAGS)


@pytest.mark.parametrize("name", ["stress_predict", "cogwear_e4"])
def test_people_who_wore_it_well_are_not_called_flat(recordings: Path, name: str) -> None:
    people = insula.load(name, recordings / name, problems=[])
    recipe = insula.data.info(name).recipe
    flat, gap = [], []
    for person in people:
        for trial in person.trials:
            for modality, values in of_trial(trial, recipe).items():
                if modality != "hr":
                    flat.append(np.nanmean(values[FLAT]))
                gap.append(np.nanmean(values[GAP]))
    assert max(flat) == 0
    assert np.mean(gap) < 0.01
