"""Label columns of a trial table: text for discrete targets, numbers for ratings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from insula.data.formats.tables import is_empty, to_numbers
from insula.types import Label


def read_labels(frame: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Label]]:
    """Return the labels of each row of a text table; an empty cell is no label.

    A column whose filled cells are all numbers is a rating (float), any other one text.
    """
    rows: list[dict[str, Label]] = [{} for _ in range(len(frame))]
    for name in columns:
        cells = frame[name].str.strip()
        filled = ~is_empty(cells)
        numbers = to_numbers(cells)
        rating = bool(np.isfinite(numbers[filled]).all())
        for i in filled.nonzero()[0]:
            rows[i][name] = float(numbers[i]) if rating else str(cells.iloc[i])
    return rows
