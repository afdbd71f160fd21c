"""Rows on disk: JSON beside weights (safetensors) or fitted trees and vectors (skops); nothing read is executed.

A row with other people's prior is a folder of two: ``own/`` and ``prior/``, each a row by itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import nn

from insula.errors import DataError, InputError, SchemaError
from insula.files import STORY, read_json, replacing, require_folder, understood
from insula.learning.batches import spec_of
from insula.learning.classical import ClassicalEstimator
from insula.learning.classical import row as made
from insula.learning.connectivity import connectivity_columns
from insula.learning.estimator import Estimator, EstimatorConfig, ModelFactory
from insula.learning.level import Normaliser, Reader, stacked
from insula.learning.prior import WithPrior
from insula.learning.riemann import TangentReader
from insula.learning.scale import SignalScaler
from insula.learning.train_config import TrainConfig
from insula.models import build
from insula.signals.recipe import Recipe
from insula.types import ChannelSpec, Schema
from insula.windows.table import Terms

if TYPE_CHECKING:
    from insula.learning.learner import Learner

FORMAT = 1
OWN, PRIOR = "own", "prior"
"""Folders of the two parts of a row with other people's prior."""
_FILE = "estimator.json"
_TRUSTED = ("sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor")
"""Types of fitted rows that skops does not know by itself: arrays of nodes, looked through when read."""
T = TypeVar("T")


def load_model(folder: str | Path, device: str = "cpu", factory: ModelFactory | None = None) -> Learner:
    """Read any saved row, network or classical, with other people's prior or without; nothing read is executed.

    ``factory`` is the class or function that built the network, where it is not a registered model.
    """
    data = _read(Path(folder) / _FILE)
    if "pool" in data:
        return _whole(data, folder, lambda: _restored_pool(data, Path(folder), device, factory))
    return _single(data, folder, device, factory)


def _single(data: dict[str, Any], folder: str | Path, device: str, factory: ModelFactory | None) -> Learner:
    if "row" in data:
        return _whole(data, folder, lambda: _restored_row(data, Path(folder)))
    return _whole(data, folder, lambda: _restored_network(data, Path(folder), device, factory))


def load_network(folder: str | Path, device: str = "cpu", factory: ModelFactory | None = None) -> Estimator:
    """Read a network that `save_network` wrote."""
    data = _read(Path(folder) / _FILE)
    if "pool" in data:
        raise InputError(
            f"{folder} holds a model with other people's prior; expected one network. Use insula.load_model, or name "
            f"{Path(folder) / OWN} for the person's own network alone."
        )
    if "row" in data:
        raise InputError(f"{folder} holds the row {data['row']['name']!r}; expected a network. Use insula.load_model.")
    return _whole(data, folder, lambda: _restored_network(data, Path(folder), device, factory))


def save_network(estimator: Estimator, folder: str | Path, provenance: Mapping[str, Any] | None = None) -> Path:
    """Write a trained network; see `insula.Estimator.save`."""
    from safetensors.torch import save

    def files(work: Path) -> dict[str, Any]:
        hashes = []
        for i, network in enumerate(estimator._fitted()):
            tensors = {k: v.detach().cpu().clone().contiguous() for k, v in network.state_dict().items()}
            file = work / f"weights-{i}.safetensors"
            content = save(tensors)
            file.write_bytes(content)
            hashes.append(hashlib.sha256(content).hexdigest())
        return {**_network(estimator), "weights_sha256": hashes}

    estimator._fitted()
    return _write(folder, files, provenance)


def save_row(row: ClassicalEstimator, folder: str | Path, provenance: Mapping[str, Any] | None = None) -> Path:
    """Write a fitted classical row; see `insula.ClassicalEstimator.save`."""
    import skops.io

    def files(work: Path) -> dict[str, Any]:
        described = _row(row)
        if row.model is not None:
            file = work / "model.skops"
            skops.io.dump(row.model, file)
            described["model_sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        return described

    return _write(folder, files, provenance)


def save_pool(both: WithPrior, folder: str | Path, provenance: Mapping[str, Any] | None = None) -> Path:
    """Write a fitted row and other people's prior; see `insula.learning.prior.WithPrior.save`."""
    if not hasattr(both, "schema"):
        raise InputError(f"save of {both!r} that was not fitted; expected fit before. Call fit first.")

    def files(work: Path) -> dict[str, Any]:
        for part, model in ((OWN, both.own), (PRIOR, both.prior)):
            model.save(work / part)
        return {"pool": {**both.given, "used": both.weight}}

    return _write(folder, files, provenance)


def parts_of(folder: Path) -> tuple[Path, ...]:
    """Folders inside a saved model that are parts of it and no models by themselves."""
    return tuple(folder / part for part in (OWN, PRIOR) if (folder / part / _FILE).is_file())


def _write(folder: str | Path, files: Callable[[Path], dict[str, Any]], provenance: Mapping[str, Any] | None) -> Path:
    target = Path(folder)
    require_folder(target, _FILE, "model")
    with replacing(target) as work:
        description = {"format": FORMAT, "insula": version("insula"), "torch": torch.__version__, **files(work)}
        text = json.dumps({**description, "sha256": digest(description)}, indent=1)
        (work / _FILE).write_text(text, encoding="utf-8")
        if provenance is not None:
            story = json.dumps(provenance, indent=1, default=str, allow_nan=False)
            (work / STORY).write_text(story, encoding="utf-8")
    return target


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"no model in {path.parent}; expected a folder with {_FILE}. Train one with `insula train`.")
    data = read_json(path, dict[str, Any], "what Estimator.save wrote. Train it again")
    found, stored = data.get("format"), data.pop("sha256", None)
    if found != FORMAT:
        raise SchemaError(f"model format {found!r} in {path}; expected {FORMAT}. Train it again.")
    if stored != digest(data):
        raise DataError(f"{path} was changed since it was saved; expected it as it was. Train it again.")
    return data


