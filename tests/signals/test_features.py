"""Features: right on signals whose answer is known, NaN where they have no right to an answer, blind to the future."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insula.errors import InputError
from insula.signals.features import columns, compute, trial_features
from insula.signals.features.eda import tonic
from insula.signals.recipe import DEFAULT_SIGNALS
from insula.types import ChannelSpec

UNITS = {"eeg": "uV", "emg": "uV", "eda": "uS", "bvp": "a.u.", "temp": "degC", "hr": "1/min", "ecg": "mV", "acc": "g"}


def spec(modality: str, *channels: str) -> ChannelSpec:
    return ChannelSpec(channels or (modality,), DEFAULT_SIGNALS[modality].rate_hz, UNITS[modality])


def values_of(
    modality: str, x: np.ndarray, channels: tuple[str, ...] = (), seen: np.ndarray | None = None
) -> dict[str, float]:
    """Features of one window x (C, T) or (T,) by name."""
    x = np.atleast_2d(x).astype(np.float32)
    made = spec(modality, *channels)
    seen = np.ones(x.shape[1], bool) if seen is None else seen
    table = compute(modality, x[None], seen[None], made)
    names = [c.name for c in columns(modality, made, x.shape[1] / made.rate_hz)]
    assert table.shape == (1, len(names))
    assert table.dtype == np.float32
    return dict(zip(names, table[0].tolist(), strict=True))


def seconds(modality: str, duration_s: float) -> np.ndarray:
    rate_hz = DEFAULT_SIGNALS[modality].rate_hz
    return np.arange(round(duration_s * rate_hz)) / rate_hz


def pulse_wave(beats_s: np.ndarray, duration_s: float, modality: str = "bvp", height: float = 50.0) -> np.ndarray:
    """Systolic bumps at known times over a floor, mean removed."""
    t = seconds(modality, duration_s)
    width_s = 0.09 if modality == "bvp" else 0.012
    x = height * np.exp(-((t[:, None] - beats_s[None]) ** 2) / (2 * width_s**2)).sum(axis=1)
    return x - x.mean()


def beats(intervals_s: np.ndarray, first_s: float = 0.4) -> np.ndarray:
    return first_s + np.concatenate([[0.0], np.cumsum(intervals_s)])


@pytest.mark.parametrize("modality", list(DEFAULT_SIGNALS))
@pytest.mark.parametrize("window_s", [1.0, 4.0, 30.0, 120.0])
def test_every_column_has_a_name_and_a_unit(modality: str, window_s: float) -> None:
    made = ChannelSpec(("F3", "F4"), DEFAULT_SIGNALS[modality].rate_hz, "uV")
    found = columns(modality, made, window_s)
    assert len({c.name for c in found}) == len(found)
    assert all(c.unit for c in found)
    samples = round(window_s * made.rate_hz)
    x = np.random.default_rng(0).normal(size=(3, 2, samples)).astype(np.float32)
    got = compute(modality, x, np.ones((3, samples), bool), made)
    assert got.shape == (3, len(found))
    blind = compute(modality, x, np.zeros((3, samples), bool), made)
    assert np.isnan(blind).all()


def test_differential_entropy_of_white_noise() -> None:
    rng = np.random.default_rng(0)
    got = values_of("eeg", 10 * rng.normal(size=(1, 128 * 200)), ("Cz",))
    for band, width_hz in (("delta", 3), ("theta", 4), ("alpha", 5), ("beta", 17), ("gamma", 15)):
        variance = 100 * width_hz / 64
        assert got[f"de_{band}_Cz"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e * variance), abs=0.06)
        assert got[f"rel_{band}_Cz"] == pytest.approx(np.log(width_hz / 44), abs=0.1)


@pytest.mark.parametrize(("hz", "band"), [(2.5, "delta"), (6, "theta"), (10.5, "alpha"), (20, "beta"), (38, "gamma")])
def test_tone_falls_into_its_band(hz: float, band: str) -> None:
    t = seconds("eeg", 8)
    got = values_of("eeg", 8 * np.sin(2 * np.pi * hz * t) + 1e-3 * np.cos(2 * np.pi * 17.3 * t), ("Cz",))
    assert got[f"de_{band}_Cz"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e * 32), abs=0.02)  # variance 8 ** 2 / 2
    assert got[f"rel_{band}_Cz"] == pytest.approx(0.0, abs=0.01)


def test_gain_moves_entropy_and_not_the_shares() -> None:
    x = np.random.default_rng(1).normal(size=(2, 128 * 10))
    a, b = values_of("eeg", x, ("F3", "F4")), values_of("eeg", 3 * x, ("F3", "F4"))
    for name in a:
        expected = np.log(3) if name.startswith("de_") else 0.0
        assert b[name] - a[name] == pytest.approx(expected, abs=1e-4)


def test_frontal_asymmetry_is_right_minus_left_of_the_pairs_that_exist() -> None:
    t = seconds("eeg", 10)
    noise = 0.1 * np.random.default_rng(0).normal(size=(4, t.size))
    alpha = np.sin(2 * np.pi * 10 * t)
    got = values_of("eeg", np.stack([2 * alpha, 4 * alpha, alpha, alpha]) + noise, ("f3", "F4", "AF3", "O1"))
    assert [n for n in got if n.startswith("faa")] == ["faa_F4_F3"]
    assert got["faa_F4_F3"] == pytest.approx(np.log(4.0), abs=0.05)


def test_channel_left_out_is_nan_and_spares_the_others() -> None:
    x = np.random.default_rng(0).normal(size=(3, 512))
    x[1] = 0
    got = values_of("eeg", x, ("F3", "F4", "O1"))
    assert all(np.isnan(v) == ("F4" in name) for name, v in got.items())


def test_half_unobserved_eeg_is_nan_and_a_short_gap_is_not() -> None:
    x = np.random.default_rng(0).normal(size=(1, 128 * 12))
    seen = np.ones(x.shape[1], bool)
    seen[:200] = False
    assert np.isfinite(list(values_of("eeg", x, ("Cz",), seen).values())).all()
    seen[: 128 * 8] = False
    assert np.isnan(list(values_of("eeg", x, ("Cz",), seen).values())).all()


def bateman(t: np.ndarray, onset_s: float, height: float) -> np.ndarray:
    s = np.maximum(t - onset_s, 0)
    shape = np.exp(-s / 2.0) - np.exp(-s / 0.75)
    return height * shape / 0.3841  # peak of the difference


def test_skin_conductance_level_slope_and_responses() -> None:
    t = seconds("eda", 60)
    onsets = [8.0, 22.0, 40.0]
    x = 5 + 0.3 * t / 60 + sum(bateman(t, s, 0.4) for s in onsets)
    got = values_of("eda", x)
    assert got["scr_rate"] == pytest.approx(3.0)
    assert got["scr_amplitude"] == pytest.approx(0.4, rel=0.15)
    still = values_of("eda", 5 + 0.3 * t / 60)
    assert still["tonic_level"] == pytest.approx(5.15, abs=0.01)
    assert still["tonic_slope"] == pytest.approx(0.3, abs=1e-3)
    assert still["scr_rate"] == 0
    assert still["scr_amplitude"] == 0
    assert got["phasic_energy"] > still["phasic_energy"] + 1


def test_noise_of_the_sensor_is_no_response() -> None:
    x = 4 + 0.003 * np.random.default_rng(0).normal(size=seconds("eda", 60).size)
    assert values_of("eda", x)["scr_rate"] == 0


def test_tonic_level_is_causal_and_starts_at_the_first_value() -> None:
    x = 3 + np.cumsum(0.01 * np.random.default_rng(0).normal(size=(2, 240)), axis=1)
    other = x.copy()
    other[:, 100:] += 5
    np.testing.assert_array_equal(tonic(x, 4.0)[:, :100], tonic(other, 4.0)[:, :100])
    np.testing.assert_allclose(tonic(x, 4.0)[:, 0], x[:, 0])


def test_short_windows_have_no_column_for_what_they_cannot_show() -> None:
    def names(m: str, window_s: float) -> set[str]:
        return {c.name for c in columns(m, spec(m), window_s)}

    assert names("eda", 4) == {"tonic_level", "tonic_slope", "std"}
    assert names("bvp", 2) == set()
    assert names("bvp", 4) == {"rate_mean", "amplitude"}
    assert names("bvp", 29) == {"rate_mean", "amplitude", "rate_std"}
    assert names("bvp", 60) == {"rate_mean", "amplitude", "rate_std", "rmssd", "sdnn"}
    assert names("bvp", 120) - names("bvp", 60) == {"lf_hf"}
    assert names("hr", 2) == {"mean_hr"}


@pytest.mark.parametrize("modality", ["bvp", "ecg"])
@pytest.mark.parametrize("rate", [50, 72, 110, 150])
def test_pulse_rate_and_variability_of_known_beats(modality: str, rate: float) -> None:
    rng = np.random.default_rng(int(rate))
    intervals = 60 / rate * (1 + 0.04 * rng.normal(size=int(1.3 * rate)))
    at = beats(intervals)
    got = values_of(modality, pulse_wave(at, 60, modality))
    inside = intervals[: np.searchsorted(at, 60) - 1]
    assert got["rate_mean"] == pytest.approx(60 / inside.mean(), rel=0.01)
    assert got["sdnn"] == pytest.approx(1000 * inside.std(), rel=0.1, abs=2)
    assert got["rmssd"] == pytest.approx(1000 * np.sqrt((np.diff(inside) ** 2).mean()), rel=0.1, abs=2)
    assert ("amplitude" in got) == (modality == "bvp")


def test_pulse_amplitude_is_the_log_of_its_height() -> None:
    at = beats(np.full(30, 0.8))
    a, b = (values_of("bvp", pulse_wave(at, 20, height=h))["amplitude"] for h in (20.0, 60.0))
    assert a == pytest.approx(np.log(20.0), abs=0.1)
    assert b - a == pytest.approx(np.log(3.0), abs=0.01)


@pytest.mark.parametrize(("hz", "sign"), [(0.1, 1), (0.28, -1)])
def test_low_and_high_frequency_variability(hz: float, sign: int) -> None:
    at = [0.4]
    while at[-1] < 180:
        at.append(at[-1] + 0.8 + 0.05 * np.sin(2 * np.pi * hz * at[-1]))
    got = values_of("bvp", pulse_wave(np.array(at), 180))
    assert sign * got["lf_hf"] > 2


def test_no_pulse_no_answer() -> None:
    for x in (np.zeros(64 * 30), 1e-3 * seconds("bvp", 30)):
        assert np.isnan(list(values_of("bvp", x).values())).all()
    one = pulse_wave(np.array([2.0, 15.0, 28.0]), 30)
    assert np.isnan(list(values_of("bvp", one).values())).all()


def test_interval_over_a_gap_is_no_interval() -> None:
    at = beats(np.full(80, 0.75))
    x = pulse_wave(at, 60)
    seen = np.ones(x.size, bool)
    seen[64 * 20 : 64 * 30] = False
    x[~seen] = x[64 * 20 - 1]
    got = values_of("bvp", x, seen=seen)
    assert got["rate_mean"] == pytest.approx(80, rel=0.01)
    assert got["sdnn"] < 5


def test_level_slope_and_deviation_over_observed_samples() -> None:
    t = seconds("temp", 60)
    x = 33 + 0.6 * t / 60
    seen = np.ones(t.size, bool)
    seen[100:160] = False
    x[~seen] = 99.0
    got = values_of("temp", x, seen=seen)
    assert got["slope_temp"] == pytest.approx(0.6, abs=1e-4)
    assert got["mean_temp"] == pytest.approx(x[seen].mean(), abs=1e-4)
    assert got["std_temp"] == pytest.approx(x[seen].std(), abs=1e-4)
    three = values_of("acc", np.stack([t * 0 + 1, t, -2 * t]), ("x", "y", "z"))
    assert three["mean_x"] == 1
    assert three["std_x"] == 0
    assert three["slope_z"] == pytest.approx(-2 * three["slope_y"])


def noisy_trial(modality: str, duration_s: float, seed: int) -> tuple[np.ndarray, np.ndarray, ChannelSpec]:
    rng = np.random.default_rng(seed)
    names = ("F3", "F4", "O1") if modality == "eeg" else (modality,)
    t = seconds(modality, duration_s)
    if modality in ("bvp", "ecg"):
        x = pulse_wave(beats(0.8 + 0.05 * rng.normal(size=int(2 * duration_s))), duration_s, modality)
        x = x + 0.05 * np.ptp(x) * rng.normal(size=x.size)
    else:
        x = 30 + np.cumsum(rng.normal(size=(len(names), t.size)), axis=1) * 0.05
    seen = np.ones(t.size, bool)
    at = rng.integers(0, t.size)
    seen[at : at + int(0.2 * t.size)] = False
    return np.atleast_2d(x).astype(np.float32), seen, spec(modality, *names)


@pytest.mark.parametrize("modality", ["eeg", "eda", "bvp", "ecg", "temp", "hr"])
@given(seed=st.integers(0, 999), window_s=st.sampled_from([4, 12, 30]), hop_s=st.sampled_from([1, 2, 5]))
@settings(max_examples=6, deadline=None)
def test_trial_features_equal_cut_windows_and_know_no_future(
    modality: str, seed: int, window_s: int, hop_s: int
) -> None:
    x, seen, made = noisy_trial(modality, 70, seed)
    length = int(window_s * made.rate_hz)
    starts = np.arange(int(made.rate_hz), x.shape[1] - length + 1, int(hop_s * made.rate_hz))
    got = trial_features(modality, x, seen, made, starts, length)
    cut = np.stack([x[:, s : s + length] for s in starts])
    masks = np.stack([seen[s : s + length] for s in starts])
    np.testing.assert_allclose(got, compute(modality, cut, masks, made), rtol=1e-4, atol=1e-5)
    some = len(starts) // 2
    end = starts[some] + length  # the recording stops here
    early = trial_features(modality, x[:, :end], seen[:end], made, starts[: some + 1], length)
    np.testing.assert_allclose(early, got[: some + 1], rtol=1e-4, atol=1e-5)


def test_one_window_does_not_depend_on_the_others() -> None:
    x, seen, made = noisy_trial("bvp", 90, 3)
    starts = np.arange(0, 64 * 60, 640)
    got = trial_features("bvp", x, seen, made, starts, 64 * 30)
    alone = np.concatenate(
        [trial_features("bvp", x, seen, made, starts[k : k + 1], 64 * 30) for k in range(len(starts))]
    )
    np.testing.assert_allclose(got, alone, rtol=1e-5)


def test_windows_outside_the_trial_and_wrong_shapes_are_refused() -> None:
    x, seen, made = noisy_trial("eda", 20, 0)
    with pytest.raises(InputError, match="inside the trial"):
        trial_features("eda", x, seen, made, np.array([41]), 40)
    with pytest.raises(InputError, match="expected"):
        compute("eda", np.zeros((2, 1, 40), np.float32), np.ones((2, 39), bool), made)
    assert trial_features("eda", x, seen, made, np.array([], np.int64), 40).shape == (0, 6)


@pytest.mark.slow
def test_pulse_rate_agrees_with_the_wristband_on_real_recordings(recordings) -> None:  # type: ignore[no-untyped-def]
    """The wristband's own heart rate comes from the same pulse by another method; most windows must agree."""
    from insula.signals.cleaner import Cleaner

    folder = recordings / "stress_predict" / "Raw_data"
    apart = []
    for person in ("S05", "S09", "S14"):
        bvp, hr = (np.loadtxt(folder / person / f"{n}.csv") for n in ("BVP", "HR"))
        made = Cleaner(DEFAULT_SIGNALS["bvp"], ChannelSpec(("bvp",), bvp[1], "a.u."))
        clean, seen, _ = made.step(bvp[None, 2:], made.init())
        starts_s = np.arange(60, 1500, 30)
        got = trial_features("bvp", clean, seen, made.spec, starts_s * 64, 64 * 60)[:, 0]
        lag = int(hr[0] - bvp[0])
        theirs = np.array([hr[2:][s - lag : s - lag + 60].mean() for s in starts_s])
        apart.append(np.abs(got - theirs)[np.isfinite(got)])
        assert np.isfinite(got).mean() > 0.9
    assert np.median(np.concatenate(apart)) < 5


