"""Samples of cleaned trials as Zarr arrays: written a session at a time, read a piece at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insula.errors import DataError
from insula.signals.cleaner import CleanTrial
from insula.signals.quality import FLAGS
from insula.types import BoolArray, ChannelSpec, FloatArray
from insula.windows.store.folder import Folder

TrialKey = tuple[str, str, str]
"""Identity of a trial: (subject, session, trial)."""
KINDS: Mapping[str, str] = {"values": "<f4", "observed": "|b1", "quality": "<f4"}
"""Arrays of one modality and their types on disk: (T, C), (T, 1) and (seconds, flags)."""
CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class Stored:
    """An array group of one modality in one session: where it is, what it holds, rows a chunk of each kind."""

    path: str
    spec: ChannelSpec
    rows: Mapping[str, int]


@dataclass(frozen=True)
class Place:
    """Where one modality of one trial lies: rows ``first`` to ``first + length``, and the same of its seconds."""

    array: Stored
    first: int
    length: int
    second: int
    seconds: int


@dataclass(frozen=True)
class StoredTrial:
    """A cleaned trial whose samples are read when asked for; has what `insula.signals.cleaner.CleanTrial` has."""

    key: TrialKey
    start_s: float
    stop_s: float
    places: Mapping[str, Place]
    bad_channels: Mapping[str, tuple[str, ...]]
    folder: Folder

    @property
    def specs(self) -> Mapping[str, ChannelSpec]:
        return {name: place.array.spec for name, place in self.places.items()}

    @property
    def signals(self) -> Mapping[str, FloatArray]:
        """Whole signals (C, T), each read when it is indexed."""
        return _OnDemand(self.places, lambda name: self.piece(name, 0, self.places[name].length)[0])

    @property
    def observed(self) -> Mapping[str, BoolArray]:
        """Whole masks (T,), each read when it is indexed."""
        return _OnDemand(self.places, lambda name: self._rows(name, "observed", 0, self.places[name].length)[:, 0])

    @property
    def quality(self) -> Mapping[str, FloatArray]:
        """Shares (flags, seconds), each read when it is indexed."""
        judged = {name: place for name, place in self.places.items() if place.seconds}
        return _OnDemand(judged, lambda name: self._rows(name, "quality", 0, judged[name].seconds).T)

    def piece(self, name: str, first: int, length: int) -> tuple[FloatArray, BoolArray]:
        """Samples of one modality from ``first`` on: (C, length) and their mask (length,)."""
        length = min(length, self.places[name].length - first)
        values = self._rows(name, "values", first, length)
        return np.ascontiguousarray(values.T), self._rows(name, "observed", first, length)[:, 0]

    def _rows(self, name: str, kind: str, first: int, count: int) -> NDArray[Any]:
        place = self.places[name]
        begin = (place.second if kind == "quality" else place.first) + first
        if self.folder.local:
            rows = place.array.rows[kind]
            width = {"values": len(place.array.spec.channels), "observed": 1, "quality": len(FLAGS)}[kind]
            return _from_disk(self.folder, f"{place.array.path}/{kind}", rows, width, KINDS[kind], begin, count)
        array = _opened(self.folder.url, place.array.path, kind, tuple(sorted(self.folder.options.items())))
        found: NDArray[Any] = array[begin : begin + count]
        return found


class _OnDemand(Mapping[str, Any]):
    """A mapping that reads a value each time it is indexed."""

    def __init__(self, names: Mapping[str, Any], read: Callable[[str], NDArray[Any]]) -> None:
        self._names, self._read = names, read

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def write_session(folder: Folder, trials: Sequence[CleanTrial], *parts: str) -> list[dict[str, Place]]:
    """Write the trials of one session, one after another in an array a modality, and return where they lie.

    Trials whose channels or rate differ get arrays of their own.
    """
    group = folder.group(*parts)
    alike: dict[tuple[str, ChannelSpec], list[int]] = {}
    for i, trial in enumerate(trials):
        for name, spec in trial.specs.items():
            alike.setdefault((name, spec), []).append(i)
    places: list[dict[str, Place]] = [{} for _ in trials]
    used: dict[str, int] = {}
    for (name, spec), members in alike.items():
        used[name] = used.get(name, 0) + 1
        own = name if used[name] == 1 else f"{name}-{used[name]}"
        chosen = [trials[i] for i in members]
        blocks: dict[str, list[NDArray[Any]]] = {
            "values": [t.signals[name].T for t in chosen],
            "observed": [t.observed[name][:, None] for t in chosen],
            "quality": [t.quality[name].T if name in t.quality else np.zeros((0, len(FLAGS))) for t in chosen],
        }
        rows = {kind: _write(group, f"{own}/{kind}", kind, parts_) for kind, parts_ in blocks.items()}
        array = Stored("/".join((*parts, own)), spec, rows)
        first = second = 0
        for i, values, seconds in zip(members, blocks["values"], blocks["quality"], strict=True):
            places[i][name] = Place(array, first, len(values), second, len(seconds))
            first, second = first + len(values), second + len(seconds)
    return places


def _write(group: Any, path: str, kind: str, blocks: list[NDArray[Any]]) -> int:
    """Write blocks (rows, columns) one below another; return the rows a chunk."""
    whole = np.concatenate(blocks).astype(KINDS[kind])
    rows = max(1, min(len(whole), CHUNK_BYTES // int(whole.shape[1] * whole.dtype.itemsize)))
    array = group.create_array(
        path,
        shape=whole.shape,
        dtype=whole.dtype,
        chunks=(rows, whole.shape[1]),
        compressors=None,
        filters=None,
        config={"write_empty_chunks": True},
    )
    if whole.size:
        array[:] = whole
    return int(rows)


def _from_disk(folder: Folder, path: str, rows: int, width: int, dtype: str, first: int, count: int) -> NDArray[Any]:
    """Read rows of an uncompressed Zarr array from its chunk files, each mapped: (count, width).

    Nothing is allocated for rows that the files do not hold.
    """
    parts = []
    done = 0
    while done < count:
        chunk, within = divmod(first + done, rows)
        size = min(rows - within, count - done)
        file = folder.inside(path, f"c/{chunk}/0")
        try:
            if os.path.getsize(file) != rows * width * np.dtype(dtype).itemsize:
                raise _damaged(file, f"{os.path.getsize(file)} bytes")
            parts.append(np.memmap(file, dtype, "r", shape=(rows, width))[within : within + size])
        except (OSError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise _damaged(file, str(error)) from None
        done += size
    return np.concatenate(parts) if parts else np.empty((0, width), dtype)


def _damaged(file: str, what: str) -> DataError:
    return DataError(f"{file} of the store cannot be read ({what}); expected it whole. Delete the store's folder.")


@lru_cache(maxsize=256)
def _opened(url: str, path: str, kind: str, options: tuple[tuple[str, Any], ...]) -> Any:
    import zarr

    return zarr.open_array("/".join((url.rstrip("/"), path, kind)), mode="r", storage_options=dict(options))
