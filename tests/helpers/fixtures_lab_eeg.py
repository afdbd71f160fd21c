"""Writers of tiny DEAP, DREAMER, SEED, SEED-IV, SEED-V, EAV and EEGEmotions-27 in their native layouts."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from fixtures_data import lines
from fixtures_python2 import python2_pickle


def write_deap(root: Path, people: tuple[int, ...] = (1, 2), trials: int = 4, seconds: int = 8, table: bool = True):
    """Return {person: (data, labels)}; trials are shown in reverse order, 70 s apart, from 100 s on."""
    rng = np.random.default_rng(0)
    written = {}
    (root / "data_preprocessed_python").mkdir(parents=True)
    rows = ["Participant_id,Trial,Experiment_id,Start_time,Valence,Arousal,Dominance,Liking,Familiarity"]
    for person in people:
        data = rng.normal(size=(trials, 40, seconds * 128)) * 10
        labels = np.round(rng.uniform(1, 9, size=(trials, 4)), 2)
        content = python2_pickle({"labels": labels, "data": data})
        (root / f"data_preprocessed_python/s{person:02d}.dat").write_bytes(content)
        written[person] = (data, labels)
        for shown in range(trials):
            video = trials - shown
            known = "" if person == 2 else str(1 + video % 5)
            start = int((100 + 70 * shown) * 1e6)
            rating = ",".join(str(v) for v in labels[video - 1])
            rows.append(f"{person},{shown + 1},{video},{start},{rating},{known}")
    if table:
        lines(root / "metadata_csv/participant_ratings.csv", rows)
    return written


def cells(values: list[object]) -> np.ndarray:
    """A Matlab column of cells."""
    out = np.empty((len(values), 1), dtype=object)
    for i, value in enumerate(values):
        out[i, 0] = value
    return out


def write_dreamer(root: Path, people: int = 2, clips: int = 18, seconds: int = 6) -> list[dict[str, object]]:
    """DREAMER.mat with structs and cells nested as in the original; returns what each person's cell holds."""
    from scipy.io import savemat

    rng = np.random.default_rng(1)
    written = []
    for _ in range(people):
        person: dict[str, object] = {"Age": "22", "Gender": "male"}
        for name, rate, channels, level in (("EEG", 128, 14, 4200.0), ("ECG", 256, 2, 2000.0)):
            person[name] = {
                part: cells([level + rng.normal(size=(length * rate, channels)) for _ in range(clips)])
                for part, length in (("baseline", 4), ("stimuli", seconds))
            }
        for name in ("ScoreValence", "ScoreArousal", "ScoreDominance"):
            person[name] = rng.integers(1, 6, size=(clips, 1)).astype(float)
        written.append(person)
    data = np.empty((1, people), dtype=object)
    for i, person in enumerate(written):
        data[0, i] = person
    top = {"Data": data, "EEG_SamplingRate": 128.0, "ECG_SamplingRate": 256.0, "noOfSubjects": float(people)}
    root.mkdir(parents=True, exist_ok=True)
    savemat(root / "DREAMER.mat", {"DREAMER": top})
    return written


_CAP = (
    "FP1 FPZ FP2 AF3 AF4 F7 F5 F3 F1 FZ F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8 T7 C5 C3 C1 CZ C2 C4 C6 T8 "
    "TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 P7 P5 P3 P1 PZ P2 P4 P6 P8 PO7 PO5 PO3 POZ PO4 PO6 PO8 CB1 O1 OZ O2 CB2"
)
SEED_CAP = [name for name in _CAP.split(" ") if name]


def write_seed_session(path: Path, trials: int, seconds: int, seed: int, initials: str = "djc") -> list[np.ndarray]:
    """One .mat file of SEED or SEED-IV: an array a trial, (62, samples) at 200 Hz."""
    from scipy.io import savemat

    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(62, 200 * (seconds + i % 2))) * 20 for i in range(trials)]
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {f"{initials}_eeg{i + 1}": a for i, a in enumerate(arrays)}, do_compression=seed % 2 == 0)
    return arrays


def write_seed(root: Path, people: tuple[int, ...] = (1, 12), seconds: int = 6) -> dict[str, list[np.ndarray]]:
    """Three dated files a person and label.mat; returns arrays by file name."""
    from scipy.io import savemat

    written = {}
    for person in people:
        for k, date in enumerate(("20131027", "20131030", "20131107")):
            name = f"{person}_{date}.mat"
            written[name] = write_seed_session(root / "Preprocessed_EEG" / name, 15, seconds, 10 * person + k)
    labels = np.array([[1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1]], dtype=np.int16)
    savemat(root / "Preprocessed_EEG/label.mat", {"label": labels})
    return written


def write_seed_iv(root: Path, people: tuple[int, ...] = (1, 2), seconds: int = 3) -> dict[str, list[np.ndarray]]:
    written = {}
    for session in (1, 2, 3):
        for person in people:
            name = f"{session}/{person}_2016051{session}.mat"
            written[name] = write_seed_session(
                root / "eeg_raw_data" / name, 24, seconds, 10 * session + person, initials="cz"
            )
    return written


def write_seed_eyes(root: Path, person: int, steps: int = 3) -> tuple[dict[str, np.ndarray], dict[int, np.ndarray]]:
    """SEED-IV's eye_feature_smooth and SEED-V's Eye_movement_features of one person, beside the EEG."""
    from scipy.io import savemat

    rng = np.random.default_rng(9)
    of_iv: dict[str, np.ndarray] = {}
    for session in (1, 2, 3):
        arrays = {f"eye_{i + 1}": rng.normal(size=(31, steps)) for i in range(24)}
        of_iv |= {f"{session}/{name}": value for name, value in arrays.items()}
        (root / f"eye_feature_smooth/{session}").mkdir(parents=True)
        savemat(root / f"eye_feature_smooth/{session}/{person}_2016051{session}.mat", arrays)
    of_v = {i: rng.normal(size=(steps, 33)) for i in range(45)}
    (root / "Eye_movement_features").mkdir()
    packed = {"data": pickle.dumps(of_v), "label": pickle.dumps({i: np.zeros(steps) for i in range(45)})}
    np.savez(root / f"Eye_movement_features/{person}_123.npz", **packed)
    return of_iv, of_v


