"""Time constants of the liquid layers: what they are on data, fast and slow groups, memory, and the untrained twin."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from insula import plots
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Fitted, Shown, known
from insula.explain.facts import Facts
from insula.learning.batches import to_device
from insula.learning.estimator import Estimator
from insula.learning.feed import Feed, run
from insula.models.cells.liquid import NeuralLTC, retention
from insula.protocols.own_median import for_fold
from insula.types import DoubleArray
from insula.windows.table import Windows

_SAMPLES = 24
_SEEDS = 3


@dataclass(frozen=True)
class Groups:
    """One against two Gaussian components on log tau by BIC (lower is better; separated by 10 or more)."""

    bic1: float = math.nan
    bic2: float = math.nan
    fast: tuple[int, ...] = ()
    slow: tuple[int, ...] = ()
    separated: bool = False
    untrained_separated: bool = False


@dataclass(frozen=True)
class MemoryShare:
    """Share of neurons that keep more than half of their state over a window."""

    trained: float = math.nan
    untrained: float = math.nan
    per_seed: tuple[float, ...] = ()


@dataclass(frozen=True)
class OverFolds:
    """The layer in every fold: median system time constant, two groups or one, share of memory-dominant neurons.

    ``spread`` is the deviation of the logarithms over neurons in units of the untrained network's; ``p`` tests the two
    for equal dispersion (Brown and Forsythe 1974, doi:10.1080/01621459.1974.10482955).
    """

    median_s: tuple[float, ...] = ()
    separated: tuple[bool, ...] = ()
    memory: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    p: tuple[float, ...] = ()

    @property
    def text(self) -> str:
        """What all folds say, in a sentence; empty with one fold."""
        n = len(self.median_s)
        if n < 2:
            return ""
        low, high = (plots.seconds(v) for v in (min(self.median_s), max(self.median_s)))
        return (
            f"Over {n} folds: median {low} to {high}; two groups in {sum(self.separated)}; memory-dominant "
            f"{100 * min(self.memory):.0f} to {100 * max(self.memory):.0f} %; spread {min(self.spread):.2f} to "
            f"{max(self.spread):.2f} times that before training, other than it at p < .05 in "
            f"{sum(p < 0.05 for p in self.p)} (Brown-Forsythe)."
        )


@dataclass(frozen=True)
class LayerTimes:
    """Time constants of one layer's neurons, their system means over held-out data, and retention by horizon."""

    tau_s: tuple[float, ...] = ()
    tau_untrained_s: tuple[float, ...] = ()
    tau_sys_mean_s: tuple[float, ...] = ()
    tau_sys_untrained_s: tuple[float, ...] = ()
    groups: Groups = Groups()
    groups_over_seeds: tuple[bool, ...] = ()
    retention: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    memory_dominant_share: MemoryShare = MemoryShare()
    over_folds: OverFolds = OverFolds()


@dataclass(frozen=True)
class TimeConstants:
    """Every liquid layer by name."""

    layers: Mapping[str, LayerTimes] = field(default_factory=dict)
    note: str = ""


def time_constants(fitted: Fitted, untrained: Estimator, seeds: Sequence[Estimator]) -> TimeConstants | None:
    """Compare the trained liquid layers of the first fold with the same network untrained and with other seeds.

    What is found there is also told of every other fold's network on what that holds out.

    Returns None for a model without liquid layers. Memory dominance of a neuron is its mean retention over the horizon
    on held-out data (over time and trials); it is memory-dominant above .5.
    """
    model, held_out = fitted[0]
    horizons = {"1 s": 1.0, "window": model.recipe.window_s}
    trained = _measure(model, held_out, horizons)
    if not trained:
        return None
    before = _measure(untrained, held_out, horizons)
    folds = [trained, *(_measure(other, windows, horizons) for other, windows in fitted[1:])]
    others = [_measure(one, held_out, horizons) for one in seeds]
    layers = {
        name: LayerTimes(
            tau_s=tuple(found["tau_s"].tolist()),
            tau_untrained_s=tuple(before[name]["tau_s"].tolist()),
            tau_sys_mean_s=tuple(found["tau_sys_s"].tolist()),
            tau_sys_untrained_s=tuple(before[name]["tau_sys_s"].tolist()),
            groups=replace(
                _groups(found["tau_sys_s"]), untrained_separated=_groups(before[name]["tau_sys_s"]).separated
            ),
            groups_over_seeds=tuple(_groups(o[name]["tau_sys_s"]).separated for o in others),
            retention={h: tuple(found[h].tolist()) for h in horizons},
            memory_dominant_share=MemoryShare(
                _dominant(found), _dominant(before[name]), tuple(_dominant(o[name]) for o in others)
            ),
            over_folds=_over_folds([fold[name] for fold in folds if name in fold], before[name]["tau_sys_s"]),
        )
        for name, found in trained.items()
    }
    return TimeConstants(
        layers,
        f"first fold, {len(others)} further seeds; system time constants are geometric means over held-out data; "
        "groups by a Gaussian mixture of their logarithm, one against two components by BIC; a group that the "
        "untrained network also has is no finding",
    )


