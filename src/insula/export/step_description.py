"""The JSON beside an exported model: everything that a reader of the ONNX file must know."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from insula.export.step_graph import PARTS, Port, StepGraph
from insula.learning.estimator import Estimator
from insula.signals.features import columns

FORMAT = 1
NORMALISE = (
    "z = clip((r - centre) / spread, -8, 8), NaN stays NaN. Kind population: r = value. Other kinds: with mean m, "
    "variance v and count n of the person's own windows of that kind, r = (value - m) / sqrt(w v + (1 - w) within^2), "
    "w = n / (n + 10); without such windows m = mean and w = 0."
)
SCALE = (
    "z = clip((value - centre) / max(spread, 1e-6), -8, 8), 0 where not observed. Kinds other than population, where "
    "the person's own windows of that kind exist: centre is their mean m and spread is sqrt(v / 2 + within^2 / 2) of "
    "their variance v."
)


MEANINGS = {
    "signals": "cleaned and scaled samples, 0 where not observed",
    "observed": "whether each sample was observed",
    "elapsed_s": "seconds since the sample before",
    "features": "normalised features of the window, in the order of features; NaN where not valid",
    "traits": "(value - centre) / spread, NaN where unknown",
    "present": "whether each modality is there, in the order of modalities",
    "probability": "of each class, in the order of classes",
    "value": "in the unit of the target",
    "logits": "of the first network",
    "embedding": "latent vector of the first network",
}


def step_seconds(estimator: Estimator) -> float:
    """Seconds of signal that a call reads: a hop where the networks carry state, else a window."""
    streaming = all(hasattr(n, "sequence") for n in estimator.networks)
    return estimator.recipe.hop_s if streaming else estimator.recipe.window_s


def file_facts(path: Path) -> dict[str, Any]:
    """Name, size and hash of a file."""
    content = path.read_bytes()
    return {"file": path.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def describe(estimator: Estimator, graph: StepGraph, files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Describe an exported Estimator as plain values for JSON; ``files`` holds `file_facts` by variant."""
    import insula

    schema, config = estimator.schema, estimator.config
    step_s = step_seconds(estimator)
    modalities = {
        m: {
            "channels": list(s.channels),
            "rate_hz": s.rate_hz,
            "unit": s.unit,
            "samples_per_step": round(step_s * s.rate_hz),
        }
        for m, s in schema.modalities.items()
    }
    return {
        "format": FORMAT,
        "insula": insula.__version__,
        "torch": torch.__version__,
        "model": {
            "name": config.model if estimator.factory is None else type(estimator.networks[0]).__name__,
            "size": config.size,
            "networks": len(estimator.networks),
        },
        "parameters": sum(p.numel() for n in estimator.networks for p in n.parameters()),
        "files": {variant: dict(facts) for variant, facts in files.items()},
        "usage": _usage(estimator, graph),
        "step_s": step_s,
        "target": schema.target,
        "classes": list(schema.classes),
        "modalities": modalities,
        "inputs": [_input(estimator, port) for port in graph.inputs],
        "state": [{"input": p.name, "output": out, **_tensor(p), "start": 0} for p, out in graph.state],
        "outputs": [
            {"name": p.name, **_tensor(p), "meaning": MEANINGS.get(p.name, "attention of the first network")}
            for p in graph.outputs
        ],
        "features": _features(estimator),
        "normaliser": {"kind": estimator.normaliser.kind, "rule": NORMALISE, "people": _people(estimator)},
        "signal_scale": {"rule": SCALE, **estimator.scaler.to_dict()},
        "traits": [
            {"name": name, "centre": float(c), "spread": float(s)}
            for name, c, s in zip(schema.traits, *estimator.trait_scale, strict=True)
        ],
        "recipe": estimator.recipe.to_dict(),
    }


def _usage(estimator: Estimator, graph: StepGraph) -> str:
    if not graph.state:
        return "Each call reads one whole window and stands for itself."
    if estimator.scope == "window":
        when = "Features are those of the window and go with its last step; NaN before."
    else:
        when = "Features are those of the window that ends with the step; NaN before the first whole window."
    return (
        f"Call once a step of {estimator.recipe.hop_s:g} s and give each state output back as its input. Begin each "
        f"{estimator.scope} with zeros and False, {estimator.recipe.guard_s:g} s after a trial's start. {when} "
        "After a pause, add its seconds to elapsed_s of the first sample."
    )


def _input(estimator: Estimator, port: Port) -> dict[str, Any]:
    """Describe an input; ``absent`` is what to give where nothing is known, null for NaN."""
    part = next((p for p in PARTS if port.name.startswith(f"{p}_")), port.name)
    modality = port.name.removeprefix(f"{part}_")
    spec = estimator.schema.modalities.get(modality)
    fill = {"signals": 0.0, "observed": False, "present": False}
    out: dict[str, Any] = {"name": port.name, **_tensor(port), "meaning": MEANINGS[part]}
    if spec is not None:
        out["modality"] = modality
    if part == "elapsed_s" and spec is not None:
        out["absent"] = 1 / spec.rate_hz
    else:
        out["absent"] = fill.get(part)
    return out


def _features(estimator: Estimator) -> dict[str, list[dict[str, Any]]]:
    """Name, unit and the normaliser's constants of the columns of each modality."""
    schema, norm = estimator.schema, estimator.normaliser
    constants = ("mean", "within", "centre", "spread")
    rows = zip(*(getattr(norm, name).tolist() for name in constants), strict=True)
    out: dict[str, list[dict[str, Any]]] = {}
    for m, names in schema.features.items():
        units = {c.name: c.unit for c in columns(m, schema.modalities[m], estimator.recipe.window_s)}
        out[m] = [
            {"name": name, "unit": units[name], **dict(zip(constants, next(rows), strict=True))} for name in names
        ]
    return out


def _people(estimator: Estimator) -> dict[str, Any]:
    people: dict[str, Any] = estimator.normaliser.to_dict()["people"]
    return {name: dict(zip(("mean", "variance", "count"), parts, strict=True)) for name, parts in people.items()}


def _tensor(port: Port) -> dict[str, Any]:
    return {"shape": ["batch", *port.shape], "dtype": port.dtype}
