"""Reader of CogWear (PhysioNet, Grzeszczyk et al. 2022): rest, Stroop and survey under an E4 and a Samsung watch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from insula.data.formats.empatica import E4_KINDS, worn
from insula.data.formats.tables import AGAIN, chosen, on_grid, read_table, require_folder
from insula.data.info import DataInfo, FileError, Problem, collecting, note
from insula.data.readers.order import in_order
from insula.errors import DataError
from insula.signals.recipe import Recipe
from insula.types import Label, Recording, Signal, Trial

INFO = DataInfo(
    name="cogwear_e4",
    title="CogWear: wristband recordings of rest, a Stroop task and a survey, 25 people, two studies",
    licence="ODbL 1.0",
    where="https://physionet.org/content/cogwear/1.0.0/ (doi:10.13026/5f6t-b637)",
    targets={
        "load": "rest (folder baseline) or load (folder cognitive_load, a Stroop task)",
        "condition": "baseline, cognitive_load or survey, after the folders",
    },
    recipe=Recipe(window_s=30.0, hop_s=10.0, guard_s=10.0, opening_s=0.0).only(("eda", "bvp", "temp")),
    citation="Grzeszczyk et al., CogWear: Can we detect cognitive effort with consumer-grade wearables? PhysioNet",
)

CONDITIONS: Mapping[str, str | None] = {"baseline": "rest", "cognitive_load": "load", "survey": None}
"""Folder name -> label of target ``load``."""

STUDIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "pilot": ("p", ()),
    "survey_gamification": ("s", ("pre", "post")),
}
"""Study folder -> prefix of its people, session folders (none: one session, ``only``)."""

PPG_HEADER = "PPG GREEN"
PPG_RATE_HZ = 25.0
LONGEST_S = 6 * 3600.0
"""A condition lasts minutes; longer spans are wrong times."""


def read(
    root: Path, *, subjects: Collection[str] | None = None, problems: list[Problem] | None = None, ppg: bool = False
) -> list[Recording]:
    """Read people ``p00``... (pilot; session ``only``) and ``s11``... (survey study; sessions ``pre`` and ``post``).

    One trial a condition folder, in time order; clock 0 is the first E4 sample of the session. Labels: ``load`` on
    baseline and cognitive_load, ``condition`` on all. ``ppg=True`` adds the Samsung watch where it wrote its green
    PPG: about 25 Hz with packets out of order, sorted and interpolated to 25 Hz here, gaps above .12 s NaN.
    """
    folders = _folders(root)
    recordings: list[Recording] = []
    for subject in chosen(subjects, folders):
        folder, sessions = folders[subject]
        for session in sessions or ("only",):
            with collecting(problems):
                place = folder / session if sessions else folder
                recordings.append(_session(subject, session, place, ppg, problems))
    return recordings


def people(root: Path) -> list[str]:
    """Return the names of the people with a folder in one of the studies."""
    return list(_folders(root))


def _folders(root: Path) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """Map each person to the folder and the sessions of the study."""
    require_folder(root, "pilot or survey_gamification of CogWear")
    folders = {
        f"{prefix}{int(folder.name):02d}": (folder, sessions)
        for study, (prefix, sessions) in STUDIES.items()
        if (root / study).is_dir()
        for folder in (root / study).iterdir()
        if folder.is_dir() and folder.name.isdigit()
    }
    if not folders:
        raise DataError(
            f"{root} holds no folder of a person; expected pilot/0 or survey_gamification/11 and so on. "
            "Give the folder that holds pilot."
        )
    return folders


def _session(subject: str, session: str, folder: Path, ppg: bool, problems: list[Problem] | None) -> Recording:
    found: dict[str, dict[str, Signal]] = {}
    for condition in CONDITIONS:
        place = folder / condition
        if not place.is_dir():
            if CONDITIONS[condition] is not None:
                note(problems, place, f"no such folder; session {session} of {subject} is read without it")
            continue
        with collecting(problems):
            found[condition] = _signals(place, ppg, problems)
    if not found:
        raise FileError(folder, f"no condition can be read; expected folders {', '.join(CONDITIONS)}. {AGAIN}")
    spans = {condition: _span(folder / condition, signals) for condition, signals in found.items()}  # unix seconds
    zero = min(start for start, _ in spans.values())
    trials: list[Trial] = []
    for condition in sorted(found, key=lambda c: spans[c]):
        start_s, stop_s = (at - zero for at in spans[condition])
        moved = {
            name: replace(s, start_s=s.start_s - zero).crop(start_s, stop_s) for name, s in found[condition].items()
        }
        labels: dict[str, Label] = {"condition": condition}
        load = CONDITIONS[condition]
        if load is not None:
            labels["load"] = load
        kept = {name: s for name, s in moved.items() if s.n_samples}
        trials.append(Trial(subject, session, condition, start_s, stop_s, kept, labels, condition))
    provenance = {
        "data": INFO.name,
        "licence": INFO.licence,
        "files": str(folder),
        "start_unix_s": str(zero),
    }
    return Recording(subject, session, in_order(folder, trials, 1.0), {}, provenance)


def _signals(folder: Path, ppg: bool, problems: list[Problem] | None) -> dict[str, Signal]:
    signals: dict[str, Signal] = {}
    for name in ("eda", "bvp", "temp"):
        path = folder / f"empatica_{name}.csv"
        if not path.exists():
            note(problems, path, f"no such file; this condition is read without {name}")
            continue
        kind = E4_KINDS[name]
        signals[name] = _series(path, name, kind.rate_hz, kind.channels[0], kind.unit, problems)
    if "eda" in signals:
        signals["eda"] = replace(signals["eda"], values=worn(signals["eda"].values))
    if not signals:
        raise FileError(folder, f"no empatica_eda.csv, empatica_bvp.csv or empatica_temp.csv; expected one. {AGAIN}")
    path = folder / "samsung_bvp.csv"
    if ppg and path.exists():
        try:
            signals["ppg"] = _series(path, PPG_HEADER, PPG_RATE_HZ, "PPG", "a.u.", problems)
        except FileError as error:  # the watch often wrote something else; the E4 is what the trial is about
            note(problems, path, f"{error.what} This condition is read without ppg.")
    return signals


def _series(path: Path, column: str, rate_hz: float, channel: str, unit: str, problems: list[Problem] | None) -> Signal:
    """Read one ``value,time`` CSV; ``start_s`` of the answer is unix time."""
    columns = (column, "time")
    table = read_table(path, columns, numbers=columns, problems=problems, drop_cut_line=True)
    times, values = table["time"].to_numpy(np.float64), table[column].to_numpy(np.float32)
    good = np.isfinite(times)
    if not (good & np.isfinite(values)).any():
        raise FileError(path, f"no finite sample; expected numbers. {AGAIN}")
    step = np.diff(np.unique(times[good]))
    seen_hz = 1 / float(np.median(step)) if step.size else rate_hz
    if abs(seen_hz / rate_hz - 1) > 0.05 and len(step) > 5:
        raise FileError(
            path, f"times {seen_hz:.2f} Hz apart; expected {rate_hz:g} Hz. Correct the file or read it by a manifest."
        )
    span = float(np.ptp(times[good]))
    if span > LONGEST_S:
        raise FileError(path, f"times span {span:.0f} s; expected one condition of minutes. {AGAIN}")
    start, regular = on_grid(times, values[None, :], rate_hz)  # (samples,) -> (1, samples)
    return Signal(regular, rate_hz, (channel,), unit, start)


def _span(folder: Path, signals: Mapping[str, Signal]) -> tuple[float, float]:
    """First sample and end of the E4 signals, unix seconds; the Samsung watch ran longer and is cropped to it."""
    e4 = [s for name, s in signals.items() if name != "ppg"]
    start, stop = min(s.start_s for s in e4), max(s.start_s + s.duration_s for s in e4)
    if stop - start > LONGEST_S:
        raise FileError(folder, f"its E4 files lie {stop - start:.0f} s apart; expected the same minutes. {AGAIN}")
    return start, stop
