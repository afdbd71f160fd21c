"""Places of electrodes on a square map, from their names in the 10-20 system and its finer relatives."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

import torch
from torch import Tensor

SIDE = 9
"""Rows and columns of a map: from Fp to O, from ear to ear."""
_ROWS = {
    "FP": 0, "AF": 1, "F": 2, "FC": 3, "FT": 3, "C": 4, "T": 4, "CP": 5, "TP": 5, "P": 6, "PO": 7, "O": 8, "I": 8,
    "CB": 8,
}  # fmt: skip
OLDER = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
_NAME = re.compile(r"^([A-Z]+?)(Z|\d+)$")


def cell(name: str) -> int | None:
    """Number of an electrode's cell (row by row, nose up), None for a name of no known place."""
    match = _NAME.match(OLDER.get(name.upper(), name.upper()))
    if match is None or match[1] not in _ROWS:
        return None
    middle = SIDE // 2
    if match[2] == "Z":
        return _ROWS[match[1]] * SIDE + middle
    number = int(match[2])
    away = min((number + 1) // 2, middle)
    return _ROWS[match[1]] * SIDE + (middle - away if number % 2 else middle + away)


def scalp_map(channels: Sequence[str], count: int) -> Tensor:
    """Matrix (cells, C) that lays electrodes on a map of `SIDE` x `SIDE`, those of one cell averaged.

    Where names are missing or fewer than half of them are known, electrodes are laid in their order from the first
    cell on (every so many cells, more than one a cell where there are more electrodes than cells).
    """
    cells = SIDE * SIDE
    found = [cell(name) for name in channels]
    if len(found) != count or sum(c is not None for c in found) * 2 < count:
        found = [i * cells // max(count, 1) for i in range(count)]
    laid = torch.zeros(cells, count)
    for electrode, place in enumerate(found):
        if place is not None:
            laid[place, electrode] = 1.0
    return laid / laid.sum(1, keepdim=True).clamp_min(1.0)


@cache
def places_10_05() -> Mapping[str, tuple[float, float, float]]:
    """Place (x right, y front, z up, in metres) of every electrode of the 10-05 system, as mne has them."""
    import mne

    name = next(n for n in ("colin27_1005", "standard_1005") if n in mne.channels.get_builtin_montages())
    known = mne.channels.make_standard_montage(name).get_positions()["ch_pos"]
    return {str(electrode): (float(at[0]), float(at[1]), float(at[2])) for electrode, at in known.items()}
