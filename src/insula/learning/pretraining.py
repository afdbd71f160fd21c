"""Learning without labels: parts of the signals are hidden and have to be told from what is left.

A network that cuts its input into tokens (methods ``cut`` and ``tokens``) rebuilds the samples of hidden ones: masked
brain-signal modelling as `insula.models.mood_reader` wants it. Any other network tells mean and deviation of hidden
stretches from its embedding; hand-made features are withheld, since they would tell them. Decoder and mask are thrown
away afterwards. (?) Which share is hidden, stretches of an eighth of a window and the loss are our choices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from insula.errors import InputError
from insula.learning.batches import LabelledBatch, to_device
from insula.learning.eager_adamw import EagerAdamW
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.feed import Feed, run
from insula.learning.prior import own_of
from insula.learning.saving import load_model
from insula.learning.train import History
from insula.learning.train_config import TrainConfig
from insula.learning.weighing import trained_on
from insula.protocols.fold import terms_of
from insula.signals.recipe import Recipe
from insula.types import BoolArray
from insula.windows.table import Windows

Progress = Callable[[int, int], None]

PARTS = 8
"""Stretches of a window (of a hop for step models), each hidden or not."""
LEAST_FIT = 0.1
"""Share of a network's weights that must be found in what it begins from."""


@dataclass(frozen=True)
class PretrainConfig:
    """How long and how fast is learned, and which ``hidden`` share of the signals is to be told."""

    epochs: int = 20
    hidden: float = 0.5
    learning_rate: float = 1e-3
    held_out: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.hidden < 1:
            raise InputError(f"hidden {self.hidden}; expected a share between 0 and 1. Give --hidden 0.5.")
        if self.epochs < 1 or not self.learning_rate > 0:
            raise InputError(
                f"epochs {self.epochs}, learning_rate {self.learning_rate}; expected above 0. Leave them out."
            )


@dataclass(frozen=True)
class Pretrained:
    """A network that has learned without labels; losses an epoch, and the share of hidden variance told of others.

    ``told`` is that of people (trials where there are few people) that were held out; NaN where nobody was.
    """

    estimator: Estimator
    losses: tuple[float, ...]
    told: float


def pretrain(
    windows: Windows, config: EstimatorConfig, how: PretrainConfig, progress: Progress | None = None
) -> Pretrained:
    """Train a network on windows without looking at labels."""
    if not len(windows):
        raise InputError("0 windows to learn from; expected some. Check the recordings with insula data check.")
    model = Estimator(config)
    model.terms = terms_of(windows)
    if config.normaliser is not None:
        model.terms = replace(model.terms, normaliser=config.normaliser)
    inside = _inside(windows, how.held_out, config.seed)
    model._learn_scales(windows.take(inside))
    network = model.built(config.seed)
    model.networks = [network]
    task, done = _learn(model, network, windows.take(inside), how, config.seed, progress)
    told = _told(task, model, windows.take(~inside), how.hidden) if not inside.all() else float("nan")
    return Pretrained(model, tuple(done.train), told)


def unlabelled_first(
    model: Estimator, network: nn.Module, training: Windows, seed: int, progress: Progress | None = None
) -> History:
    """Have a network learn without labels from the windows that train it and the rest before and between them."""
    how = PretrainConfig(epochs=model.config.train.unlabelled_epochs)
    return _learn(model, network, unlabelled_of(training, model.config.train), how, seed, progress)[1]


def unlabelled_of(training: Windows, config: TrainConfig) -> Windows:
    """Training windows and the unscored ones of the same sessions up to the last of them, without their labels.

    Windows that are tested or held out to stop by are scored ones and never among them, and neither is rest that a
    device would not know yet: that of a person who labels a little first ends with the last labelled trial.
    """
    everything = training.everything()
    session = ["subject", "session"]
    last = training.table.groupby(session)["stop_s"].max()
    known = last.reindex(pd.MultiIndex.from_frame(everything.table[session])).to_numpy()  # NaN for other sessions
    keep = (everything.table["role"].to_numpy() != "scored") & (everything.table["stop_s"].to_numpy() <= known)
    rest = _unlabelled(everything.take(np.flatnonzero(keep)))
    rows = np.union1d(training.rows, trained_on(rest, config.quality, config.quality_share).rows)
    return _unlabelled(everything.take(rows))


def _unlabelled(windows: Windows) -> Windows:
    return windows.with_y(np.zeros(len(windows), np.int64))


