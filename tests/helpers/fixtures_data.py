"""Writers of tiny data sets in their native layouts, from the layouts' descriptions alone (no reader is imported)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

EPOC = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")
START = 1_644_227_574


def lines(path: Path, rows: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")
    return path


def write_e4(folder: Path, seconds: float = 60.0, seed: int = 0, start: float = START, acc: bool = False) -> Path:
    """EDA, BVP, TEMP, HR (10 s late) and IBI as the Empatica E4 exports them; EDA starts with one 0."""
    rng = np.random.default_rng(seed)
    for name, rate, level, decimals in (
        ("EDA", 4, 2.0, 6),
        ("BVP", 64, 0.0, 2),
        ("TEMP", 4, 33.0, 2),
        ("HR", 1, 70.0, 2),
    ):
        late = 10 if name == "HR" else 0
        values = level + rng.normal(size=int((seconds - late) * rate)) * (0.1 if level else 50)
        if name == "EDA":
            values[0] = 0.0
        head = [f"{start + late:.6f}", f"{rate:.6f}"]
        lines(folder / f"{name}.csv", head + [f"{v:.{decimals}f}" for v in values])
    beats = np.arange(5.0, seconds - 1, 0.875)
    lines(folder / "IBI.csv", [f"{start:.6f}, IBI"] + [f"{t:.6f},{0.875:.6f}" for t in beats])
    if acc:
        counts = rng.integers(-64, 64, size=(int(seconds * 32), 3))
        head = [", ".join([f"{start:.6f}"] * 3), ", ".join(["32.000000"] * 3)]
        lines(folder / "ACC.csv", head + [",".join(map(str, row)) for row in counts])
    return folder


def write_stress_predict(root: Path, people: tuple[int, ...] = (1, 2, 3), block_s: int = 20) -> Path:
    """Raw_data/Sxx with E4 files, one label a second (none for person 1), questionnaires in Excel sheets."""
    import openpyxl

    table = ["Participant,HR,respr,Time(sec),Label"]
    for person in people:
        start = START + 10_000 * person
        write_e4(root / "Raw_data" / f"S{person:02d}", 7 * block_s + 12.0, seed=person, start=start)
        for second in range(7 * block_s if person != 1 else 0):
            label = (second // block_s) % 2
            table.append(f"{person},{70 + second % 7},12.1276927,{start + 9 + second},{label}")
    lines(root / "Processed_data" / "Improved_All_Combined_hr_rsp_binary.csv", table)
    book = openpyxl.Workbook()
    for sheet, title, items in ((book.active, "STAI Score", 40), (book.create_sheet(), "PSS Score", 10)):
        sheet.title = title
        rows: list[list[object]] = [[None], ["Question "], [None]]
        for person in people:
            rows[0] += [f"S{person:02d}", None]
            rows[1] += [title.split()[0], None]
            rows[2] += ["Before", "After"]
        scores = [[(item + person + after) % 4 + 1 for person in people for after in (0, 1)] for item in range(items)]
        rows += [[item + 1, *score] for item, score in enumerate(scores)]
        rows += [[None], ["Total", *np.sum(scores, axis=0).tolist()]]
        for row in rows:
            sheet.append(row)
    book.save(root / "Processed_data" / "Questionnaires_scores.xlsx")
    return root


def write_cogwear_condition(folder: Path, start: float, seconds: float, seed: int, ppg: bool = True) -> None:
    """``value,time`` CSVs of one condition; the watch's PPG has two packets swapped and a gap of 5 s."""
    rng = np.random.default_rng(seed)
    for name, rate, level in (("bvp", 64, 0.0), ("eda", 4, 1.0), ("temp", 4, 33.0)):
        times = start + np.arange(int(seconds * rate)) / rate
        values = level + rng.normal(size=times.size) * (0.05 if level else 30)
        rows = [f"{v:.6f},{t!r}" for v, t in zip(values.tolist(), times.tolist(), strict=True)]
        lines(folder / f"empatica_{name}.csv", [f"{name},time", *rows])
    if ppg:
        times = start + np.arange(int(seconds * 25)) / 25 + rng.uniform(-0.001, 0.001, int(seconds * 25))
        values = 2e6 + 1000 * np.sin(2 * np.pi * (times - start))
        keep = (times < start + 8) | (times >= start + 13)
        order = np.arange(times.size)
        order[[20, 21]] = order[[21, 20]]
        order = order[keep[order]]
        lines(folder / "samsung_bvp.csv", ["PPG GREEN,time", *(f"{values[i]:.3f},{times[i]:.3f}" for i in order)])


