"""The neural liquid time-constant cell, and what its time constants say about memory.

Hasani, Lechner, Amini, Rus, Grosu, AAAI 2021, arXiv 2006.04439. Published: dx/dt = -(1/tau + f) x + f A with tau > 0
and A learnable per neuron, f bounded and non-negative. Chosen here: time in seconds, so f = k sigmoid(W u + U x + b)
is a rate with a learnable gain k in 1/s started near 1/tau (k = 1 and unit steps give the paper's form); the start
values; the definitions of retention and memory dominance.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from insula.errors import InputError
from insula.models.cells.wiring import Wiring, check_sequence
from insula.models.kernels import neural
from insula.models.kernels.neural import Solver

SOLVERS: tuple[Solver, ...] = ("fused", "exponential")


class NeuralLTC(nn.Module):
    """Liquid time-constant layer with a neural conductance, right under irregular and missing samples.

    Parameters
    ----------
    inputs, units : width of the input and number of neurons H.
    tau_s : (low, high) seconds; the time constants start log-uniformly between them and are learned.
    sub_steps : K solver steps an input sample.
    solver : ``"fused"`` or ``"exponential"``.
    wiring : which synapses exist; all of them by default. Polarities of the wiring are not used.
    """

    input_mask: Tensor | None
    recurrent_mask: Tensor | None

    def __init__(
        self,
        inputs: int,
        units: int,
        tau_s: tuple[float, float],
        sub_steps: int = 6,
        solver: Solver = "fused",
        wiring: Wiring | None = None,
    ) -> None:
        super().__init__()
        low_s, high_s = tau_s
        if not 0 < low_s <= high_s < math.inf:
            raise InputError(f"tau_s ({low_s:g}, {high_s:g}); expected 0 < low <= high, in seconds.")
        if sub_steps < 1:
            raise InputError(f"sub_steps {sub_steps}; expected 1 or more.")
        if solver not in SOLVERS:
            raise InputError(f"solver {solver!r}; expected one of {', '.join(SOLVERS)}.")
        self.inputs, self.units, self.sub_steps, self.solver = inputs, units, sub_steps, solver
        log_tau = math.log(low_s) + torch.rand(units) * (math.log(high_s) - math.log(low_s))
        self.log_tau = nn.Parameter(log_tau)
        self.log_gain = nn.Parameter(-log_tau)
        self.reversal = nn.Parameter(torch.where(torch.rand(units) < 0.5, -1.0, 1.0))
        self.input_weight = nn.Parameter(torch.randn(inputs, units) * 2 / math.sqrt(inputs))
        self.recurrent_weight = nn.Parameter(torch.randn(units, units) / math.sqrt(units))
        self.bias = nn.Parameter(torch.zeros(units))
        if wiring is not None:
            wiring.require(inputs, units)
        self.register_buffer("input_mask", None if wiring is None else wiring.sensory_mask())
        self.register_buffer("recurrent_mask", None if wiring is None else wiring.recurrent_mask())

    @property
    def tau_s(self) -> Tensor:
        """(H,) learned time constants in seconds."""
        return self.log_tau.exp()

    @property
    def gain_hz(self) -> Tensor:
        """(H,) learned gains k in 1/s."""
        return self.log_gain.exp()

    def forward(
        self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Integrate a sequence.

        Parameters
        ----------
        inputs : (B, T, I).
        elapsed_s : (B, T, 1) seconds since the sample before, 0 or more.
        observed : (B, T) bool; where False, W u is dropped and the recurrence goes on. None: all observed.
        state : (B, H), or None for zeros.

        Returns
        -------
        outputs (B, T, H), and the state (B, H) after the last sample.
        """
        state = check_sequence(inputs, elapsed_s, observed, state, self.inputs, self.units)
        outputs = neural.integrate(
            _heard(inputs, observed),
            elapsed_s,
            self._masked(self.input_weight, self.input_mask),
            self.bias,
            self._masked(self.recurrent_weight, self.recurrent_mask),
            torch.exp(-self.log_tau),
            self.gain_hz,
            self.reversal,
            state,
            self.sub_steps,
            self.solver,
        )
        return outputs, outputs[:, -1] if outputs.shape[1] else state

    def time_constants(
        self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None = None, state: Tensor | None = None
    ) -> Tensor:
        """System time constants tau / (1 + tau f), with f where each step begins: (B, T, H) seconds.

        They lie between tau / (1 + k tau) and tau. Arguments as in `forward`.
        """
        state = check_sequence(inputs, elapsed_s, observed, state, self.inputs, self.units)
        outputs, _ = self(inputs, elapsed_s, observed, state)
        before = torch.cat([state.unsqueeze(1), outputs[:, :-1]], dim=1)  # (B, T, H)
        drive = F.linear(_heard(inputs, observed), self._masked(self.input_weight, self.input_mask).T, self.bias)
        f = self.gain_hz * torch.sigmoid(drive + before @ self._masked(self.recurrent_weight, self.recurrent_mask))
        return 1 / (torch.exp(-self.log_tau) + f)

    def _masked(self, weight: Tensor, mask: Tensor | None) -> Tensor:
        return weight if mask is None else weight * mask


