"""From networks to an ONNX graph of one step: flat named tensors in and out, state in and out, any batch size."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from insula.errors import InputError
from insula.models.cells.liquid import NeuralLTC
from insula.models.cells.wiring import check_sequence
from insula.models.kernels import neural, reference_only
from insula.types import Batch, InputSpec, ModelOutput

OPSET = 20
PARTS = ("signals", "observed", "elapsed_s", "features")
"""Parts of a Batch that have a tensor a modality, in the order of its fields."""


@dataclass(frozen=True)
class Port:
    """An input or output of the graph: shape without the batch, which comes first."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class StepGraph:
    """What was written: inputs that the networks read, carried state (input and output), outputs, and nodes."""

    inputs: tuple[Port, ...]
    state: tuple[tuple[Port, str], ...]
    outputs: tuple[Port, ...]
    nodes: int


def write_graph(
    networks: Sequence[nn.Module], spec: InputSpec, seconds: float, value: tuple[float, float], file: Path
) -> StepGraph:
    """Write networks as one ONNX graph that reads ``seconds`` of signals a call.

    Its outputs are ``probability`` (the mean over the networks of their softmax) or, for a continuous target,
    ``value`` (their mean, times ``value[1]`` plus ``value[0]``), and ``logits``, ``embedding`` and ``attention_NAME``
    of the first network. Inputs that no network reads are left out of the graph.

    Raises
    ------
    InputError : a network that torch cannot export, or whose state is not made of tensors with the batch first.
    """
    step = _Step(networks, spec, value)
    example = named(blank_batch(spec, 2, seconds))
    try:
        with torch.no_grad(), _quiet(), reference_only():
            step.learn(example)
            example |= {name: torch.zeros_like(v) for name, v in step.start.items()}
            batch = torch.export.Dim("batch")
            outputs = step(list(example.values()))
            names = [*step.answers, *(f"next_{name}" for name in step.start)]
            program = torch.onnx.export(
                step,
                (list(example.values()),),
                dynamo=True,
                optimize=False,
                opset_version=OPSET,
                input_names=list(example),
                output_names=names,
                dynamic_shapes=([{0: batch} for _ in example],),
                custom_translation_table={torch.ops.insula.integrate.default: _unrolled},
                verbose=False,
            )
    except (RuntimeError, torch.onnx.OnnxExporterError) as error:
        cause = error.__cause__ or error
        reason = str(cause).strip().splitlines() or [type(cause).__name__]
        raise InputError(
            f"a {type(networks[0]).__name__} that torch cannot export ({reason[0]}); expected a network of fixed "
            "control flow. Export the flagship, or change the network."
        ) from error
    assert program is not None
    used, nodes = _save(program, file)
    ports = {name: _port(name, v) for name, v in example.items()}
    return StepGraph(
        tuple(port for name, port in ports.items() if name in used and name not in step.start),
        tuple((ports[name], f"next_{name}") for name in step.start),
        tuple(_port(name, v) for name, v in zip(step.answers, outputs, strict=False)),
        nodes,
    )


def blank_batch(spec: InputSpec, size: int, seconds: float) -> Batch:
    """A Batch of zeros in which everything is observed and known."""
    samples = {m: round(seconds * rate_hz) for m, (_, rate_hz) in spec.signals.items()}
    return Batch(
        {m: torch.zeros(size, channels, samples[m]) for m, (channels, _) in spec.signals.items()},
        {m: torch.ones(size, n, dtype=torch.bool) for m, n in samples.items()},
        {m: torch.full((size, n, 1), 1 / spec.signals[m][1]) for m, n in samples.items()},
        {m: torch.zeros(size, count) for m, count in spec.features.items()},
        torch.zeros(size, spec.traits),
        torch.ones(size, len(spec.signals), dtype=torch.bool),
    )


def named(batch: Batch) -> dict[str, Tensor]:
    """Lay the tensors of a Batch out flat, under the names that the graph uses."""
    flat = {f"{part}_{m}": v for part in PARTS for m, v in getattr(batch, part).items()}
    return {**flat, "traits": batch.traits, "present": batch.present}


def answers(outputs: Sequence[ModelOutput], continuous: bool, value: tuple[float, float]) -> dict[str, Tensor]:
    """What the graph says of the outputs of all networks, by name."""
    first = outputs[0]
    logits = torch.stack([o.logits for o in outputs])  # (networks, B, K)
    if continuous:
        said = {"value": logits.mean(0)[:, 0] * value[1] + value[0]}
    else:
        said = {"probability": torch.softmax(logits, -1).mean(0)}
    attention = {f"attention_{name}": v for name, v in first.attention.items()}
    return {**said, "logits": first.logits, "embedding": first.embedding, **attention}


