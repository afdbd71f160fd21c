"""The rows of an evaluation: the model, its variants and ablations, classical rows and baselines, and their marks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from insula.errors import InputError, ProtocolError, unknown_name
from insula.evaluation.adapting import require_network, require_strategies, usual
from insula.evaluation.elders import Elder, elders_of
from insula.evaluation.experiment import Experiment, ModelPart, Tune, checked
from insula.evaluation.system import WITH_PRIOR
from insula.evaluation.tuning import with_candidate
from insula.learning.batches import input_spec
from insula.learning.classical import ClassicalEstimator
from insula.learning.classical_rows import CLASSICAL
from insula.learning.estimator import EstimatorConfig, ModelFactory
from insula.learning.level import Normaliser
from insula.learning.prior import Weight
from insula.learning.train_config import TrainConfig
from insula.learning.weighing import Quality
from insula.models import build, card, encoder_there
from insula.models.card import ModelCard, card_of
from insula.protocols.fold import default_normaliser
from insula.protocols.lending import lent
from insula.protocols.protocols import PROTOCOLS, Split
from insula.protocols.schedule import fixed_order, shares_schedule
from insula.windows.table import Windows

ALONE = "_alone"
"""Ending of the first row's name without what it learned beside labels (of other models or of signals alone)."""
NO_TRAITS = "_no_traits"
"""Ending of the name of a network's row that is not told people's traits."""


@dataclass(frozen=True)
class RowPlan:
    """One row of the evaluation: how to build it and how it is marked; ``role`` is that of the variant it is.

    ``keep``: its fold models are wanted after the evaluation. ``prior`` is the weight of other people's prior.
    ``strategies`` of adapting it to a person are compared where the protocol calibrates; with a ``curve`` for every
    amount, beside their controls. ``elders`` are saved models that it learns from. Without ``traits`` it is not told
    people's traits.
    """

    name: str
    title: str
    kind: Literal["model", "ablation", "classical", "baseline"]
    scope: str
    normaliser: str
    network: EstimatorConfig | None = None
    classical: str | None = None
    context: Literal["trial", "session"] | None = None
    tune: Tune | None = None
    factory: ModelFactory | None = None
    quality: Quality = "keep"
    quality_share: float = 0.5
    role: str = ""
    keep: bool = False
    elders: tuple[Elder, ...] = ()
    prior: Weight = 0.0
    strategies: tuple[str, ...] = ()
    curve: bool = True
    traits: bool = True

    @property
    def bare(self) -> str:
        """Name of the same row without other people's prior: what its own model answers by itself."""
        return self.name.removesuffix(WITH_PRIOR) if self.prior else self.name

    def with_prior(self, weight: Weight) -> RowPlan:
        """Return the same row times what it learned from other people."""
        title = f"{self.title}, with other people's prior"
        return replace(self, name=f"{self.name}{WITH_PRIOR}", title=title, prior=weight)


def require_names(experiment: Experiment, device: str = "cpu") -> None:
    """Raise for an unknown protocol, model, row, device or key of training, before anything takes time."""
    if experiment.protocol.name not in PROTOCOLS:
        raise unknown_name("protocol", experiment.protocol.name, PROTOCOLS)
    require_strategies(experiment.protocol.strategies, PROTOCOLS[experiment.protocol.name].calibrates)
    for row in experiment.compare.rows:
        if row not in CLASSICAL:
            raise unknown_name("row", row, CLASSICAL)
    for name in experiment.compare.models:
        if card(name).pretraining is not None:
            raise InputError(
                f"encoder {name} beside another row; expected it as the first one, with its weights. Use --encoder "
                f"{name}:DIR, and --model for those beside it."
            )
    if experiment.model.name in CLASSICAL:
        _require_classical(experiment)
        return
    known = card(experiment.model.name)
    require_encoder(experiment)
    for variant in experiment.compare.variants or ():
        if variant not in known.variants:
            raise unknown_name(f"variant of {experiment.model.name}", variant, known.variants)
    config = model_config(experiment, experiment.model.normaliser or "population", (), device)
    for candidate in experiment.tune.candidates:
        with_candidate(config, candidate)


