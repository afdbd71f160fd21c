"""Networks of one architecture as one: their weights stacked along an axis of models, called by `torch.vmap`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from insula.learning.batches import LabelledBatch
from insula.learning.feed import run
from insula.models.kernels.dropout import Dropout, draw_key, dropped
from insula.models.kernels.stacking import stacked_models
from insula.types import Batch, ModelOutput

_PARTS = ("signals", "observed", "elapsed_s", "features")


class NotStackable(Exception):
    """These networks cannot be called as one; says why."""


@dataclass
class Sizes:
    """Stretches and hops of each model's batch, and of the batch they are padded to."""

    own: list[tuple[int, int]]
    padded: tuple[int, int]


class Stack:
    """N networks of one architecture: ``learned`` holds their weights that learn, (N, ...) each, by name.

    Weights that do not learn and are the same in all are kept once, so that what depends on them alone is computed for
    one large batch. Dropout draws each model's masks from its own generator, as the network alone would from torch's.
    """

    def __init__(self, networks: Sequence[nn.Module], generators: Sequence[torch.Generator], scope: str) -> None:
        require_stackable(networks)
        self.networks, self.generators, self.scope = list(networks), list(generators), scope
        self.sizes = Sizes([], (0, 0))
        self.called = _Called(copy.deepcopy(networks[0]), scope)
        for module in list(self.called.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Dropout) and type(child) in (nn.Dropout, Dropout):
                    setattr(module, name, _Masks(child, self))
        self.learned: dict[str, Tensor] = {}
        self.held: dict[str, Tensor] = {}
        self._once: dict[str, Tensor] = {}
        named = [dict([*n.named_parameters(), *n.named_buffers()]) for n in networks]
        for name, first in named[0].items():
            values = [one[name].detach() for one in named]
            if first.requires_grad:
                self.learned[name] = torch.stack(values).requires_grad_()
            elif all(torch.equal(v, values[0]) for v in values[1:]):
                self._once[f"network.{name}"] = values[0]
            else:
                self.held[name] = torch.stack(values)

    def __call__(self, batch: Batch, sizes: Sizes) -> tuple[Tensor, Tensor | None]:
        """Logits (N, B, T, K) and the penalty of a batch whose tensors are (N, B, ...)."""
        self.sizes = sizes
        own = {f"network.{name}": value for name, value in (self.learned | self.held).items()}
        given = {name: getattr(batch, name) for name in (*_PARTS, "traits", "present")}

        def one(weights: dict[str, Tensor], parts: dict[str, Any]) -> tuple[Tensor, ...]:
            found: tuple[Tensor, ...] = functional_call(self.called, {**weights, **self._once}, (parts,))
            return found

        with stacked_models():
            logits, *penalty = torch.vmap(one)(own, given)
        return logits, penalty[0] if penalty else None

    def unstack(self, learned: dict[str, Tensor]) -> None:
        """Put weights back into the networks."""
        with torch.no_grad():
            for i, network in enumerate(self.networks):
                for name, parameter in network.named_parameters():
                    if name in learned:
                        parameter.copy_(learned[name][i])

    def mask(self, like: Tensor, layer: nn.Dropout) -> Tensor:
        """A layer's factors for values (N, B, ...), each model's drawn at the size that it alone would have."""
        hops = self.sizes.padded[1]
        masks = []
        for generator, (own_rows, own_hops) in zip(self.generators, self.sizes.own, strict=True):
            shape = [own_rows, *like.shape[2:]]
            if own_hops != hops:
                if len(shape) < 3 or shape[1] % hops:
                    raise NotStackable("dropout over values without time")
                shape[1] = shape[1] // hops * own_hops
            if isinstance(layer, Dropout):
                drawn = dropped(torch.ones(shape, dtype=like.dtype), layer.p, draw_key(generator))
            else:
                drawn = torch.empty(shape, dtype=like.dtype).bernoulli_(1 - layer.p, generator=generator)
                drawn.div_(1 - layer.p)
            if drawn.shape != like.shape[1:]:
                whole = torch.zeros(like.shape[1:], dtype=like.dtype)
                whole[tuple(slice(0, n) for n in shape)] = drawn
                drawn = whole
            masks.append(drawn)
        return torch.stack(masks)


