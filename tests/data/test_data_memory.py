"""Readers hold what they give and little more: slower rates while reading, and a refusal of what cannot fit."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from fixtures_data import lines, write_eeg
from fixtures_lab_eeg import write_seed_v
from hypothesis import given, settings
from hypothesis import strategies as st

from insula.data import load
from insula.data.formats import arrays
from insula.data.formats.slower import slower
from insula.errors import DataError
from insula.types import Signal


def sines(seconds: float, *parts_hz: float, rate_hz: float = 1000.0) -> Signal:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    values = 7.0 + sum(np.sin(2 * np.pi * hz * t) for hz in parts_hz)
    return Signal(np.stack([values, 2 * values]).astype(np.float32), rate_hz, ("Cz", "Oz"), "uV", 3.0)


def test_what_fits_the_new_rate_stays_and_what_does_not_goes() -> None:
    kept = slower(sines(20, 10), 200.0)
    assert (kept.rate_hz, kept.values.shape, kept.start_s, kept.unit) == (200.0, (2, 4000), 3.0, "uV")
    t = np.arange(4000) / 200.0 - 0.046
    np.testing.assert_allclose(kept.values[0, 200:], (7 + np.sin(2 * np.pi * 10 * t))[200:], atol=0.02)
    np.testing.assert_allclose(kept.values[1], 2 * kept.values[0], rtol=1e-5)
    gone = slower(sines(20, 150), 200.0)
    np.testing.assert_allclose(gone.values[0, 200:], 7.0, atol=0.005)


def test_nothing_is_done_to_what_is_slow_enough() -> None:
    signal = sines(1, 10, rate_hz=200.0)
    assert slower(signal, 200.0) is signal
    assert slower(signal, None) is signal
    beats = Signal(np.ones((1, 2), np.float32), 0.0, ("IBI",), "s", 0.0, np.array([0.0, 0.9]))
    assert slower(beats, 1.0) is beats


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30_000), st.sampled_from([200.0, 250.0, 128.0]))
def test_lengths_are_those_of_the_time_they_cover(samples: int, rate_hz: float) -> None:
    signal = Signal(np.ones((20, samples), np.float32), 1000.0, tuple(f"E{i}" for i in range(20)), "uV")
    found = slower(signal, rate_hz)
    assert found.n_samples == int(np.ceil(samples * rate_hz / 1000.0 - 1e-6))
    np.testing.assert_allclose(found.values, 1.0, atol=1e-5)


def test_missing_stretches_stay_missing() -> None:
    signal = sines(10, 10)
    signal.values[:, 4000:6000] = np.nan
    missing = np.isnan(slower(signal, 200.0).values[0])
    assert missing[820:1190].all()
    assert not missing[:790].any()
    assert not missing[1220:].any()


@pytest.mark.slow
def test_a_person_of_seed_v_takes_no_more_than_at_200_hz(tmp_path: Path) -> None:
    write_seed_v(tmp_path, seconds=3)
    load("seed_v", tmp_path)  # imports and caches
    peaks = {}
    for rate_hz in (None, 200.0):
        tracemalloc.start()
        held = load("seed_v", tmp_path, rate_hz=rate_hz)
        size = sum(t.signals["eeg"].values.nbytes for r in held for t in r.trials)
        peaks[rate_hz] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peaks[rate_hz] > size
        del held
    assert peaks[200.0] < 0.55 * peaks[None]  # a clip at 1000 Hz is held while it is made slower


def test_more_than_the_free_memory_is_refused_before_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_eeg(tmp_path / "a.vhdr", 10, 100.0, ("Fp1", "Oz"))
    lines(tmp_path / "manifest.csv", ["file,modality,subject,trial,label", "a.vhdr,eeg,ann,t,x"])
    monkeypatch.setattr(arrays, "free_bytes", lambda: 8000)
    load("manifest", tmp_path)  # 2 channels x 1000 samples x 4 bytes
    monkeypatch.setattr(arrays, "free_bytes", lambda: 7999)
    with pytest.raises(DataError, match=r"a\.vhdr: 0\.0 GB of samples as float32; expected at most"):
        load("manifest", tmp_path)
    monkeypatch.setattr(arrays, "free_bytes", lambda: None)
    assert load("manifest", tmp_path)


def test_free_memory_is_known_on_linux() -> None:
    found = arrays.free_bytes()
    assert (found is not None and found > 1 << 20) == Path("/proc/meminfo").exists()
