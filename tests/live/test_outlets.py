"""Decisions and markers for other programs: OSC and LSL."""

from __future__ import annotations

import socket
import uuid

import pytest

from insula.errors import InputError
from insula.live.outlets import LSLOutlet, OSCOutlet

MESSAGE = {"classes": ["calm", "tense"], "chances": [0.25, 0.75], "label": "tense", "certainty": 0.19}


def test_osc() -> None:
    pytest.importorskip("pythonosc", reason="python-osc is not installed")
    from pythonosc.osc_message import OscMessage

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        outlet = OSCOutlet.to(f"127.0.0.1:{receiver.getsockname()[1]}")
        outlet.decision(MESSAGE)
        outlet.marker("calm")
        found = {}
        for _ in range(5):
            message = OscMessage(receiver.recv(2048))
            found[message.address] = message.params[0]
        outlet.close()
    assert found["/insula/chance/tense"] == pytest.approx(0.75)
    assert found["/insula/state"] == "tense"
    assert found["/insula/marker"] == "calm"
    for wrong in ("nowhere", "host:port", "host:0", "host:70000"):
        with pytest.raises(InputError, match="HOST:PORT"):
            OSCOutlet.to(wrong)


@pytest.mark.slow
def test_lsl(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mne_lsl", reason="mne-lsl is not installed")
    from mne_lsl.lsl import StreamInlet, resolve_streams

    import insula.live.outlets as outlets

    suffix = uuid.uuid4().hex[:8]
    monkeypatch.setattr(outlets, "DECISIONS", f"decisions-{suffix}")
    monkeypatch.setattr(outlets, "MARKERS", f"markers-{suffix}")
    outlet = LSLOutlet(("calm", "tense"))
    try:
        decisions = StreamInlet(resolve_streams(timeout=20, name=f"decisions-{suffix}")[0])
        markers = StreamInlet(resolve_streams(timeout=20, name=f"markers-{suffix}")[0])
        decisions.open_stream(timeout=10)
        markers.open_stream(timeout=10)
        outlet.decision(MESSAGE)
        outlet.marker("calm")
        sample, _ = decisions.pull_sample(timeout=10)
        text, _ = markers.pull_sample(timeout=10)
        assert sample.tolist() == pytest.approx([0.25, 0.75, 0.19])
        assert text[0] == "calm"
        assert decisions.get_sinfo().get_channel_names() == ["calm", "tense", "certainty"]
    finally:
        outlet.close()
