"""Score against labelled calibration: every strategy of personalising, for every person, beside its controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from insula.errors import InputError, unknown_name
from insula.learning.estimator import Estimator, EstimatorConfig, ModelFactory
from insula.learning.metrics import balanced_accuracy
from insula.learning.personal.personal import STRATEGIES, Personal, personalise
from insula.learning.train import one_thread
from insula.protocols.calibrated import Calibration, Unit, calibrations
from insula.protocols.fold import default_normaliser
from insula.protocols.grouping import codes
from insula.protocols.protocol import TRIAL
from insula.types import IntArray
from insula.windows.table import Terms, Windows

OWN = "own_full"
"""The person's own model of everything before the test set."""
USUAL = ("normalised", "recalibrated", "bayes", "head", "adapters")
WRONG, SHUFFLED = "wrong_person", "shuffled_labels"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Curve:
    """What a calibration curve holds.

    ``scores`` has a row a person, strategy and amount: subject, strategy, amount, score (balanced accuracy on the
    person's fixed test set). ``left_out`` names people who could not give the largest amount.
    """

    unit: Unit
    amounts: tuple[float, ...]
    strategies: tuple[str, ...]
    scores: pd.DataFrame
    left_out: tuple[str, ...]
    target: str
    classes: tuple[str, ...]

    @property
    def people(self) -> int:
        return int(self.scores["subject"].nunique())

    def of(self, strategy: str, amount: float) -> pd.Series:
        """Score of each person."""
        table = self.scores
        rows = table[(table["strategy"] == strategy) & np.isclose(table["amount"], amount)]
        return rows.set_index("subject")["score"].sort_index()

    def interval(self, strategy: str, amount: float, against: str | None = None) -> tuple[float, float, float]:
        """Mean over people and its 95 % interval (Student's t), of the score or of its gain over another strategy."""
        values = self.of(strategy, amount)
        if against is not None:
            values = values - self.of(against, amount)
        return t_interval(values.to_numpy(np.float64))

    def needed(self, strategy: str) -> dict[str, float | None]:
        """Smallest amounts that beat the population model (interval above 0) and reach 90 % of the own full model."""
        own = float(self.of(OWN, self.amounts[-1]).mean())
        beats = [a for a in self.amounts if a > 0 and self.interval(strategy, a, "population")[1] > 0]
        reach = [a for a in self.amounts if a > 0 and self.interval(strategy, a)[0] >= 0.9 * own]
        return {"beats_population": min(beats, default=None), "reaches_own": min(reach, default=None)}

    def chosen(self) -> pd.Series:
        """The strategy that was best over the *other* people, by person: what a default would have been."""
        last = self.scores[np.isclose(self.scores["amount"], self.amounts[-1])]
        table = last[last["strategy"].isin(self.strategies)].pivot(index="subject", columns="strategy", values="score")
        table = table[[s for s in self.strategies if s in table]]
        return pd.Series({p: table.drop(index=p).mean().idxmax() for p in table.index}, dtype=object)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        points = [
            {"strategy": s, "amount": a, "mean": m, "lo": lo, "hi": hi}
            for s in dict.fromkeys(self.scores["strategy"])
            for a in sorted(set(self.scores.loc[self.scores["strategy"] == s, "amount"]))
            for m, lo, hi in [self.interval(str(s), float(a))]
        ]
        chosen = self.chosen() if self.people > 1 else pd.Series(dtype=object)
        return {
            "protocol": "calibrated", "unit": self.unit, "amounts": list(self.amounts), "target": self.target,
            "classes": list(self.classes), "people": self.people, "left_out": list(self.left_out), "points": points,
            "needed": {s: self.needed(s) for s in self.strategies if _labelled(s)},
            "chosen_on_other_people": {str(k): str(v) for k, v in chosen.items()},
            "scores": self.scores.to_dict("records"),
        }  # fmt: skip


