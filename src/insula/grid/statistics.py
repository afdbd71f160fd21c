"""Compare systems over people: paired differences with Holm, ranks with a critical difference, the drop to clean."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from insula.errors import InputError
from insula.evaluation.scores import Paired, classes_of, paired, per_person
from insula.learning.metrics import metrics_for
from insula.notebook import counted

KEYS = ["subject", "session", "trial", "start_s", "seed"]
"""What names a window of one seed; tables of several seeds hold each window once a seed."""


@dataclass(frozen=True)
class Pair:
    """Difference a - b over people with the p of Student's t test, and that p after Holm over the family (NaN
    outside of it)."""

    a: str
    b: str
    found: Paired
    p_holm: float


@dataclass(frozen=True)
class Ranks:
    """Mean ranks of systems over people (1 is best) and which systems cannot be told apart.

    ``friedman_p`` tests whether any system differs. ``critical`` is the Nemenyi difference of mean ranks at .05
    (Demsar 2006); ``cliques`` are the groups of systems none of whose pairs differ by Wilcoxon with Holm at .05
    (Benavoli et al. 2016), largest groups only.
    """

    systems: tuple[str, ...]
    mean_rank: tuple[float, ...]
    people: int
    friedman_p: float
    critical: float
    cliques: tuple[tuple[str, ...], ...]


def person_scores(tables: Mapping[str, pd.DataFrame], metric: str | None = None) -> pd.DataFrame:
    """Score of each person (rows) and system (columns), the mean over seeds."""
    columns = {}
    for name, table in tables.items():
        used = metric or metrics_for(not classes_of(table))[0]
        seeds = table["seed"] if "seed" in table else pd.Series(0, table.index)
        each = [per_person(part, used) for _, part in table.groupby(seeds.to_numpy(), sort=True)]
        columns[name] = pd.concat(each, axis=1).mean(axis=1)
    return pd.DataFrame(columns)


def difference(a: pd.DataFrame, b: pd.DataFrame, metric: str | None = None) -> Paired:
    """Difference of two prediction tables over people, on the windows (and seeds) that both have."""
    keys = [k for k in KEYS if k in a and k in b]
    index_a, index_b = (pd.MultiIndex.from_frame(t[keys]) for t in (a, b))
    a, b = a[index_a.isin(index_b)], b[index_b.isin(index_a)]
    if not len(a):
        raise InputError("two systems without a window in common; expected the same data. Evaluate both on one table.")
    used = metric or metrics_for(not classes_of(a))[0]
    a, b = (t.sort_values(keys, kind="stable").reset_index(drop=True) for t in (a, b))
    return paired(a, b, used)


def pairs(
    tables: Mapping[str, pd.DataFrame],
    reference: str | None = None,
    metric: str | None = None,
    family: Collection[str] | None = None,
) -> list[Pair]:
    """Compare every two systems, or every system with ``reference``.

    Holm goes over exactly these comparisons, or over those of the systems in ``family`` alone; the others have none.
    """
    names = list(tables)
    if reference is not None and reference not in names:
        raise InputError(f"reference {reference!r}; expected one of {', '.join(names)}. Name one of them.")
    wanted = (
        [(n, reference) for n in names if n != reference]
        if reference is not None
        else [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    )
    found = [difference(tables[a], tables[b], metric) for a, b in wanted]
    counted = [family is None or a in family for a, _ in wanted]
    adjusted = holm([f.p if count else math.nan for f, count in zip(found, counted, strict=True)])
    return [Pair(a, b, f, p) for (a, b), f, p in zip(wanted, found, adjusted, strict=True)]


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values by Holm's step-down procedure (Holm 1979); NaN stays and does not count."""
    values = np.asarray(p, np.float64)
    out = np.full(values.size, np.nan)
    valid = np.flatnonzero(np.isfinite(values))
    largest = 0.0
    for step, i in enumerate(valid[np.argsort(values[valid], kind="stable")]):
        largest = max(largest, min(1.0, (valid.size - step) * values[i]))
        out[i] = largest
    return out.tolist()


def ranks(scores: pd.DataFrame, level: float = 0.05) -> Ranks:
    """Rank systems (columns) within each person (rows, those with all scores) and find what can be told apart.

    Raises
    ------
    InputError : fewer than 3 systems, or fewer than 5 people.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range, wilcoxon

    whole = scores.dropna()
    people, k = whole.shape
    if k < 3 or people < 5:
        who = counted(people, "person")
        raise InputError(f"ranks of {k} systems over {who}; expected 3 systems and 5 people or more. Add some.")
    values = whole.to_numpy(np.float64)
    within = np.stack([rankdata(-row) for row in values])  # (people, systems)
    mean = within.mean(axis=0)
    order = np.argsort(mean, kind="stable")
    names = [str(whole.columns[i]) for i in order]
    raw, where = [], []
    for i in range(k):
        for j in range(i + 1, k):
            gap = values[:, order[i]] - values[:, order[j]]
            raw.append(float(wilcoxon(gap).pvalue) if np.any(gap != 0) else 1.0)
            where.append((i, j))
    apart = {pair for pair, p in zip(where, holm(raw), strict=True) if p < level}
    critical = float(studentized_range.ppf(1 - level, k, np.inf)) / np.sqrt(2) * np.sqrt(k * (k + 1) / (6 * people))
    equal = bool((values == values[:, :1]).all())
    return Ranks(
        systems=tuple(names),
        mean_rank=tuple(float(mean[i]) for i in order),
        people=people,
        friedman_p=1.0 if equal else float(friedmanchisquare(*values.T).pvalue),
        critical=float(critical),
        cliques=tuple(tuple(names[i:j]) for i, j in _runs(k, apart)),
    )


def _runs(k: int, apart: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Longest runs of neighbours in rank order none of whose pairs are apart, as [start, stop) of two or more."""
    runs: list[tuple[int, int]] = []
    for start in range(k):
        stop = start + 1
        while stop < k and not any((i, stop) in apart for i in range(start, stop)):
            stop += 1
        if stop - start > 1 and not any(a <= start and stop <= b for a, b in runs):
            runs.append((start, stop))
    return runs
