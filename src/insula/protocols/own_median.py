"""Classes about each person's own median (``valence>median``): thresholds from training trials only, fold by fold.

Windows keep the ratings of such a target as numbers until it is known who trains. A person's threshold is the median
over the own training trials, each counted once however many windows it gives; a rating equal to it is not above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from insula.errors import ProtocolError
from insula.protocols.grouping import is_continuous
from insula.protocols.protocol import Amounts
from insula.protocols.protocols import PROTOCOLS, TRIAL, Split, scored_rows, split
from insula.types import BoolArray, IntArray

if TYPE_CHECKING:
    from insula.windows.table import Windows

HOW = (
    "classes are about each person's median of the training trials, so that a trial's class may differ between folds; "
    "folds are balanced by the rank of all ratings"
)


def undecided(windows: Windows) -> bool:
    """Say whether the windows hold ratings whose classes depend on who trains."""
    return not windows.schema.continuous and is_continuous(windows.y)


def decided(windows: Windows, train: Sequence[int] | IntArray | BoolArray | None = None) -> Windows:
    """Turn ratings into class codes by the medians of some rows, the training ones (default: all that are scored).

    Windows of people who have none of these rows, and those that are not scored, get -1. Windows of any other target
    come back as they are.
    """
    if not undecided(windows):
        return windows
    rows = scored_rows(windows.table)
    if train is not None:
        rows = np.intersect1d(rows, np.arange(len(windows))[np.asarray(train)])
    own = medians(windows.table, rows)
    threshold = windows.table["subject"].astype(str).map(own).to_numpy(np.float64)
    codes = np.where(np.isnan(threshold), -1, windows.y > threshold).astype(np.int64)
    codes[windows.table["role"].to_numpy() != "scored"] = -1
    return windows.with_y(codes)


def medians(table: pd.DataFrame, rows: IntArray) -> dict[str, float]:
    """Median rating over the trials of each person among the rows, every trial once."""
    trials = table.iloc[rows].groupby([*TRIAL], sort=False)["y"].median()  # exact for equal values, as a mean is not
    return {str(person): float(ratings.median()) for person, ratings in trials.groupby("subject")}


def for_fold(windows: Windows, part: Split) -> Windows:
    """Turn ratings into class codes by the medians of a fold's training trials.

    Raises ProtocolError for a tested person without training trials.
    """
    if not undecided(windows):
        return windows
    out = decided(windows, part.train)
    lost = out.table["subject"].to_numpy()[part.test][out.y[part.test] < 0]
    if len(lost):
        raise ProtocolError(
            f"target {windows.schema.target} in {part.name} fold {part.fold!r}: {lost[0]} is tested without a training "
            f"trial to take the median from; expected some. {_instead(windows)}"
        )
    return out


def split_windows(
    windows: Windows,
    name: str,
    *,
    folds: int | None = None,
    seed: int = 0,
    personal: bool | None = None,
    amounts: Amounts | None = None,
) -> list[Split]:
    """Split windows as `split` does; folds whose training labels are all one class are left out.

    Raises ProtocolError where a protocol tests people without training trials, or no fold has two classes.
    """
    if not undecided(windows):
        return split(name, windows.table, folds=folds, seed=seed, personal=personal, amounts=amounts)
    target = windows.schema.target
    if name in PROTOCOLS and not PROTOCOLS[name].trains_on_tested:
        raise ProtocolError(
            f"target {target} under {name}: a tested person has no training trials to take the median from; expected a "
            f"protocol that trains on the tested person. {_instead(windows)}"
        )
    kept: list[Split] = []
    notes = [HOW]
    for part in split(name, windows.table, folds=folds, seed=seed, personal=personal, amounts=amounts):
        training = for_fold(windows, part).take(part.train)
        above = training.table.groupby("subject")["y"].max()
        flat = [str(person) for person, highest in above.items() if highest < 1]
        if flat:
            gone = "the fold is left out" if len(flat) == len(above) else "they train one class"
            notes.append(f"fold {part.fold}: no training rating of {', '.join(flat)} is above the own median, {gone}")
        if len(flat) < len(above):
            kept.append(part)
    if not kept:
        raise ProtocolError(
            f"target {target} under {name}: in no fold is a training rating above its person's median; expected two "
            "classes, so fewer equal ratings at the top of the scale. Use a fixed threshold, e.g. "
            f"'{_fixed(windows)}'."
        )
    return [replace(part, notes=(*part.notes, *notes)) for part in kept]


def _instead(windows: Windows) -> str:
    return f"Use within_subject or cross_session, or a fixed threshold, e.g. '{_fixed(windows)}'."


def _fixed(windows: Windows) -> str:
    return f"{windows.schema.target.removesuffix('>median')}>={float(np.median(windows.y)):g}"