def _heard(inputs: Tensor, observed: Tensor | None) -> Tensor:
    """Inputs with zeros where nothing was observed, so that W u is 0 there."""
    return inputs if observed is None else inputs.masked_fill(~observed.unsqueeze(-1), 0.0)


def retention(
    tau_sys_s: Tensor, elapsed_s: Tensor, horizon_s: float, *, sub_steps: int = 1, solver: Solver = "fused"
) -> Tensor:
    """Share of a state that is left after ``horizon_s`` seconds: product of the retentions of the steps within it.

    A step keeps (1 + dt / tau_sys)^-1 a sub-step (fused) or exp(-dt / tau_sys) (exponential); a step that is only
    partly inside the horizon counts with that part of its logarithm.

    Parameters
    ----------
    tau_sys_s : (B, T, H) seconds, from ``time_constants``.
    elapsed_s : (B, T, 1) seconds of each step.
    horizon_s : seconds; at most the whole sequence.

    Returns
    -------
    (B, T, H) retention from the beginning of each step; NaN where the horizon ends after the sequence.
    """
    if not horizon_s > 0:
        raise InputError(f"horizon_s {horizon_s:g}; expected above 0.")
    batch, steps, units = tau_sys_s.shape
    per_step = elapsed_s.double() / tau_sys_s.double()
    per_step = sub_steps * torch.log1p(per_step / sub_steps) if solver == "fused" else per_step
    # One row a sequence beginning with 0: times (B, T+1), minus log retention (B, T+1, H)
    times = torch.cat([elapsed_s.new_zeros(batch, 1).double(), elapsed_s.double().squeeze(-1).cumsum(1)], dim=1)
    lost = torch.cat([per_step.new_zeros(batch, 1, units), per_step.cumsum(1)], dim=1)
    tolerance_s = 1e-6 * times[:, -1:]
    ends = times[:, :-1] + horizon_s  # (B, T)
    inside = ends <= times[:, -1:] + tolerance_s
    if not bool(inside.any()):
        raise InputError(
            f"horizon_s {horizon_s:g} with sequences of {float(times[:, -1].max()):g} s; expected at most that long. "
            "Give longer sequences or a shorter horizon."
        )
    right = torch.searchsorted(times, ends.contiguous()).clamp(1, steps)  # (B, T)
    t0, t1 = times.gather(1, right - 1), times.gather(1, right)
    share = ((ends - t0) / (t1 - t0).clamp_min(1e-12)).clamp(0, 1).unsqueeze(-1)
    columns = right.unsqueeze(-1).expand(-1, -1, units)
    at_end = lost.gather(1, columns - 1) * (1 - share) + lost.gather(1, columns) * share
    kept = torch.exp(lost[:, :-1] - at_end)
    return kept.masked_fill(~inside.unsqueeze(-1), math.nan).to(tau_sys_s.dtype)
