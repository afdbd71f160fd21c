"""Arithmetic of modules that torch or our kernels run in one opaque piece: recurrent and liquid cells."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from insula.errors import InputError
from insula.explain.cost.operations import Work

Counter = Callable[[Any, tuple[Any, ...], Any], Work]

MODULE_COUNTERS: dict[str, Counter] = {}
"""``module.Class`` -> counter of one call, given the module, the positional inputs of its forward and its output."""


def register(name: str) -> Callable[[Counter], Counter]:
    """Register the counter of a class by its full name; a name can be taken once."""

    def keep(counter: Counter) -> Counter:
        if name in MODULE_COUNTERS:
            raise InputError(f"counter for {name} twice; expected one. Remove the second.")
        MODULE_COUNTERS[name] = counter
        return counter

    return keep


def find(module: nn.Module) -> Counter | None:
    """Return the counter of the module's class, or of a parent whose ``forward`` it has kept.

    A complex convolution is one too: torch would run it as three real ones, which is not our convention.
    """
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) and module.weight.is_complex():
        return _complex_convolution
    for kind in type(module).__mro__:
        counter = MODULE_COUNTERS.get(f"{kind.__module__}.{kind.__qualname__}")
        if counter is not None and type(module).forward is kind.forward:  # type: ignore[attr-defined]
            return counter
    return None


def _complex_convolution(module: Any, inputs: tuple[Any, ...], output: Tensor) -> Work:
    """Four multiply-accumulates a weight that an output position meets."""
    del inputs
    return Work(4 * output.numel() * math.prod(module.weight.shape[1:]))


def _rows(values: Tensor) -> int:
    """Number of steps of all sequences: every axis but the last."""
    return values.numel() // values.shape[-1]


def gru_step(inputs: int, units: int) -> Work:
    """One GRU step: three gates over [x, h]; r * (U h), then h + z (n - h).

    The biases of the input and the recurrent side start the accumulators.
    """
    return Work(3 * units * (inputs + units) + 2 * units, units, 3 * units)


def lstm_step(inputs: int, units: int) -> Work:
    """One LSTM step: four gates over [x, h]; c = f c + i g; h = o tanh(c)."""
    return Work(4 * units * (inputs + units) + 3 * units, 0, 5 * units)


def _recurrent(module: Any, inputs: tuple[Any, ...], output: Any) -> Work:
    del output
    step = {"GRU": gru_step, "LSTM": lstm_step}[str(module.mode)]
    values = inputs[0]
    if not isinstance(values, Tensor):
        values = values.data  # a packed sequence holds its valid steps only
    directions = 2 if module.bidirectional else 1
    units, projection = int(module.hidden_size), int(getattr(module, "proj_size", 0))
    if projection:
        raise InputError("LSTM with proj_size; expected none. Give the module an operations method.")
    total = Work()
    width = int(module.input_size)
    for _ in range(int(module.num_layers)):
        total = total + step(width, units) * (_rows(values) * directions)
        width = units * directions
    return total


@register("torch.nn.modules.rnn.GRU")
def _gru(module: Any, inputs: tuple[Any, ...], output: Any) -> Work:
    return _recurrent(module, inputs, output)


@register("insula.models.cells.cores.GatedRecurrent")
def _gated_recurrent(module: Any, inputs: tuple[Any, ...], output: Any) -> Work:
    return _recurrent(module.gru, inputs, output)


@register("torch.nn.modules.rnn.LSTM")
def _lstm(module: Any, inputs: tuple[Any, ...], output: Any) -> Work:
    return _recurrent(module, inputs, output)


@register("torch.nn.modules.rnn.GRUCell")
def _gru_cell(module: Any, inputs: tuple[Any, ...], output: Any) -> Work:
    del output
    return gru_step(int(module.input_size), int(module.hidden_size)) * _rows(inputs[0])


@register("torch.nn.modules.rnn.LSTMCell")
def _lstm_cell(module: Any, inputs: tuple[Any, ...], output: Any) -> Work:
    del output
    return lstm_step(int(module.input_size), int(module.hidden_size)) * _rows(inputs[0])


def _synapses(mask: Any, dense: int) -> int:
    """Synapses that exist: those the wiring's mask keeps, or all."""
    return int((mask != 0).sum()) if isinstance(mask, Tensor) else dense


