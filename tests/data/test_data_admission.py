"""No clock in the data: times, counters, constants and copies never become channels, whoever wrote the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fixtures_data import lines
from fixtures_exports import EXPORTS, Export, eda

from insula.data import Problem, load
from insula.data.formats.clocks import progression
from insula.data.formats.column_names import kind, unit
from insula.errors import DataError
from insula.types import Signal

HEAD = "file,modality,subject,trial,rate,unit,time,channels,label"


def one(root: Path, row: str, problems: list[Problem] | None = None) -> Signal:
    lines(root / "manifest.csv", [HEAD, row])
    (recording,) = load("manifest", root, problems=problems)
    (signal,) = recording.trials[0].signals.values()
    return signal


@pytest.mark.parametrize("write", EXPORTS, ids=lambda write: write.__name__)
def test_exports_give_their_signals_and_nothing_else(tmp_path: Path, write: Callable[[Path], Export]) -> None:
    told = write(tmp_path)
    problems: list[Problem] = []
    signal = one(tmp_path, f"{told.file},{told.modality},ann,t,{told.stated},{told.unit},,,x", problems)
    assert signal.channels == told.channels
    assert signal.rate_hz == told.rate_hz
    assert signal.values.shape == told.values.shape
    np.testing.assert_allclose(signal.values, told.values, rtol=1e-5, atol=1e-4 if told.rate_hz != 1 else 0)
    said = " | ".join(p.what for p in problems)
    assert (told.clock is None) or f"times are column {told.clock!r}" in said
    assert not any(progression(row.astype(np.float64)) for row in signal.values)


@pytest.mark.parametrize("write", EXPORTS, ids=lambda write: write.__name__)
def test_a_stated_rate_that_the_clock_denies_is_an_error(tmp_path: Path, write: Callable[[Path], Export]) -> None:
    told = write(tmp_path)
    if told.clock is None or told.clock == "time of day":
        pytest.skip("no clock in this export that knows its rate")
    with pytest.raises(DataError, match=r"rate 77 Hz; column .* says"):
        one(tmp_path, f"{told.file},{told.modality},ann,t,77,{told.unit},{told.clock},,x")


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("extra", np.arange(400), "counts by 1"),
        ("extra", np.arange(400) % 128, "counts by 1 and wraps around"),
        (
            "extra",
            5e5 + np.arange(400) * 0.25 + np.random.default_rng(0).uniform(-0.01, 0.01, 400),
            "seconds; 4 Hz",
        ),
        ("extra", np.full(400, 3.25), "constant 3.25 over 400 samples"),
        ("extra", 2 * eda() + 1, "a copy of channel 'a'"),
        ("extra", np.repeat([3.0, 4.0, 7.0, 3.5], 100), "a copy of 'condition'"),
        ("extra", np.random.default_rng(1).uniform(1e4, 2e4, 400), "middle 1.4"),
        ("Unnamed: 0", np.random.default_rng(2).normal(5, 1, 400), "a counter or index"),
        ("battery", np.random.default_rng(2).normal(5, 1, 400), "a value of the device"),
        ("HR", np.random.default_rng(2).normal(5, 1, 400), "named like hr"),
        ("trigger", np.random.default_rng(2).normal(5, 1, 400), "a label or an event marker"),
    ],
)
def test_what_is_no_channel_is_left_out_with_its_reason(
    tmp_path: Path, name: str, values: np.ndarray, why: str
) -> None:
    condition = np.repeat([1, 2, 5, 1.5], 100)
    rows = [f"{a},{b!r},{c}" for a, b, c in zip(eda(), values.tolist(), condition.tolist(), strict=True)]
    lines(tmp_path / "t.csv", [f"a,{name},condition", *rows])
    problems: list[Problem] = []
    signal = one(tmp_path, "t.csv,eda,ann,t,4,,,,x", problems)
    assert signal.channels == ("a",)
    assert any(f"{name!r} ({why}" in p.what for p in problems)


def test_a_counter_asked_for_as_a_channel_is_an_error(tmp_path: Path) -> None:
    lines(tmp_path / "t.csv", ["n,a", *(f"{i},{v}" for i, v in enumerate(eda()))])
    with pytest.raises(DataError, match=r"'n' \(counts by 1\)"):
        one(tmp_path, "t.csv,eda,ann,t,4,,,n;a,x")


def test_a_channel_that_tells_the_label_of_every_trial_is_an_error(tmp_path: Path) -> None:
    """A column of another name that holds 3 in each happy and 8 in each sad trial is the answer, not a sensor."""
    hidden = np.repeat([3, 8, 8, 3, 8, 3], 80)
    rows = [f"{a},{b}" for a, b in zip(eda(480), hidden, strict=True)]
    lines(tmp_path / "t.csv", ["a,b", *rows])
    text = [
        f"t.csv,eda,ann,t{i},4,{20 * i},{20 * i + 20},{'happy' if hidden[80 * i] == 3 else 'sad'}" for i in range(6)
    ]
    lines(tmp_path / "manifest.csv", ["file,modality,subject,trial,rate,start,stop,mood", *text])
    with pytest.raises(DataError, match=r"channel 'b' of eda never changes within a trial and tells mood of"):
        load("manifest", tmp_path)


def test_eeg_files_lose_their_counters_and_clocks(tmp_path: Path) -> None:
    import mne

    rng = np.random.default_rng(0)
    count = np.arange(2560)
    data = np.stack([rng.normal(size=2560), count % 128, count / 256, rng.normal(size=2560)]) * 1e-6
    info = mne.create_info(["AF3", "CHAN7", "TIME_STAMP_s", "O1"], 256.0, "eeg")
    mne.io.RawArray(data, info, verbose="ERROR").save(tmp_path / "epoc_raw.fif", verbose="ERROR")
    problems: list[Problem] = []
    assert one(tmp_path, "epoc_raw.fif,eeg,ann,t,,,,,x", problems).channels == ("AF3", "O1")
    assert problems[0].what.startswith("no channels of eeg: 'TIME_STAMP_s' (")
    with pytest.raises(DataError, match=r"'CHAN7' \(counts by 1e-06 and wraps around\)"):
        one(tmp_path, "epoc_raw.fif,eeg,ann,t,,,,AF3;CHAN7,x")


def test_real_signals_pass(recordings: Path) -> None:
    for file in (recordings / "e4_session").glob("**/*.csv"):
        if file.name in ("EDA.csv", "BVP.csv", "TEMP.csv", "HR.csv"):
            values = np.loadtxt(file, skiprows=2)
            for size in (20, 40, 240, 2000, values.size):
                pieces = [values[i : i + size] for i in range(0, values.size - size + 1, size)][:500]
                counting = [p for p in pieces if progression(p)]
                assert len(counting) <= (0.02 if size < 100 else 0) * len(pieces), (file, size)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Unnamed: 0", "counter"), ("", "counter"), ("timestamps", "time"), ("EEG.AF3", "eeg"), ("RAW_TP9", "eeg"),
        ("Alpha_TP9", "eeg_power"), ("sensor timestamp [ns]", "time"), ("EDA (microsiemens)", "eda"), ("x", ""),
        ("EXG Channel 0", "eeg"), ("heart_rate", "hr"), ("Skin Conductance", "eda"), ("nSeq", "counter"),
        ("EEG.Counter", "counter"), ("Fp1", "eeg"), ("STATUS", "label"), ("BVP", "bvp"), ("Accel Channel 2", "acc"),
    ],
)  # fmt: skip
def test_names_of_columns(name: str, found: str) -> None:
    assert kind(name) == found


def test_units_in_words() -> None:
    assert [unit(t) for t in ("microSiemens", "beats per minute", "Celsius", "µV", "furlong")] == [
        "uS", "1/min", "degC", "uV", "furlong",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("modality", "written", "factor", "offset", "unit_"),
    [("temp", "Fahrenheit", 1.8, 32, "degC"), ("eda", "kOhm", None, 0, "uS"), ("acc", "m/s^2", 9.80665, 0, "g")],
)
def test_units_are_converted(
    tmp_path: Path, modality: str, written: str, factor: float | None, offset: float, unit_: str
) -> None:
    own = eda() + (30 if modality == "temp" else 0)
    rows = 1e3 / own if factor is None else own * factor + offset
    lines(tmp_path / "t.csv", ["v", *map(repr, rows.tolist())])
    signal = one(tmp_path, f"t.csv,{modality},ann,t,4,{written},,,x")
    assert signal.unit == unit_
    np.testing.assert_allclose(signal.values[0], own, rtol=1e-5)
