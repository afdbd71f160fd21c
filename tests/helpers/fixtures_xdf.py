"""Writer of .xdf files (github.com/sccn/xdf/wiki/Specifications): streams of doubles and their clock offsets."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Stream:
    """``times`` are of the device's own clock; ``offsets`` are (device time, what to add to reach the common clock)."""

    name: str
    kind: str
    rate_hz: float
    labels: tuple[str, ...]
    unit: str
    times: np.ndarray
    values: np.ndarray
    offsets: tuple[tuple[float, float], ...] = ()


def _chunk(tag: int, content: bytes) -> bytes:
    return b"\x08" + struct.pack("<QH", len(content) + 2, tag) + content


def _markers(number: int, markers: list[tuple[float, str]]) -> bytes:
    head = "<info><name>events</name><type>Markers</type><channel_count>1</channel_count>"
    head += "<nominal_srate>0</nominal_srate><channel_format>string</channel_format></info>"
    body = struct.pack("<IBI", number, 4, len(markers))
    for at, text in markers:
        body += b"\x08" + struct.pack("<dBB", at, 1, len(text)) + text.encode()
    times = f"<first_timestamp>{markers[0][0]}</first_timestamp><sample_count>{len(markers)}</sample_count>"
    footer = struct.pack("<I", number) + f'<?xml version="1.0"?><info>{times}</info>'.encode()
    return (
        _chunk(2, struct.pack("<I", number) + f'<?xml version="1.0"?>{head}'.encode())
        + _chunk(3, body)
        + _chunk(6, footer)
    )


def write_xdf(path: Path, streams: list[Stream], markers: list[tuple[float, str]] | None = None) -> Path:
    out = b"XDF:" + _chunk(1, b'<?xml version="1.0"?><info><version>1.0</version></info>')
    for number, s in enumerate(streams, 1):
        channels = "".join(f"<channel><label>{n}</label><unit>{s.unit}</unit></channel>" for n in s.labels)
        head = f"<info><name>{s.name}</name><type>{s.kind}</type><channel_count>{len(s.labels)}</channel_count>"
        head += f"<nominal_srate>{s.rate_hz:g}</nominal_srate><channel_format>double64</channel_format>"
        head += f"<desc><channels>{channels}</channels></desc></info>"
        out += _chunk(2, struct.pack("<I", number) + f'<?xml version="1.0"?>{head}'.encode())
    for number, s in enumerate(streams, 1):
        for at, offset in s.offsets:
            out += _chunk(4, struct.pack("<Idd", number, at, offset))
        for first in range(0, len(s.times), 500):
            times, rows = s.times[first : first + 500], s.values[first : first + 500]
            body = struct.pack("<IBI", number, 4, len(times))
            body += b"".join(
                b"\x08" + struct.pack(f"<{1 + rows.shape[1]}d", t, *r) for t, r in zip(times, rows, strict=True)
            )
            out += _chunk(3, body)
        footer = (
            f"<info><first_timestamp>{s.times[0]}</first_timestamp><sample_count>{len(s.times)}</sample_count></info>"
        )
        out += _chunk(6, struct.pack("<I", number) + f'<?xml version="1.0"?>{footer}'.encode())
    if markers:
        out += _markers(len(streams) + 1, markers)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out)
    return path


def drifting(kind: str, start_s: float, seconds: float, rate_hz: float, drift: float, clock: float, **more) -> Stream:
    """A stream of sine waves of the common clock, told by a device whose clock is off by ``clock`` and drifts."""
    true = start_s + np.arange(int(seconds * rate_hz)) / rate_hz
    labels = more.get("labels", ("A", "B"))
    values = np.stack([np.sin(2 * np.pi * (0.3 + i) * true) for i in range(len(labels))], axis=1) * 50
    values += 60 if kind == "GSR" else 0  # skin conductance is above 0
    device = true * (1 + drift) + clock
    measured = np.arange(start_s - 2, start_s + seconds + 2, 2.0)
    offsets = tuple((t * (1 + drift) + clock, t - (t * (1 + drift) + clock)) for t in measured)
    return Stream(more.get("name", kind), kind, rate_hz, labels, more.get("unit", ""), device, values, offsets)
