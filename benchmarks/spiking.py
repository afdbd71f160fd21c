"""Spiking layers against snntorch on the same network: equal weights, equal spikes, times side by side.

    python benchmarks/spiking.py [--json FILE] [--threads N]

The network is linear, neurons, three times: leaky integrate-and-fire with soft reset at the spike. Currents are bounded
on both sides so that no membrane passes two thresholds, where snntorch resets a second time.
snntorch steps in Python (one call a layer and step); insula runs a layer over all steps in a compiled kernel.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from insula.models import build
from insula.models.cells.spiking import LIF
from insula.models.kernels import reference_only
from insula.types import Batch, InputSpec

WIDTHS = (64, 128, 128, 10)
BETA = 0.8
BOUND = 1.15
"""Largest current: .8 x 1 + 1.15 stays below two thresholds of 1."""


class Ours(nn.Module):
    """The network on insula's layers."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(WIDTHS))
        self.neurons = nn.ModuleList(LIF(o, decay=BETA) for o in WIDTHS[1:])
        with torch.no_grad():
            for weight in self.weights[1:]:
                weight.weight *= 4  # sparse spikes drive these

    def forward(self, values: Tensor) -> Tensor:
        """Map (B, T, I) to the spikes (B, T, O) of the last layer."""
        for weight, neuron in zip(self.weights, self.neurons, strict=True):
            values, _ = neuron(weight(values).clamp(max=BOUND))
        return values


class Theirs(nn.Module):
    """The network on snntorch's layers, with the same weights."""

    def __init__(self, ours: Ours) -> None:
        super().__init__()
        import snntorch
        from snntorch import surrogate

        self.weights = ours.weights
        self.neurons = nn.ModuleList(
            snntorch.Leaky(
                torch.full((o,), BETA), learn_beta=True, threshold=torch.ones(o), learn_threshold=True,
                spike_grad=surrogate.atan(alpha=2.0), reset_delay=False,
            )
            for o in WIDTHS[1:]
        )  # fmt: skip

    def forward(self, values: Tensor) -> Tensor:
        """Map (B, T, I) to the spikes (B, T, O) of the last layer."""
        membranes = [values.new_zeros(len(values), o) for o in WIDTHS[1:]]
        out = []
        for step in values.unbind(1):
            for i, (weight, neuron) in enumerate(zip(self.weights, self.neurons, strict=True)):
                step, membranes[i] = neuron(weight(step).clamp(max=BOUND), membranes[i])
            out.append(step)
        return torch.stack(out, 1)


def best_ms(call: Callable[[], object], seconds: float = 2.0) -> float:
    """Median time of a call after a warm-up, in milliseconds."""
    for _ in range(3):
        call()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        begin = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - begin))
    return sorted(times)[len(times) // 2]


def trained(model: nn.Module, values: Tensor) -> Callable[[], object]:
    """Forward and backward."""

    def call() -> None:
        model.zero_grad(set_to_none=True)
        model(values).sum().backward()

    return call


def plain(model: nn.Module, values: Tensor) -> Callable[[], object]:
    """Forward without gradients."""

    def call() -> None:
        with torch.no_grad():
            model(values)

    return call


def against_snntorch() -> list[dict[str, Any]]:
    """Time both sides on three shapes."""
    torch.manual_seed(0)
    ours = Ours()
    theirs = Theirs(ours)
    rows: list[dict[str, Any]] = []
    for name, batch, steps, both in (
        ("B64 T100", 64, 100, True),
        ("B16 T400", 16, 400, True),
        ("B1 T100", 1, 100, False),
    ):
        values = torch.randn(batch, steps, WIDTHS[0])
        with torch.no_grad():
            fired = ours(values)
            apart = float((fired != theirs(values)).float().mean())
        rows.append(row(f"rate of the last layer, {name}", float(fired.mean()), "share"))
        rows.append(row(f"spikes that differ, {name}", apart, "share", 1e-3, apart <= 1e-3))
        for kind, make in (("forward", plain), ("forward and backward", trained)):
            if kind == "forward" or both:
                mine, other = best_ms(make(ours, values)), best_ms(make(theirs, values))
                rows.append(row(f"{kind}, {name}: insula", mine, "ms"))
                rows.append(row(f"{kind}, {name}: snntorch", other, "ms"))
                rows.append(row(f"{kind}, {name}: faster by", other / mine, "x"))
    return rows


def one_hop() -> list[dict[str, Any]]:
    """Time one streaming hop of EAVS-TF (compiled and plain neurons) and of its twin, and a step of 16 windows."""
    spec = InputSpec(
        {"eeg": (14, 128.0), "bvp": (1, 64.0), "eda": (1, 4.0)}, {"eeg": 40, "bvp": 12, "eda": 8}, 5, 7, False, 4.0, 2.0
    )
    rows = []
    for title, spiking, plainly in (
        ("eavs_tf", True, False),
        ("eavs_tf, plain PyTorch neurons", True, True),
        ("its twin", False, False),
    ):
        torch.manual_seed(0)
        model = build("eavs_tf", spec, spiking=spiking)
        hop, window = _batch(spec, 1, 2.0), _batch(spec, 16, 4.0)
        model.eval()
        with torch.no_grad():
            state = model(hop).state
        with reference_only() if plainly else nullcontext():
            rows.append(row(f"hop of 2 s, batch 1: {title}", best_ms(_stepping(model, hop, state)), "ms"))
            model.train()
            spent = best_ms(_learning(model, window))
        rows.append(row(f"forward and backward, 16 windows of 4 s: {title}", spent, "ms"))
    return rows


def _stepping(model: nn.Module, hop: Batch, state: Any) -> Callable[[], object]:
    def call() -> None:
        with torch.no_grad():
            model(hop, state)

    return call


def _learning(model: nn.Module, window: Batch) -> Callable[[], object]:
    def call() -> None:
        model.zero_grad(set_to_none=True)
        model(window).logits.square().sum().backward()

    return call


def _batch(spec: InputSpec, size: int, seconds: float) -> Batch:
    length = {m: round(rate_hz * seconds) for m, (_, rate_hz) in spec.signals.items()}
    return Batch(
        {m: torch.randn(size, channels, length[m]) for m, (channels, _) in spec.signals.items()},
        {m: torch.ones(size, n, dtype=torch.bool) for m, n in length.items()},
        {m: torch.full((size, n, 1), 1 / spec.signals[m][1]) for m, n in length.items()},
        {m: torch.randn(size, n) for m, n in spec.features.items()},
        torch.randn(size, spec.traits),
        torch.ones(size, len(length), dtype=torch.bool),
    )


def row(name: str, value: float, unit: str, reach: float | None = None, holds: bool = True) -> dict[str, Any]:
    """One line of the table; without something to reach it holds."""
    return {"name": name, "value": value, "unit": unit, "reach": reach, "holds": holds}


def main() -> None:
    """Print the table and write it where asked."""
    parser = argparse.ArgumentParser(description="Spiking layers against snntorch.")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = against_snntorch() + one_hop()
    for r in rows:
        reach = "" if r["reach"] is None else f"  reach {r['reach']:g} {'holds' if r['holds'] else 'MISSED'}"
        print(f"{r['name']:<74} {r['value']:>10.4g} {r['unit']}{reach}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
