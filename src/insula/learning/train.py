"""One visible training loop for every network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from insula.errors import InputError, unknown_name
from insula.learning.batches import Item, LabelledBatch, Prepared, batches, by_length, chosen, to_device, without
from insula.learning.prefetch import prefetched
from insula.learning.weighing import Quality, require_quality
from insula.types import ModelOutput

BUFFER_BYTES = 256 << 20
"""Size of the buffer in which single windows are shuffled when signals do not stay in memory."""
ORDINAL_WIDTH = 0.5
"""Deviation of a label smoothed over ordered classes, in classes."""
FEW_STEPS = 100
"""A network that was moved fewer times than this has not been trained, whatever its loss does."""


Residual = Literal["inner", "always", "never"]
LEAST_STEPS = 6
"""Batches are not made so large that an epoch has fewer steps than this."""


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained.

    ``time_constant_rate`` multiplies the learning rate of log time constants and log gains, which must travel far;
    ``batch_trials`` stretches (or 16 times as many single windows) a step, and of short trials as many as last
    ``batch_s`` seconds together while an epoch keeps `LEAST_STEPS` steps; ``patience`` epochs without a better
    validation loss end the training; ``average`` keeps an exponential average of the weights and uses it
    (0: off); ``validation_fraction`` of the groups is held out to stop by, where there are ``validation_groups`` or
    more of them (with fewer, a held-out loss is too noisy to stop by, see docs/log.md); ``modality_dropout`` is the
    chance that a stretch loses one of its modalities in training. ``residual`` says when the deep path of a network
    that starts from a convex readout is kept: where ``inner`` splits gain by it, ``always`` or ``never``. ``quality``
    says whether training windows that
    `insula.signals.flags` marks are kept, dropped (``weighing.good_rows``; a modality is bad when a flag marks more
    than ``quality_share`` of the window) or weighed by what is good of them. ``label_smoothing`` spreads that share
    of a label over all classes; ``"ordinal"`` spreads it over neighbours, as a Gaussian of ``ORDINAL_WIDTH`` classes
    (as HiSTN, arXiv 2408.15255), where classes have an order.
    """

    epochs: int = 15
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    batch_trials: int = 4
    batch_s: float = 240.0
    time_constant_rate: float = 5.0
    patience: int = 8
    label_smoothing: float | Literal["ordinal"] = 0.05
    modality_dropout: float = 0.1
    gradient_clip: float = 1.0
    average: float = 0.9
    validation_fraction: float = 0.2
    validation_groups: int = 30
    residual: Residual = "inner"
    quality: Quality = "keep"
    quality_share: float = 0.5

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_trials < 1 or not self.learning_rate > 0:
            raise InputError(
                f"epochs {self.epochs}, batch_trials {self.batch_trials}, learning_rate {self.learning_rate}; "
                "expected all above 0."
            )
        for name in ("average", "validation_fraction", "label_smoothing", "modality_dropout"):
            if getattr(self, name) == "ordinal":
                continue
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}; expected 0 (off) or more and below 1.")
        if self.patience < 1 or not self.weight_decay >= 0 or not self.gradient_clip > 0:
            raise InputError(
                f"patience {self.patience}, weight_decay {self.weight_decay}, gradient_clip {self.gradient_clip}; "
                "expected 1 or more, 0 or more and above 0."
            )
        if self.residual not in get_args(Residual):
            raise unknown_name("residual", self.residual, get_args(Residual))
        require_quality(self.quality, self.quality_share)


@dataclass
class History:
    """Losses of each epoch and steps in all; ``best`` is the epoch whose weights were kept, ``stopped`` says whether a
    held-out loss ended the training."""

    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best: int = 0
    steps: int = 0
    stopped: bool = False

    @property
    def converged(self) -> bool:
        """Whether the training loss has stopped falling: over its last fifth it fell by less than a twentieth of all.

        Fewer than `FEW_STEPS` steps or 5 epochs never count as converged.
        """
        if self.stopped:
            return True
        part = len(self.train) // 5
        if self.steps < FEW_STEPS or not part:
            return False
        before, last = (float(np.mean(self.train[a:b])) for a, b in ((-2 * part, -part), (-part, None)))
        return before - last < 0.05 * max(self.train[0] - last, 1e-9)


