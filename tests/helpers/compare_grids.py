"""Small grids and invented cells for tests of `insula.grid`; no number in here was measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
from windows_double import make_table, predictions

from insula.evaluation.results import Result
from insula.evaluation.system import System
from insula.grid import grid_from
from insula.grid.cell import Outcome, commit

TINY = {"people": 2, "trials_per_emotion": 2, "trial_s": 8.0, "baseline_s": 4.0}


_SHEET = {
    "title": "", "hop_s": 1.0, "parameters": 4321, "weight_bytes": 1, "working_bytes": 1, "macs": 1, "adds": 1,
    "others": 0, "layers": [], "joules_decision": 2.5e-6, "joules_day": 0.1, "formula": "",
    "latency": {"p50_ms": 1.25, "p99_ms": 2.0, "runs": 1, "warm_up": 0, "threads": 1},
}  # fmt: skip


def tables(**changes):
    """Plain tables of a grid over simulated people: a classical row or two, no network, unless changed."""
    return {
        "title": "tiny",
        "protocols": ["random_windows", {"name": "within_subject", "folds": 2}],
        "compare": {"rows": ["majority", "prior"], "context": False},
        "data": [{"name": "simulate", "targets": ["emotion"], "options": TINY}],
        **changes,
    }


def tiny(**changes):
    return grid_from(tables(**changes), "tiny")


def invent(grid, folder, skill, people=9, seed=0, trained=None):
    """Commit an invented result for every cell.

    ``skill`` maps (system, protocol) to the share of right windows; ``trained`` a network's cell to its budget.
    """
    table = make_table(people=people, trials=8, windows=4, seed=3)
    y = table["y"].to_numpy()
    for i, cell in enumerate(grid.cells):
        right = skill(cell.system, cell.protocol)
        if right is None:
            continue
        rng = np.random.default_rng([seed, i, cell.experiment.seed])
        name = cell.experiment.model.name
        kind = "baseline" if name in ("clock", "majority", "prior", "elapsed") else "classical"
        kind = "model" if name in ("liquid", "eegnet", "rbtransformer") else kind
        budget = trained(cell) if trained and kind == "model" else {}
        leaky = cell.protocol in ("random_windows", "within_trial")
        result = Result(
            target=cell.target,
            classes=("a", "b"),
            protocol={"name": cell.protocol, "leaky": leaky, "folds": 2, "notes": ["a note"]},
            systems=(System(name, name.capitalize(), kind, leaky=leaky, parameters=7, seconds=1.0, **budget),),
            predictions=predictions(table, np.where(rng.random(len(y)) < right, y, 1 - y), system=name),
            provenance={"date": "2026-03-04T10:22:31+00:00"},
            analyses={"energy": {"rows": [{**_SHEET, "system": name}]}},
        )
        commit(result, Outcome(cell.key, "done", 1.5), folder)


def same_predictions(a, b, key):
    """Whether two folders hold equal predictions of a cell, to the bit."""
    left, right = (pd.read_parquet(f / "cells" / key / "predictions.parquet") for f in (a, b))
    pd.testing.assert_frame_equal(left, right, check_exact=True)
