"""Losses that make an embedding tell less of the person: adversarial, correlation and mean-discrepancy ones.

The domain is the person, and only training people are seen. Published: domain-adversarial training by a gradient that
is turned round (Ganin et al. 2016, arXiv 1505.07818), correlation alignment (Sun and Saenko 2016, arXiv 1607.01719)
and the maximum mean discrepancy of several Gaussian kernels (Long et al. 2015, arXiv 1502.02791). They were published
for one source and one target; here every two people of a batch are a pair, since test people are not to be seen.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from insula.errors import ProtocolError
from insula.learning.losses import Said, Term
from insula.learning.train_config import TrainConfig

if TYPE_CHECKING:
    from insula.windows.table import Windows

HIDDEN = 64
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Widths of the Gaussian kernels, in shares of the mean squared distance of the batch."""
LEAST = 4
"""A person is compared with others where a batch holds so many windows of them."""


class TurnRound(torch.autograd.Function):
    """Pass values on and gradients back with the other sign, times ``strength``."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradient, None


class Adversary(Term):
    """A classifier of the person learns on the embedding, and the network learns to leave it nothing.

    The turned gradient grows from 0 to ``weight`` as published, 2 / (1 + exp(-10 p)) - 1 at a share p of training.
    """

    def __init__(self, people: Tensor, width: int, weight: float) -> None:
        super().__init__()
        self.register_buffer("people", people)
        self.weight = weight
        self.net = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, int(people.max()) + 1))

    def forward(self, said: Said) -> Tensor:
        strength = self.weight * (2 / (1 + math.exp(-10 * said.done)) - 1)
        told = self.net(TurnRound.apply(_standard(said.embedding), strength))  # type: ignore[no-untyped-call]
        return F.cross_entropy(told, self.people[said.row])  # type: ignore[index]


class Pairs(Term):
    """A distance between every two people of a batch, the mean of all."""

    def __init__(self, people: Tensor, weight: float) -> None:
        super().__init__()
        self.register_buffer("people", people)
        self.weight = weight

    def forward(self, said: Said) -> Tensor:
        found = [self.distance(a, b) for a, b in _pairs(_standard(said.embedding), self.people[said.row])]  # type: ignore[index]
        return self.weight * torch.stack(found).mean() if found else said.embedding.sum() * 0

    @abstractmethod
    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance of two people's embeddings, (n, H) and (m, H)."""


class Correlation(Pairs):
    """Squared distance of the covariances of the embedding, divided by 4 d^2 (Deep CORAL)."""

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return (torch.cov(a.T) - torch.cov(b.T)).square().sum() / (4 * a.shape[1] ** 2)


class Discrepancy(Pairs):
    """Maximum mean discrepancy by Gaussian kernels of several widths."""

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        both = torch.cat([a, b])
        apart = torch.cdist(both, both).square()
        scale = apart.detach().mean().clamp_min(1e-12)
        kernel = torch.stack([torch.exp(-apart / (width * scale)) for width in WIDTHS]).mean(0)
        n = len(a)
        return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


def _standard(embedding: Tensor) -> Tensor:
    """Columns at mean 0 and deviation 1 over the batch, so that a network cannot hide a person by growing faint."""
    if len(embedding) < 2:
        return embedding
    return (embedding - embedding.mean(0)) / embedding.std(0).clamp_min(1e-6)


def _pairs(embedding: Tensor, people: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    names, counts = torch.unique(people, return_counts=True)
    own = [embedding[people == name] for name in names[counts >= LEAST]]
    for i, one in enumerate(own):
        for other in own[i + 1 :]:
            yield one, other


def domain_terms(windows: Windows, width: int, config: TrainConfig, seed: int) -> list[Term]:
    """The terms that a configuration asks for, of training windows whose embedding has this width.

    Raises ProtocolError where the windows are of one person.
    """
    asked: Sequence[tuple[str, float]] = [(n, getattr(config, n)) for n in ("adversarial", "coral", "mmd")]
    if not any(weight for _, weight in asked):
        return []
    names, codes = np.unique(windows.table["subject"].astype(str), return_inverse=True)
    if len(names) < 2:
        wanted = ", ".join(name for name, weight in asked if weight)
        raise ProtocolError(
            f"train.{wanted} with training windows of {len(names)} person; expected two people or more, who are to "
            "become alike. Use a protocol that trains on several people."
        )
    people = torch.from_numpy(codes.astype(np.int64))
    torch.manual_seed(seed)
    kinds: dict[str, Callable[[float], Term]] = {
        "adversarial": lambda weight: Adversary(people, width, weight),
        "coral": lambda weight: Correlation(people, weight),
        "mmd": lambda weight: Discrepancy(people, weight),
    }
    return [kinds[name](weight) for name, weight in asked if weight]
