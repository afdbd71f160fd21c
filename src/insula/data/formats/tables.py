"""Reading CSV tables and choosing folders, with errors that name the file and the line."""

from __future__ import annotations

import io
import re
import warnings
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from insula.data.formats import gate
from insula.data.info import FileError, Problem, note
from insula.errors import DataError, unknown_name
from insula.types import BoolArray, DoubleArray, FloatArray

AGAIN = "Copy the file again from its source."
_PART_BYTES = 1 << 22
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
EMPTY = ("", "nan", "na", "n/a")
"""Cells that hold nothing, in lower case."""


def require_folder(root: Path, holds: str) -> Path:
    """Return ``root`` or raise DataError when it is no folder; ``holds`` says what should be inside."""
    if not root.exists():
        raise DataError(f"folder {root} does not exist; expected {holds}. Give the folder the data were unpacked to.")
    if not root.is_dir():
        raise DataError(f"{root} is a file; expected a folder with {holds}. Give the folder, not a file in it.")
    return root


def chosen(subjects: Collection[str] | None, available: Iterable[str]) -> list[str]:
    """Return the wanted people in order; raise InputError for one the data set does not have."""
    names = sorted(available)
    if subjects is None:
        return names
    for name in subjects:
        if name not in names:
            raise unknown_name("subject", name, names)
    return [name for name in names if name in subjects]


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a text file; a missing, unreadable, empty or binary file is a FileError.

    Text in UTF-16 (a spreadsheet's "Unicode text") comes back as UTF-8. Any other file with a zero byte is no text: it
    is refused at the first one, so that a huge one is not read whole.
    """
    parts: list[bytes] = []
    try:
        with gate.require(path).open("rb") as file:
            while part := file.read(_PART_BYTES):
                wide = (parts or [part])[0].startswith(_UTF_16)
                if b"\0" in part and not wide:
                    at = sum(map(len, parts)) + part.index(b"\0")
                    raise FileError(path, f"byte {at} is zero; expected text in UTF-8. {AGAIN}")
                parts.append(part)
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror}); expected a readable file.") from None
    data = b"".join(parts)
    if data.startswith(_UTF_16):
        try:
            data = data.decode("utf-16").encode()
        except UnicodeDecodeError:
            raise FileError(path, f"no text in UTF-16, as its first bytes say; expected text. {AGAIN}") from None
    if not data.strip():
        raise FileError(path, f"0 lines; expected samples or rows. {AGAIN}")
    return data


def whole_lines(path: Path, data: bytes, problems: list[Problem] | None) -> bytes:
    """Drop a last line that no line break ends: its number may be cut, and one sample less harms nobody."""
    if data.endswith((b"\n", b"\r")):
        return data
    kept, line_break, _ = data.rpartition(b"\n")
    note(problems, path, "the last line has no line break and may be cut; it was left out")
    return kept + line_break


def parse_numbers(path: Path, data: bytes, *, first_line: int = 1, columns: int | None = None) -> DoubleArray:
    """Parse lines of comma-separated numbers into (rows, columns); empty cells are NaN, infinities too.

    ``first_line`` is the number of the first line of ``data`` in the file (for messages).
    """
    if not data.strip():
        raise FileError(path, f"0 samples; expected at least one. {AGAIN}")
    try:
        frame = pd.read_csv(
            io.BytesIO(data),
            header=None,
            dtype=np.float64,
            skip_blank_lines=False,
            skipinitialspace=True,
            encoding="latin-1",
            float_precision=_parser(data),
        )
    except (ValueError, OverflowError) as error:
        raise FileError(path, _bad_cell(data, first_line) or f"not a table of numbers ({error}). {AGAIN}") from None
    values = frame.to_numpy(np.float64, copy=True)  # (rows, columns)
    if columns is not None and values.shape[1] != columns:
        raise FileError(path, f"{values.shape[1]} columns; expected {columns}. {AGAIN}")
    values[~np.isfinite(values)] = np.nan
    return values


def _bad_cell(data: bytes, first_line: int) -> str | None:
    lines = data.decode("latin-1").splitlines()
    width = lines[0].count(",")
    for number, line in enumerate(lines, first_line):
        if line.count(",") > width:
            return f"line {number} has {line.count(',') + 1} cells; expected {width + 1}. {AGAIN}"
        for cell in line.split(","):
            if cell.strip().lower() not in EMPTY and np.isnan(to_numbers([cell])[0]):
                return f"line {number} holds {cell.strip()[:40]!r}; expected a number. {AGAIN}"
    return None


def read_table(
    path: Path,
    required: Sequence[str],
    *,
    numbers: Sequence[str] = (),
    problems: list[Problem] | None = None,
    drop_cut_line: bool = False,
) -> pd.DataFrame:
    """Read a CSV with a header line; cells are text except in the columns ``numbers`` (float64, NaN where empty).

    Column names are stripped. A missing column, a table without rows and a ragged line are FileErrors.
    """
    data = read_bytes(path)
    if drop_cut_line:
        data = whole_lines(path, data, problems) or data
    head = data.splitlines()[0]
    separator = ";" if b";" in head and b"," not in head else ","
    try:
        try:
            frame = _parse_table(data, separator, numbers)
        except ValueError:  # a cell is no number: keep all cells as text, so that it can be found and named
            frame = _parse_table(data, separator, ())
    except UnicodeDecodeError:
        raise FileError(path, "not UTF-8 text; expected a CSV in UTF-8. Save the table again as UTF-8.") from None
    except (ValueError, pd.errors.ParserWarning) as error:
        raise FileError(path, f"not a CSV table ({str(error).strip()}). {AGAIN}") from None
    frame.columns = pd.Index([str(c).strip() for c in frame.columns])
    missing = [c for c in required if c not in frame.columns]
    if missing:
        raise FileError(
            path,
            f"columns {', '.join(map(str, frame.columns))}; expected {', '.join(required)}. "
            f"Add or rename {', '.join(missing)}.",
        )
    if frame.empty:
        raise FileError(path, f"0 rows below the header; expected at least one. {AGAIN}")
    for column in numbers:
        if frame[column].dtype != np.float64:
            frame[column] = number_column(path, frame, column)
    return frame


def read_typed(path: Path, text: Collection[Hashable]) -> pd.DataFrame:
    """Read a CSV whose columns are numbers where every filled cell is one, but for ``text``; empty is NaN."""
    table = read_table(path, ())
    for column in table.columns:
        numbers, empty = to_numbers(table[column]), is_empty(table[column])
        alike = column not in text and not (np.isnan(numbers) & ~empty).any()
        table[column] = numbers if alike else table[column].mask(empty)
    return table


def _parse_table(data: bytes, separator: str, numbers: Sequence[str]) -> pd.DataFrame:
    """Parse text, and straight away as float64 the columns ``numbers``; empty cells of those are NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
        return pd.read_csv(
            io.BytesIO(data),
            sep=separator,
            dtype=defaultdict[str, type](lambda: str, dict.fromkeys(numbers, float)),
            na_values={c: ["", "nan", "NaN", "NA"] for c in numbers},
            keep_default_na=False,
            encoding="utf-8-sig",
            index_col=False,
            float_precision=_parser(data),
        )


def to_numbers(cells: Iterable[str]) -> DoubleArray:
    """Parse texts to (cells,) float64, NaN where a text is no number.

    (pandas.to_numeric crashes the process on exponents of ten digits and more.)
    """
    values: list[float] = []
    for cell in cells:
        try:
            values.append(float(cell) if not isinstance(cell, str) or "_" not in cell else np.nan)
        except (ValueError, TypeError):
            values.append(np.nan)
    return np.array(values, dtype=np.float64)


def is_empty(cells: pd.Series[Any]) -> BoolArray:
    """Tell which text cells say nothing: empty, nan, na, n/a."""
    return cells.str.strip().str.lower().isin(EMPTY).to_numpy(dtype=np.bool_)


def _parser(data: bytes) -> Literal["round_trip"] | None:
    """Choose pandas' number parser: its fast one crashes the process on exponents of ten digits and more (2.3)."""
    return "round_trip" if re.search(rb"[eE][+-]?\d{5}", data) else None


def number_column(path: Path, frame: pd.DataFrame, column: str) -> DoubleArray:
    """Return a text column as (rows,) float64, NaN where empty; other text is a FileError with its line."""
    cells = frame[column]
    values = to_numbers(cells)
    bad = np.flatnonzero(np.isnan(values) & ~is_empty(cells))
    if bad.size:
        row = int(bad[0])
        raise FileError(
            path,
            f"line {row + 2}: {column} {cells.iloc[row]!r}; expected a number. Correct the cell.",
            columns=(column,),
        )
    return values


def on_grid(times_s: DoubleArray, values: FloatArray, rate_hz: float) -> tuple[float, FloatArray]:
    """Put (channels, samples) values with jittered times on a regular grid; returns the first time and the values.

    Samples are sorted, repeated times dropped, and values interpolated linearly between neighbours at most three
    periods apart; wider gaps are NaN. Times that already lie on the grid come back unchanged.
    """
    keep = np.isfinite(times_s)
    times, first = np.unique(times_s[keep], return_index=True)
    kept = values[:, keep][:, first]  # (channels, samples)
    start = float(times[0])
    slots = (times - start) * rate_hz
    size = int(np.floor(slots[-1] + 0.5)) + 1
    nearest = np.floor(slots + 0.5).astype(np.int64)
    out = np.full((len(values), size), np.nan, np.float32)
    if np.abs(slots - nearest).max() < 0.05:
        out[:, nearest] = kept
        return start, out
    grid = np.arange(size, dtype=np.float64)
    right = np.clip(np.searchsorted(slots, grid), 1, max(1, len(slots) - 1))
    known = slots[right] - slots[right - 1] <= 3.0 if len(slots) > 1 else np.ones(size, bool)
    for row, channel in zip(out, kept, strict=True):
        row[known] = np.interp(grid[known], slots, channel)
    return start, out
