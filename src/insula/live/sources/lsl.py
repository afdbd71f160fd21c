"""LSL streams as sensors: found by type and name, on this machine's clock, looked for again when they are lost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import numpy as np

from insula.errors import InputError
from insula.live.chunks import Appeared, Begin, Chunk, Event, Stream, Vanished
from insula.live.sources.pace import Pace
from insula.types import MODALITIES

ALIASES: Mapping[str, str] = {
    "eeg": "eeg", "gsr": "eda", "eda": "eda", "bvp": "bvp", "ppg": "ppg", "temp": "temp", "temperature": "temp",
    "hr": "hr", "heartrate": "hr", "acc": "acc", "accelerometer": "acc", "ecg": "ecg", "ekg": "ecg", "resp": "resp",
    "respiration": "resp", "emg": "emg", "gaze": "eye",
}  # fmt: skip
"""Modality of an LSL type, lower case."""
UNITS: Mapping[str, tuple[str, float]] = {
    "microvolts": ("uV", 1.0), "microvolt": ("uV", 1.0), "uv": ("uV", 1.0), "µv": ("uV", 1.0), "volts": ("uV", 1e6),
    "volt": ("uV", 1e6), "v": ("uV", 1e6), "mv": ("uV", 1e3), "millivolts": ("uV", 1e3), "microsiemens": ("uS", 1.0),
    "us": ("uS", 1.0), "µs": ("uS", 1.0), "celsius": ("degC", 1.0), "degc": ("degC", 1.0),
}  # fmt: skip
"""Our unit and factor of a unit in an LSL description, lower case."""
DEFAULT_UNIT: Mapping[str, str] = {
    "eeg": "uV", "ecg": "uV", "emg": "uV", "eog": "uV", "eda": "uS", "temp": "degC", "hr": "1/min", "bvp": "a.u.",
    "ppg": "a.u.", "acc": "g", "resp": "a.u.",
}  # fmt: skip
CLOCK_S = 5.0
"""Stamps further than this from the present are those of a device with a clock of its own: they are moved to it."""
SEARCH_S = 1.5
"""How long one search listens: LSL asks known peers one by one only after half a second of multicast."""
LOOK_S, LOST_S = 2.0, 3.0
"""How often missing streams are looked for; a regular stream that is silent for so long is taken for lost."""


class LSL:
    """Read every stream whose type is a known modality, or those that are named.

    Time stamps are brought to this machine's clock (LSL's own correction) and evened out (`Pace`); the session begins
    with the first sample. A stream that ends is looked for until it is back, by name and type,
    whatever its new clock says.

    Parameters
    ----------
    names : stream name a modality; empty for all of known types.
    """

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        if find_spec("mne_lsl") is None:
            raise InputError("mne-lsl not installed; expected insula[live]. pip install 'insula[live]'.")
        self.names = dict(names or {})
        self._inlets: dict[str, _Inlet] = {}
        self._start: float | None = None
        self._looked = -1e9
        self._missing: dict[str, str] = {}
        self._finder = ThreadPoolExecutor(1, thread_name_prefix="insula-lsl")
        self._search: Future[list[tuple[str, _Inlet]]] | None = None

    @classmethod
    def named(cls, text: str) -> LSL:
        """Read ``eeg=NAME,eda=NAME``; empty text means all streams of known types."""
        names: dict[str, str] = {}
        for part in filter(None, text.split(",")):
            modality, found, name = part.partition("=")
            if not found or modality not in MODALITIES or not name:
                raise InputError(f"LSL stream {part!r}; expected MODALITY=NAME, e.g. eeg=Muse. Correct --source.")
            names[modality] = name
        return cls(names)

    @property
    def name(self) -> str:
        inside = ", ".join(sorted(inlet.title for inlet in self._inlets.values()))
        return f"LSL: {inside}" if inside else "LSL: looking for streams"

    def now_s(self) -> float | None:
        """The present since the first sample."""
        from mne_lsl.lsl import local_clock

        return None if self._start is None else float(local_clock()) - self._start

    @property
    def keys(self) -> tuple[str, ...]:
        return ()

    def press(self, key: str) -> str | None:  # noqa: ARG002 (devices have no keys)
        return None

    def read(self, timeout_s: float) -> Sequence[Event] | None:
        """Pull what came; look for missing streams every `LOOK_S`."""
        until = time.monotonic() + timeout_s
        out: list[Event] = []
        out += self._found()
        if self._search is None and time.monotonic() - self._looked > LOOK_S and self._wanted():
            self._looked = time.monotonic()
            self._search = self._finder.submit(self._look, frozenset(self._inlets))
        while True:
            for modality, inlet in list(self._inlets.items()):
                out += self._pull(modality, inlet)
            left_s = until - time.monotonic()
            if left_s <= 0 or any(isinstance(event, Chunk) for event in out):
                return out
            time.sleep(min(left_s, 0.005))

    def _wanted(self) -> bool:
        """Whether something is missing: a named stream, a lost one, or everything."""
        if self.names:
            return set(self.names) != set(self._inlets)
        return bool(self._missing) or not self._inlets

    def _found(self) -> list[Event]:
        """Take over what a search has found."""
        if self._search is None or not self._search.done() or self._search.cancelled():
            return []
        found, self._search = self._search.result(), None
        for modality, inlet in found:
            self._inlets[modality] = inlet
            self._missing.pop(modality, None)
        return [Appeared(inlet.stream) for _, inlet in found]

    def _look(self, known: frozenset[str]) -> list[tuple[str, _Inlet]]:
        """Search and open, on a thread of its own: other sensors are read meanwhile."""
        from mne_lsl.lsl import resolve_streams

        out: dict[str, _Inlet] = {}
        for info in resolve_streams(timeout=SEARCH_S):
            named = next((m for m, name in self.names.items() if name == info.name), None)
            modality = named if self.names else ALIASES.get(info.stype.lower())
            if modality is None or modality in known or modality in out or info.dtype == str:
                continue
            with suppress(RuntimeError, TimeoutError, ValueError):  # gone between being found and being opened
                out[modality] = _Inlet(info, modality)
        return list(out.items())

    def _pull(self, modality: str, inlet: _Inlet) -> list[Event]:
        try:
            values, times = inlet.pull()
        except (RuntimeError, TimeoutError):
            return self._lose(modality, inlet, "the stream ended")
        now = time.monotonic()
        if not times.size:
            if inlet.stream.rate_hz > 0 and now - inlet.heard > LOST_S:
                return self._lose(modality, inlet, f"silent for {LOST_S:g} s")
            return []
        inlet.heard = now
        out: list[Event] = []
        if self._start is None:
            self._start = float(times[0])
            out = [Begin(0.0), *(Appeared(i.stream) for i in self._inlets.values())]
        out.append(Chunk(modality, values, times - self._start))
        return out

    def _lose(self, modality: str, inlet: _Inlet, why: str) -> list[Event]:
        inlet.close()
        del self._inlets[modality]
        self._missing[modality] = why
        return [Vanished(modality, why)]

    def close(self) -> None:
        """Let go of all streams."""
        self._finder.shutdown(wait=True, cancel_futures=True)
        self._found()
        for inlet in self._inlets.values():
            inlet.close()
        self._inlets = {}


class _Inlet:
    """One open stream."""

    def __init__(self, info: Any, modality: str) -> None:
        from mne_lsl.lsl import StreamInlet

        self._inlet = StreamInlet(info, max_buffered=30, recover=False, processing_flags=["clocksync"])
        self._inlet.open_stream(timeout=2.0)
        full = self._inlet.get_sinfo(timeout=2.0)
        count = self._count = int(full.n_channels)
        found = full.get_channel_names() or []
        names = tuple(found) if len(found) == count and all(found) else _names(modality, count)
        told = (full.get_channel_units() or [""])[0]
        unit, self._factor = UNITS.get(str(told).lower(), (DEFAULT_UNIT.get(modality, "a.u."), 1.0))
        self.stream = Stream(modality, names, float(full.sfreq), unit)
        self.title = str(full.name)
        self.heard = time.monotonic()
        self._shift_s = 0.0
        self._pace = Pace(self.stream.rate_hz) if self.stream.rate_hz > 0 else None

    def pull(self) -> tuple[Any, Any]:
        """Samples (C, n) in our unit and their times (n,) on this machine's LSL clock."""
        values, times = self._inlet.pull_chunk(timeout=0.0, max_samples=4096)
        array = np.asarray(values, np.float32).reshape(len(times), self._count).T * np.float32(self._factor)
        stamps = np.asarray(times, np.float64)
        if stamps.size:
            from mne_lsl.lsl import local_clock

            apart_s = float(local_clock()) - (float(stamps[-1]) + self._shift_s)
            if abs(apart_s) > CLOCK_S:
                self._shift_s += apart_s
        stamps = stamps + self._shift_s
        return array, stamps if self._pace is None else self._pace.times(stamps)

    def close(self) -> None:
        """Close it, whatever state it is in."""
        try:
            self._inlet.close_stream()
        except RuntimeError:
            return


def _names(modality: str, count: int) -> tuple[str, ...]:
    return (modality,) if count == 1 else tuple(f"{modality}{i + 1}" for i in range(count))