def require_encoder(experiment: Experiment) -> None:
    """Raise InputError for an encoder without its weights, and for what it would ignore."""
    model = experiment.model
    facts = card(model.name)
    encoder_there(model.name, model.options)
    if facts.pretraining is None:
        return
    if model.size != ModelPart.size:
        raise InputError(f"{facts.title} of size {model.size}; expected none, its weights say it. Leave --size out.")
    if model.start is not None and not model.options.get("finetune"):
        raise InputError(
            f"{facts.title} frozen, begun from {model.start}; expected one that learns, since the head of a frozen one "
            "is solved and begins nowhere. Add --finetune, or leave --from out."
        )
    if _train_config(experiment).unlabelled_epochs and not model.options.get("finetune"):
        raise InputError(
            f"{facts.title} frozen, with train.unlabelled_epochs; expected one that learns, since a frozen one learns "
            "nothing of signals. Add --finetune, or leave the key out."
        )


def _require_classical(experiment: Experiment) -> None:
    """Raise InputError for what a classical row in the model's place would ignore."""
    model = experiment.model
    asked = {"teacher": model.teacher, "start": model.start, "align": None if model.align == "none" else model.align}
    unused = [name for name, value in asked.items() if value is not None]
    if unused:
        raise InputError(f"{model.name} with {', '.join(unused)}; expected a network for it. Leave it out.")
    require_network(experiment.protocol.strategies, model.name)


def model_config(
    experiment: Experiment, normaliser: str, group: tuple[str, ...], device: str = "cpu"
) -> EstimatorConfig:
    """Say how an experiment's network is built and trained."""
    Normaliser(normaliser)
    model = experiment.model
    return EstimatorConfig(
        model=model.name,
        size=model.size,
        scope=model.scope,
        normaliser=normaliser,
        group=group,
        align=model.align,
        teacher=model.teacher,
        start=model.start,
        train=_train_config(experiment),
        options=model.options,
        members=model.members,
        seed=experiment.seed,
        device=device,
    )


def classical_row(
    experiment: Experiment, name: str, normaliser: str, context: Literal["trial", "session"] | None = None
) -> ClassicalEstimator:
    """Say how a classical row is built: by the experiment's seed and its rule for spoiled training windows."""
    train = _train_config(experiment)
    return ClassicalEstimator(
        name, seed=experiment.seed, context=context or False, normaliser=normaliser, quality=train.quality,
        quality_share=train.quality_share,
    )  # fmt: skip


def _train_config(experiment: Experiment) -> TrainConfig:
    return TrainConfig(**checked("[train] key", TrainConfig, experiment.train))


