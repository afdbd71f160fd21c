"""Score against labelled calibration: every strategy of adapting, for every person, beside its controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from insula.evaluation.adapting import CHOSEN, OWN, POPULATION, SHUFFLED, SUGGESTED, WRONG, point
from insula.evaluation.fits import Fit
from insula.evaluation.system import System
from insula.learning.metrics import balanced_accuracy
from insula.learning.personal.personal import STRATEGIES
from insula.protocols.own_median import for_fold
from insula.protocols.protocol import Unit
from insula.protocols.protocols import Split
from insula.windows.table import Windows

CURVE = "personal"
"""Name under which a Result keeps its curve."""
TITLES = {
    CHOSEN: "strategy chosen on inner people",
    SUGGESTED: "the same, trials labelled where suggested",
    WRONG: "control: adapted to another person",
    SHUFFLED: "control: labels shuffled",
    OWN: "the person's own full model",
    **{name: one.title for name, one in STRATEGIES.items()},
}


@dataclass(frozen=True)
class Curve:
    """What a calibration curve holds.

    ``scores`` are balanced accuracies on a person's fixed test set: of a strategy (or control) and person, one an
    amount, NaN where there is none. ``chosen`` is the strategy that inner people chose for each person; ``left_out``
    says who could not give the largest amount.
    """

    unit: Unit
    amounts: tuple[float, ...]
    strategies: tuple[str, ...]
    scores: Mapping[str, Mapping[str, tuple[float, ...]]]
    chosen: Mapping[str, str]
    chance: float
    left_out: tuple[str, ...] = ()

    @property
    def people(self) -> tuple[str, ...]:
        return tuple(self.scores.get(POPULATION, {}))

    def of(self, strategy: str, amount: float) -> pd.Series:
        """Score of each person who has one."""
        place = self.amounts.index(amount)
        found = {who: row[place] for who, row in self.scores.get(strategy, {}).items()}
        return pd.Series(found, dtype=np.float64).dropna()

    def interval(self, strategy: str, amount: float, against: str | None = None) -> tuple[float, float, float]:
        """Mean over people and its 95 % interval (Student's t), of the score or of its gain over another strategy."""
        values = self.of(strategy, amount)
        if against is not None:
            values = values - self.of(against, amount)
        return t_interval(values)

    def needed(self, strategy: str) -> tuple[float | None, float | None]:
        """Amounts from which on it beats the population model (interval above 0) and has 90 % of the own full one."""
        own = self.of(OWN, self.amounts[-1])
        beats = [self.interval(strategy, a, POPULATION)[1] > 0 for a in self.amounts]
        reach = [bool(len(own)) and self.interval(strategy, a)[0] >= 0.9 * float(own.mean()) for a in self.amounts]
        return self._from(beats), self._from(reach)

    def _from(self, holds: Sequence[bool]) -> float | None:
        """Smallest amount above 0 from which on something holds."""
        here = [a for i, a in enumerate(self.amounts) if a > 0 and all(holds[i:])]
        return min(here, default=None)

    def said(self, amount: float) -> str:
        """An amount with its unit."""
        return f"{amount:g} {self.unit.removesuffix('s') if amount == 1 else self.unit}"

    def rises(self, control: str) -> bool:
        """Whether a control is shown to be above the population model and above chance, which it must not be."""
        last = self.amounts[-1]
        return self.interval(control, last, POPULATION)[1] > 0 and self.interval(control, last)[1] > self.chance

    def without(self, people: Sequence[str]) -> Curve:
        """The curve of these people only."""
        kept = set(people)
        scores = {s: {who: row for who, row in rows.items() if who in kept} for s, rows in self.scores.items()}
        return replace(self, scores=scores, chosen={w: s for w, s in self.chosen.items() if w in kept})


def usual_of(chosen: Iterable[str]) -> str:
    """The strategy that was chosen most often; of equal ones the cheapest."""
    names = list(chosen)
    return max((s for s in STRATEGIES if s in names), key=names.count)


def t_interval(values: Any) -> tuple[float, float, float]:
    """Mean and 95 % interval by Student's t; the whole line for one value."""
    from scipy.stats import t

    kept = np.asarray(values, np.float64)
    kept = kept[np.isfinite(kept)]
    if kept.size < 2:
        return (float(kept.mean()) if kept.size else float("nan"), float("-inf"), float("inf"))
    half = float(t.ppf(0.975, kept.size - 1) * kept.std(ddof=1) / np.sqrt(kept.size))
    return float(kept.mean()), float(kept.mean()) - half, float(kept.mean()) + half


def curve_of(windows: Windows, splits: Sequence[Split], fits: Sequence[Fit], strategies: Sequence[str]) -> Curve | None:
    """Score every point that the fits of one row answered; None where they answered none."""
    first = splits[0].calibration
    if first is None or not any(fit.points for fit in fits):
        return None
    amounts = tuple(sorted(first.given))
    answered = {name.partition("@")[0] for fit in fits for name in fit.points}
    drawn = (POPULATION, *(s for s in strategies if s != POPULATION and s in answered), CHOSEN)
    scores: dict[str, dict[str, tuple[float, ...]]] = {s: {} for s in (*drawn, SUGGESTED, WRONG, SHUFFLED, OWN)}
    chosen = {}
    for fit in fits:
        part = splits[fit.split]
        test = for_fold(windows, part).take(part.test)
        y, who = test.y.astype(np.int64), part.fold
        chosen[who] = fit.strategy

        def score(name: str, amount: float, fit: Fit = fit, y: Any = y) -> float:
            at = 0.0 if name == POPULATION or (amount == 0 and name in drawn) else amount
            found = fit.points.get(point(POPULATION if at == 0 else name, at))
            return float("nan") if found is None else balanced_accuracy(y, np.asarray(found).argmax(axis=1))

        for name, rows in scores.items():
            rows[who] = tuple(score(name, a) for a in amounts)
    return Curve(first.unit, amounts, drawn, scores, chosen, 1 / len(windows.schema.classes), splits[0].notes)


def systems_of(base: System, curve: Curve) -> list[tuple[System, str]]:
    """A row of the result for each strategy and control at the largest amount, with the `point` that it answers."""
    rows = []
    for name in (*curve.strategies, SUGGESTED, WRONG, SHUFFLED, OWN):
        if name == CHOSEN or not len(curve.of(name, curve.amounts[-1])):
            continue
        system = replace(
            base, name=f"{base.name}_{name}", title=f"{base.title}: {TITLES[name]}", kind="ablation", seconds=0.0,
            role="adapted", notes=(), steps=None, loss=None, converged=None, readout_alone=0,
        )  # fmt: skip
        rows.append((system, point(name, 0.0 if name == POPULATION else curve.amounts[-1])))
    return rows


def noted(base: System, curve: Curve) -> System:
    """The row itself, adapted by the strategy that inner people chose, with who chose what."""
    counts = pd.Series(list(curve.chosen.values())).value_counts()
    told = ", ".join(f"{TITLES[str(s)]} ({n})" for s, n in counts.items())
    amount = curve.said(curve.amounts[-1])
    return replace(base, notes=(f"adapted with {amount} of each class; inner people chose {told}", *base.notes))
