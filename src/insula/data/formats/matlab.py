"""Matlab files of version 5 to 7 (and, with h5py, arrays of 7.3), read with errors that name the file.

The reader is insula's own because scipy's compiled one (1.17) crashes the process on damaged files: a type number
outside its table is an address it follows. Every length is checked here against what is there before it is used.

Source of the format: MathWorks, MAT-File Format, chapter Level 5 MAT-Files.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np

from insula.data.formats.tables import AGAIN
from insula.data.info import FileError

_HDF5 = b"\x89HDF\r\n\x1a\n"
_HEADER = 128
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Type of stored numbers -> numpy code without byte order."""
_TEXT = (16, 17, 18)
_MATRIX, _COMPRESSED = 14, 15
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""Class of a numeric array -> numpy code."""
_CELL, _STRUCT, _CHAR = 1, 2, 4
_COMPLEX = 0x0800
DEEPEST = 12
"""Structs and cells inside each other beyond this depth are refused."""


class _Damaged(Exception):
    """What is wrong with the bytes at hand."""


@dataclass(frozen=True)
class _Head:
    """What a matrix says about itself before its content."""

    kind: int
    is_complex: bool
    shape: tuple[int, ...]
    name: str

    @property
    def cells(self) -> int:
        return int(np.prod(self.shape, dtype=object))


def variables(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of what a Matlab file holds, without reading the values."""
    if _is_hdf5(path):
        with _open_hdf5(path) as file:
            return {str(name): tuple(reversed(getattr(file[name], "shape", ()))) for name in file}
    found: dict[str, tuple[int, ...]] = _guarded(
        path, lambda: {head.name: head.shape for head, _ in _matrices(path, ())}
    )
    return found


def read_mat(path: Path, names: Collection[str]) -> dict[str, Any]:
    """Return the named variables of a Matlab file (those it has).

    Numbers are arrays, text is str, cells are object arrays, structs object arrays of dicts; what else there is
    (sparse, functions, objects, complex numbers) is None. Version 7.3 (HDF5) needs h5py, and only arrays of numbers
    are read from it. A damaged file is a FileError.
    """
    if _is_hdf5(path):
        return _read_hdf5(path, names)
    found: dict[str, Any] = _guarded(
        path, lambda: {head.name: value for head, value in _matrices(path, names) if head.name in names}
    )
    return found


def require_sound(path: Path) -> None:
    """Raise FileError unless every variable of a Matlab 5 to 7 file can be read; other files pass."""
    with path.open("rb") as file:
        if file.read(10) != b"MATLAB 5.0":
            return
    _guarded(path, lambda: sum(1 for _ in _matrices(path, None)))


def field(path: Path, value: Any, name: str, within: str) -> Any:
    """Return field ``name`` of a 1 x 1 struct, an unwrapped 1 x 1 cell included."""
    inner = unwrapped(value)
    if not isinstance(inner, dict) or name not in inner:
        names = ", ".join(inner) if isinstance(inner, dict) else ""
        raise FileError(path, f"{within} has {names or 'no fields'}; expected a struct with {name}. {AGAIN}")
    return inner[name]


def unwrapped(value: Any) -> Any:
    """Take the single element out of 1 x 1 cells and structs, however deep."""
    while isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        value = value.ravel()[0]
    return value


def _is_hdf5(path: Path) -> bool:
    """Look at the first bytes; what is neither Matlab 5 to 7 nor 7.3 is a FileError."""
    try:
        with path.open("rb") as file:
            head = file.read(520)
    except FileNotFoundError:
        raise FileError(path, f"no such file; expected it here. {AGAIN}") from None
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror}); expected a readable file.") from None
    if head[:8] == _HDF5 or head[512:520] == _HDF5 or head.startswith(b"MATLAB 7.3"):
        return True
    if not head.startswith(b"MATLAB 5.0") or len(head) < _HEADER or head[126:128] not in (b"IM", b"MI"):
        raise FileError(path, f"not a Matlab file; expected one that begins with MATLAB 5.0 or 7.3. {AGAIN}")
    return False


