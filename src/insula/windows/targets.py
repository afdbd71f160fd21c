"""What is to be recognised: a target's name, its kind and its threshold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from insula.errors import InputError, unknown_name
from insula.types import DoubleArray, IntArray, Label
from insula.windows.mixing import Mixture

Told = Label | tuple[Label, ...]
"""What one trial says about a target: its label, the two ratings of quadrants, or the shares of a mixture."""
_OPPOSITE = {">=": "<", ">": "<=", "<=": ">", "<": ">="}
Kind = Literal["auto", "classes", "continuous", "threshold", "quadrants", "median", "bins", "mix"]
FORMS = (
    "NAME, NAME>=NUMBER, NAME>median, NAME,NAME>=NUMBER, NAME:classes, NAME:continuous, NAME:bins=NUMBER,NUMBER, "
    "mix(NAME,NAME) or annotators(NAME)"
)
_SYNTAX = re.compile(
    r"^(?P<name>[\w.-]+)(?:,(?P<second>[\w.-]+))?"
    r"(?:(?P<op>>=|>|<=|<)(?:(?P<value>-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)|(?P<median>median))|:(?P<kind>classes|continuous)"
    r"|:bins=(?P<edges>-?\d+(?:\.\d+)?(?:,-?\d+(?:\.\d+)?)*))?$"
)


@dataclass(frozen=True)
class Target:
    """A target as the user wrote it.

    ``"stress"`` takes text labels as classes and numbers as a continuous target; ``"valence>=5"`` makes two classes;
    ``"valence,arousal>=5"`` the four quadrants of two ratings (``name`` is ``"valence,arousal"``); ``"valence>median"``
    two classes about each person's own median, which ``own_median`` takes from training trials only (equal to
    the median is not above it); ``"valence:classes"`` takes each number as a class of its own;
    ``"valence:bins=3,5,7"`` makes four ordered classes, a rating on an edge belonging to the upper one.
    ``"mix(joy,fear)"`` and ``"annotators(emotion)"`` are distributions over classes (`insula.windows.mixing`): a
    window's class is its strongest emotion (the first of equal ones), and its `shares` are trained and scored too.
    """

    name: str
    kind: Kind = "auto"
    op: str = ""
    value: float = 0.0
    edges: tuple[float, ...] = ()
    mixture: Mixture | None = None

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read one of `FORMS`."""
        mixture = Mixture.parse(text.replace(" ", ""))
        if mixture is not None:
            return cls(str(mixture), "mix", mixture=mixture)
        match = _SYNTAX.match(text.replace(" ", ""))
        if match is None:
            raise InputError(f"target {text!r}; expected {FORMS}. Quote it in the shell.")
        name = match["name"]
        if match["second"]:
            if match["value"] is None or match["op"] not in (">=", ">"):
                raise InputError(f"quadrants {text!r}; expected NAME,NAME>=NUMBER. Say from which number on is high.")
            if match["second"] == name:
                raise InputError(f"quadrants {text!r}; expected two ratings. Name another one.")
            return cls(f"{name},{match['second']}", "quadrants", match["op"], float(match["value"]))
        if match["median"]:
            if match["op"] != ">":
                raise InputError(f"target {text!r}; expected {name}>median: equal to the median is not above it.")
            return cls(name, "median", ">")
        if match["edges"]:
            edges = tuple(float(e) for e in match["edges"].split(","))
            if any(a >= b for a, b in pairwise(edges)):
                raise InputError(f"bins of {text!r}; expected edges that rise. Write them from low to high.")
            return cls(name, "bins", edges=edges)
        if match["op"]:
            return cls(name, "threshold", match["op"], float(match["value"]))
        kind: Kind = "auto"
        if match["kind"]:
            kind = "classes" if match["kind"] == "classes" else "continuous"
        return cls(name, kind)

    def __str__(self) -> str:
        if self.kind == "median":
            return f"{self.name}>median"
        if self.kind == "bins":
            return f"{self.name}:bins={','.join(map(_number, self.edges))}"
        if self.kind in ("threshold", "quadrants"):
            return f"{self.name}{self.op}{_number(self.value)}"
        return self.name if self.kind in ("auto", "mix") else f"{self.name}:{self.kind}"

    @property
    def names(self) -> tuple[str, ...]:
        """The labels a trial needs: one, the two ratings of quadrants, or those of a mixture."""
        if self.mixture is not None:
            return self.mixture.names
        return tuple(self.name.split(",")) if self.kind == "quadrants" else (self.name,)

    def of(self, labels: Mapping[str, Label]) -> Told | None:
        """Return what a trial's labels say (two ratings for quadrants), None where one is missing; NaN is no rating."""
        if self.mixture is not None:
            return self.mixture.of(labels)
        told = tuple(v for name in self.names if (v := labels.get(name)) is not None and v == v)
        if len(told) < len(self.names):
            return None
        return told if self.kind == "quadrants" else told[0]

    def encode(self, labels: Sequence[Told]) -> tuple[DoubleArray | IntArray, tuple[str, ...]]:
        """Turn what `of` returned for each trial into codes and class names.

        A continuous target has values and no classes. One about the person's own median has values and classes: the
        codes depend on who trains (see `insula.protocols.own_median`).
        """
        if self.mixture is not None:
            shares, emotions = self.mixture.shares([_parts(told) for told in labels])
            return shares.argmax(1).astype(np.int64), emotions
        numeric = all(isinstance(v, int | float) for told in labels for v in _parts(told))
        if self.kind in ("threshold", "quadrants", "median", "bins") and not numeric:
            raise InputError(f"target {self} on text labels; expected numbers. Use {self.names[0]!r} alone.")
        if self.kind == "median":
            return np.asarray(labels, dtype=np.float64), (f"{self.name}<=median", str(self))
        if self.kind == "bins":
            found = np.searchsorted(self.edges, np.asarray(labels, np.float64), side="right")
            return found.astype(np.int64), self._bins()
        if self.kind in ("threshold", "quadrants"):
            return self._threshold(np.asarray(labels, dtype=np.float64).reshape(len(labels), -1))
        if self.kind == "continuous" or (self.kind == "auto" and numeric):
            if not numeric:
                raise InputError(f"target {self.name!r} has text labels; expected numbers. Drop ':continuous'.")
            return np.asarray(labels, dtype=np.float64), ()
        names = [_class_name(v) for told in labels for v in _parts(told)]
        classes = tuple(sorted(set(names), key=_class_order))
        codes = {name: i for i, name in enumerate(classes)}
        return np.asarray([codes[n] for n in names], dtype=np.int64), classes

    def shares(self, labels: Sequence[Told]) -> DoubleArray | None:
        """Shares (trials, K) of what `of` returned for each trial, where the target is a mixture."""
        return None if self.mixture is None else self.mixture.shares([_parts(told) for told in labels])[0]

    def _bins(self) -> tuple[str, ...]:
        """Names of the bins, from low to high."""
        e = [_number(v) for v in self.edges]
        between = [f"{low}<={self.name}<{high}" for low, high in pairwise(e)]
        return (f"{self.name}<{e[0]}", *between, f"{self.name}>={e[-1]}")

    def _threshold(self, values: DoubleArray) -> tuple[IntArray, tuple[str, ...]]:
        tests = {
            ">=": values >= self.value,
            ">": values > self.value,
            "<=": values <= self.value,
            "<": values < self.value,
        }
        high = tests[self.op].astype(np.int64)  # (trials, 1 or 2)
        if self.kind == "threshold":
            return high[:, 0], (f"{self.name}{_OPPOSITE[self.op]}{_number(self.value)}", str(self))
        first, second = self.names
        classes = tuple(f"{a} {first}, {b} {second}" for a in ("low", "high") for b in ("low", "high"))
        return 2 * high[:, 0] + high[:, 1], classes


def require_target(target: Target, known: Iterable[str]) -> None:
    """Raise unless some trial carries the target's name (each of its names)."""
    names = set(known)
    if target.mixture is not None:
        target.mixture.require(names)
        return
    for name in target.names:
        if name not in names:
            raise unknown_name("target", name, names)


def is_ordered(classes: Sequence[str]) -> bool:
    """Say whether classes, as a schema keeps them, have an order: numbers, or the bins of a rating."""
    if not classes:
        return False
    return all(_class_order(c)[0] == 0 for c in classes) or all("<" in c or ">=" in c for c in classes)


def _number(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _parts(told: Told) -> tuple[Label, ...]:
    return told if isinstance(told, tuple) else (told,)


def _class_name(value: Label) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _class_order(name: str) -> tuple[int, float, str]:
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)
