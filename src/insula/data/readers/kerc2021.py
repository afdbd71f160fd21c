"""Reader of KERC 2021, the emotion recognition challenge cut from PhyMER: 60 s samples with four quadrant labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from insula.data.formats.empatica import E4_KINDS
from insula.data.formats.tables import (
    AGAIN,
    chosen,
    parse_numbers,
    read_bytes,
    read_table,
    require_folder,
    to_numbers,
    whole_lines,
)
from insula.data.info import DataInfo, FileError, Problem, collecting, note
from insula.errors import unknown_name
from insula.signals.recipe import Recipe
from insula.types import Label, Recording, Signal, Trial

INFO = DataInfo(
    name="kerc2021",
    title="KERC 2021: EEG and wristband samples of 60 s, arousal-valence quadrants, personality",
    licence="on request from the organisers",
    where="KERC 2021 challenge (Korean Emotion Recognition Challenge)",
    targets={
        "quadrant": "HAHV, HALV, LALV or LAHV",
        "arousal": "high or low, the first half of the quadrant",
        "valence": "high or low, the second half of the quadrant",
    },
    recipe=Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0, opening_s=0.0).only(("eeg", "eda", "bvp", "temp")),
    citation="Pant et al. 2023, PhyMER: Physiological dataset for multimodal emotion recognition, IEEE Access",
)

QUADRANTS = ("HAHV", "HALV", "LALV", "LAHV")
PARTS: Mapping[str, str] = {"train": "train", "valid": "val", "test": "test"}
"""Folder of the samples -> first part of its personality table's name."""
EPOC_CHANNELS = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")
SAMPLE_S = 60.0


def read(
    root: Path,
    *,
    subjects: Collection[str] | None = None,
    problems: list[Problem] | None = None,
    parts: Sequence[str] = ("train",),
) -> list[Recording]:
    """Read samples; each is a session of one trial, because nothing says when it was recorded.

    The data do not say who a sample comes from. People are told apart by their five personality integers, which is
    our choice: samples with equal integers count as one person, so that leaving a person out leaves all of them out.
    Traits are ``trait_1`` to ``trait_5``, or the names in the table's header. Only ``train`` has labels.
    """
    samples = _samples(root, parts, problems)
    wanted = set(chosen(subjects, {_person(traits, sample) for found in samples.values() for sample, traits in found}))
    recordings: list[Recording] = []
    for part, found in samples.items():
        with collecting(problems):
            recordings += _read_part(root, part, found, wanted, problems)
    return recordings


def people(root: Path, *, parts: Sequence[str] = ("train",)) -> list[str]:
    """Return the names made of the personality scores of the samples."""
    samples = _samples(root, parts, None)
    return list({_person(traits, sample) for found in samples.values() for sample, traits in found})


_Samples = list[tuple[str, dict[str, float]]]
"""Identity and traits of the samples of one part."""


def _samples(root: Path, parts: Sequence[str], problems: list[Problem] | None) -> dict[str, _Samples]:
    require_folder(root, "train_labels.csv and train of KERC 2021")
    out: dict[str, _Samples] = {}
    for part in parts:
        if part not in PARTS:
            raise unknown_name("part", part, PARTS)
        with collecting(problems):
            if not (root / part).is_dir():
                raise FileError(root / part, f"no such folder; expected a folder a sample in it. {AGAIN}")
            traits = _read_traits(root / f"{PARTS[part]}_personality.csv", problems)
            ids = sorted(d.name for d in (root / part).iterdir() if d.is_dir())
            out[part] = [(sample, traits.get(sample, {})) for sample in ids]
    return out


def _read_part(
    root: Path, part: str, samples: _Samples, wanted: Collection[str], problems: list[Problem] | None
) -> list[Recording]:
    folder = root / part
    quadrants = _read_labels(root / "train_labels.csv") if part == "train" else {}
    for missing in sorted(set(quadrants) - {sample for sample, _ in samples}):
        note(problems, folder / missing, "labelled in train_labels.csv but no such folder; the sample is missing")
    recordings: list[Recording] = []
    for sample, traits in samples:
        subject = _person(traits, sample)
        if subject not in wanted:
            continue
        with collecting(problems):
            labels = _labels(quadrants.get(sample))
            if part == "train" and not labels:
                note(problems, root / "train_labels.csv", f"no label for sample {sample}; it is kept without one")
            signals = _signals(folder / sample, problems)
            stop_s = max(s.duration_s for s in signals.values())
            if abs(stop_s - SAMPLE_S) > 1:
                note(problems, folder / sample, f"lasts {stop_s:.1f} s; expected {SAMPLE_S:.0f} s")
            trial = Trial(subject, sample, sample, 0.0, stop_s, signals, labels)
            provenance = {"data": INFO.name, "licence": INFO.licence, "files": str(folder / sample)}
            recordings.append(Recording(subject, sample, (trial,), traits, provenance))
    return recordings