class _Step(nn.Module):
    """All networks side by side, their Batch and state as one flat list of tensors."""

    def __init__(self, networks: Sequence[nn.Module], spec: InputSpec, value: tuple[float, float]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(_one_node(n) for n in networks)
        self.spec, self.value = spec, value
        self.names: list[str] = []
        self.answers: list[str] = []
        self.start: dict[str, Tensor] = {}
        self.templates: list[Any] = [None] * len(networks)

    def learn(self, example: Mapping[str, Tensor]) -> None:
        """Find out the answers and the state by running once without state."""
        self.names = list(example)
        outputs = [network(self._batch(example), None) for network in self.networks]
        self.answers = list(answers(outputs, self.spec.continuous, self.value))
        self.templates = [o.state for o in outputs]
        self.start = self._states(self.templates)
        size = example["traits"].shape[0]
        for name, tensor in self.start.items():
            if tensor.shape[:1] != (size,):
                raise InputError(
                    f"{name} of shape {tuple(tensor.shape)} for a batch of {size}; expected the batch first. "
                    "Export the flagship, or change the network's state."
                )
        self.names += list(self.start)

    def forward(self, values: list[Tensor]) -> tuple[Tensor, ...]:
        given = dict(zip(self.names, values, strict=True))
        batch = self._batch(given)
        outputs: list[ModelOutput] = []
        for i, network in enumerate(self.networks):
            outputs.append(network(batch, _rebuilt(self.templates[i], self._prefix(i), given)))
        said = answers(outputs, self.spec.continuous, self.value)
        after = self._states([o.state for o in outputs])
        return (*(said[name] for name in self.answers), *(after[name] for name in self.start))

    def _batch(self, given: Mapping[str, Tensor]) -> Batch:
        parts = {part: {m: given[f"{part}_{m}"] for m in self.spec.signals} for part in PARTS[:3]}
        features = {m: given[f"features_{m}"] for m in self.spec.features}
        return Batch(**parts, features=features, traits=given["traits"], present=given["present"])

    def _states(self, states: Sequence[Any]) -> dict[str, Tensor]:
        return {name: v for i, state in enumerate(states) for name, v in _leaves(state, self._prefix(i))}

    def _prefix(self, network: int) -> str:
        return f"state_{network}" if len(self.networks) > 1 else "state"


def _leaves(state: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Tensors of a nested state with their names."""
    if isinstance(state, Tensor):
        yield name, state
    elif isinstance(state, Mapping):
        for key, value in state.items():
            yield from _leaves(value, f"{name}_{key}")
    elif isinstance(state, list | tuple):
        for i, value in enumerate(state):
            yield from _leaves(value, f"{name}_{i}")
    elif state is not None:
        raise InputError(
            f"{name} of kind {type(state).__name__}; expected tensors, also in dicts and tuples. "
            "Export the flagship, or change the network's state."
        )


def _rebuilt(template: Any, name: str, given: Mapping[str, Tensor]) -> Any:
    """Nest named tensors as in a template."""
    if isinstance(template, Tensor):
        return given[name]
    if isinstance(template, Mapping):
        return {key: _rebuilt(value, f"{name}_{key}", given) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return tuple(_rebuilt(value, f"{name}_{i}", given) for i, value in enumerate(template))
    return None


# -- the liquid recurrence as one node of torch's graph, many of the ONNX graph ---------------------------------


class _OneNode(NeuralLTC):
    """A liquid layer that torch's exporter sees as one operator: it traces each operator several times, slowly."""

    def forward(
        self, inputs: Tensor, elapsed_s: Tensor, observed: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        state = check_sequence(inputs, elapsed_s, observed, state, self.inputs, self.units)
        heard = inputs if observed is None else inputs.masked_fill(~observed.unsqueeze(-1), 0.0)
        outputs = torch.ops.insula.integrate(
            heard,
            elapsed_s,
            self._masked(self.input_weight, self.input_mask),
            self.bias,
            self._masked(self.recurrent_weight, self.recurrent_mask),
            torch.exp(-self.log_tau),
            self.gain_hz,
            self.reversal,
            state,
            self.sub_steps,
            self.solver == "exponential",
        )
        return outputs, outputs[:, -1]


def _one_node(network: nn.Module) -> nn.Module:
    copied = copy.deepcopy(network).cpu().eval()
    for layer in copied.modules():
        if type(layer) is NeuralLTC:
            layer.__class__ = _OneNode
    return copied


@torch.library.custom_op("insula::integrate", mutates_args=())
def _integrate(
    inputs: Tensor,
    elapsed_s: Tensor,
    input_weight: Tensor,
    bias: Tensor,
    recurrent: Tensor,
    rate_hz: Tensor,
    gain_hz: Tensor,
    reversal: Tensor,
    state: Tensor,
    sub_steps: int,
    exponential: bool,
) -> Tensor:
    solver: neural.Solver = "exponential" if exponential else "fused"
    return neural.reference(
        inputs, elapsed_s, input_weight, bias, recurrent, rate_hz, gain_hz, reversal, state, sub_steps, solver
    )


@_integrate.register_fake
def _integrate_shape(
    inputs: Tensor,
    elapsed_s: Tensor,
    input_weight: Tensor,
    bias: Tensor,
    recurrent: Tensor,
    rate_hz: Tensor,
    gain_hz: Tensor,
    reversal: Tensor,
    state: Tensor,
    sub_steps: int,
    exponential: bool,
) -> Tensor:
    del elapsed_s, input_weight, bias, rate_hz, gain_hz, reversal, state, sub_steps, exponential
    return inputs.new_empty(inputs.shape[0], inputs.shape[1], recurrent.shape[0])


def _unrolled(
    inputs: Any,
    elapsed_s: Any,
    input_weight: Any,
    bias: Any,
    recurrent: Any,
    rate_hz: Any,
    gain_hz: Any,
    reversal: Any,
    state: Any,
    sub_steps: int,
    exponential: bool,
) -> Any:
    """Write the loop of the neural cell's plain reference out in ONNX operators; state is (B, 1, H) within it."""
    from onnxscript import opset20 as op

    one = op.Constant(value_float=1.0)
    drive = op.Add(op.MatMul(inputs, input_weight), bias)  # (B, T, H)
    share_s = op.Div(elapsed_s, op.Constant(value_float=float(sub_steps)))  # (B, T, 1)
    state = op.Unsqueeze(state, op.Constant(value_ints=[1]))
    states = []
    for t in range(inputs.shape[1]):
        at = op.Constant(value_ints=[t])
        drive_t, dt_s = op.Gather(drive, at, axis=1), op.Gather(share_s, at, axis=1)
        for _ in range(sub_steps):
            f = op.Mul(gain_hz, op.Sigmoid(op.Add(drive_t, op.MatMul(state, recurrent))))
            total_hz = op.Add(rate_hz, f)
            if exponential:
                rest = op.Div(op.Mul(f, reversal), total_hz)
                kept = op.Exp(op.Neg(op.Mul(dt_s, total_hz)))
                state = op.Add(rest, op.Mul(op.Sub(state, rest), kept))
            else:
                pulled = op.Add(state, op.Mul(op.Mul(dt_s, f), reversal))
                state = op.Div(pulled, op.Add(one, op.Mul(dt_s, total_hz)))
        states.append(state)
    return op.Concat(*states, axis=1)


# -- the file ---------------------------------------------------------------------------------------------------


def _save(program: Any, file: Path) -> tuple[set[str], int]:
    """Save with constants folded by onnxruntime and without torch's notes; return what is read, and the nodes."""
    import onnx
    import onnxruntime

    raw = file.with_suffix(".raw")
    _apart(program.model.graph)
    program.save(str(raw), external_data=False)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(file)
    onnxruntime.InferenceSession(str(raw), options, providers=["CPUExecutionProvider"])
    raw.unlink()
    model = onnx.load(str(file))
    graph = model.graph
    used = {name for node in graph.node for name in node.input} | {o.name for o in graph.output}
    for port in [i for i in graph.input if i.name not in used and not i.name.startswith("state")]:
        graph.input.remove(port)
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    domains = set()
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
        domains.add(node.domain)
    for opset in [o for o in model.opset_import if o.domain not in domains]:
        model.opset_import.remove(opset)
    model.doc_string = graph.doc_string = ""
    onnx.checker.check_model(model)
    onnx.save(model, str(file))
    return used, len(graph.node)


def _apart(graph: Any) -> None:
    """Give what is computed on the way other names than the outputs: torch calls an nn.Embedding's rows embedding."""
    outputs = {value.name: value for value in graph.outputs}
    for node in graph:
        for value in node.outputs:
            if outputs.get(value.name, value) is not value:
                value.name = f"inner_{value.name}"


def _port(name: str, tensor: Tensor) -> Port:
    kinds = {torch.float32: "float32", torch.bool: "bool", torch.int64: "int64"}
    return Port(name, tuple(tensor.shape[1:]), kinds[tensor.dtype])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's own chatter away; what concerns the model is raised."""
    chatter = logging.getLogger("torch.onnx")
    before = chatter.level
    chatter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        chatter.setLevel(before)
