"""What the gate of a cascade saves and costs, on held-out windows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

from insula.explain.cascade import branch_answers, cascade_curve
from insula.learning.estimator import Estimator
from insula.models.udc_snn import Cascade
from insula.windows.table import Windows


def gate_curve(fitted: Sequence[tuple[Estimator, Windows]]) -> dict[str, Any] | None:
    """Read accuracy, energy and the share of woken windows over thresholds, all folds together.

    None for a model that is no cascade, and for a continuous target.
    """
    network = fitted[0][0].networks[0]
    if not isinstance(network, Cascade) or network.spec.continuous:
        return None
    answers = reduce(add, (branch_answers(model, held_out) for model, held_out in fitted))
    return {
        **cascade_curve(answers).to_dict(),
        "threshold": network.threshold,
        "note": (
            f"{len(answers.y)} held-out windows of {len(fitted)} folds, first network of each; the curve describes: a "
            "threshold to be used must be chosen on other people or trials"
        ),
    }
