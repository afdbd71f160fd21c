"""How an Estimator's networks come from windows: begun from a readout where they have one, then trained."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from insula.errors import ProtocolError
from insula.learning.domains import domain_terms
from insula.learning.feed import Feed, run
from insula.learning.losses import Term
from insula.learning.readout import Readout, Rows, fit_readout, loss, refitted
from insula.learning.start import Begun, judged, logits_of, readout_rows, start, starts_from_readout
from insula.learning.teaching import Taught
from insula.learning.train import History, fit
from insula.protocols.protocols import inner_split
from insula.types import DoubleArray
from insula.windows.table import Windows

if TYPE_CHECKING:
    from insula.learning.estimator import Estimator, EstimatorConfig
    from insula.learning.train_config import Residual, TrainConfig

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Made:
    """Trained networks, the history of each, and what they began from."""

    networks: list[nn.Module]
    histories: list[History]
    begun: Begun | None


def networks_of(
    estimator: Estimator, windows: Windows, chosen: Any, held_out: Any, progress: Progress | None = None
) -> Made:
    """Train an Estimator's members on the rows ``chosen``, stopped by those ``held_out``; its scales are learned."""
    cfg = estimator.config
    parts = _Parts(progress, cfg.members, cfg.train.most_epochs)
    begun = _begin(estimator, windows.take(chosen), parts)
    members = cfg.members if begun is None or begun.gate else 1  # without a deep path all of them are one
    made = Made([], [], begun)
    for member in range(members):
        seed = cfg.seed + 1000 * member
        network = estimator.built(seed)
        if begun is not None and not begun.gate:
            start(network, begun.readout, 0.0)
            network.to(estimator.device).eval()
            made.histories.append(History([begun.loss], stopped=True))
        else:
            made.histories.append(_trained(estimator, network, windows, chosen, held_out, seed, parts, begun))
        made.networks.append(network)
    parts.end()
    return made


def _trained(
    estimator: Estimator,
    network: nn.Module,
    windows: Windows,
    chosen: Any,
    held_out: Any,
    seed: int,
    parts: _Parts,
    begun: Begun | None = None,
    taught: bool = True,
) -> History:
    """Train a network: without labels first where that is asked for, then from its readout with them."""
    training = windows.take(chosen)
    parts.begin()
    before = _without_labels(estimator, network, training, seed, parts)
    feed = estimator.feed(training)
    if before.steps and begun is not None:
        begun = _begun_anew(estimator, network, feed, begun)
    if begun is not None:
        start(network, begun.readout, begun.gate)
    validation = estimator.feed(windows.take(held_out)) if len(held_out) else None
    terms = _terms(estimator, network, training, feed, seed, taught)

    def trained(config: TrainConfig) -> History:
        return fit(
            network, feed, validation, config, classes=len(windows.schema.classes), seed=seed,
            device=estimator.device, progress=parts.next(), terms=terms,
        )  # fmt: skip

    found = _rounds(estimator.config.train, network, trained)
    return replace(found, unlabelled=before.train, unlabelled_steps=before.steps)


def _without_labels(estimator: Estimator, network: nn.Module, training: Windows, seed: int, parts: _Parts) -> History:
    """Learn without labels where that is asked for."""
    if not estimator.config.train.unlabelled_epochs:
        return History()
    from insula.learning.pretraining import unlabelled_first

    return unlabelled_first(estimator, network, training, seed, parts.next())


def _rounds(config: TrainConfig, network: nn.Module, trained: Callable[[TrainConfig], History]) -> History:
    """Train, and while the loss still falls go on for twice as long as before, for so many rounds as are asked for.

    The weights of the round with the lowest held-out loss stay, those of the last one where nothing is held out.
    """
    history = trained(config)
    for _ in range(config.rounds - 1):
        if history.converged:
            break
        best = copy.deepcopy(network.state_dict()) if history.validation else None
        config = replace(config, epochs=2 * config.epochs)
        more = trained(config)
        if best is not None and not history.improved_by(more):
            network.load_state_dict(best)
        history = history.then(more)
    return history


def _terms(
    estimator: Estimator, network: nn.Module, training: Windows, feed: Feed, seed: int, taught: bool
) -> list[Term]:
    """Further losses that the configuration asks for; its teacher's only where the network is ``taught``."""
    train = estimator.config.train
    said: list[Term] = []
    if taught and estimator.config.teacher is not None:
        said.append(
            Taught(_said_by(estimator.config.teacher, training), train.teacher_share, train.teacher_temperature)
        )
    if not (train.adversarial or train.coral or train.mmd):
        return [term.to(estimator.device) for term in said]
    network.eval()
    with torch.no_grad():
        width = run(network, next(iter(feed.each(1))), feed.scope).embedding.shape[-1]
    return [term.to(estimator.device) for term in (*said, *domain_terms(training, width, train, seed))]