def _guarded(path: Path, act: Callable[[], Any]) -> Any:
    try:
        return act()
    except MemoryError:
        raise FileError(path, f"a variable of it is larger than the memory there is. {AGAIN}") from None
    except (_Damaged, struct.error, zlib.error, ValueError, OSError, OverflowError) as error:
        raise FileError(path, f"damaged ({str(error)[:200]}); expected a Matlab file. {AGAIN}") from None


def _matrices(path: Path, names: Collection[str] | None) -> Iterator[tuple[_Head, Any]]:
    """Go through a file's variables; values of those in ``names`` (None: of all) are read, the others' are None."""
    with path.open("rb") as file:
        order = "<" if file.read(_HEADER)[126:128] == b"IM" else ">"
        size = path.stat().st_size
        while file.tell() < size:
            kind, length = struct.unpack(f"{order}II", _exactly(file, 8))
            stop = file.tell() + length
            if stop > size:
                raise _Damaged(f"a variable of {length} bytes ends after the file")
            if kind == _COMPRESSED:
                yield _decompressed(file, length, order, names)
            elif kind == _MATRIX:
                head, _ = _head(file.read(min(length, 4096)), order)
                wanted = names is None or head.name in names
                file.seek(stop - length)
                yield head, _value(file.read(length), order, 0) if wanted else None
            else:
                raise _Damaged(f"type {kind} where a variable should begin")
            file.seek(stop)


