"""All analyses of one evaluation, from its fold models and their held-out windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from insula.evaluation.results import Result
from insula.evaluation.run import FoldModel, prediction_table
from insula.evaluation.scores import Paired, mean_over_people, paired
from insula.explain.attention import temporal_attention
from insula.explain.cost.systems import energy_of_systems
from insula.explain.electrodes import electrode_attention
from insula.explain.gate import gate_curve
from insula.explain.latent import latent_space
from insula.explain.quality import signal_quality
from insula.explain.spikes import spike_costs
from insula.explain.time_constants import liquid_layers, shuffled_time_constants, time_constants
from insula.learning.estimator import Estimator
from insula.protocols.own_median import for_fold
from insula.windows.table import Windows

ANALYSES = (
    "pairs", "attention", "electrodes", "time_constants", "controls", "latent", "modalities", "cascade", "spikes",
    "energy", "data",
)  # fmt: skip
_SEEDS = 3


def explain(
    result: Result,
    windows: Windows,
    models: Sequence[FoldModel],
    progress: Callable[[str, int, int], None] | None = None,
) -> Result:
    """Add the analyses to a result.

    ``models`` are the fold models of the result's first system, as `evaluate` kept them. What a model does not have
    (attention, liquid layers, a gate) is left out; without fold models only pairs, data, quality and energy are added.
    """
    main = result.systems[0].name
    found: dict[str, Any] = {"pairs": pairs(result), "data": data_summary(windows)}
    found["quality"] = signal_quality(result, windows)
    fitted = [(m.model, for_fold(windows, m.split).take(m.split.test)) for m in models]
    steps: list[tuple[str, Callable[[], Any]]] = [
        ("attention", lambda: temporal_attention(fitted)),
        ("electrodes", lambda: electrode_attention(fitted)),
        ("time_constants", lambda: _time_constants(windows, models, fitted)),
        ("controls", lambda: _controls(result, windows, models)),
        ("latent", lambda: latent_space(fitted)),
        ("modalities", lambda: _modalities(result, windows, models)),
        ("cascade", lambda: gate_curve(fitted)),
        ("spikes", lambda: spike_costs(fitted)),
    ]
    steps = steps if models else []
    steps.append(("energy", lambda: energy_of_systems(result, windows, models)))
    for i, (name, step) in enumerate(steps):
        answer = step()
        if answer is not None:
            found[name] = answer
        if progress is not None:
            progress(f"explaining {main}", i + 1, len(steps))
    return result.with_analyses(**found)


def pairs(result: Result) -> list[dict[str, Any]]:
    """Compare the first system with every other one over people."""
    main = result.systems[0].name
    out = []
    for other in result.systems[1:]:
        found = result.compare(main, other.name)
        out.append({"a": main, "b": other.name, **_difference(found), "p": found.p, "n": found.people})
    return out


def data_summary(windows: Windows) -> dict[str, Any]:
    """Count what the evaluation stood on."""
    table = windows.table[windows.table["role"] == "scored"]
    seen = windows.present()
    return {
        "people": int(table["subject"].nunique()),
        "sessions": len(table[["subject", "session"]].drop_duplicates()),
        "trials": len(table[["subject", "session", "trial"]].drop_duplicates()),
        "windows": len(table),
        "reference_windows": int((windows.table["role"] == "reference").sum()),
        "rates_hz": {m: s.rate_hz for m, s in windows.schema.modalities.items()},
        "channels": {m: len(s.channels) for m, s in windows.schema.modalities.items()},
        "features": {m: len(c) for m, c in windows.schema.features.items()},
        "observed_share": {m: float(seen[:, i].mean()) for i, m in enumerate(windows.schema.modalities)},
        "window_s": windows.recipe.window_s,
        "hop_s": windows.recipe.hop_s,
        "guard_s": windows.recipe.guard_s,
        "opening_s": windows.recipe.opening_s,
        "problems": list(windows.notes),
    }


def _time_constants(
    windows: Windows, models: Sequence[FoldModel], fitted: Sequence[tuple[Estimator, Windows]]
) -> dict[str, Any] | None:
    first = models[0]
    if not liquid_layers(first.model.networks[0]):
        return None
    training, config, factory = (
        for_fold(windows, first.split).take(first.split.train),
        first.model.config,
        first.model.factory,
    )
    untrained = Estimator(config, factory).initialise(training)
    seeds = [
        Estimator(replace(config, seed=config.seed + k, members=1), factory).fit(training) for k in range(1, _SEEDS)
    ]
    return time_constants(fitted, untrained, seeds)


def _controls(result: Result, windows: Windows, models: Sequence[FoldModel]) -> dict[str, Any] | None:
    """Accuracy with time constants frozen and equal (trained so) and shuffled among neurons (after training)."""
    if not liquid_layers(models[0].model.networks[0]):
        return None
    main = result.systems[0].name
    tables = {"time constants shuffled": _again(windows, models, _with_shuffled)}
    for how in ("frozen", "equal"):
        name = f"{main}_{how}"
        if any(s.name == name for s in result.systems):
            tables[f"time constants {how}"] = result.of(name)
    rows = []
    for name, table in tables.items():
        found = paired(table, result.of(main), result.main_metric)
        score = mean_over_people(table, result.main_metric)
        rows.append(
            {
                "name": name,
                result.main_metric: score.mean,
                "lo": score.lo,
                "hi": score.hi,
                "difference": found.mean,
                "difference_lo": found.lo,
                "difference_hi": found.hi,
            }
        )
    return {"rows": rows, "note": "difference: control minus model, over people; shuffled after training"}


def _modalities(result: Result, windows: Windows, models: Sequence[FoldModel]) -> dict[str, Any] | None:
    """Change of the score when one modality is taken away at prediction, nothing retrained."""
    names = list(windows.schema.modalities)
    if len(names) < 2:
        return None
    rows = []
    for name in names:
        table = _again(windows, models, partial(_predict, absent=name))
        found = paired(table, result.of(result.systems[0].name), result.main_metric)
        rows.append({"name": f"without {name}", **_difference(found)})
    return {"rows": rows, "note": "the modality is absent at prediction; the model was trained with it"}


def _again(windows: Windows, models: Sequence[FoldModel], predict: Callable[[Estimator, Windows], Any]) -> pd.DataFrame:
    parts = [
        prediction_table(windows, m.split, "control", predict(m.model, windows.take(m.split.test))) for m in models
    ]
    return pd.concat(parts, ignore_index=True)


def _predict(model: Estimator, windows: Windows, absent: str | None = None) -> Any:
    return model.predict(windows, absent) if windows.schema.continuous else model.predict_proba(windows, absent)


def _with_shuffled(model: Estimator, windows: Windows) -> Any:
    kept = model.networks
    model.networks = shuffled_time_constants(model, np.random.default_rng(0))
    try:
        return _predict(model, windows)
    finally:
        model.networks = kept


def _difference(found: Paired) -> dict[str, float]:
    return {"difference": found.mean, "lo": found.lo, "hi": found.hi}
