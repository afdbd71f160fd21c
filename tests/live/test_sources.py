"""Sources by name, the simulated person, and what is refused."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from insula.errors import InputError
from insula.live.certainty import certainty, verdict
from insula.live.chunks import Begin, Chunk
from insula.live.seat import Seat
from insula.live.sources.naming import open_source
from insula.live.sources.simulate import Simulated
from insula.live.watcher import schema_of


def test_the_simulated_person_loses_nothing_when_the_emotion_changes() -> None:
    source = Simulated("p01", speed=1e6)
    events = list(source.read(0.0) or [])
    for k in range(400):
        if k % 37 == 0:
            assert source.press(str(1 + k % 7)) is not None
        events += source.read(0.0) or []
        if sum(isinstance(e, Chunk) for e in events) > 6000:
            break
    assert source.press("hunger") is None
    assert [e.role for e in events if isinstance(e, Begin)] == ["baseline", "trial"]
    seat = Seat(*schema_of([e.stream for e in events if hasattr(e, "stream")][:5]))
    seat.offer(events)
    hops = []
    while (hop := seat.next_hop()) is not None:
        hops.append(hop)
    assert len(hops) > 50
    for name, lane in seat.lanes.items():
        assert (lane.counts.lost, lane.counts.late) == (0, 0), name
    assert all(hop.present.all() for hop in hops if hop.kind == "scored")


@pytest.mark.parametrize("text", ["replay:", "replay:nothing_like_it", "magic", "lsl:Muse", "simulate:p99"])
def test_sources_that_are_not_there(text: str) -> None:
    with pytest.raises(InputError):
        open_source(text)


def test_speed_is_for_recordings() -> None:
    with pytest.raises(InputError, match="hurried"):
        open_source("lsl", speed=2.0)
    with pytest.raises(InputError, match="above 0"):
        open_source("simulate", speed=-1.0)


def test_a_replay_by_name_and_by_file(recordings: Path) -> None:
    assert open_source("replay:simulate", options={"people": 1}, speed=math.inf).read(0.0)
    file = recordings / "eeglab_sample" / "eeglab_data_numerical_events.set"
    source = open_source(f"replay:{file}", speed=math.inf)
    chunk = next(e for _ in range(100) for e in source.read(0.0) or [] if isinstance(e, Chunk))
    assert chunk.modality == "eeg"


@pytest.mark.skipif(find_spec("brainflow") is None, reason="brainflow is not installed (extra of its own)")
def test_the_synthetic_board() -> None:
    source = open_source("brainflow:-1")
    try:
        events = [e for _ in range(100) for e in source.read(0.05) or []]
    finally:
        source.close()
    assert {e.modality for e in events if isinstance(e, Chunk)} >= {"eeg", "acc"}


def test_dont_know() -> None:
    names = ("a", "b", "c")
    assert verdict(np.empty(0), None, names)[0] is None
    assert verdict(np.array([0.34, 0.33, 0.33]), None, names) == (None, "no state stands out")
    assert verdict(np.array([0.6, 0.3, 0.1]), None, names)[0] == 0
    code, why = verdict(np.array([0.6, 0.3, 0.1]), np.array([0.4, 0.4, 0.4]), names)
    assert code is None
    assert "b" in why
    assert certainty(np.full(3, 1 / 3)) == pytest.approx(0.0, abs=1e-9)
    assert certainty(np.array([1.0, 0.0, 0.0])) == pytest.approx(1.0, abs=1e-6)
