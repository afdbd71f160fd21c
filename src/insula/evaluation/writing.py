"""Writing a result: plain JSON values, files that appear whole or not at all, and their digests."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np


def jsonable(value: Any) -> Any:
    """Turn numpy values, tuples, paths and dataclasses into plain JSON values; what is not finite becomes None."""
    if is_dataclass(value) and not isinstance(value, type):
        return jsonable(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, str) or value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Iterable):
        return [jsonable(v) for v in value]
    return str(value)


class Pending:
    """Files being written beside their destination; what was not moved away is removed at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[Path] = []

    def __enter__(self) -> Pending:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files:
            file.unlink(missing_ok=True)

    def write(self, action: Callable[[Path], object]) -> Path:
        """Let ``action`` fill a new file and bring it to the disk."""
        path = self.folder / f".result-{uuid.uuid4().hex}.partial"
        self.files.append(path)
        action(path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        return path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
