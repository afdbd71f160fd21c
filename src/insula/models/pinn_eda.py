"""Multi-task PINN: emotion and skin conductance from self-reports and time, held to an equation of conductance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from insula.errors import InputError, unknown_name
from insula.models.card import Claim, ModelCard, Variant
from insula.types import Batch, InputSpec, ModelOutput

SIZES: Mapping[str, int] = {"small": 64, "medium": 128}
"""Width of the two hidden layers."""
POINTS = 12
"""Moments of a window at which conductance is said and the equation is asked for."""


@dataclass(frozen=True)
class Physics:
    """Parameters that a trained network found: what the equation says, not what the network knows besides.

    ``decay_per_min`` is gamma alpha0, ``sensitivity`` beta / alpha0 for each answer and ``rest`` the level without any,
    in the deviation of the training people's conductance for a deviation of the answer. gamma alone is
    ``scale_per_min``: only its products with alpha0 and beta leave a trace in data, so it says how training began.
    """

    decay_per_min: float
    scale_per_min: float
    sensitivity: tuple[float, ...]
    rest: float


class Tangent(nn.Module):
    """Two layers of tanh that return values and the derivative along one direction of the input (forward mode)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, width), nn.Linear(width, width)

    def forward(self, x: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
        """Map x (..., inputs) and a direction of the same shape to values and derivatives (..., width)."""
        for layer in (self.first, self.second):
            x, along = torch.tanh(layer(x)), along @ layer.weight.T
            along = (1 - x.square()) * along
        return x, along


class PINNEDA(nn.Module):
    """Emotion and skin conductance E(t) of a trial from what the person said after it and the time in the session.

    (p) Inputs PANAS, SAM and time; outputs E and the emotion; loss of E, of the emotion, and of the residual of
    dE/dt = gamma (-alpha0 E + beta q) with decay alpha0, sensitivity beta and time scale gamma learned; random 5-fold.
    (?) The equation's form is known to us from summaries; q are the scaled answers, with a constant for the resting
    level, since E is scaled about zero; one beta an answer; widths, tanh, loss weights, 12 moments a window at which E
    and the residual are asked for, time in minutes. dE/dt is exact, carried forward through the network, and counted
    in its energy, though an answer alone does not need it.

    **It recognises nothing from the body.** It reads the answers that name the emotion and the clock; conductance is
    what it is trained to say. Rows beside it on the same inputs show what that is worth.

    Parameters
    ----------
    spec : sizes; must hold ``self_report`` (last channel ``time_min``) and ``eda``.
    size : ``small`` or ``medium`` (width 64 or 128).
    physics : weight of the residual in the loss; 0 leaves the equation out.
    regression : weight of conductance in the loss.
    dropout : before the classifier.

    Output: ``extras["eda"]`` and ``extras["eda_measured"]`` (B, 12), scaled, NaN where nothing was measured.
    """

    card = ModelCard(
        title="Multi-task PINN",
        summary="Emotion and skin conductance from questionnaires and time, held to an equation of decay and drive",
        source="Mandal 2025, arXiv 2505.18169; read in summaries",
        reads=("self_report",),
        variants={
            "no_physics": Variant("Multi-task PINN without its equation", {"physics": 0.0}, "ablation", usual=True),
            "emotion_only": Variant(
                "Multi-task PINN, emotion only", {"physics": 0.0, "regression": 0.0}, "ablation"
            ),
        },
        claims=(
            Claim("wesad", "condition", "F1", 94.08, "random 5-fold over samples", "arXiv 2505.18169",
                  ours="random_windows"),
            Claim("wesad", "EDA", "r", 0.9919, "random 5-fold over samples", "arXiv 2505.18169", ours="random_windows"),
            Claim("wesad", "EDA", "RMSE of EDA scaled to 0..1 (inferred)", 0.0362, "random 5-fold over samples",
                  "arXiv 2505.18169", ours="random_windows", inferred=True),
        ),
        experiment="pinn_eda.toml",
        window_cost_s=5e-4,
    )  # fmt: skip

    def __init__(
        self,
        spec: InputSpec,
        size: str = "small",
        *,
        physics: float = 1.0,
        regression: float = 1.0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("pinn_eda size", size, SIZES)
        if min(physics, regression) < 0:
            raise InputError(f"physics {physics}, regression {regression}; expected 0 or more. Raise them.")
        if "eda" not in spec.signals:
            raise InputError(
                f"pinn_eda on {', '.join(spec.signals)}; expected eda too: conductance is what it learns to say. "
                "Add eda to the modalities."
            )
        self.answers = spec.signals["self_report"][0] - 1
        if self.answers < 1:
            raise InputError(f"self_report with {self.answers} answers; expected 1 or more beside the time. Read some.")
        self.physics, self.regression = physics, regression
        width = SIZES[size]
        self.trunk = Tangent(self.answers + 1, width)
        self.conductance = nn.Linear(width, 1)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(width, spec.outputs)
        self.log_gamma, self.log_alpha = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))
        self.beta = nn.Parameter(0.1 * torch.ones(self.answers))
        self.rest = nn.Parameter(0.01 * torch.ones(()))

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Classify each window by itself; ``state`` is ignored and returned."""
        names = list(batch.signals)
        said = batch.observed["self_report"] & batch.present[:, [names.index("self_report")]]  # (B, T)
        values = torch.where(said.unsqueeze(1), batch.signals["self_report"], 0.0)  # (B, answers + 1, T)
        at = torch.linspace(0, values.shape[-1] - 1, POINTS, device=values.device).round().long()
        there = said.any(1)
        answers = values[:, :-1].sum(-1) / said.sum(1, keepdim=True).clamp_min(1)  # (B, answers)
        time = values[:, -1, at]  # (B, points), scaled
        slope = self._slope(values[:, -1], batch.elapsed_s["self_report"][..., 0] / 60, said)  # scaled time a minute
        given = torch.cat([answers.unsqueeze(1).expand(-1, POINTS, -1), time.unsqueeze(-1)], -1)
        along = torch.zeros_like(given)
        along[..., -1] = slope.unsqueeze(1)
        hidden, moving = self.trunk(given, along)  # (B, points, width)
        level = self.conductance(hidden)[..., 0]  # E (B, points)
        change = moving @ self.conductance.weight[0]  # dE/dt a minute
        embedding = hidden.mean(1)
        measured = self._measured(batch, names)
        wrong = torch.nan_to_num(level - measured).square()
        known = (~measured.isnan()).sum(1).clamp_min(1)
        residual = change - self.log_gamma.exp() * (
            -self.log_alpha.exp() * level + (answers @ self.beta + self.rest).unsqueeze(1)
        )
        penalty = self.regression * wrong.sum(1) / known + self.physics * there * residual.square().mean(1)
        extras = {"penalty": penalty, "eda": level.detach(), "eda_measured": measured.detach()}
        return ModelOutput(self.classify(self.dropout(embedding)), embedding, state, extras=extras)

    def equation(self) -> Physics:
        """Return the parameters of the equation in units that data can tell apart."""
        alpha, gamma = float(self.log_alpha.exp().detach()), float(self.log_gamma.exp().detach())
        return Physics(
            gamma * alpha, gamma, tuple((self.beta.detach() / alpha).tolist()), float(self.rest.detach()) / alpha
        )

    @staticmethod
    def _slope(time: Tensor, minutes: Tensor, said: Tensor) -> Tensor:
        """Scaled time that passes in a minute (B,): how the last channel moves over what elapsed between samples."""
        moved = (time[:, 1:] - time[:, :-1]) * (said[:, 1:] & said[:, :-1])
        passed = (minutes[:, 1:] * (said[:, 1:] & said[:, :-1])).sum(1)
        return moved.sum(1) / passed.clamp_min(1e-3)

    @staticmethod
    def _measured(batch: Batch, names: list[str]) -> Tensor:
        """Scaled conductance (B, points) at the moments, NaN where nothing was measured."""
        seen = batch.observed["eda"] & batch.present[:, [names.index("eda")]]
        values = torch.where(seen, batch.signals["eda"][:, 0], 0.0)
        at = torch.linspace(0, values.shape[-1] - 1, POINTS, device=values.device).round().long()
        nothing = torch.full_like(values[:, at], torch.nan)
        return torch.where(seen[:, at], values[:, at], nothing)
