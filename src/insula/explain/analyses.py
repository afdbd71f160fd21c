"""All analyses of one evaluation, from its fold models and their held-out windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from insula.evaluation.results import Result
from insula.evaluation.run import FoldModel
from insula.explain.agreement import AGREEMENT
from insula.explain.analysis import Analysis, Evaluated
from insula.explain.attention import ATTENTION
from insula.explain.branches import BRANCHES
from insula.explain.certainty import CERTAINTY
from insula.explain.connectivity import CONNECTIVITY
from insula.explain.controls import CONTROLS
from insula.explain.data import DATA
from insula.explain.drift import DRIFT
from insula.explain.dynamics import DYNAMICS
from insula.explain.electrodes import ELECTRODES
from insula.explain.energy import ENERGY
from insula.explain.gate import GATE
from insula.explain.latent import LATENT
from insula.explain.mixtures import MIXTURES
from insula.explain.modalities import MODALITIES
from insula.explain.pairs import PAIRS
from insula.explain.personal import PERSONAL
from insula.explain.physics import PHYSICS
from insula.explain.prototypes import PROTOTYPES
from insula.explain.quality import QUALITY
from insula.explain.reconstruction import RECONSTRUCTION
from insula.explain.separation import SEPARATION
from insula.explain.single import SINGLE
from insula.explain.spikes import SPIKES
from insula.explain.stress import STRESS
from insula.explain.time_constants import TIME_CONSTANTS
from insula.explain.traits import TRAITS
from insula.windows.table import Windows

ANALYSES: dict[str, Analysis[Any]] = {
    one.name: one
    for one in (
        PAIRS, PERSONAL, MIXTURES, DATA, QUALITY, DRIFT, STRESS, CONNECTIVITY, MODALITIES, TRAITS, BRANCHES, ATTENTION,
        ELECTRODES, TIME_CONSTANTS, DYNAMICS, CONTROLS, LATENT, SEPARATION, RECONSTRUCTION, PROTOTYPES, PHYSICS,
        AGREEMENT, SINGLE, CERTAINTY, ENERGY, SPIKES, GATE,
    )
}  # fmt: skip
"""Every analysis by name, in the order of the page; add your own under its name."""


def explain(
    result: Result,
    windows: Windows,
    models: Sequence[FoldModel],
    progress: Callable[[str, int, int], None] | None = None,
) -> Result:
    """Add the analyses to a result.

    ``models`` are the fold models of the result's first system, as `evaluate` kept them. What a model does not have
    (attention, liquid layers, a gate) is left out; without fold models only what needs none is added.
    """
    evaluated = Evaluated(result, windows, models)
    wanted = [one for one in ANALYSES.values() if models or not one.needs_models]
    found: dict[str, Any] = {}
    for i, one in enumerate(wanted):
        answer = one.run(evaluated)
        if answer is not None:
            found[one.name] = one.write(answer)
        if progress is not None:
            progress(f"explaining {evaluated.main}", i + 1, len(wanted))
    return result.with_analyses(**found)
