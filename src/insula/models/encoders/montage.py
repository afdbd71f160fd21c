"""Electrodes of a recording among those that an encoder knows, by name; one that it does not know is an error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from insula.errors import InputError
from insula.models.blocks.scalp import OLDER
from insula.types import InputSpec

NEWER = {new: old for old, new in OLDER.items()}
T = TypeVar("T")


def electrodes(spec: InputSpec, title: str) -> tuple[str, ...]:
    """Names of the EEG channels; InputError where they are not known."""
    names = tuple(spec.channels.get("eeg", ()))
    if len(names) != spec.signals["eeg"][0]:
        raise InputError(
            f"{title} on EEG whose channels have no names; expected names of the 10-20 system. Name them in the data."
        )
    return names


def known_as(name: str, known: Iterable[str]) -> str | None:
    """What an encoder calls an electrode: the same name in any case, without ``EEG`` and ``-REF``, new or old."""
    at = {one.upper(): one for one in known}
    plain = re.sub(r"^EEG[ _-]*|[ _-]*(REF|LE|AR|AVG)$", "", name.strip().upper())
    for one in (name.strip().upper(), plain, OLDER.get(plain, ""), NEWER.get(plain, "")):
        if one in at:
            return at[one]
    return None


def placed(names: Sequence[str], known: Mapping[str, T], title: str) -> list[T]:
    """What an encoder knows of each channel; InputError that names those it does not know."""
    found = [known_as(name, known) for name in names]
    strange = [name for name, one in zip(names, found, strict=True) if one is None]
    if strange:
        some = ", ".join(list(known)[:12])
        raise InputError(
            f"{title} does not know the channel{'s' if len(strange) > 1 else ''} {', '.join(strange)}; expected those "
            f"of its own list ({some}{', ..' if len(known) > 12 else ''}). Rename or leave out channels in the data."
        )
    return [known[one] for one in found if one is not None]
