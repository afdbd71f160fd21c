"""A bank of liquid neurons without synapses between them: each follows one column at one speed.

Hasani et al. 2021 (arXiv 2006.04439), the neuron of `insula.models.cells.liquid` with a diagonal input and no
recurrence; dx/dt = -(1/tau + f) x + f A, f = k sigmoid(w u + b), one exponential step a hop with f held over it.
(?) Our choices: the diagonal, the start values, and the division by the weight that the past has so far, which makes
the first observations count 1/n each. A bank that begins at zero would tell how long its trial has lasted, one that
begins at its first window would keep that window.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from insula.errors import InputError
from insula.models.kernels import use_compiled
from insula.models.kernels.scan import LeakySum

REST = 1 / 3
"""Fixed point at the start where the column is at its mean: sigmoid(0) / (1 + sigmoid(0)) of a reversal of 1."""
STEEPNESS = 0.2
"""Input weight at the start: the answer bends beyond about five deviations."""
SLOPE = STEEPNESS / 9
"""Slope of the fixed point over a column at its mean, at the start."""


class LiquidBank(nn.Module):
    """``len(tau_s)`` neurons a column, each blind to all others.

    Parameters
    ----------
    columns : number of input columns D; there are H = D * len(tau_s) neurons, all columns at the first speed first.
    tau_s : time constants at the start, in seconds.
    liquid : False fixes the retention at exp(-elapsed / tau) and feeds the column itself: an exponential average.
    """

    solver = "exponential"
    sub_steps = 1

    def __init__(self, columns: int, tau_s: Sequence[float], liquid: bool = True) -> None:
        super().__init__()
        if columns < 1 or not tau_s or min(tau_s) <= 0:
            raise InputError(f"{columns} columns, tau_s {tuple(tau_s)}; expected one or more of each, above 0 s.")
        self.inputs, self.units, self.liquid = columns, columns * len(tau_s), liquid
        self.leaky_sum = LeakySum()
        log_tau = torch.tensor(tau_s, dtype=torch.float32).log().repeat_interleave(columns)
        if not liquid:
            self.register_buffer("log_tau", log_tau)
            return
        self.log_tau = nn.Parameter(log_tau)
        self.log_gain = nn.Parameter(-log_tau)
        self.reversal = nn.Parameter(torch.ones(self.units))
        self.steepness = nn.Parameter(torch.full((self.units,), STEEPNESS))
        self.bias = nn.Parameter(torch.zeros(self.units))

    @property
    def tau_s(self) -> Tensor:
        """(H,) time constants in seconds."""
        return self.log_tau.exp()

    def forward(
        self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Integrate a sequence.

        Parameters
        ----------
        inputs : (B, T, D), any value where not observed.
        elapsed_s : (B, T, 1) seconds since the step before.
        observed : (B, T, D) bool; a column that is not observed leaves its neurons as they are. None: all observed.
        state : (B, 2 * H) from the call before, or None.

        Returns
        -------
        outputs (B, T, H), about as large as the columns, 0 before a column's first observation; and the state.
        """
        if state is None:
            state = inputs.new_zeros(len(inputs), 2 * self.units)
        held, past = state.chunk(2, -1)  # (B, H): sum so far, log of what is left of the beginning
        if self.liquid and inputs.numel() and use_compiled(inputs, elapsed_s, state, self.log_tau):
            from insula.models.kernels.bank_numba import Bank

            seen = torch.ones_like(inputs, dtype=torch.bool) if observed is None else observed
            weights = (self.log_tau, self.log_gain, self.steepness, self.bias, self.reversal)
            scales = self._rest, self._scale
            given = torch.nan_to_num(inputs), elapsed_s, seen
            outputs, *last = Bank.apply(*given, *weights, held, past, *scales)  # type: ignore[no-untyped-call]
            return outputs, torch.cat(last, -1)
        rate, target = self._drive(inputs)
        seen = torch.ones_like(rate, dtype=torch.bool) if observed is None else self._repeat(observed)
        keep = torch.where(seen, -elapsed_s * rate, torch.zeros_like(rate))  # (B, T, H) log retention
        left = past.unsqueeze(1) + keep.cumsum(1)
        now = self.leaky_sum(keep, -torch.expm1(keep) * target, held)
        weight = -torch.expm1(left)  # what the observations so far add up to
        outputs = torch.where(weight > 1e-6, now / weight.clamp_min(1e-6) - self._rest, torch.zeros_like(now))
        return outputs * self._scale, torch.cat([now[:, -1], left[:, -1]], -1)

    def time_constants(
        self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None = None, state: Tensor | None = None
    ) -> Tensor:
        """System time constants tau / (1 + tau f), (B, T, H) seconds; arguments as in `forward`."""
        del elapsed_s, observed, state
        return 1 / self._drive(inputs)[0]

    def operations(
        self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[int, int, int]:
        """Return multiply-accumulates, additions and others: those of the plain form below, a neuron and a column."""
        del elapsed_s, observed, state
        steps = inputs.shape[0] * inputs.shape[1]
        macs, adds, others = (7, 8, 6) if self.liquid else (4, 5, 4)
        return steps * macs * self.units, steps * (adds * self.units + self.inputs), steps * others * self.units

    @property
    def _rest(self) -> float:
        return REST if self.liquid else 0.0

    @property
    def _scale(self) -> float:
        return 1 / SLOPE if self.liquid else 1.0

    def _drive(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Rate of forgetting in 1/s and fixed point of every neuron, (B, T, H) each."""
        column = self._repeat(torch.nan_to_num(inputs))
        leak = torch.exp(-self.log_tau)
        if not self.liquid:
            return leak.expand_as(column), column
        f = self.log_gain.exp() * torch.sigmoid(self.steepness * column + self.bias)
        return leak + f, f * self.reversal / (leak + f)

    def _repeat(self, columns: Tensor) -> Tensor:
        return columns.repeat(1, 1, self.units // self.inputs)
