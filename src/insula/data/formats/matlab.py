"""Matlab files of version 5 to 7 (scipy) and arrays of 7.3 (h5py), read in the guarded child."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from insula.data.formats import gate, guarded
from insula.data.formats.tables import AGAIN
from insula.data.info import FileError

_HDF5 = b"\x89HDF\r\n\x1a\n"
_NAMES = "insula.data.formats.matlab_child:variables"
_VALUES = "insula.data.formats.matlab_child:values"


def variables(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of what a Matlab file holds, without reading the values."""
    found = guarded.read(_NAMES, path, is_hdf5(path))
    return {name: tuple(shape) for name, shape in found.items()}


def read_mat(path: Path, names: Collection[str]) -> dict[str, Any]:
    """Return the named variables of a Matlab file (those it has).

    Numbers are arrays, text is str, cells are object arrays, structs object arrays of dicts; what else there is
    (sparse, functions, objects, complex numbers) is None. Version 7.3 (HDF5) needs h5py, and only arrays of numbers
    are read from it. A damaged file is a FileError.
    """
    found: dict[str, Any] = guarded.unboxed(guarded.read(_VALUES, path, list(names), is_hdf5(path)))
    return found


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


def is_hdf5(path: Path) -> bool:
    """Look at the first bytes; what is neither Matlab 5 to 7 nor 7.3 is a FileError."""
    try:
        with gate.require(path).open("rb") as file:
            head = file.read(520)
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror}); expected a readable file.") from None
    if head[:8] == _HDF5 or head[512:520] == _HDF5 or head.startswith(b"MATLAB 7.3"):
        return True
    if not head.startswith(b"MATLAB 5.0") or len(head) < 128 or head[126:128] not in (b"IM", b"MI"):
        raise FileError(path, f"not a Matlab file; expected one that begins with MATLAB 5.0 or 7.3. {AGAIN}")
    return False
