"""Lab Streaming Layer recordings (.xdf) through the manifest: streams on one clock, drift between devices corrected.

Needs pyxdf (extra ``data``). Source of the format: https://github.com/sccn/xdf/wiki/Specifications
"""

from __future__ import annotations

import gzip
import logging
from pathlib import Path
from typing import Any

import numpy as np

from insula.data.formats import guarded
from insula.data.formats.optional import optional_package
from insula.data.formats.request import MICROVOLTS, UNITS, VOLTAGES, Request
from insula.data.formats.tables import AGAIN, on_grid
from insula.data.info import FileError, Problem, note
from insula.errors import unknown_name
from insula.types import FloatArray, Signal

LIBRARY = "pyxdf"
TYPES = {
    "eeg": "eeg", "eda": "gsr", "bvp": "bvp", "ppg": "ppg", "ecg": "ecg", "emg": "emg", "eog": "eog", "resp": "resp",
    "temp": "temp", "acc": "accelerometer", "hr": "hr", "eye": "gaze", "audio": "audio",
}  # fmt: skip
"""Type a stream of a modality usually says it has (lower case); the modality's own name will do too."""


def read(request: Request, problems: list[Problem] | None) -> Signal:
    """Return one stream of a recording; 0 is the first sample of any stream in the file.

    The stream is the one named ``request.stream``, else the only one whose type fits the modality. Clock offsets are
    applied and the drift of the device's clock removed (pyxdf); the samples are then put on a grid at the nominal
    rate, so that streams of several devices stay together to the sample. Gaps are NaN.
    """
    path = request.path
    streams = _streams(path)
    zero = min(float(s["time_stamps"][0]) for s in streams)
    stream = _chosen(request, streams)
    names, factors, unit = _channels(request, stream, problems)
    values = np.asarray(stream["time_series"], dtype=np.float64)  # (samples, channels)
    times = np.asarray(stream["time_stamps"], dtype=np.float64) - zero
    kept = [names.index(name) for name in request.channels or names]
    with np.errstate(over="ignore", invalid="ignore"):
        small: FloatArray = (values[:, kept] * factors[kept]).T.astype(np.float32)  # (samples, C) -> (C, samples)
    small[~np.isfinite(small)] = np.nan
    rate = float(_text(stream["info"], "nominal_srate") or 0)
    chosen = tuple(names[i] for i in kept)
    good = np.isfinite(times)
    if not good.any():
        raise FileError(path, f"no time in stream {_text(stream['info'], 'name')!r}; expected seconds. {AGAIN}")
    if request.modality == "ibi" or not rate > 0:
        order = np.argsort(times[good], kind="stable")
        at = times[good][order]
        return Signal(small[:, good][:, order], 0.0, chosen, unit, float(at[0]), at)
    if np.ptp(times[good]) * rate > 100 * len(times) + 1000:
        raise FileError(
            path, f"times span {np.ptp(times[good]):.0f} s for {len(times)} samples at {rate:g} Hz. {AGAIN}"
        )
    start, regular = on_grid(times, small, rate)
    return Signal(regular, rate, chosen, unit, start)


def load(path: Path) -> list[Any]:
    """Return the streams of numbers in a file; runs in the guarded child."""
    pyxdf = optional_package("pyxdf", "data", f"reading {path.name}")
    logging.getLogger("pyxdf").setLevel(logging.CRITICAL)
    with gzip.open(path) if path.suffix == ".xdfz" else path.open("rb") as file:  # pyxdf forgets to close its own
        streams, _ = pyxdf.load_xdf(file, synchronize_clocks=True, dejitter_timestamps=True)
    kept = ("info", "time_series", "time_stamps")
    return [{key: _native(s[key]) for key in kept} for s in streams if len(s["time_stamps"]) and not _marks(s)]


def overview(path: Path) -> list[dict[str, str]]:
    """Return name and type of each stream of numbers."""
    return [{"name": _text(s["info"], "name"), "type": _text(s["info"], "type")} for s in _streams(path)]


