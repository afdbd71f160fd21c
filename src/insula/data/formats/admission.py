"""Admission: which columns of a table may be channels of a modality, and why others may not.

Never a channel: times and counters, constants, copies of a label or of another channel, what belongs to another
modality, and what lies outside the range its modality can have. Every refusal is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from insula.data.formats import column_names as names
from insula.data.formats.clocks import progression
from insula.types import DoubleArray, Trial

RANGES: Mapping[tuple[str, str], tuple[float, float]] = {
    ("eda", "uS"): (-1.0, 150.0),
    ("temp", "degC"): (5.0, 50.0),
    ("face_temp", "degC"): (5.0, 50.0),
    ("hr", "1/min"): (20.0, 260.0),
    ("ibi", "s"): (0.2, 3.0),
    ("spo2", "%"): (40.0, 100.5),
    ("acc", "g"): (-32.0, 32.0),
}
"""What half of a channel's samples must lie within. Skin conductance: Boucsein (2012) up to some 100 uS; skin and face
temperature of the living; heart rate, intervals and acceleration: what the sensors themselves can tell."""
DEVIATIONS: Mapping[str, tuple[float, float]] = {
    "eeg": (0.05, 50_000.0),
    "eog": (0.05, 50_000.0),
    "ecg": (0.5, 100_000.0),
    "emg": (0.01, 100_000.0),
}
"""Median absolute difference from the median, in microvolts, that a channel of a voltage must have."""
NOT_A_SIGNAL = {
    names.TIME: "a time",
    names.COUNTER: "a counter or index",
    names.LABEL: "a label or an event marker",
    names.DEVICE: "a value of the device",
}


@dataclass(frozen=True)
class Refused:
    """A column that is no channel, and why; ``masked`` when it stays as a channel without values (it is constant)."""

    name: str
    why: str
    masked: bool = False

    def __str__(self) -> str:
        return f"{self.name!r} ({self.why})"


def by_name(columns: Sequence[str], modality: str) -> tuple[list[str], list[Refused]]:
    """Choose columns by their names: those of the modality if there are any, else those whose name says nothing."""
    kinds = {name: names.kind_for(name, modality) for name in columns}
    own = [name for name in columns if kinds[name] == modality]
    related = [name for name in columns if names.serves(modality, kinds[name])]
    kept = own or related or [name for name in columns if not kinds[name]]
    refused: list[Refused] = []
    for name in columns:
        if name in kept:
            continue
        found = kinds[name]
        why = NOT_A_SIGNAL.get(found) or (f"named like {found}" if found else f"not named like {modality}")
        refused.append(Refused(name, why))
    return kept, refused


def by_values(
    values: Mapping[str, DoubleArray],
    modality: str,
    unit: str,
    *,
    sensors: bool = False,
    others: Mapping[str, DoubleArray] | None = None,
) -> list[Refused]:
    """Find columns that no sensor of the modality can have given.

    Parameters
    ----------
    values : (rows,) numbers a candidate, NaN where missing.
    modality, unit : what they are said to be.
    sensors : the columns are known to be sensors (by name or by request): a constant one is masked, not left out.
    others : (rows,) numbers of labels and markers of the same table, which no channel may repeat.
    """
    refused: list[Refused] = []
    seen: dict[str, DoubleArray] = {}
    for name, column in values.items():
        known = column[np.isfinite(column)]
        if known.size < 2:
            continue
        counting = progression(column)
        if counting is not None:
            refused.append(Refused(name, counting))
        elif known.min() == known.max():
            refused.append(Refused(name, f"constant {known[0]:g} over {known.size} samples", masked=sensors))
        elif (label := _copied(column, others or {})) is not None:
            refused.append(Refused(name, f"a copy of {label!r}"))
        elif (twin := _copied(column, seen)) is not None:
            refused.append(Refused(name, f"a copy of channel {twin!r}", masked=False))
        elif (why := out_of_range(known, modality, unit)) is not None:
            refused.append(Refused(name, why))
        else:
            seen[name] = column
    return refused


def out_of_range(known: DoubleArray, modality: str, unit: str) -> str | None:
    """Say why (samples,) finite values cannot be a modality in a unit, or None."""
    middle = float(np.median(known))
    if (modality, unit) in RANGES:
        low, high = RANGES[modality, unit]
        if not low <= middle <= high:
            return f"middle {middle:.4g} {unit}; {modality} has {low:g} to {high:g} {unit}"
    if unit == "uV" and modality in DEVIATIONS:
        low, high = DEVIATIONS[modality]
        spread = float(np.median(np.abs(known - middle)))
        if spread > high or (0 < spread < low and np.ptp(known) < low * 100):
            return f"varies by {spread:.3g} {unit}; {modality} varies by {low:g} to {high:g} {unit}"
    return None


GRAVITY: Mapping[str, tuple[float, float]] = {
    "g": (0.5, 2.0),
    "m/s^2": (6.0, 16.0),
    "g/64": (32.0, 128.0),
    "mg": (500.0, 2000.0),
}
"""Unit of acceleration -> what the middle length of (x, y, z) is in it on a body, mostly gravity."""


def unit_by_gravity(values: Mapping[str, DoubleArray]) -> tuple[str, str]:
    """Tell the unit of three axes of acceleration by gravity: (unit, why); no unit where gravity has no known size.

    Nothing is told of other numbers of axes, of gravity taken out (lengths below half a g), and of g itself.
    """
    if len(values) != 3:
        return "g", ""
    length = float(np.nanmedian(np.sqrt(sum(np.square(v) for v in values.values()))))
    if not length >= GRAVITY["m/s^2"][0]:
        return "g", ""
    unit = next((u for u, (low, high) in GRAVITY.items() if low <= length <= high), "")
    if not unit:
        return "", f"middle length {length:.4g}; gravity is 1 g, 9.81 m/s^2 or 1000 mg"
    return unit, f"acceleration is read as {unit}: its middle length is that of gravity in this unit"


def answer(trials: Sequence[Trial]) -> tuple[str, str, str] | None:
    """Find a channel that never changes within a trial and tells a label of all of them: (modality, channel, label).

    At least four labelled trials and two labels are needed to tell.
    """
    scored = [t for t in trials if t.role == "trial" and t.labels]
    for modality in dict.fromkeys(m for t in scored for m in t.signals):
        held = [t for t in scored if modality in t.signals]
        for row, channel in enumerate(held[0].signals[modality].channels):
            levels = [_level(t, modality, row) for t in held]
            if len(held) < 4 or any(level is None for level in levels):
                continue
            for label in held[0].labels:
                told = [str(t.labels.get(label)) for t in held]
                pairs = set(zip(levels, told, strict=True))
                if len(set(told)) > 1 and len(pairs) == len(set(told)) == len(set(levels)):
                    return modality, channel, label
    return None


def _level(trial: Trial, modality: str, row: int) -> float | None:
    values = trial.signals[modality].values
    if row >= len(values) or values.shape[1] < 2 or not np.isfinite(values[row]).all():
        return None
    low, high = float(values[row].min()), float(values[row].max())
    return low if low == high else None


def remedy(modality: str, refused: Sequence[Refused]) -> str:
    """Say what to do where every column was refused."""
    if any("; " in one.why for one in refused):
        return "If the values are in another unit, name it in the column unit (for instance V, kOhm, ms, degF, a.u.)."
    return f"Name the columns of {modality} in the column channels."


def _copied(column: DoubleArray, others: Mapping[str, DoubleArray]) -> str | None:
    """Return the name of a column that this one repeats, perhaps in another unit or with another zero."""
    for name, other in others.items():
        both = np.isfinite(column) & np.isfinite(other)
        if both.sum() < 2 or both.sum() < 0.9 * np.isfinite(column).sum():
            continue
        a, b = column[both] - column[both].mean(), other[both] - other[both].mean()
        power = float(b @ b)
        if power == 0 or a.size < 8:
            continue
        rest = a - (a @ b) / power * b
        if float(np.abs(rest).max()) <= 1e-6 * float(np.abs(a).max()):
            return name
    return None
