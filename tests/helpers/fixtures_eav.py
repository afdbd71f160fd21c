"""One person of EAV in its native layout, with real sound and video (written without the reader)."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

EMOTIONS = ("Neutral", "Sadness", "Anger", "Happiness", "Calmness")


def write_video(path: Path, frames: np.ndarray, fps: int = 30, pts: list[int] | None = None) -> None:
    """Write grey frames (n, H, W) uint8 as H.264; ``pts`` are time stamps in frames."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "4", "preset": "ultrafast"})
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuv420p"
        for i, picture in enumerate(frames):
            rgb = np.repeat(picture[:, :, None], 3, axis=2)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = i if pts is None else pts[i]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_sound(path: Path, samples: np.ndarray, rate: int = 16_000, width: int = 2) -> None:
    """Write samples (n,) or (n, channels) of the file's own integers."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1 if samples.ndim == 1 else samples.shape[1], width, rate, 0, "NONE", ""))
        file.writeframes(samples.astype({1: "u1", 2: "<i2", 4: "<i4"}[width]).tobytes())


def block_video(seconds: float, seed: int, level: float = 0.5, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Frames (n, H, W) of 12 x 12 blocks that change brightness every frame, around a level."""
    rng = np.random.default_rng(seed)
    count = round(30 * seconds)
    blocks = np.clip(level + 0.15 * rng.normal(size=(count, size[0] // 12 + 1, size[1] // 12 + 1)), 0, 1)
    frames = np.kron(blocks, np.ones((1, 12, 12)))[:, : size[0], : size[1]]
    return np.round(255 * frames).astype(np.uint8)


def write_person(root: Path, person: int = 1, segments: int = 12, seconds: float = 8.0) -> None:
    """Neutral and angry talks in turn: angry ones are louder, brighter and have more alpha power at the back."""
    from scipy.io import savemat

    rng = np.random.default_rng(person)
    folder = root / f"subject{person}"
    for part in ("EEG", "Audio", "Video"):
        (folder / part).mkdir(parents=True)
    samples = round(500 * seconds)
    data, label = rng.normal(size=(samples, 30, segments)) * 10, np.zeros((10, segments))
    alpha = 20 * np.sin(2 * np.pi * 10 * np.arange(samples) / 500)
    for i in range(segments):
        angry, speaking = (i // 2) % 2, i % 2
        label[2 * (2 * angry) + speaking, i] = 1
        data[:, 20:, i] += angry * alpha[:, None]
        task = ("Listening", "Speaking")[speaking]
        name = f"{i + 1:03d}_Trial_{i + 1:02d}_{task}_{EMOTIONS[2 * angry]}"
        write_video(folder / f"Video/{name}.mp4", block_video(seconds, seed=i, level=0.35 + 0.3 * angry))
        if speaking:
            speech = rng.normal(size=round(16_000 * seconds)) * (1500 + 3000 * angry)
            write_sound(folder / f"Audio/{name}_Aud.wav", np.clip(speech, -32768, 32767))
    savemat(folder / f"EEG/subject{person}_eeg.mat", {"seg1": data})
    savemat(folder / f"EEG/subject{person}_eeg_label.mat", {"label": label})