def _exactly(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise _Damaged("the file ends inside a variable")
    return data


def _decompressed(file: IO[bytes], length: int, order: str, names: Collection[str] | None) -> tuple[_Head, Any]:
    packed = file.read(length)
    start = zlib.decompressobj().decompress(packed, 4096)
    kind, inside = struct.unpack_from(f"{order}II", start)
    if kind != _MATRIX:
        raise _Damaged(f"type {kind} inside compressed data; expected a matrix")
    head, _ = _head(start[8 : 8 + inside], order)
    if names is not None and head.name not in names:
        return head, None
    body = zlib.decompressobj().decompress(packed, 8 + inside)[8:]
    return head, _value(body, order, 0)


def _part(data: bytes, at: int, order: str) -> tuple[int, memoryview, int]:
    """Return type, content and the place after the element that begins at ``at``."""
    first, length = struct.unpack_from(f"{order}II", data, at)
    if first >> 16:  # four bytes or fewer share the tag
        kind, length, begin, after = first & 0xFFFF, first >> 16, at + 4, at + 8
        if length > 4:
            raise _Damaged(f"a short element of {length} bytes")
    else:
        kind, begin = first, at + 8
        after = begin + length + (-length % 8)
    if begin + length > len(data):
        raise _Damaged(f"an element of {length} bytes where {len(data) - begin} are left")
    return kind, memoryview(data)[begin : begin + length], min(after, len(data))


def _head(data: bytes, order: str) -> tuple[_Head, int]:
    if not data:
        return _Head(6, False, (0, 0), ""), 0
    _, flags, at = _part(data, 0, order)
    _, sizes, at = _part(data, at, order)
    _, name, at = _part(data, at, order)
    if len(flags) != 8 or len(sizes) % 4 or not 8 <= len(sizes) <= 32:
        raise _Damaged("a variable without class or dimensions")
    word = struct.unpack(f"{order}II", flags)[0]
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    if min(shape) < 0:
        raise _Damaged(f"dimensions {shape}")
    return _Head(word & 0xFF, bool(word & _COMPLEX), shape, bytes(name).decode("latin-1")), at


def _value(data: bytes, order: str, depth: int) -> Any:
    """Read the content of one matrix element."""
    if depth > DEEPEST:
        raise _Damaged(f"structs or cells nested deeper than {DEEPEST}")
    head, at = _head(data, order)
    if not data:
        return np.zeros((0, 0))
    if head.kind in _CLASSES:
        values = _numbers(data, at, order, head)
        return None if head.is_complex else values
    if head.kind == _CHAR:
        kind, content, _ = _part(data, at, order)
        if kind not in (*_NUMBERS, *_TEXT):
            raise _Damaged(f"text of type {kind}")
        return bytes(content).decode("utf-16" if kind in (4, 17) else "latin-1", errors="replace")
    if head.kind == _CELL:
        cells, _ = _nested(data, at, order, head.cells, depth)
        return _boxed(cells, head.shape)
    if head.kind == _STRUCT:
        return _boxed(_structs(data, at, order, head, depth), head.shape)
    return None


def _numbers(data: bytes, at: int, order: str, head: _Head) -> np.ndarray[Any, Any]:
    kind, content, _ = _part(data, at, order)
    if kind not in _NUMBERS:
        raise _Damaged(f"numbers of type {kind}")
    stored = np.dtype(_NUMBERS[kind]).newbyteorder("<" if order == "<" else ">")
    if head.cells * stored.itemsize != len(content):
        raise _Damaged(f"{len(content)} bytes for {head.shape} numbers of {stored.itemsize} bytes")
    with np.errstate(all="ignore"):
        flat = np.frombuffer(content, stored).astype(_CLASSES[head.kind], copy=False)
    return flat.reshape(head.shape, order="F")


def _nested(data: bytes, at: int, order: str, count: int, depth: int) -> tuple[list[Any], int]:
    if count * 8 > len(data) - at:
        raise _Damaged(f"{count} cells in {len(data) - at} bytes")
    found: list[Any] = []
    for _ in range(count):
        kind, content, at = _part(data, at, order)
        if kind != _MATRIX:
            raise _Damaged(f"type {kind} in a cell; expected a matrix")
        found.append(_value(bytes(content), order, depth + 1))
    return found, at


def _structs(data: bytes, at: int, order: str, head: _Head, depth: int) -> list[Any]:
    _, width, at = _part(data, at, order)
    _, text, at = _part(data, at, order)
    length = struct.unpack(f"{order}i", width)[0]
    if length <= 0 or len(text) % length:
        raise _Damaged(f"field names of {length} bytes in {len(text)}")
    raw = bytes(text)
    names = [raw[i : i + length].split(b"\0")[0].decode("latin-1") for i in range(0, len(raw), length)]
    values, _ = _nested(data, at, order, head.cells * len(names), depth)
    return [
        dict(zip(names, values[i * len(names) : (i + 1) * len(names)], strict=True))
        for i in range(head.cells if names else 0)
    ]


def _boxed(values: list[Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if int(np.prod(shape, dtype=object)) != len(values):
        raise _Damaged(f"{len(values)} parts for {shape}")
    out = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        out[i] = value
    return out.reshape(shape, order="F")


def _open_hdf5(path: Path) -> Any:
    try:
        h5py = import_module("h5py")
    except ImportError:
        raise FileError(
            path,
            "saved as Matlab 7.3 (HDF5); expected Matlab 5 to 7. Load it in Matlab and save it again with "
            "save(..., '-v7'), or install h5py.",
        ) from None
    return _guarded(path, lambda: h5py.File(path, "r"))


def _read_hdf5(path: Path, names: Collection[str]) -> dict[str, Any]:
    with _open_hdf5(path) as file:
        found: dict[str, Any] = {}
        for name in names:
            if name not in file:
                continue
            node = file[name]
            if getattr(getattr(node, "dtype", None), "kind", "") not in ("i", "u", "f", "b"):
                raise FileError(
                    path,
                    f"{name} is a struct or cell in a Matlab 7.3 file; expected an array of numbers. Load it in Matlab "
                    "and save it again with save(..., '-v7').",
                )
            found[name] = _guarded(path, node.__array__).T  # HDF5 holds Matlab's axes in reverse
        return found
