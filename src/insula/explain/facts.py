"""What a report says, read from a Result once: rows, headline, people, confusion, reliability, strips."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from insula.errors import InputError
from insula.evaluation.results import Result
from insula.evaluation.verdict import Verdict
from insula.explain.pairs import PAIRS, Pair, pair
from insula.learning.classical_models import CLOCKS
from insula.learning.metrics import METRICS, metrics_for
from insula.plots import PersonScore, ReliabilityBin, Strip
from insula.protocols.grouping import natural

OTHER_SCORES = tuple(name for name in METRICS if name not in [metrics_for(number)[0] for number in (False, True)])
"""Scores that stand beside the main one, those that a result has."""


@dataclass(frozen=True)
class Row:
    """One system: what it is, its score with interval, and everything else its table row holds (NaN where absent).

    ``unit`` says over what the interval is, ``verdict`` what the result itself says.
    """

    system: str
    title: str
    kind: str
    scope: str
    normaliser: str
    leaky: bool
    transductive: bool
    parameters: int | None
    seconds: float
    notes: str
    verdict: str
    people: int
    unit: str
    score: float
    lo: float
    hi: float
    trial: float
    others: Mapping[str, float]
    contrast: float
    contrast_lo: float
    contrast_hi: float
    role: str = ""
    budget: str = ""

    @property
    def ink(self) -> str:
        """Name of the ink all pictures draw this system in."""
        return "clock" if self.system in CLOCKS else self.kind


@dataclass(frozen=True)
class Facts:
    """Everything the page and its JSON twin are written from."""

    result: Result
    rows: tuple[Row, ...]
    headline: Row
    clock: Row | None
    rival: Row | None
    declared: bool
    verdict: Verdict
    chance: float
    pairs: tuple[Pair, ...]
    people: tuple[str, ...]
    person_scores: Mapping[str, Mapping[str, float]]

    @property
    def continuous(self) -> bool:
        return self.result.continuous

    @property
    def score_name(self) -> str:
        return "CCC" if self.continuous else "balanced accuracy"

    def predictions(self, system: str) -> pd.DataFrame:
        """Return the predictions of one system, in time order inside each session."""
        frame = self.result.predictions
        return frame[frame["system"] == system].sort_values(["subject", "session", "stop_s"], kind="stable")

    def pair(self, a: str, b: str) -> Pair | None:
        """Return the comparison of ``a`` minus ``b``, turned round where it was made the other way."""
        for one in self.pairs:
            if (one.a, one.b) == (a, b):
                return one
            if (one.a, one.b) == (b, a):
                return one.turned
        return None


def gather(result: Result) -> Facts:
    """Read a Result into Facts.

    The headline is the first model that carries nothing across the session, else the first model, else the first
    classical row, else the first system; the rival is the row declared before the figures were seen, else the best
    classical one. ``clock`` is the signal-free row that the headline must beat.

    Raises
    ------
    InputError
        If the result has no system or no prediction.
    """
    table = result.table()
    if not len(table) or not len(result.predictions):
        raise InputError("a result without systems or predictions; expected at least one of each. Run evaluate first.")
    rows = tuple(_row(result, record) for record in table.to_dict("records"))
    headline = next(
        (r for kind, scopes in (("model", ("trial", "window", "none")), ("model", ()), ("classical", ())) for r in rows
         if r.kind == kind and (not scopes or r.scope in scopes)),
        rows[0],
    )  # fmt: skip
    classical = [r for r in rows if r.kind == "classical" and not r.transductive and math.isfinite(r.score)]
    by_name = {r.system: r for r in rows}
    against, declared = result.opponent(headline.system), result.declared
    declared = declared if declared and declared[0] == headline.system else None
    frame = result.predictions
    people = tuple(sorted(frame["subject"].astype(str).unique(), key=natural))
    scores = {
        str(system): {str(who): float(v) for who, v in column.items() if math.isfinite(v)}
        for system, column in result.people().items()
    }
    others = [s for s in result.systems if s.name != headline.system]
    return Facts(
        result=result,
        rows=rows,
        headline=headline,
        clock=by_name.get(against.name) if against is not None else by_name.get("clock"),
        rival=by_name[declared[1]]
        if declared
        else max((r for r in classical if r is not headline), key=lambda r: r.score, default=None),
        declared=declared is not None,
        verdict=result.verdict(headline.system),
        chance=result.chance,
        pairs=PAIRS.read(result) or tuple(pair(result, headline.system, s.name) for s in others),
        people=people,
        person_scores=scores,
    )


def real(value: Any) -> float:
    """Return a number, NaN for None and for what is no number."""
    try:
        return math.nan if value is None else float(value)
    except (TypeError, ValueError):
        return math.nan


def _row(result: Result, record: Mapping[Any, Any]) -> Row:
    system = next(s for s in result.systems if s.name == record["name"])
    main, lowest = result.main_metric, -1.0 if result.continuous else 0.0  # an interval ends where scores do
    return Row(
        system=system.name,
        title=system.title,
        kind=system.kind,
        scope=system.scope,
        normaliser="" if system.normaliser == "none" else system.normaliser,
        leaky=system.leaky or result.leaky,
        transductive=system.transductive,
        parameters=system.parameters,
        seconds=system.seconds,
        notes="; ".join(system.notes),
        role=system.role,
        budget=system.budget,
        verdict=str(record.get("verdict")),
        people=int(record["people"]),
        unit=str(record["unit"]),
        score=real(record.get(main)),
        lo=max(real(record.get(f"{main}_lo")), lowest),
        hi=min(real(record.get(f"{main}_hi")), 1.0),
        trial=real(record.get(f"trial_{main}")),
        others={name: real(record.get(name)) for name in OTHER_SCORES},
        contrast=real(record.get("contrast")),
        contrast_lo=real(record.get("contrast_lo")),
        contrast_hi=real(record.get("contrast_hi")),
    )


def values(frame: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return true and predicted values (n,) of a continuous target."""
    return frame["y_true"].to_numpy(dtype=np.float64), frame["y_pred"].to_numpy(dtype=np.float64)


