"""Cleaning: equal in pieces and whole, causal, steady from the first sample, honest about gaps, delay and channels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insula.errors import InputError
from insula.signals.cleaner import Cleaner, clean_trial, quality
from insula.signals.recipe import DEFAULT_SIGNALS, Recipe, SignalRecipe
from insula.signals.resampling import hold_on_grid, on_trial_grid
from insula.types import ChannelSpec, Signal, Trial

EEG = DEFAULT_SIGNALS["eeg"]


def cleaner(recipe: SignalRecipe, raw_hz: float, channels: int = 1) -> Cleaner:
    return Cleaner(recipe, ChannelSpec(tuple(f"c{i}" for i in range(channels)), raw_hz, "uV"), np.float64)


def whole(made: Cleaner, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, observed, _ = made.step(np.atleast_2d(x), made.init())
    return y, observed


CASES = {
    "eeg 256": (EEG, 256.0, 6),
    "eeg 500": (EEG, 500.0, 5),
    "eeg odd rate": (EEG, 97.3, 4),
    "up": (SignalRecipe(128.0, lowpass_hz=30.0), 100.0, 2),
    "eda 700": (DEFAULT_SIGNALS["eda"], 700.0, 1),
    "bvp": (DEFAULT_SIGNALS["bvp"], 64.0, 1),
    "temp": (DEFAULT_SIGNALS["temp"], 4.0, 1),
    "hold": (SignalRecipe(4.0, hold=True, limits=(25.0, 240.0)), 1.0, 1),
    "plain": (SignalRecipe(32.0), 32.0, 3),
    "average of few": (SignalRecipe(32.0, lowpass_hz=5.0, reference="average"), 50.0, 3),
}


@pytest.mark.parametrize("case", CASES)
@given(
    seed=st.integers(0, 9999),
    seconds=st.floats(0.1, 8.0),
    faults=st.integers(0, 3),
    late=st.booleans(),
    cuts=st.lists(st.floats(0.0, 1.0), max_size=8),
)
@settings(max_examples=40, deadline=None)
def test_pieces_equal_whole(case: str, seed: int, seconds: float, faults: int, late: bool, cuts: list[float]) -> None:
    recipe, raw_hz, channels = CASES[case]
    made = cleaner(recipe, raw_hz, channels)
    rng = np.random.default_rng(seed)
    length = max(1, int(seconds * raw_hz))
    x = 60 + np.cumsum(rng.normal(0, 0.3, (channels, length)), axis=1)
    for _ in range(faults):  # gaps, wild values, stuck stretches
        at, long = rng.integers(0, length), rng.integers(1, int(raw_hz) + 2)
        x[rng.integers(0, channels), at : at + long] = rng.choice([np.nan, 1e9 if recipe.limits else 99.0, 61.0])
    if late:
        x[:, : rng.integers(0, length)] = np.nan
    y, observed = whole(made, x)
    state, parts, at = made.init(), [], 0
    for stop in [*sorted(int(c * length) for c in cuts), length]:  # pieces of 0 samples too
        clean, seen, state = made.step(x[:, at:stop], state)
        parts.append((clean, seen))
        at = stop
    pieces = np.concatenate([p[0] for p in parts], axis=1)
    np.testing.assert_allclose(pieces, y, rtol=1e-6, atol=1e-6 * np.abs(y).max(initial=1e-3))
    np.testing.assert_array_equal(np.concatenate([p[1] for p in parts]), observed)
    assert np.isfinite(y).all()
    ups, downs = made._ratio
    assert y.shape[1] == -(-length * ups // downs)


def test_sample_by_sample_equals_whole() -> None:
    x = np.random.default_rng(0).normal(size=(4, 400))
    made = cleaner(EEG, 256.0, 4)
    state, parts = made.init(), []
    for t in range(400):
        clean, _, state = made.step(x[:, t : t + 1], state)
        parts.append(clean)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole(made, x)[0], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", ["eeg 256", "eeg 500", "eda 700", "up", "hold"])
def test_output_reads_no_later_input(case: str) -> None:
    recipe, raw_hz, channels = CASES[case]
    made = cleaner(recipe, raw_hz, channels)
    rng = np.random.default_rng(1)
    x = 60 + np.cumsum(rng.normal(0, 0.3, (channels, int(6 * raw_hz))), axis=1)
    cut = int(3.01 * raw_hz)
    other = x.copy()
    other[:, cut:] = 90 + 20 * rng.normal(size=other[:, cut:].shape)
    known = int(np.floor((cut - 1) / raw_hz * recipe.rate_hz)) + 1
    a, b = whole(made, x), whole(made, other)
    np.testing.assert_array_equal(a[0][:, :known], b[0][:, :known])
    np.testing.assert_array_equal(a[1][:known], b[1][:known])
    assert not np.allclose(a[0], b[0])


def test_state_is_never_changed() -> None:
    made = cleaner(EEG, 256.0, 5)
    x = np.random.default_rng(0).normal(size=(5, 700))
    _, _, state = made.step(x[:, :300], made.init())
    first = made.step(x[:, 300:], state)[0]
    np.testing.assert_array_equal(made.step(x[:, 300:], state)[0], first)


@pytest.mark.parametrize("name", ["eda", "temp", "bvp", "eeg", "hr"])
def test_constant_gives_no_transient(name: str) -> None:
    recipe = DEFAULT_SIGNALS[name]
    x = np.full((1, 600), 30.7)
    x[0, :150] = np.nan  # worn late
    y, observed = whole(cleaner(recipe, 2 * recipe.rate_hz), x)
    level = 0.0 if recipe.highpass_hz else 30.7
    np.testing.assert_allclose(y[0, :75], 0.0, atol=1e-9)
    np.testing.assert_allclose(y[0, 75:], level, rtol=1e-9, atol=1e-9)
    assert not observed[:74].any()
    assert observed[80:].all() != bool(recipe.highpass_hz)  # a pulse that rests is no pulse


def sine(hz: float, rate_hz: float, seconds: float) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)


@pytest.mark.parametrize("raw_hz", [256.0, 500.0, 1000.0, 300.1])
def test_anti_alias_filter_stops_images_and_passes_the_band(raw_hz: float) -> None:
    made = cleaner(SignalRecipe(128.0, lowpass_hz=40.0, order=1), raw_hz)
    wide = cleaner(SignalRecipe(128.0), raw_hz)
    for hz in (89.0, 100.0, 0.49 * raw_hz):  # would come back as 39, 28 ... Hz
        assert np.abs(whole(made, sine(hz, raw_hz, 6))[0][0, 400:]).max() < 2e-3
    for hz in (5.0, 30.0):
        assert np.abs(whole(wide, sine(hz, raw_hz, 6))[0][0, 400:]).max() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("raw_hz", "rate_hz"), [(256.0, 128.0), (500.0, 128.0), (64.0, 100.0), (97.3, 128.0), (25.0, 32.0)]
)
def test_resampled_sine_is_the_delayed_sine(raw_hz: float, rate_hz: float) -> None:
    made = cleaner(SignalRecipe(rate_hz), raw_hz)
    y, _ = whole(made, sine(3.0, raw_hz, 20))
    times_s = np.arange(y.shape[1]) / rate_hz - made.delay_at_ms(3.0) / 1000
    late = times_s > 2
    np.testing.assert_allclose(y[0, late], np.sin(2 * np.pi * 3.0 * times_s[late]), atol=2e-3)


def test_notch_and_band_pass() -> None:
    y = {hz: np.abs(whole(cleaner(EEG, 256.0, 2), np.stack([sine(hz, 256, 20), -sine(hz, 256, 20)]))[0][0, 1500:]).max()
         for hz in (0.2, 10.0, 50.0)}  # fmt: skip
    assert y[0.2] < 0.01
    assert y[10.0] == pytest.approx(1.0, abs=0.02)
    assert y[50.0] < 1e-3


@pytest.mark.parametrize(
    ("recipe", "raw_hz"),
    [
        (EEG, 256.0),
        (EEG, 500.0),
        (DEFAULT_SIGNALS["bvp"], 64.0),
        (DEFAULT_SIGNALS["eda"], 4.0),
        (DEFAULT_SIGNALS["eda"], 700.0),
        (DEFAULT_SIGNALS["temp"], 4.0),
        (DEFAULT_SIGNALS["resp"], 25.0),
        (SignalRecipe(128.0, highpass_hz=2.0), 200.0),
        (SignalRecipe(128.0), 200.0),
    ],
)
def test_delay_is_the_measured_delay_of_a_pulse(recipe: SignalRecipe, raw_hz: float) -> None:
    """A tone under a long Gaussian leaves with its centre of energy later by the delay that is claimed."""
    made = cleaner(recipe, raw_hz)
    hz = made.delay_frequency_hz
    width_s = 12 / hz
    times_s = np.arange(int(12 * width_s * raw_hz)) / raw_hz
    middle_s = 6 * width_s
    tone = np.exp(-((times_s - middle_s) ** 2) / (2 * width_s**2)) * np.cos(2 * np.pi * hz * (times_s - middle_s))
    if recipe.reference == "average":  # two channels of opposite sign keep their difference
        y = whole(cleaner(recipe, raw_hz, 2), np.stack([30 + tone, 30 - tone]))[0][0]
    else:
        y = whole(made, 30 + tone)[0][0]
    y = y - (0 if recipe.highpass_hz else 30)
    centre_s = (np.arange(y.size) * y**2).sum() / (y**2).sum() / recipe.rate_hz
    assert 1000 * (centre_s - middle_s) == pytest.approx(made.delay_ms, rel=0.02, abs=2.0)


def test_held_signal_has_no_delay_and_keeps_its_values() -> None:
    made = cleaner(SignalRecipe(4.0, hold=True), 1.0)
    y, observed = whole(made, np.array([60.0, 61.0, np.nan, 63.0]))
    np.testing.assert_array_equal(y[0], np.repeat([60, 61, 61, 63], 4))
    np.testing.assert_array_equal(observed, np.repeat([True, True, False, True], 4))
    assert made.delay_ms == 0


def test_gap_is_masked_and_bridged_by_the_last_value() -> None:
    x = np.full(400, 5.0)
    x[100:200] = np.nan
    x[200:] = 7.0
    y, observed = whole(cleaner(DEFAULT_SIGNALS["eda"], 4.0), x)
    np.testing.assert_array_equal(observed, ~np.isnan(x))
    np.testing.assert_allclose(y[0, 100:200], 5.0)
    assert y[0, -1] == pytest.approx(7.0)


def test_values_outside_the_limits_or_at_the_lower_one_are_masked() -> None:
    x = np.full(80, 2.0)
    x[:10], x[40], x[50] = 0.0, -1.0, 300.0  # not worn yet, wild
    y, observed = whole(cleaner(DEFAULT_SIGNALS["eda"], 4.0), x)
    np.testing.assert_array_equal(np.flatnonzero(~observed), [*range(10), 40, 50])
    np.testing.assert_allclose(y[0, 10:], 2.0)


def test_the_upper_limit_itself_is_a_value() -> None:
    assert whole(cleaner(DEFAULT_SIGNALS["spo2"], 1.0), np.full(10, 100.0))[1].all()  # full saturation


def test_flat_stretch_is_masked_after_half_a_period_of_the_high_pass() -> None:
    x = sine(1.2, 64.0, 20)
    x[640:900] = x[640]
    _, observed = whole(cleaner(DEFAULT_SIGNALS["bvp"], 64.0), x)  # high-pass at .5 Hz: 1 s
    np.testing.assert_array_equal(np.flatnonzero(~observed), np.arange(640 + 63, 900))


def test_clipped_tops_are_masked_and_unclipped_ones_are_not() -> None:
    x = 50 * sine(1.2, 64.0, 20)
    clipped = np.clip(x, None, 40.0)
    _, observed = whole(cleaner(DEFAULT_SIGNALS["bvp"], 64.0), clipped)
    top = clipped == 40.0
    assert (~observed & ~top).sum() == 0
    assert (~observed[top]).mean() > 0.5  # the first 5 samples of a top are not known to be clipped yet
    assert whole(cleaner(DEFAULT_SIGNALS["bvp"], 64.0), x)[1].all()


def test_slow_signal_may_rest() -> None:
    assert whole(cleaner(DEFAULT_SIGNALS["temp"], 4.0), np.full(4000, 33.0))[1].all()


def brain(rng: np.random.Generator, channels: int, samples: int) -> np.ndarray:
    return 4200 + 20 * rng.normal(size=(channels, 1)) + 10 * rng.normal(size=(channels, samples))


@pytest.mark.parametrize("fault", ["flat", "wild", "missing"])
def test_bad_channel_is_listed_zeroed_and_left_out_of_the_reference(fault: str) -> None:
    rng = np.random.default_rng(0)
    x = brain(rng, 8, 256 * 20)
    x[3] = {"flat": 4100.0, "wild": 4100 + 900 * rng.normal(size=x.shape[1]), "missing": np.nan}[fault]
    names = tuple("abcdefgh")
    trial = Trial("p", "s", "t", 0.0, 20.0, {"eeg": Signal(x, 256.0, names, "uV")})
    clean = clean_trial(trial, Recipe().only(["eeg"]))
    assert clean.bad_channels["eeg"] == ("d",)
    kept = np.delete(x, 3, axis=0)
    without = Trial("p", "s", "t", 0.0, 20.0, {"eeg": Signal(kept, 256.0, names[:7], "uV")})
    expected = clean_trial(without, Recipe().only(["eeg"])).signals["eeg"]
    late = 128 * 4
    np.testing.assert_allclose(np.delete(clean.signals["eeg"], 3, axis=0)[:, late:], expected[:, late:], atol=1e-3)
    assert np.abs(clean.signals["eeg"][3, late:]).max() < 1e-3
    assert clean.observed["eeg"].all()


def test_channel_that_recovers_is_used_again() -> None:
    rng = np.random.default_rng(0)
    x = brain(rng, 6, 256 * 60)
    x[2, : 256 * 20] += 2000 * rng.normal(size=256 * 20)
    made = cleaner(EEG, 256.0, 6)
    y, _, state = made.step(x, made.init())
    assert np.abs(y[2, 128 * 5 : 128 * 20]).max() < 1e-6
    assert y[2, 128 * 45 :].std() == pytest.approx(y[1, 128 * 45 :].std(), rel=0.1)
    assert not state.judge.bad.any()


def test_good_channels_with_blinks_are_never_bad() -> None:
    rng = np.random.default_rng(3)
    x = brain(rng, 14, 256 * 30)
    for at in range(256, x.shape[1] - 256, 700):
        x[:2, at : at + 90] += 150 * np.hanning(90)
    made = cleaner(EEG, 256.0, 14)
    assert made.step(x, made.init())[2].judge.bad_blocks.sum() == 0


def test_irregular_series_is_held_up_to_the_limit() -> None:
    times_s = np.array([0.5, 1.5, 2.5, 9.0])
    got = hold_on_grid(times_s, np.array([[1.0, 2.0, 3.0, 4.0]], np.float32), np.arange(0.0, 11.0), limit_s=3.0)
    np.testing.assert_array_equal(got[0], [np.nan, 1, 2, 3, 3, 3, np.nan, np.nan, np.nan, 4, 4])


def test_irregular_trial_is_unobserved_where_the_source_has_a_gap() -> None:
    times_s = np.concatenate([np.arange(0, 20, 1.0), np.arange(40, 60, 1.0)]) + 100.2
    signal = Signal(np.full((1, 40), 70.0, np.float32), 1.0, ("hr",), "1/min", 100.2, times_s)
    clean = clean_trial(Trial("p", "s", "t", 100.0, 160.0, {"hr": signal}), Recipe().only(["hr"]))
    missing = np.flatnonzero(~clean.observed["hr"])
    np.testing.assert_array_equal(missing, [0, *range(23, 41)])  # 3 periods after the last value at 19.2 s
    found = quality(clean)["hr"]
    assert (found.gaps, found.longest_gap_s) == (2, 18.0)
    assert found.observed == pytest.approx(41 / 60)


@pytest.mark.parametrize(("start_s", "skip"), [(10.0, 10), (10.4, 11), (-3.0, -3)])
def test_regular_signal_is_placed_no_earlier_than_it_happened(start_s: float, skip: int) -> None:
    signal = Signal(np.arange(100, dtype=np.float32)[None], 1.0, ("hr",), "1/min", start_s)
    values, rate_hz = on_trial_grid(signal, 0.0, 50.0, 1.0)
    assert (rate_hz, values.shape) == (1.0, (1, 50))
    expected = np.full(50, np.nan)
    expected[max(0, skip) :] = np.arange(100)[max(0, -skip) :][: 50 - max(0, skip)]
    np.testing.assert_array_equal(values[0], expected)


def test_clean_trial_puts_all_modalities_on_one_grid() -> None:
    rng = np.random.default_rng(0)
    signals = {
        "eeg": Signal(brain(rng, 4, 256 * 30), 256.0, ("F3", "F4", "O1", "O2"), "uV", 5.0),
        "eda": Signal(3 + 0.1 * rng.random((1, 100)), 4.0, ("eda",), "uS", 5.0),  # ends 5.3 s early
        "audio": Signal(np.zeros((1, 10)), 10.0, ("a",), "", 5.0),
    }
    clean = clean_trial(Trial("p", "s", "t", 5.0, 35.3, signals), Recipe())
    assert set(clean.signals) == {"eeg", "eda"}
    assert clean.signals["eeg"].shape == (4, 3878)
    assert clean.signals["eda"].shape == (1, 121)
    assert clean.signals["eda"].dtype == np.float32
    np.testing.assert_array_equal(np.flatnonzero(~clean.observed["eda"]), np.arange(100, 121))
    np.testing.assert_allclose(clean.signals["eda"][0, 105:], clean.signals["eda"][0, -1], rtol=1e-3)
    assert clean.specs["eda"] == ChannelSpec(("eda",), 4.0, "uS")


def test_long_trial_is_cleaned_as_if_in_one_piece() -> None:
    x = brain(np.random.default_rng(0), 14, 256 * 100)  # more than one chunk
    names = tuple(f"c{i}" for i in range(14))
    clean = clean_trial(Trial("p", "s", "t", 0.0, 100.0, {"eeg": Signal(x, 256.0, names, "uV")}), Recipe())
    np.testing.assert_allclose(clean.signals["eeg"], whole(cleaner(EEG, 256.0, 14), x.astype(np.float32))[0], atol=1e-4)


def test_empty_signal_is_unobserved() -> None:
    trial = Trial("p", "s", "t", 0.0, 10.0, {"eda": Signal(np.zeros((1, 0)), 4.0, ("eda",), "uS")})
    clean = clean_trial(trial, Recipe())
    np.testing.assert_array_equal(clean.signals["eda"], np.zeros((1, 40)))
    assert quality(clean)["eda"].observed == 0


def test_wrong_chunk_and_wild_ratio_are_refused() -> None:
    made = cleaner(EEG, 256.0, 4)
    with pytest.raises(InputError, match=r"expected \(4, samples\)"):
        made.step(np.zeros((3, 10)), made.init())
    slow = cleaner(SignalRecipe(0.01), 256.0)
    with pytest.raises(InputError, match="ratio"):
        slow.init()
