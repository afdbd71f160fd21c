"""The closed-form continuous-time cell.

Hasani et al., Nature Machine Intelligence 2022, arXiv 2106.13898. Published: the three forms and the backbone. Chosen
here: a missing sample holds the state, and its time counts with the next observed sample.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from insula.errors import InputError
from insula.models.cells.wiring import Wiring, check_sequence
from insula.models.kernels import closed_form
from insula.models.kernels.closed_form import Mode, activate

MODES: tuple[Mode, ...] = ("default", "no_gate", "pure")


class CfC(nn.Module):
    """Closed-form layer: z = backbone([u, h]); h' = tanh(f1) (1 - s) + s tanh(f2), s = sigmoid(ta dt + tb).

    Its state is (B, H + 1): h, and in the last column the seconds since the last observed sample.

    Parameters
    ----------
    inputs, units : width of the input and number of neurons H.
    mode : ``"default"``; ``"no_gate"``, h' = tanh(f1) + s tanh(f2); or ``"pure"``,
        h' = A - A exp(-dt (abs(w_tau) + abs(f1))) f1.
    backbone_units : width N of the backbone, one layer with LeCun's tanh; 0: none, z = [u, h].
    wiring : which synapses exist, only without a backbone, which would join what the wiring keeps apart. Polarities
        are not used. Without a backbone the layer runs on the PyTorch reference.
    """

    input_mask: Tensor | None
    recurrent_mask: Tensor | None

    def __init__(
        self, inputs: int, units: int, mode: Mode = "default", backbone_units: int = 128, wiring: Wiring | None = None
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise InputError(f"mode {mode!r}; expected one of {', '.join(MODES)}.")
        if backbone_units < 0:
            raise InputError(f"backbone_units {backbone_units}; expected 0 or more.")
        if wiring is not None and backbone_units:
            raise InputError(
                f"a wiring with backbone_units {backbone_units}; expected 0, as a backbone joins all neurons. "
                "Use backbone_units=0 or leave the wiring out."
            )
        if wiring is not None:
            wiring.require(inputs, units)
        self.inputs, self.units, self.mode, self.backbone_units = inputs, units, mode, backbone_units
        heads = 1 if mode == "pure" else 4
        first = backbone_units or heads * units  # what [u, h] is multiplied to
        self.input_weight = nn.Parameter(torch.empty(inputs, first))
        self.recurrent_weight = nn.Parameter(torch.empty(units, first))
        self.bias = nn.Parameter(torch.zeros(first))
        if backbone_units:
            self.head_weight = nn.Parameter(torch.empty(backbone_units, heads * units))
            self.head_bias = nn.Parameter(torch.zeros(heads * units))
        self.w_tau = nn.Parameter(torch.zeros(units), requires_grad=mode == "pure")
        self.reversal = nn.Parameter(torch.ones(units), requires_grad=mode == "pure")
        for name, weight in self.named_parameters():
            if name.endswith("weight"):  # Glorot over the joined [u, h], and a head at a time
                fan_in = inputs + units if name != "head_weight" else backbone_units
                fan_out = backbone_units if backbone_units and name != "head_weight" else units
                nn.init.uniform_(weight, -((6 / (fan_in + fan_out)) ** 0.5), (6 / (fan_in + fan_out)) ** 0.5)
        self.register_buffer("input_mask", None if wiring is None else wiring.sensory_mask().repeat(1, heads))
        self.register_buffer("recurrent_mask", None if wiring is None else wiring.recurrent_mask().repeat(1, heads))

    def forward(
        self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run a sequence.

        Parameters
        ----------
        inputs : (B, T, I).
        elapsed_s : (B, T, 1) seconds since the sample before, 0 or more.
        observed : (B, T) bool; where False the state is held and the time counts with the next observed sample.
        state : (B, H + 1), or None for zeros.

        Returns
        -------
        outputs (B, T, H), and the state (B, H + 1).
        """
        state = check_sequence(inputs, elapsed_s, observed, state, self.inputs, self.units + 1)
        gaps_s, waiting_s = _gaps(elapsed_s, observed, state[:, self.units :])
        outputs = self._integrate(inputs, gaps_s, observed, state[:, : self.units])
        last = outputs[:, -1] if outputs.shape[1] else state[:, : self.units]
        return outputs, torch.cat([last, waiting_s], dim=1)

    def time_constants(
        self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None = None, state: Tensor | None = None
    ) -> Tensor:
        """Time constants where each step begins: (B, T, H) seconds.

        The pure form decays at abs(w_tau) + abs(f1). The others have no decay of their own: given is 1 / abs(ta), the
        time in which their logistic passage from f1 to f2 takes one unit (our choice). Arguments as in `forward`.
        """
        state = check_sequence(inputs, elapsed_s, observed, state, self.inputs, self.units + 1)
        gaps_s, _ = _gaps(elapsed_s, observed, state[:, self.units :])
        outputs = self._integrate(inputs, gaps_s, observed, state[:, : self.units])
        before = torch.cat([state[:, None, : self.units], outputs[:, :-1]], dim=1)  # (B, T, H)
        weight = self._masked(self.input_weight, self.input_mask)
        heads = F.linear(self._heard(inputs, observed), weight.T, self.bias)
        heads = heads + before @ self._masked(self.recurrent_weight, self.recurrent_mask)
        if self.backbone_units:
            heads = activate(heads) @ self.head_weight + self.head_bias
        if self.mode == "pure":
            return 1 / (self.w_tau.abs() + heads.abs())
        return 1 / heads[..., 2 * self.units : 3 * self.units].abs()

    def _integrate(self, inputs: Tensor, gaps_s: Tensor, observed: Tensor | None, state: Tensor) -> Tensor:
        return closed_form.integrate(
            self._heard(inputs, observed),
            gaps_s,
            observed,
            self._masked(self.input_weight, self.input_mask),
            self.bias,
            self._masked(self.recurrent_weight, self.recurrent_mask),
            self.head_weight if self.backbone_units else None,
            self.head_bias if self.backbone_units else None,
            self.w_tau.abs(),
            self.reversal,
            state,
            self.mode,
        )

    def _heard(self, inputs: Tensor, observed: Tensor | None) -> Tensor:
        """Inputs with zeros where nothing was observed, so that what is missing may be NaN."""
        return inputs if observed is None else inputs.masked_fill(~observed.unsqueeze(-1), 0.0)

    def _masked(self, weight: Tensor, mask: Tensor | None) -> Tensor:
        return weight if mask is None else weight * mask


def _gaps(elapsed_s: Tensor, observed: Tensor | None, waiting_s: Tensor) -> tuple[Tensor, Tensor]:
    """Seconds since the last observed sample, (B, T, 1) at each step and (B, 1) after the last one."""
    if elapsed_s.shape[1] == 0:
        return elapsed_s, waiting_s
    if observed is None:
        first = elapsed_s[:, :1] + waiting_s.unsqueeze(1)
        return torch.cat([first, elapsed_s[:, 1:]], dim=1), torch.zeros_like(waiting_s)
    # Double precision: a short gap is the difference of two long times.
    clock = elapsed_s.squeeze(-1).double().cumsum(1) + waiting_s.double()  # (B, T)
    seen_at = torch.where(observed, clock, 0.0).cummax(1).values
    before = torch.cat([torch.zeros_like(seen_at[:, :1]), seen_at[:, :-1]], dim=1)
    gaps = (clock - before).to(elapsed_s.dtype).unsqueeze(-1)
    return gaps, (clock - seen_at)[:, -1:].to(waiting_s.dtype)
