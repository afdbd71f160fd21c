"""Excel workbooks as rows of cells, read in the guarded child: as zip archives they may unpack to anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from insula.data.formats import guarded

LIBRARY = "openpyxl"


def workbook(path: Path) -> dict[str, list[list[Any]]]:
    """Return the rows of each sheet, by the first word of its name in lower case; a cell is text, a number or None."""
    found: dict[str, list[list[Any]]] = guarded.read("insula.data.formats.workbook:load", path)
    return found


def load(path: Path) -> dict[str, list[list[Any]]]:
    """Read all cells; runs in the guarded child."""
    import openpyxl

    book = openpyxl.load_workbook(path, data_only=True, read_only=True)
    return {
        (str(sheet.title).split() or [""])[0].lower(): [
            [cell if cell is None or type(cell) in (bool, int, float) else str(cell) for cell in row]
            for row in sheet.iter_rows(values_only=True)
        ]
        for sheet in book
    }
