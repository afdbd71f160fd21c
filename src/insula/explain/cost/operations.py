"""What a count of operations is, and what one operation costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from insula.errors import InputError


@dataclass(frozen=True)
class Work:
    """Arithmetic of one layer: multiply-accumulates, additions, and other functions.

    An addition is also a subtraction or a comparison; a lone multiplication is counted as a multiply-accumulate;
    others are divisions, roots, exponentials, logarithms, sigmoids and their like.
    """

    macs: int = 0
    adds: int = 0
    others: int = 0

    def __add__(self, more: Work) -> Work:
        return Work(self.macs + more.macs, self.adds + more.adds, self.others + more.others)

    def __mul__(self, times: int) -> Work:
        return Work(self.macs * times, self.adds * times, self.others * times)


@dataclass(frozen=True)
class OperationCount:
    """Arithmetic of one pass, in all and by layer (dotted module names; ``(model)`` for the model itself).

    ``working_bytes`` is the largest memory that one operation holds at once besides the weights: its inputs and
    outputs. A runtime that frees every tensor at its last use needs at least this.
    """

    macs: int
    adds: int
    others: int
    by_layer: Mapping[str, Work] = field(default_factory=lambda: MappingProxyType({}))
    working_bytes: int = 0

    @classmethod
    def of(cls, by_layer: Mapping[str, Work], working_bytes: int = 0) -> OperationCount:
        """Add up layers."""
        total = sum(by_layer.values(), Work())
        return cls(total.macs, total.adds, total.others, MappingProxyType(dict(by_layer)), working_bytes)

    def __add__(self, more: OperationCount) -> OperationCount:
        names = dict.fromkeys([*self.by_layer, *more.by_layer])
        layers = {n: self.by_layer.get(n, Work()) + more.by_layer.get(n, Work()) for n in names}
        return OperationCount.of(layers, max(self.working_bytes, more.working_bytes))


@dataclass(frozen=True)
class Costs:
    """Energy of one operation in picojoules.

    Source of the defaults: Horowitz 2014, "Computing's energy problem", ISSCC, 45 nm, 32-bit floating point:
    multiplication 3.7 pJ + addition 0.9 pJ = 4.6 pJ a multiply-accumulate. It gives no figure for exponentials,
    divisions and their like, so these are counted and not priced, unless ``other_pj`` is set.
    """

    mac_pj: float = 4.6
    add_pj: float = 0.9
    other_pj: float = 0.0
    source: str = "Horowitz 2014, 45 nm, 32-bit floating point"

    def __post_init__(self) -> None:
        for name in ("mac_pj", "add_pj", "other_pj"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} {getattr(self, name)}; expected 0 or more picojoules.")

    def joules(self, count: OperationCount | Work) -> float:
        """Price a count, in joules."""
        return 1e-12 * (self.mac_pj * count.macs + self.add_pj * count.adds + self.other_pj * count.others)

    def formula(self, count: OperationCount | Work) -> str:
        """Show the sum with its numbers."""
        parts = [
            f"{self.mac_pj:g} pJ x {count.macs:,} multiply-accumulates",
            f"{self.add_pj:g} pJ x {count.adds:,} additions",
        ]
        if self.other_pj:
            parts.append(f"{self.other_pj:g} pJ x {count.others:,} other functions")
        shown = f"E = {' + '.join(parts)} = {joules_text(self.joules(count))} ({self.source})"
        if count.others and not self.other_pj:
            shown += f"; {count.others:,} other functions (exp, sigmoid, division, root) are counted but not priced"
        return shown


def joules_text(joules: float | None) -> str:
    """Write joules with a fitting prefix; None is "not measured"."""
    if joules is None:
        return "not measured"
    for scale, unit in ((1.0, "J"), (1e-3, "mJ"), (1e-6, "uJ"), (1e-9, "nJ")):
        if abs(joules) >= 0.9995 * scale:
            return f"{joules / scale:.3g} {unit}"
    return f"{joules / 1e-12:.3g} pJ"


def work_of(given: Any, who: str) -> Work:
    """Read what a module's ``operations`` answered: a Work or (macs, adds, others)."""
    if isinstance(given, Work):
        return given
    if isinstance(given, tuple) and len(given) == 3 and all(isinstance(n, int) and n >= 0 for n in given):
        return Work(*given)
    raise InputError(
        f"operations of {who} gave {given!r}; expected (multiply-accumulates, additions, others), whole numbers. "
        "Correct its operations method."
    )
