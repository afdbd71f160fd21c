"""Targets that are shares of several emotions: what one person rated, or what several annotators said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from insula.errors import InputError, unknown_name
from insula.types import DoubleArray, Label

_NUMBER = r"-?\d+(?:\.\d+)?"
_RATED = re.compile(rf"^mix\((?P<names>[\w.-]+(?:,[\w.-]+)*)\)(?::from=(?P<low>{_NUMBER}))?$")
_VOICED = re.compile(r"^annotators\((?P<name>[\w.-]+)\)$")


@dataclass(frozen=True)
class Mixture:
    """A target whose truth is a distribution over emotions.

    ``"mix(joy,fear,sadness)"``: ratings of each emotion, shared out to sum to 1. A scale that begins above 0 says so:
    ``"mix(joy,fear):from=1"``. A rating that is missing is the mean of those of the annotators (``joy.anna``,
    ``joy.ben``), where there are some. ``"annotators(emotion)"``: the share of the annotators (columns
    ``emotion.anna``, ``emotion.ben``) who named each class.
    A trial in which nothing was felt at all (all ratings at the scale's beginning) has no shares and is left out.
    """

    names: tuple[str, ...]
    voiced: bool = False
    low: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Mixture | None:
        """Read a target without spaces; None where it is of another kind."""
        voiced = _VOICED.match(text)
        if voiced is not None:
            return cls((voiced["name"],), True)
        rated = _RATED.match(text)
        if rated is None:
            return None
        names = tuple(rated["names"].split(","))
        if len(set(names)) < max(2, len(names)):
            raise InputError(f"target {text!r}; expected two emotions or more, each once. Name others.")
        return cls(names, False, float(rated["low"] or 0))

    def __str__(self) -> str:
        if self.voiced:
            return f"annotators({self.names[0]})"
        return f"mix({','.join(self.names)})" + (f":from={self.low:g}" if self.low else "")

    def of(self, labels: Mapping[str, Label]) -> tuple[Label, ...] | None:
        """Return a trial's shares (K,), or the classes its annotators named; None where there are none."""
        if self.voiced:
            return tuple(str(v) for _, v in _voices(self.names[0], labels)) or None
        ratings = [_rating(name, labels) for name in self.names]
        if any(r is None for r in ratings):
            return None
        above = np.array([float(r or 0) - self.low for r in ratings])
        if (above < 0).any():
            raise InputError(
                f"{self} with a rating of {above.min() + self.low:g}; expected {self.low:g} or more. Say where the "
                f"scale begins: mix({','.join(self.names)}):from=NUMBER."
            )
        return tuple((above / above.sum()).tolist()) if above.sum() > 0 else None

    def shares(self, told: Sequence[tuple[Label, ...]]) -> tuple[DoubleArray, tuple[str, ...]]:
        """Turn what `of` returned for each trial into shares (trials, K) and class names."""
        if not self.voiced:
            return np.asarray(told, np.float64), self.names
        classes = tuple(sorted({str(v) for voices in told for v in voices}))
        counts = np.array([[voices.count(c) for c in classes] for voices in told], np.float64)
        return counts / counts.sum(1, keepdims=True), classes

    def require(self, known: Iterable[str]) -> None:
        """Raise unless some trial carries each rating, or a voice of some annotator."""
        labels = dict.fromkeys(known, 0.0)
        for name in self.names:
            if (self.voiced or name not in labels) and not _voices(name, labels):
                raise unknown_name("annotations of" if self.voiced else "rating", name, labels)


def is_mixed(target: str) -> bool:
    """Say whether a target, as a schema keeps it, is a distribution over its classes."""
    return Mixture.parse(target) is not None


def _voices(name: str, labels: Mapping[str, Label]) -> list[tuple[str, Label]]:
    """Labels ``name.ANNOTATOR``, without those that are missing."""
    return [(k, v) for k, v in labels.items() if k.startswith(f"{name}.") and v == v]


def _rating(name: str, labels: Mapping[str, Label]) -> float | None:
    """A trial's own rating, or the mean of its annotators'."""
    found = [labels[name]] if name in labels else [v for _, v in _voices(name, labels)]
    for value in found:
        if isinstance(value, str):
            raise InputError(f"mix of {name!r}, which is text ({value!r}); expected numbers. Use annotators({name}).")
    known = [float(v) for v in found if v == v]
    return float(np.mean(known)) if known else None
