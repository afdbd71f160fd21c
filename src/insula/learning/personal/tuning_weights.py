"""Which weights of a network are trained for one person: the head, low-rank adapters, the last blocks, or all."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from insula.learning.estimator import Estimator
from insula.learning.feed import Feed, run
from insula.learning.together import Training, fit_together
from insula.learning.train_config import TrainConfig
from insula.types import FloatArray
from insula.windows.table import Windows

PARTS = ("head", "adapters", "last", "all")
RANK = 4
_LAST = 0.3
"""Share of a body's tensors, counted from the end, that are its last blocks."""
STEPS = 100
"""Least steps of the optimiser, however few labels there are."""


class LowRank(nn.Module):
    """Add a product of two thin matrices to a weight (Hu et al. 2021, arXiv 2106.09685); it begins as nothing."""

    def __init__(self, weight: Tensor, rank: int = RANK) -> None:
        super().__init__()
        rows, columns = weight.shape
        rank = min(rank, rows, columns)
        self.down = nn.Parameter(torch.randn(rank, columns) / columns**0.5)
        self.up = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.up @ self.down


def retrained(
    model: Estimator, windows: Windows, part: str, seed: int = 0, epochs: int = 0, weight: FloatArray | None = None
) -> Estimator:
    """Return a copy of a trained Estimator with part of its weights trained further on these labelled windows.

    ``epochs`` 0: as many as `STEPS` need. ``weight`` (windows,) is that of each window in the loss. Scales, recipe and
    everything else stay those of the population.
    """
    return retrained_each(model, [windows], part, seed, epochs, [weight])[0]


def retrained_each(
    model: Estimator,
    cohort: Sequence[Windows],
    part: str,
    seed: int = 0,
    epochs: int = 0,
    weights: Sequence[FloatArray | None] | None = None,
) -> list[Estimator]:
    """What `retrained` returns for each of several people (or amounts of labels), trained as one program.

    See `insula.learning.together`; the weights are those of the separate trainings to about 1e-4.
    """
    each = zip(cohort, weights or [None] * len(cohort), strict=True)
    feeds = [Feed(model.prepare(windows, weight), model.scope) for windows, weight in each]
    configs = [_short(model.config.train, feed) for feed in feeds]
    if epochs:
        configs = [replace(config, epochs=epochs) for config in configs]
    found = []
    for _ in cohort:
        out = copy.copy(model)
        out.networks, out.histories = [], []
        found.append(out)
    for member, network in enumerate(model._fitted()):
        for config in dict.fromkeys(configs):
            people = [i for i, own in enumerate(configs) if own == config]
            with ExitStack() as learning:
                trainings = []
                for i in people:
                    torch.manual_seed(seed + member)
                    own = copy.deepcopy(network)
                    learning.enter_context(_learning(own, part, feeds[i]))
                    trainings.append(Training(own, feeds[i], seed, torch.get_rng_state()))
                histories = fit_together(trainings, config, len(model.schema.classes), model.device)
            for i, training, history in zip(people, trainings, histories, strict=True):
                found[i].networks.append(training.network.eval())
                found[i].histories.append(history)
    return found


def _short(before: TrainConfig, feed: Feed) -> TrainConfig:
    return replace(
        before,
        epochs=-(-STEPS // feed.steps(feed.batch_size(before))),
        weight_decay=0.0,
        average=0.0,
        validation_fraction=0.0,
    )


@contextmanager
def _learning(network: nn.Module, part: str, feed: Feed) -> Iterator[None]:
    """Let only a part learn; adapters are merged into their weights at the end."""
    head = set(head_parameters(network, feed))
    names = [name for name, _ in network.named_parameters()]
    body = [name for name in names if name not in head]
    chosen = set(names) if part == "all" else set(head)
    if part == "last":
        chosen |= set(body[len(body) - max(1, round(_LAST * len(body))) :]) if body else set()
    before = {name: p.requires_grad for name, p in network.named_parameters()}
    for name, p in network.named_parameters():
        p.requires_grad_(name in chosen)
    adapted = [m for n, m in network.named_modules() if isinstance(m, nn.Linear) and f"{n}.weight" not in head]
    adapted = adapted if part == "adapters" else []
    for module in adapted:
        parametrize.register_parametrization(module, "weight", LowRank(module.weight))
    try:
        yield
    finally:
        for module in adapted:
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
        for name, p in network.named_parameters():
            p.requires_grad_(before[name])


def head_parameters(network: nn.Module, feed: Feed) -> list[str]:
    """Names of the weights that the logits depend on and the embedding does not, found by differentiating once."""
    part = next(iter(feed.each(1)))
    found = run(network, part, feed.scope)
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    weights = [p for _, p in named]
    logits = torch.autograd.grad(found.logits.sum(), weights, allow_unused=True, retain_graph=True)
    inner = [None] * len(weights)
    if found.embedding.requires_grad:
        inner = torch.autograd.grad(found.embedding.sum(), weights, allow_unused=True)  # type: ignore[assignment]
    only = [name for (name, _), a, b in zip(named, logits, inner, strict=True) if a is not None and b is None]
    if only:
        return only
    last = named[-1][0].rpartition(".")[0]  # a network whose embedding is its logits: its last module
    return [name for name, _ in named if name.rpartition(".")[0] == last]