def require_stackable(networks: Sequence[nn.Module]) -> None:
    """Raise NotStackable for networks that differ in more than their numbers, or that look across a batch."""
    first = networks[0]
    shapes = [{n: (p.shape, p.dtype, p.requires_grad) for n, p in net.named_parameters()} for net in networks]
    if any(type(net) is not type(first) for net in networks) or any(s != shapes[0] for s in shapes):
        raise NotStackable("networks of different shapes")
    if getattr(first, "swa", False) or getattr(first, "loss", None) is not None:
        raise NotStackable("a training of its own kind")
    if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in first.modules()):
        raise NotStackable("batch normalisation")


def stacked_batch(parts: Sequence[LabelledBatch]) -> tuple[LabelledBatch, Sizes]:
    """Put one batch a model side by side, (N, B, ...); shorter ones are padded with what counts nothing."""
    if any(part.mix is not None for part in parts):
        raise NotStackable("a mixture as target")
    own = [(part.y.shape[0], part.y.shape[1]) for part in parts]
    sizes = Sizes(own, (max(b for b, _ in own), max(n for _, n in own)))
    if any(one != sizes.padded for one in own):
        parts = [_padded(part, sizes.padded) for part in parts]
    batches = [part.batch for part in parts]
    made = {
        name: {m: torch.stack([getattr(b, name)[m] for b in batches]) for m in getattr(batches[0], name)}
        for name in _PARTS
    }
    batch = Batch(
        **made, traits=torch.stack([b.traits for b in batches]), present=torch.stack([b.present for b in batches])
    )
    y, weight, row = (torch.stack([getattr(part, name) for part in parts]) for name in ("y", "weight", "row"))
    return LabelledBatch(batch, y, weight, row), sizes


def _padded(part: LabelledBatch, to: tuple[int, int]) -> LabelledBatch:
    """Lengthen a batch: hops as `Prepared.stretches` pads, stretches by copies of the first, all of no weight."""
    rows, hops = part.y.shape
    at = torch.cat([torch.arange(rows), torch.zeros(to[0] - rows, dtype=torch.int64)])

    def longer(value: Tensor, axis: int, fill: float | bool) -> Tensor:
        value = value[at]
        if to[1] == hops:
            return value
        shape = list(value.shape)
        shape[axis] = value.shape[axis] // hops * (to[1] - hops)
        return torch.cat([value, torch.full(shape, fill, dtype=value.dtype)], axis)

    b = part.batch
    single = b.present.dim() == 2  # single windows: no axis of hops
    batch = Batch(
        {m: longer(v, 2, 0.0) for m, v in b.signals.items()},
        {m: longer(v, 1, False) for m, v in b.observed.items()},
        {m: longer(v, 1, float(v[0, -1, 0])) for m, v in b.elapsed_s.items()},
        {m: v[at] if single else longer(v, 1, float("nan")) for m, v in b.features.items()},
        b.traits[at],
        b.present[at] if single else longer(b.present, 1, False),
    )
    weight = longer(part.weight, 1, 0.0)
    weight[rows:] = 0.0
    return LabelledBatch(batch, longer(part.y, 1, 0.0), weight, longer(part.row, 1, -1))


class _Called(nn.Module):
    """A network from plain tensors to plain tensors."""

    def __init__(self, network: nn.Module, scope: str) -> None:
        super().__init__()
        self.network, self.scope = network, scope

    def forward(self, parts: dict[str, Any]) -> tuple[Tensor, ...]:
        empty = torch.empty(0)
        output: ModelOutput = run(self.network, LabelledBatch(Batch(**parts), empty, empty, empty), self.scope)
        penalty = output.extras.get("penalty")
        return (output.logits, penalty) if isinstance(penalty, Tensor) else (output.logits,)


class _Masks(nn.Module):
    """Dropout in a stack."""

    def __init__(self, layer: nn.Dropout, stack: Stack) -> None:
        super().__init__()
        self.layer, self.stack = layer, [stack]  # in a list, so that it is no part of this module

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.layer.p == 0:
            return x
        out: Tensor = _Dropped.apply(x, self.layer, self.stack[0])  # type: ignore[no-untyped-call]
        return out


class _Dropped(torch.autograd.Function):
    """Nothing but a rule for `torch.vmap`; gradients are those of the product."""

    @staticmethod
    def forward(*_: Any) -> Tensor:
        raise NotStackable("dropout outside of a stack")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        del ctx, inputs, output

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, layer: nn.Dropout, stack: Stack) -> tuple[Tensor, int]:
        led = x.expand(info.batch_size, *x.shape) if in_dims[0] is None else x.movedim(in_dims[0], 0)
        return led * stack.mask(led, layer), 0
