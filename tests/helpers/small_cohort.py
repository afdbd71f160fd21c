"""A few quick recordings whose skin conductance, heart rate and pulse tell calm from tense."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from insula.learning.estimator import Estimator, EstimatorConfig
from insula.signals.recipe import Recipe
from insula.types import Label, Recording, Role, Signal, Trial
from insula.windows.cutting import cut
from insula.windows.table import Windows

RECIPE = Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0)
UNITS = {"eda": ("uS", 4.0), "bvp": ("a.u.", 64.0), "hr": ("1/min", 1.0)}


def trial(
    rng: np.random.Generator,
    subject: str,
    name: str,
    start_s: float,
    seconds: float,
    tense: float,
    *,
    labels: dict[str, Label] | None = None,
    role: Role = "trial",
    stimulus: str | None = None,
    session: str = "s1",
) -> Trial:
    """One trial; ``tense`` (0 to 1) raises conductance, heart rate and the speed of the pulse."""
    signals = {}
    for modality, (unit, rate_hz) in UNITS.items():
        t = np.arange(round(seconds * rate_hz)) / rate_hz
        if modality == "eda":
            values = 3 + tense + 0.05 * rng.standard_normal(t.size) + 0.05 * np.sin(t + 6 * rng.random())
        elif modality == "hr":
            values = 70 + 12 * tense + 2 * rng.standard_normal(t.size)
        else:
            values = np.sin(2 * np.pi * (1.1 + 0.3 * tense) * t) + 0.1 * rng.standard_normal(t.size)
        signals[modality] = Signal(values[None].astype(np.float32), rate_hz, (modality.upper(),), unit, start_s)
    return Trial(subject, session, name, start_s, start_s + seconds, signals, labels or {}, stimulus, role)


def recording(
    subject: str,
    *,
    trials: int = 6,
    trial_s: float = 12.0,
    baseline_s: float = 10.0,
    gap_s: float = 3.0,
    session: str = "s1",
    effect: float = 1.0,
    seed: int = 0,
) -> Recording:
    """One session: a baseline, then trials of calm and tense in an order of the person's own."""
    rng = np.random.default_rng([seed, *map(ord, subject + session)])
    found, at = [], 0.0
    if baseline_s:
        found.append(trial(rng, subject, "base", at, baseline_s, 0.0, role="baseline", session=session))
        at += baseline_s + gap_s
    for i, tense in enumerate(rng.permutation(np.arange(trials) % 2)):
        labels: dict[str, Label] = {
            "state": "tense" if tense else "calm",
            "valence": float(4 - 2 * tense + rng.random()),
        }
        found.append(
            trial(
                rng, subject, f"t{i}", at, trial_s, effect * float(tense), labels=labels,
                stimulus=f"film{rng.integers(100)}", session=session,
            )
        )  # fmt: skip
        at += trial_s + gap_s
    traits = {"openness": float(rng.uniform(1, 5)), "extraversion": float(rng.uniform(1, 5))}
    return Recording(subject, session, tuple(found), traits, {"data": "test"})


@cache
def cohort() -> tuple[Recording, ...]:
    """Three people."""
    return tuple(recording(name) for name in ("ann", "bob", "cyd"))


@cache
def windows(target: str = "state") -> Windows:
    """Windows of the three people."""
    return cut(cohort(), RECIPE, target)


def scored(of: Windows | None = None) -> Windows:
    """Only the windows that may be scored."""
    found = windows() if of is None else of
    return found.take((found.table["role"] == "scored").to_numpy())


def write_manifest(folder: Path, recordings: Iterable[Recording]) -> Path:
    """Write recordings as one CSV a person and modality, a manifest and a people table."""
    rows, people = [], []
    for r in recordings:
        people.append({"subject": r.subject, **r.traits})
        for modality, (unit, rate_hz) in UNITS.items():
            end_s = max(t.stop_s for t in r.trials)
            values = np.full(round(end_s * rate_hz), np.nan)
            for t in r.trials:
                first = round(t.start_s * rate_hz)
                values[first : first + t.signals[modality].n_samples] = t.signals[modality].values[0]
                rows.append(
                    {
                        "file": f"{r.subject}-{modality}.csv", "modality": modality, "subject": r.subject,
                        "session": r.session, "trial": t.trial, "stimulus": t.stimulus or "", "role": t.role,
                        "start": t.start_s, "stop": t.stop_s, "rate": rate_hz, "unit": unit,
                        "state": t.labels.get("state", ""), "valence": t.labels.get("valence", ""),
                    }
                )  # fmt: skip
            pd.DataFrame({modality.upper(): values}).to_csv(folder / f"{r.subject}-{modality}.csv", index=False)
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    pd.DataFrame(people).to_csv(folder / "people.csv", index=False)
    return folder


def fresh(model: str = "liquid", of: Windows | None = None, **options: Any) -> Estimator:
    return Estimator(EstimatorConfig(model=model, normaliser="population", options=options)).initialise(
        scored() if of is None else of
    )
