"""What MNE reads (.fif .edf .bdf .set .vhdr .gdf .cnt), opened and read in the guarded child."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from insula.data.formats import gate, guarded, hdf5
from insula.data.formats.arrays import finite
from insula.data.formats.tables import AGAIN
from insula.data.info import FileError, Problem, note
from insula.types import FloatArray

LIBRARY = "MNE"
MNE_SUFFIXES = (".fif", ".edf", ".bdf", ".set", ".vhdr", ".gdf", ".cnt")
LARGEST_HEADER = 1 << 24
"""Bytes of a BrainVision header or marker file, which MNE reads whole."""
MOST_MARKERS = 20_000
LONGEST_MARKER = 200
"""Characters of a marker's text that are kept."""
_BLOCK_SAMPLES = 1 << 18


@dataclass(frozen=True)
class MneFile:
    """What is known of a file before its samples are read: rate in Hz, length, names and MNE's types of channels.

    ``markers`` are (seconds of the file, length, text); ``begin_unix_s`` is when it begins, if the file knows.
    """

    path: Path
    rate_hz: float
    n_samples: int
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    markers: tuple[tuple[float, float, str], ...] = ()
    begin_unix_s: float | None = None


def open_mne(path: Path, problems: list[Problem] | None) -> MneFile:
    """Open a file and note MNE's warnings; one that it cannot open, or that names files elsewhere, is a FileError."""
    gate.require(path)
    if path.suffix.lower() == ".vhdr":
        for header in (path, path.with_suffix(".vmrk")):
            if header.exists() and header.stat().st_size > LARGEST_HEADER:
                raise FileError(header, f"{header.stat().st_size} bytes; expected a header of a few thousand. {AGAIN}")
    found = guarded.read("insula.data.formats.mne_files:describe", path, _stamp(path))
    for text in found["warnings"]:
        note(problems, path, f"MNE warns: {text}")
    file = MneFile(
        path,
        float(found["rate_hz"]),
        int(found["n_samples"]),
        tuple(found["names"]),
        tuple(found["kinds"]),
        tuple((float(start), float(length), str(text)) for start, length, text in found["markers"]),
        None if found["begin"] is None else float(found["begin"]),
    )
    if not 0 < file.rate_hz < 1e6 or not 0 < file.n_samples < 1 << 40:
        raise FileError(
            path, f"{file.n_samples} samples at {file.rate_hz:g} Hz; expected some at 1 MHz or less. {AGAIN}"
        )
    return file


def read_samples(
    file: MneFile, names: tuple[str, ...], first: int, stop: int, microvolts: tuple[str, ...]
) -> FloatArray:
    """Return (channels, samples) float32, NaN where annotated BAD; volts of the kinds ``microvolts`` are made those."""
    size = 4 * len(names) * (stop - first)
    found = guarded.read(
        "insula.data.formats.mne_files:samples", file.path, _stamp(file.path), list(names), first, stop,
        list(microvolts), result_bytes=size,
    )  # fmt: skip
    if not isinstance(found, np.ndarray) or found.shape != (len(names), stop - first) or found.dtype != np.float32:
        raise FileError(file.path, f"fewer samples than its header says; expected {stop - first}. {AGAIN}")
    return found


def _stamp(path: Path) -> list[int]:
    there = path.stat()
    return [there.st_mtime_ns, there.st_size]


def describe(path: Path, stamp: list[int]) -> dict[str, Any]:
    """Say what a file holds; runs in the guarded child."""
    raw, told = _opened(path, tuple(stamp))
    return {
        "rate_hz": float(raw.info["sfreq"]), "n_samples": int(raw.n_times), "names": list(raw.ch_names),
        "kinds": list(raw.get_channel_types()), "warnings": told,
        "markers": _markers(raw), "begin": None if raw.info["meas_date"] is None else raw.info["meas_date"].timestamp(),
    }  # fmt: skip


def _markers(raw: Any) -> list[tuple[float, float, str]]:
    """Return annotations, or the codes of a trigger channel where there are none: seconds of the file, length, text."""
    notes = raw.annotations
    late = 0.0 if notes.orig_time is None else float(raw.first_time)
    texts = [str(t)[:LONGEST_MARKER] for t in notes.description[:MOST_MARKERS]]
    found = [(float(o) - late, float(d), t) for o, d, t in zip(notes.onset, notes.duration, texts, strict=False)]
    triggers = [n for n, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind == "stim"]
    if found or not triggers:
        return found
    codes = raw.get_data(picks=triggers[:1], verbose="ERROR")[0].astype(np.int64) & 0xFFFF  # (samples,)
    at = np.flatnonzero((np.diff(codes) != 0) & (codes[1:] != 0)) + 1
    return [(float(i / raw.info["sfreq"]), 0.0, str(codes[i])) for i in at[:MOST_MARKERS]]


def samples(path: Path, stamp: list[int], names: list[str], first: int, stop: int, microvolts: list[str]) -> FloatArray:
    """Read samples block by block; runs in the guarded child."""
    raw, _ = _opened(path, tuple(stamp))
    kinds = raw.get_channel_types(picks=names)
    factors = np.array([1e6 if kind in microvolts else 1.0 for kind in kinds])[:, None]  # MNE gives volts
    values = np.empty((len(names), stop - first), np.float32)
    for at in range(first, stop, _BLOCK_SAMPLES):
        block = raw.get_data(
            picks=names, start=at, stop=min(stop, at + _BLOCK_SAMPLES), reject_by_annotation="NaN", verbose="ERROR"
        )  # (channels, samples) float64
        values[:, at - first : at - first + block.shape[1]] = finite(block * factors)
    return values


@lru_cache(maxsize=1)  # many pieces of one file cost one opening
def _opened(path: Path, stamp: tuple[int, ...]) -> tuple[Any, list[str]]:  # noqa: ARG001
    import mne

    _require_own(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        raw = mne.io.read_raw(path, preload=False, verbose="WARNING")
    texts = [" ".join(str(w.message).split()) for w in caught if issubclass(w.category, RuntimeWarning)]
    return raw, [text for text in dict.fromkeys(texts) if "naming conventions" not in text][:20]


def _require_own(path: Path) -> None:
    """Refuse a file that names another outside its folder; Python's audit hook would, this says it in words."""
    suffix = path.suffix.lower()
    if suffix == ".vhdr":
        text = path.read_bytes()[:LARGEST_HEADER].decode("latin-1")
        for named in re.findall(r"^\s*(?:DataFile|MarkerFile)\s*=\s*(.+?)\s*$", text, re.MULTILINE | re.IGNORECASE):
            gate.require_reference(path, named.replace("$b", path.stem))
    elif suffix == ".set":
        with path.open("rb") as file:
            head = file.read(520)
        if b"\x89HDF\r\n\x1a\n" in (head[:8], head[512:]):
            hdf5.opened(path).close()