def _said_by(folder: str, training: Windows) -> DoubleArray:
    """A saved row's probabilities of the training windows."""
    from insula.learning.saving import load_model

    return load_model(folder).predict_proba(training)


def _begin(estimator: Estimator, windows: Windows, parts: _Parts) -> Begun | None:
    """Fit the convex readout of a network that has one and judge how much of the deep path is kept beside it."""
    cfg, classes, device = estimator.config, len(windows.schema.classes), estimator.device
    network = estimator.built(cfg.seed)
    if windows.mix is not None or not starts_from_readout(network):
        return None  # a convex readout learns classes; shares are learned by the whole network
    rows = readout_rows(network, estimator.feed(windows), device)
    if rows is None:
        return None
    splits = _inner_splits(windows, estimator.terms.group, cfg.seed)
    readout = _readout(network, rows, lambda own: fit_readout(own, splits, classes))
    own = loss(readout.answer(rows.columns), rows.y, classes)
    residual = _residual(network, cfg)
    if residual != "inner":
        return Begun(readout, 1.0 if residual == "always" else 0.0, own)

    def trained(part: Any, alone: Readout) -> nn.Module:
        other = estimator.built(cfg.seed)
        _trained(estimator, other, windows, part[0], part[1][:0], cfg.seed, parts, Begun(alone, 1.0, own), taught=False)
        return other  # untaught: a teacher may have learned from the windows on which it is judged

    def answers(other: nn.Module, part: Any) -> DoubleArray:
        return logits_of(other, estimator.feed(windows.take(part[1])), device)

    parts.trainings += len(splits[:2])
    kept = judged(rows, readout, splits[:2], classes, trained, answers)
    return Begun(readout, kept.gate, own, kept.told)


def _begun_anew(estimator: Estimator, network: nn.Module, feed: Feed, begun: Begun) -> Begun:
    """Fit the readout again, as strongly, to what a network's columns have become by learning without labels."""
    classes = len(estimator.schema.classes)
    rows = readout_rows(network, feed, estimator.device)
    if rows is None:
        return begun
    return replace(begun, readout=_readout(network, rows, lambda own: refitted(own, begun.readout, classes)))


def _readout(network: nn.Module, rows: Rows, fitted: Callable[[Rows], Readout]) -> Readout:
    """A readout; of columns whose means are far larger than what tells windows apart one fitted without them."""
    if not getattr(network, "centred", False):
        return fitted(rows)
    mean = rows.columns.astype(np.float64).mean(0)
    found = fitted(replace(rows, columns=(rows.columns - mean).astype(np.float32)))
    return replace(found, bias=(found.bias - mean @ found.weight).astype(np.float32))


def _residual(network: nn.Module, config: EstimatorConfig) -> Residual:
    """When the deep path is kept: as a network says that has none or always one, else as configured.

    What has none is trained all the same where losses beside the labels are asked for.
    """
    said: Residual = getattr(network, "residual", config.train.residual)
    train = config.train
    beside = config.teacher is not None or train.adversarial or train.coral or train.mmd
    return "always" if beside and said == "never" and hasattr(network, "residual") else said


def _inner_splits(windows: Windows, group: tuple[str, ...], seed: int) -> list[Any]:
    """Three inner splits grouped like the outer one; fewer where the windows do not allow them."""
    found = []
    for k in range(3):
        try:
            part = inner_split(windows.table, np.arange(len(windows)), group, seed + k, 0.3)
        except ProtocolError:
            break
        found.append(part)
    return found


class _Parts:
    """Tells how far ``trainings``, one after another and of ``epochs`` at most each, are in all, in epochs."""

    def __init__(self, progress: Progress | None, trainings: int, epochs: int) -> None:
        self.progress, self.trainings, self.epochs = progress, trainings, epochs
        self.begun, self.before, self.done = -1, 0, 0

    def begin(self) -> None:
        """Say that the next training begins."""
        self.begun += 1
        self.before = self.begun * self.epochs

    def next(self) -> Progress | None:
        """Return what the next part of a training calls with (done, all of it)."""
        return None if self.progress is None else partial(self._told, self.before)

    def _told(self, before: int, done: int, total: int) -> None:
        self.before, self.done = before + total, before + done
        if self.progress is not None:
            self.progress(self.done, self.trainings * self.epochs)

    def end(self) -> None:
        """Say that all is done, however few epochs it took."""
        total = self.trainings * self.epochs
        if self.progress is not None and self.done < total:
            self.progress(total, total)