def _learn(
    model: Estimator, network: nn.Module, windows: Windows, how: PretrainConfig, seed: int, progress: Progress | None
) -> tuple[_Task, History]:
    """Train a network in place to tell what is hidden; returns the task with its decoder, and the losses an epoch."""
    network.to(model.device)
    scope = model.scope
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    feed = Feed(model.prepare(windows), scope)
    task = _task(network, next(iter(feed.each(1))), scope, windows.recipe).to(model.device)
    size = feed.batch_size(model.config.train)
    learned = [*network.parameters(), *task.parameters()]
    optimiser = EagerAdamW(learned, lr=how.learning_rate, weight_decay=1e-2)
    steps = max(2, how.epochs * feed.steps(size))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, how.learning_rate, total_steps=steps)
    rng, history = np.random.default_rng(seed), History()
    for epoch in range(how.epochs):
        network.train()
        found = []
        for part in feed.each(size, rng):
            loss, _ = task(to_device(part, model.device), how.hidden, generator)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            _leave_unreached(learned)
            nn.utils.clip_grad_norm_(learned, 1.0)
            optimiser.step()
            schedule.step()
            found.append(float(loss.detach()))
            history.steps += 1
        history.train.append(float(np.mean(found)))
        _require_finite(history)
        if progress is not None:
            progress(epoch + 1, how.epochs)
    network.eval()
    return task, history


def _require_finite(history: History) -> None:
    """Raise InputError where the loss of the last epoch is none."""
    if not np.isfinite(history.train[-1]):
        raise InputError(
            f"loss {history.train[-1]} in epoch {len(history.train)} without labels; expected a finite one. Look for "
            "values out of range with `insula data check`."
        )


def begin_from(network: nn.Module, folder: str | Path, name: str) -> int:
    """Put the weights of a saved network into one, where names and shapes agree; returns how many numbers fitted.

    Raises InputError for another network, and where less than `LEAST_FIT` fits.
    """
    other = own_of(load_model(folder))
    if not isinstance(other, Estimator):
        raise InputError(f"{folder} holds {other!r}; expected a network to begin from. Name another.")
    if other.config.model != name:
        raise InputError(
            f"{folder} holds {other.config.model}; expected {name}. Pre-train the network that is trained."
        )
    theirs, mine = other.networks[0].state_dict(), network.state_dict()
    fit = {k: v for k, v in theirs.items() if k in mine and mine[k].shape == v.shape}
    count: int = sum(v.numel() for v in fit.values())
    whole: int = sum(v.numel() for v in mine.values())
    if count < LEAST_FIT * whole:
        raise InputError(
            f"{count:,} of {whole:,} weights of {folder} fit; expected {LEAST_FIT:.0%} or more. Pre-train with the "
            "same size, signals and window."
        )
    network.load_state_dict({**mine, **fit})
    return count


def _inside(windows: Windows, share: float, seed: int) -> BoolArray:
    """Windows that train: all but some people's, or some trials' where there are fewer than five people."""
    table = windows.table
    columns = ["subject"] if table["subject"].nunique() >= 5 else ["subject", "session", "trial"]
    unit = table.groupby(columns, sort=False).ngroup().to_numpy()
    count = int(unit.max()) + 1
    out = np.random.default_rng(seed).permutation(count)[: round(share * count) if count > 2 else 0]
    return np.asarray(~np.isin(unit, out))


def _leave_unreached(parameters: Sequence[nn.Parameter]) -> None:
    """Keep what the task does not reach (a bank over hand-made features) as it is: it must not decay either."""
    for one in parameters:
        if one.grad is not None and not one.grad.any():
            one.grad = None


def _told(task: _Task, model: Estimator, windows: Windows, hidden: float) -> float:
    """Share of the variance of hidden parts of held-out windows that is told."""
    generator = torch.Generator().manual_seed(0)
    loss, blank = 0.0, 0.0
    task.eval()
    with torch.no_grad():
        feed = Feed(model.prepare(windows), model.scope)
        for part in feed.each(feed.fitting(32)):
            own, none = task(to_device(part, model.device), hidden, generator)
            loss, blank = loss + float(own), blank + float(none)
    return 1 - loss / blank if blank else float("nan")