def _over_folds(folds: Sequence[Mapping[str, DoubleArray]], untrained_s: DoubleArray) -> OverFolds:
    from scipy.stats import levene

    before = np.log(untrained_s)
    logs = [np.log(fold["tau_sys_s"]) for fold in folds]
    return OverFolds(
        median_s=tuple(float(np.exp(np.median(log))) for log in logs),
        separated=tuple(_groups(fold["tau_sys_s"]).separated for fold in folds),
        memory=tuple(map(_dominant, folds)),
        spread=tuple(float(log.std() / max(before.std(), 1e-12)) for log in logs),
        p=tuple(float(levene(log, before, center="median").pvalue) if np.ptp(log) + np.ptp(before) > 1e-9 else 1.0
                for log in logs),
    )  # fmt: skip


def _dominant(found: Mapping[str, DoubleArray]) -> float:
    return float((found["window"] > 0.5).mean())


def shuffled_time_constants(model: Estimator, rng: np.random.Generator) -> list[nn.Module]:
    """Permute tau among the neurons of every liquid layer of a copy of each network (the gains stay)."""
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
        stretches = list(observed_stretches(tau, *calls[name][1:3]))
        every = torch.cat([t for t, _ in stretches])  # (steps, H)
        out[name] = {"tau_s": _array(layer.tau_s), "tau_sys_s": _array(every.log().mean(0).exp())}
        longest_s = max(float(e.sum()) for _, e in stretches)
        for label, horizon_s in horizons.items():
            wanted_s = min(horizon_s, longest_s)
            kept = [
                retention(t[None], e[None], wanted_s, sub_steps=layer.sub_steps, solver=layer.solver)[0]
                for t, e in stretches
                if float(e.sum()) >= wanted_s * (1 - 1e-6)
            ]
            out[name][label] = _array(torch.cat(kept).nanmean(0))
    return out


