"""Count the arithmetic of one forward pass, layer by layer, without missing any."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from insula.errors import InputError
from insula.explain.cost import aten, modules
from insula.explain.cost.operations import OperationCount, Work, work_of
from insula.types import Batch


@dataclass
class _Frame:
    """A module that is running: its name, whether its work is declared, whether spikes drive it, and what was seen."""

    name: str
    declared: bool
    spiking: bool
    seen: int = 0


class _Tracer(TorchDispatchMode):
    """See every tensor operation and count it for the innermost running module."""

    def __init__(self, constants: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.frames = [_Frame("(model)", False, False)]
        self.work: dict[str, Work] = defaultdict(Work)
        self.working_bytes = 0
        self.constants = {id(tensor): tensor for tensor in constants}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        named = kwargs or {}
        result = func(*args, **named)
        frame = self.frames[-1]
        name = aten.base_name(func)
        frame.seen += name not in aten.PASSING
        if frame.declared:
            return result
        given = [leaf for leaf in tree_leaves((args, named)) if isinstance(leaf, Tensor)]
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if name in aten.CONSTANT or (given and all(id(tensor) in self.constants for tensor in given)):
            self.constants |= {id(tensor): tensor for tensor in made}
            return result
        self.work[frame.name] += self._count(name, args, named, result, frame)
        held = {id(t): t for t in (*given, *made) if id(t) not in self.constants}
        self.working_bytes = max(self.working_bytes, sum(t.nbytes for t in held.values()))
        return result

    def _count(self, name: str, args: Any, kwargs: Mapping[str, Any], result: Any, frame: _Frame) -> Work:
        factors = aten.matrices(name, args)
        if frame.spiking and factors is not None and any(aten.is_spikes(f) for f in factors):
            return Work(0, aten.nonzero_pairs(*factors))
        if frame.spiking and name == "convolution" and aten.is_spikes(args[0]):
            return Work(0, aten.spike_convolution(args))
        return aten.arithmetic(name, args, kwargs, result, frame.name)

    def enter(self, name: str, module: nn.Module, spiking: bool) -> None:
        """Begin a module; inside one whose work is declared nothing more is counted."""
        self.frames.append(_Frame(name, self.frames[-1].declared or _declares(module), spiking))

    def leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
        """End a module: add what it declares, and refuse one that did hidden work."""
        frame = self.frames.pop()
        outer = self.frames[-1]
        outer.seen += frame.seen
        if outer.declared:
            return
        if frame.declared:
            self.work[frame.name] += _declared(module, frame.name, args, kwargs, output)
        elif frame.seen == 0 and any(True for _ in module.parameters()):
            raise InputError(
                f"layer {frame.name} of type {type(module).__name__} computes outside torch; expected a type the "
                "energy counter knows. Give it a method operations(*inputs) that returns "
                "(multiply-accumulates, additions, others)."
            )


def _declares(module: nn.Module) -> bool:
    return callable(getattr(module, "operations", None)) or modules.find(module) is not None


def _declared(module: nn.Module, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> Work:
    own = getattr(module, "operations", None)
    if callable(own):
        return work_of(own(*args, **kwargs), f"{name} ({type(module).__name__})")
    counter = modules.find(module)
    if counter is None:
        raise InputError(f"layer {name} of type {type(module).__name__} without a counter; expected one.")
    return counter(module, args, output)


def _set_training(modes: list[tuple[nn.Module, bool]]) -> None:
    for module, training in modes:
        module.training = training


@contextmanager
def _watched(model: nn.Module, tracer: _Tracer) -> Iterator[None]:
    """Tell the tracer which module runs; evaluation mode, and no fused fast path that would hide its parts."""
    with ExitStack() as stack:
        spiking: dict[str, bool] = {}  # a part is driven by spikes as it says, or as what holds it says
        for name, module in model.named_modules():
            held_by = spiking.get(name.rpartition(".")[0], False)
            spiking[name] = bool(getattr(module, "spike_driven", held_by))
            if not name:
                tracer.frames[0].spiking = spiking[name]
                continue

            def enter(module: nn.Module, args: Any, name: str = name) -> None:
                del args
                tracer.enter(name, module, spiking[name])

            def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
                tracer.leave(module, args, kwargs, output)

            stack.callback(module.register_forward_pre_hook(enter).remove)
            stack.callback(module.register_forward_hook(leave, with_kwargs=True).remove)
        stack.callback(_set_training, [(module, module.training) for module in model.modules()])
        fast = torch.backends.mha.get_fastpath_enabled()
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        model.eval()
        torch.backends.mha.set_fastpath_enabled(False)
        yield


def count(model: nn.Module, batch: Batch, state: Any = None) -> OperationCount:
    """Count the arithmetic of one forward pass in evaluation mode.

    Every tensor operation that torch runs is counted by its rule (``aten.py``); modules that compute in one
    opaque piece have their own counter (``modules.py``) or a method ``operations(*inputs)`` that returns
    (multiply-accumulates, additions, others). Work on weights alone is done once and not counted. Inside a module
    with ``spike_driven = True`` a product with a factor of zeros and ones costs one addition for each spike and
    weight that meet. An operation or an opaque module without a rule raises InputError.

    Parameters
    ----------
    model : any module with the model contract.
    batch : the windows; the count is that of the whole batch, so one decision is a batch of one.
    state : carried state, as the model returned it.
    """
    tracer = _Tracer([*model.parameters(), *model.buffers()])
    with torch.no_grad(), _watched(model, tracer), tracer:
        model(batch, state)
    layers = {name: work for name, work in tracer.work.items() if work != Work()}
    return OperationCount.of(layers, tracer.working_bytes)


def count_layer(layer: nn.Module, *inputs: Any) -> OperationCount:
    """Count one call of any module, in evaluation mode, as `count` does for a model."""
    holder = _Holder(layer)
    tracer = _Tracer([*layer.parameters(), *layer.buffers()])
    with torch.no_grad(), _watched(holder, tracer), tracer:
        holder(*inputs)
    return OperationCount.of({name: w for name, w in tracer.work.items() if w != Work()}, tracer.working_bytes)


class _Holder(nn.Module):
    """Hold a layer as a child, so that it is counted like any other layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: Any) -> Any:
        """Call the layer."""
        return self.layer(*inputs)
