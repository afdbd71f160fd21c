"""Export an Estimator for onnxruntime: one step a call, described by a JSON beside it, checked and measured."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from insula.errors import InputError, InsulaError, MissingDependencyError
from insula.export.step_description import describe, file_facts, step_seconds
from insula.export.step_graph import StepGraph, answers, blank_batch, named, write_graph
from insula.export.step_model import DESCRIPTION, Arrays, StepModel, resident_growth
from insula.files import replacing, require_folder
from insula.learning.estimator import Estimator
from insula.learning.feed import Feed
from insula.learning.metrics import balanced_accuracy, ccc
from insula.models.card import card_of
from insula.protocols.own_median import decided
from insula.types import Batch, DoubleArray
from insula.windows.table import Windows

TOLERANCE = 1e-5
"""Largest difference from PyTorch, relative to the largest answer where that is above 1."""
FILES = {"float32": "model.onnx", "int8": "model-int8.onnx"}


@dataclass(frozen=True)
class Export:
    """What an export left: sizes and resident growth (None: not measured) in bytes by variant, and the checks.

    ``difference`` is the largest one from PyTorch over hops with carried state. ``loss`` says what int8 weights cost,
    None without them.
    """

    folder: Path
    graph: StepGraph
    bytes: dict[str, int]
    resident_bytes: dict[str, int | None]
    difference: float
    loss: dict[str, Any] | None
    seconds: float


def export(estimator: Estimator, folder: str | Path, *, int8: bool = True, windows: Windows | None = None) -> Export:
    """Write ``model.onnx``, ``model.json`` and, with ``int8``, ``model-int8.onnx`` into a folder.

    Parameters
    ----------
    estimator : fitted; networks that carry state are written as one hop, the others as one whole window.
    folder : new, empty, or an earlier export.
    windows : labelled windows on which the loss by int8 is measured; without them it is measured on noise.

    Raises
    ------
    InputError : a network that cannot be exported, or a folder that holds something else.
    InsulaError : the written model does not answer as PyTorch does.
    MissingDependencyError : onnx, onnxscript or onnxruntime is not installed.
    """
    _require_packages()
    target = Path(folder)
    require_folder(target, DESCRIPTION, "export")
    networks = estimator.networks
    if not networks:
        raise InputError("an Estimator without a trained network; expected fit or load before. Call fit first.")
    for why in (card_of(n).not_exportable for n in networks):
        if why is not None:
            raise InputError(
                f"{type(networks[0]).__name__} is not exportable because {why}; expected a step model. "
                "Choose another network."
            )
    if estimator.device.type != "cpu":
        raise InputError(f"an Estimator on {estimator.device}; expected it on the CPU. Load it with device='cpu'.")
    began = time.perf_counter()
    with replacing(target) as work:
        source = work / FILES["float32"]
        graph = write_graph(networks, estimator.spec, step_seconds(estimator), estimator.target_scale, source)
        if int8:
            quantise(source, work / FILES["int8"])
        seconds = time.perf_counter() - began
        variants = [v for v in FILES if (work / FILES[v]).is_file()]
        description = describe(estimator, graph, {v: file_facts(work / FILES[v]) for v in variants})
        _write(description, work)
        difference = largest_difference(estimator, work)
        if not difference <= TOLERANCE:
            raise InsulaError(
                f"the exported model differs from PyTorch by {difference:.2g}; expected at most {TOLERANCE:g}. "
                "Please report this with the versions of torch and onnxruntime."
            )
        loss = None
        if int8:
            loss = loss_on_noise(estimator, work) if windows is None else loss_on_windows(estimator, work, windows)
        resident = {v: resident_growth(work, v) for v in variants}
        description["checked"] = {"largest_difference_from_torch": difference, "tolerance": TOLERANCE, "int8": loss}
        for variant in variants:
            description["files"][variant]["resident_bytes"] = resident[variant]
        _write(description, work)
        sizes = {v: (work / FILES[v]).stat().st_size for v in variants}
    return Export(target, graph, sizes, resident, difference, loss, seconds)


def quantise(source: Path, target: Path) -> None:
    """Store the weights of matrix products as int8, one scale a tensor, and multiply in integers.

    onnxruntime's dynamic quantisation: the other side of each product is quantised as it comes, with one scale for the
    whole batch. Convolutions, biases and time constants stay float32.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(str(source))
    onnx.helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})  # constants are folded already
    quantize_dynamic(model, target, op_types_to_quantize=["MatMul", "Gemm"], weight_type=QuantType.QInt8)
    model = onnx.load(str(target))
    del model.metadata_props[:], model.graph.value_info[:]
    onnx.save(model, str(target))


# -- checks -----------------------------------------------------------------------------------------------------


def noise(estimator: Estimator, size: int, steps: int, seed: int = 0) -> Iterator[Batch]:
    """Steps of unit noise with missing samples, values and traits, a pause, and one modality after another absent."""
    g = torch.Generator().manual_seed(seed)
    spec = estimator.spec
    for step in range(steps):
        blank = blank_batch(spec, size, step_seconds(estimator))
        signals = {m: torch.randn(v.shape, generator=g) for m, v in blank.signals.items()}
        observed = {m: torch.rand(v.shape, generator=g) > 0.1 for m, v in blank.observed.items()}
        features = {m: torch.randn(v.shape, generator=g) for m, v in blank.features.items()}
        for values in features.values():
            values[torch.rand(values.shape, generator=g) < 0.1] = torch.nan
        absent = list(spec.signals)[step % len(spec.signals)]  # for the first person
        observed[absent][0] = False
        if absent in features:
            features[absent][0] = torch.nan
        blank.present[0, step % len(spec.signals)] = False
        if step == 2:
            for elapsed_s in blank.elapsed_s.values():
                elapsed_s[:, 0] += 30.0
        yield replace(
            blank,
            signals={m: v * observed[m].unsqueeze(1) for m, v in signals.items()},
            observed=observed,
            features=features,
            traits=torch.full_like(blank.traits, torch.nan)
            if step % 2
            else torch.randn(blank.traits.shape, generator=g),
        )


