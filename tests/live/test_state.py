"""What is carried: saved and restored, and no more of it after hours than after minutes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from packets import spoiled

from insula.data.readers.simulate import Settings, simulate
from insula.errors import DataError
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.train_config import TrainConfig
from insula.live.chunks import Appeared, Begin, Chunk, Stream
from insula.live.keeping import load_state, save_state
from insula.live.predictor import Predictor
from insula.signals.recipe import Recipe
from insula.types import Recording
from insula.windows.cutting import cut


@pytest.mark.parametrize("share", [0.13, 0.5, 0.77])
def test_a_restored_seat_goes_on(model: Estimator, people: tuple[Recording, ...], tmp_path: Path, share: float) -> None:
    events, _ = spoiled(people[0], np.random.default_rng(0), 0.1, 0.3)
    half = round(share * len(events))
    predictor = Predictor(model)
    whole = predictor.seat(1.0)
    first = predictor.step(whole, events[:half])
    save_state(whole, tmp_path / "seat.npz")
    expected = predictor.step(whole, events[half:])

    again = Predictor(model)
    seat = again.seat(1.0)
    load_state(seat, tmp_path / "seat.npz")
    found = again.step(seat, events[half:])
    assert [d.stop_s for d in found] == [d.stop_s for d in expected]
    assert expected
    assert not first or first[-1].stop_s < found[0].stop_s
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a.chances, b.chances)


def test_what_is_no_state_is_refused(model: Estimator, tmp_path: Path) -> None:
    (tmp_path / "seat.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(DataError):
        load_state(Predictor(model).seat(), tmp_path / "seat.npz")


@pytest.mark.slow
def test_memory_is_flat_over_eight_hours() -> None:
    """Eight hours of a wristband whose EEG headset never came, a decision every ten seconds."""
    people = simulate(Settings(people=2, trials_per_emotion=1, trial_s=32.0, baseline_s=32.0)).recordings
    windows = cut(people, Recipe(window_s=20.0, hop_s=10.0, guard_s=2.0), "emotion", modalities=("eda", "bvp"))
    config = EstimatorConfig(train=TrainConfig(epochs=1, validation_fraction=0.0))
    predictor = Predictor(Estimator(config).fit(windows.take((windows.table["role"] == "scored").to_numpy())))
    seat, rng, said = predictor.seat(), np.random.default_rng(0), 0
    seat.offer([Begin(0.0), Appeared(Stream("eda", ("eda",), 4.0, "uS"))])
    seat.offer([Appeared(Stream("bvp", ("bvp",), 64.0, "a.u."))])
    resident = Path("/proc/self/statm")
    after_hour: list[int] = []
    for number in range(8):
        for at_s in 3600.0 * number + 5.0 * np.arange(720):
            eda = Chunk("eda", rng.uniform(1, 2, (1, 20)).astype(np.float32), at_s + np.arange(20) / 4)
            bvp = Chunk("bvp", rng.normal(0, 1, (1, 320)).astype(np.float32), at_s + np.arange(320) / 64)
            said += len(predictor.step(seat, [eda, bvp]))
        after_hour.append(int(resident.read_text().split()[1]) * 4096)
    assert said >= 8 * 360 - 3
    assert after_hour[-1] - after_hour[1] < 8_000_000
