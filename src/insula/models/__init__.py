"""The model registry: a dict of names; any object that keeps the contract of `insula.types` may stand in its place."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from insula.errors import InputError, unknown_name
from insula.types import InputSpec

if TYPE_CHECKING:
    from torch import nn

MODELS: dict[str, str] = {
    "liquid": "insula.models.liquid_fusion:LiquidFusion",
    "rbtransformer": "insula.models.rbtransformer:RBTransformer",
    "eegnet": "insula.models.eegnet:EEGNet",
    "tcn": "insula.models.tcn:TemporalConvolution",
    "eavs_tf": "insula.models.eavs_tf:EAVSTF",
    "udc_snn": "insula.models.udc_snn:Cascade",
}
"""Name -> ``module:Class``; each class takes ``(spec: InputSpec, size: str, **options)``."""


def model_class(name: str) -> Any:
    """Import the class behind a registry name."""
    if name not in MODELS:
        raise unknown_name("model", name, MODELS)
    module, attribute = MODELS[name].split(":")
    return getattr(importlib.import_module(module), attribute)


def option_names(name: str) -> list[str]:
    """Names of the options that a registered model takes."""
    return [p.name for p in inspect.signature(model_class(name)).parameters.values() if p.name not in ("spec", "size")]


def build(name: str, spec: InputSpec, size: str = "small", **options: Any) -> nn.Module:
    """Build a registered model for given inputs; raise InputError where a modality it needs is missing."""
    kind = model_class(name)
    missing = [m for m in kind.modalities_required if m not in spec.signals]
    if missing:
        raise InputError(
            f"model {name!r} without {', '.join(missing)}; expected data with it (here: {', '.join(spec.signals)}). "
            "Choose another model or data set."
        )
    known = option_names(name)
    for option in options:
        if option not in known:
            raise unknown_name(f"option of model {name!r}", option, known)
    model: nn.Module = kind(spec, size, **options)
    return model
