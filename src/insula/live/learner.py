"""The person's own model: labelled stretches, a Bayesian head over network and features, and its honest score."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from insula.errors import InputError
from insula.learning.personal.bayes import BayesianHead
from insula.live.predictor import Decision
from insula.live.reading import SAID
from insula.types import DoubleArray

KEEP = 7200
"""Windows remembered for labels: two hours at one a second."""
MIN_STRETCHES = 2
"""Labelled stretches a class before anything is learned: one to learn from while the other is asked."""
PROPOSE_EVERY_S = 25.0
PRIOR = 3.0
"""Precision of the head's prior a column: windows of one stretch overlap and say much the same, so it is strong."""
UNSURE = 0.45
"""Certainty below which a label is worth asking for."""


@dataclass(frozen=True)
class Stretch:
    """One label: that ``start_s`` to ``stop_s`` was ``name``; ``rows`` numbers the windows most of which lie inside."""

    name: str
    start_s: float
    stop_s: float
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """Stretches told right by the majority of their windows, each asked without having been learned from.

    ``before`` is the saved model's count on the same stretches, None without one; ``windows`` shares likewise.
    """

    stretches: int
    after: int
    before: int | None
    windows_after: float
    windows_before: float | None


@dataclass(frozen=True)
class Adapted:
    """What a learning run gave."""

    head: BayesianHead
    score: Score
    labels: int
    serves: bool
    """Whether it is at least as good as the saved model on what neither learned from."""
    temperature: float = 1.0
    """Flattens the head's chances to what they were worth on stretches that it had not learned from."""

    def chances(self, x: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
        """Chances (K,) of one row, and their deviation from that of the scores (first order)."""
        p = tempered(np.asarray(self.head.predict_proba(x)), self.temperature)
        slope = p * (1 - p) * self.head.sharpness / self.temperature
        return p, slope * float(self.head.uncertainty(x))


@dataclass(frozen=True)
class _Moment:
    number: int
    start_s: float
    stop_s: float
    x: DoubleArray  # (F,)
    base: DoubleArray  # (K,) chances of the saved model, empty without one


class Learner:
    """Remember windows and labels; learn from them; never on the thread that serves.

    The head reads the normalised features (the network's embedding where there are none) and starts knowing nothing;
    it serves as soon as it is at least as good as the saved model on stretches that it did not learn from. (?) Our
    choice: on simulated people the network's embedding and chances beside the features made heads worse.

    Parameters
    ----------
    classes : of the saved model; empty without one, then names are given by the person.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.fixed = bool(classes)
        self.classes = list(classes)
        self.moments: deque[_Moment] = deque(maxlen=KEEP)
        self.stretches: list[Stretch] = []
        self.count = 0
        self.adapted: Adapted | None = None
        self.history: list[Adapted | None] = []
        self.proposed_s = -np.inf

    # -- what is seen -------------------------------------------------------------------------------------------

    def see(self, decision: Decision) -> None:
        """Remember a window."""
        if decision.kind not in SAID:
            return
        x = self.row(decision)
        self.moments.append(_Moment(self.count, decision.start_s, decision.stop_s, x, decision.chances))
        self.count += 1

    @staticmethod
    def row(decision: Decision) -> DoubleArray:
        """What the head reads; 0 where not valid."""
        found = decision.features if decision.features.size else decision.embedding
        return np.nan_to_num(found.astype(np.float64))

    def chances(self, decision: Decision) -> tuple[DoubleArray, DoubleArray] | None:
        """Chances (K,) of the personal model and their deviation; None while the saved one serves."""
        if self.adapted is None or not self.adapted.serves or decision.kind not in SAID:
            return None
        x = self.row(decision)
        return self.adapted.chances(x) if len(x) == self.adapted.head.features else None

    # -- labels -------------------------------------------------------------------------------------------------

    def add_class(self, name: str) -> None:
        """Name a new thing to recognise; only without a saved model."""
        if self.fixed:
            raise InputError(f"class {name!r}; expected one of the model's: {', '.join(self.classes)}.")
        if name not in self.classes:
            if len(self.classes) >= 9:
                raise InputError(f"class {name!r} is the tenth; expected at most 9. Use fewer.")
            self.classes.append(name)

    def label(self, name: str, start_s: float, stop_s: float) -> Stretch:
        """Say what a stretch was; a later label of the same time replaces the part that it covers."""
        if name not in self.classes:
            raise InputError(f"label {name!r}; expected one of {', '.join(self.classes) or 'none yet'}.")
        rows = tuple(m.number for m in self.moments if start_s <= (m.start_s + m.stop_s) / 2 < stop_s)
        if not rows:
            raise InputError("no whole window in that time yet; expected some seconds of signal. Wait a little.")
        taken = set(rows)
        kept = [replace(s, rows=tuple(r for r in s.rows if r not in taken)) for s in self.stretches]
        stretch = Stretch(name, start_s, stop_s, rows)
        self.stretches = [*[s for s in kept if s.rows], stretch]
        return stretch

    def undo(self) -> Stretch | None:
        """Take the last label back, and with it the head that was learned from it."""
        if not self.stretches:
            return None
        last = self.stretches.pop()
        if self.adapted is not None and self.adapted.labels > len(self.stretches):
            self.adapted = self.history.pop() if self.history else None
        return last

    def forget(self) -> None:
        """Forget the personal model, not the labels."""
        self.adapted, self.history = None, []

    @property
    def counts(self) -> dict[str, int]:
        """Labelled stretches a class."""
        return {name: sum(s.name == name for s in self.stretches) for name in self.classes}

    @property
    def ready(self) -> bool:
        """Whether two classes have enough stretches to learn and to be asked."""
        return sum(count >= MIN_STRETCHES for count in self.counts.values()) >= 2

    def propose(self, decision: Decision, certainty: float, now_s: float) -> str | None:
        """Say why now would be a good moment for a label, or None."""
        last_s = max([self.proposed_s, *(s.stop_s for s in self.stretches)])
        if decision.kind not in SAID or not self.classes or now_s - last_s < PROPOSE_EVERY_S:
            return None
        counts = self.counts
        rare = min(counts, key=lambda name: counts[name])
        reason = None
        if not self.stretches:
            reason = "no label yet"
        elif certainty < UNSURE:
            reason = "the model is not sure about this moment"
        elif counts[rare] < MIN_STRETCHES:
            reason = f"{rare} has {counts[rare]} of {MIN_STRETCHES} labels that it needs"
        if reason is not None:
            self.proposed_s = now_s
        return reason

    # -- learning -----------------------------------------------------------------------------------------------

    def snapshot(self) -> _Task | None:
        """Everything a learning run needs, apart from this object; None without enough labels."""
        if not self.ready:
            return None
        wanted = {row for s in self.stretches for row in s.rows}
        moments = {m.number: m for m in self.moments if m.number in wanted}
        stretches = [replace(s, rows=tuple(r for r in s.rows if r in moments)) for s in self.stretches]
        return _Task(tuple(self.classes), [s for s in stretches if s.rows], moments, self.fixed, len(self.stretches))

    def take(self, adapted: Adapted) -> None:
        """Let a learned head serve (or keep the old one, if it is worse)."""
        if adapted.labels > len(self.stretches):
            return  # a label was taken back meanwhile
        self.history.append(self.adapted)
        self.adapted = adapted

    def to_dict(self) -> dict[str, Any]:
        """Labels and head for a file."""
        labels = [{"name": s.name, "start_s": s.start_s, "stop_s": s.stop_s} for s in self.stretches]
        score = None if self.adapted is None else self.adapted.score.__dict__
        head = None if self.adapted is None else self.adapted.head.to_dict()
        return {"classes": self.classes, "labels": labels, "score": score, "head": head}


@dataclass(frozen=True)
class _Task:
    """A learning run: pure, so that it may run on another thread."""

    classes: tuple[str, ...]
    stretches: list[Stretch]
    moments: dict[int, _Moment]
    fixed: bool
    labels: int

    def run(self) -> Adapted:
        """Learn from all labels; score by leaving each stretch out, windows that touch it left out as well."""
        right_after = right_before = windows_after = windows_before = windows = asked = 0
        told: list[tuple[DoubleArray, int]] = []
        for held in self.stretches:
            others = [s for s in self.stretches if s is not held]
            known = {s.name for s in others}
            if held.name not in known or len(known) < 2:
                continue
            inside = [self.moments[r] for r in held.rows]
            first_s, last_s = min(m.start_s for m in inside), max(m.stop_s for m in inside)
            apart = [
                replace(s, rows=tuple(r for r in s.rows if self._apart(self.moments[r], first_s, last_s)))
                for s in others
            ]
            head = self._fit([s for s in apart if s.rows])
            if head is None:
                continue
            code = self.classes.index(held.name)
            after = head.predict_proba(np.stack([m.x for m in inside]))
            told.append((after, code))
            asked, windows = asked + 1, windows + len(inside)
            right_after += int(after.mean(0).argmax() == code)
            windows_after += int((after.argmax(1) == code).sum())
            if self.fixed:
                before = np.stack([m.base for m in inside])
                right_before += int(before.mean(0).argmax() == code)
                windows_before += int((before.argmax(1) == code).sum())
        head = self._fit(self.stretches)
        if head is None:
            raise InputError("labels of one class only; expected two. Label another moment.")
        score = Score(
            asked,
            right_after,
            right_before if self.fixed else None,
            windows_after / max(windows, 1),
            windows_before / max(windows, 1) if self.fixed else None,
        )
        serves = not self.fixed or windows_after >= windows_before
        return Adapted(head, score, self.labels, serves, _temperature(told))

    @staticmethod
    def _apart(moment: _Moment, first_s: float, last_s: float) -> bool:
        return moment.stop_s <= first_s + 1e-9 or moment.start_s >= last_s - 1e-9

    def _fit(self, stretches: Sequence[Stretch]) -> BayesianHead | None:
        rows = [(self.moments[r], s.name) for s in stretches for r in s.rows]
        if len({name for _, name in rows}) < 2:
            return None
        x = np.stack([m.x for m, _ in rows])
        centre, spread = x.mean(0), x.std(0)
        spread = np.where(spread > 1e-6, spread, 1.0)
        width = x.shape[1]
        head = BayesianHead(self.classes, width, alpha=PRIOR * width, centre=centre, spread=spread)
        return head.fit(x, [name for _, name in rows])


def tempered(chances: DoubleArray, temperature: float) -> DoubleArray:
    """Flatten chances (..., K) by a temperature above 1."""
    flat = np.log(np.clip(chances, 1e-9, 1.0)) / temperature
    shifted = np.exp(flat - flat.max(-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(-1, keepdims=True))


def _temperature(told: Sequence[tuple[DoubleArray, int]]) -> float:
    """Find the temperature of least log loss on held-out stretches, each weighing the same; 1 or more."""
    grid = np.geomspace(1.0, 30.0, 40)
    if not told:
        return float(grid[len(grid) // 2])
    losses = [sum(-np.log(tempered(p, t)[:, code]).mean() for p, code in told) for t in grid]
    return float(grid[int(np.argmin(losses))])