def test_muscle_amplitude_is_a_logarithm_and_onsets_are_found() -> None:
    rng = np.random.default_rng(0)
    t = seconds("emg", 2.0)
    noise = rng.normal(size=t.size)
    steady = values_of("emg", noise)
    assert values_of("emg", 2 * noise)["log_amplitude_emg"] - steady["log_amplitude_emg"] == pytest.approx(np.log(2))
    growing = values_of("emg", noise * np.exp(1.5 * t))
    assert growing["slope_emg"] == pytest.approx(1.5 + steady["slope_emg"], abs=0.1)
    burst = values_of("emg", noise * np.where((t > 1) & (t < 1.5), 10, 1))
    assert burst["onset_emg"] == pytest.approx(np.log(10), abs=0.5)
    assert steady["onset_emg"] < 0.5
    assert values_of("emg", noise * np.exp(-3 * t))["onset_emg"] < 0.2
    assert np.isnan(values_of("emg", 0 * noise)["log_amplitude_emg"])
    half = np.arange(t.size) < 0.4 * t.size
    assert np.isnan(list(values_of("emg", noise, seen=half).values())).all()
    slow = ChannelSpec(("hand",), 1.0, "a.u.")  # somebody's summary, not EMG
    assert [c.name for c in columns("emg", slow, 10.0)] == ["mean_hand", "std_hand", "slope_hand"]
