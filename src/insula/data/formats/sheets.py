"""Tables as programs and devices write them: any separator, decimal commas, lines above the header, Excel."""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from insula.data.formats.tables import AGAIN, read_bytes
from insula.data.formats.workbook import workbook
from insula.data.info import FileError

EXCEL_SUFFIXES = (".xlsx", ".xlsm")
_HEAD_LINES = 60
MOST_COLUMNS = 4096
"""A table with more columns is no table of recordings."""
"""Lines that tell how a table is written."""
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Sheet:
    """A table of texts with a name a column.

    ``above`` are the lines above the header, ``units`` what a line of units below it says a column, ``notes`` what was
    taken for granted (decimal commas, Latin-1, row names), ``first_line`` the line of the first row in the file.
    """

    frame: pd.DataFrame
    above: tuple[str, ...] = ()
    units: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    first_line: int = 2


def read_sheet(path: Path) -> Sheet:
    """Read a CSV, a text table or the first sheet of an Excel workbook; a file without a table is a FileError."""
    if path.suffix.lower() in EXCEL_SUFFIXES:
        return _excel(path)
    return parse_sheet(path, read_bytes(path))


def parse_sheet(path: Path, data: bytes) -> Sheet:
    """Read the bytes of a text table (see `read_sheet`)."""
    notes: list[str] = []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
        notes.append("not UTF-8; read as Western European text")
    lines = text.splitlines()
    head = lines[: _HEAD_LINES * 2]
    start = 0
    separator: str | None = None
    if head and head[0].strip('"').lower().startswith("sep="):
        separator = head[0].strip('"')[4:5] or "\t"
        start = 1
    while start < len(head) and (not head[start].strip() or head[start].lstrip()[0] in "%#"):
        start += 1
    if start >= len(head):
        raise FileError(path, f"no table below {start} lines of comments; expected rows. {AGAIN}")
    body = [line for line in head[start:] if line.strip()]
    separator = separator or _separator(body)
    cells = [_split(line, separator) for line in body]
    usual = Counter(len(row) for row in cells[-max(1, len(cells) // 2) :]).most_common(1)[0][0]
    if usual > MOST_COLUMNS:
        raise FileError(path, f"{usual:,} columns; expected at most {MOST_COLUMNS:,}. Split the table.")
    top = _header(cells, usual)
    above = [*lines[:start], *body[: top or 0]]
    if top is None:
        top, below = 0, cells
        names = _named_above(above, usual) or [f"ch{i + 1}" for i in range(usual)]
    else:
        names, below = [name.strip().strip('"').strip() for name in cells[top]], cells[top + 1 :]
        if len(names) == usual - 1:
            names = ["rownames", *names]
            notes.append("the header is one name short of the rows: the first column holds row names")
    headerless = below is cells
    units, skipped = _unit_rows(names, below)
    first = _line_of(lines, body[top], start) + (0 if headerless else 1)
    frame = _frame(path, lines[first:], separator, names, skipped)
    frame, commas = _points(frame, separator)
    if commas:
        notes.append(f"decimal commas read as points in {', '.join(map(repr, commas[:6]))}")
    if frame.empty:
        raise FileError(path, f"0 rows below the header; expected at least one. {AGAIN}")
    return Sheet(frame, tuple(above), tuple(units.items()), tuple(notes), first + skipped + 1)


def _header(cells: list[list[str]], usual: int) -> int | None:
    """Find the line of names: the first of the usual width above the samples (or one cell off); None without one."""
    samples = next((i for i, row in enumerate(cells) if len(row) == usual and _numeric(row)), len(cells))
    numbered = [str(i) for i in range(usual)]
    if samples < len(cells) and [c for c in cells[samples] if c] in (numbered, numbered[:-1]) and usual > 1:
        return samples  # pandas numbers the columns of an array
    for widths in ((usual,), (usual - 1, usual + 1)):
        found = next((i for i, row in enumerate(cells[:samples]) if len(row) in widths and len(row) > 0), None)
        if found is not None:
            return found
    return None if samples < len(cells) and _numeric(cells[0]) else 0


def _named_above(above: list[str], width: int) -> list[str] | None:
    """Read the names that OpenSignals (BITalino) keeps in a line of JSON: its columns, the last ones with sensors."""
    for line in above:
        text = line.lstrip("#% ")
        if not text.startswith("{"):
            continue
        try:
            told = json.loads(text)
            device = next(iter(told.values()))
            columns, sensors = [str(c) for c in device["column"]], [str(s) for s in device.get("sensor", [])]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, StopIteration):
            continue
        if len(columns) == width:
            first = width - len(sensors)
            return [*columns[:first], *(f"{c} {s}" for c, s in zip(columns[first:], sensors, strict=True))]
    return None


def rate_above(above: tuple[str, ...]) -> float | None:
    """Return the sampling rate in Hz that the lines above a header state, or None."""
    for line in above:
        found = re.search(r"sampl\w*[ _]?(?:rate|frequency)\W{0,6}(\d+(?:\.\d+)?)", line, re.I)
        if found and float(found[1]) > 0:
            return float(found[1])
    return None


def _separator(body: list[str]) -> str:
    def steady(mark: str) -> tuple[int, int]:
        counts = [len(_split(line, mark)) for line in body[:_HEAD_LINES]]
        common, times = Counter(counts).most_common(1)[0]
        return (times if common > 1 else 0), common

    for mark in ("\t", ";"):
        times, common = steady(mark)
        if common > 1 and times >= 0.6 * min(len(body), _HEAD_LINES):
            return mark
    if any("," in line for line in body[:3]):
        return ","
    times, common = steady(" ")
    return " " if common > 1 and times >= 0.8 * min(len(body), _HEAD_LINES) and _mostly_numbers(body) else ","


def _mostly_numbers(body: list[str]) -> bool:
    rows = [_split(line, " ") for line in body[1:20]]
    return bool(rows) and sum(bool(_numeric(row)) for row in rows) >= 0.8 * len(rows)


def _split(line: str, separator: str) -> list[str]:
    """Split a line; one separator too many at its end (Polar, OpenSignals) is no cell."""
    text = line.strip() if separator == " " else line
    try:
        row = next(csv.reader([text], delimiter=separator, skipinitialspace=separator == " "), [])
    except csv.Error:  # a cell longer than csv takes: not the separator of a table
        return [text]
    if separator == " ":
        return [cell for cell in row if cell]
    return row[:-1] if len(row) > 1 and not row[-1].strip() and separator in "\t;" else row


def _numeric(row: list[str]) -> int:
    """Count the cells of a row that are numbers."""
    return sum(bool(_NUMBER.fullmatch(cell.strip().strip('"'))) for cell in row)


def _unit_rows(names: list[str], below: list[list[str]]) -> tuple[dict[str, str], int]:
    """Count the lines of kinds and units between names and numbers (Shimmer, LabChart), and read the last of them."""
    skipped = 0
    while skipped < min(2, len(below) - 2) and not _numeric(below[skipped]) and _numeric(below[skipped + 2]) > 1:
        if not any(cell.strip() for cell in below[skipped]):
            break
        skipped += 1
    if not skipped or _numeric(below[skipped]) < 2:
        return {}, 0
    return dict(zip(names, (cell.strip() for cell in below[skipped - 1]), strict=False)), skipped


def _line_of(lines: list[str], wanted: str, start: int) -> int:
    return next(i for i in range(start, len(lines)) if lines[i] == wanted)


def _frame(path: Path, lines: list[str], separator: str, names: list[str], skipped: int) -> pd.DataFrame:
    kept = [line for line in lines if line.strip()][skipped:]
    if separator == "\t" or separator == ";":
        kept = [
            line[:-1] if line.endswith(separator) and line.count(separator) == len(names) else line for line in kept
        ]
    unique = _unique(names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.StringIO("\n".join(kept) + "\n"),
                sep=r"\s+" if separator == " " else separator,
                header=None,
                names=unique,
                dtype=str,
                keep_default_na=False,
                index_col=False,
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        raise FileError(path, f"not a CSV table ({str(error).strip()}). {AGAIN}") from None
    return frame.fillna("")


def _unique(names: list[str]) -> list[str]:
    """Tell equal names apart (Other, Other.1), and number columns without one."""
    unique: list[str] = []
    taken: Counter[str] = Counter()
    for name in names:
        made = f"{name}.{taken[name]}" if taken[name] and name else name or f"Unnamed: {len(unique)}"
        taken.update({made, made.rsplit(".", 1)[0]})
        unique.append(made)
    return unique


def _points(frame: pd.DataFrame, separator: str) -> tuple[pd.DataFrame, list[str]]:
    """Turn decimal commas into points in columns that hold nothing but numbers with them."""
    found: list[str] = []
    for name in frame.columns:
        cells = frame[name]
        looked = cells.head(200) if separator == "," else cells
        if not looked.str.contains(",", regex=False).any():
            continue
        filled = cells[cells.str.strip() != ""].str.strip()
        comma = filled.str.fullmatch(_COMMA_NUMBER)
        if comma.any() and (comma | filled.str.fullmatch(r"[+-]?\d+([eE][+-]?\d+)?|nan|NA|NaN|n/a")).all():
            frame[name] = cells.str.replace(",", ".", regex=False)
            found.append(str(name))
    return frame, found


def _excel(path: Path) -> Sheet:
    sheets = workbook(path)
    rows = [[_cell(cell) for cell in row] for row in next(iter(sheets.values()), []) if any(c is not None for c in row)]
    if len(rows) < 2:
        raise FileError(path, "0 rows below the header of the first sheet; expected at least one. Fill the sheet.")
    width = max(len(row) for row in rows)
    names = [*rows[0], *[""] * (width - len(rows[0]))]
    text = pd.DataFrame([[*row, *[""] * (width - len(row))] for row in rows[1:]], columns=_unique(names), dtype=str)
    text = text[[c for c in text.columns if not c.startswith("Unnamed: ") or (text[c] != "").any()]]
    text, commas = _points(text.astype(str), ";")
    return Sheet(
        text, notes=tuple([f"decimal commas read as points in {', '.join(map(repr, commas))}"] if commas else [])
    )


def _cell(value: object) -> str:
    """Write a cell of a workbook as a CSV would hold it: whole numbers without a point."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
