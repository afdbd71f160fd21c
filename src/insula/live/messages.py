"""What a page or a program may say to the server: small typed messages, everything else is refused."""

from __future__ import annotations

from typing import Annotated

import msgspec

from insula.errors import InputError

MAX_BYTES = 4096
"""Longest message."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=r"^[\w .-]+$")]
Seconds = Annotated[float, msgspec.Meta(ge=1, le=600)]


class Label(msgspec.Struct, tag="label", forbid_unknown_fields=True):
    """The last ``seconds`` were ``name``."""

    name: Name
    seconds: Seconds


class Undo(msgspec.Struct, tag="undo", forbid_unknown_fields=True):
    """Take the last label back; what was learned from it goes with it."""


class Forget(msgspec.Struct, tag="forget", forbid_unknown_fields=True):
    """Forget the personal model; labels stay."""


class Adapt(msgspec.Struct, tag="adapt", forbid_unknown_fields=True):
    """Learn from the labels now."""


class AddClass(msgspec.Struct, tag="class", forbid_unknown_fields=True):
    """Without a model: a new thing to recognise."""

    name: Name


class Key(msgspec.Struct, tag="key", forbid_unknown_fields=True):
    """A key for the source: the simulator changes its emotion."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=20)]


class Save(msgspec.Struct, tag="save", forbid_unknown_fields=True):
    """Write the personal model into the folder that was chosen at the start."""


class Record(msgspec.Struct, tag="record", forbid_unknown_fields=True):
    """Record into the folder that was chosen at the start, or stop."""

    on: bool


class Calibrate(msgspec.Struct, tag="calibrate", forbid_unknown_fields=True):
    """Begin the guided calibration, or stop it."""

    on: bool


class Ping(msgspec.Struct, tag="ping", forbid_unknown_fields=True):
    """Measure the way to the page and back; ``sent`` comes back as it is."""

    sent: float


Message = Label | Undo | Forget | Adapt | AddClass | Key | Save | Record | Calibrate | Ping

_decoder = msgspec.json.Decoder(Message)


def parse(text: str | bytes) -> Message:
    """Read one message.

    Raises
    ------
    InputError : too long, no JSON, an unknown type or field, a value out of range.
    """
    raw = text.encode() if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise InputError(f"message of {len(raw)} bytes; expected at most {MAX_BYTES}. Send less at once.")
    try:
        found: Message = _decoder.decode(raw)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeError) as error:
        raise InputError(f"message not understood ({error}); expected one of the documented ones.") from None
    return found


class Allowance:
    """How many messages a client may send: ``rate`` a second, ``burst`` at once."""

    def __init__(self, rate: float = 20.0, burst: float = 40.0) -> None:
        self.rate, self.burst = rate, burst
        self._left, self._at = burst, None if burst else 0.0

    def spend(self, now_s: float) -> bool:
        """Take one; False when there is none left."""
        if self._at is not None:
            self._left = min(self.burst, self._left + (now_s - self._at) * self.rate)
        self._at = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
