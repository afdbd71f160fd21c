"""A few people's EEG whose sources are alike and whose caps mix them differently: a person is easy to tell."""

from __future__ import annotations

from functools import cache

import numpy as np

from insula.signals.recipe import Recipe, SignalRecipe
from insula.types import DoubleArray, Recording, Signal, Trial
from insula.windows.cutting import cut
from insula.windows.table import Windows

CHANNELS = ("F3", "F4", "P3", "P4")
RATE_HZ = 64.0
RECIPE = Recipe(signals={"eeg": SignalRecipe(rate_hz=RATE_HZ)}, window_s=2.0, hop_s=2.0, guard_s=0.0)
PEOPLE = ("ann", "bob", "cyd", "dan")


def mixing(person: str) -> DoubleArray:
    """How a person's cap mixes sources: symmetric, so that whitening undoes it."""
    rng = np.random.default_rng([7, *map(ord, person)])
    a = rng.standard_normal((4, 4))
    return np.eye(4) + 0.35 * (a @ a.T)


def recording(person: str, trials: int = 8, seed: int = 0, gain: float = 1.0) -> Recording:
    """A minute of rest, then trials whose first source is strong (high) or weak (low); ``gain`` is that of trials."""
    rng = np.random.default_rng([seed, *map(ord, person)])
    found, at = [], 0.0
    for i in range(trials + 1):
        high = bool((i + PEOPLE.index(person)) % 2)
        size = np.array([1.0, 1.0, 1.0, 1.0]) if i == 0 else gain * np.array([1.6 if high else 0.6, 1.0, 1.0, 1.0])
        seconds = 30.0 if i == 0 else 8.0
        sources = rng.standard_normal((4, round(seconds * RATE_HZ))) * size[:, None]
        values = (10 * mixing(person) @ sources).astype(np.float32)
        signal = Signal(values, RATE_HZ, CHANNELS, "uV", at)
        labels = {} if i == 0 else {"state": "high" if high else "low"}
        role = "baseline" if i == 0 else "trial"
        found.append(Trial(person, "s1", f"t{i}", at, at + seconds, {"eeg": signal}, labels, None, role))  # type: ignore[arg-type]
        at += seconds + 1.0
    return Recording(person, "s1", tuple(found))


@cache
def windows() -> Windows:
    return cut([recording(name) for name in PEOPLE], RECIPE, "state")


def people_told(embedding: DoubleArray, people: list[str]) -> float:
    """How well a person is told from an embedding: accuracy of a linear classifier on every second window."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x, names = StandardScaler().fit_transform(embedding), np.asarray(people)
    model = LogisticRegression(max_iter=2000).fit(x[::2], names[::2])
    return float(model.score(x[1::2], names[1::2]))
