"""The manifest as a table of texts: read, changed a cell, a row or a column at a time, written again."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from insula.data.readers.manifest import OWN_COLUMNS
from insula.errors import InputError, unknown_name
from insula.studio.messages import Change

LABEL = re.compile(r"[\w.-]{1,64}")


@dataclass(frozen=True)
class Table:
    """Names of columns and rows of equal length; in its file the first row is on ``first_line``."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    first_line: int = field(default=2, compare=False)

    def text(self) -> str:
        """Return it as CSV."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return out.getvalue()

    def column(self, name: str) -> int:
        """Return the place of a column."""
        if name not in self.columns:
            raise unknown_name("column", name, self.columns)
        return self.columns.index(name)

    def edited(self, changes: Sequence[Change]) -> Table:
        """Return it with cells changed."""
        rows = [list(row) for row in self.rows]
        for change in changes:
            self._require((change.row,))
            rows[change.row][self.column(change.column)] = one_line(change.value)
        return replace(self, rows=tuple(map(tuple, rows)))

    def filled(self, column: str, value: str, rows: Sequence[int] | None) -> Table:
        """Return it with one text in a column of some rows, or of all; one of the manifest's own is made if need be."""
        at = range(len(self.rows)) if rows is None else rows
        there = column in self.columns or column not in OWN_COLUMNS
        return (self if there else self.with_column(column)).edited([Change(row, column, value) for row in at])

    def without(self, rows: Collection[int]) -> Table:
        """Return it without some rows; one at least must be left."""
        self._require(rows)
        gone = set(rows)
        if len(gone) >= len(self.rows):
            raise InputError(f"all {len(self.rows)} rows dropped; expected one at least to stay. Keep some.")
        return replace(self, rows=tuple(row for i, row in enumerate(self.rows) if i not in gone))

    def with_column(self, name: str) -> Table:
        """Return it with one more column, empty."""
        name = self._free(name)
        return Table((*self.columns, name), tuple((*row, "") for row in self.rows))

    def renamed(self, column: str, name: str) -> Table:
        """Return it with another name for a column."""
        at = self.column(column)
        if column == name:
            return self
        name = self._free(name)
        return replace(self, columns=(*self.columns[:at], name, *self.columns[at + 1 :]))

    def without_column(self, column: str) -> Table:
        """Return it without a column."""
        at = self.column(column)
        if len(self.columns) == 1:
            raise InputError(f"column {column!r} is the only one; expected another. Keep it.")
        return Table(self._but(self.columns, at), tuple(self._but(row, at) for row in self.rows))

    def _free(self, name: str) -> str:
        if not LABEL.fullmatch(name):
            raise InputError(f"column {name!r}; expected letters, digits, '_', '.' or '-'. Give another name.")
        if name.lower() in (c.lower() for c in self.columns):
            raise InputError(f"column {name!r} is there already; expected a new name. Give another one.")
        return name

    def _require(self, rows: Collection[int]) -> None:
        for row in rows:
            if not 0 <= row < len(self.rows):
                raise InputError(f"row {row}; expected 0 to {len(self.rows) - 1}. Load the table again.")

    @staticmethod
    def _but(cells: tuple[str, ...], at: int) -> tuple[str, ...]:
        return (*cells[:at], *cells[at + 1 :])


def one_line(text: str) -> str:
    """Return a cell's text without line breaks and what cannot be printed."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def read_table(path: Path) -> Table:
    """Read a manifest of any form that `insula data check` reads."""
    from insula.data.formats import gate
    from insula.data.formats.sheets import read_sheet

    with gate.opening(path.parent):
        sheet = read_sheet(path)
    columns = tuple(str(c) for c in sheet.frame.columns)
    cells = sheet.frame.fillna("").itertuples(index=False, name=None)
    return Table(columns, tuple(tuple(map(str, row)) for row in cells), sheet.first_line)


def parsed(text: str) -> Table:
    """Read what `Table.text` wrote."""
    rows = [tuple(row) for row in csv.reader(io.StringIO(text))]
    return Table(rows[0], tuple(rows[1:]))
