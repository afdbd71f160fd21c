"""Pickles of plain containers and numeric arrays, read in the guarded child without running anything in them.

A pickle is a program; the usual reader runs it. Here the names a pickle may ask for are a short list, and each stands
for a small object of this module, not for numpy's own constructor: array bytes are checked against shape and type
before numpy sees them, so that not even a forged array state reaches numpy's C code.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from insula.data.formats import guarded
from insula.data.formats.tables import AGAIN
from insula.data.info import FileError

ONLY = "expected only numbers, text, lists, tuples, dicts and numeric numpy arrays"
DEEPEST = 32
"""Containers inside containers beyond this depth are refused."""
_NUMERIC = frozenset("biufc")
_ORDERS: Mapping[Any, Literal["<", ">", "=", "|"]] = {"<": "<", ">": ">", "=": "=", "|": "|"}


def load_pickle(path: Path) -> Any:
    """Return what a pickle of plain containers and numpy arrays holds, read in the guarded child.

    Text of Python 2 is read as Latin-1; tuples come back as lists. Anything else in it (a function, a class, an object
    array, a forged state) is a FileError and is not run.
    """
    return guarded.read("insula.data.formats.pickles:load", path)


def load_packed(path: Path, name: str) -> Any:
    """Return what the pickle holds that an .npz keeps as the bytes of its array ``name``; a dict becomes pairs."""
    return guarded.read("insula.data.formats.pickles:packed", path, name)


def load(path: Path) -> Any:
    """Read a pickle; runs in the child, which loops and recursion may end."""
    return _read(path, lambda: path.open("rb"))


def packed(path: Path, name: str) -> Any:
    """Read a pickle inside an .npz; runs in the child."""

    def content() -> IO[bytes]:
        with np.load(path, allow_pickle=False) as arrays:
            return io.BytesIO(arrays[name].tobytes())

    found = _read(path, content)
    return [list(pair) for pair in found.items()] if isinstance(found, dict) else found


def _read(path: Path, content: Callable[[], IO[bytes]]) -> Any:
    try:
        with content() as file:
            return _plain(_Unpickler(file, path).load(), {}, 0)
    except FileError:
        raise
    except MemoryError:
        raise FileError(path, f"its pickle asks for more memory than its size allows; {ONLY}. {AGAIN}") from None
    except Exception as error:  # a damaged pickle fails in as many ways as there are instructions
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise FileError(path, f"not a readable pickle ({what}); {ONLY}. {AGAIN}") from None


def _refused(path: Path, module: str, name: str) -> FileError:
    return FileError(path, f"its pickle asks for {module}.{name}; {ONLY}. It was not run: do not trust this file.")


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], path: Path) -> None:
        super().__init__(file, encoding="latin-1")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise _refused(self._path, module, name)
        return _Named(_ADMITTED[(module, name)])


class _Named:
    """Stands for a name a pickle asked for; it can be called and nothing else."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a name is given a state")


class _Type:
    """A numeric numpy type in the making: code, then the byte order as its state."""

    __slots__ = ("dtype",)

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str | bytes) or len(code) > 4:
            raise pickle.UnpicklingError(f"array type {str(code)[:40]!r} is not numeric")
        text = code.decode("latin-1") if isinstance(code, bytes) else code
        found = np.dtype(text)
        if found.kind not in _NUMERIC:
            raise pickle.UnpicklingError(f"array type {text!r} is not numeric")
        self.dtype = found

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        text = order.decode("latin-1") if isinstance(order, bytes) else order
        if text not in _ORDERS or any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("array type with fields or an unknown byte order")
        self.dtype = self.dtype.newbyteorder(_ORDERS[text])


class _Array:
    """A numpy array in the making: its state brings shape, type, order and bytes."""

    __slots__ = ("values",)

    def __init__(self, *_: Any) -> None:
        self.values: NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        self.values = _values(data, kind, shape, bool(fortran))


def _values(data: Any, kind: Any, shape: Any, fortran: bool) -> NDArray[Any]:
    if not isinstance(kind, _Type) or not isinstance(shape, tuple):
        raise pickle.UnpicklingError("an array without a numeric type or a shape")
    content = data.encode("latin-1") if isinstance(data, str) else bytes(data) if isinstance(data, bytes) else b""
    sizes = [int(n) for n in shape]
    cells = int(np.prod(sizes, dtype=object)) if sizes else 1
    if min(sizes, default=0) < 0 or len(sizes) > 8 or cells * kind.dtype.itemsize != len(content):
        raise pickle.UnpicklingError(f"{len(content)} bytes for an array of shape {tuple(sizes)} of {kind.dtype}")
    flat = np.frombuffer(content, dtype=kind.dtype)
    return flat.reshape(sizes, order="F" if fortran else "C")


def _scalar(kind: Any, data: Any = b"") -> Any:
    return _values(data, kind, (), False)[()]


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any = "C", *_: Any) -> NDArray[Any]:
    return _values(bytes(data) if isinstance(data, bytearray) else data, kind, shape, order == "F")


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Bytes as Python 3 writes them for Python 2."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("text in an unknown encoding")
    return text.encode("latin-1")


def _no_bytes(*arguments: Any) -> bytes:
    """Empty bytes as Python 3 writes them for Python 2."""
    if arguments:
        raise pickle.UnpicklingError("bytes made from an object")
    return b""


def _array_class(*_: Any) -> Any:
    raise pickle.UnpicklingError("an array made without its state")


_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")
_ADMITTED: Mapping[tuple[str, str], Callable[..., Any]] = {
    **{(module, "_reconstruct"): _Array for module in _NUMPY},
    **{(module, "scalar"): _scalar for module in _NUMPY},
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("numpy", "ndarray"): _array_class,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
}
"""Names a pickle may ask for, and what stands for them here."""


def _plain(value: Any, known: dict[int, Any], depth: int) -> Any:
    """Replace arrays in the making by arrays; ``known`` keeps shared parts shared. Foreign objects are refused."""
    if depth > DEEPEST:
        raise pickle.UnpicklingError(f"containers nested deeper than {DEEPEST}")
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic | np.ndarray):
        return value
    if id(value) in known:
        return known[id(value)]
    if isinstance(value, _Array) and value.values is not None:
        made: Any = value.values
    elif type(value) is dict:
        made = {_plain(k, known, depth + 1): _plain(v, known, depth + 1) for k, v in value.items()}
    elif type(value) in (list, tuple):
        made = type(value)(_plain(v, known, depth + 1) for v in value)
    else:
        raise pickle.UnpicklingError(f"an object of type {type(value).__name__.strip('_')}")
    known[id(value)] = made
    return made
