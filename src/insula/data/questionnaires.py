"""Questionnaires scored from tables of items: SAM, PANAS, STAI, BFI-10 and NEO-FFI, with reversed items.

Sources: SAM, Bradley & Lang 1994, doi:10.1016/0005-7916(94)90063-9 (9 points; valence, arousal, dominance as they
are). PANAS, Watson, Clark & Tellegen 1988, doi:10.1037/0022-3514.54.6.1063 (20 items of 1 to 5; sums of 10). STAI form
Y, Spielberger 1983 (20 items of 1 to 4 a scale; sums; anxiety-absent items reversed). BFI-10, Rammstedt & John 2007,
doi:10.1016/j.jrp.2006.02.001 (10 items of 1 to 5; means of 2). NEO-FFI, Costa & McCrae 1992 (60 items of 0 to 4;
every fifth item from 1, 2, 3, 4 and 5 on is neuroticism, extraversion, openness, agreeableness, conscientiousness;
sums of 12). The wording of items belongs to their publishers and is not here; only their numbers are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from insula.data.formats.tables import to_numbers
from insula.errors import InputError, unknown_name
from insula.types import DoubleArray


@dataclass(frozen=True)
class Questionnaire:
    """How a questionnaire is scored.

    ``scales`` maps a scale to the numbers of its items (from 1), ``reversed`` are items whose answers are turned round
    (low + high - answer), ``low`` and ``high`` the ends of the answers, ``how`` sum or mean of a scale's items.
    """

    title: str
    prefixes: tuple[str, ...]
    scales: Mapping[str, tuple[int, ...]]
    reversed: frozenset[int]
    low: int
    high: int
    how: str
    source: str

    @property
    def items(self) -> int:
        """Number of the last item."""
        return max(max(items) for items in self.scales.values())


def _every(first: int, count: int, step: int = 5) -> tuple[int, ...]:
    return tuple(range(first, first + count * step, step))


QUESTIONNAIRES: Mapping[str, Questionnaire] = {
    "panas": Questionnaire(
        "PANAS", ("panas",),
        {
            "positive_affect": (1, 3, 5, 9, 10, 12, 14, 16, 17, 19),
            "negative_affect": (2, 4, 6, 7, 8, 11, 13, 15, 18, 20),
        },
        frozenset(), 1, 5, "sum", "Watson, Clark & Tellegen 1988",
    ),
    "stai_state": Questionnaire(
        "STAI-S (form Y-1)", ("stais", "staistate", "staiy1", "stai"), {"state_anxiety": tuple(range(1, 21))},
        frozenset((1, 2, 5, 8, 10, 11, 15, 16, 19, 20)), 1, 4, "sum", "Spielberger 1983",
    ),
    "stai_trait": Questionnaire(
        "STAI-T (form Y-2)", ("stait", "staitrait", "staiy2", "stai"), {"trait_anxiety": tuple(range(1, 21))},
        frozenset((1, 3, 6, 7, 10, 13, 14, 16, 19)), 1, 4, "sum", "Spielberger 1983",
    ),
    "bfi10": Questionnaire(
        "BFI-10", ("bfi10", "bfi"),
        {
            "extraversion": (1, 6), "agreeableness": (2, 7), "conscientiousness": (3, 8), "neuroticism": (4, 9),
            "openness": (5, 10),
        },
        frozenset((1, 7, 3, 4, 5)), 1, 5, "mean", "Rammstedt & John 2007",
    ),
    "neo_ffi": Questionnaire(
        "NEO-FFI", ("neoffi", "neo"),
        {
            "neuroticism": _every(1, 12), "extraversion": _every(2, 12), "openness": _every(3, 12),
            "agreeableness": _every(4, 12), "conscientiousness": _every(5, 12),
        },
        frozenset(
            (1, 16, 31, 46, 12, 27, 42, 57, 3, 8, 18, 23, 33, 38, 48, 9, 14, 24, 29, 39, 44, 54, 59, 15, 30, 45, 55)
        ),
        0, 4, "sum", "Costa & McCrae 1992",
    ),
}  # fmt: skip
"""By name; those whose items one column a question holds (SAM has one column a scale and needs no key)."""
SAM: Mapping[str, tuple[str, ...]] = {
    "valence": ("samvalence", "valence", "pleasure", "sampleasure", "samv"),
    "arousal": ("samarousal", "arousal", "sama"),
    "dominance": ("samdominance", "dominance", "control", "samd"),
}


def recognise(columns: Sequence[str]) -> dict[str, list[str]]:
    """Return the questionnaires whose items are all among the columns, each with its columns in the items' order.

    A column is an item when its name is the questionnaire's and the item's number: ``bfi_1``, ``STAI_S3``.
    """
    found: dict[str, list[str]] = {}
    for name, one in QUESTIONNAIRES.items():
        for prefix in one.prefixes:
            items = {_number(column, prefix): column for column in columns if _number(column, prefix)}
            if name == "stai_trait" and prefix == "stai":  # the second half of one list of 40
                items = {number - 20: column for number, column in items.items() if number > 20}
            if set(items) >= set(range(1, one.items + 1)) and (name.startswith("stai") or len(items) == one.items):
                found.setdefault(name, [items[i] for i in range(1, one.items + 1)])
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _number(name: str, prefix: str) -> int:
    """Return the item's number of a column named after a questionnaire, 0 for another column."""
    parts = [part for part in re.split(r"[^a-z0-9]+", name.lower()) if part]
    if len(parts) > 1 and parts[-1].isdigit() and "".join(parts[:-1]).rstrip("qi") in (prefix, prefix.rstrip("qi")):
        return int(parts[-1])
    match = re.fullmatch(re.escape(prefix) + r"(?:q|item|i)?0*(\d{1,2})", _plain(name))
    return int(match[1]) if match and not (len(parts) > 1 and parts[-1].isdigit()) else 0


