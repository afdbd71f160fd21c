"""Several networks trained as one program, equal to training each alone: the steps are shared, the numbers are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from insula.learning.augment import augmented
from insula.learning.eager_adamw import EagerAdamW
from insula.learning.feed import Feed
from insula.learning.losses import class_weights, windows_loss
from insula.learning.optimising import parameter_groups
from insula.learning.stack import NotStackable, Stack, stacked_batch
from insula.learning.train import History, fit, require_finite
from insula.learning.train_config import TrainConfig

Progress = Callable[[int, int], None]
MOST = 32
"""Networks in one program at most: beyond that the overhead is shared out and memory only grows."""


@dataclass
class Training:
    """A network to train in place on a feed; ``random`` is torch's generator where its training begins."""

    network: nn.Module
    feed: Feed
    seed: int
    random: Tensor


def fit_together(
    trainings: Sequence[Training],
    config: TrainConfig,
    classes: int,
    device: torch.device,
    progress: Progress | None = None,
) -> list[History]:
    """Train networks without a held-out set, as `insula.learning.train.fit` trains each.

    Those of one architecture and as many steps an epoch are one program; what cannot be (a network that looks across
    its batch, draws numbers otherwise than by dropout layers, or has operations that `torch.vmap` lacks), and whatever
    is on another device than the CPU, is trained alone; a history says which. ``progress`` hears (epochs done, all of
    them) of all trainings.
    """
    found: dict[int, History] = {}
    groups: dict[tuple[str, int], list[int]] = {}
    for i, one in enumerate(trainings):
        steps = one.feed.steps(one.feed.batch_size(config))
        groups.setdefault((one.feed.scope, steps), []).append(i)
    done = 0
    parts = [own[i : i + MOST] for own in groups.values() for i in range(0, len(own), MOST)]
    for members in parts:
        own = [trainings[i] for i in members]
        whole = config.epochs * len(trainings)

        def told(epochs: int, _: int, before: int = done, count: int = len(own), whole: int = whole) -> None:
            if progress is not None:
                progress(before + epochs * count, whole)

        for i, history in zip(members, _fit_group(own, config, classes, device, told), strict=True):
            found[i] = history
        done += config.epochs * len(own)
    return [found[i] for i in range(len(trainings))]


def _fit_group(
    trainings: Sequence[Training], config: TrainConfig, classes: int, device: torch.device, progress: Progress
) -> list[History]:
    if len(trainings) > 1 and device.type == "cpu":
        try:
            return _fit_stack(trainings, config, classes, progress)
        except (NotStackable, RuntimeError, NotImplementedError):
            pass  # vmap says so in the first step, before any network has changed
    found = []
    for i, one in enumerate(trainings):
        torch.set_rng_state(one.random)
        found.append(fit(one.network, one.feed, None, config, classes=classes, seed=one.seed, device=device))
        progress(config.epochs * (i + 1) // len(trainings), config.epochs)
    return found


def _fit_stack(trainings: Sequence[Training], config: TrainConfig, classes: int, progress: Progress) -> list[History]:
    networks, feeds = [t.network for t in trainings], [t.feed for t in trainings]
    stack = Stack(networks, [_generator(t.random) for t in trainings], feeds[0].scope)
    stack.called.train()
    rngs = [np.random.default_rng(t.seed) for t in trainings]
    sizes = [feed.batch_size(config) for feed in feeds]
    steps = config.epochs * feeds[0].steps(sizes[0])
    usual = torch.tensor([feed.weight / feed.steps(size) for feed, size in zip(feeds, sizes, strict=True)])
    weights = _class_weights(feeds, classes)
    optimiser = EagerAdamW(_groups(stack, config), lr=config.learning_rate, fused=True)
    rates = [group["lr"] for group in optimiser.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=max(steps, 2))
    learned = list(stack.learned.values())
    means = [p.detach().clone() for p in learned] if config.average else [p.detach() for p in learned]
    histories = [History(together=len(trainings)) for _ in trainings]
    for epoch in range(config.epochs):
        losses = []
        served = zip(*(f.each(size, rng) for f, size, rng in zip(feeds, sizes, rngs, strict=True)), strict=True)
        for parts in served:
            pairs = zip(parts, rngs, strict=True)
            batch, shape = stacked_batch([augmented(p, config, rng) for p, rng in pairs])
            logits, penalty = stack(batch.batch, shape)
            loss = _losses(logits, penalty, batch.y, batch.weight, weights, config.label_smoothing, usual)
            optimiser.zero_grad(set_to_none=True)
            loss.sum().backward()
            _clip(learned, config.gradient_clip)
            optimiser.step()
            schedule.step()
            if config.average:
                torch._foreach_lerp_(means, [p.detach() for p in learned], 1 - config.average)
            losses.append(loss.detach().double().numpy())
        for history, own in zip(histories, np.mean(losses, axis=0), strict=True):
            history.train.append(float(own))
            history.best, history.steps = epoch, history.steps + len(losses)
            require_finite(history, config)
        progress(epoch + 1, config.epochs)
    stack.unstack(dict(zip(stack.learned, means, strict=True)))
    for network in networks:
        network.eval()
    return histories


def _generator(state: Tensor) -> torch.Generator:
    made = torch.Generator()
    made.set_state(state)
    return made


def _class_weights(feeds: Sequence[Feed], classes: int) -> Tensor | None:
    """(N, K), None for a continuous target."""
    found = [class_weights(feed, classes, torch.device("cpu")) for feed in feeds]
    return torch.stack([w for w in found if w is not None]) if classes else None


def _groups(stack: Stack, config: TrainConfig) -> list[dict[str, object]]:
    """`parameter_groups` of one network, with the weights of all in each."""
    network = stack.networks[0]
    name_of = {id(p): name for name, p in network.named_parameters()}
    return [
        {**group, "params": [stack.learned[name_of[id(p)]] for p in group["params"]]}
        for group in parameter_groups(network, config)
    ]


def _losses(
    logits: Tensor, penalty: Tensor | None, y: Tensor, weight: Tensor, weights: Tensor | None, smoothing: float | str,
    usual: Tensor,
) -> Tensor:  # fmt: skip
    """Loss of each model, (N,)."""
    axes = (0, None if penalty is None else 0, 0, 0, None if weights is None else 0, None, 0)
    found: Tensor = torch.vmap(windows_loss, axes)(logits, penalty, y, weight, weights, smoothing, usual)
    return found


def _clip(learned: Sequence[Tensor], most: float) -> None:
    """Scale each model's gradient down to a norm of at most ``most``."""
    gradients = [p.grad for p in learned if p.grad is not None]
    if gradients:
        norm = torch.cat([g.reshape(len(g), -1) for g in gradients], 1).norm(dim=1)  # (N,)
        factor = (most / (norm + 1e-6)).clamp(max=1)
        for g in gradients:
            g.mul_(factor.view(-1, *(1,) * (g.dim() - 1)))