def make_plans(
    windows: Windows,
    experiment: Experiment,
    first: Split,
    device: str = "cpu",
    factory: ModelFactory | None = None,
    force: bool = False,
) -> list[RowPlan]:
    """List the rows: the model first, its session-carried variant, ablations, classical rows, baselines.

    With other people's prior stand the first row, the classical ones and what is the first but for people's traits;
    all else is a variant of the first row's twin without the prior. A classical row may stand in the model's place; it
    has no variants. Raises ProtocolError where session scope is asked for and not allowed; ``force`` marks it only.
    """
    model = experiment.model
    normaliser = model.normaliser or default_normaliser(windows, experiment.protocol.models_a_person)
    others = [
        plan
        for row in experiment.compare.rows
        if (row != model.name or factory is not None)
        and (CLASSICAL[row].inputs != "stimulus" or shares_stimuli(windows, first, model.prior))
        for plan in _classical_plans(row, normaliser, experiment.compare.context, windows)
    ]
    others += [plan.with_prior(model.prior) for plan in others if model.prior and _lends(plan)]
    classical = model.name in CLASSICAL and factory is None
    named = experiment.protocol.strategies or usual(network=not classical)
    drawn = named if first.calibration is not None else ()
    if classical:
        alone = _classical_plans(model.name, normaliser, experiment.compare.context, windows)
        if not alone:
            kind = "a continuous target" if windows.schema.continuous else "classes"
            raise InputError(f"{model.name} for {kind}; expected a row that serves it. Choose another row.")
        lending = [plan.with_prior(model.prior) for plan in alone if model.prior]
        alone[0] = replace(alone[0], strategies=drawn)
        return _judged(lending + alone + others, experiment)
    config = model_config(experiment, normaliser, first.group, device)
    tune = experiment.tune if experiment.tune.candidates else None
    name = model.name if factory is None else getattr(factory, "__name__", "model")
    facts = card(name) if factory is None else card_of(factory(input_spec(windows)))
    if facts.pretraining is not None and factory is None:
        build(name, input_spec(windows), **dict(model.options))  # weights or a montage that do not fit: said now
    scope = config.scope if facts.step else "window"
    if normaliser == "running":
        scope = "session"
    if not force:
        require_scope(scope, experiment.protocol.name, windows)
    bare = f"{facts.title_of(model.options) if factory is None else name}{transfer_words(config)}"
    elders = elders_of(experiment)
    title = f"{bare}{_lessons(config, elders)}"
    main = RowPlan(name, title, "model", scope, normaliser, config, tune=tune, factory=factory, elders=elders)
    plans = [main]
    if title != bare:
        plain = replace(config, teacher=None, start=None, train=replace(config.train, unlabelled_epochs=0))
        plans.append(
            replace(main, name=f"{name}{ALONE}", title=bare, kind="ablation", role="ablation", network=plain, elders=())
        )
    if model.prior:
        plans = [main.with_prior(model.prior), replace(main, kind="ablation", role="ablation"), *plans[1:]]
    plans[0] = replace(plans[0], strategies=drawn)
    plans[1:] = [replace(p, strategies=drawn, curve=False) if p.name == f"{name}{ALONE}" else p for p in plans[1:]]
    if facts.step and scope != "session" and _wants_session(experiment, force):
        carried = replace(config, scope="session")
        carrying = f"{title}, state carried across the session"
        plans.append(replace(main, name=f"{name}_session", title=carrying, scope="session", network=carried))
    if factory is None:
        plans += _variants(main, facts, config, experiment)
    if windows.schema.traits and experiment.compare.traits:
        plans.append(_without_traits(plans[0]))
    plans += [_other(one, main, config, windows) for one in dict.fromkeys(experiment.compare.models) if one != name]
    return _judged([*plans, *others], experiment)


def _without_traits(first: RowPlan) -> RowPlan:
    """The first row, its prior and the choice of its strategy included, but for people's traits."""
    title = f"{first.title}, without people's traits"
    return replace(
        first, name=f"{first.name}{NO_TRAITS}", title=title, kind="ablation", traits=False, role="traits", curve=False
    )


def transfer_words(config: EstimatorConfig) -> str:
    """What of a configuration brings people together, for the title of its row."""
    train = config.train
    words = [f"EEG aligned ({config.align})"] if config.align != "none" else []
    losses = (("adversarial", train.adversarial), ("CORAL", train.coral), ("MMD", train.mmd))
    words += [f"{name} over people" for name, weight in losses if weight]
    return "".join(f", {one}" for one in words)


def _lessons(config: EstimatorConfig, elders: tuple[Elder, ...]) -> str:
    """What a row learns from beside labels, for its title."""
    words = [elder.words for elder in elders]
    words += ["learned without labels first"] if config.train.unlabelled_epochs else []
    return "".join(f", {one}" for one in words)


def _other(name: str, main: RowPlan, config: EstimatorConfig, windows: Windows) -> RowPlan:
    """Row of another network, built and trained like the main one without its options and what it begins from."""
    facts = card(name)
    missing = [m for m in facts.reads if m not in windows.schema.modalities]
    if missing:
        raise InputError(
            f"model {name} on {', '.join(windows.schema.modalities)}; expected {', '.join(missing)} among them. "
            "Leave the model out or name other data."
        )
    scope = config.scope if facts.step else "window"
    network = replace(config, model=name, options={}, start=None)
    elders = tuple(elder for elder in main.elders if elder.what == "teacher")
    title = f"{facts.title}{transfer_words(config)}{_lessons(config, elders)}"
    return replace(
        main, name=name, title=title, scope="session" if main.normaliser == "running" else scope,
        network=network, tune=None, factory=None, elders=elders,
    )  # fmt: skip