def largest_difference(estimator: Estimator, folder: Path, steps: int = 6) -> float:
    """Largest difference of all answers from PyTorch, over steps with carried state, for one and three people.

    Differences are divided by the largest answer of that name where it is above 1.
    """
    model = StepModel(folder)
    largest = [0.0]
    for size in (1, 3):
        state, states = model.start(size), [None] * len(estimator.networks)
        for batch in noise(estimator, size, steps):
            with torch.no_grad():
                outputs = [n(batch, s) for n, s in zip(estimator.networks, states, strict=True)]
            states = [o.state for o in outputs]
            expected = answers(outputs, estimator.spec.continuous, estimator.target_scale)
            said, state = model.step(_inputs(model, batch), state)
            for name, tensor in expected.items():
                wanted = tensor.cpu().numpy()
                scale = max(1.0, float(np.abs(wanted).max()))
                largest.append(float(np.abs(said[name] - wanted).max()) / scale)
    return float(np.max(largest))


def predict(model: StepModel, estimator: Estimator, windows: Windows) -> DoubleArray:
    """Predict windows step by step: probabilities (windows, K), or (windows, 1) values of a continuous target."""
    found = np.full((len(windows), max(1, len(estimator.schema.classes))), np.nan)
    whole = estimator.scope == "window"
    for part in Feed(estimator.prepare(windows), estimator.scope).each(1):
        state = model.start(part.row.shape[0])
        steps = _cut(part.batch, estimator, part.row.shape[1])
        for i, batch in enumerate(steps):
            said, state = model.step(_inputs(model, batch), state)
            row = part.row[:, 0 if whole else i].numpy()
            keep = row >= 0
            found[row[keep]] = _said(said)[keep]  # of a whole window, the last step's answer stays
    return found


def loss_on_windows(estimator: Estimator, folder: Path, windows: Windows) -> dict[str, Any]:
    """Score of both variants on labelled windows (balanced accuracy over all of them, or concordance) and the loss."""
    windows = decided(windows.take(np.flatnonzero((windows.table["role"] == "scored").to_numpy())))
    exact, coarse = (predict(StepModel(folder, variant), estimator, windows) for variant in FILES)
    score: dict[str, float]
    if estimator.schema.continuous:
        metric = "ccc"
        score = {v: ccc(windows.y.astype(np.float64), p[:, 0]) for v, p in zip(FILES, (exact, coarse), strict=True)}
    else:
        metric = "balanced_accuracy"
        y = windows.y.astype(np.int64)
        score = {v: balanced_accuracy(y, p.argmax(1)) for v, p in zip(FILES, (exact, coarse), strict=True)}
    people = windows.table["subject"].nunique()
    return {
        "measured_on": f"{len(windows)} labelled windows of {people} people",
        "metric": metric,
        **{variant: value if np.isfinite(value) else None for variant, value in score.items()},
        "loss": score["float32"] - score["int8"] if np.isfinite([*score.values()]).all() else None,
        **_agreement(exact, coarse),
    }


def loss_on_noise(estimator: Estimator, folder: Path, people: int = 16, steps: int = 6) -> dict[str, Any]:
    """Agreement of both variants on noise, one person at a time: no labels, so no loss of accuracy."""
    found: list[DoubleArray] = []
    for variant in FILES:
        model = StepModel(folder, variant)
        rows = []
        for person in range(people):
            state = model.start(1)
            for batch in noise(estimator, 1, steps, seed=person):
                said, state = model.step(_inputs(model, batch), state)
                rows.append(_said(said))
        found.append(np.concatenate(rows))
    return {"measured_on": f"{people * steps} steps of noise (no labels)", **_agreement(*found)}


def _agreement(exact: DoubleArray, coarse: DoubleArray) -> dict[str, Any]:
    out: dict[str, Any] = {"largest_change": float(np.abs(exact - coarse).max())}
    if exact.shape[1] > 1:
        out["same_class"] = float((exact.argmax(1) == coarse.argmax(1)).mean())
    return out


def _cut(batch: Batch, estimator: Estimator, hops: int) -> Iterator[Batch]:
    """Cut what `Feed` serves into the steps of the exported model."""
    whole = estimator.scope == "window"
    steps = round(estimator.recipe.window_s / step_seconds(estimator)) if whole else hops
    for i in range(steps):
        parts: dict[str, Any] = {
            name: {m: v.chunk(steps, axis)[i] for m, v in getattr(batch, name).items()}
            for name, axis in (("signals", 2), ("observed", 1), ("elapsed_s", 1))
        }
        if whole:
            last = i == steps - 1
            features = {m: v if last else torch.full_like(v, torch.nan) for m, v in batch.features.items()}
            yield replace(batch, **parts, features=features)
        else:
            features = {m: v[:, i] for m, v in batch.features.items()}
            yield replace(batch, **parts, features=features, present=batch.present[:, i])


def _inputs(model: StepModel, batch: Batch) -> Arrays:
    there = named(batch)
    return {port["name"]: there[port["name"]].numpy() for port in model.description["inputs"]}


def _said(said: Arrays) -> DoubleArray:
    return np.asarray(said["probability"] if "probability" in said else said["value"][:, None], np.float64)


def _write(description: dict[str, Any], folder: Path) -> None:
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1, allow_nan=False), encoding="utf-8")


def _require_packages() -> None:
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"{', '.join(missing)} not installed; expected for export. Run: pip install 'insula[onnx]'."
        )