class Feed:
    """Serves the labelled windows of a set in batches, as stretches or as single windows.

    Signals that are not kept in memory are read ahead in a thread. Single windows are then shuffled inside blocks of
    whole trials of at most `BUFFER_BYTES`, the trials in random order.
    """

    def __init__(self, prepared: Prepared, scope: str) -> None:
        self.prepared, self.scope = prepared, scope
        self.items: list[Item] = [] if scope == "window" else prepared.items(scope)
        self._whole: LabelledBatch | None = None

    def __len__(self) -> int:
        return int((self.prepared.asked >= 0).sum())

    @property
    def weight(self) -> float:
        """Sum of the weights of the labelled windows in the loss."""
        asked = self.prepared.asked
        return float(self.prepared.weights[asked[asked >= 0]].astype(np.float64).sum())

    def steps(self, size: int) -> int:
        """Count the batches of one pass."""
        return -(-len(self) // (16 * size)) if self.scope == "window" else -(-len(self.items) // size)

    def batch_size(self, config: TrainConfig) -> int:
        """Stretches a training step: ``batch_trials``, more where they are short and many."""
        if self.scope == "window" or not self.items:
            return config.batch_trials
        seconds = float(np.median([len(item) for item in self.items])) * self.prepared.windows.recipe.hop_s
        return max(config.batch_trials, min(int(config.batch_s / seconds), len(self.items) // LEAST_STEPS))

    def fitting(self, size: int) -> int:
        """At most ``size`` stretches: as many of the longest as `BUFFER_BYTES` hold, where signals are not kept."""
        signals = self.prepared.signals
        if signals.kept or not self.items:
            return size
        longest = max(sum(map(signals.size_bytes, item.trials)) for item in self.items)
        return max(1, min(size, BUFFER_BYTES // max(1, longest)))

    def each(self, size: int, rng: np.random.Generator | None = None) -> Iterator[LabelledBatch]:
        """Yield batches, shuffled when a generator is given."""
        made = self._singles(16 * size, rng) if self.scope == "window" else self._stretches(size, rng)
        return made if self.prepared.signals.kept else prefetched(made)

    def _stretches(self, size: int, rng: np.random.Generator | None) -> Iterator[LabelledBatch]:
        items = self.items
        if rng is not None and self.scope == "session":
            items = [_late_start(item, rng) for item in items]
        order = by_length(items) if rng is None else rng.permutation(len(items))
        whole = self._stacked() if items is self.items else None
        for k, group in enumerate(batches(items, size, order)):
            if whole is None:
                yield self.prepared.stretches(group)
            else:
                yield chosen(whole, order[k * size : (k + 1) * size], max(map(len, group)))

    def _stacked(self) -> LabelledBatch | None:
        """All stretches padded to one length, made once; None where that would fill the memory."""
        if self._whole is None and self.prepared.signals.kept and self.items:
            specs = self.prepared.windows.schema.modalities.values()
            sample_bytes = sum(4 * (len(spec.channels) + 1) * spec.rate_hz for spec in specs)
            longest_s = max(map(len, self.items)) * self.prepared.windows.recipe.hop_s
            if len(self.items) * longest_s * sample_bytes < BUFFER_BYTES:
                self._whole = self.prepared.stretches(self.items)
        return self._whole

    def _singles(self, size: int, rng: np.random.Generator | None) -> Iterator[LabelledBatch]:
        rows = np.flatnonzero(self.prepared.asked >= 0)
        if self.prepared.signals.kept:
            yield from self._cut(rows if rng is None else rng.permutation(rows), size)
            return
        own = None if rng is None else np.random.default_rng(int(rng.integers(2**63)))  # used in another thread
        left = rows[:0]  # of the block before, too few for a batch
        for keys, block in self.prepared.blocks(rows, BUFFER_BYTES, own):
            self.prepared.signals.hold(keys)
            mixed = np.concatenate([left, block if own is None else own.permutation(block)])
            whole = len(mixed) // size * size
            yield from self._cut(mixed[:whole], size)
            left = mixed[whole:]
        self.prepared.signals.hold(())
        yield from self._cut(left, size)

    def _cut(self, rows: NDArray[np.int64], size: int) -> Iterator[LabelledBatch]:
        for i in range(0, len(rows), size):
            yield self.prepared.singles(rows[i : i + size])


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread inside, so that numbers do not depend on how many there are; restore it after."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fit(
    model: nn.Module,
    training: Feed,
    validation: Feed | None,
    config: TrainConfig,
    *,
    classes: int,
    seed: int,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> History:
    """Train a model in place and leave the best weights by validation loss in it (the last ones without validation).

    ``classes`` is 0 for a continuous target. Class weights are the inverse of the training windows' class counts, a
    window counting by its own weight. A batch's loss is its weighted sum divided by what a batch of this set weighs in
    the mean, never by what itself weighs, which would cancel the class weights in a batch of one class.
    A model with ``swa`` True keeps the equal mean of its weights at the ends of the epochs from ``swa_start`` on, with
    the learning rate held there (stochastic weight averaging); it is trained through all epochs.
    """
    rng = np.random.default_rng(seed)
    model.to(device)
    groups = _groups(model, config)
    learned = [p for group in groups for p in group["params"]]
    optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, fused=device.type == "cpu")
    size = training.batch_size(config)
    steps = config.epochs * training.steps(size)
    usual = training.weight / training.steps(size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [g["lr"] for g in groups], total_steps=max(steps, 2))
    weights = _class_weights(training, classes, device)
    first = _averaged_from(model, config.epochs)
    average = copy.deepcopy(model) if config.average or first is not None else model
    pairs = _Follower(average, model)
    history, best, best_loss = History(), None, float("inf")
    for epoch in range(config.epochs):
        model.train()
        losses = []
        for part in training.each(size, rng):
            part = _drop_modalities(to_device(part, device), config.modality_dropout, rng)
            loss = _loss(model, part, weights, config.label_smoothing, training.scope, usual)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(learned, config.gradient_clip)
            optimiser.step()
            if first is None or epoch < first:
                schedule.step()
            if first is None:
                pairs.follow(config.average)
            losses.append(float(loss.detach()))
            history.steps += 1
        if first is not None:
            before = max(0, epoch - first)
            pairs.follow(before / (before + 1))
        history.train.append(float(np.mean(losses)))
        if not np.isfinite(history.train[-1]):
            raise InputError(
                f"loss {history.train[-1]} in epoch {epoch + 1}; expected a finite one. Lower learning_rate "
                f"{config.learning_rate:g}, or look for values out of range with `insula data check`."
            )
        if validation is not None and len(validation):
            held_out = _validate(average, validation, weights, config, device)
            history.validation.append(held_out)
            if first is not None:
                history.best = epoch
            elif held_out < best_loss - 1e-5:
                best_loss, best, history.best = held_out, copy.deepcopy(average.state_dict()), epoch
            elif epoch - history.best >= config.patience:
                history.stopped = True
                break
        else:
            history.best = epoch
        if progress is not None:
            progress(epoch + 1, config.epochs)
    model.load_state_dict(best if best is not None else average.state_dict())
    model.eval()
    return history


def run(model: nn.Module, part: LabelledBatch, scope: str) -> ModelOutput:
    """Call a model on a batch; logits come back as (B, N, K) in every scope."""
    if scope != "window":
        out: ModelOutput = model.sequence(part.batch)  # type: ignore[operator]
        return out
    out = model(part.batch)
    return ModelOutput(
        out.logits.unsqueeze(1),
        out.embedding.unsqueeze(1),
        out.state,
        {k: v.unsqueeze(1) for k, v in out.attention.items()},
        {k: v.unsqueeze(1) if isinstance(v, Tensor) and v.dim() else v for k, v in out.extras.items()},
    )


def _loss(
    model: nn.Module, part: LabelledBatch, weights: Tensor | None, smoothing: float | str, scope: str, usual: float
) -> Tensor:
    """Sum over the labelled windows, each with its own weight times that of its class, divided by ``usual``."""
    output = run(model, part, scope)
    keep = part.weight > 0
    logits, weight = output.logits[keep], part.weight[keep]
    y = part.y[keep].to(logits.dtype if weights is None else torch.int64)
    even = bool((weight == 1).all())
    share = float(weight.sum()) / usual
    own = getattr(model, "loss", None)
    if own is not None:
        if not even:
            raise InputError(
                "quality weigh for a model with a loss of its own; expected keep or drop. Use --quality drop."
            )
        return share * torch.as_tensor(own(ModelOutput(logits, output.embedding[keep], extras=output.extras), y))
    if weights is None:
        each = F.smooth_l1_loss(logits[:, 0], y, reduction="none")
    else:
        each = _cross_entropy(logits, y, weights, smoothing)
    loss = (weight * each).sum() / usual
    penalty = output.extras.get("penalty")
    if isinstance(penalty, Tensor):
        windows = penalty.shape == keep.shape
        loss = loss + ((weight * penalty[keep]).sum() / usual if windows else share * penalty.mean())
    return loss


def _cross_entropy(logits: Tensor, y: Tensor, weights: Tensor, smoothing: float | str) -> Tensor:
    """Loss of each window (n,) of logits (n, K) and codes (n,), with the weight of its class."""
    if isinstance(smoothing, float | int):
        return F.cross_entropy(logits, y, weights, label_smoothing=smoothing, reduction="none")
    places = torch.arange(logits.shape[1], device=logits.device)
    apart = (places - y.unsqueeze(1)) / ORDINAL_WIDTH  # (n, K)
    target = torch.softmax(-apart.square() / 2, 1)
    return -weights[y] * (target * F.log_softmax(logits, 1)).sum(1)


def _validate(model: nn.Module, feed: Feed, weights: Tensor | None, config: TrainConfig, device: torch.device) -> float:
    """Weighted mean loss of a held-out set."""
    model.eval()
    total, whole = 0.0, max(feed.weight, 1e-12)
    with torch.no_grad():
        for part in feed.each(4 * config.batch_trials):
            part = to_device(part, device)
            if bool((part.weight > 0).any()):
                total += float(_loss(model, part, weights, 0.0, feed.scope, whole))
    return total


def _class_weights(feed: Feed, classes: int, device: torch.device) -> Tensor | None:
    if not classes:
        return None
    asked = feed.prepared.asked >= 0
    codes: NDArray[np.int64] = feed.prepared.y[asked].astype(np.int64)
    weight = feed.prepared.weights[feed.prepared.asked[asked]].astype(np.float64)
    counts = np.bincount(codes, weight, minlength=classes)
    weights = np.where(counts > 0, counts.sum() / np.maximum(counts, 1) / max((counts > 0).sum(), 1), 0.0)
    return torch.as_tensor(weights, dtype=torch.float32, device=device)


def _groups(model: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Decay matrices only; log time constants and log gains learn faster."""
    learned = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    slow = [p for name, p in learned if name.split(".")[-1] in ("log_tau", "log_gain")]
    chosen = {id(p) for p in slow}
    matrices = [p for _, p in learned if p.dim() > 1]
    vectors = [p for _, p in learned if p.dim() <= 1 and id(p) not in chosen]
    rate = config.learning_rate
    groups = (
        (matrices, config.weight_decay, rate),
        (vectors, 0.0, rate),
        (slow, 0.0, rate * config.time_constant_rate),
    )
    return [{"params": p, "weight_decay": decay, "lr": lr} for p, decay, lr in groups if p]


def _averaged_from(model: nn.Module, epochs: int) -> int | None:
    """Epoch from which weights are averaged equally, None for a model that does not ask for it."""
    if not getattr(model, "swa", False):
        return None
    return min(int(float(model.swa_start) * epochs), epochs - 1)  # type: ignore[arg-type]


class _Follower:
    """Moves the weights of an average towards those of a model, all tensors in one call."""

    def __init__(self, average: nn.Module, model: nn.Module) -> None:
        self.same = average is model
        moving = [(a, m) for a, m in zip(average.parameters(), model.parameters(), strict=True) if m.requires_grad]
        self.means = [mean.data for mean, _ in moving]
        self.values = [value.data for _, value in moving]
        self.buffers = list(zip(average.buffers(), model.buffers(), strict=True))

    @torch.no_grad()
    def follow(self, keep: float) -> None:
        """Keep so much of the average and take the rest from the model."""
        if self.same or not self.means:
            return
        torch._foreach_lerp_(self.means, self.values, 1 - keep)
        for held, current in self.buffers:
            held.copy_(current)


def _drop_modalities(part: LabelledBatch, chance: float, rng: np.random.Generator) -> LabelledBatch:
    names = list(part.batch.signals)
    if not chance or len(names) < 2:
        return part
    batch = part.batch
    lost = np.where(rng.random(len(part.y)) < chance, rng.integers(0, len(names), len(part.y)), -1)
    for position, name in enumerate(names):
        if (lost == position).any():
            batch = without(batch, name, position, torch.from_numpy(lost == position))
    return LabelledBatch(batch, part.y, part.weight, part.row)


def _late_start(item: Item, rng: np.random.Generator) -> Item:
    """Drop a random number of a session's first trials, so that a position in the session says nothing."""
    if len(item.trials) < 2:
        return item
    first = int(rng.integers(0, len(item.trials)))
    begin = sum(item.hops[:first])
    if not item.labelled[begin:].any():
        return item
    gaps: Sequence[float] = (0.0, *item.gaps_s[first + 1 :])
    return Item(item.trials[first:], item.hops[first:], tuple(gaps), item.rows[begin:], item.labelled[begin:])
