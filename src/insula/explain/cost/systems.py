"""Energy sheets of evaluated systems, and of a model beside its usual comparison."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from insula import models as networks
from insula.errors import InputError
from insula.evaluation.experiment import experiment_from
from insula.evaluation.folds import folds_of
from insula.evaluation.results import Result
from insula.evaluation.rows import RowPlan, make_plans
from insula.evaluation.run import FoldModel
from insula.explain.cost import Costs, EnergySheet, OperationCount, Work, classical_sheet, column_preparation, sheet
from insula.explain.cost.estimators import ESTIMATOR_COUNTERS
from insula.explain.cost.sheet import DAY_S
from insula.learning.classical import ClassicalEstimator, one_thread
from insula.learning.classical_models import BESIDE, CLOCKS
from insula.learning.classical_rows import CLASSICAL
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.feed import Feed
from insula.models import MODELS
from insula.models.card import ModelCard, card_of
from insula.models.cascade import Cascade
from insula.protocols.lending import lent
from insula.protocols.protocols import Split
from insula.signals import features
from insula.types import Batch, InputSpec, ModelOutput
from insula.windows.table import Windows

WINDOWS = 8
"""Windows over which the work of a network that follows its data is averaged."""
_ROWS = 200
_BUSY = 10.0
"""A 99th percentile of latency this many times the median means that the machine was doing something else."""
_NOT_COUNTED = (
    "hand-made features are counted for every system that reads them, anew for the whole window of a decision; "
    "cleaning of signals comes before and is counted for none"
)


def energy_of_systems(
    result: Result, windows: Windows, models: Sequence[FoldModel], runs: int = 60
) -> tuple[list[EnergySheet], list[str], str]:
    """Make the sheets of the systems of an evaluation, titles of those without one, and a note.

    Counted on the windows held out in its first fold.

    The model is counted with its trained weights, its variants with fresh ones (dense arithmetic does not depend on
    them), classical rows as fitted on the first fold. Left out: baselines other than the clock, which cost next to
    nothing, and the controls of time constants, which cost what the model costs. Nothing where the
    result does not hold its experiment.
    """
    if "experiment" not in result.config:
        return [], [], ""
    experiment = experiment_from(result.experiment)
    first = models[0].split if models else folds_of(windows, experiment)[0]
    factory = models[0].model.factory if models else None
    here = {s.name for s in result.systems}
    plans = [
        p
        for p in make_plans(windows, experiment, first, factory=factory, force=True)
        if p.name in here and p.role != "control"
    ]
    found: list[EnergySheet] = []
    for plan in plans:
        made = _of_plan(plan, _At(windows, first, models, plans[0].bare, found, experiment.seed, runs))
        if made is not None:
            found.append(made)
    without = [p.title for p in plans if p.name not in {one.system for one in found}]
    return found, without, "; ".join([_NOT_COUNTED, *_disturbed(found)])


def beside(
    model: str | Estimator,
    windows: Windows,
    size: str = "small",
    options: dict[str, Any] | None = None,
    runs: int = 200,
) -> tuple[list[EnergySheet], list[str]]:
    """Make the sheet of a model and of what it is compared with; and say what has none.

    Parameters
    ----------
    model : a registered network (fresh weights), a classical row (fitted on the windows), or a trained Estimator.
    windows : labelled windows; counted on some of the scored ones.
    size, options : of a network named by ``model``; the others have size small.
    """
    scored = windows.take((windows.table["role"] == "scored").to_numpy())
    main = model if isinstance(model, str) else model.config.model
    found = [_one(main, model, scored, size, options, runs)]
    notes = [_NOT_COUNTED]
    for name in (*networks.BESIDE, *BESIDE):
        info = CLASSICAL.get(name)
        if info is not None and not (info.continuous if scored.schema.continuous else info.discrete):
            continue
        same = name == main and isinstance(model, str) and size == "small" and not options
        if same or (info is None and not set(networks.card(name).reads) <= set(scored.schema.modalities)):
            continue
        try:
            found.append(_one(name, name, scored, "small", None, runs))
        except InputError as error:
            notes.append(f"{name} left out: {error}")
    spiking = [one.title for one in found if one.weights == "fresh" and _FOLLOWS in one.basis[0]]
    if spiking:
        notes.insert(
            0,
            f"{', '.join(spiking)}: spikes and the share of windows that wake a second branch depend on the weights, "
            "and these are fresh; give a trained model for a figure that means something",
        )
    return found, [*notes, *_disturbed(found)]


def network_energy(
    system: str, title: str, kind: str, model: Estimator, windows: Windows, weights: str, runs: int
) -> EnergySheet:
    """Make the sheet of an Estimator's network (of all its members together) on some of these windows.

    The work of a spiking network or a cascade follows the data: it is the mean of `WINDOWS` windows.
    """
    alone = len(model.networks) == 1
    found = model.networks[0] if alone else Members(model.networks, model.spec.continuous)
    network = copy.deepcopy(found).cpu().eval()
    for module in network.modules():
        if callable(getattr(module, "forget", None)):  # an answer that is remembered costs nothing
            module.forget()  # type: ignore[operator]
    follows = any(getattr(m, "spike_driven", False) or isinstance(m, Cascade) for m in network.modules())
    rows = np.linspace(0, len(windows) - 1, min(WINDOWS, len(windows))).astype(int)
    batch = next(Feed(model.prepare(windows.take(np.unique(rows))), "window").each(1)).batch
    reads = _reads(network, batch)
    before = preparation(model.spec)
    if "features" in reads:
        before = before + features_work(windows)
    made = sheet(title, network, batch, model.spec, preprocessing=before, runs=runs, warm_up=min(runs, 20))
    if follows:
        others = [
            sheet(title, network, _row(batch, i), model.spec, preprocessing=before, runs=1, warm_up=0)
            for i in range(1, len(batch.traits))
        ]
        made = _mean([made, *others])
    return replace(made, system=system, kind=kind, reads=reads, weights=weights)


def row_energy(
    system: str, title: str, row: ClassicalEstimator, windows: Windows, weights: str, runs: int
) -> EnergySheet | None:
    """Make the sheet of a fitted classical row; None for a constant one and what has no counting rule.

    Eigenvalues of covariance matrices have no count that is exact for every processor.
    """
    if row.model is None or row.info.inputs not in ("features", *CLOCKS):
        return None
    if row.info.make is not None and type(row.model).__name__ not in ESTIMATOR_COUNTERS:
        return None
    columns = row.columns(windows.take(np.arange(min(_ROWS, len(windows)))))
    before = column_preparation(columns.shape[1])
    if row.info.inputs == "features":
        before = before + features_work(windows)
    if row.context:
        means = columns.shape[1] // 2  # each column and its running mean: an addition and a product with 1 / n
        before = before + OperationCount.of({"running means": Work(means, means, 1)})
    with one_thread():
        made = classical_sheet(
            title, row.model, columns, windows.recipe.hop_s, preprocessing=before, runs=runs, warm_up=min(runs, 20)
        )
    reads = "features" if row.info.inputs == "features" else "the time"
    kind = "clock" if system == "clock" else row.info.kind
    return replace(made, system=system, kind=kind, reads=reads, weights=weights)


def preparation(spec: InputSpec) -> OperationCount:
    """Count what stands before every network: scaling of a hop's new samples, filling and scaling of columns."""
    samples = sum(channels * round(rate_hz * spec.hop_s) for channels, rate_hz in spec.signals.values())
    columns = column_preparation(sum(spec.features.values()) + spec.traits)
    return columns + OperationCount.of({"scaling": Work(samples)})