def write_cnt(path: Path, values: np.ndarray, names: list[str], rate_hz: int = 1000) -> np.ndarray:
    """Write a Neuroscan continuous file of 32-bit counts; values (channels, samples) in microvolts.

    Returns the microvolts the counts stand for. Layout: paulbourke.net/dataformats/eeg.
    """
    import struct

    calibration = 0.01
    counts = np.round(values / calibration * 204.8 / 204.8).astype("<i4")
    head = bytearray(900)
    head[0:12] = b"Version 3.0\0"
    head[225:235], head[235:247] = b"08/04/18\0\0", b"10:00:00\0\0\0\0"
    struct.pack_into("<H", head, 370, len(names))
    struct.pack_into("<H", head, 376, rate_hz)
    struct.pack_into("<i", head, 864, values.shape[1])
    struct.pack_into("<i", head, 886, 900 + 75 * len(names) + counts.nbytes)
    body = b""
    for i, name in enumerate(names):
        channel = bytearray(75)
        channel[0 : len(name)] = name.encode()
        struct.pack_into("<ff", channel, 19, float(np.cos(i)), float(np.sin(i)))
        struct.pack_into("<f", channel, 59, 204.8)  # sensitivity
        struct.pack_into("<f", channel, 71, calibration)
        body += bytes(channel)
    events = struct.pack("<Bii", 2, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(head) + body + counts.T.tobytes() + events)
    return counts * calibration


def write_seed_v(
    root: Path, people: tuple[int, ...] = (1,), seconds: int = 3, rate_hz: int = 1000
) -> dict[str, np.ndarray]:
    """Sessions of 15 trials of ``seconds`` with 1 s between, times in the data set's text file; arrays (66, T)."""
    rng = np.random.default_rng(5)
    names = [*SEED_CAP[:30], "M1", *SEED_CAP[30:], "M2", "VEO", "HEO"]
    length = 1 + 15 * (seconds + 1)
    written = {}
    text = []
    for session in (1, 2, 3):
        starts = [1 + i * (seconds + 1) for i in range(15)]
        text += [f"Session {session}:", f"start_second: {starts}", f"end_second: {[s + seconds for s in starts]}", ""]
        for person in people:
            path = root / f"EEG_raw/{person}_{session}_2018080{session}.cnt"
            values = write_cnt(path, rng.normal(size=(66, length * rate_hz)) * 20, names, rate_hz)
            written[path.name] = np.delete(values, [30, 63, 64, 65], axis=0)
    lines(root / "trial_start_end_timestamp.txt", text)
    return written


def write_eav(root: Path, people: tuple[int, ...] = (1, 7), segments: int = 8, samples: int = 5000) -> dict:
    """Segments in pairs of listening and speaking; the second person's array is called seg, the first one's seg1."""
    import wave

    from scipy.io import savemat

    rng = np.random.default_rng(3)
    emotions = ("Neutral", "Sadness", "Anger", "Happiness", "Calmness")
    written = {}
    for k, person in enumerate(people):
        folder = root / f"subject{person}"
        for part in ("EEG", "Audio", "Video"):
            (folder / part).mkdir(parents=True)
        data = rng.normal(size=(samples, 30, segments)) * 20
        label = np.zeros((10, segments))
        for i in range(segments):
            emotion, task = (i // 2) % 5, i % 2
            label[2 * emotion + task, i] = 1
            name = f"{i + 1:03d}_Trial_{i + 1:02d}_{('Listening', 'Speaking')[task]}_{emotions[emotion]}"
            (folder / f"Video/{name}.mp4").write_bytes(b"mp4")
            if task:
                with wave.open(str(folder / f"Audio/{name}_Aud.wav"), "wb") as file:
                    file.setparams((2, 2, 16000, 0, "NONE", ""))
                    stereo = np.stack([np.full(8000, 16384), np.full(8000, -8192)], axis=1).astype("<i2")
                    file.writeframes(stereo.tobytes())
        savemat(folder / f"EEG/subject{person}_eeg.mat", {("seg1", "seg")[k % 2]: data})
        savemat(folder / f"EEG/subject{person}_eeg_label.mat", {"label": label})
        written[person] = data
    return written


def write_eegemotions27(root: Path, people: tuple[int, ...] = (1, 12), seconds: int = 6) -> dict[str, np.ndarray]:
    """Plain text, one column an electrode, values separated by blanks (person 1) or commas with names (others)."""
    rng = np.random.default_rng(4)
    names = "AF3,F7,F3,FC5,T7,P7,O1,O2,P8,T8,FC6,F4,F8,AF4"
    written = {}
    for person in people:
        for emotion in (1, 2, 27):
            values = np.round(4200 + rng.normal(size=(seconds * 256, 14)) * 20, 3)
            comma = person != people[0]
            rows = [("," if comma else "  ").join(f"{v:.3f}" for v in row) for row in values]
            path = root / f"eeg_raw/{person}_{emotion}.0.txt"
            lines(path, [f"COUNTER,{names}", *(f"{i % 128},{r}" for i, r in enumerate(rows))] if comma else rows)
            written[path.name] = values
    return written
