"""Time constants of the liquid layers: what they are on data, fast and slow groups, memory, and the untrained twin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from insula.learning.batches import to_device
from insula.learning.estimator import Estimator
from insula.learning.train import Feed, run
from insula.models.cells.liquid import NeuralLTC, memory_dominance
from insula.types import DoubleArray
from insula.windows.table import Windows

_SAMPLES = 24


def time_constants(
    fitted: Sequence[tuple[Estimator, Windows]], untrained: Estimator, seeds: Sequence[Estimator]
) -> dict[str, Any] | None:
    """Compare the trained liquid layers of the first fold with the same network untrained and with other seeds.

    Returns None for a model without liquid layers. Memory dominance of a neuron is its mean retention over the horizon
    on held-out data (over time and trials); it is memory-dominant above .5.
    """
    model, held_out = fitted[0]
    horizons = {"1 s": 1.0, "window": model.recipe.window_s}
    trained = _measure(model, held_out, horizons)
    if not trained:
        return None
    before = _measure(untrained, held_out, horizons)
    others = [_measure(one, held_out, horizons) for one in seeds]
    layers: dict[str, Any] = {}
    for name, found in trained.items():
        groups, blank = _groups(found["tau_sys_s"]), _groups(before[name]["tau_sys_s"])
        layers[name] = {
            "tau_s": found["tau_s"].tolist(),
            "tau_untrained_s": before[name]["tau_s"].tolist(),
            "tau_sys_mean_s": found["tau_sys_s"].tolist(),
            "tau_sys_untrained_s": before[name]["tau_sys_s"].tolist(),
            "groups": {**groups, "untrained_separated": blank["separated"]},
            "groups_over_seeds": [_groups(o[name]["tau_sys_s"])["separated"] for o in others],
            "retention": {h: found[h].tolist() for h in horizons},
            "memory_dominant_share": {
                "trained": float((found["window"] > 0.5).mean()),
                "untrained": float((before[name]["window"] > 0.5).mean()),
                "per_seed": [float((o[name]["window"] > 0.5).mean()) for o in others],
            },
        }
    return {
        "layers": layers,
        "note": (
            f"first fold, {len(others)} further seeds; system time constants are geometric means over held-out data; "
            "groups by a Gaussian mixture of their logarithm, one against two components by BIC; a group that the "
            "untrained network also has is no finding"
        ),
    }


def shuffled_time_constants(model: Estimator, rng: np.random.Generator) -> list[nn.Module]:
    """Permute tau among the neurons of every liquid layer of a copy of each network (the gains stay)."""
    import copy

    networks = []
    for network in model.networks:
        other = copy.deepcopy(network)
        for layer in liquid_layers(other).values():
            with torch.no_grad():
                order = torch.from_numpy(rng.permutation(layer.units))
                layer.log_tau.copy_(layer.log_tau[order])
        networks.append(other)
    return networks


def liquid_layers(network: nn.Module) -> dict[str, NeuralLTC]:
    """Liquid layers of a network by branch; empty where it has none."""
    find = getattr(network, "liquid_layers", None)
    return {} if find is None else dict(find())


def _measure(model: Estimator, windows: Windows, horizons: dict[str, float]) -> dict[str, dict[str, DoubleArray]]:
    """Mean time constants and retention of each liquid layer on some stretches of data, (H,) each."""
    network = model.networks[0]
    layers = liquid_layers(network)
    calls: dict[str, tuple[Tensor, ...]] = {}
    handles = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: calls.__setitem__(name, inputs))
        for name, layer in layers.items()
    ]
    feed = Feed(model.prepare(windows), model.scope)
    with torch.no_grad():
        for part in feed.each(_SAMPLES):
            run(network, to_device(part, model.device), model.scope)
            break
    for handle in handles:
        handle.remove()
    out: dict[str, dict[str, DoubleArray]] = {}
    for name, layer in layers.items():
        if name not in calls:
            continue
        with torch.no_grad():
            tau = layer.time_constants(*calls[name])  # (B, T, H) seconds
        elapsed_s = calls[name][1]
        total_s = float(elapsed_s.sum(1).min())
        out[name] = {"tau_s": _array(layer.tau_s), "tau_sys_s": _array(tau.log().mean((0, 1)).exp())}
        for label, horizon_s in horizons.items():
            kept = memory_dominance(
                tau, elapsed_s, min(horizon_s, total_s), sub_steps=layer.sub_steps, solver=layer.solver
            )
            out[name][label] = _array(kept)
    return out


def _array(values: Tensor) -> DoubleArray:
    return values.detach().cpu().numpy().astype(np.float64)


def _groups(tau_s: DoubleArray) -> dict[str, Any]:
    """One against two Gaussian components on log tau by BIC (lower is better; separated by 10 or more)."""
    from sklearn.mixture import GaussianMixture

    values = np.log(tau_s).reshape(-1, 1)
    if len(values) < 6 or np.ptp(values) < 1e-6:
        return {"bic1": 0.0, "bic2": 0.0, "fast": [], "slow": [], "separated": False}
    fits = [GaussianMixture(n, random_state=0, n_init=3, reg_covar=1e-4).fit(values) for n in (1, 2)]
    bic1, bic2 = (float(f.bic(values)) for f in fits)
    slow = int(np.argmax(fits[1].means_.ravel()))
    member = fits[1].predict(values)
    return {
        "bic1": bic1,
        "bic2": bic2,
        "fast": np.flatnonzero(member != slow).tolist(),
        "slow": np.flatnonzero(member == slow).tolist(),
        "separated": bool(bic1 - bic2 > 10),
    }
