"""Reader of WESAD (Schmidt et al. 2018): chest strap and wristband of 15 people through stress, amusement and rest.

Licence: free for scientific, non-commercial use; not redistributed here.
Get it: https://archive.ics.uci.edu/dataset/465/wesad+wearable+stress+and+affect+detection
Units: chest ECG and EMG in microvolts (millivolts in the file), EDA uS, TEMP degC, ACC g, respiration percent, 700 Hz;
wrist (Empatica E4) BVP 64 Hz without unit, EDA uS 4 Hz, TEMP degC 4 Hz, ACC g 32 Hz (1/64 g in the file).
Source: Schmidt et al. 2018, ICMI, doi:10.1145/3242969.3242985
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from insula.data.formats.arrays import as_numbers, as_samples
from insula.data.formats.pickles import load_pickle
from insula.data.formats.tables import AGAIN, chosen, read_bytes, require_folder, to_numbers
from insula.data.info import DataInfo, FileError, Problem, collecting, note
from insula.data.self_report import self_report as answers_signal
from insula.errors import DataError, unknown_name
from insula.signals.recipe import Recipe
from insula.types import Label, Recording, Signal, Trial

INFO = DataInfo(
    name="wesad",
    title="WESAD: chest and wrist signals of 15 people through a resting baseline, stress, amusement and meditation",
    licence="free for scientific, non-commercial use",
    where="https://archive.ics.uci.edu/dataset/465 (WESAD.zip)",
    targets={
        "condition": "baseline, stress, amusement or meditation",
        "stress": "stress or no stress (baseline and amusement); meditation has no label",
        "valence": "self-report after the condition, 1 to 9",
        "arousal": "self-report after the condition, 1 to 9",
        "stai": "six items of the STAI after the condition, sum 6 to 24",
        "positive_affect": "PANAS after the condition, sum of ten items, 10 to 50",
        "negative_affect": "PANAS after the condition, sum of ten items, 10 to 50",
    },
    recipe=Recipe(window_s=60.0, hop_s=10.0, guard_s=10.0, opening_s=180.0).only(("eda", "bvp", "temp", "ecg", "resp")),
    citation="Schmidt et al. 2018, ICMI, doi:10.1145/3242969.3242985",
    version=2,
)

LABEL_HZ = 700.0
CONDITIONS = {1: "baseline", 2: "stress", 3: "amusement", 4: "meditation"}
"""Codes of the label that mean something; the others (0, 5, 6, 7) are to be ignored."""
STRESS = {"baseline": "no stress", "amusement": "no stress", "stress": "stress"}
SHORTEST_S = 1.0
AFFECT: Mapping[str, tuple[int, ...]] = {
    "positive_affect": (1, 3, 4, 6, 10, 11, 13, 15, 17, 18),
    "negative_affect": (2, 5, 7, 8, 9, 12, 14, 16, 19, 20),
}
"""Items of the PANAS in WESAD's own order ("annoyed" stands where the original has "upset"); what follows is extra."""
REPORTED = ("positive_affect", "negative_affect", "valence", "arousal")
"""Answers in the signal ``self_report``."""
QUEST_NAMES = {"Base": "baseline", "TSST": "stress", "Fun": "amusement", "Medi 1": "meditation", "Medi 2": "meditation"}

Device = Literal["both", "chest", "wrist"]


@dataclass(frozen=True)
class _Series:
    key: str
    rate_hz: float
    channels: tuple[str, ...]
    unit: str
    scale: float = 1.0


CHEST: Mapping[str, _Series] = {
    "ecg": _Series("ECG", 700.0, ("ECG",), "uV", 1e3),
    "eda": _Series("EDA", 700.0, ("EDA",), "uS"),
    "emg": _Series("EMG", 700.0, ("EMG",), "uV", 1e3),
    "temp": _Series("Temp", 700.0, ("TEMP",), "degC"),
    "resp": _Series("Resp", 700.0, ("RESP",), "%"),
    "acc": _Series("ACC", 700.0, ("x", "y", "z"), "g"),
}
WRIST: Mapping[str, _Series] = {
    "bvp": _Series("BVP", 64.0, ("BVP",), "a.u."),
    "eda": _Series("EDA", 4.0, ("EDA",), "uS"),
    "temp": _Series("TEMP", 4.0, ("TEMP",), "degC"),
    "acc": _Series("ACC", 32.0, ("x", "y", "z"), "g", 1 / 64),
}


def read(
    root: Path,
    *,
    subjects: Collection[str] | None = None,
    problems: list[Problem] | None = None,
    device: Device = "both",
    self_report: bool = False,
) -> list[Recording]:
    """Read people ``S2`` to ``S17``, one session each; session clock 0 is the first sample of the synchronised file.

    A trial is a stretch of one condition (the resting baseline is a condition to be recognised here, not a reference).
    ``device``: ``wrist``, ``chest``, or ``both``: the wristband, and of the chest strap what the wrist does not have
    (ECG, EMG, respiration). Ratings come from Sx_quest.csv. ``self_report`` adds the answers and the session's clock as
    a signal (see `insula.data.self_report`).
    """
    if device not in ("both", "chest", "wrist"):
        raise unknown_name("device", device, ("both", "chest", "wrist"))
    folders = _folders(root)
    recordings: list[Recording] = []
    for subject in chosen(subjects, folders):
        path = folders[subject] / f"{subject}.pkl"
        with collecting(problems):
            trials = _trials(subject, path, device, problems, REPORTED if self_report else ())
            provenance = {"data": INFO.name, "licence": INFO.licence, "files": str(path), "device": device}
            recordings.append(Recording(subject, "only", trials, {}, provenance))
    return recordings


