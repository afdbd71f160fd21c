"""How good the signals of the scored windows are, what training made of that, and whether it shows in the score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from insula.evaluation.results import Result
from insula.evaluation.scores import per_person
from insula.learning.train import TrainConfig
from insula.learning.weighing import good_rows, weights
from insula.protocols.own_median import decided
from insula.signals.quality import FLAGS
from insula.types import BoolArray, FloatArray
from insula.windows.table import Windows

LEAST_WINDOWS = 5
"""A person's windows are compared where so many are good and so many are flagged."""
_KEYS = ["subject", "session", "trial", "start_s"]
_DRAWS = 2000


def signal_quality(result: Result, windows: Windows) -> dict[str, Any]:
    """Sum up the flags of the scored windows, a modality and a person each.

    A window is flagged in a modality when a flag marks more than the share that training is configured with. Numbers
    are None where a flag could not be judged.
    """
    scored = decided(windows.take((windows.table["role"] == "scored").to_numpy()))
    train = _training(result)
    shares = scored.quality()
    people = scored.table["subject"].to_numpy()
    return {
        "share": train.quality_share,
        "windows": len(scored),
        "modalities": {name: _modality(values, people, train.quality_share) for name, values in shares.items()},
        "training": {
            "how": train.quality,
            "dropped": len(scored) - len(good_rows(scored, train.quality_share)),
            "mean_weight": float(weights(scored).mean()),
        },
        "scores": _scores(result, scored.table, shares, train.quality_share),
        "note": "judged on the raw signals; flags are told of test windows too, but never change what is predicted",
    }


def _training(result: Result) -> TrainConfig:
    """The rule for spoiled windows that the result was made with."""
    made = (result.config.get("experiment") or {}).get("train") or {}
    return TrainConfig(**{k: made[k] for k in ("quality", "quality_share") if k in made})


def _modality(values: FloatArray, people: Any, share: float) -> dict[str, Any]:
    return {
        "flagged": _by_flag(_over(values, share)),
        "time": _by_flag(values),
        "any": float((np.nan_to_num(values) > share).any(axis=1).mean()) if len(values) else 0.0,
        "people": {str(who): _by_flag(values[people == who]) for who in pd.unique(people)},
    }


def _over(values: FloatArray, share: float) -> FloatArray:
    return np.where(np.isfinite(values), values > share, np.nan).astype(np.float32)


def _by_flag(values: FloatArray) -> dict[str, float | None]:
    """Mean of each flag's column (windows, flags) over the windows where it was judged."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    mean = np.where(known, values, 0).sum(axis=0, dtype=np.float64) / np.maximum(count, 1)
    return {flag: float(mean[i]) if count[i] else None for i, flag in enumerate(FLAGS)}


def _scores(result: Result, table: pd.DataFrame, shares: dict[str, FloatArray], share: float) -> list[dict[str, Any]]:
    """Compare the first system on flagged and on good windows of the same people, a modality each and all together."""
    bad: dict[str, BoolArray] = {}
    for name, values in shares.items():
        bad[name] = np.asarray((np.nan_to_num(values) > share).any(axis=1))
    if len(bad) > 1:
        bad["any"] = np.asarray(np.stack(list(bad.values())).any(axis=0))
    found = result.of(result.systems[0].name)
    rows = []
    for name, marks in bad.items():
        if not marks.any():
            continue
        marked = found.merge(table[_KEYS].assign(flagged=marks), on=_KEYS, how="inner")
        difference, flagged, good = _difference(marked, result.main_metric)
        row: dict[str, Any] = {"name": name, "windows": int(marks.sum()), "people": len(difference)}
        if len(difference):
            row |= {"flagged": flagged, "good": good, "difference": float(difference.mean()), **_interval(difference)}
        rows.append(row)
    return rows


def _difference(marked: pd.DataFrame, metric: str) -> tuple[FloatArray, float, float]:
    """Score on flagged minus score on good windows of each person who has enough of both, and the two means.

    Labels that only one of the two sides has are left out: a person who moves under stress only says nothing.
    """
    sides: dict[bool, list[pd.DataFrame]] = {True: [], False: []}
    for _, own in marked.groupby("subject", sort=True):
        if metric == "balanced_accuracy":
            both = set(own.loc[own["flagged"], "y_true"]) & set(own.loc[~own["flagged"], "y_true"])
            own = own[own["y_true"].isin(both)] if len(both) > 1 else own[:0]
        parts = {side: own[own["flagged"] == side] for side in sides}
        if min(map(len, parts.values())) >= LEAST_WINDOWS:
            for side, part in parts.items():
                sides[side].append(part.drop(columns="flagged"))
    if not sides[True]:
        return np.zeros(0, np.float32), float("nan"), float("nan")
    flagged, good = (per_person(pd.concat(sides[side]), metric) for side in (True, False))
    known: BoolArray = np.asarray((flagged.notna() & good.notna()).to_numpy(), bool)
    a, b = flagged.to_numpy()[known], good.to_numpy()[known]
    if not known.any():
        return np.zeros(0, np.float32), float("nan"), float("nan")
    return (a - b).astype(np.float32), float(a.mean()), float(b.mean())


def _interval(difference: FloatArray) -> dict[str, float | None]:
    """95 % bootstrap interval over whole people; None for fewer than three."""
    if len(difference) < 3:
        return {"lo": None, "hi": None}
    rng = np.random.default_rng(0)
    means = difference[rng.integers(0, len(difference), (_DRAWS, len(difference)))].mean(axis=1)
    lo, hi = np.quantile(means, [0.025, 0.975])
    return {"lo": float(lo), "hi": float(hi)}
