"""The model registry: a dict of names; any object that keeps the contract of `insula.types` may stand in its place."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from insula.errors import InputError, unknown_name
from insula.models.card import ModelCard, card_of
from insula.types import InputSpec

if TYPE_CHECKING:
    from torch import nn

MODELS: dict[str, Any] = {
    "liquid": "insula.models.liquid_fusion:LiquidFusion",
    "rbtransformer": "insula.models.rbtransformer:RBTransformer",
    "eegnet": "insula.models.eegnet:EEGNet",
    "tcn": "insula.models.tcn:TemporalConvolution",
    "eavs_tf": "insula.models.eavs_tf:EAVSTF",
    "udc_snn": "insula.models.cascade:Cascade",
    "dgcnn": "insula.models.dgcnn:DGCNN",
    "histn": "insula.models.histn:HiSTN",
    "cv_eegnet": "insula.models.cv_eegnet:CVEEGNet",
    "fc_attention": "insula.models.fc_attention:FCAttention",
    "sft_crn": "insula.models.sft_crn:SFTCRN",
    "pinn_eda": "insula.models.pinn_eda:PINNEDA",
    "mpcl": "insula.models.mpcl:MPCL",
    "tcfn": "insula.models.tcfn:TCFN",
    "cmslnet": "insula.models.cmslnet:CMSLNet",
    "mood_reader": "insula.models.mood_reader:MoodReader",
}
"""Name -> ``module:Class`` or the class itself; each takes ``(spec: InputSpec, size: str, **options)``."""

ENCODERS: dict[str, Any] = {
    "reve": "insula.models.encoders.reve:Reve",
    "brainomni": "insula.models.encoders.brainomni:BrainOmni",
    "tfm_tokenizer": "insula.models.encoders.tfm_tokenizer:TFMTokenizer",
    "braindecode": "insula.models.encoders.braindecode:Braindecode",
    "papagei": "insula.models.encoders.papagei:PaPaGei",
}
"""The same of encoders that others have trained: each takes ``(spec, weights=folder, finetune=False, **options)``."""

DEFAULT = "liquid"
"""The network of an experiment that names none."""
PRETRAINED = "mood_reader"
"""The network that learns without labels where none is named."""
BESIDE = ("liquid", "rbtransformer", "eegnet")
"""Networks that an energy sheet is put beside."""


def model_class(name: str) -> Any:
    """Import the class behind the name of a network or an encoder."""
    known = {**ENCODERS, **MODELS}
    module, own, thing = name.partition(":")
    if own and module not in ENCODERS:
        raise InputError(
            f"model {name!r}; expected a registered name. Put insula.register('model', '{thing.lower() or 'mine'}', "
            f"{thing or 'Mine'}) into {module}.py, and say insula --with {module} before the command."
        )
    if name not in known:
        raise unknown_name("model", name, known)
    return _imported(known[name])


def encoder_named(text: str) -> tuple[str, dict[str, str]]:
    """Name and options of an encoder that is asked for as ``NAME:DIR`` (or ``NAME:..:DIR``, as its card says)."""
    name, _, rest = text.partition(":")
    if name not in ENCODERS:
        raise unknown_name("encoder", name, ENCODERS)
    facts = card(name).pretraining
    parts = ("weights",) if facts is None else facts.parts
    values = rest.split(":", len(parts) - 1)
    if len(values) != len(parts) or not all(values):
        form = ":".join([name, *(part.upper() for part in parts[:-1]), "DIR"])
        raise InputError(f"encoder {text!r}; expected {form}. Name the folder that holds its weights.")
    return name, dict(zip(parts, values, strict=True))


def encoder_there(name: str, options: Mapping[str, Any]) -> None:
    """Raise where a network needs weights of the user's and the options name no folder of them."""
    facts = card(name)
    if facts.pretraining is not None:
        from insula.models.encoders.weights import Folder

        Folder(str(options.get("weights", "")), facts).file  # noqa: B018  # looked for


def _imported(thing: Any) -> Any:
    if not isinstance(thing, str):
        return thing
    module, attribute = thing.split(":")
    return getattr(importlib.import_module(module), attribute)


def option_names(name: str) -> list[str]:
    """Names of the options that a registered model takes, those of its other forms after its own."""
    kind = model_class(name)
    forms = getattr(kind, "forms", {})
    kinds = [kind, *(_imported(form) for form in forms.values())]
    names = [p for one in kinds for p in inspect.signature(one).parameters if p not in ("spec", "size")]
    return list(dict.fromkeys([*names, *(["variant"] if forms else [])]))


def card(name: str) -> ModelCard:
    """Facts of a registered network."""
    return card_of(model_class(name))


def build(name: str, spec: InputSpec, size: str = "small", **options: Any) -> nn.Module:
    """Build a registered model for given inputs; raise InputError where a modality it needs is missing.

    The option ``variant`` chooses among a network's ``forms``, classes of their own by name.
    """
    kind = model_class(name)
    missing = [m for m in card_of(kind).reads if m not in spec.signals]
    if missing:
        raise InputError(
            f"model {name!r} without {', '.join(missing)}; expected data with it (here: {', '.join(spec.signals)}). "
            "Choose another model or data set."
        )
    known = option_names(name)
    for option in options:
        if option not in known:
            raise unknown_name(f"option of model {name!r}", option, known)
    variant, forms = options.pop("variant", None), getattr(kind, "forms", {})
    if variant is not None:
        if variant not in forms:
            raise unknown_name(f"variant of model {name!r}", variant, forms)
        kind = _imported(forms[variant])
    own = inspect.signature(kind).parameters
    for option in options:
        if option not in own:
            form = f" with variant {variant!r}" if variant else ""
            raise unknown_name(f"option of model {name!r}{form}", option, [p for p in own if p not in ("spec", "size")])
    sized = "size" in inspect.signature(kind).parameters
    model: nn.Module = kind(spec, size, **options) if sized else kind(spec, **options)
    return model
