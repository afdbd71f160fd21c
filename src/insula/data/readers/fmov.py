"""Reader of FMOV (Nilsonne and others, Oxazepam and emotion): films of angry, happy and neutral faces, in two orders.

Licence: CC0 1.0. Get it: the public repositories named in `INFO`.
Units: skin conductance uS; facial EMG (zygomaticus major, corrugator supercilii) mV, raw and average rectified; EKG mV.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from insula.data.formats.tables import AGAIN, chosen, parse_numbers, read_bytes, read_table, require_folder, to_numbers
from insula.data.info import DataInfo, FileError, Problem, collecting, note
from insula.errors import InputError
from insula.signals.recipe import DEFAULT_SIGNALS, Recipe
from insula.types import DoubleArray, Recording, Signal, Trial

_EDA = replace(DEFAULT_SIGNALS["eda"], limits=(-5.0, 100.0))
"""The zero of the amplifier drifts below 0 in some people, so that 0 is a value here."""

INFO = DataInfo(
    name="fmov",
    title="FMOV: skin conductance and two facial muscles of people who watch angry, happy and neutral faces",
    licence="CC0 1.0",
    where="https://github.com/GNilsonne/Data-and-analysis-code-Oxazepam-and-emotion-2 (folder FMOV) and "
    "demographics.csv of https://github.com/GNilsonne/Data-and-analysis-code-Oxazepam-and-emotion",
    targets={
        "emotion": "angry, happy or neutral: the face on the screen, 12 clips a person in two mirror-image orders",
        "valence": "angry or happy; neutral clips have no label",
    },
    recipe=Recipe(
        signals={"eda": _EDA, "emg_envelope": DEFAULT_SIGNALS["emg_envelope"]}, window_s=2.0, hop_s=1.0, guard_s=0.0
    ).only(("eda", "emg_envelope")),
    citation="Nilsonne and others, Oxazepam and emotion, github.com/GNilsonne (CC0)",
)

RATE_HZ = 100.0
NAME = re.compile(r"(\d+)_FMOV_preprocessed\.txt")
WAVES = ("angry", "happy", "neutral")
"""What the last three columns stand for; a clip begins where its wave falls from 5 to 0."""
FALL = 2.5
MUSCLES = ("zygomaticus", "corrugator")
TRAITS: Mapping[str, str] = {
    "IRI_EC": "iri_empathic_concern", "IRI_PT": "iri_perspective_taking", "IRI_PD": "iri_personal_distress",
    "IRI_F": "iri_fantasy", "TAS.20": "tas_20", "Difficulty.identifying.feelings": "tas_identifying",
    "Difficulty.describing.feelings": "tas_describing", "Externally.oriented.thinking": "tas_external",
    "STAI.T": "stai_trait", "PPI_1_C_R": "ppi_coldheartedness", "PPI_1_SCI_R": "ppi_self_centred_impulsivity",
    "PPI_1_FD_R": "ppi_fearless_dominance", "PPI_1_IR": "ppi_inconsistency",
}  # fmt: skip
"""Columns of demographics.csv and the traits they become: what is known before the session."""
TREATMENTS: Mapping[str, float] = {"Placebo": 0.0, "Oxazepam": 1.0}


@dataclass(frozen=True)
class _Layout:
    """Where the columns lie; ``ecg`` -1 where the file has none."""

    eda: int
    raw: tuple[int, int]
    rectified: tuple[int, int]
    first_wave: int
    ecg: int = -1


LAYOUTS: Mapping[int, _Layout] = {8: _Layout(0, (1, 2), (3, 4), 5), 10: _Layout(1, (2, 4), (5, 6), 7, 3)}
"""By number of columns: people up to 47; people from 48 on, with minutes first and EKG after the first raw EMG."""


def read(
    root: Path,
    *,
    subjects: Collection[str] | None = None,
    problems: list[Problem] | None = None,
    trial_s: float = 8.0,
    before_s: float = 2.0,
    treatment: bool = True,
    included: bool = False,
) -> list[Recording]:
    """Read people by their number (``09``); session clock 0 is the first sample.

    A trial is the ``trial_s`` seconds from the beginning of a clip (``c01`` to ``c12``), cut short where the next one
    follows; the ``before_s`` seconds before it are a trial of role baseline (``c01-baseline``). Signals: ``eda``,
    ``emg_envelope`` (rectified), ``emg`` (raw) and, where there is one, ``ecg``. Traits come from demographics.csv;
    ``treatment=False`` leaves out ``oxazepam`` (1 drug, 0 placebo), which is no trait of character. ``included=True``
    keeps those whom the authors kept (Included_FMOV).
    """
    if not trial_s > 0 or not before_s >= 0:
        raise InputError(f"trial_s {trial_s:g}, before_s {before_s:g}; expected above 0, and 0 or more.")
    files = _files(root)
    known: dict[str, dict[str, float]] = {}
    kept: set[str] | None = None
    with collecting(problems):
        known, kept = _people(root / "demographics.csv", treatment, problems)
    recordings: list[Recording] = []
    for subject in chosen(subjects, files):
        if included and (kept is None or subject not in kept):
            note(problems, files[subject], f"{subject} is not among the people whom the authors kept; left out")
            continue
        with collecting(problems):
            trials = _trials(subject, files[subject], trial_s, before_s, problems)
            provenance = {"data": INFO.name, "licence": INFO.licence, "files": str(files[subject])}
            recordings.append(Recording(subject, "only", trials, known.get(subject, {}), provenance))
    return recordings


def people(root: Path) -> list[str]:
    """Return the numbers of the people with a file ``NN_FMOV_preprocessed.txt``."""
    return list(_files(root))


def _files(root: Path) -> dict[str, Path]:
    require_folder(root, "FMOV/09_FMOV_preprocessed.txt and so on")
    folder = root / "FMOV" if (root / "FMOV").is_dir() else root
    found = {match[1]: path for path in folder.iterdir() if (match := NAME.fullmatch(path.name))}
    if not found:
        raise FileError(folder, "no NN_FMOV_preprocessed.txt; expected one a person. Give the folder that holds FMOV.")
    return dict(sorted(found.items()))


def _people(
    path: Path, treatment: bool, problems: list[Problem] | None
) -> tuple[dict[str, dict[str, float]], set[str] | None]:
    """Traits by person, and whom the authors kept; neither where there is no table."""
    if not path.exists():
        note(problems, path, "no such file; people are read without traits")
        return {}, None
    table = read_table(path, ("Subject",), problems=problems)
    names = [f"{int(n):02d}" if np.isfinite(n) else "" for n in to_numbers(table["Subject"])]
    traits: dict[str, dict[str, float]] = {name: {} for name in names}
    for column, trait in TRAITS.items():
        if column not in table:
            continue
        for name, value in zip(names, to_numbers(table[column]), strict=True):
            if np.isfinite(value):
                traits[name][trait] = float(value)
    if treatment and "Treatment" in table:
        for name, told in zip(names, table["Treatment"], strict=True):
            if told in TREATMENTS:
                traits[name]["oxazepam"] = TREATMENTS[told]
    kept = table.get("Included_FMOV")
    return traits, None if kept is None else {n for n, told in zip(names, kept, strict=True) if told == "True"}


def _samples(path: Path, problems: list[Problem] | None) -> tuple[DoubleArray, _Layout]:
    """Return (samples, columns) and where they lie; a tab at the end of the lines is no column."""
    data = read_bytes(path)
    if b"," in data:
        raise FileError(path, f"a comma in it; expected numbers between tabs. {AGAIN}")
    values = parse_numbers(path, data.replace(b"\t", b","))
    if np.isnan(values[:, -1]).all():
        values = values[:, :-1]
    layout = LAYOUTS.get(values.shape[1])
    if layout is None:
        raise FileError(path, f"{values.shape[1]} columns; expected {' or '.join(map(str, LAYOUTS))}. {AGAIN}")
    lost = int(np.isnan(values[:, layout.first_wave :]).any(axis=1).sum())
    if lost:
        note(problems, path, f"{lost} samples without stimulus waves; clips that begin there are not found")
    return values, layout


def _onsets(values: DoubleArray, layout: _Layout) -> list[tuple[int, str]]:
    """First sample of each clip and its class, in time order."""
    waves = values[:, layout.first_wave : layout.first_wave + len(WAVES)]
    falls = np.diff(waves, axis=0) < -FALL
    return sorted((int(at) + 1, name) for k, name in enumerate(WAVES) for at in np.flatnonzero(falls[:, k]))


def _trials(
    subject: str, path: Path, trial_s: float, before_s: float, problems: list[Problem] | None
) -> tuple[Trial, ...]:
    values, layout = _samples(path, problems)
    onsets = _onsets(values, layout)
    if not onsets:
        raise FileError(path, f"no clip; expected waves that fall by more than {FALL:g}. {AGAIN}")
    counts = [sum(name == wave for _, name in onsets) for wave in WAVES]
    if counts != [4, 4, 4]:
        told = ", ".join(f"{n} {wave}" for n, wave in zip(counts, WAVES, strict=True))
        note(problems, path, f"clips: {told}; expected 4 of each")
    whole = _signals(values, layout)
    end_s = len(values) / RATE_HZ
    begins = [at / RATE_HZ for at, _ in onsets]
    trials: list[Trial] = []
    free_s = 0.0  # where the trial before ended
    for i, (begin_s, (_, label)) in enumerate(zip(begins, onsets, strict=True)):
        following_s = begins[i + 1] - before_s if i + 1 < len(begins) else end_s
        stop_s = min(begin_s + trial_s, max(following_s, begin_s), end_s)
        if stop_s - begin_s < trial_s - 1e-9:
            note(problems, path, f"clip {i + 1} has {stop_s - begin_s:.2f} s; expected {trial_s:g}")
        if stop_s <= begin_s:
            continue
        name, from_s = f"c{i + 1:02d}", begin_s - before_s
        if before_s and from_s >= free_s:
            rest = {m: s.crop(from_s, begin_s) for m, s in whole.items()}
            trials.append(Trial(subject, "only", f"{name}-baseline", from_s, begin_s, rest, {}, None, "baseline"))
        elif before_s:
            note(problems, path, f"clip {i + 1} begins less than {before_s:g} s after what is before it; no baseline")
        signals = {m: s.crop(begin_s, stop_s) for m, s in whole.items()}
        labels = {"emotion": label} | ({"valence": label} if label != "neutral" else {})
        trials.append(Trial(subject, "only", name, begin_s, stop_s, signals, labels))
        free_s = stop_s
    return tuple(trials)


def _signals(values: DoubleArray, layout: _Layout) -> dict[str, Signal]:
    def part(columns: tuple[int, ...], channels: tuple[str, ...], unit: str) -> Signal:
        return Signal(values[:, columns].T.astype(np.float32), RATE_HZ, channels, unit)

    found = {
        "eda": part((layout.eda,), ("EDA",), "uS"),
        "emg_envelope": part(layout.rectified, MUSCLES, "mV"),
        "emg": part(layout.raw, MUSCLES, "mV"),
    }
    if layout.ecg >= 0:
        found["ecg"] = part((layout.ecg,), ("ECG",), "mV")
    return found
