"""What the page may ask of the studio: small typed messages; everything else is refused."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from insula.errors import InputError

MAX_BYTES = 1 << 20
"""Longest message; a paste into a thousand cells fits."""
CELLS = 20_000
"""Most cells that one edit may change."""

Cell = Annotated[str, msgspec.Meta(max_length=4000)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Place = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Row = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]


class Open(msgspec.Struct, tag="open", forbid_unknown_fields=True):
    """Choose the folder of the study; the only message with a path."""

    path: Place


class Demo(msgspec.Struct, tag="demo", forbid_unknown_fields=True):
    """Choose simulated people instead."""


class Close(msgspec.Struct, tag="close", forbid_unknown_fields=True):
    """Leave the folder; nothing in it changes."""


class Draft(msgspec.Struct, tag="draft", forbid_unknown_fields=True):
    """Draft the table from the files (`insula init`)."""


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """One cell: row of the table (0 the first), column by name, new text."""

    row: Row
    column: Word
    value: Cell


class Edit(msgspec.Struct, tag="edit", forbid_unknown_fields=True):
    """Change cells, all or none."""

    changes: Annotated[list[Change], msgspec.Meta(min_length=1, max_length=CELLS)]


class Drop(msgspec.Struct, tag="drop", forbid_unknown_fields=True):
    """Take rows out of the table."""

    rows: Annotated[list[Row], msgspec.Meta(min_length=1, max_length=CELLS)]


class DropTrials(msgspec.Struct, tag="drop_trials", forbid_unknown_fields=True):
    """Take every row of some trials out of the table; a trial is its subject, session (only: none) and name."""

    trials: Annotated[list[tuple[Word, Word, Word]], msgspec.Meta(min_length=1, max_length=CELLS)]


class Fill(msgspec.Struct, tag="fill", forbid_unknown_fields=True):
    """Write one text into a column of many rows (None: all of them)."""

    column: Word
    value: Cell
    rows: Annotated[list[Row], msgspec.Meta(min_length=1, max_length=CELLS)] | None = None


class AddColumn(msgspec.Struct, tag="add_column", forbid_unknown_fields=True):
    """Add an empty column."""

    name: Word


class Rename(msgspec.Struct, tag="rename", forbid_unknown_fields=True):
    """Give a column another name."""

    column: Word
    name: Word


class DropColumn(msgspec.Struct, tag="drop_column", forbid_unknown_fields=True):
    """Take a column out of the table."""

    column: Word


class Undo(msgspec.Struct, tag="undo", forbid_unknown_fields=True):
    """Take the last change of the table back."""


class Redo(msgspec.Struct, tag="redo", forbid_unknown_fields=True):
    """Make the change that was taken back again."""


class Check(msgspec.Struct, tag="check", forbid_unknown_fields=True):
    """Read everything and say what is there (`insula data check`)."""


class Cutting(msgspec.Struct, tag="cutting", forbid_unknown_fields=True):
    """How trials are cut: window, hop and guard in seconds; None leaves it to the data set."""

    window_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] | None = None
    hop_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] | None = None
    guard_s: Seconds | None = None


class Choose(msgspec.Struct, tag="choose", forbid_unknown_fields=True):
    """Say what is to be recognised, under which protocol, and how deep: a rehearsal, a first look, or everything."""

    target: Word
    protocol: Word
    depth: Literal["rehearsal", "first", "everything"] = "first"


class Look(msgspec.Struct, tag="look", forbid_unknown_fields=True):
    """Read one person's signals and their quality (`insula data look`)."""

    subject: Word


class Train(msgspec.Struct, tag="train", forbid_unknown_fields=True):
    """Train and evaluate as chosen (`insula evaluate`)."""


class Stop(msgspec.Struct, tag="stop", forbid_unknown_fields=True):
    """End the work that is under way; what was there before it is as it was."""


class GoLive(msgspec.Struct, tag="live", forbid_unknown_fields=True):
    """Start the live page with a run's model (`insula live`); ``model`` is a person's where each has an own one."""

    run: Word
    source: Word
    model: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    subject: Word | None = None


class EndLive(msgspec.Struct, tag="end_live", forbid_unknown_fields=True):
    """End the live page."""


class Export(msgspec.Struct, tag="export", forbid_unknown_fields=True):
    """Write something of a run as a file: table, predictions, card or onnx."""

    run: Word
    what: Word
    model: Annotated[str, msgspec.Meta(max_length=200)] | None = None


Message = (
    Open
    | Demo
    | Close
    | Draft
    | Edit
    | Drop
    | DropTrials
    | Fill
    | AddColumn
    | Rename
    | DropColumn
    | Undo
    | Redo
    | Check
    | Cutting
    | Choose
    | Look
    | Train
    | Stop
    | GoLive
    | EndLive
    | Export
)

_decoder = msgspec.json.Decoder(Message)


def parse(raw: bytes) -> Message:
    """Read one message.

    Raises
    ------
    InputError : too long, no JSON, an unknown type or field, a value out of range.
    """
    if len(raw) > MAX_BYTES:
        raise InputError(f"message of {len(raw)} bytes; expected at most {MAX_BYTES}. Send less at once.")
    try:
        found: Message = _decoder.decode(raw)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeError, RecursionError) as error:
        raise InputError(
            f"message not understood ({error}); expected one of the documented ones. Load the page again."
        ) from None
    return found
