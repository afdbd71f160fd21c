"""One visible training loop for every network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from insula.errors import InputError
from insula.learning.augment import augmented
from insula.learning.batches import to_device
from insula.learning.eager_adamw import EagerAdamW
from insula.learning.feed import Feed
from insula.learning.losses import Term, class_weights, training_loss
from insula.learning.optimising import Follower, averaged_from, parameter_groups
from insula.learning.train_config import TrainConfig

FEW_STEPS = 100
"""A network that was moved fewer times than this has not been trained, whatever its loss does."""


@dataclass
class History:
    """Losses of each epoch and steps in all; ``best`` is the epoch whose weights were kept, ``stopped`` says whether a
    held-out loss ended the training, ``together`` how many networks were trained as one program. ``unlabelled`` are the
    losses of epochs without labels that came before, of ``unlabelled_steps`` in all."""

    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best: int = 0
    steps: int = 0
    stopped: bool = False
    together: int = 1
    unlabelled: list[float] = field(default_factory=list)
    unlabelled_steps: int = 0

    @property
    def converged(self) -> bool:
        """Whether the training loss has stopped falling.

        Over its last fifth it fell by less than a twentieth of all, or by no more than two standard errors of its own
        scatter, which the random parts of training (modality dropout, order) give any loss.
        Fewer than `FEW_STEPS` steps or 5 epochs never count as converged; a held-out loss that no longer falls ends a
        training as well, but one that it ends before that has not begun to learn.
        """
        if self.steps < FEW_STEPS or self.stopped:
            return self.steps >= FEW_STEPS
        part = len(self.train) // 5
        if not part:
            return False
        before, last = np.array(self.train[-2 * part : -part]), np.array(self.train[-part:])
        fell = float(before.mean() - last.mean())
        scatter = 2 * float(np.sqrt((before.var(ddof=1) + last.var(ddof=1)) / part)) if part > 1 else 0.0
        return fell < max(0.05 * (self.train[0] - float(last.mean())), scatter, 1e-9)

    def then(self, more: History) -> History:
        """Join the history of a training that went on with the same network; the better held-out loss is the best."""
        return replace(
            more, train=self.train + more.train, validation=self.validation + more.validation,
            best=len(self.train) + more.best if self.improved_by(more) else self.best, steps=self.steps + more.steps,
        )  # fmt: skip

    def improved_by(self, more: History) -> bool:
        """Whether the weights that a training kept as it went on have the lower held-out loss, where there is one."""
        if not (self.validation and more.validation):
            return True
        return more.validation[more.best] < self.validation[self.best]


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
    terms: Sequence[Term] = (),
) -> History:
    """Train a model in place and leave the best weights by validation loss in it (the last ones without validation).

    ``classes`` is 0 for a continuous target. Class weights are the inverse of the training windows' class counts, a
    window counting by its own weight. A batch's loss is its weighted sum divided by what a batch of this set weighs in
    the mean, never by what itself weighs, which would cancel the class weights in a batch of one class.
    A model with ``swa`` True keeps the equal mean of its weights at the ends of the epochs from ``swa_start`` on, with
    the learning rate held there (stochastic weight averaging); it is trained through all epochs. ``terms`` are further
    losses of training batches; validation knows the labels alone.
    """
    rng = np.random.default_rng(seed)
    model.to(device)
    groups = parameter_groups(model, config, terms)
    learned = [p for group in groups for p in group["params"]]
    optimiser = EagerAdamW(groups, lr=config.learning_rate, fused=device.type == "cpu")
    size = training.batch_size(config)
    steps = config.epochs * training.steps(size)
    usual = training.weight / training.steps(size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [g["lr"] for g in groups], total_steps=max(steps, 2))
    weights = class_weights(training, classes, device)
    first = averaged_from(model, config.epochs)
    average = copy.deepcopy(model) if config.average or first is not None else model
    pairs = Follower(average, model)
    history, best, best_loss = History(), None, float("inf")
    for epoch in range(config.epochs):
        model.train()
        losses = []
        for part in training.each(size, rng):
            part = augmented(to_device(part, device), config, rng)
            done = history.steps / steps
            loss = training_loss(model, part, weights, config.label_smoothing, training.scope, usual, terms, done)
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
        require_finite(history, config)
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


def require_finite(history: History, config: TrainConfig) -> None:
    """Raise InputError where the loss of the last epoch is none."""
    if not np.isfinite(history.train[-1]):
        raise InputError(
            f"loss {history.train[-1]} in epoch {len(history.train)}; expected a finite one. Lower learning_rate "
            f"{config.learning_rate:g}, or look for values out of range with `insula data check`."
        )


def _validate(model: nn.Module, feed: Feed, weights: Tensor | None, config: TrainConfig, device: torch.device) -> float:
    """Weighted mean loss of a held-out set."""
    model.eval()
    total, whole = 0.0, max(feed.weight, 1e-12)
    with torch.no_grad():
        for part in feed.each(4 * config.batch_trials):
            part = to_device(part, device)
            if bool((part.weight > 0).any()):
                total += float(training_loss(model, part, weights, 0.0, feed.scope, whole))
    return total
