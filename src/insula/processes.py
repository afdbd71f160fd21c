"""Processes that insula starts end with the one that started them, and know the user's modules as that one does."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from insula.errors import InputError

T = TypeVar("T")

EVERY_S = 0.25
"""How often a worker looks whether its parent is still there."""
ENDS_WITH = "INSULA_ENDS_WITH"
"""Environment variable with the process id of a program that a command ends with."""
MODULES = "INSULA_WITH"
"""Environment variable with the user's modules, by comma, that are imported first; they call `insula.register`."""
_watched: set[tuple[int, int]] = set()


def end_with(parent: int) -> None:
    """End this process once ``parent`` (the process id of the one that started it) is gone; twice asked is once done.

    Called by the parent itself it does nothing, so that a task may call it wherever it runs. A thread looks every
    `EVERY_S`; the process ends without clean-up, as if it were killed too.
    """
    key = (os.getpid(), parent)
    if key in _watched or os.getpid() == parent:
        return
    _watched.add(key)
    threading.Thread(target=_watch, args=(_gone(parent),), daemon=True, name="ends with its parent").start()


def end_with_the_named() -> None:
    """End this process with the program that `ENDS_WITH` names, if it names one."""
    named = os.environ.pop(ENDS_WITH, "")
    if named.isdecimal():
        end_with(int(named))


def named_modules() -> list[str]:
    """Return the user's modules that `MODULES` names."""
    return [one.strip() for one in os.environ.get(MODULES, "").split(",") if one.strip()]


def import_modules() -> None:
    """Import the modules that `MODULES` names, from the working folder too; twice asked is once done."""
    named = named_modules()
    if named and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    for name in named:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise InputError(
                f"module {name!r} cannot be imported ({error}); expected a file {name.replace('.', '/')}.py here or an "
                "installed one. Correct --with."
            ) from None


def run_with(parent: int, act: Callable[..., T], *arguments: Any) -> T:
    """Call ``act(*arguments)`` in a worker that ends with ``parent``."""
    end_with(parent)
    import_modules()
    return act(*arguments)


def _watch(gone: Callable[[], bool]) -> None:
    while not gone():
        time.sleep(EVERY_S)
    os._exit(1)


def _gone(parent: int) -> Callable[[], bool]:
    """Return a test for the end of a process; the id of a dead one may soon be another's."""
    if sys.platform == "win32":
        import ctypes

        synchronize, timeout = 0x00100000, 0x102
        handle = ctypes.windll.kernel32.OpenProcess(synchronize, False, parent)
        return lambda: not handle or ctypes.windll.kernel32.WaitForSingleObject(handle, 0) != timeout
    if os.getppid() == parent:
        return lambda: os.getppid() != parent
    return lambda: not _there(parent)


def _there(process: int) -> bool:
    """Tell whether a process that is not the direct parent exists."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