def load_markers(path: Path) -> list[tuple[float, float, str]]:
    """Return the markers of all streams of texts or of type markers: seconds since the first sample, 0, text.

    Runs in the guarded child.
    """
    pyxdf = optional_package("pyxdf", "data", f"reading {path.name}")
    logging.getLogger("pyxdf").setLevel(logging.CRITICAL)
    with gzip.open(path) if path.suffix == ".xdfz" else path.open("rb") as file:
        streams, _ = pyxdf.load_xdf(file, synchronize_clocks=True, dejitter_timestamps=True)
    begins = [float(s["time_stamps"][0]) for s in streams if len(s["time_stamps"]) and not _marks(s)]
    zero = min(begins, default=0.0)
    found = [
        (float(at) - zero, 0.0, " ".join(str(part) for part in np.atleast_1d(row))[:200])
        for stream in streams
        if _marks(stream)
        for at, row in zip(stream["time_stamps"], stream["time_series"], strict=False)
    ]
    return sorted(found)


def _marks(stream: Any) -> bool:
    return isinstance(stream["time_series"], list) or "marker" in _text(stream["info"], "type").lower()


def _native(value: Any) -> Any:
    """Take pyxdf's own kinds of dict apart."""
    if isinstance(value, dict):
        return {str(key): _native(inner) for key, inner in value.items()}
    return [_native(inner) for inner in value] if isinstance(value, list | tuple) else value


def _streams(path: Path) -> list[Any]:
    optional_package("pyxdf", "data", f"reading {path.name}")
    streams = guarded.read("insula.data.formats.xdf:load", path)
    if not streams:
        raise FileError(path, f"no stream of numbers with samples; expected one. {AGAIN}")
    return list(streams)


def _text(info: Any, name: str) -> str:
    value = info.get(name) if hasattr(info, "get") else None
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, str) else ""


def _chosen(request: Request, streams: list[Any]) -> Any:
    named = {_text(s["info"], "name"): s for s in streams}
    if request.stream is not None:
        if request.stream not in named:
            raise FileError(request.path, str(unknown_name("stream", request.stream, named)))
        return named[request.stream]
    kinds = (request.modality, TYPES.get(request.modality, request.modality))
    fitting = [s for s in streams if _text(s["info"], "type").lower() in kinds]
    if len(fitting) != 1:
        told = ", ".join(f"{_text(s['info'], 'name')} ({_text(s['info'], 'type')})" for s in streams)
        raise FileError(
            request.path,
            f"{len(fitting)} streams of type {kinds[-1]}; expected one among {told}. Name it in the column stream.",
            columns=("stream",),
        )
    return fitting[0]


def _channels(
    request: Request, stream: Any, problems: list[Problem] | None
) -> tuple[list[str], np.ndarray[Any, np.dtype[np.float64]], str]:
    """Return the stream's channel names, what each is to be multiplied by, and the unit that gives."""
    count = np.shape(stream["time_series"])[1]
    told = _described(stream["info"], count)
    names = [_text(c, "label") or f"ch{i + 1}" for i, c in enumerate(told)]
    if len(set(names)) != count:
        names = [f"ch{i + 1}" for i in range(count)]
    for name in request.channels:
        if name not in names:
            raise FileError(request.path, str(unknown_name("channel", name, names)))
    own = _text(told[0], "unit")
    unit = request.unit or own or UNITS.get(request.modality, "a.u.")
    if request.modality not in VOLTAGES:
        return names, np.ones(count), unit
    if not request.unit and not own:
        note(problems, request.path, "no unit in the stream; taken as microvolts (name it in the column unit)")
    units = [request.unit or _text(c, "unit") or "uV" for c in told]
    for name in units:
        if name.lower() not in MICROVOLTS:
            raise FileError(request.path, str(unknown_name("unit", name, MICROVOLTS)))
    return names, np.array([MICROVOLTS[name.lower()] for name in units]), "uV"


def _described(info: Any, count: int) -> list[Any]:
    """Return one description a channel: the stream's own where it is whole, else empty ones."""
    try:
        told = info["desc"][0]["channels"][0]["channel"]
    except (KeyError, IndexError, TypeError):
        told = []
    return told if isinstance(told, list) and len(told) == count else [{}] * count
