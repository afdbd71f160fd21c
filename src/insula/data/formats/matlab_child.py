"""Matlab variables as plain values, by scipy and h5py; runs in the guarded child, because scipy's reader (1.17) follows
addresses out of damaged files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from insula.data.formats import hdf5
from insula.data.formats.child import boxed
from insula.data.info import FileError

LIBRARY = "scipy or h5py"


def variables(path: Path, is_hdf5: bool) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the variables, Matlab's order of axes."""
    if is_hdf5:
        with hdf5.opened(path) as file:
            return {str(name): tuple(reversed(getattr(file[name], "shape", ()))) for name in file}
    from scipy.io import whosmat

    return {name: tuple(map(int, shape)) for name, shape, _ in whosmat(path, appendmat=False)}


def values(path: Path, names: list[str], is_hdf5: bool) -> dict[str, Any]:
    """Return the wanted variables; see `insula.data.formats.matlab.read_mat`."""
    if is_hdf5:
        return _arrays(path, names)
    from scipy.io import loadmat

    # mat_dtype would drop imaginary parts without a word; numbers may so have a smaller type than they had in Matlab
    found = loadmat(path, variable_names=names, appendmat=False)
    return {name: _plain(found[name]) for name in names if name in found}


def _plain(value: Any) -> Any:
    if not isinstance(value, np.ndarray) or type(value) is not np.ndarray:
        return None  # sparse, functions and objects
    if value.dtype.names is not None:
        structs = ({name: _plain(cell[name]) for name in value.dtype.names} for cell in value.ravel())
        return boxed(value, structs)
    if value.dtype == object:
        return boxed(value, map(_plain, value.ravel()))
    if value.dtype.kind == "U":
        return "\n".join(map(str, value.ravel()))
    return value if value.dtype.kind in "biuf" else None


def _arrays(path: Path, names: list[str]) -> dict[str, Any]:
    with hdf5.opened(path) as file:
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
            found[name] = node[()].T  # HDF5 holds Matlab's axes in reverse
        return found
