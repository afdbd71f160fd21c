"""What the files of a store say, checked before anything is done with it: no path of them leads out of its set."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

import msgspec

from insula.errors import DataError
from insula.types import Role

DataId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 48)]
Rows = Annotated[int, msgspec.Meta(ge=1, lt=1 << 32)]


class TrialRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One trial: where each modality lies as (array, first row, rows, first second, seconds)."""

    trial: str
    start_s: float
    stop_s: float
    stimulus: str | None
    role: Role
    labels: dict[str, str | bool | int | float]
    bad: dict[str, tuple[str, ...]]
    places: dict[str, tuple[str, Count, Count, Count, Count]]


class SessionRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One session: its arrays as path -> (channels, rate in Hz, unit, rows a chunk of each kind)."""

    session: str
    traits: dict[str, float]
    provenance: dict[str, Any]
    arrays: dict[str, tuple[tuple[str, ...], float, str, dict[str, Rows]]]
    trials: tuple[TrialRecord, ...]


class ProblemRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a reader had to say about a file."""

    file: str
    what: str
    fatal: bool


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One person of a set."""

    subject: str
    data: DataId
    sessions: tuple[SessionRecord, ...]
    problems: tuple[ProblemRecord, ...] = ()


class SetRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a set was made from; all but ``insula`` gives its key."""

    reader: str
    options: dict[str, Any]
    signals: dict[str, dict[str, Any]]
    source: str
    reading: int
    cleaning: int
    format: int
    insula: str


class Marker(msgspec.Struct, frozen=True):
    """The file that says that a folder is a store."""

    format: int


def decode(content: bytes, kind: type[Any], where: str) -> Any:
    """Read one file of a store into its record, or say in a DataError which file does not hold one."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DataError(
            f"{where} is no record of a store ({error}); expected what insula wrote. Delete the store and fill it anew."
        ) from None


def decode_person(content: bytes, key: str, where: str) -> Record:
    """Read a person's record of set ``key``; its arrays lie in the record's own folder of samples, or it is refused."""
    record: Record = decode(content, Record, where)
    own = re.compile(rf"{re.escape(key)}/data/{record.data}/[0-9]+/[A-Za-z0-9_]+(-[0-9]+)?")
    for session in record.sessions:
        for path, (channels, rate_hz, _, rows) in session.arrays.items():
            if not own.fullmatch(path) or not channels or not 0 < rate_hz < math.inf or "values" not in rows:
                raise _forged(where, f"array {path[:80]!r}")
        for trial in session.trials:
            if not -math.inf < trial.start_s <= trial.stop_s < math.inf:
                raise _forged(where, f"trial from {trial.start_s} to {trial.stop_s} s")
            if any(place[0] not in session.arrays for place in trial.places.values()):
                raise _forged(where, "a trial in an array that is not there")
    return record


def _forged(where: str, what: str) -> DataError:
    return DataError(
        f"{where} names {what}; expected samples of its own in the store. Delete the store and fill it again."
    )