@register("insula.models.cells.liquid.NeuralLTC")
def _neural_ltc(module: Any, inputs: tuple[Any, ...], output: Any) -> Work:
    """Input W u once a sample; then K sub-steps of U x, f = k sigmoid(.), and the solver's own arithmetic.

    Fused, a neuron: k s, f A, dt (f A) + x, dt (.) + 1 are 4 MACs; 1/tau + f one addition; sigmoid and division.
    Exponential, a neuron: k s, f A, dt (.), (x - x*) e + x* are 4 MACs; 1/tau + f and x - x* two additions;
    sigmoid, division and exponential. The division dt = elapsed / K is one a sample.
    """
    del output
    samples, width = _rows(inputs[0]), int(module.units)
    sensory = _synapses(module.input_mask, int(module.inputs) * width)
    recurrent = _synapses(module.recurrent_mask, width * width)
    solver = Work(4 * width, width, 2 * width) if module.solver == "fused" else Work(4 * width, 2 * width, 3 * width)
    sub_steps = (Work(recurrent) + solver) * int(module.sub_steps)
    return (Work(sensory, 0, 1) + sub_steps) * samples


@register("insula.models.cells.conductance.ConductanceLTC")
def _conductance_ltc(module: Any, inputs: tuple[Any, ...], output: Any) -> Work:
    """Sensory synapses once a sample, recurrent ones and the membrane at each of K sub-steps.

    A synapse: v - mu and the sum of open conductances are additions; the slope, the conductance and w sigma E are
    MACs; one sigmoid. A neuron: its current and its conductance are two additions each (leak terms are constants);
    c v + dt (.) two MACs, c + dt (.) one; one division. Inputs and motor outputs are scaled and shifted.
    """
    del output
    samples, width = _rows(inputs[0]), int(module.units)
    synapse = Work(3, 2, 1)
    sensory = synapse * _synapses(module.sensory_mask, int(module.inputs) * width)
    recurrent = synapse * _synapses(module.recurrent_mask, width * width)
    sub_steps = (recurrent + Work(3, 4, 1) * width) * int(module.sub_steps)
    mapping = Work(int(module.inputs) + int(module.outputs), 0, 1)  # and dt = elapsed / K
    return (mapping + sensory + sub_steps) * samples


@register("insula.models.cells.cfc.CfC")
def _closed_form(module: Any, inputs: tuple[Any, ...], output: Any) -> Work:
    """[u, h] through the backbone to the heads (or straight to them), then the closed form, once a sample.

    Backbone, a unit: two scalings and a tanh. Default, a neuron: ta dt + tb, tanh(f1) (1 - s), s tanh(f2) + (.) are
    three MACs, 1 - s one addition; a sigmoid and two tanh. No gate: ta dt + tb, s tanh(f2) + tanh(f1); the same
    functions. Pure: dt (.), A exp(.), A - (.) f1; abs(w_tau) + abs(f1); an exponential. One addition a sample for the
    time since the last observed one.
    """
    del output
    width, backbone = int(module.units), int(module.backbone_units)
    heads = width * (1 if module.mode == "pure" else 4)
    first = backbone or heads
    sensory = _synapses(module.input_mask, int(module.inputs) * first)
    recurrent = _synapses(module.recurrent_mask, width * first)
    through = Work(backbone * (2 + heads), 0, backbone)
    closing = {"default": Work(3, 1, 3), "no_gate": Work(2, 0, 3), "pure": Work(3, 1, 1)}[str(module.mode)]
    return (Work(sensory + recurrent, 1) + through + closing * width) * _rows(inputs[0])
