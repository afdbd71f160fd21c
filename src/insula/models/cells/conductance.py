"""The conductance ("synaptic") liquid time-constant cell, interchangeable with the weights of the `ncps` package.

Hasani et al., AAAI 2021, arXiv 2006.04439; Lechner et al., Nature Machine Intelligence 2020. Published: the equations
and the initial ranges. Chosen here: elapsed time a row of the batch; silent sensory synapses where a sample is missing.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from insula.errors import InputError
from insula.models.cells.wiring import Wiring, check_sequence
from insula.models.kernels import conductance
from insula.models.kernels.conductance import Membrane, Synapses

_NAMES: Mapping[str, str] = {
    "leak": "gleak", "rest": "vleak", "capacitance": "cm",
    "weight": "w", "slope": "sigma", "midpoint": "mu", "reversal": "erev",
    "sensory_weight": "sensory_w", "sensory_slope": "sensory_sigma", "sensory_midpoint": "sensory_mu",
    "sensory_reversal": "sensory_erev", "recurrent_mask": "sparsity_mask", "sensory_mask": "sensory_sparsity_mask",
    "input_scale": "input_w", "input_shift": "input_b", "output_scale": "output_w", "output_shift": "output_b",
}  # fmt: skip
"""Names of this cell's tensors, and the names `ncps` gives them."""


