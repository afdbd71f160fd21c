"""Sources by the text that a user writes: replay:WHAT, simulate, lsl, brainflow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from insula.errors import InputError, unknown_name
from insula.live.chunks import Source

KINDS = ("replay", "simulate", "lsl", "brainflow")


def open_source(
    text: str,
    *,
    speed: float = 1.0,
    root: Path | None = None,
    subject: str | None = None,
    loop: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Source:
    """Open a source.

    ``replay:NAME`` plays a data set of `insula data list` (``root``: its folder), ``replay:PATH`` a manifest or a file
    that MNE reads; ``simulate`` or ``simulate:p02`` a simulated person; ``lsl`` all streams of known types, or
    ``lsl:eeg=NAME,eda=NAME`` those; ``brainflow:ID`` a board (-1: the synthetic one).

    Raises
    ------
    InputError : an unknown kind or a missing extra.
    """
    kind, _, rest = text.partition(":")
    if not speed > 0:
        raise InputError(f"speed {speed:g}; expected above 0.")
    if kind not in KINDS:
        raise unknown_name("source", kind, KINDS)
    if kind == "replay":
        from insula.live.sources.replay import Replay

        return Replay(_recording(rest, root, subject, options or {}), speed, loop=loop)
    if kind == "simulate":
        from insula.live.sources.simulate import Simulated

        return Simulated(rest or "p01", speed)
    if not math.isclose(speed, 1.0):
        raise InputError(f"speed {speed:g} for a device; expected 1. Devices cannot be hurried.")
    if kind == "lsl":
        from insula.live.sources.lsl import LSL

        return LSL.named(rest)
    from insula.live.sources.brainflow import Brainflow

    return Brainflow(rest or "-1")


def _recording(what: str, root: Path | None, subject: str | None, options: Mapping[str, Any]) -> Any:
    """Read the recording that is to be played: the first one, or the person's."""
    from insula.data import READERS, load, people

    if not what:
        raise InputError("replay of nothing; expected replay:NAME or replay:PATH. Name a data set or a file.")
    name, path = what, root
    if what not in READERS:
        path = Path(what)
        if not path.exists():
            raise unknown_name("data set or file", what, READERS)
        manifest = path.suffix == ".csv" or (path / "manifest.csv").exists()
        name = "manifest" if manifest else "pseudo_trials"
    wanted: tuple[str, ...] | None = (subject,) if subject else None
    if wanted is None:
        known = people(name, path, **options)
        wanted = known[:1] if known else None
    return load(name, path, subjects=wanted, **options)[0]
