"""Which synapses a liquid layer has, and the shapes its cells agree on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from insula.errors import InputError

Polarity = NDArray[np.int8]


@dataclass(frozen=True)
class Wiring:
    """Synapses of a liquid layer: -1 inhibits, 1 excites, 0 is absent.

    ``sensory`` (I, H) from inputs to neurons, ``recurrent`` (H, H) from (row) neuron to (column) neuron. Neurons are
    ordered motor, command, inter; the first ``motors`` of them are read out.
    """

    sensory: Polarity
    recurrent: Polarity
    motors: int

    def __post_init__(self) -> None:
        units = self.recurrent.shape[0]
        if self.recurrent.shape != (units, units) or self.sensory.ndim != 2 or self.sensory.shape[1] != units:
            raise InputError(
                f"wiring of shapes {self.sensory.shape} and {self.recurrent.shape}; expected (I, H) and (H, H). "
                "Give every neuron a column in both."
            )
        if not 1 <= self.motors <= units:
            raise InputError(f"motors {self.motors}; expected between 1 and the {units} neurons.")

    @property
    def inputs(self) -> int:
        return int(self.sensory.shape[0])

    @property
    def units(self) -> int:
        return int(self.sensory.shape[1])

    @classmethod
    def dense(cls, inputs: int, units: int, seed: int = 0) -> Wiring:
        """Every synapse, with random polarity: a third of the recurrent ones inhibits, half of the sensory ones."""
        random = np.random.default_rng(seed)
        return cls(_signs(random, (inputs, units), 0.5), _signs(random, (units, units), 1 / 3), units)

    @classmethod
    def policy(
        cls,
        inputs: int,
        inter: int,
        command: int,
        motor: int,
        *,
        sensory_fanout: int,
        inter_fanout: int,
        recurrent_command: int,
        motor_fanin: int,
        seed: int = 0,
    ) -> Wiring:
        """Four layers, sensory -> inter -> command -> motor, with recurrence among command neurons.

        After Lechner et al., Nature Machine Intelligence 2020 (neural circuit policies): each neuron of a layer
        reaches ``fanout`` random neurons of the next, each motor neuron hears ``motor_fanin`` command neurons, and
        ``recurrent_command`` random synapses connect command neurons. A target nobody chose gets synapses too.
        """
        for name, got, most in (
            ("sensory_fanout", sensory_fanout, inter),
            ("inter_fanout", inter_fanout, command),
            ("motor_fanin", motor_fanin, command),
        ):
            if not 1 <= got <= most:
                raise InputError(f"{name} {got}; expected between 1 and the {most} neurons it may reach.")
        random = np.random.default_rng(seed)
        units = motor + command + inter
        sensory = np.zeros((inputs, units), np.int8)
        recurrent = np.zeros((units, units), np.int8)
        commands = slice(motor, motor + command)
        sensory[:, motor + command :] = _fan_out(random, inputs, inter, sensory_fanout)
        recurrent[motor + command :, commands] = _fan_out(random, inter, command, inter_fanout)
        recurrent[commands, :motor] = _fan_out(random, motor, command, motor_fanin).T
        source, target = random.integers(0, command, (2, recurrent_command))
        recurrent[commands, commands][source, target] = _signs(random, (recurrent_command,), 0.5)
        return cls(sensory, recurrent, motor)

    def require(self, inputs: int, units: int) -> None:
        """Raise InputError unless the wiring fits a layer of these sizes."""
        if (self.inputs, self.units) != (inputs, units):
            raise InputError(
                f"wiring of {self.inputs} inputs and {self.units} neurons; expected {inputs} and {units}. "
                "Build the wiring with the sizes of the layer."
            )

    def sensory_mask(self) -> Tensor:
        """(I, H) float 0 or 1."""
        return torch.from_numpy(np.abs(self.sensory).astype(np.float32))

    def recurrent_mask(self) -> Tensor:
        """(H, H) float 0 or 1."""
        return torch.from_numpy(np.abs(self.recurrent).astype(np.float32))


def check_sequence(
    inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None, state: Tensor | None, width: int, units: int
) -> Tensor:
    """Raise InputError unless the shapes are those of a liquid cell; return the state, zeros where it is None."""
    if inputs.ndim != 3 or inputs.shape[2] != width:
        raise InputError(f"inputs of shape {tuple(inputs.shape)}; expected (B, T, {width}).")
    batch, steps = inputs.shape[:2]
    if elapsed_s.shape != (batch, steps, 1):
        raise InputError(
            f"elapsed_s of shape {tuple(elapsed_s.shape)}; expected ({batch}, {steps}, 1), seconds since the sample "
            "before. Add the last axis with elapsed_s[..., None]."
        )
    if observed is not None and observed.shape != (batch, steps):
        raise InputError(f"observed of shape {tuple(observed.shape)}; expected ({batch}, {steps}).")
    if state is None:
        return inputs.new_zeros(batch, units)
    if state.shape != (batch, units):
        raise InputError(f"state of shape {tuple(state.shape)}; expected ({batch}, {units}).")
    return state


def _signs(random: np.random.Generator, shape: tuple[int, ...], inhibiting: float) -> Polarity:
    return np.where(random.random(shape) < inhibiting, -1, 1).astype(np.int8)


def _fan_out(random: np.random.Generator, sources: int, targets: int, fanout: int) -> Polarity:
    """(sources, targets): each source reaches ``fanout`` targets, and targets left out get one source each."""
    out = np.zeros((sources, targets), np.int8)
    for source in range(sources):
        chosen = random.choice(targets, fanout, replace=False)
        out[source, chosen] = _signs(random, (fanout,), 0.5)
    for target in np.flatnonzero(~out.any(axis=0)):
        out[random.integers(sources), target] = _signs(random, (1,), 0.5)[0]
    return out