def observed_stretches(tau: Tensor, elapsed_s: Tensor, seen: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut each sequence to what was observed of it: time constants (steps, H) and seconds (steps, 1).

    Steps before the first and after the last observed one (padding) are left out, and the first observed step too,
    in which a network may be given endless time to settle.
    """
    for own_tau, own_elapsed, own_seen in zip(tau, elapsed_s, seen, strict=True):
        steps = own_seen.nonzero().ravel()
        if not len(steps):
            continue
        first, last = int(steps[0]), int(steps[-1]) + 1
        if last - first > 1:
            yield own_tau[first + 1 : last], own_elapsed[first + 1 : last]


def _array(values: Tensor) -> DoubleArray:
    return values.detach().cpu().numpy().astype(np.float64)


def _groups(tau_s: DoubleArray) -> Groups:
    from sklearn.mixture import GaussianMixture

    values = np.log(tau_s).reshape(-1, 1)
    if len(values) < 6 or np.ptp(values) < 1e-6:
        return Groups(0.0, 0.0)
    fits = [GaussianMixture(n, random_state=0, n_init=3, reg_covar=1e-4).fit(values) for n in (1, 2)]
    bic1, bic2 = (float(f.bic(values)) for f in fits)
    slow = int(np.argmax(fits[1].means_.ravel()))
    member = fits[1].predict(values)
    return Groups(
        bic1,
        bic2,
        tuple(np.flatnonzero(member != slow).tolist()),
        tuple(np.flatnonzero(member == slow).tolist()),
        bool(bic1 - bic2 > 10),
    )


def _run(evaluated: Evaluated) -> TimeConstants | None:
    first = evaluated.models[0]
    if not liquid_layers(first.model.networks[0]):
        return None
    training = for_fold(evaluated.windows, first.split).take(first.split.train)
    config, factory = first.model.config, first.model.factory
    untrained = Estimator(config, factory).initialise(training)
    seeds = [
        Estimator(replace(config, seed=config.seed + k, members=1), factory).fit(training) for k in range(1, _SEEDS)
    ]
    return time_constants(evaluated.fitted, untrained, seeds)


def _show(found: TimeConstants, _: Facts) -> Shown:
    made: list[picture.Picture] = []
    silent: list[str] = []
    for number, (name, layer) in enumerate(found.layers.items()):
        drawn = [_constants(found, number, name, layer)]
        if any(layer.retention.values()):
            still = _still(name, layer)
            silent += [still] if still else []
            drawn += [] if still else [_memory(number, name, layer)]
        made += [one for one in drawn if one is not None]
    return Shown(pictures=tuple(made), silent=tuple(silent))


def _positive(values: Sequence[float]) -> list[float]:
    return [v for v in values if v > 0 and math.isfinite(v)]


def _constants(found: TimeConstants, number: int, name: str, layer: LayerTimes) -> picture.Picture | None:
    trained, untrained = _positive(layer.tau_sys_mean_s), _positive(layer.tau_sys_untrained_s)
    if len(trained) < 2:
        return None
    groups = layer.groups
    members = {"fast": groups.fast, "slow": groups.slow} if groups.separated else {}
    bic = f" (BIC {groups.bic1:.1f} for one group, {groups.bic2:.1f} for two; lower is better)"
    test = bic if math.isfinite(groups.bic1 + groups.bic2) else ""
    told = (
        f"Two groups describe them better than one{test}"
        if groups.separated
        else f"One group describes them as well as two{test}: no fast and slow neurons are claimed"
    )
    if groups.separated and groups.untrained_separated:
        told += ", but the untrained network has two groups as well, so training did not make them"
    middle = float(np.median(trained))
    caption = f"""How long neurons of this layer remember: the mean system time constant of each, median
        {plots.seconds(middle)}. The outline is the same network before training; where both agree, training changed
        nothing. {told}. {layer.over_folds.text}{picture.sentence(found.note)}"""
    before = f", {plots.seconds(float(np.median(untrained)))} untrained" if untrained else ""
    span = f"{plots.seconds(min(trained))} to {plots.seconds(max(trained))}"
    alt = f"Time constants of {len(trained)} neurons, {span}, median {plots.seconds(middle)}{before}."
    return picture.make(
        f"constants-{number}", f"Time constants, {name} layer", caption, alt, plots.time_constants, trained, untrained,
        members,
    )  # fmt: skip


def _still(name: str, layer: LayerTimes) -> str:
    """Say that no neuron keeps half of its state over the longest horizon, in any network; empty where one does."""
    share = layer.memory_dominant_share
    shares = known((share.trained, share.untrained, *share.per_seed))
    if not shares or max(shares) > 0:
        return ""
    return f"Memory, {name} layer: no neuron keeps half of its state over one window, before or after training."


def _memory(number: int, name: str, layer: LayerTimes) -> picture.Picture:
    kept = {"one window" if k == "window" else k: v for k, v in layer.retention.items() if v}
    share = layer.memory_dominant_share
    trained, untrained, seeds = share.trained, share.untrained, known(share.per_seed)
    compare = ""
    if math.isfinite(trained):
        compare = f"Memory-dominant neurons keep more than half over the longest horizon: {100 * trained:.0f} %"
        compare += f", {100 * untrained:.0f} % before training" if math.isfinite(untrained) else ""
        compare += f", {100 * min(seeds):.0f} to {100 * max(seeds):.0f} % over {len(seeds)} seeds." if seeds else "."
    alt = f"State kept by {len(next(iter(kept.values())))} neurons. {compare}"
    caption = f"""How much of a neuron's state is left after each horizon, neurons in order. A curve that hugs the top
        belongs to a layer that remembers, one at the bottom to a layer that only reacts. {compare}"""
    return picture.make(
        f"memory-{number}", f"Memory, {name} layer", caption, alt, plots.retention, kept, trained, untrained, seeds,
    )  # fmt: skip


def _lines(found: TimeConstants) -> Iterator[tuple[str, str]]:
    for name, layer in found.layers.items():
        tau, share, groups = sorted(layer.tau_sys_mean_s), layer.memory_dominant_share, layer.groups
        if tau:
            yield (
                f"time constants, {name}",
                f"{tau[0]:.2g} to {tau[-1]:.2g} s, middle {tau[len(tau) // 2]:.2g} s; two groups: "
                f"{_yes(groups.separated)} (untrained: {_yes(groups.untrained_separated)}); "
                f"memory-dominant over a window: {share.trained:.0%} (untrained {share.untrained:.0%})",
            )
        if layer.over_folds.text:
            yield f"time constants over folds, {name}", layer.over_folds.text


def _yes(value: bool) -> str:
    return "yes" if value else "no"


TIME_CONSTANTS = Analysis(
    "time_constants",
    TimeConstants,
    _run,
    _show,
    _lines,
    methods=(
        "Time constants of the liquid layers were compared with those of the same network before training and with "
        "further seeds; one group was tested against two by the BIC of a Gaussian mixture of their logarithm, and "
        "their dispersion against that before training (Brown-Forsythe), in every fold."
    ),
)
