"""Ready-made eye features of SEED-IV (31) and SEED-V (33): pupil, dispersion, fixations, blinks and saccades of 4 s.

The files name no column, so channels are numbered in the files' order. A value stands for the 4 s that it was made of,
where the data sets put it beside the EEG of the same seconds; live, it would be known at their end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from insula.data.formats.arrays import as_samples
from insula.data.formats.matlab import read_mat, variables
from insula.data.formats.pickles import load_packed
from insula.data.formats.tables import AGAIN
from insula.data.info import FileError, Problem, collecting, note
from insula.types import FloatArray, Signal, Trial

STEP_S = 4.0
_MAT = re.compile(r"^eye_(?P<trial>\d+)$")


def of_mat(path: Path, problems: list[Problem] | None) -> dict[int, FloatArray]:
    """Read ``eye_1``, ``eye_2``... of a session of SEED-IV: number of the trial -> (features, steps)."""
    found: dict[int, FloatArray] = {}
    if not path.exists():
        note(problems, path, "no such file; this session is read without eyes")
        return found
    with collecting(problems):
        for name in variables(path):
            if match := _MAT.match(name):
                value = read_mat(path, (name,)).get(name)
                rows = value.shape[0] if isinstance(value, np.ndarray) and value.ndim == 2 else 31
                found[int(match["trial"])] = as_samples(path, name, value, rows)
        if not found:
            raise FileError(path, f"no array named eye_1; expected one a trial. {AGAIN}")
    return found


def of_npz(
    folder: Path, subject: str, lengths: Mapping[str, int], problems: list[Problem] | None
) -> dict[str, dict[int, FloatArray]]:
    """Read ``1_123.npz`` of a person of SEED-V: session -> number of the trial -> (features, steps).

    The file counts the trials of all sessions from 0; ``lengths`` are those of the sessions in order.
    """
    path = folder / f"{int(subject[1:])}_123.npz"
    out: dict[str, dict[int, FloatArray]] = {session: {} for session in lengths}
    if not path.exists():
        note(problems, path, f"no such file; {subject} is read without eyes")
        return out
    with collecting(problems):
        content = load_packed(path, "data")
        pairs = content if isinstance(content, list) else []
        arrays = {int(pair[0]): pair[1] for pair in pairs if isinstance(pair, list) and isinstance(pair[0], int)}
        if not arrays:
            raise FileError(path, f"no trials in its data; expected arrays numbered from 0. {AGAIN}")
        first = 0
        for session, count in lengths.items():
            for i in range(count):
                value = arrays.get(first + i)
                if value is not None:
                    columns = value.shape[1] if isinstance(value, np.ndarray) and value.ndim == 2 else 33
                    name = f"trial {first + i}"
                    out[session][i + 1] = as_samples(path, name, value, columns, channels_first=False)
            first += count
    return out


def with_eyes(
    trials: tuple[Trial, ...], eyes: Mapping[int, FloatArray], path: Path, problems: list[Problem] | None
) -> tuple[Trial, ...]:
    """Add the signal ``eye`` to trials named ``t01``...; one without is noted."""
    out = []
    for trial in trials:
        values = eyes.get(int(trial.trial[1:]))
        if values is None:
            note(problems, path, f"no eye features of trial {trial.trial}; it is read without")
            out.append(trial)
            continue
        names = tuple(f"eye{i + 1:02d}" for i in range(len(values)))
        signal = Signal(values, 1 / STEP_S, names, "as published", trial.start_s)
        out.append(replace(trial, signals={**trial.signals, "eye": signal.crop(trial.start_s, trial.stop_s)}))
    return tuple(out)
