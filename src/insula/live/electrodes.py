"""Where EEG electrodes sit on a head map."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from insula.models.blocks.scalp import places_10_05


@lru_cache(maxsize=8)
def places(channels: Sequence[str]) -> list[list[float]] | None:
    """Place each channel of the 10-05 system on the unit disc, nose up; None unless all of them are known.

    Azimuthal equidistant projection; the equator through Fpz, T7, Oz and T8 lies at 0.95.
    """
    at = {name.upper(): place for name, place in places_10_05().items()}
    if not channels or any(name.upper() not in at for name in channels):
        return None
    middle = np.mean([at[n] for n in ("FPZ", "OZ", "T7", "T8")], axis=0)
    out = []
    for name in channels:
        x, y, z = at[name.upper()] - middle
        angle = float(np.arctan2(np.hypot(x, y), z)) / (np.pi / 2)
        around = float(np.arctan2(y, x))
        radius = min(1.0, 0.95 * angle)
        out.append([round(radius * float(np.cos(around)), 4), round(radius * float(np.sin(around)), 4)])
    return out
