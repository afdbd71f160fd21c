"""What an HDF5 file names outside itself, found before its library follows it; runs in the guarded child."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from insula.data.formats.optional import optional_package
from insula.data.formats.tables import AGAIN
from insula.data.info import FileError

MOST_NODES = 100_000


def opened(path: Path) -> Any:
    """Open a file of which every link, array and storage lies in itself; another is a FileError."""
    h5py = optional_package("h5py", "data", f"reading {path.name} (HDF5, Matlab 7.3)")
    file = h5py.File(path, "r", locking=False)
    try:
        _require_own(path, h5py, file)
    except BaseException:
        file.close()
        raise
    return file


def _require_own(path: Path, h5py: Any, file: Any) -> None:
    """Walk through groups by hard links; other links and foreign storage are refused."""
    waiting, seen = [file], set()
    while waiting:
        group = waiting.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise FileError(
                    path,
                    f"{name[:80]!r} is a link to the file {link.filename[:200]!r}; expected numbers of its own: "
                    "it was not opened.",
                )
            if not isinstance(link, h5py.HardLink):
                continue  # a soft link leads to what is looked at anyway
            node = group[name]
            place = h5py.h5o.get_info(node.id).addr
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > MOST_NODES:
                raise FileError(path, f"more than {MOST_NODES:,} parts; expected fewer. {AGAIN}")
            if isinstance(node, h5py.Group):
                waiting.append(node)
            elif isinstance(node, h5py.Dataset) and (node.external or node.is_virtual):
                raise FileError(
                    path,
                    f"{name[:80]!r} keeps its numbers in another file; expected numbers of its own: it was not opened.",
                )
