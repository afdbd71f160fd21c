"""Reader of the eSports Sensors data set (Smerdov et al. 2020): League of Legends players in matches, all at 1 Hz.

Licence: CC BY 4.0.
Get it: https://github.com/smerdov/eSports_Sensors_Dataset (IMU, keyboard, mouse and game logs are not read).
Units: skin conductance in microsiemens (the file holds resistance; its values fit ohm, and 1e6/value is taken), heart
rate 1/min (0 is a dropout and becomes missing), SpO2 percent, facial skin temperature degC, EMG level, gaze movement,
pupil diameter and EEG band powers (5 electrodes, 5 bands, some players) in the devices' own units.
Source: Smerdov et al. 2020, arXiv:2011.00958
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from insula.data.formats.tables import AGAIN, chosen, on_grid, read_bytes, read_table, require_folder
from insula.data.info import DataInfo, FileError, Problem, collecting, note
from insula.errors import DataError
from insula.signals.recipe import DEFAULT_SIGNALS, Recipe, SignalRecipe
from insula.types import Label, Recording, Signal, Trial

_SLOW = SignalRecipe(1.0, hold=True)

INFO = DataInfo(
    name="esports_sensors",
    title="eSports Sensors: 10 League of Legends players in 22 matches, peripheral signals at 1 Hz",
    licence="CC BY 4.0",
    where="https://github.com/smerdov/eSports_Sensors_Dataset",
    targets={
        "mental_load": "self-report after the match, 1 to 5",
        "opponents": "human or bot",
        "performance": "self-report after the match, 1 to 5",
    },
    recipe=Recipe(
        {
            "eda": SignalRecipe(1.0, hold=True, limits=(0.0, 100.0)),
            "hr": DEFAULT_SIGNALS["hr"],
            "spo2": DEFAULT_SIGNALS["spo2"],
            "face_temp": SignalRecipe(1.0, hold=True, limits=(15.0, 45.0)),
            "emg": _SLOW,
            "eye": _SLOW,
        },
        window_s=60.0,
        hop_s=10.0,
        guard_s=10.0,
    ),
    citation="Smerdov et al. 2020, arXiv:2011.00958",
)

RATE_HZ = 1.0
LONGEST_S = 6 * 3600.0
"""A match lasts less than an hour; later times are wrong."""
BANDS = ("theta", "alpha", "betaL", "betaH", "gamma")
ELECTRODES = ("AF3", "T7", "Pz", "T8", "AF4")


@dataclass(frozen=True)
class _Kind:
    file: str
    columns: tuple[str, ...]
    channels: tuple[str, ...]
    unit: str


KINDS: Mapping[str, _Kind] = {
    "eda": _Kind("gsr.csv", ("gsr",), ("GSR",), "uS"),
    "hr": _Kind("heart_rate.csv", ("heart_rate",), ("HR",), "1/min"),
    "spo2": _Kind("spo2.csv", ("spo2",), ("SpO2",), "%"),
    "face_temp": _Kind("facial_skin_temperature.csv", ("facial_skin_temperature",), ("face",), "degC"),
    "emg": _Kind("emg.csv", ("emg_right_hand", "emg_left_hand"), ("right_hand", "left_hand"), "a.u."),
    "eye": _Kind("eye_tracker.csv", ("gaze_movement", "pupil_diameter"), ("gaze_movement", "pupil_diameter"), "a.u."),
    "eeg_power": _Kind(
        "eeg_band_power.csv",
        tuple(f"{e}/{b}" for e in ELECTRODES for b in BANDS),
        tuple(f"{e}/{b}" for e in ELECTRODES for b in BANDS),
        "a.u.",
    ),
}


def read(
    root: Path, *, subjects: Collection[str] | None = None, problems: list[Problem] | None = None
) -> list[Recording]:
    """Read people ``amateurs-0``... (team and player); a session is a day, a trial and stimulus a match.

    All players of a team share the match, so leaving a stimulus out leaves a match out. Matches of a day follow each
    other on the session's clock; the minutes between them are not in the files. A player without a sensor, or with
    one that stopped, is read without it (``eeg_power``, band powers a second, is not part of the default recipe).
    """
    players = _players(root, problems)
    recordings: list[Recording] = []
    for subject in chosen(subjects, players):
        for session, played in players[subject].items():
            with collecting(problems):
                trials = _trials(subject, session, played, problems)
                provenance = {"data": INFO.name, "licence": INFO.licence, "files": "; ".join(str(p) for p, _ in played)}
                recordings.append(Recording(subject, session, trials, {}, provenance))
    return recordings


def people(root: Path) -> list[str]:
    """Return the names of the people who played a match."""
    return list(_players(root, None))


_Played = list[tuple[Path, Mapping[str, Any]]]
"""Folder of a player in a match, and what is known about the match."""


def _players(root: Path, problems: list[Problem] | None) -> dict[str, dict[str, _Played]]:
    """Map each person to the matches of each day, in the order they were played."""
    require_folder(root, "matches of eSports Sensors")
    require_folder(root / "matches", "a folder a match, match_0 and so on")
    matches: _Played = []
    for folder in sorted((root / "matches").iterdir()):
        if re.fullmatch(r"match_\d+", folder.name) and folder.is_dir():
            with collecting(problems):
                matches.append((folder, _meta(folder / "meta_info.json")))
    if not matches:
        raise DataError(f"{root / 'matches'} holds no match that can be read; expected match_0. {AGAIN}")
    players: dict[str, dict[str, _Played]] = {}
    for folder, meta in sorted(matches, key=lambda m: (m[1]["team"], m[1]["day_num"], m[1]["day_match_num"])):
        for place in sorted(folder.iterdir()):
            if re.fullmatch(r"player_\d+", place.name) and place.is_dir():
                subject = f"{meta['team']}-{place.name[7:]}"
                days = players.setdefault(subject, {})
                days.setdefault(f"day{meta['day_num']:.0f}", []).append((place, meta))
    return players


def _trials(subject: str, session: str, played: _Played, problems: list[Problem] | None) -> tuple[Trial, ...]:
    trials: list[Trial] = []
    clock_s = 0.0
    for folder, meta in played:
        stop_s = clock_s + float(meta["match_duration"])
        with collecting(problems):
            signals: dict[str, Signal] = {}
            for name, kind in KINDS.items():
                if (folder / kind.file).exists():
                    signal = _series(folder / kind.file, name, kind, clock_s, problems).crop(clock_s, stop_s)
                    if signal.n_samples:
                        signals[name] = signal
            if not signals:
                raise FileError(folder, f"no file with samples; expected gsr.csv and others. {AGAIN}")
            match = f"match_{int(folder.parent.name[6:]):02d}"
            labels = _labels(folder / "player_report.json", meta, problems)
            trials.append(Trial(subject, session, match, clock_s, stop_s, signals, labels, match))
        clock_s = stop_s
    if not trials:
        raise FileError(played[0][0].parent, f"no match of {subject} on {session} can be read; expected one. {AGAIN}")
    return tuple(trials)


def _series(path: Path, name: str, kind: _Kind, clock_s: float, problems: list[Problem] | None) -> Signal:
    columns = ("time", *kind.columns)
    table = read_table(path, columns, numbers=columns, problems=problems, drop_cut_line=True)
    times = table["time"].to_numpy(np.float64)
    good = np.isfinite(times)
    if not good.any() or times[good].min() < 0 or times[good].max() > LONGEST_S:
        raise FileError(path, f"times up to {times[good].max(initial=0):g} s; expected seconds of a match. {AGAIN}")
    values = table[list(kind.columns)].to_numpy(np.float64).T  # (rows, C) -> (C, rows)
    if name == "eda":
        with np.errstate(divide="ignore", invalid="ignore"):
            values = 1e6 / np.where(values > 0, values, np.nan)
    if name == "hr":
        values = np.where(values > 0, values, np.nan)
    with np.errstate(over="ignore"):
        small = values.astype(np.float32)
    small[~np.isfinite(small)] = np.nan
    start, regular = on_grid(times, small, RATE_HZ)
    return Signal(regular, RATE_HZ, kind.channels, kind.unit, clock_s + start)


def _meta(path: Path) -> Mapping[str, Any]:
    found = _json(path)
    for key in ("match_duration", "day_num", "day_match_num", "real_opponents"):
        value = found.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_S:
            raise FileError(path, f"{key} {str(value)[:40]!r}; expected a number from 0 on. {AGAIN}")
    if not isinstance(found.get("team"), str) or not re.fullmatch(r"\w+", found["team"]):
        raise FileError(path, f"team {str(found.get('team'))[:40]!r}; expected amateurs or pros. {AGAIN}")
    if not found["match_duration"] > 0:
        raise FileError(path, f"match_duration {found['match_duration']}; expected above 0. {AGAIN}")
    return found


def _labels(path: Path, meta: Mapping[str, Any], problems: list[Problem] | None) -> dict[str, Label]:
    labels: dict[str, Label] = {"opponents": "human" if meta["real_opponents"] else "bot"}
    try:
        report = _json(path)
    except FileError as error:
        note(problems, error.file, f"{error.what} The match is read without self-reports.")
        return labels
    for target, key in (("mental_load", "mental_load"), ("performance", "performance_evaluation")):
        value = report.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 5:
            labels[target] = float(value)
        elif value is not None:
            note(problems, path, f"{key} {str(value)[:40]!r} is not 1 to 5; it was left out")
    return labels


def _json(path: Path) -> dict[str, Any]:
    content = read_bytes(path)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"not JSON ({str(error)[:80]}). {AGAIN}") from None
    if not isinstance(found, dict):
        raise FileError(path, f"a {type(found).__name__}; expected a JSON object. {AGAIN}")
    return found