def features_work(windows: Windows) -> OperationCount:
    """Count the hand-made features of one window of all modalities."""
    window_s = windows.recipe.window_s
    counts = {m: Work(*features.work(m, spec, window_s)) for m, spec in windows.schema.modalities.items()}
    return OperationCount.of({f"features of {m}": work for m, work in counts.items() if windows.schema.features[m]})


class Members(nn.Module):
    """Networks that answer together."""

    def __init__(self, networks: Sequence[nn.Module], continuous: bool) -> None:
        super().__init__()
        self.continuous = continuous
        self.networks = nn.ModuleList(networks)
        step = all(card_of(n).step for n in networks)
        self.card = ModelCard("Members", step=step)
        if step:
            self.sequence = partial(self._joined, "sequence")

    def forward(self, batch: Batch, state: Sequence[Any] | None = None) -> ModelOutput:
        """Average the probabilities (or values) of all networks; the state is theirs side by side."""
        return self._joined("__call__", batch, state)

    def _joined(self, method: str, batch: Batch, state: Sequence[Any] | None = None) -> ModelOutput:
        before = state if state is not None else [None] * len(self.networks)
        outs: list[ModelOutput] = [getattr(n, method)(batch, s) for n, s in zip(self.networks, before, strict=True)]
        mean = torch.stack([o.logits if self.continuous else o.logits.softmax(-1) for o in outs]).mean(0)
        return ModelOutput(mean, outs[0].embedding, [o.state for o in outs])


