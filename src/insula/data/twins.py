"""The same samples twice: one recording under two names would be trained on and tested."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from insula.types import Signal, Trial

_COMPARED = 4096
"""Samples of a channel that are compared; nobody's skin repeats sixteen of them."""
_FEWEST = 16


def twins(trials: Sequence[Trial]) -> list[str]:
    """Say which trials have the same samples of a modality, in words, one a pair of people (or a person's trials)."""
    seen: dict[tuple[str, bytes], Trial] = {}
    pairs: dict[tuple[str, str], list[tuple[Trial, Trial, str]]] = {}
    for trial in trials:
        for modality, signal in trial.signals.items():
            mark = _mark(signal)
            if mark is None:
                continue
            first = seen.setdefault((modality, mark), trial)
            if first is not trial:
                pairs.setdefault((first.subject, trial.subject), []).append((first, trial, modality))
    return [_told(*pair, found) for pair, found in pairs.items()]


def _told(one: str, other: str, found: Sequence[tuple[Trial, Trial, str]]) -> str:
    first, again, modality = found[0]
    trials = len({trial.key for _, trial, _ in found})
    where = f"{modality} of {'/'.join(again.key)} is that of {'/'.join(first.key)}, sample by sample"
    more = f" ({trials} trials like that)" if trials > 1 else ""
    if one == other:
        return f"{where}{more}; the same recording twice would be trained on and tested. Remove one of them"
    return f"{where}{more}: is {other} a copy of {one}? A person under two names is trained on and tested. Remove one"


def _mark(signal: Signal) -> bytes | None:
    values = np.ascontiguousarray(signal.values[0, :_COMPARED], np.float32)
    known = values[np.isfinite(values)]
    if known.size < _FEWEST or np.unique(known).size < _FEWEST:
        return None
    return hashlib.blake2b(values.tobytes(), digest_size=16).digest()
