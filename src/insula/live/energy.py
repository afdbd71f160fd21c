"""What a live decision costs: the network's own operations on one hop, at the published price of each."""

from __future__ import annotations

import numpy as np
import torch

from insula.explain.cost.counting import count
from insula.explain.cost.operations import Costs
from insula.live.predictor import Predictor
from insula.types import Batch


def joules_a_decision(predictor: Predictor) -> float:
    """Count one hop (a whole window for models without state) of every member; cleaning and features not included."""
    schema, recipe = predictor.schema, predictor.recipe
    length_s = recipe.window_s if predictor.scope == "window" else recipe.hop_s
    rng = np.random.default_rng(0)
    signals, observed, elapsed = {}, {}, {}
    for name, spec in schema.modalities.items():
        n = round(length_s * spec.rate_hz)
        signals[name] = torch.from_numpy(rng.standard_normal((1, len(spec.channels), n)).astype(np.float32))
        observed[name] = torch.ones(1, n, dtype=torch.bool)
        elapsed[name] = torch.full((1, n, 1), 1 / spec.rate_hz)
    features = {name: torch.zeros(1, len(columns)) for name, columns in schema.features.items()}
    present = torch.ones(1, len(schema.modalities), dtype=torch.bool)
    batch = Batch(signals, observed, elapsed, features, torch.zeros(1, len(schema.traits)), present)
    price = Costs()
    return float(sum(price.joules(count(network, batch)) for network in predictor.networks))
