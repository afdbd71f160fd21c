"""What can be done about a problem, as buttons: each is a message that the page sends when it is pressed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from insula.data.formats.sources import FORMATS
from insula.data.readers.manifest import OWN_COLUMNS, REQUIRED
from insula.studio.messages import Cutting
from insula.studio.table import Table
from insula.types import MODALITIES

CHOICES = {"modality": MODALITIES, "role": ("trial", "baseline"), "format": tuple(FORMATS), "trials": ("annotations",)}
"""Columns whose cells have one of a few texts."""
WORDS = {
    "rate": "Set the rate",
    "time": "Name the time column",
    "unit": "Set the unit",
    "channels": "Name the channels",
}
HINTS = {"rate": "samples a second", "time": "name of the column", "channels": "names, with ; between"}
_LINE = re.compile(r"line (\d+)\b")

Remedy = dict[str, Any]
"""``label`` of the button, the ``message`` it sends, whether to ``check`` again then, and what to ``ask`` before: the
``field`` of the message, its ``label``, and ``choices`` where there are only some."""


def of_problem(same: Sequence[Mapping[str, Any]], table: Table, root: str, cutting: Cutting) -> list[Remedy]:
    """Return what helps against problems of one kind, the gentlest first."""
    first = same[0]
    shown = Sheet(table)
    if first["trial"] is not None:
        return [*_shorter(same, cutting), *of_trials([tuple(one["trial"]) for one in same], table)]
    line = _LINE.match(first["what"])
    columns = first["columns"]
    if line is not None and len(same) == 1:
        row = int(line[1]) - table.first_line
        return [*_cells(shown, columns, [row]), *_dropped([row], "this row")] if 0 <= row < len(table.rows) else []
    if _in_the_table(first["file"], root):
        return [one for column in columns for one in _named(shown, column)]
    rows = shown.of_files(one["file"].removeprefix(f"{root}/") for one in same) if first["fatal"] or columns else []
    files = {one["file"] for one in same}
    dropped = _dropped(rows, "this file" if len(files) == 1 else f"these {len(files)} files") if first["fatal"] else []
    return [*_cells(shown, columns, rows), *dropped]


def of_trials(trials: Sequence[tuple[str, str, str]], table: Table) -> list[Remedy]:
    """Return what helps where some trials (subject, session, trial) cannot be used; none where no row lists them."""
    if not Sheet(table).of_trials(trials):
        return []
    message = {"type": "drop_trials", "trials": [list(one) for one in trials]}
    many = "this trial" if len(trials) == 1 else f"these {len(trials)} trials"
    return [{"label": f"Drop {many}", "message": message, "check": True}]


class Sheet:
    """Rows of a table by what they are about."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.places = {name.lower().replace(" ", "_"): i for i, name in reversed(list(enumerate(table.columns)))}

    def cell(self, row: Sequence[str], column: str) -> str:
        """Text of a row in a column, "" where there is none."""
        at = self.places.get(column)
        return "" if at is None else row[at].strip()

    def name(self, column: str) -> str | None:
        """A column as the table spells it."""
        at = self.places.get(column)
        return None if at is None else self.table.columns[at]

    def of_trials(self, wanted: Iterable[tuple[str, str, str]]) -> list[int]:
        """Rows of trials (subject, session, trial)."""
        keys = set(wanted)
        told = (
            (self.cell(r, "subject"), self.cell(r, "session") or "only", self.cell(r, "trial")) for r in self.table.rows
        )
        return [i for i, key in enumerate(told) if key in keys]

    def of_files(self, wanted: Iterable[str]) -> list[int]:
        """Rows of files."""
        names = set(wanted)
        return [i for i, row in enumerate(self.table.rows) if self.cell(row, "file") in names]


def _dropped(rows: Sequence[int], what: str) -> list[Remedy]:
    return [{"label": f"Drop {what}", "message": {"type": "drop", "rows": list(rows)}, "check": True}] if rows else []


def _cells(sheet: Sheet, columns: Sequence[str], rows: Sequence[int]) -> list[Remedy]:
    """Ask for one text for a column of some rows; the column is made where there is none."""
    out: list[Remedy] = []
    for column in columns if rows else ():
        label = WORDS.get(column, f"Set {column}")
        ask = {"field": "value", "label": HINTS.get(column, column), "choices": CHOICES.get(column)}
        message = {"type": "fill", "column": sheet.name(column) or column, "rows": list(rows)}
        out.append({"label": label, "message": message, "check": True, "ask": ask})
    return out


def _named(sheet: Sheet, column: str) -> list[Remedy]:
    """Say which column is the one that is missing, or give one another name."""
    if column in sheet.table.columns and column not in OWN_COLUMNS:
        ask: Remedy = {"field": "name", "label": "new name", "choices": None}
        message = {"type": "rename", "column": column}
        dropped = {"label": "Drop the column", "message": {"type": "drop_column", "column": column}, "check": True}
        return [{"label": "Rename the column", "message": message, "check": True, "ask": ask}, dropped]
    if column not in REQUIRED or sheet.name(column) is not None:
        return []
    free = [name for name in sheet.table.columns if name.lower().replace(" ", "_") not in OWN_COLUMNS]
    if not free:
        return []
    ask = {"field": "column", "label": f"column that holds {column}", "choices": free}
    message = {"type": "rename", "name": column}
    return [{"label": f"This is {column}", "message": message, "check": True, "ask": ask}]


def _shorter(same: Sequence[Mapping[str, Any]], cutting: Cutting) -> list[Remedy]:
    """Offer windows that the shortest of the trials can hold."""
    found = [re.search(r"lasts ([\d.]+) s", one["what"]) for one in same]
    shortest = min((float(one[1]) for one in found if one is not None), default=0.0)
    if shortest < 2:
        return []
    window = float(int(shortest / 2))
    changed = {"window_s": window, "hop_s": max(0.5, window / 2), "guard_s": min(cutting.guard_s or 0.0, shortest / 4)}
    label = f"Cut shorter windows ({window:g} s)"
    return [{"label": label, "message": {"type": "cutting", **changed}, "check": False}]


def _in_the_table(file: str, root: str) -> bool:
    name = file.removeprefix(f"{root}/")
    return "/" not in name and name.startswith("manifest.")