def score(answers: pd.DataFrame, name: str, columns: Sequence[str]) -> tuple[dict[str, DoubleArray], list[str]]:
    """Score a questionnaire.

    Parameters
    ----------
    answers : a row a person (texts or numbers). name : of `QUESTIONNAIRES`. columns : one an item, in order.

    Returns
    -------
    (rows,) scores by scale, NaN where an item of the scale is not answered; and notes. Answers that lie one or more off
    the scale (0 to 4 in place of 1 to 5 and the other way round) are shifted, and that is told.

    Raises
    ------
    InputError : unknown name, another number of columns, or answers outside the scale.
    """
    if name not in QUESTIONNAIRES:
        raise unknown_name("questionnaire", name, QUESTIONNAIRES)
    one = QUESTIONNAIRES[name]
    if len(columns) != one.items:
        raise InputError(f"{len(columns)} columns for {one.title}; expected {one.items}, one an item. Name them all.")
    values = np.stack([to_numbers(answers[c].astype(str)) for c in columns])  # (items, rows)
    notes = [f"{one.title} scored after {one.source}; {len(one.reversed)} of {one.items} items reversed"]
    values, shifted = _on_scale(values, one)
    notes += shifted
    turned = np.array([i + 1 in one.reversed for i in range(one.items)])[:, None]
    values = np.where(turned, one.low + one.high - values, values)
    notes += _unanswered(values)
    scores = {}
    for scale, items in one.scales.items():
        rows = values[[i - 1 for i in items]]  # (items, rows)
        scores[scale] = rows.sum(axis=0) if one.how == "sum" else rows.mean(axis=0)
    return scores, notes


def _unanswered(values: DoubleArray) -> list[str]:
    """Say how many rows of (items, rows) answers have some and not all."""
    answered = np.isfinite(values).sum(axis=0)
    some = int(((answered > 0) & (answered < len(values))).sum())
    if not some:
        return []
    return [f"{some} of {values.shape[1]} people left items out; scales with such an item are empty for them"]


def _on_scale(values: DoubleArray, one: Questionnaire) -> tuple[DoubleArray, list[str]]:
    known = values[np.isfinite(values)]
    if not known.size:
        raise InputError(f"no answer of {one.title} is a number; expected {one.low} to {one.high}. Code the answers.")
    low, high = float(known.min()), float(known.max())
    if one.low <= low and high <= one.high:
        return values, []
    for by in (-1, 1):
        if one.low <= low + by and high + by <= one.high:
            return values + by, [f"{one.title}: answers of {low:g} to {high:g} taken as {low + by:g} to {high + by:g}"]
    raise InputError(
        f"{one.title} answers of {low:g} to {high:g}; expected {one.low} to {one.high}. Correct the table."
    )
