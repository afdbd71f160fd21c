"""A loss that has a network say what a teacher says: knowledge distillation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from insula.errors import InputError
from insula.learning.losses import Said, Term
from insula.types import DoubleArray

if TYPE_CHECKING:
    from insula.learning.learner import Learner


class Taught(Term):
    """Kullback-Leibler divergence from a teacher's softened probabilities, times the temperature squared.

    (Hinton, Vinyals and Dean 2015, arXiv 1503.02531.) ``chances`` (windows, K) are the teacher's of the training
    windows; ``share`` of the labels' loss is replaced.
    """

    def __init__(self, chances: DoubleArray, share: float, temperature: float) -> None:
        super().__init__()
        if chances.ndim != 2:
            raise InputError("a teacher of a continuous target; expected classes. Leave --teacher out.")
        soft = torch.from_numpy(chances).clamp_min(1e-6).log() / temperature
        self.register_buffer("soft", torch.softmax(soft, 1).float())
        self.replaces, self.temperature = share, temperature

    def forward(self, said: Said) -> Tensor:
        """Mean over the batch's windows, weighed by the share."""
        own = F.log_softmax(said.logits / self.temperature, 1)
        target: Tensor = self.soft[said.row]  # type: ignore[index]
        apart = F.kl_div(own, target, reduction="batchmean")
        return self.replaces * self.temperature**2 * apart


def untaught(row: Learner) -> Learner:
    """The same row, not fitted, without its teacher, who may have learned from those on whom it is judged."""
    out = row.clone()
    return out.set_params(teacher=None) if "teacher" in row.get_params() else out