def _person(traits: Mapping[str, float], sample: str) -> str:
    return "p" + "-".join(f"{value:g}" for value in traits.values()) if traits else f"unknown-{sample}"


def _labels(quadrant: str | None) -> dict[str, Label]:
    if quadrant is None:
        return {}
    level = {"H": "high", "L": "low"}
    return {"quadrant": quadrant, "arousal": level[quadrant[0]], "valence": level[quadrant[2]]}


def _read_labels(path: Path) -> dict[str, str]:
    table = read_table(path, ("Id", "label"))
    _once(path, table)
    for row, label in enumerate(table["label"].str.strip()):
        if label not in QUADRANTS:
            error = unknown_name("label", label, QUADRANTS)
            raise FileError(path, f"line {row + 2}: {error}")
    return dict(zip(table["Id"].str.strip(), table["label"].str.strip(), strict=True))


def _read_traits(path: Path, problems: list[Problem] | None) -> dict[str, dict[str, float]]:
    if not path.exists():
        note(problems, path, "no such file; every sample counts as a person of its own, without traits")
        return {}
    table = read_table(path, ("Id",))
    _once(path, table)
    columns = [c for c in table.columns if c != "Id"]
    if len(columns) != 5:
        raise FileError(path, f"{len(columns)} columns beside Id; expected 5 personality scores. {AGAIN}")
    named = columns if all(c[:1].isalpha() for c in columns) else [f"trait_{i + 1}" for i in range(5)]
    rows = np.stack([to_numbers(table[c]) for c in columns], axis=1)  # (samples, 5)
    if not np.isfinite(rows).all():
        row = int((~np.isfinite(rows)).any(axis=1).argmax())
        raise FileError(path, f"line {row + 2}: a score is no number; expected 5 integers. Correct the line.")
    return {i: dict(zip(named, map(float, row), strict=True)) for i, row in zip(table["Id"].str.strip(), rows)}  # noqa: B905


def _once(path: Path, table: pd.DataFrame) -> None:
    twice = table["Id"].str.strip().duplicated()
    if twice.any():
        row = int(twice.to_numpy().argmax())
        raise FileError(path, f"line {row + 2}: Id {table['Id'].iloc[row]} twice; expected each once. Remove one line.")


def _signals(folder: Path, problems: list[Problem] | None) -> dict[str, Signal]:
    signals: dict[str, Signal] = {}
    for name, rate in (("eeg", 256.0), ("eda", 4.0), ("bvp", 64.0), ("temp", 4.0)):
        path = folder / f"{name.upper()}_{rate:.0f}.csv"
        if not path.exists():
            note(problems, path, f"no such file; the sample is read without {name}")
            continue
        data = whole_lines(path, read_bytes(path), problems)
        if name == "eeg":
            head, _, data = data.partition(b"\n")
            channels = tuple(c.strip().strip('"') for c in head.decode("latin-1").split(","))
            if len(channels) != len(EPOC_CHANNELS) or len(set(channels)) != len(channels):
                raise FileError(path, f"{len(channels)} columns in the header; expected 14 EEG channels. {AGAIN}")
            unit, first_line = "uV", 2
        else:
            channels, unit, first_line = E4_KINDS[name].channels, E4_KINDS[name].unit, 1
        values = parse_numbers(path, data, first_line=first_line, columns=len(channels))
        signals[name] = Signal(np.ascontiguousarray(values.T, np.float32), rate, channels, unit)  # -> (C, samples)
    if not signals:
        raise FileError(folder, f"no EEG_256.csv, EDA_4.csv, BVP_64.csv or TEMP_4.csv; expected one. {AGAIN}")
    return signals