def people(root: Path) -> list[str]:
    """Return the names of the people with a file ``S2/S2.pkl`` and so on."""
    return list(_folders(root))


def _folders(root: Path) -> dict[str, Path]:
    require_folder(root, "S2 to S17 of WESAD")
    folders = {d.name: d for d in root.iterdir() if re.fullmatch(r"S\d+", d.name) and (d / f"{d.name}.pkl").exists()}
    if not folders:
        raise DataError(f"{root} holds no S2/S2.pkl; expected the unpacked WESAD. Give the folder that holds S2.")
    return folders


def _trials(
    subject: str, path: Path, device: Device, problems: list[Problem] | None, reported: tuple[str, ...]
) -> tuple[Trial, ...]:
    content = load_pickle(path)
    codes = as_numbers(path, "label", _entry(path, content, "label"))
    signals = _signals(path, _entry(path, content, "signal"), device)
    blocks = _blocks(codes)
    ratings: dict[str, list[dict[str, Label]]] = {}
    try:
        ratings = _read_ratings(path.with_name(f"{subject}_quest.csv"))
    except FileError as error:
        note(problems, error.file, f"{error.what} {subject} is read without ratings.")
    trials: list[Trial] = []
    seen: dict[str, int] = {}
    for number, (code, start_s, stop_s) in enumerate(blocks, 1):
        condition = CONDITIONS[code]
        labels: dict[str, Label] = {"condition": condition}
        if condition in STRESS:
            labels["stress"] = STRESS[condition]
        told = ratings.get(condition, [])
        if seen.get(condition, 0) < len(told):
            labels |= told[seen.get(condition, 0)]
        seen[condition] = seen.get(condition, 0) + 1
        kept = {name: piece for name, s in signals.items() if (piece := s.crop(start_s, stop_s)).n_samples}
        if reported:
            kept |= answers_signal(labels, reported, start_s, stop_s)
        trials.append(Trial(subject, "only", f"{number}-{condition}", start_s, stop_s, kept, labels, condition))
    if not trials:
        raise FileError(path, f"no stretch labelled 1 to 4 in {codes.size} labels; expected some. {AGAIN}")
    return tuple(trials)


def _entry(path: Path, content: Any, name: str) -> Any:
    found = content.get(name, content.get(name.encode())) if isinstance(content, dict) else None
    if found is None:
        held = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise FileError(path, f"holds {held[:80]}; expected a dict with {name}. {AGAIN}")
    return found


def _signals(path: Path, content: Any, device: Device) -> dict[str, Signal]:
    chosen_series = {("wrist", name): s for name, s in WRIST.items() if device != "chest"}
    chosen_series |= {
        ("chest", name): s for name, s in CHEST.items() if device == "chest" or (device == "both" and name not in WRIST)
    }
    signals: dict[str, Signal] = {}
    for (place, name), series in chosen_series.items():
        what = f"{place} {series.key}"
        value = _entry(path, _entry(path, content, place), series.key)
        if isinstance(value, np.ndarray) and value.ndim == 1:
            value = value[:, None]  # (samples,) -> (samples, 1)
        values = as_samples(path, what, value, len(series.channels), channels_first=False)
        signals[name] = Signal(values * np.float32(series.scale), series.rate_hz, series.channels, series.unit)
    return signals


def _blocks(codes: np.ndarray[Any, np.dtype[np.float64]]) -> list[tuple[int, float, float]]:
    """Cut the label into maximal stretches: code, start and stop in seconds; those without meaning are left out."""
    edges = np.flatnonzero(np.diff(codes)) + 1
    first, stop = np.r_[0, edges], np.r_[edges, len(codes)]
    return [
        (int(codes[a]), a / LABEL_HZ, b / LABEL_HZ)
        for a, b in zip(first.tolist(), stop.tolist(), strict=True)
        if b > a and codes[a] in CONDITIONS and (b - a) / LABEL_HZ >= SHORTEST_S
    ]


def _read_ratings(path: Path) -> dict[str, list[dict[str, Label]]]:
    """Read the answers after each condition: condition -> ratings, in the order the condition came."""
    rows = [line.split(";") for line in read_bytes(path).decode("latin-1").splitlines()]
    order = next((row[1:] for row in rows if row[0].strip() == "# ORDER"), None)
    if order is None:
        raise FileError(path, f"no line # ORDER; expected the order of the conditions. {AGAIN}")
    conditions = [QUEST_NAMES[name.strip()] for name in order if name.strip() in QUEST_NAMES]
    answers = {
        name: [to_numbers(row[1:]) for row in rows if row[0].strip() == f"# {name}"]
        for name in ("DIM", "STAI", "PANAS")
    }
    for name, lines in answers.items():
        if len(lines) != len(conditions):
            raise FileError(path, f"{len(lines)} lines # {name} for {len(conditions)} conditions; expected one each.")
    out: dict[str, list[dict[str, Label]]] = {}
    for i, condition in enumerate(conditions):
        told: dict[str, Label] = {}
        scales = answers["DIM"][i][:2]
        if len(scales) == 2 and ((scales >= 1) & (scales <= 9)).all():
            told |= {"valence": float(scales[0]), "arousal": float(scales[1])}
        items = answers["STAI"][i][:6]
        if len(items) == 6 and ((items >= 1) & (items <= 4)).all():
            calm = np.array([True, False, False, True, False, True])  # at ease, relaxed, pleasant count the other way
            told["stai"] = float(np.where(calm, 5 - items, items).sum())
        items = answers["PANAS"][i][:20]
        if len(items) == 20 and ((items >= 1) & (items <= 5)).all():
            told |= {scale: float(items[[k - 1 for k in numbers]].sum()) for scale, numbers in AFFECT.items()}
        out.setdefault(condition, []).append(told)
    return out