class ConductanceLTC(nn.Module):
    """Liquid layer of neurons joined by conductance synapses.

    Parameters
    ----------
    inputs, units : width of the input and number of neurons H.
    sub_steps : K solver steps an input sample.
    wiring : which synapses exist, their polarity and the number of motor neurons; all of them by default.
    softplus : weights, leaks and capacitances pass a softplus and so stay positive (what `ncps.torch.LTC` does unless
        told otherwise).
    """

    recurrent_mask: Tensor
    sensory_mask: Tensor

    def __init__(
        self, inputs: int, units: int, sub_steps: int = 6, wiring: Wiring | None = None, *, softplus: bool = True
    ) -> None:
        super().__init__()
        if sub_steps < 1:
            raise InputError(f"sub_steps {sub_steps}; expected 1 or more.")
        if wiring is None:
            wiring = Wiring.dense(inputs, units, seed=int(torch.randint(2**31, ())))
        wiring.require(inputs, units)
        self.inputs, self.units, self.outputs = inputs, units, wiring.motors
        self.sub_steps, self.softplus = sub_steps, softplus
        self.leak = _uniform(0.001, 1.0, units)
        self.rest = _uniform(-0.2, 0.2, units)
        self.capacitance = _uniform(0.4, 0.6, units)
        self.weight = _uniform(0.001, 1.0, units, units)
        self.slope = _uniform(3.0, 8.0, units, units)
        self.midpoint = _uniform(0.3, 0.8, units, units)
        self.reversal = nn.Parameter(torch.from_numpy(wiring.recurrent).float())
        self.sensory_weight = _uniform(0.001, 1.0, inputs, units)
        self.sensory_slope = _uniform(3.0, 8.0, inputs, units)
        self.sensory_midpoint = _uniform(0.3, 0.8, inputs, units)
        self.sensory_reversal = nn.Parameter(torch.from_numpy(wiring.sensory).float())
        self.input_scale = nn.Parameter(torch.ones(inputs))
        self.input_shift = nn.Parameter(torch.zeros(inputs))
        self.output_scale = nn.Parameter(torch.ones(self.outputs))
        self.output_shift = nn.Parameter(torch.zeros(self.outputs))
        self.register_buffer("recurrent_mask", wiring.recurrent_mask())
        self.register_buffer("sensory_mask", wiring.sensory_mask())

    def forward(
        self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Integrate a sequence.

        Parameters
        ----------
        inputs : (B, T, I).
        elapsed_s : (B, T, 1) seconds since the sample before, 0 or more.
        observed : (B, T) bool; where False the sensory synapses are silent and the recurrence goes on.
        state : (B, H), or None for zeros.

        Returns
        -------
        outputs (B, T, H), of the motor neurons only where a wiring has some, and the state (B, H).
        """
        state = check_sequence(inputs, elapsed_s, observed, state, self.inputs, self.units)
        states = self._integrate(inputs, elapsed_s, observed, state)
        outputs = states[..., : self.outputs] * self.output_scale + self.output_shift
        return outputs, states[:, -1] if states.shape[1] else state

    def time_constants(
        self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None = None, state: Tensor | None = None
    ) -> Tensor:
        """System time constants c / (g + active conductances) where each step begins: (B, T, H) seconds.

        Arguments as in `forward`.
        """
        state = check_sequence(inputs, elapsed_s, observed, state, self.inputs, self.units)
        states = self._integrate(inputs, elapsed_s, observed, state)
        before = torch.cat([state.unsqueeze(1), states[:, :-1]], dim=1)  # (B, T, H)
        membrane = self._membrane()
        mapped, recurrent, sensory = self._map_inputs(inputs, observed), self._recurrent(), self._sensory()
        taus = []
        for t in range(inputs.shape[1]):
            active = sensory(mapped[:, t])[1]
            if observed is not None:
                active = active.masked_fill(~observed[:, t].unsqueeze(-1), 0.0)
            taus.append(membrane.capacitance / (membrane.leak + active + recurrent(before[:, t])[1]))
        return torch.stack(taus, dim=1)

    @classmethod
    def from_ncps(cls, weights: Mapping[str, Tensor], *, sub_steps: int = 6, softplus: bool = True) -> ConductanceLTC:
        """Build the cell that computes what an `ncps` LTC or LTCCell with this ``state_dict()`` computes at elapsed 1.

        ``sub_steps`` is its ``ode_unfolds``, ``softplus`` its ``implicit_param_constraints``.
        """
        found = {name.removeprefix("rnn_cell."): value.detach() for name, value in weights.items()}
        optional = {"input_w", "input_b", "output_w", "output_b"}
        missing = sorted(set(_NAMES.values()) - optional - set(found))
        if missing:
            raise InputError(
                f"ncps weights without {', '.join(missing)}; expected the state_dict() of an ncps LTC or LTCCell. "
                "Pass model.state_dict()."
            )
        sensory, recurrent = (found[name].sign().to(torch.int8).numpy() for name in ("sensory_erev", "erev"))
        motors = found["output_w"].numel() if "output_w" in found else recurrent.shape[0]
        inputs, units = sensory.shape
        cell = cls(inputs, units, sub_steps, Wiring(sensory, recurrent, motors), softplus=softplus)
        values = {name: found[theirs] for name, theirs in _NAMES.items() if theirs in found}
        cell.load_state_dict({**cell.state_dict(), **values})
        return cell

    def to_ncps(self, prefix: str = "") -> dict[str, Tensor]:
        """Tensors under the names of an `ncps` LTCCell (``prefix="rnn_cell."`` for an LTC), for its load_state_dict."""
        own = self.state_dict()
        return {prefix + theirs: own[name].clone() for name, theirs in _NAMES.items()}

    def _integrate(self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None, state: Tensor) -> Tensor:
        return conductance.integrate(
            self._map_inputs(inputs, observed),
            elapsed_s,
            observed,
            self._sensory(),
            self._recurrent(),
            self._membrane(),
            state,
            self.sub_steps,
        )

    def _map_inputs(self, inputs: Tensor, observed: Tensor | None) -> Tensor:
        if observed is not None:
            inputs = inputs.masked_fill(~observed.unsqueeze(-1), 0.0)
        return inputs * self.input_scale + self.input_shift

    def _positive(self, value: Tensor) -> Tensor:
        return F.softplus(value) if self.softplus else value

    def _membrane(self) -> Membrane:
        return Membrane(self._positive(self.leak), self.rest, self._positive(self.capacitance))

    def _recurrent(self) -> Synapses:
        return Synapses(self.slope, self.midpoint, self._positive(self.weight) * self.recurrent_mask, self.reversal)

    def _sensory(self) -> Synapses:
        weight = self._positive(self.sensory_weight) * self.sensory_mask
        return Synapses(self.sensory_slope, self.sensory_midpoint, weight, self.sensory_reversal)


def _uniform(low: float, high: float, *shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(*shape).uniform_(low, high))
