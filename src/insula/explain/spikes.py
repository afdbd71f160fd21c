"""How often the layers of a spiking network fire on held-out windows, and what that costs beside its twin."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from insula.explain.cost.spikes import spike_sheet
from insula.learning.estimator import Estimator
from insula.learning.train import Feed
from insula.models import build
from insula.windows.table import Windows

WINDOWS = 8
"""Held-out windows whose spikes are counted."""


def spike_costs(fitted: Sequence[tuple[Estimator, Windows]]) -> dict[str, Any] | None:
    """Count the first fold's first network on windows held out from it; None for a network without spikes.

    ``sheets`` holds `SpikeSheet` values: of the network and, for ``eavs_tf``, of its non-spiking twin of the same
    shape with fresh weights (its arithmetic is dense and does not depend on them).
    """
    model, held_out = fitted[0]
    network = copy.deepcopy(model.networks[0]).cpu().eval()
    if not any(getattr(m, "spike_driven", False) for m in network.modules()):
        return None
    rows = np.unique(np.linspace(0, len(held_out) - 1, min(WINDOWS, len(held_out))).astype(int))
    batch = next(Feed(model.prepare(held_out.take(rows)), "window").each(len(rows))).batch
    sheets = [spike_sheet("spiking", network, batch, model.spec, windows=len(rows))]
    if model.factory is None and model.config.model == "eavs_tf":
        torch.manual_seed(0)
        options = {**dict(model.config.options or {}), "spiking": False}
        twin = build("eavs_tf", model.spec, model.config.size, **options).eval()
        sheets.append(spike_sheet("non-spiking twin", twin, batch, model.spec, windows=len(rows)))
    return {
        "sheets": [one.to_dict() for one in sheets],
        "note": f"mean of {len(rows)} held-out windows of the first fold, first network; counted, not measured",
    }