class _Task(nn.Module):
    """What is asked of a network: forward gives the loss and that of an answer which knows nothing (zero)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = [network]  # not a part of it


def _task(network: nn.Module, part: LabelledBatch, scope: str, recipe: Recipe) -> _Task:
    if callable(getattr(network, "tokens", None)) and callable(getattr(network, "cut", None)):
        return _Patches(network, part)
    return _Stretches(network, part, scope, round(recipe.hops_per_window))


class _Patches(_Task):
    """Rebuild the samples of hidden tokens; whole electrodes are hidden too, so that space has to be used."""

    def __init__(self, network: nn.Module, part: LabelledBatch) -> None:
        super().__init__(network)
        with torch.no_grad():
            patches = network.cut(part.batch)  # type: ignore[operator]
            width = network.tokens(patches)[0][-1].shape[-1]  # type: ignore[operator]
        self.mask = nn.Parameter(0.02 * torch.randn(width))
        self.decode = nn.Linear(width, patches.shape[-1])

    def forward(self, part: LabelledBatch, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        network: Any = self.network[0]
        patches = network.cut(part.batch)
        shape = patches.shape[:3]
        hidden = torch.rand(shape, generator=generator) < share / 2
        hidden |= (torch.rand((*shape[:2], 1), generator=generator) < share / 2).expand(shape)
        hidden = hidden.to(patches.device)
        built = self.decode(network.tokens(patches, hidden, self.mask)[0][-1])
        keep = hidden & (patches.abs().amax(-1) > 0)
        if not bool(keep.any()):
            return built.sum() * 0, patches.new_zeros(())
        return (built - patches)[keep].square().mean(), patches[keep].square().mean()


class _Stretches(_Task):
    """Tell mean and deviation of hidden stretches of every signal from the embedding of the window or hop.

    Of a stretch of several windows only the hops in those that are learned from (``reach`` a window) are told.
    """

    def __init__(self, network: nn.Module, part: LabelledBatch, scope: str, reach: int) -> None:
        super().__init__(network)
        self.scope, self.reach = scope, reach if scope != "window" else 1
        self.hops = part.y.shape[1] if scope != "window" else 1
        with torch.no_grad():
            network.eval()
            width = run(network, part, scope).embedding.shape[-1]
        count = {m: v.shape[1] for m, v in part.batch.signals.items()}
        self.decode = nn.ModuleDict({m: nn.Linear(width, c * PARTS * 2) for m, c in count.items()})

    def forward(self, part: LabelledBatch, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        batch, hops = part.batch, part.y.shape[1]
        signals, observed, aims = dict(batch.signals), dict(batch.observed), {}
        inside = _inside_windows(part.row >= 0, self.reach).unsqueeze(-1)  # (B, N, 1)
        for m, values in batch.signals.items():
            per = values.shape[-1] // hops // PARTS  # samples of a stretch
            if not per:
                continue
            hide = (torch.rand(len(values), hops, PARTS, generator=generator) < share).to(values.device)
            hide &= inside
            hide &= _split(batch.observed[m].float().unsqueeze(1), hops, per)[:, 0].mean(-1) > 0.5
            parts = _split(values, hops, per)  # (B, C, N, PARTS, per)
            aims[m] = (torch.stack([parts.mean(-1), parts.std(-1, correction=0)], -1), hide)
            cover = _cover(hide, values.shape[-1] // hops, per)
            signals[m] = values.masked_fill(cover.unsqueeze(1), 0.0)
            observed[m] = batch.observed[m] & ~cover
        blind: Mapping[str, Tensor] = {m: torch.full_like(v, float("nan")) for m, v in batch.features.items()}
        seen = replace(part, batch=replace(batch, signals=signals, observed=observed, features=blind))
        embedding = run(self.network[0], seen, self.scope).embedding  # (B, N, H)
        losses, blanks = [], []
        for m, (aim, hide) in aims.items():
            said = self.decode[m](embedding).unflatten(-1, (-1, PARTS, 2)).permute(0, 2, 1, 3, 4)
            keep = hide.unsqueeze(1).expand(aim.shape[:-1])
            if bool(keep.any()):
                losses.append((said - aim)[keep].square().mean())
                blanks.append(aim[keep].square().mean())
        if not losses:
            return embedding.sum() * 0, embedding.new_zeros(())
        return torch.stack(losses).mean(), torch.stack(blanks).mean()


def _inside_windows(ends: Tensor, reach: int) -> Tensor:
    """Which hops (B, N) lie in a window, from the hops at which one ends; each is of ``reach`` hops."""
    padded = nn.functional.pad(ends, (0, reach - 1))
    found: Tensor = padded.unfold(1, reach, 1).any(-1)
    return found


def _split(values: Tensor, hops: int, per: int) -> Tensor:
    """(B, C, T) -> (B, C, hops, PARTS, per), what is left of each hop dropped."""
    each = values.unflatten(-1, (hops, -1))[..., : PARTS * per]
    parts: Tensor = each.unflatten(-1, (PARTS, per))
    return parts


def _cover(hide: Tensor, length: int, per: int) -> Tensor:
    """Which samples (B, T) hidden stretches (B, hops, PARTS) cover; what is left of a hop goes with the last one."""
    cover = hide.repeat_interleave(per, -1)
    rest = length - cover.shape[-1]
    return torch.cat([cover, cover[..., -1:].expand(*cover.shape[:2], rest)], -1).flatten(1)
