"""Eye-tracking features against gaze whose movements are known."""

from __future__ import annotations

import numpy as np
import pytest

from insula.data.readers.simulate import read
from insula.signals import features
from insula.signals.features import eye
from insula.types import ChannelSpec

RATE = 100.0
SPEC = ChannelSpec(("gaze_x", "gaze_y", "pupil", "luminance"), RATE, "mm")


def gaze(seconds: float = 10.0, every_s: float = 0.5, noise: float = 0.01) -> np.ndarray:
    """Rests of half a second, jumps of 3 and 4 (5 in all) in 30 ms; pupil 4 mm above what the light gives."""
    rng = np.random.default_rng(0)
    n, step = round(seconds * RATE), round(every_s * RATE)
    place = (np.arange(n) // step) % 2
    jump = np.convolve(np.concatenate([np.full(2, place[0]), place]), np.ones(3) / 3, "valid")
    x = np.stack([3 * jump, 4 * jump]) + noise * rng.standard_normal((2, n))
    light = np.where(np.arange(n) < n // 2, 10.0, 300.0)
    return np.stack([*x, eye.lit_diameter(light) + 1.0, light]).astype(np.float32)


def found(values: np.ndarray, observed: np.ndarray | None = None, spec: ChannelSpec = SPEC) -> dict[str, float]:
    seen = np.isfinite(values).all(0) if observed is None else observed
    names = [c.name for c in features.columns("eye", spec, values.shape[1] / spec.rate_hz)]
    row = features.compute("eye", np.nan_to_num(values)[None], seen[None], spec)[0]
    return dict(zip(names, row.tolist(), strict=True))


def test_rests_and_jumps_are_counted() -> None:
    one = found(gaze())
    assert one["saccades"] == pytest.approx(19 / (10 / 60))
    assert one["fixations"] == pytest.approx(20 / (10 / 60))
    assert one["saccade_amplitude"] == pytest.approx(5, rel=0.1)
    assert one["fixation_s"] == pytest.approx(0.45, abs=0.03)
    assert one["fixation_dispersion"] < 0.1
    assert one["dispersion"] == pytest.approx(2.5, rel=0.05)
    assert 0.02 <= one["saccade_s"] <= 0.08
    assert 60 < one["saccade_peak"] < 200


def test_no_unit_is_asked_for() -> None:
    degrees, pixels = gaze(), gaze()
    pixels[:2] *= 40
    for name, scale in (("saccades", 1), ("fixation_s", 1), ("saccade_amplitude", 40), ("dispersion", 40)):
        assert found(pixels)[name] == pytest.approx(scale * found(degrees)[name], rel=1e-3)


def test_blinks_are_gaps_of_their_length_and_no_jumps() -> None:
    values = gaze()
    for first, length_s in ((220, 0.15), (570, 0.25), (720, 0.02), (820, 0.9)):
        values[:3, first : first + round(length_s * RATE)] = np.nan
    one = found(values)
    assert one["blinks"] == pytest.approx(2 / (10 / 60))
    assert one["blink_s"] == pytest.approx(0.2)
    assert one["saccades"] <= 19 / (10 / 60) * 1.15
    zeros = np.nan_to_num(values)  # trackers write 0 for a closed lid
    assert found(zeros, np.ones(zeros.shape[1], bool))["blinks"] == one["blinks"]


def test_the_light_is_taken_out_of_the_pupil() -> None:
    one = found(gaze())
    assert one["pupil_first"] - one["pupil_last"] > 1, "a darker screen opens the pupil"
    assert one["pupil_lit"] == pytest.approx(1.0, abs=1e-5)
    assert one["pupil_lit_std"] == pytest.approx(0, abs=1e-5)
    assert one["pupil_lit_change"] == pytest.approx(0, abs=1e-5)
    dark = found(gaze()[:3], spec=ChannelSpec(SPEC.channels[:3], RATE, "mm"))
    assert "pupil_lit" not in dark
    assert dark["pupil"] == pytest.approx(one["pupil"])


def test_too_little_seen_is_no_number() -> None:
    values = gaze()
    values[:3, : values.shape[1] * 6 // 10] = np.nan
    assert all(np.isnan(v) for v in found(values).values())


def test_slow_or_nameless_signals_keep_their_level() -> None:
    for spec in (ChannelSpec(("gaze_movement", "pupil_diameter"), 60.0, "a.u."), ChannelSpec(SPEC.channels, 5.0, "mm")):
        names = [c.name for c in features.columns("eye", spec, 10.0)]
        assert names[0] == f"mean_{spec.channels[0]}"
    macs, adds, _ = features.work("eye", SPEC, 10.0)
    assert (macs, adds) == (6 * 1000 + 2 * 1000 + 3 * 1000, 14 * 1000 + 4 * 1000 * 10 + 4 * 1000 + 3 * 1000)


def test_arousal_widens_the_simulated_pupil_and_shortens_rests() -> None:
    (person,) = read(people=1, trials_per_emotion=4, eyes=True, effect=2.0)
    wide: dict[str, list[float]] = {}
    for trial in person.trials:
        if trial.role == "trial" and trial.labels["emotion"] in ("sad", "surprise"):
            signal = trial.signals["eye"]
            spec = ChannelSpec(signal.channels, signal.rate_hz, signal.unit)
            wide.setdefault(str(trial.labels["emotion"]), []).append(found(signal.values, spec=spec)["pupil_lit"])
    assert np.mean(wide["surprise"]) > np.mean(wide["sad"]) + 0.2
