"""Small simulated windows with the modalities that a registered network reads."""

from __future__ import annotations

from functools import cache

from insula.data import load
from insula.models import card
from insula.signals.recipe import Recipe, SignalRecipe
from insula.types import Recording
from insula.windows.cutting import cut
from insula.windows.table import Windows

_SIGNALS = {
    "eeg": SignalRecipe(128.0, 1.0, 45.0, reference="average"),
    "eda": SignalRecipe(4.0),
    "ecg": SignalRecipe(128.0),
    "eye": SignalRecipe(60.0),
    "self_report": SignalRecipe(1.0),
}
_WITH = {"self_report": ("eda",)}
"""Modalities that a network of these cannot do without either."""


@cache
def _people() -> tuple[Recording, ...]:
    found = load("simulate", people=1, trials_per_emotion=1, trial_s=12.0, self_report=True, eyes=True)
    return tuple(found)


def windows_for(name: str) -> Windows:
    """Windows of 4 s for a registered network: what it reads, or EEG and skin conductance."""
    reads = card(name).reads or ("eeg", "eda")
    wanted = tuple(dict.fromkeys([*reads, *(m for r in reads for m in _WITH.get(r, ()))]))
    recipe = Recipe(signals=_SIGNALS, window_s=4.0, hop_s=2.0, guard_s=0.0)
    return cut(_people(), recipe, "emotion", modalities=wanted)
