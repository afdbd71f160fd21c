"""Sound and video of EAV: values against what was written, damage, and a spiking network trained through the reader."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from fixtures_eav import block_video, write_person, write_sound, write_video

from insula.data import Problem, info, load
from insula.data.formats.video import grey_frames
from insula.errors import DataError, InputError, MissingDependencyError
from insula.evaluation.experiment import experiment_from
from insula.learning.scale import SignalScaler
from insula.signals.cleaner import clean_trial
from insula.signals.features import columns, compute
from insula.signals.recipe import SignalRecipe
from insula.types import ChannelSpec
from insula.windows.cutting import cut

av = pytest.importorskip("av", reason="PyAV is not installed (pip install insula[data])")


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("eav")
    write_person(root)
    return root


def test_pictures_are_the_middle_of_the_frames_on_screen(tmp_path: Path) -> None:
    frames = block_video(2.0, seed=1)  # 60 frames of 48 x 64
    write_video(tmp_path / "a.mp4", frames)
    found = grey_frames(tmp_path / "a.mp4", 5.0, 2.0, 4, 6.0)
    assert (found.values.shape, found.rate_hz, found.start_s, found.unit) == ((16, 12), 6.0, 5.0, "a.u.")
    assert found.channels[:5] == ("r00c00", "r00c01", "r00c02", "r00c03", "r01c00")
    middle = frames[::5, :, 8:56].reshape(12, 4, 12, 4, 12) / 255  # picture k is frame 5 k, its columns 8 to 55
    expected = middle.mean((2, 4)).reshape(12, 16).T
    np.testing.assert_allclose(found.values, expected, atol=0.015)
    other = np.delete(frames, np.s_[::5], axis=0)  # those that are not on screen at the times of the grid
    assert np.abs(found.values[:, 1] - other[3, :, 8:56].reshape(4, 12, 4, 12).mean((1, 3)).ravel() / 255).max() > 0.1


def test_no_picture_shows_the_future_at_a_rate_that_does_not_divide(tmp_path: Path) -> None:
    levels = np.linspace(20, 230, 50).round().astype(np.uint8)  # each frame of 25 a second has a brightness of its own
    write_video(tmp_path / "a.mp4", np.broadcast_to(levels[:, None, None], (50, 32, 32)).copy(), fps=25)
    found = grey_frames(tmp_path / "a.mp4", 0.0, 2.0, 8, 6.0).values.mean(0)
    shown = [int(25 * k / 6 + 1e-9) for k in range(12)]
    np.testing.assert_allclose(found, levels[shown] / 255, atol=0.01)


def test_gaps_in_a_clip_hold_the_last_picture_and_a_short_clip_gives_fewer(tmp_path: Path) -> None:
    frames = np.stack([np.full((32, 32), v, np.uint8) for v in (50, 100, 200)])
    write_video(tmp_path / "a.mp4", frames, fps=10, pts=[0, 2, 9])  # at 0, .2 and .9 s
    found = grey_frames(tmp_path / "a.mp4", 0.0, 20.0, 4, 10.0).values
    np.testing.assert_allclose(found.mean(0) * 255, [50] * 2 + [100] * 7 + [200], atol=3)
    only = grey_frames(tmp_path / "a.mp4", 0.0, 0.5, 4, 10.0)
    assert only.values.shape == (16, 5)


def test_a_long_clip_is_not_held_in_memory(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", np.zeros((600, 128, 128), np.uint8))
    grey_frames(tmp_path / "a.mp4", 0.0, 1.0, 16, 6.0)
    tracemalloc.start()
    grey_frames(tmp_path / "a.mp4", 0.0, 20.0, 16, 6.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2e6  # all frames would be 10 MB grey, 40 MB as float32


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "PyAV cannot read it"),
        (b"mp4" * 500, "PyAV cannot read it"),
        ("half", "PyAV cannot read it"),
        ("small", "frames of 8 x 8 pixels; expected at least 16 x 16"),
        ("sound", "holds no video stream"),
    ],
)
def test_a_damaged_video_is_left_out_and_named(person: Path, tmp_path: Path, content: object, message: str) -> None:
    import shutil

    shutil.copytree(person, tmp_path, dirs_exist_ok=True)
    clip = next((tmp_path / "subject1/Video").glob("003_*.mp4"))
    if content == "half":
        clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    elif content == "small":
        write_video(clip, np.zeros((30, 8, 8), np.uint8))
    elif content == "sound":
        write_sound(clip.with_suffix(".wav"), np.zeros(16_000))
        clip.with_suffix(".wav").replace(clip)
    else:
        clip.write_bytes(content)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=rf"003_Trial_03_Listening_Anger\.mp4: {message}"):
        load("eav", tmp_path, video=True)
    problems: list[Problem] = []
    (recording,) = load("eav", tmp_path, video=True, problems=problems)
    assert [(Path(p.file).name, p.fatal) for p in problems] == [(clip.name, True)]
    assert ["video" in t.signals for t in recording.trials] == [True, True, False] + [True] * 9


def test_bytes_flipped_anywhere_never_crash(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", block_video(1.0, seed=0))
    whole = (tmp_path / "a.mp4").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(40):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(0, len(whole), 20)] = rng.integers(0, 256, 20)
        (tmp_path / "b.mp4").write_bytes(damaged.tobytes())
        try:
            found = grey_frames(tmp_path / "b.mp4", 0.0, 1.0, 8, 6.0)
        except DataError as error:
            assert "b.mp4" in str(error)  # noqa: PT017
            continue
        assert np.isfinite(found.values).all()
        assert 1 <= found.n_samples <= 6


def test_missing_files_and_package(person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    shutil.copytree(person, tmp_path, dirs_exist_ok=True)
    next((tmp_path / "subject1/Video").glob("005_*.mp4")).unlink()
    problems: list[Problem] = []
    (recording,) = load("eav", tmp_path, video=True, problems=problems)
    assert [p.what for p in problems] == ["no .mp4 of segment 5; it is read without video"]
    assert "video" not in recording.trials[4].signals
    monkeypatch.setitem(sys.modules, "av", None)
    assert set(load("eav", person)[0].trials[0].signals) == {"eeg"}  # nothing needs it until video is asked for
    with pytest.raises(MissingDependencyError, match=r"'av' is not installed; .*insula\[data\]"):
        load("eav", person, video=True)


@pytest.mark.parametrize("options", [{"video_side": 2}, {"video_side": 500}, {"video_hz": 0}])
def test_wrong_options(person: Path, options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        load("eav", person, video=True, **options)


def test_sound_reaches_the_model_unchanged(person: Path) -> None:
    (recording,) = load("eav", person, audio=True)
    trial = recording.trials[1]
    import wave

    with wave.open(str(next((person / "subject1/Audio").glob("002_*.wav")))) as file:
        written = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    np.testing.assert_allclose(trial.signals["audio"].values[0], written, atol=1e-7)
    clean = clean_trial(trial, info("eav").recipe)
    assert clean.specs["audio"].rate_hz == 16_000
    np.testing.assert_allclose(clean.signals["audio"][0], written, atol=1e-6)
    assert clean.observed["audio"].all()


def test_sound_of_another_rate_or_width(tmp_path: Path) -> None:
    from insula.data.readers.eav import _audio
    from insula.signals.cleaner import Cleaner

    tone = np.sin(2 * np.pi * 1000 * np.arange(44_100) / 44_100)
    write_sound(tmp_path / "a.wav", np.round(127 * tone + 128), rate=44_100, width=1)
    write_sound(tmp_path / "b.wav", np.round(2**30 * tone), rate=44_100, width=4)
    eight, long = (_audio(tmp_path / f"{name}.wav", 0.0) for name in "ab")
    np.testing.assert_allclose(eight.values[0], tone * 127 / 128, atol=0.005)
    np.testing.assert_allclose(long.values[0], tone / 2, atol=1e-6)
    cleaner = Cleaner(SignalRecipe(16_000.0), ChannelSpec(long.channels, long.rate_hz, long.unit))
    clean, _, _ = cleaner.step(long.values, cleaner.init())
    assert clean.shape == (1, 16_000)
    strength = np.abs(np.fft.rfft(clean[0][2000:14_000] * np.hanning(12_000)))
    assert strength.argmax() * 16_000 / 12_000 == pytest.approx(1000, abs=2)
    write_sound(tmp_path / "c.wav", np.zeros(0))
    with pytest.raises(DataError, match=r"c\.wav: not a \.wav file"):
        _audio(tmp_path / "c.wav", 0.0)


def test_pictures_share_one_scale(person: Path) -> None:
    (recording,) = load("eav", person, video=True, video_side=4)
    windows = cut([recording], info("eav").recipe, "emotion", modalities=("video",))
    scaler = SignalScaler("population").fit(windows)
    assert len(np.unique(scaler.spread["video"])) <= 2  # equal but for the people's levels: one person
    assert len(np.unique(scaler.centre["video"])) > 4
    assert windows.schema.features["video"] == ("brightness", "contrast", "motion")


def test_picture_features_by_hand() -> None:
    spec = ChannelSpec(("a", "b"), 2.0, "a.u.")
    values = np.array([[[0.0, 0.5, 0.5, 9.0], [1.0, 0.5, 1.5, 9.0]]], np.float32)  # 2 pixels, 4 pictures
    seen = np.array([[True, True, True, False]])
    assert [c.name for c in columns("video", spec, 2.0)] == ["brightness", "contrast", "motion"]
    # means .5 .5 1, deviations .5 0 .5, changes (.5 + .5) / 2 = .5 and (0 + 1) / 2 = .5, two pictures a second
    np.testing.assert_allclose(compute("video", values, seen, spec), [[2 / 3, 1 / 3, 1.0]], rtol=1e-6)
    assert np.isnan(compute("video", values, np.zeros_like(seen), spec)).all()


@pytest.mark.slow
def test_eavs_tf_learns_through_the_reader(person: Path, tmp_path: Path) -> None:
    """EEG, sound and video from files to a result and a saved model, by the path of `insula evaluate`."""
    from insula.learning.estimator import Estimator
    from insula.pipeline.predicting import predict_table, predict_windows
    from insula.pipeline.running import run_experiment

    experiment = experiment_from(
        {
            "data": {
                "name": "eav",
                "root": str(person),
                "target": "emotion",
                "options": {"audio": True, "video": True, "video_side": 8},
            },
            "model": {"name": "eavs_tf"},
            "protocol": {"name": "within_subject", "folds": 2},
            "compare": {"rows": ["majority", "logistic_regression"], "context": False},
            "train": {"epochs": 2},
        }
    )
    done = run_experiment(experiment, tmp_path / "out", analyses=False)
    assert done.result.table()["name"].iloc[0] == "eavs_tf"
    assert done.page.is_file()
    model = Estimator.load(tmp_path / "out/model/p01")
    assert {m: len(s.channels) for m, s in model.schema.modalities.items()} == {"eeg": 30, "audio": 1, "video": 64}
    assert {m: s.rate_hz for m, s in model.schema.modalities.items()} == {"eeg": 128, "audio": 16_000, "video": 6}
    network = model.networks[0]
    kinds = {m: type(e.encode).__name__ for m, e in network.encoders.items()}
    assert kinds == {"eeg": "SpectralEncoder", "audio": "LogMelEncoder", "video": "FrameEncoder"}
    assert network.hop_tokens == 4
    windows = predict_windows(model, experiment)
    assert windows.present().all(0).tolist() == [True, False, True]  # listening has no sound
    table = predict_table(model, windows)
    assert np.isfinite(table[["p_anger", "p_neutral"]].to_numpy()).all()
    usual = model.predict_proba(windows)
    for modality in ("eeg", "audio", "video"):
        assert np.abs(model.predict_proba(windows, absent=modality) - usual).max() > 1e-4, modality
