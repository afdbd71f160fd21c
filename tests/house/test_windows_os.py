"""insula is imported where fork, POSIX locks and positional reads do not exist, as on Windows."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WITHOUT = """
import importlib, os, pkgutil, sys
import joblib, mne, numba, pandas, scipy.stats, sklearn.ensemble, torch, torch.utils.data, zarr  # they may
for name in ("register_at_fork", "preadv", "pread", "fork"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
import insula
bad = []
for found in pkgutil.walk_packages(insula.__path__, "insula."):
    if found.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(found.name)
    except ModuleNotFoundError as error:
        if error.name in ("fcntl", "resource", "pwd", "grp", "termios"):
            bad.append((found.name, str(error)))
    except AttributeError as error:
        bad.append((found.name, str(error)))
print(bad)
"""


@pytest.mark.slow
def test_every_module_is_imported_without_posix() -> None:
    done = subprocess.run([sys.executable, "-c", _WITHOUT], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"
