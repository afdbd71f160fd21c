"""Label columns of a trial table: text for discrete targets, numbers for ratings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from insula.data.formats.tables import is_empty, to_numbers
from insula.types import Label


def read_labels(frame: pd.DataFrame, columns: Sequence[str], notes: list[str] | None = None) -> list[dict[str, Label]]:
    """Return the labels of each row of a text table; an empty cell is no label.

    A column whose filled cells are all numbers is a rating (float), any other one text. Texts that differ by capitals
    or blanks alone are one label, in the spelling that most cells have; ``notes`` gets a sentence where that was so.
    """
    rows: list[dict[str, Label]] = [{} for _ in range(len(frame))]
    for name in columns:
        cells = frame[name].str.strip()
        filled = ~is_empty(cells)
        numbers = to_numbers(cells)
        rating = bool(np.isfinite(numbers[filled]).all())
        spelled = {} if rating else one_spelling(cells[filled])
        if notes is not None and (told := _told(spelled)):
            notes.append(f"{name}: {told}")
        for i in filled.nonzero()[0]:
            cell = str(cells.iloc[i])
            rows[i][name] = float(numbers[i]) if rating else spelled.get(cell, cell)
    return rows


def one_spelling(texts: Iterable[str]) -> dict[str, str]:
    """Return the texts that others equal but for capitals and blanks, each with the most frequent spelling of them."""
    kinds: dict[str, Counter[str]] = {}
    for text in texts:
        kinds.setdefault(" ".join(text.split()).casefold(), Counter())[text] += 1
    out: dict[str, str] = {}
    for spellings in kinds.values():
        usual = min(spellings, key=lambda text: (-spellings[text], text.swapcase()))
        out |= {text: usual for text in spellings if len(spellings) > 1}
    return out


def _told(spelled: Mapping[str, str]) -> str:
    others: dict[str, list[str]] = {}
    for text, usual in spelled.items():
        if text != usual:
            others.setdefault(usual, []).append(text)
    return "; ".join(f"{', '.join(map(repr, sorted(o)))} read as {u!r}" for u, o in sorted(others.items()))
