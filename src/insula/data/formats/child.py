"""The child of `insula.data.formats.guarded`: answers one question after the other, within its limits."""

from __future__ import annotations

import math
import mimetypes
import os
import stat
import sys
import sysconfig
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from insula import processes
from insula.data.formats import gate
from insula.data.info import FileError
from insula.errors import MissingDependencyError

ARRAY = 1
MOST_PARTS = 1_000_000
"""Lists, dicts, texts and numbers a result may hold beside its arrays."""
DEEPEST = 32
_NEVER = ("os.", "subprocess.", "socket.", "shutil.", "ftplib.", "urllib.", "webbrowser.", "pty.")
_HARMLESS = ("os.listdir", "os.scandir", "os.walk", "os.fwalk", "os.putenv", "os.unsetenv", "os.add_dll_directory")
_SYSTEM = ("/proc/meminfo", "/proc/cpuinfo", "/dev/null", "/dev/urandom", os.devnull)


def main(parent: int) -> None:
    """Answer on what was standard output until standard input ends; libraries that print reach nobody."""
    processes.end_with(parent)
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_RDWR)
    os.dup2(silence, 0)
    os.dup2(silence, 1)
    mimetypes.init(())  # openpyxl asks for it, and the machine's own tables lie elsewhere
    warden = Warden()
    while (size := questions.read(8)) and len(size) == 8:
        question = msgspec.msgpack.decode(questions.read(int.from_bytes(size, "little")))
        function = _function(question["function"])
        _limit(question["cpu_s"], question["memory_bytes"])
        _send(answers, *_answer(function, question, warden))


def boxed(value: np.ndarray[Any, Any], cells: Iterable[Any]) -> dict[str, Any]:
    """Say an object array (cells of Matlab) as its shape and its cells in row order."""
    return {"\0shape": list(value.shape), "\0cells": list(cells)}


class Warden:
    """Python's own report of what a library is about to do: files outside the roots and deeds are refused.

    It covers what goes through Python (all of MNE, pyxdf, openpyxl, numpy); HDF5 opens its own files, so that
    `insula.data.formats.hdf5` looks at what they name first.
    """

    def __init__(self) -> None:
        self.roots: tuple[str, ...] | None = None
        own = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
        self._code = tuple(os.path.realpath(p) + os.sep for p in {*sys.path, *own, sys.prefix, sys.base_prefix} if p)
        sys.addaudithook(self._look)

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.roots is None:
            return
        if event == "open":
            self._open(*arguments[:3])
        elif event.startswith(_NEVER) and event not in _HARMLESS:
            raise PermissionError(1, f"a reader may not do this ({event})")

    def _open(self, path: Any, mode: Any, flags: Any) -> None:
        if not isinstance(path, str | bytes | os.PathLike) or self.roots is None:
            return
        text = os.fsdecode(path)
        if text in _SYSTEM:
            return
        writes = (isinstance(mode, str) and any(c in mode for c in "wax+")) or (
            isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        )
        real = os.path.realpath(text)
        if writes:
            raise PermissionError(1, "a reader may not write")
        if real.startswith(self._code):
            return
        if not any(real == root or real.startswith(root.rstrip(os.sep) + os.sep) for root in self.roots):
            raise PermissionError(1, f"{text!r} lies outside the folder of the data")
        try:
            kind = os.stat(real).st_mode
        except OSError:
            return  # the caller's own error says it
        if not stat.S_ISREG(kind):
            raise PermissionError(1, f"{text!r} is no regular file")


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    if not module.startswith("insula.data."):
        raise ValueError(name)
    found: Callable[..., Any] = getattr(import_module(module), attribute)
    return found


def _limit(cpu_s: int, memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + cpu_s, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            mapped = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:  # only Linux tells
        return
    resource.setrlimit(resource.RLIMIT_AS, (mapped + memory_bytes, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _answer(function: Callable[..., Any], question: Any, warden: Warden) -> tuple[bytes, list[np.ndarray[Any, Any]]]:
    path = Path(question["path"])
    warden.roots = tuple(question["roots"])
    gate.allow(map(Path, question["roots"]))
    arrays: list[np.ndarray[Any, Any]] = []
    try:
        value = function(path, *question["arguments"])
        _count(value, 0, [0])
        return msgspec.msgpack.encode(("value", value), enc_hook=lambda v: _array(v, arrays)), arrays
    except FileError as error:
        return msgspec.msgpack.encode(("error", error.what)), []
    except MissingDependencyError as error:
        return msgspec.msgpack.encode(("missing", str(error))), []
    except MemoryError:
        told = "reading it asks for more memory than its size allows; expected a sound file."
    except Exception as error:  # libraries fail in many ways on damaged files
        what = " ".join(str(error).split())[:200]
        library = getattr(sys.modules[function.__module__], "LIBRARY", "its reader")
        told = f"{library} cannot read it ({type(error).__name__}{': ' if what else ''}{what}); expected a sound file."
    finally:
        warden.roots = None
    plain = f"{told} Copy the file again from its source.".encode("utf-8", "replace").decode()
    return msgspec.msgpack.encode(("error", plain)), []


def _count(value: Any, depth: int, parts: list[int]) -> None:
    parts[0] += 1
    if parts[0] > MOST_PARTS or depth > DEEPEST:
        raise ValueError(f"more than {MOST_PARTS:,} parts, or nested deeper than {DEEPEST}")
    if isinstance(value, dict):
        parts[0] += len(value)
        for inner in value.values():
            _count(inner, depth + 1, parts)
    elif isinstance(value, list | tuple):
        for inner in value:
            _count(inner, depth + 1, parts)


def _array(value: Any, arrays: list[np.ndarray[Any, Any]]) -> msgspec.msgpack.Ext:
    if isinstance(value, np.generic):
        value = np.asarray(value)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        raise TypeError(f"an object of type {type(value).__name__}")
    arrays.append(value)
    return msgspec.msgpack.Ext(ARRAY, msgspec.msgpack.encode((value.dtype.str, list(value.shape))))


def _send(pipe: IO[bytes], header: bytes, arrays: list[np.ndarray[Any, Any]]) -> None:
    pipe.write(len(header).to_bytes(8, "little") + header)
    for array in arrays:
        whole = np.ascontiguousarray(array)
        if whole.size:
            pipe.write(whole.reshape(-1).view(np.uint8).data)
    pipe.flush()