def _disturbed(found: Sequence[EnergySheet]) -> list[str]:
    busy = [one.title for one in found if one.latency.p99_ms > _BUSY * one.latency.p50_ms]
    return [f"the machine was busy while latency was measured ({', '.join(busy)}): do not trust p99"] if busy else []


@dataclass(frozen=True)
class _At:
    """What a row's sheet is made at: the first fold, its models and their row ``main``, the sheets made before."""

    windows: Windows
    first: Split
    models: Sequence[FoldModel]
    main: str
    found: Sequence[EnergySheet]
    seed: int
    runs: int


def _of_plan(plan: RowPlan, at: _At) -> EnergySheet | None:
    """Make the sheet of one row of an evaluation, None for one that has none."""
    own = _own(plan, at)
    if own is None or not plan.prior:
        return own
    # the prior is the same row of other people: of a network one member, whose cost is not in its weights
    tuned = plan.tune is not None and at.models
    network = at.models[0].model.config if tuned else plan.network
    alone = replace(plan, network=None if network is None else replace(network, members=1), tune=None, prior=0.0)
    others = replace(at.first, train=lent(at.windows, at.first))
    prior = _own(alone, replace(at, first=others, models=(), main="", found=()))
    return own if prior is None else _with_prior(own, prior, at.windows)


def _with_prior(own: EnergySheet, prior: EnergySheet, windows: Windows) -> EnergySheet:
    """Add up a row and the prior beside it: features are made once, both are scaled and answer, and are multiplied."""
    costs = Costs()
    layers = {name: Work(*work) for name, *work in own.layers}
    shared = layers if own.reads == prior.reads else {}
    layers |= {
        f"prior: {name}": Work(*work)
        for name, *work in prior.layers
        if not (name.startswith("features of ") and name in shared)
    }
    k = max(len(windows.schema.classes), 1)
    layers["product of both"] = Work(k, k, 4 * k)  # two logarithms, an exponential and a division a class
    total = OperationCount.of(layers, max(own.working_bytes, prior.working_bytes))
    joules = costs.joules(total)
    both = (own.measured_joules_decision, prior.measured_joules_decision)
    return replace(
        own,
        parameters=own.parameters + prior.parameters,
        weight_bytes=own.weight_bytes + prior.weight_bytes,
        working_bytes=total.working_bytes,
        macs=total.macs,
        adds=total.adds,
        others=total.others,
        layers=tuple((name, w.macs, w.adds, w.others) for name, w in layers.items()),
        joules_decision=joules,
        joules_day=joules * DAY_S / own.hop_s,
        formula=costs.formula(total),
        latency=replace(
            own.latency,
            p50_ms=own.latency.p50_ms + prior.latency.p50_ms,
            p99_ms=own.latency.p99_ms + prior.latency.p99_ms,
        ),
        measured_joules_decision=None if None in both else sum(one for one in both if one is not None),
        basis=(
            f"the own model and other people's prior ({prior.weights} weights) answer one after the other: operations "
            "and times are added, hand-made features that both read are made once",
            *own.basis,
        ),
    )


