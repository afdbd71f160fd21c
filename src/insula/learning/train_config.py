"""How a network is trained, as an experiment says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from insula.errors import InputError, unknown_name
from insula.learning.weighing import Quality, require_quality

Residual = Literal["inner", "always", "never"]
MOST_ROUNDS = 10
"""Rounds at most: together they are a thousand times the epochs of the first."""


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained.

    ``time_constant_rate`` multiplies the learning rate of log time constants and log gains, which must travel far;
    ``batch_trials`` stretches (or 16 times as many single windows) a step, and of short trials as many as last
    ``batch_s`` seconds together while an epoch keeps `LEAST_STEPS` steps; ``patience`` epochs without a better
    validation loss end the training; ``average`` keeps an exponential average of the weights and uses it
    (0: off); ``validation_fraction`` of the groups is held out to stop by, where there are ``validation_groups`` or
    more of them (with fewer, a held-out loss is too noisy to stop by, see docs/log.md); ``modality_dropout`` is the
    chance that a stretch loses one of its modalities in training. A training whose loss still falls at its end goes on
    for up to ``rounds`` rounds in all, each twice as long as the one before; where windows are held out to stop by, the
    weights of the round with the lowest held-out loss are kept. Off by default, since they keep a label
    but were not shown to help: ``gain``, the deviation of the log of a factor on a stretch's modality;
    ``channel_dropout``, the chance that a channel of several is silent; ``late_start``, the share of a stretch that is
    left out at its beginning at most. ``residual`` says when the deep path of a network
    that starts from a convex readout is kept: where ``inner`` splits gain by it, ``always`` or ``never``. ``quality``
    says whether training windows that
    `insula.signals.flags` marks are kept, dropped (``weighing.good_rows``; a modality is bad when a flag marks more
    than ``quality_share`` of the window) or weighed by what is good of them. ``label_smoothing`` spreads that share
    of a label over all classes; ``"ordinal"`` spreads it over neighbours, as a Gaussian of ``ORDINAL_WIDTH`` classes
    (as HiSTN, arXiv 2408.15255), where classes have an order. ``adversarial``, ``coral`` and ``mmd`` are weights of
    losses by which the embedding tells less of the person (`insula.learning.domains`; 0: off). Under a teacher
    ``teacher_share`` of the labels' loss is replaced by its softened probabilities (`insula.learning.teaching`).
    ``unlabelled_epochs`` passes without labels come first, over the windows that train and the rest before and between
    them (`insula.learning.pretraining`).
    """

    epochs: int = 15
    rounds: int = 1
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    batch_trials: int = 4
    batch_s: float = 240.0
    time_constant_rate: float = 5.0
    patience: int = 8
    label_smoothing: float | Literal["ordinal"] = 0.05
    modality_dropout: float = 0.1
    gain: float = 0.0
    channel_dropout: float = 0.0
    late_start: float = 0.0
    gradient_clip: float = 1.0
    average: float = 0.9
    validation_fraction: float = 0.2
    validation_groups: int = 30
    residual: Residual = "inner"
    adversarial: float = 0.0
    coral: float = 0.0
    mmd: float = 0.0
    teacher_share: float = 0.7
    teacher_temperature: float = 2.0
    unlabelled_epochs: int = 0
    quality: Quality = "keep"
    quality_share: float = 0.5

    @property
    def most_epochs(self) -> int:
        """Epochs of one training at most, those without labels included: what has converged ends before."""
        return self.unlabelled_epochs + self.epochs * ((1 << self.rounds) - 1)

    def __post_init__(self) -> None:
        if min(self.epochs, self.rounds, self.batch_trials) < 1 or not self.learning_rate > 0:
            raise InputError(
                f"epochs {self.epochs}, rounds {self.rounds}, batch_trials {self.batch_trials}, learning_rate "
                f"{self.learning_rate}; expected all above 0."
            )
        shares = (
            "average",
            "validation_fraction",
            "label_smoothing",
            "modality_dropout",
            "channel_dropout",
            "late_start",
        )
        if self.rounds > MOST_ROUNDS:
            raise InputError(f"rounds {self.rounds}; expected 1 to {MOST_ROUNDS}. Each is twice as long as the last.")
        for name in (*shares, "gain"):
            if getattr(self, name) == "ordinal":
                continue
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}; expected 0 (off) or more and below 1.")
        if not 0 < self.teacher_share <= 1 or not self.teacher_temperature > 0:
            raise InputError(
                f"teacher_share {self.teacher_share}, teacher_temperature {self.teacher_temperature}; expected a share "
                "above 0 and at most 1, and a temperature above 0."
            )
        for name in ("adversarial", "coral", "mmd"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name} {getattr(self, name)}; expected 0 (off) or more.")
        if self.unlabelled_epochs < 0:
            raise InputError(f"unlabelled_epochs {self.unlabelled_epochs}; expected 0 (off) or more.")
        if self.patience < 1 or not self.weight_decay >= 0 or not self.gradient_clip > 0:
            raise InputError(
                f"patience {self.patience}, weight_decay {self.weight_decay}, gradient_clip {self.gradient_clip}; "
                "expected 1 or more, 0 or more and above 0."
            )
        if self.residual not in get_args(Residual):
            raise unknown_name("residual", self.residual, get_args(Residual))
        require_quality(self.quality, self.quality_share)