def write_cogwear(root: Path) -> Path:
    """Two pilot people (the second without a watch) and one survey person with two sessions; load comes first."""
    for person in (0, 10):
        folder = root / "pilot" / str(person)
        write_cogwear_condition(folder / "cognitive_load", 1_767_000_000.0 + person, 60, person, ppg=person == 0)
        write_cogwear_condition(folder / "baseline", 1_767_000_100.5 + person, 45, person + 1, ppg=person == 0)
    for k, session in enumerate(("pre", "post")):
        folder = root / "survey_gamification" / "11" / session
        for n, condition in enumerate(("cognitive_load", "baseline", "survey")):
            write_cogwear_condition(folder / condition, 1_768_000_000.0 + 1e5 * k + 80 * n, 40, 10 * k + n)
    return root


def write_kerc2021(root: Path, samples: int = 4, seconds: int = 60) -> Path:
    """train_labels.csv, personality tables, train/<Id> and test/<Id>; samples 0 and 1 share a personality."""
    rng = np.random.default_rng(0)
    quadrants = ("HAHV", "HALV", "LALV", "LAHV")
    lines(root / "train_labels.csv", ["Id,label"] + [f"{i},{quadrants[i % 4]}" for i in range(samples)])
    for part, ids in (("train", range(samples)), ("test", range(100, 101))):
        head = "Id,Openness,Conscientiousness,Extraversion,Agreeableness,Neuroticism"
        scores = [f"{i},{1 + max(i, 1) % 5},2,3,4,5" for i in ids]
        lines(root / f"{part}_personality.csv", [head, *scores])
        for i in ids:
            folder = root / part / str(i)
            eeg = 4200 + 20 * rng.normal(size=(seconds * 256, 14))
            lines(folder / "EEG_256.csv", [",".join(EPOC)] + [",".join(f"{v:.3f}" for v in row) for row in eeg])
            for name, rate, level in (("EDA", 4, 2.0), ("BVP", 64, 0.0), ("TEMP", 4, 33.0)):
                lines(folder / f"{name}_{rate}.csv", [f"{v:.4f}" for v in level + rng.normal(size=seconds * rate)])
    return root


def write_eeg(
    path: Path, seconds: float, rate_hz: float, channels: tuple[str, ...] = EPOC, seed: int = 0
) -> np.ndarray:
    """Write EEG in the format the suffix says; returns the values in microvolts, (channels, samples)."""
    import mne

    rng = np.random.default_rng(seed)
    microvolts = rng.normal(size=(len(channels), int(seconds * rate_hz))) * 20
    raw = mne.io.RawArray(
        microvolts * 1e-6, mne.create_info(list(channels), rate_hz, "eeg", verbose="ERROR"), verbose="ERROR"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".fif":
        raw.save(path, overwrite=True, verbose="ERROR")
    elif path.suffix == ".vhdr":
        microvolts.T.astype("<f4").tofile(path.with_suffix(".eeg"))
        head = ["Brain Vision Data Exchange Header File Version 1.0", "[Common Infos]", f"DataFile={path.stem}.eeg"]
        head += ["DataFormat=BINARY", "DataOrientation=MULTIPLEXED", f"NumberOfChannels={len(channels)}"]
        head += [
            f"SamplingInterval={1e6 / rate_hz:g}",
            "[Binary Infos]",
            "BinaryFormat=IEEE_FLOAT_32",
            "[Channel Infos]",
        ]
        lines(path, head + [f"Ch{i + 1}={name},,1,µV" for i, name in enumerate(channels)])
    else:
        mne.export.export_raw(path, raw, overwrite=True, verbose="ERROR")
    return microvolts


def write_phymer(root: Path, seconds: int = 12) -> Path:
    """Two people, three clips: EEG as .fif and .set, E4 files named experiment_signal_rate, personality, labels."""
    emotions = ("happy", "fear", "neutral")
    table = ["subject,video,emotion,arousal,valence"]
    for p, person in enumerate(("S1", "S2")):
        for v, emotion in enumerate(emotions):
            experiment = f"{person}v{v}"
            suffix = ".set" if v == 1 else "_raw.fif"
            write_eeg(root / "Emotiv" / f"{experiment}{suffix}", seconds, 256.0, seed=10 * p + v)
            rng = np.random.default_rng(100 + 10 * p + v)
            for name, rate, level in (("EDA", 4, 2.0), ("BVP", 64, 0.0), ("TEMP", 4, 33.0), ("HR", 1, 70.0)):
                rows = [f"{value:.4f}" for value in level + rng.normal(size=seconds * rate)]
                lines(root / "E4" / person / f"{experiment}_{name}_{rate}.csv", rows)
            table.append(f"{person},v{v},{emotion},{2 + v},{7 - v}")
    lines(root / "labels.csv", table)
    big_five = "subject,openness,conscientiousness,extraversion,agreeableness,neuroticism"
    lines(root / "Personality" / "scores.csv", [big_five, "S1,3,4,2,5,1", "S2,1,2,3,4,5"])
    return root
