"""Where decisions and markers go besides the page: LSL streams and OSC messages."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from insula.errors import InputError

DECISIONS, MARKERS = "insula-decisions", "insula-markers"


class LSLOutlet:
    """Two LSL streams: the chances of all classes (float32, one channel a class, then certainty), and markers (text).

    Parameters
    ----------
    classes : of the saved model; without one only markers go out.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        if find_spec("mne_lsl") is None:
            raise InputError("mne-lsl not installed; expected insula[live]. pip install 'insula[live]'.")
        from mne_lsl.lsl import StreamInfo, StreamOutlet

        self.classes = tuple(classes)
        self._decisions: Any = None
        if self.classes:
            info = StreamInfo(DECISIONS, "Emotion", len(self.classes) + 1, 0.0, "float32", "insula-decisions")
            info.set_channel_names([*self.classes, "certainty"])
            self._decisions = StreamOutlet(info)
        self._markers: Any = StreamOutlet(StreamInfo(MARKERS, "Markers", 1, 0.0, "string", "insula-markers"))

    def decision(self, message: dict[str, Any]) -> None:
        """Send one decision; nothing when nothing could be said."""
        import numpy as np

        chances = message["chances"]
        if self._decisions is not None and len(chances) == len(self.classes):
            self._decisions.push_sample(np.array([*chances, message["certainty"]], np.float32))

    def marker(self, text: str) -> None:
        """Send a marker."""
        self._markers.push_sample([text])

    def close(self) -> None:
        """End the streams."""
        self._decisions = self._markers = None


class OSCOutlet:
    """OSC over UDP: /insula/chance/CLASS float, /insula/state text ("" for don't know), /insula/certainty float,
    /insula/marker text."""

    def __init__(self, host: str, port: int) -> None:
        if find_spec("pythonosc") is None:
            raise InputError("python-osc not installed; expected insula[live]. pip install 'insula[live]'.")
        from pythonosc.udp_client import SimpleUDPClient

        self._client = SimpleUDPClient(host, port)

    @classmethod
    def to(cls, address: str) -> OSCOutlet:
        """Open HOST:PORT."""
        host, found, port = address.rpartition(":")
        if not found or not port.isdigit() or not 0 < int(port) < 65536:
            raise InputError(f"OSC address {address!r}; expected HOST:PORT, e.g. 127.0.0.1:9000.")
        return cls(host, int(port))

    def decision(self, message: dict[str, Any]) -> None:
        """Send one decision."""
        for name, chance in zip(message["classes"], message["chances"], strict=False):
            self._send(f"/insula/chance/{name}", float(chance))
        self._send("/insula/state", message["label"] or "")
        self._send("/insula/certainty", float(message["certainty"]))

    def marker(self, text: str) -> None:
        """Send a marker."""
        self._send("/insula/marker", text)

    def _send(self, path: str, value: float | str) -> None:
        try:
            self._client.send_message(path, value)
        except OSError:  # nobody listens: UDP may say so, and nobody needs to know
            return

    def close(self) -> None:
        """Nothing to close but the socket."""
        self._client._sock.close()
