"""Readers of untrusted files, run in a child process with limits: what they break breaks there, and ends in one error.

The child gives back plain values (numbers, text, lists, dicts) and arrays of numbers as raw bytes, never a pickle. One
child a process is kept warm and made anew after a crash. Limits: processor and wall time, address space and size of the
result; it may read only the recording's folder and write nothing. Where there is no ``resource`` module (Windows) time,
result and files are limited and memory is not.
"""

from __future__ import annotations

import atexit
import math
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from insula.data.formats import gate
from insula.data.formats.arrays import require_memory
from insula.data.formats.tables import AGAIN
from insula.data.info import FileError
from insula.errors import MissingDependencyError

LEAST_CPU_S = 20
LARGEST_HEADER = 1 << 24
"""Bytes of everything in a result that is no array."""
ARRAY = 1
"""Code of an array in the child's answer: (type, shape); its bytes follow the answer."""
_BOOT = "import sys; sys.path[:] = sys.argv[2:]; from insula.data.formats.child import main; main(int(sys.argv[1]))"


@dataclass(frozen=True)
class Limits:
    """What a child may use for one file, in seconds of processor and wall, and in bytes."""

    cpu_s: int
    wall_s: float
    memory_bytes: int
    result_bytes: int

    @classmethod
    def of(cls, file_bytes: int, result_bytes: int = 0) -> Limits:
        """Grow with the file: a gigabyte may take five minutes, a kilobyte twenty seconds of processor time."""
        result = max((256 << 20) + 8 * file_bytes, result_bytes + (1 << 20))
        cpu = LEAST_CPU_S + (file_bytes + result_bytes) // (4 << 20)
        return cls(cpu, 3.0 * cpu, (512 << 20) + 8 * file_bytes + 3 * result_bytes, result)


class _Failed(Exception):
    """How the child ended."""


def read(function: str, path: Path, *arguments: Any, result_bytes: int = 0) -> Any:
    """Return ``function(path, *arguments)`` as run in the child; ``function`` is ``module:name`` inside insula.

    ``result_bytes`` is what the result will take, where it is known to be larger than its file suggests.

    Raises
    ------
    FileError : the file is no regular file inside the allowed folders, or reading it failed, took too much, or crashed.
    """
    gate.require(path)
    sys.audit("open", str(path), "rb", os.O_RDONLY)  # who listens hears of the child's files too
    size = path.stat().st_size
    require_memory(path, size)
    limits = Limits.of(size, result_bytes)
    question = {
        "function": function, "path": str(path), "arguments": arguments, "cpu_s": limits.cpu_s,
        "memory_bytes": limits.memory_bytes, "roots": [str(root) for root in gate.roots(path)],
    }  # fmt: skip
    try:
        answer = _the_child().ask(msgspec.msgpack.encode(question), limits)
    except _Failed as failed:
        raise FileError(path, f"{failed}; expected a sound file. {AGAIN}") from None
    kind, value = answer if isinstance(answer, list) and len(answer) == 2 else ("", None)
    if kind == "value":
        return value
    text = str(value)[:1000]
    if kind == "missing":
        raise MissingDependencyError(text)
    raise FileError(path, text)


class _Child:
    """A warm child; one question at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, question: bytes, limits: Limits) -> Any:
        with self._lock:
            process = self._running()
            over = threading.Event()
            timer = threading.Timer(limits.wall_s, _stop, (process, over))
            timer.daemon = True
            timer.start()
            try:
                return _exchange(process, question, limits)
            except (
                OSError,
                EOFError,
                ValueError,
                TypeError,
                RecursionError,
                MemoryError,
                msgspec.MsgspecError,
            ) as error:
                process.kill()
                raise _Failed(_told(process.wait(), over.is_set(), limits, error)) from None
            except BaseException:  # an interrupt leaves half an answer in the pipe
                process.kill()
                raise
            finally:
                timer.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = _start()
        return self._process

    def close(self) -> None:
        """End the child, if there is one."""
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process.wait()
            self._process = None


def _stop(process: subprocess.Popen[bytes], over: threading.Event) -> None:
    over.set()
    process.kill()


def _start() -> subprocess.Popen[bytes]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    paths = [os.path.abspath(entry) for entry in sys.path if entry]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _BOOT, str(os.getpid()), *paths],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env=os.environ
        | threads
        | {"PYTHONDONTWRITEBYTECODE": "1", "_MNE_FAKE_HOME_DIR": os.devnull, "MNE_USE_NUMBA": "false"},
    )


def _exchange(process: subprocess.Popen[bytes], question: bytes, limits: Limits) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(len(question).to_bytes(8, "little") + question)
    header_bytes = int.from_bytes(_exactly(process.stdout, 8), "little")
    if header_bytes > LARGEST_HEADER:
        raise ValueError("too many parts")
    arrays: list[np.ndarray[Any, Any]] = []
    left = limits.result_bytes

    def array(code: int, data: memoryview) -> np.ndarray[Any, Any]:
        nonlocal left
        kind, shape = msgspec.msgpack.decode(data, type=tuple[str, list[int]])
        found = np.dtype(kind)
        n_bytes = math.prod(shape) * found.itemsize
        if code != ARRAY or found.kind not in "biufc" or min(shape, default=0) < 0 or not 0 <= n_bytes <= left:
            raise ValueError(f"result larger than {limits.result_bytes >> 20} MB")
        left -= n_bytes
        arrays.append(np.empty(shape, found))
        return arrays[-1]

    answer = msgspec.msgpack.Decoder(ext_hook=array).decode(_exactly(process.stdout, header_bytes))
    for made in arrays:
        _fill(process.stdout, memoryview(made.reshape(-1).view(np.uint8).data))
    return answer


def _exactly(pipe: IO[bytes], count: int) -> bytearray:
    data = bytearray(count)
    _fill(pipe, memoryview(data))
    return data


def _fill(pipe: IO[bytes], view: memoryview) -> None:
    done = 0
    while done < len(view):
        got = pipe.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        done += got


def _told(code: int, over: bool, limits: Limits, error: BaseException) -> str:
    if over or code == -24:  # SIGXCPU
        return f"reading it took more than {limits.cpu_s} s"
    if isinstance(error, ValueError | MemoryError | RecursionError | msgspec.MsgspecError) and str(error):
        return f"it gives no usable result ({error})"
    return f"reading it crashed its reader ({'signal ' if code < 0 else 'exit code '}{abs(code)})"


_child: dict[int, _Child] = {}


def _the_child() -> _Child:
    """Return this process's own child: a fork must not talk through its parent's pipes."""
    if os.getpid() not in _child:
        _child[os.getpid()] = _Child()
        atexit.register(close)
    return _child[os.getpid()]


def close() -> None:
    """End this process's child; the next file starts another."""
    child = _child.pop(os.getpid(), None)
    if child is not None:
        child.close()


def unboxed(value: Any) -> Any:
    """Turn the child's boxes (see `insula.data.formats.child.boxed`) back into object arrays, however deep."""
    if isinstance(value, dict):
        if value.keys() == {"\0shape", "\0cells"}:
            return _object_array(value["\0shape"], [unboxed(v) for v in value["\0cells"]])
        return {key: unboxed(inner) for key, inner in value.items()}
    return [unboxed(inner) for inner in value] if isinstance(value, list) else value


def _object_array(shape: Sequence[int], cells: Sequence[Any]) -> np.ndarray[Any, Any]:
    out = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(cells):
        out[i] = cell
    return out.reshape(tuple(shape))
