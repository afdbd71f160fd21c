"""A guided calibration: rest first, then each state in turn, labelled as prompted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REST_S, SETTLE_S, HOLD_S, PAUSE_S = 20.0, 4.0, 12.0, 4.0
ROUNDS = 2


@dataclass(frozen=True)
class Step:
    """What happens now; ``shown`` is what the page needs to know."""

    shown: Mapping[str, Any]
    begin_rest: bool = False
    end_rest: bool = False
    press: str | None = None
    label: tuple[str, float, float] | None = None
    done: bool = False


@dataclass
class Calibration:
    """A schedule on the session's clock: rest, then ``rounds`` times every state, every other time backwards."""

    classes: tuple[str, ...]
    rounds: int = ROUNDS
    _plan: list[tuple[str, str, float]] = field(default_factory=list)
    _at: int = -1
    _since_s: float = 0.0
    _told_s: int = -1

    def __post_init__(self) -> None:
        self._plan = [("rest", "", REST_S)]
        for turn in range(self.rounds):
            for name in self.classes if turn % 2 == 0 else self.classes[::-1]:
                self._plan += [("feel", name, SETTLE_S + HOLD_S), ("pause", name, PAUSE_S)]

    def step(self, now_s: float) -> Step | None:
        """Say what changes at this time; None when only time passes."""
        if self._at < 0:
            return self._enter(0, now_s, None, False)
        kind, name, length_s = self._plan[self._at]
        left_s = self._since_s + length_s - now_s
        if left_s <= 0:
            label = (name, self._since_s + SETTLE_S, now_s) if kind == "feel" else None
            return self._enter(self._at + 1, now_s, label, kind == "rest")
        if round(left_s) != self._told_s:
            self._told_s = round(left_s)
            return Step(self._shown(left_s))
        return None

    def _enter(self, at: int, now_s: float, label: tuple[str, float, float] | None, rested: bool) -> Step:
        self._at, self._since_s, self._told_s = at, now_s, -1
        if at >= len(self._plan):
            return Step({"on": False, "finished": True}, label=label, done=True)
        kind, name, length_s = self._plan[at]
        return Step(
            self._shown(length_s),
            begin_rest=kind == "rest",
            end_rest=rested,
            press=name if kind == "feel" else None,
            label=label,
        )

    def _shown(self, left_s: float) -> dict[str, Any]:
        kind, name, _ = self._plan[self._at]
        return {
            "on": True,
            "kind": kind,
            "name": name,
            "left_s": round(left_s, 1),
            "place": self._at,
            "of": len(self._plan),
        }