def _whole(data: Mapping[str, Any], folder: str | Path, restore: Callable[[], T]) -> T:
    with understood(Path(folder) / _FILE, f"those of insula {str(data.get('insula'))[:20]}, which wrote it"):
        return restore()


def _restored_pool(data: dict[str, Any], folder: Path, device: str, factory: ModelFactory | None) -> WithPrior:
    own, prior = (_single(_read(folder / part / _FILE), folder / part, device, factory) for part in (OWN, PRIOR))
    given = dict(data["pool"])
    used, group = given.pop("used"), given.pop("group")
    if isinstance(used, bool) or not 0 <= used <= 1:
        raise ValueError(f"a weight of {used}")
    return WithPrior.of(own, prior, float(used), **given, group=None if group is None else tuple(group))


# -- networks ----------------------------------------------------------------------------------------------------------


def _network(estimator: Estimator) -> dict[str, Any]:
    factory = estimator.factory
    config = asdict(replace(estimator.config, options=dict(estimator.config.options or {})))
    return {
        **({} if factory is None else {"factory": factory_name(factory)}),
        "config": config,
        "terms": asdict(estimator.terms),
        "recipe": estimator.recipe.to_dict(),
        "schema": asdict(estimator.schema),
        "normaliser": estimator.normaliser.to_dict(),
        "scaler": estimator.scaler.to_dict(),
        "trait_scale": [v.tolist() for v in estimator.trait_scale],
        "target_scale": list(estimator.target_scale),
    }


def _restored_network(data: dict[str, Any], folder: Path, device: str, factory: ModelFactory | None) -> Estimator:
    config = data["config"]
    config["train"] = TrainConfig(**config["train"])
    config["group"] = None if config["group"] is None else tuple(config["group"])
    built_by = data.get("factory")
    if built_by is not None and factory is None:
        raise InputError(
            f"model in {folder} was built by {built_by}; expected that factory. Pass factory=..., since a "
            "folder may not say what code is run."
        )
    if built_by is None and factory is not None:
        raise InputError(f"factory for the registered model {config['model']!r}; expected none. Leave factory out.")
    estimator = Estimator(EstimatorConfig(**{**config, "device": device}), factory)
    estimator.recipe = Recipe.from_dict(data["recipe"])
    estimator.schema = _schema(data["schema"])
    estimator.terms = Terms(**{**data["terms"], "group": tuple(data["terms"]["group"])})
    estimator.normaliser = Normaliser.from_dict(data["normaliser"])
    estimator.scaler = SignalScaler.from_dict(data["scaler"])
    estimator.scaler.require({m: len(spec.channels) for m, spec in estimator.schema.modalities.items()})
    centre, spread = data["trait_scale"]
    estimator.trait_scale = (np.asarray(centre, np.float32), np.asarray(spread, np.float32))
    if any(scale.shape != (len(estimator.schema.traits),) for scale in estimator.trait_scale):
        raise ValueError(f"scales of {len(centre)} and {len(spread)} traits for {len(estimator.schema.traits)}")
    estimator.target_scale = (data["target_scale"][0], data["target_scale"][1])
    estimator.spec = spec_of(estimator.schema, estimator.recipe)
    for i in range(len(data["weights_sha256"])):  # one alone where no deep path was kept
        weights = _weights(folder / f"weights-{i}.safetensors", data["weights_sha256"][i])
        if factory is not None:
            network = factory(estimator.spec)
        else:
            options = dict(config["options"] or {})
            _require_size(weights, partial(build, config["model"], estimator.spec, config["size"], **options))
            network = build(config["model"], estimator.spec, config["size"], **options)
        network.load_state_dict(weights)
        estimator.networks.append(network.to(estimator.device).eval())
    return estimator


def _require_size(weights: Mapping[str, torch.Tensor], make: Callable[[], nn.Module]) -> None:
    """Refuse a forged size before anything of that size is made: the network is drawn up without memory first."""
    try:
        with torch.device("meta"):
            form = make()
    except NotImplementedError:  # its form depends on values
        return
    form.load_state_dict({name: tensor.to("meta") for name, tensor in weights.items()})


def factory_name(factory: ModelFactory) -> str:
    """``module:name`` of a class or function, for people to read."""
    kind = factory if hasattr(factory, "__qualname__") else type(factory)
    return f"{kind.__module__}:{kind.__qualname__}"


