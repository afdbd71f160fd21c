"""Matlab files, read with errors that name the file; nothing in them is run."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from insula.data.info import FileError
from insula.data.tables import AGAIN

_HDF5 = b"\x89HDF\r\n\x1a\n"


def variables(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of what a Matlab file holds, without reading it."""
    if _is_hdf5(path):
        with _open_hdf5(path) as file:
            return {str(name): tuple(reversed(getattr(file[name], "shape", ()))) for name in file}
    from scipy.io import whosmat

    found: list[tuple[str, tuple[int, ...], str]] = _guarded(path, lambda: whosmat(path))
    return {name: tuple(shape) for name, shape, _ in found}


def read_mat(path: Path, names: Collection[str]) -> dict[str, Any]:
    """Return the named variables of a Matlab file (those it has): arrays, structs and cells as scipy gives them.

    Version 5 to 7 files are read with scipy. Version 7.3 (HDF5) needs h5py, and only arrays of numbers are read from
    it. A damaged file is a FileError.
    """
    if _is_hdf5(path):
        return _read_hdf5(path, names)
    from scipy.io import loadmat

    found: dict[str, Any] = _guarded(path, lambda: loadmat(path, variable_names=list(names)))
    return {name: value for name, value in found.items() if name in names}


def field(path: Path, value: Any, name: str, within: str) -> Any:
    """Return field ``name`` of a 1 x 1 struct as scipy gives it, an unwrapped 1 x 1 cell included."""
    inner = unwrapped(value)
    if not isinstance(inner, np.void | np.ndarray) or inner.dtype.names is None or name not in inner.dtype.names:
        names = inner.dtype.names if isinstance(inner, np.void | np.ndarray) else None
        raise FileError(
            path, f"{within} has {', '.join(names or ()) or 'no fields'}; expected a struct with {name}. {AGAIN}"
        )
    return inner[name]


def unwrapped(value: Any) -> Any:
    """Take the single element out of 1 x 1 object arrays and structs, however deep."""
    for _ in range(8):
        if isinstance(value, np.ndarray) and value.size == 1 and (value.dtype == object or value.dtype.names):
            value = value.ravel()[0]
        else:
            break
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
    if not head.startswith(b"MATLAB 5.0"):
        raise FileError(path, f"not a Matlab file; expected one that begins with MATLAB 5.0 or 7.3. {AGAIN}")
    return False


def _guarded(path: Path, act: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's on duplicate names and odd headers of damaged files
        try:
            return act()
        except MemoryError:
            raise FileError(path, f"a variable of it is larger than the memory there is. {AGAIN}") from None
        except Exception as error:  # scipy fails in many ways on damaged files
            what = " ".join(str(error).split())[:200] or type(error).__name__
            raise FileError(path, f"scipy cannot read it ({what}); expected a Matlab file. {AGAIN}") from None


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
            found[name] = _guarded(path, lambda node=node: node[()].T)  # HDF5 holds Matlab's axes in reverse
        return found
