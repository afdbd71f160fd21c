"""Somebody's table of predictions made ours: columns by whatever name, empty cells refused, folds that cut trials."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from insula.data.formats.tables import read_table, read_typed, to_numbers
from insula.errors import DataError, InputError

NAMES: Mapping[str, tuple[str, ...]] = {
    "subject": ("subject", "person", "participant", "subj", "sub", "pid", "user", "patient"),
    "session": ("session", "ses", "visit"),
    "trial": ("trial", "clip", "block", "event"),
    "stimulus": ("stimulus", "video", "film", "item"),
    "fold": ("fold", "cv_fold", "kfold"),
    "y_true": ("y_true", "true", "truth", "label", "target", "actual", "ground_truth", "gt", "true_label",
               "label_true", "y", "y_test", "gold"),
    "y_pred": ("y_pred", "predicted", "prediction", "predictions", "pred", "preds", "y_hat", "yhat", "predicted_label",
               "pred_label", "label_pred"),
    "start_s": ("start_s", "start", "onset", "begin", "window_start", "t_start", "start_time", "time", "t",
                "timestamp", "seconds", "sec"),
    "stop_s": ("stop_s", "stop", "offset", "end", "window_end", "window_stop", "t_end", "t_stop", "end_time",
               "stop_time"),
    "elapsed_s": ("elapsed_s", "elapsed"),
}  # fmt: skip
"""What a column is -> names that strangers give it, the likeliest first."""
_ENDINGS = ("", "_id", "_no", "_nr", "_number", "_name", "_index", "_s", "_sec", "_seconds")
_CHANCES = ("p_", "prob_", "proba_", "probability_")
_TEXT = ("subject", "session", "trial", "stimulus", "fold")
_NEEDED = {"subject": "person", "trial": "trial", "y_true": "true", "y_pred": "predicted"}
"""What no table can be without -> the name by which it is asked for."""


def is_predictions(path: str | Path) -> bool:
    """Whether a CSV has a column of predictions."""
    try:
        columns = read_table(Path(path), ()).columns
    except DataError:
        return False
    return "y_pred" in _named(columns).values()


def read_predictions(path: str | Path) -> tuple[pd.DataFrame, bool]:
    """Read a CSV of predictions with our names of columns; whether it has times.

    Without times ``start_s`` counts the rows of each trial. Raises InputError for what is missing.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"no predictions {file}; expected a CSV with a row a window. Check the path.")
    names = _named(read_table(file, ()).columns)
    text: set[Hashable] = {theirs for theirs, ours in names.items() if ours in _TEXT}
    table = read_typed(file, text).rename(columns=names)
    missing = [name for column, name in _NEEDED.items() if column not in table]
    if missing or table.empty:
        raise InputError(
            f"{len(table)} predictions without {', '.join(missing) or 'rows'}; expected the columns person, trial, "
            "time (or start and stop), true and predicted. Add them."
        )
    for column, name in _NEEDED.items():
        _require_filled(table[column].isna(), name)
    for column in ("session", "stimulus", "fold"):
        if column not in table:
            table[column] = None
    folds = table["fold"].notna().all()
    table["fold"] = table["fold"].fillna("0" if folds else "not told")
    table["session"] = table["session"].fillna("1")
    timed = "start_s" in table
    if timed:
        numbers = to_numbers(table["start_s"])
        if np.isnan(numbers).any():
            row = int(np.isnan(numbers).argmax())
            raise InputError(f"time {table['start_s'].iloc[row]} in row {row + 1}; expected seconds. Correct it.")
        table["start_s"] = numbers
    else:
        table = table.drop(columns=[c for c in ("stop_s", "elapsed_s") if c in table])
        table["start_s"] = table.groupby(["subject", "session", "trial"]).cumcount().astype(float)
    return table.reset_index(drop=True), timed


def cut_trials(table: pd.DataFrame) -> list[str]:
    """Trials of which some windows were tested in one fold and others in another, in words.

    A trial that is whole in every fold that has it is not one: cross-validation may be repeated.
    """
    trial = ["subject", "session", "trial"]
    whole = table.groupby(trial, sort=False)["start_s"].transform("nunique")
    here = table.groupby([*trial, "fold"], sort=False)["start_s"].transform("nunique")
    cut = table[(here < whole).to_numpy()]
    return [
        f"trial {name} of {person} in folds {', '.join(sorted(own['fold'].astype(str).unique())[:4])}"
        for (person, _, name), own in cut.groupby(trial, sort=False)
    ]


def as_texts(values: pd.Series[float]) -> pd.Series[str]:
    """Classes as text: whole numbers without a point."""
    if pd.api.types.is_numeric_dtype(values) and bool((values == values.round()).all()):
        return values.astype(np.int64).astype(str)
    return values.astype(str).str.strip()


def with_chances(table: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Add ``p_<class>`` for every class: the table's own by whatever name where it has all of them, else 0 and 1."""
    there = {_plain(str(c)): c for c in table.columns}
    for start in _CHANCES:
        own = [there.get(f"{start}{_plain(c)}") for c in classes]
        if None not in own:
            return table.assign(**{f"p_{c}": to_numbers(table[one]) for c, one in zip(classes, own, strict=True)})
    return table.assign(**{f"p_{c}": (table["y_pred"] == c).astype(float) for c in classes})


def _require_filled(empty: pd.Series[bool], name: str) -> None:
    if empty.any():
        row, count = int(empty.to_numpy().argmax()), int(empty.sum())
        more = f" (and {count - 1:,} more)" if count > 1 else ""
        raise InputError(f"row {row + 1}{more} without {name}; expected one in every row. Fill it in, or drop the row.")


def _named(columns: pd.Index[str]) -> dict[str, str]:
    """Their name of a column -> ours."""
    there: dict[str, str] = {}
    for column in columns:
        there.setdefault(_plain(str(column)), str(column))
    found = {}
    for ours, likely in NAMES.items():
        own = next((there[n + end] for n in likely for end in _ENDINGS if n + end in there), None)
        if own is not None and own not in found:
            found[own] = ours
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.+-]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()).strip("_")
