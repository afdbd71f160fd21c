"""Empatica EmbracePlus raw data (.avro) through the manifest.

Needs fastavro (extra ``data``). Units: EDA uS, BVP nW, TEMP degC, ACC g, inter-beat intervals s.
Source of the layout: Empatica, EmbracePlus raw data (avro) documentation, schema version 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from insula.data.formats import guarded
from insula.data.formats.arrays import finite
from insula.data.formats.delimited import round_rate
from insula.data.formats.optional import optional_package
from insula.data.formats.request import Request
from insula.data.formats.tables import AGAIN
from insula.data.info import FileError, Problem
from insula.errors import unknown_name
from insula.types import Signal

LIBRARY = "fastavro"
SERIES: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "eda": ("eda", ("EDA",), "uS"),
    "bvp": ("bvp", ("BVP",), "nW"),
    "temp": ("temperature", ("TEMP",), "degC"),
}
"""Modality -> field of rawData, channels, unit."""
AXES: tuple[str, ...] = ("x", "y", "z")
MODALITIES = (*SERIES, "acc", "ibi")


def read(request: Request, _: list[Problem] | None) -> Signal:
    """Return one signal of a file; 0 is the first sample of any signal in the file."""
    path = request.path
    if request.modality not in MODALITIES:
        raise FileError(path, str(unknown_name("modality of an EmbracePlus file", request.modality, MODALITIES)))
    raw = _raw(request)
    try:
        starts = [float(s["timestampStart"]) for s in raw.values() if isinstance(s, dict) and s.get("timestampStart")]
        zero_us = min(starts, default=0.0)
        if request.modality == "ibi":
            beats_s = np.asarray(raw["systolicPeaks"]["peaksTimeNanos"], np.float64) / 1e9
            times = beats_s[1:] - zero_us / 1e6
            if not times.size or (np.diff(beats_s) <= 0).any():
                raise FileError(path, f"{beats_s.size} rising beat times; expected 2 or more. {AGAIN}")
            return Signal(finite(np.diff(beats_s)[None, :]), 0.0, ("IBI",), "s", float(times[0]), times)
        if request.modality == "acc":
            series, channels, unit = raw["accelerometer"], AXES, "g"
            scale = series["imuParams"]
            per_count = (scale["physicalMax"] - scale["physicalMin"]) / (scale["digitalMax"] - scale["digitalMin"])
            values = np.asarray([series[axis] for axis in channels], np.float64) * per_count
        else:
            name, channels, unit = SERIES[request.modality]
            series = raw[name]
            values = np.asarray([series["values"]], np.float64)
        rate = round_rate(float(series["samplingFrequency"]))
        start_s = (float(series["timestampStart"]) - zero_us) / 1e6
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(path, f"no {request.modality} as EmbracePlus writes it ({error!r:.100}). {AGAIN}") from None
    if values.ndim != 2 or not values.shape[1] or not rate > 0:
        raise FileError(path, f"no sample of {request.modality}; expected some. {AGAIN}")
    return Signal(finite(values), rate, channels, unit, start_s)


def load(path: Path) -> Any:
    """Return rawData of the first record, lists of numbers as arrays; runs in the guarded child."""
    fastavro = optional_package("fastavro", "data", f"reading {path.name}")
    with path.open("rb") as file:
        return _packed(next(fastavro.reader(file))["rawData"])


def _packed(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _packed(inner) for key, inner in value.items()}
    if isinstance(value, list) and value and all(type(inner) in (int, float) for inner in value):
        return np.asarray(value, np.float64)
    return [_packed(inner) for inner in value] if isinstance(value, list) else value


def _raw(request: Request) -> dict[str, Any]:
    optional_package("fastavro", "data", f"reading {request.path.name}")
    raw = guarded.read("insula.data.formats.embraceplus:load", request.path)
    if not isinstance(raw, dict):
        raise FileError(request.path, f"rawData is a {type(raw).__name__}; expected a record. {AGAIN}")
    return raw
