"""LSL streams of another process: found, on this clock, lost and found again."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mne_lsl", reason="mne-lsl is not installed")

from insula.errors import InputError
from insula.live.chunks import Appeared, Begin, Chunk, Event, Vanished
from insula.live.sources.lsl import LSL
from insula.live.watcher import Watcher, schema_of

DEVICE = Path(__file__).parents[1] / "helpers" / "lsl_device.py"


@pytest.fixture(scope="module", autouse=True)
def _loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep LSL on this machine."""
    settings = tmp_path_factory.mktemp("lsl") / "lsl_api.cfg"
    settings.write_text("[multicast]\nResolveScope = machine\n[lab]\nKnownPeers = {127.0.0.1}\n[log]\nlevel = -3\n")
    before = os.environ.get("LSLAPICFG")
    os.environ["LSLAPICFG"] = str(settings)
    yield
    if before is None:
        del os.environ["LSLAPICFG"]
    else:
        os.environ["LSLAPICFG"] = before


class Device:
    def __init__(self, suffix: str, shift_s: float = 0.0) -> None:
        command = [sys.executable, str(DEVICE), suffix, str(shift_s)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == "streaming"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


def collect(source: LSL, enough: Callable[[list[Event]], bool], most: int = 3000) -> list[Event]:
    events: list[Event] = []
    for _ in range(most):
        events += source.read(0.02) or []
        if enough(events):
            return events
    raise AssertionError("the streams did not do what was waited for")


def eeg(events: list[Event]) -> tuple[np.ndarray, np.ndarray]:
    chunks = [e for e in events if isinstance(e, Chunk) and e.modality == "eeg"]
    if not chunks:
        return np.empty(0), np.empty(0)
    return np.concatenate([c.times_s for c in chunks]), np.concatenate([c.values[0] for c in chunks])


@pytest.mark.slow
def test_found_lost_found_again_and_on_another_clock() -> None:
    suffix = uuid.uuid4().hex[:8]
    source = LSL.named(f"eeg=eeg-{suffix},eda=eda-{suffix}")
    device = Device(suffix)
    try:
        events = collect(source, lambda e: len(eeg(e)[0]) > 256 and any(getattr(x, "modality", "") == "eda" for x in e))
        streams = {e.stream.modality: e.stream for e in events if isinstance(e, Appeared)}
        assert streams["eeg"].channels == ("F3", "F4", "O1", "O2")
        assert streams["eeg"].unit == "uV"
        assert streams["eda"].unit == "uS"
        assert sum(isinstance(e, Begin) for e in events) == 1
        times_s, values = eeg(events)
        assert abs(np.diff(times_s).mean() - 1 / 128) < 1e-4
        now_s = source.now_s()
        assert now_s is not None
        assert 0 <= now_s - times_s[-1] < 3.0
        start = source._start
        assert start is not None
        np.testing.assert_allclose(values, 5 + 20 * np.sin(2 * np.pi * (times_s + start)), atol=2.0)
        # what came is read by the watcher as it is by offline cleaning
        reader = Watcher(*schema_of(list(streams.values())))
        seat = reader.seat()
        reader.step(seat, events)
        assert seat.lanes["eeg"].counts.lost == 0

        device.kill()
        gone = collect(source, lambda e: sum(isinstance(x, Vanished) for x in e) >= 1)
        assert any(isinstance(e, Vanished) and e.modality == "eeg" for e in gone)
        device = Device(suffix, shift_s=-4000.0)
        back = collect(source, lambda e: len(eeg(e)[0]) > 64)
        again_s, _ = eeg(back)
        now_s = source.now_s()
        assert now_s is not None
        assert times_s[-1] < again_s[0] <= again_s[-1]
        assert abs(now_s - again_s[-1]) < 3.0
    finally:
        device.kill()
        source.close()


def test_names_are_checked() -> None:
    with pytest.raises(InputError, match="MODALITY=NAME"):
        LSL.named("Muse")
    with pytest.raises(InputError, match="MODALITY=NAME"):
        LSL.named("thought=Muse")