def codes(frame: pd.DataFrame, column: str, classes: Sequence[str]) -> NDArray[np.int64]:
    """Return a label column as class codes (n,)."""
    number = {c: i for i, c in enumerate(classes)}
    return np.array([number[str(v)] for v in frame[column]], dtype=np.int64)


def probabilities(frame: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.float64] | None:
    """Return class probabilities (n, K), or None where a system gave none."""
    columns = [f"p_{c}" for c in classes]
    if not classes or any(c not in frame for c in columns):
        return None
    out = frame[columns].to_numpy(dtype=np.float64)
    return out if np.isfinite(out).all() else None


def confusion_counts(frame: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.int64]:
    """Count windows (K, K), rows true and columns predicted."""
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts, (codes(frame, "y_true", classes), codes(frame, "y_pred", classes)), 1)
    return counts


def reliability_bins(frame: pd.DataFrame, classes: Sequence[str], bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """Group windows by the confidence of their prediction in equal bins of (0, 1], empty ones left out."""
    p = probabilities(frame, classes)
    if p is None:
        return ()
    confidence = p.max(axis=1)
    right = p.argmax(axis=1) == codes(frame, "y_true", classes)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return tuple(
        ReliabilityBin(float(confidence[place == b].mean()), float(right[place == b].mean()), int((place == b).sum()))
        for b in range(bins)
        if (place == b).any()
    )


def people_rows(facts: Facts) -> tuple[PersonScore, ...]:
    """Return each person's score under the headline and under the best other comparison row (rival, else clock)."""
    against = opponent(facts)
    mine = facts.person_scores[facts.headline.system]
    other = facts.person_scores.get(against.system, {}) if against else {}
    return tuple(PersonScore(who, mine[who], other.get(who, math.nan)) for who in facts.people if who in mine)


def opponent(facts: Facts) -> Row | None:
    """Return the best row that is neither a model nor an ablation and did not see the whole test session."""
    fair = [r for r in facts.rows if r is not facts.headline and not r.transductive]
    rows = [r for r in fair if r.kind in ("classical", "baseline")]
    return max((r for r in rows if math.isfinite(r.score)), key=lambda r: r.score, default=None)


def strips(facts: Facts, text: Mapping[str, str]) -> tuple[Strip, ...]:
    """Return timelines of the best, the middle and the worst person under the headline, longest session of each."""
    classes = facts.result.classes
    frame = facts.predictions(facts.headline.system)
    mine = facts.person_scores[facts.headline.system]
    order = sorted(mine, key=lambda who: mine[who], reverse=True)
    chosen = list(dict.fromkeys((order[0], order[len(order) // 2], order[-1])))
    out = []
    for who in chosen:
        rows = frame[frame["subject"].astype(str) == who]
        session = rows["session"].astype(str).value_counts().idxmax()
        rows = rows[rows["session"].astype(str) == session].drop_duplicates(["trial", "stop_s"])
        p = probabilities(rows, classes)
        if p is None:
            return ()
        trial, _ = pd.factorize(rows["trial"].astype(str))
        out.append(
            Strip(
                name=who,
                score=text[who],
                start_s=rows["start_s"].to_numpy(dtype=np.float64),
                stop_s=rows["stop_s"].to_numpy(dtype=np.float64),
                true=codes(rows, "y_true", classes),
                probability=p,
                trial=np.asarray(trial, dtype=np.int64),
            )
        )
    return tuple(out)
