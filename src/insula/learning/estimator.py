"""The deep module: fit, predict, embed, save and load; owns the normaliser, the network and the Recipe."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from insula.errors import InputError, ProtocolError, unknown_name
from insula.learning.align import Align, require_align
from insula.learning.batches import Prepared, input_spec
from insula.learning.feed import Feed
from insula.learning.fitting import networks_of
from insula.learning.gathering import gathered
from insula.learning.learner import Learner
from insula.learning.level import Normaliser
from insula.learning.scale import SignalScaler
from insula.learning.start import Begun
from insula.learning.train import History
from insula.learning.train_config import TrainConfig
from insula.learning.weighing import trained_on, weights
from insula.models import DEFAULT, build, card, option_names
from insula.models.card import card_of
from insula.protocols.fold import terms_of
from insula.protocols.own_median import decided
from insula.protocols.protocols import inner_split
from insula.types import DoubleArray, FloatArray, InputSpec
from insula.windows.table import Windows
from insula.windows.targets import is_ordered

SCOPES = ("window", "trial", "session")

ModelFactory = Callable[[InputSpec], nn.Module]


@dataclass(frozen=True)
class EstimatorConfig:
    """What an Estimator is made of.

    ``scope`` says where state is reset: at each ``window``, each ``trial`` (default) or each ``session`` (marked
    wherever it appears). ``normaliser`` is a kind of ``Normaliser``, ``group`` names the columns whose values stay on
    one side of the inner validation split; None takes them from the fold that the windows come from (else whole people,
    see `insula.protocols.fold.terms_of`). ``align`` brings people's EEG together by the rows that the normaliser may
    read (`insula.learning.align`). ``teacher`` is the folder of a saved row whose probabilities are learned beside the
    labels (`insula.learning.teaching`), ``start`` that of a network whose weights training begins with
    (`insula.learning.pretraining`).
    """

    model: str = DEFAULT
    size: str = "small"
    scope: str = "trial"
    normaliser: str | None = None
    group: tuple[str, ...] | None = None
    align: Align = "none"
    teacher: str | None = None
    start: str | None = None
    train: TrainConfig = field(default_factory=TrainConfig)
    options: Mapping[str, Any] | None = None
    members: int = 1
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise InputError(f"scope {self.scope!r}; expected one of {', '.join(SCOPES)}.")
        require_align(self.align)
        if self.members < 1:
            raise InputError(f"members {self.members}; expected 1 or more.")
        _require_device(self.device)

    def with_params(self, factory: bool = False, **params: Any) -> EstimatorConfig:
        """Put parameters where they belong: own keys, those of `TrainConfig`, and the rest to the model's options.

        Raises InputError for a name that none of them has; a factory takes no options.
        """
        own = {k: params[k] for k in params if k in _OWN}
        train = {k: params[k] for k in params if k in _TRAIN}
        options = {k: v for k, v in params.items() if k not in own and k not in train}
        known = [] if factory else option_names(own.get("model", self.model))
        for name in options:
            if name not in known:
                raise unknown_name("parameter", name, [*_OWN, *_TRAIN, *known])
        if own.get("group") is not None:
            own["group"] = tuple(own["group"])
        merged = {**dict(self.options or {}), **options} or None
        return replace(self, train=replace(self.train, **train), options=merged, **own)

    def params(self) -> dict[str, Any]:
        """Every parameter by name, as `with_params` takes them."""
        own = {name: getattr(self, name) for name in _OWN}
        return {**own, **{name: getattr(self.train, name) for name in _TRAIN}, **dict(self.options or {})}


_OWN = tuple(f.name for f in fields(EstimatorConfig) if f.name not in ("train", "options"))
_TRAIN = tuple(f.name for f in fields(TrainConfig))


class Estimator(Learner):
    """Train and use a network on Windows, with scikit-learn's conventions.

    ``factory`` may build any torch module that keeps the contract of `insula.types`; it replaces ``config.model``.
    ``members`` networks of different seeds are trained and their probabilities averaged.
    """

    def __init__(self, config: EstimatorConfig | None = None, factory: ModelFactory | None = None) -> None:
        self.config = config if config is not None else EstimatorConfig()
        self.factory = factory
        self.networks: list[nn.Module] = []
        self.histories: list[History] = []
        self.begun: Begun | None = None

    # -- learning -----------------------------------------------------------------------------------------------

    def fit(self, windows: Windows, y: Any = None, *, progress: Callable[[int, int], None] | None = None) -> Estimator:
        """Train on the scored ones of these windows; part of them, grouped as ``config.group`` says, stops it early.

        ``y`` replaces the windows' own labels (class codes or numbers); ``progress`` hears (epochs done, all of them),
        those of trainings that only judge among them.
        """
        windows = self._cleaned(windows if y is None else windows.with_y(np.asarray(y)))
        cfg = self.config
        if cfg.train.label_smoothing == "ordinal" and not is_ordered(windows.schema.classes):
            raise InputError(
                f"label_smoothing ordinal for {', '.join(windows.schema.classes) or 'a number'}; expected classes with "
                "an order. Use a rating (NAME:classes or NAME:bins=...), or a share such as .05."
            )
        chosen, held_out = self._inner(windows, cfg.seed)
        self._learn_scales(windows.take(chosen))
        made = networks_of(self, windows, chosen, held_out, progress)
        self.networks, self.histories, self.begun = made.networks, made.histories, made.begun
        return self

    def initialise(self, windows: Windows) -> Estimator:
        """Set the normaliser and the first weights without training: the untrained control of analyses."""
        self._learn_scales(self._cleaned(windows))
        self.networks = [self.built(self.config.seed + 1000 * m) for m in range(self.config.members)]
        for network in self.networks:
            network.to(self.device).eval()
        return self

    def _cleaned(self, windows: Windows) -> Windows:
        """Return the scored windows that training keeps."""
        windows = decided(windows.take((windows.table["role"] == "scored").to_numpy()))
        labelled = windows.y >= 0 if windows.schema.classes else np.isfinite(windows.y)
        if not len(windows) or not labelled.all():
            raise InputError(
                f"{len(windows)} scored windows, {int(labelled.sum())} with a label; expected some, all with one. "
                "Name a target when the windows are cut."
            )
        self.terms = terms_of(windows)
        if self.config.normaliser is not None:
            self.terms = replace(self.terms, normaliser=self.config.normaliser)
        if self.config.group is not None:
            self.terms = replace(self.terms, group=self.config.group)
        return trained_on(windows, self.config.train.quality, self.config.train.quality_share)

    def _learn_scales(self, windows: Windows) -> None:
        """Learn scales from windows that train: those held out to stop by are not among them."""
        self.networks = []
        self.schema, self.recipe = windows.schema, windows.recipe
        self.spec = input_spec(windows)
        kind = self.terms.normaliser
        self.normaliser = Normaliser(kind).fit(windows)
        self.scaler = SignalScaler(kind, self.config.align).fit(windows)
        traits = windows.traits()
        self.trait_scale = _centre_spread(traits)
        self.target_scale = (0.0, 1.0)
        if windows.schema.continuous:
            self.target_scale = (float(np.mean(windows.y)), float(np.std(windows.y)) or 1.0)

    def built(self, seed: int) -> nn.Module:
        """A network that nothing has trained, its weights drawn by a seed, or those of ``config.start``."""
        torch.manual_seed(seed)
        if self.factory is not None:
            return self.factory(self.spec)
        network = build(self.config.model, self.spec, self.config.size, **dict(self.config.options or {}))
        if self.config.start is not None:
            from insula.learning.pretraining import begin_from

            begin_from(network, self.config.start, self.config.model)
        return network

    def _inner(self, windows: Windows, seed: int) -> tuple[Any, Any]:
        rows = np.arange(len(windows))
        fraction = self.config.train.validation_fraction
        group = self.terms.group
        groups = len(windows.table.groupby(list(group))) if group else len(windows)
        if not fraction or groups < self.config.train.validation_groups:
            return rows, rows[:0]
        try:
            return inner_split(windows.table, rows, group, seed, fraction)
        except ProtocolError:
            return rows, rows[:0]

    # -- using --------------------------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        return torch.device(self.config.device)

    @property
    def scope(self) -> str:
        """Scope in use: models without a ``sequence`` method read single windows."""
        streaming = bool(self.networks) and all(card_of(n).step for n in self.networks)
        if not self.networks:
            streaming = card_of(self.factory(self.spec)).step if self.factory else streams(self.config.model)
        return self.config.scope if streaming else "window"

    def prepare(self, windows: Windows, weight: FloatArray | None = None) -> Prepared:
        """Scale signals and features of windows for the networks; targets of a continuous task are standardised."""
        self.schema.require(windows.schema, "the model", "the data")
        if self.schema.continuous:
            y = (windows.y.astype(np.float64) - self.target_scale[0]) / self.target_scale[1]
            windows = windows.with_y(y)
        return Prepared(windows, self.scaler, self.normaliser, self.trait_scale, weights=weight)

    def feed(self, windows: Windows) -> Feed:
        """Serve windows to training, weighed by their quality if so configured."""
        weight = weights(windows) if self.config.train.quality == "weigh" else None
        return Feed(self.prepare(windows, weight), self.scope)

    def outputs(self, windows: Windows, collect: Sequence[str] = ()) -> dict[str, FloatArray]:
        """Gather what the first network says, a row a window: ``embedding``, ``attention:NAME`` or ``extras:NAME``."""
        network = self._fitted()[0]
        return self._gather(network, self.prepare(windows), len(windows), ("logits", *collect))

    def predict_proba(self, windows: Windows, absent: str | Sequence[str] | None = None) -> DoubleArray:
        """Probability of each class, (windows, K); ``absent`` names modalities (or ``traits``) to predict without."""
        networks = self._fitted()
        if self.schema.continuous:
            raise InputError(
                f"predict_proba for the continuous target {self.schema.target!r}; expected classes. Use predict."
            )
        prepared = self.prepare(windows)
        total = np.zeros((len(windows), len(self.schema.classes)))
        for network in networks:
            logits = self._gather(network, prepared, len(windows), ("logits",), absent)["logits"].astype(np.float64)
            shifted = np.exp(logits - logits.max(1, keepdims=True))
            total += shifted / shifted.sum(1, keepdims=True)
        return np.asarray(total / len(networks))

    def predict(self, windows: Windows, absent: str | Sequence[str] | None = None) -> Any:
        """Most probable class code of each window, or the value of a continuous target."""
        networks = self._fitted()
        if not self.schema.continuous:
            return self.predict_proba(windows, absent).argmax(1)
        prepared = self.prepare(windows)
        values = [self._gather(n, prepared, len(windows), ("logits",), absent)["logits"][:, 0] for n in networks]
        return np.mean(values, 0).astype(np.float64) * self.target_scale[1] + self.target_scale[0]

    def embed(self, windows: Windows) -> FloatArray:
        """Latent vector of each window, (windows, H)."""
        return self.outputs(windows, ("embedding",))["embedding"]

    def _fitted(self) -> list[nn.Module]:
        if not self.networks:
            raise InputError("an Estimator without a trained network; expected fit or load before. Call fit first.")
        return self.networks

    def _gather(
        self,
        network: nn.Module,
        prepared: Prepared,
        count: int,
        names: Sequence[str],
        absent: str | Sequence[str] | None = None,
    ) -> dict[str, FloatArray]:
        return gathered(network, prepared, count, names, self.scope, self.device, absent)

    def of_person(self, windows: Windows) -> Estimator:
        """The same networks with the own level of these windows' people, labelled or not, in the population's place."""
        out = copy.copy(self)
        out.normaliser, out.scaler = self.normaliser.of_person(windows), self.scaler.of_person(windows)
        return out

    # -- keeping ------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path, provenance: Mapping[str, Any] | None = None) -> Path:
        """Write weights (safetensors) and everything else (JSON) into a folder, at once or not at all.

        A folder that is there already is replaced if it is empty or holds an earlier model, and refused otherwise.
        ``provenance`` goes into ``training.json`` beside the model, for people to read.
        """
        from insula.learning.saving import save_network

        return save_network(self, folder, provenance)

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu", factory: ModelFactory | None = None) -> Estimator:
        """Read what `save` wrote; nothing in it is executed. ``factory`` is needed where one built the model."""
        from insula.learning.saving import load_network

        return load_network(folder, device, factory)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """Every parameter by name: the estimator's, those of training, and the model's options."""
        made = {} if self.factory is None else {"factory": self.factory}
        return {**self.config.params(), **made}

    def set_params(self, **params: Any) -> Estimator:
        """Change parameters; what is trained already stays until fit is called again."""
        self.factory = params.pop("factory", self.factory)
        self.config = self.config.with_params(self.factory is not None, **params)
        return self

    def clone(self) -> Estimator:
        """Return the same estimator, not trained."""
        return Estimator(self.config, self.factory)

    @property
    def notes(self) -> tuple[str, ...]:
        """Where the training people stood in for a person's own level."""
        return self.normaliser.notes if hasattr(self, "normaliser") else ()

    def _told(self) -> dict[str, Any]:
        usual = EstimatorConfig().params()
        changed = {k: v for k, v in self.config.params().items() if k not in usual or v != usual[k]}
        name = self.config.model if self.factory is None else getattr(self.factory, "__name__", "factory")
        return {**changed, "model": name}

    @property
    def parameters(self) -> int:
        """Trainable numbers of one network."""
        return sum(p.numel() for p in self._fitted()[0].parameters())


def streams(model: str) -> bool:
    """Whether a registered model reads whole trials with carried state."""
    return card(model).step


def _require_device(name: str) -> None:
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind = name.split(":")[0]
    if not there.get(kind, False):
        usable = ", ".join(k for k, found in there.items() if found)
        raise InputError(f"device {name!r}; expected one of this machine: {usable}. Use --device cpu.")


def _centre_spread(traits: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and deviation of each trait, 0 and 1 where it is unknown or the same for everybody."""
    known = np.isfinite(traits)
    count = np.maximum(known.sum(0), 1)
    centre = np.where(known, traits, 0).sum(0) / count
    spread = np.sqrt((np.where(known, traits - centre, 0) ** 2).sum(0) / count)
    return centre.astype(np.float32), np.where(spread > 1e-6, spread, 1.0).astype(np.float32)