def _own(plan: RowPlan, at: _At) -> EnergySheet | None:
    """Make the sheet of a row without other people's prior."""
    training, test = at.windows.take(at.first.train), at.windows.take(at.first.test)
    if plan.network is not None:
        if at.models and plan.bare == at.main:
            return network_energy(
                plan.name, plan.title, plan.kind, at.models[0].model, test, "trained, first fold", at.runs
            )
        if at.models and plan.network == replace(at.models[0].model.config, scope="session"):
            same = next(one for one in at.found if one.system == at.main)  # state carried across: the same network
            return replace(same, system=plan.name, title=plan.title)
        if plan.tune is not None:
            return None  # its shape was chosen in each fold
        fresh = Estimator(plan.network, plan.factory).initialise(training)
        return network_energy(plan.name, plan.title, plan.kind, fresh, test, "fresh", at.runs)
    if plan.kind == "baseline" and plan.name != "clock":
        return None
    normaliser = "population" if plan.normaliser == "none" else plan.normaliser
    row = ClassicalEstimator(
        plan.classical or "", seed=at.seed, context=plan.context or False, normaliser=normaliser
    ).fit(training)  # fmt: skip
    return row_energy(plan.name, plan.title, row, test, "fitted, first fold", at.runs)


def _one(
    name: str, model: str | Estimator, windows: Windows, size: str, options: dict[str, Any] | None, runs: int
) -> EnergySheet:
    if isinstance(model, Estimator):
        title = f"{name} ({model.config.size}, trained)"
        return network_energy(name, title, "model", model, windows, "trained", runs)
    if name in CLASSICAL:
        row = ClassicalEstimator(name, normaliser="population").fit(windows)
        made = row_energy(name, CLASSICAL[name].title, row, windows, "fitted on these windows", runs)
        if made is None:
            raise InputError(
                f"{name} has no energy sheet; expected a network or a row on features. "
                f"Choose one of {', '.join([*MODELS, *(n for n, i in CLASSICAL.items() if i.inputs == 'features')])}."
            )
        return made
    config = EstimatorConfig(model=name, size=size, normaliser="population", options=options)
    fresh = Estimator(config).initialise(windows)
    return network_energy(name, f"{name} ({size})", "model", fresh, windows, "fresh", runs)


def _row(batch: Batch, i: int) -> Batch:
    def one(part: Any) -> dict[str, Tensor]:
        return {m: v[i : i + 1] for m, v in part.items()}

    return Batch(
        one(batch.signals),
        one(batch.observed),
        one(batch.elapsed_s),
        one(batch.features),
        batch.traits[i : i + 1],
        batch.present[i : i + 1],
    )


_FOLLOWS = "the work follows the data"


def _mean(sheets: Sequence[EnergySheet]) -> EnergySheet:
    """Average the counts of sheets of one network on several windows; all else is the first one's."""
    n, first, costs = len(sheets), sheets[0], Costs()
    layers: dict[str, Work] = {}
    for one in sheets:
        for name, macs, adds, others in one.layers:
            layers[name] = layers.get(name, Work()) + Work(macs, adds, others)
    each = {name: Work(round(w.macs / n), round(w.adds / n), round(w.others / n)) for name, w in layers.items()}
    total = sum(each.values(), Work())
    joules = costs.joules(total)
    basis = f"{_FOLLOWS}: counts are the mean of {n} windows, latency is that of the first of them"
    return replace(
        first,
        macs=total.macs,
        adds=total.adds,
        others=total.others,
        working_bytes=max(s.working_bytes for s in sheets),
        layers=tuple((name, w.macs, w.adds, w.others) for name, w in each.items()),
        joules_decision=joules,
        joules_day=joules * DAY_S / first.hop_s,
        formula=costs.formula(total),
        basis=(basis, *first.basis),
    )


def _reads(network: nn.Module, batch: Batch) -> str:
    """Say whether a network uses hand-made features: whether its answer changes when they become unknown."""
    blank = replace(batch, features={m: torch.full_like(v, torch.nan) for m, v in batch.features.items()})
    given = replace(batch, features={m: torch.randn_like(v) for m, v in batch.features.items()})
    with torch.no_grad():
        with_them, without = network(given), network(blank)
    same = torch.equal(with_them.logits, without.logits) and torch.equal(with_them.embedding, without.embedding)
    return "signals" if same else "signals, features"