def t_interval(values: Any) -> tuple[float, float, float]:
    """Mean and 95 % interval by Student's t; the whole line for one value."""
    from scipy.stats import t

    kept = np.asarray(values, np.float64)
    kept = kept[np.isfinite(kept)]
    if kept.size < 2:
        return (float(kept.mean()) if kept.size else float("nan"), float("-inf"), float("inf"))
    half = float(t.ppf(0.975, kept.size - 1) * kept.std(ddof=1) / np.sqrt(kept.size))
    return float(kept.mean()), float(kept.mean()) - half, float(kept.mean()) + half


def calibration_curve(
    windows: Windows,
    config: EstimatorConfig,
    amounts: Sequence[float],
    unit: Unit = "trials",
    strategies: Sequence[str] = USUAL,
    *,
    factory: ModelFactory | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Curve:
    """Train a population model without each person in turn, adapt it with their first labels, test on later trials.

    Beside the strategies stand the population model, the own full model, and controls of the last strategy that needs
    labels: adapted to another person's labels (as many), and to the own labels shuffled between trials.
    """
    for name in strategies:
        if name not in STRATEGIES:
            raise unknown_name("strategy", name, STRATEGIES)
    if not any(_labelled(s) and s != "scratch" for s in strategies):
        raise InputError(f"strategies {', '.join(strategies)}; expected one that adapts by labels. Add bayes.")
    found, left_out = calibrations(windows.table, amounts, unit)
    asked = tuple(sorted({float(a) for a in amounts}))
    normaliser = config.normaliser or default_normaliser(windows, personal=False)
    rows: list[dict[str, Any]] = []
    with one_thread():
        for i, one in enumerate(found):
            terms = Terms(("subject",), normaliser, f"calibrated {one.subject}")
            population = Estimator(config, factory).fit(windows.on(terms).take(one.train))
            other = found[(i + 1) % len(found)] if len(found) > 1 else None
            rows += _person(population, windows, one, other, asked, strategies, seed)
            if progress is not None:
                progress("people", i + 1, len(found))
    names = ("population", *(s for s in strategies if s != "population"))
    return Curve(unit, asked, names, pd.DataFrame(rows), tuple(left_out), windows.schema.target, windows.schema.classes)


def _person(
    population: Estimator,
    windows: Windows,
    one: Calibration,
    other: Calibration | None,
    amounts: Sequence[float],
    strategies: Sequence[str],
    seed: int,
) -> list[dict[str, Any]]:
    test = windows.take(one.test)
    out: list[dict[str, Any]] = []

    def add(strategy: str, amount: float, model: Personal) -> None:
        score = balanced_accuracy(test.y.astype(np.int64), model.predict(test))
        out.append({"subject": one.subject, "strategy": strategy, "amount": amount, "score": score})

    whole = personalise(population, windows.take(one.given[amounts[-1]]), "population")
    for amount in amounts:
        add("population", amount, whole)
    control = [s for s in strategies if _labelled(s) and s != "scratch"][-1]
    for amount in (a for a in amounts if a > 0):
        given = windows.take(one.given[amount])
        for strategy in (s for s in strategies if s != "population"):
            add(strategy, amount, personalise(population, given, strategy, seed))
        if other is not None:
            add(WRONG, amount, personalise(population, windows.take(other.given[amount]), control, seed))
        shuffled = given.with_y(_shuffled(given, seed))
        add(SHUFFLED, amount, personalise(population, shuffled, control, seed))
    add(OWN, amounts[-1], personalise(population, windows.take(one.before), "scratch", seed))
    return out


def _shuffled(given: Windows, seed: int) -> IntArray:
    """Labels moved between whole trials, never left as they are where that can be."""
    trial = codes(given.table, np.arange(len(given)), TRIAL)
    first = np.unique(trial, return_index=True)[1]
    labels = given.y[first].astype(np.int64)
    rng = np.random.default_rng(seed)
    moved = labels
    for _ in range(20):
        moved = rng.permutation(labels)
        if (moved == labels).mean() <= 1 / np.unique(labels).size:
            break
    return np.asarray(moved[trial], np.int64)


def _labelled(strategy: str) -> bool:
    return strategy in STRATEGIES and STRATEGIES[strategy].labels