def _variants(main: RowPlan, facts: ModelCard, config: EstimatorConfig, experiment: Experiment) -> list[RowPlan]:
    """Rows of the network's variants: those asked for, else the usual ones that the network itself is not."""
    asked = experiment.compare.variants
    options = dict(config.options or {})
    own = facts.variant_of(options)
    rows = []
    for variant in facts.usual if asked is None else asked:
        one = facts.variants[variant]
        if variant == own:
            continue
        other = replace(config, options={**options, **one.options})
        title = f"{one.title}{transfer_words(config)}{_lessons(config, main.elders)}"
        rows.append(
            replace(main, name=f"{main.name}_{variant}", title=title, kind="ablation", network=other, role=one.role)
        )
    return rows


def _judged(plans: list[RowPlan], experiment: Experiment) -> list[RowPlan]:
    """Give every row the experiment's rule for spoiled training windows."""
    train = _train_config(experiment)
    return [replace(plan, quality=train.quality, quality_share=train.quality_share) for plan in plans]


def _wants_session(experiment: Experiment, force: bool) -> bool:
    """Whether a session-carried row goes beside the model: by default where the protocol tests sessions or people."""
    allowed = "session" in PROTOCOLS[experiment.protocol.name].scopes
    if experiment.compare.session and not (allowed or force):
        raise _no_session(experiment.protocol.name)
    return allowed if experiment.compare.session is None else experiment.compare.session


def require_scope(scope: str, protocol: str, windows: Windows) -> None:
    """Refuse session scope where it would carry state from training to test, or where the order of stimuli is fixed."""
    if scope != "session":
        return
    if "session" not in PROTOCOLS[protocol].scopes:
        raise _no_session(protocol)
    if fixed_order(windows.table) or shares_schedule(windows.table):
        raise ProtocolError(
            "session scope where people meet stimuli or labels in one order; expected trial scope, since carried state "
            "can read the clock. Use --scope trial, or --force to have the row marked."
        )


def _no_session(protocol: str) -> ProtocolError:
    return ProtocolError(
        f"session scope under {protocol}; expected a protocol that tests whole sessions or people. "
        "Use leave_one_subject_out or trial scope."
    )


def shares_stimuli(windows: Windows, part: Split, prior: Weight = 0.0) -> bool:
    """Whether tested windows have a stimulus that this fold learns from too, in training or in other people's prior."""
    names = windows.table["stimulus"]
    learned = np.union1d(part.train, lent(windows, part)) if prior else part.train
    return bool(set(names.iloc[learned].dropna()) & set(names.iloc[part.test].dropna()))


def _lends(plan: RowPlan) -> bool:
    """Whether other people can teach a row anything: those that read signals, clocks and stimuli."""
    return CLASSICAL[plan.classical or ""].inputs != "none"


def _classical_plans(name: str, normaliser: str, context: bool, windows: Windows) -> list[RowPlan]:
    """A classical or baseline row, and where it serves with the context that a trial-scope state has."""
    info = CLASSICAL[name]
    if not (info.continuous if windows.schema.continuous else info.discrete):
        return []
    own = normaliser if info.sees else "none"
    scope = ClassicalEstimator(name, normaliser=normaliser).scope
    plans = [RowPlan(name, info.title, info.kind, scope, own, classical=name)]
    if context and info.context:
        title = f"{info.title} with the trial's running mean"
        scope = ClassicalEstimator(name, context="trial", normaliser=normaliser).scope
        plans.append(RowPlan(f"{name}_context", title, info.kind, scope, own, classical=name, context="trial"))
    return plans
