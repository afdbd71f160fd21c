"""A folder on a local disk or on object storage, with files that appear whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from insula.errors import DataError


@dataclass(frozen=True)
class Folder:
    """A folder on a local disk, or behind any URL that fsspec knows (``memory://``, ``s3://``)."""

    url: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def local(self) -> bool:
        return "://" not in self.url

    @property
    def fs(self) -> Any:
        import fsspec

        return fsspec.core.url_to_fs(self.url, **self.options)[0]

    def at(self, *parts: str) -> str:
        """Path of something inside, as ``fs`` wants it."""
        import fsspec

        root = str(Path(self.url)) if self.local else fsspec.core.url_to_fs(self.url, **self.options)[1]
        return "/".join((root.rstrip("/"), *map(_tame, parts)))

    def inside(self, *parts: str) -> str:
        """Path of something inside; one that a link leads out of the folder is a DataError."""
        path = self.at(*parts)
        if self.local:
            root, real = os.path.realpath(self.url), os.path.realpath(path)
            if not parts or os.path.commonpath((root, real)) != root or real == root:
                raise DataError(
                    f"{path} leads out of {self.url}; expected a path inside the store. Look at it yourself."
                )
        return path

    def read(self, *parts: str) -> bytes | None:
        """Content of a file, None where there is none."""
        try:
            content: bytes = self.fs.cat_file(self.inside(*parts))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return content

    def names(self, *parts: str) -> list[str]:
        """Names inside a folder, sorted; empty where there is none."""
        try:
            found = self.fs.ls(self.at(*parts), detail=False, refresh=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in found)

    def commit(self, content: bytes, *parts: str) -> None:
        """Write a file that appears whole or not at all."""
        path = self.inside(*parts)
        if not self.local:  # one put, which object storage shows when it is complete
            self.fs.pipe_file(path, content)
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        draft = f"{path}.{uuid.uuid4().hex}.partial"
        try:
            with open(draft, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        finally:
            if os.path.exists(draft):
                os.remove(draft)

    def remove(self, *parts: str) -> None:
        """Delete a file or a folder, if it is there."""
        path = self.inside(*parts)
        if self.fs.exists(path):
            self.fs.rm(path, recursive=True)

    def group(self, *parts: str) -> Any:
        """Make a new Zarr group."""
        import zarr

        if self.local:
            return zarr.open_group(self.at(*parts), mode="w")
        return zarr.open_group("/".join((self.url.rstrip("/"), *parts)), mode="w", storage_options=dict(self.options))


def _tame(part: str) -> str:
    """Refuse a step that leads elsewhere: nothing, ``..``, an absolute path, a drive or another scheme."""
    steps = part.split("/")
    if any(step in ("", ".", "..") or "\\" in step or ":" in step or "\0" in step for step in steps):
        raise DataError(f"path {part[:80]!r} inside a store; expected names of files and folders. Look at it yourself.")
    return part