def digest(description: Mapping[str, Any]) -> str:
    """SHA-256 of a description's JSON."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def _weights(file: Path, sha256: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load

    with understood(file, "weights that Estimator.save wrote"):
        tensors: dict[str, torch.Tensor] = load(_content(file, sha256))
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise DataError(f"{file} holds {name} that is not finite; expected finite weights. Train it again.")
    return tensors


def _content(file: Path, sha256: str) -> bytes:
    content = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{file} is missing or not the one that was saved; expected it whole. Train it again.")
    return content


def _schema(data: dict[str, Any]) -> Schema:
    return Schema(
        {m: ChannelSpec(tuple(s["channels"]), s["rate_hz"], s["unit"]) for m, s in data["modalities"].items()},
        {m: tuple(c) for m, c in data["features"].items()},
        tuple(data["traits"]),
        data["target"],
        tuple(data["classes"]),
    )


# -- classical rows ----------------------------------------------------------------------------------------------------

_NUMBERS = ("median", "centre", "spread")


def _row(row: ClassicalEstimator) -> dict[str, Any]:
    if not hasattr(row, "schema"):
        raise InputError(f"save of {row.info.name} that was not fitted; expected fit before. Call fit first.")
    read = row.normaliser.read if row.normaliser is not None else None
    return {
        "row": row.get_params(),
        "recipe": row.recipe.to_dict(),
        "schema": asdict(row.schema),
        "fitted": {
            "options": dict(row.options),
            "classes": row.classes.tolist(),
            "kept": row.kept.tolist(),
            **{name: getattr(row, name).tolist() for name in _NUMBERS},
            "by_stimulus": {k: v if isinstance(v, float) else v.tolist() for k, v in row.by_stimulus.items()},
            "constant": row.constant if row.schema.continuous else None,
            "share": None if row.schema.continuous else row.share.tolist(),
            "normaliser": None if row.normaliser is None else row.normaliser.to_dict(),
            "reader": read.to_dict() if isinstance(read, TangentReader) else None,
        },
    }


def _restored_row(data: dict[str, Any], folder: Path) -> ClassicalEstimator:
    params, fitted = data["row"], data["fitted"]
    row = made(**{**params, "group": None if params["group"] is None else tuple(params["group"])})
    row.recipe, row.schema = Recipe.from_dict(data["recipe"]), _schema(data["schema"])
    row.options = dict(fitted["options"])
    row.classes = np.asarray(fitted["classes"], np.int64)
    row.kept = np.asarray(fitted["kept"], bool)
    for name in _NUMBERS:
        setattr(row, name, np.asarray(fitted[name], np.float64))
    row.by_stimulus = {k: v if isinstance(v, float) else np.asarray(v) for k, v in fitted["by_stimulus"].items()}
    if row.schema.continuous:
        row.constant = float(fitted["constant"])
    else:
        row.share = np.asarray(fitted["share"], np.float64)
    plain: Reader = connectivity_columns if row.info.inputs == "connectivity" else stacked
    read = plain if fitted["reader"] is None else TangentReader.from_dict(fitted["reader"])
    row.normaliser = None if fitted["normaliser"] is None else Normaliser.from_dict(fitted["normaliser"], read)
    row.model = _sklearn_model(folder / "model.skops", data["model_sha256"]) if "model_sha256" in data else None
    row._fitted = True
    return row


def _sklearn_model(file: Path, sha256: str) -> Any:
    """Read fitted arrays of scikit-learn's own types; anything else in the file is refused, never built."""
    import skops.io

    content = _content(file, sha256)
    asked = skops.io.get_untrusted_types(data=content)
    strange = [name for name in asked if name not in _TRUSTED]
    if strange:
        raise DataError(f"{file} holds {', '.join(strange)}; expected scikit-learn's own types. Do not trust it.")
    model = skops.io.loads(content, trusted=list(asked))
    if not all(map(_sound, _trees(model))):
        raise DataError(f"{file} holds a tree that leads out of itself; expected nodes of the tree. Do not trust it.")
    return model


def _trees(model: Any) -> list[tuple[Any, Any, int]]:
    """Children (nodes, 2), features (nodes,) and the number of columns of every tree; -1 or 0 ends at a leaf."""
    columns = int(model.n_features_in_)
    found = []
    for one in getattr(model, "estimators_", []):
        children = np.stack([one.tree_.children_left, one.tree_.children_right], 1)
        found.append((children, one.tree_.feature, columns))
    for step in getattr(model, "_predictors", []):
        for one in step:
            children = np.stack([one.nodes["left"], one.nodes["right"]], 1).astype(np.int64)
            found.append((children, one.nodes["feature_idx"].astype(np.int64), columns))
    return found


def _sound(tree: tuple[Any, Any, int]) -> bool:
    """Whether every node leads to a later one of the tree and reads a column that there is."""
    children, feature, columns = tree
    inner = (children > 0).all(axis=1)
    onward = (children[inner] > np.flatnonzero(inner)[:, None]).all() and (children < len(children)).all()
    return bool(len(children) and onward and (feature[inner] < columns).all() and (feature[inner] >= 0).all())
