"""What is to be recognised: a target's name, its kind and its threshold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from insula.errors import InputError, unknown_name
from insula.types import Label

Kind = Literal["auto", "classes", "continuous", "threshold"]
_SYNTAX = re.compile(
    r"^(?P<name>[\w.-]+)(?:(?P<op>>=|>|<=|<)(?P<value>-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)|:(?P<kind>classes|continuous))?$"
)


@dataclass(frozen=True)
class Target:
    """A target as the user wrote it.

    ``"stress"`` takes text labels as classes and numbers as a continuous target; ``"valence>=5"`` makes two classes;
    ``"valence:classes"`` takes each number as a class of its own.
    """

    name: str
    kind: Kind = "auto"
    op: str = ""
    value: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``NAME``, ``NAME>=5``, ``NAME:classes`` or ``NAME:continuous``."""
        match = _SYNTAX.match(text.replace(" ", ""))
        if match is None:
            raise InputError(
                f"target {text!r}; expected NAME, NAME>=NUMBER, NAME:classes or NAME:continuous. Quote it in the shell."
            )
        if match["op"]:
            return cls(match["name"], "threshold", match["op"], float(match["value"]))
        kind: Kind = "auto"
        if match["kind"]:
            kind = "classes" if match["kind"] == "classes" else "continuous"
        return cls(match["name"], kind)

    def __str__(self) -> str:
        if self.kind == "threshold":
            short = f"{self.value:g}"
            return f"{self.name}{self.op}{short if float(short) == self.value else repr(self.value)}"
        return self.name if self.kind == "auto" else f"{self.name}:{self.kind}"

    def encode(self, labels: list[Label]) -> tuple[NDArray[np.float64] | NDArray[np.int64], tuple[str, ...]]:
        """Turn one label a trial into codes and class names (continuous: values and no classes)."""
        numeric = all(isinstance(v, int | float) for v in labels)
        if self.kind == "threshold":
            return self._threshold(labels, numeric)
        if self.kind == "continuous" or (self.kind == "auto" and numeric):
            if not numeric:
                raise InputError(f"target {self.name!r} has text labels; expected numbers. Drop ':continuous'.")
            return np.asarray(labels, dtype=np.float64), ()
        names = [_class_name(v) for v in labels]
        classes = tuple(sorted(set(names), key=_class_order))
        codes = {name: i for i, name in enumerate(classes)}
        return np.asarray([codes[n] for n in names], dtype=np.int64), classes

    def _threshold(self, labels: list[Label], numeric: bool) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        if not numeric:
            raise InputError(f"target {self} on text labels; expected numbers. Use {self.name!r} alone.")
        values = np.asarray(labels, dtype=np.float64)
        tests = {
            ">=": values >= self.value,
            ">": values > self.value,
            "<=": values <= self.value,
            "<": values < self.value,
        }
        return tests[self.op].astype(np.int64), (f"not {self}", str(self))


def require_target(target: Target, known: Iterable[str]) -> None:
    """Raise unless some trial carries the target's name."""
    names = set(known)
    if target.name not in names:
        raise unknown_name("target", target.name, names)


def _class_name(value: Label) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _class_order(name: str) -> tuple[int, float, str]:
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)
