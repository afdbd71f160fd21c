"""Liquid cells against ncps and torch.nn.LSTM: time in turn on two threads, and peak memory.

    python benchmarks/liquid.py [--json FILE] [--rounds 11]

Both sides are warmed up and run in turn, in the same grad mode; times are medians over the rounds. Ratios are what
counts: run it on an idle machine. Memory and compilation are measured in processes of their own (memory on Linux only).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from ncps.torch import LTC
from ncps.torch import CfC as TheirCfC
from torch import Tensor, nn

from insula.models.cells.cfc import CfC
from insula.models.cells.conductance import ConductanceLTC
from insula.models.cells.liquid import NeuralLTC

MIB = 2**20


@dataclass(frozen=True)
class Row:
    """One measured number; ``most`` tells whether ``reach`` is an upper bound."""

    name: str
    value: float
    unit: str
    reach: float | None = None
    most: bool = False

    @property
    def holds(self) -> bool:
        if self.reach is None:
            return True
        return self.value <= self.reach if self.most else self.value >= self.reach


def in_turn(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of both, warmed up and run in turn."""
    for _ in range(2):
        ours()
        theirs()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for found, work in zip(times, (ours, theirs), strict=True):
            begin = time.perf_counter()
            work()
            found.append(time.perf_counter() - begin)
    return statistics.median(times[0]), statistics.median(times[1])


def forward(run: Callable[[], Tensor]) -> Callable[[], object]:
    def work() -> None:
        with torch.no_grad():
            run()

    return work


def training(module: nn.Module, run: Callable[[], Tensor]) -> Callable[[], object]:
    def work() -> None:
        module.zero_grad()
        run().sum().backward()

    return work


def compare(
    name: str, ours: Callable[[], object], theirs: Callable[[], object], rounds: int, reach: float
) -> list[Row]:
    """How many times faster than the other side."""
    own, other = in_turn(ours, theirs, rounds)
    return [
        Row(f"{name}: insula", own * 1e3, "ms"),
        Row(f"{name}: other", other * 1e3, "ms"),
        Row(f"{name}: times faster", other / own, "x", reach),
    ]


def conductance_rows(rounds: int) -> list[Row]:
    theirs = LTC(32, 64)
    ours = ConductanceLTC.from_ncps(theirs.state_dict())
    u, ones = torch.randn(64, 64, 32), torch.ones(64, 64, 1)
    long, long_ones = torch.randn(1, 512, 32), torch.ones(1, 512, 1)
    with torch.no_grad():
        difference = float((ours(u, ones)[0] - theirs(u)[0]).abs().max())
    run_ours, run_theirs = lambda: ours(u, ones)[0], lambda: theirs(u)[0]
    return [
        Row("conductance LTC, largest difference from ncps", difference, "", 1e-5, most=True),
        *compare("conductance LTC B64 T64 forward", forward(run_ours), forward(run_theirs), rounds, 8),
        *compare(
            "conductance LTC B64 T64 forward and backward",
            training(ours, run_ours),
            training(theirs, run_theirs),
            rounds,
            6,
        ),
        *compare(
            "conductance LTC B1 T512 forward",
            forward(lambda: ours(long, long_ones)[0]),
            forward(lambda: theirs(long)[0]),
            rounds,
            25,
        ),
    ]


def closed_form_rows(rounds: int) -> list[Row]:
    rows: list[Row] = []
    for batch, steps, units, reach in ((64, 64, 64, 3.0), (8, 512, 32, 8.0)):
        u, ones = torch.randn(batch, steps, 32), torch.ones(batch, steps, 1)
        uneven = torch.rand(batch, steps, 1)
        theirs, ours = TheirCfC(32, units), CfC(32, units)
        name = f"CfC B{batch} T{steps} units {units} forward and backward"
        other = training(theirs, lambda theirs=theirs, u=u: theirs(u)[0])
        own = training(ours, lambda ours=ours, u=u, ones=ones: ours(u, ones)[0])
        rows += compare(name, own, other, rounds, reach)
        irregular, _ = in_turn(
            training(ours, lambda ours=ours, u=u, uneven=uneven: ours(u, uneven)[0]), lambda: None, rounds
        )
        rows.append(Row(f"{name}: insula, irregular elapsed time", irregular * 1e3, "ms"))
    return rows


def neural_rows(rounds: int) -> list[Row]:
    u, ones = torch.randn(64, 64, 32), torch.ones(64, 64, 1)
    lstm = nn.LSTM(32, 64, batch_first=True)
    rows: list[Row] = []
    for sub_steps in (6, 3, 1):
        ours = NeuralLTC(32, 64, (0.5, 20.0), sub_steps)
        own, other = in_turn(
            training(ours, lambda ours=ours: ours(u, ones)[0]), training(lstm, lambda: lstm(u)[0]), 2 * rounds
        )
        name = f"neural LTC B64 T64 K{sub_steps} forward and backward"
        rows.append(Row(f"{name}: insula", own * 1e3, "ms"))
        rows.append(Row(f"{name}: share of nn.LSTM's time", own / other, "x", 3, most=True))
    rows.append(Row("nn.LSTM B64 T64 forward and backward", other * 1e3, "ms"))
    return rows


def peak_bytes(which: str) -> int:
    """Most memory that a forward and backward pass takes beyond what was there before, in this process."""
    theirs = LTC(32, 64)
    module = {"ncps": lambda: theirs, "conductance": lambda: ConductanceLTC.from_ncps(theirs.state_dict())}.get(
        which, lambda: NeuralLTC(32, 64, (0.5, 20.0))
    )()

    def run(batch: int, steps: int) -> int:
        u, ones = torch.randn(batch, steps, 32, requires_grad=True), torch.ones(batch, steps, 1)
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        out = module(u)[0] if which == "ncps" else module(u, ones)[0]
        out.sum().backward()
        return _status("VmHWM") - before

    run(4, 2)  # compile, and make libraries take what they take once
    return run(64, 64)


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {field} in /proc/self/status")


def memory_rows() -> list[Row]:
    if sys.platform != "linux":
        return []
    found = {which: int(_alone("--peak", which)) for which in ("ncps", "conductance", "neural")}
    number = 4
    inputs, outputs = 64 * 64 * 33 * number, 64 * 64 * 64 * number
    synapses = 4 * (64 * 64 + 32 * 64) * number
    # Inputs were there before and so are not in the peak: they are left out of the sum as well.
    sums = {
        "conductance": outputs + 6 * outputs + outputs + inputs + synapses,  # outputs, stored states, gradients
        "neural": outputs + outputs + inputs + (64 * 64 + 32 * 64) * number,
    }
    rows = [Row(f"peak memory, {which}", size / MIB, "MiB") for which, size in found.items()]
    rows.append(Row("peak memory, conductance to ncps", found["conductance"] / found["ncps"], "x", 0.1, most=True))
    for which, size in sums.items():
        rows.append(Row(f"{which}: outputs, stored states and gradients", size / MIB, "MiB"))
        rows.append(Row(f"peak memory, {which} to that sum", found[which] / size, "x", 1.5, most=True))
    return rows


def compile_rows() -> list[Row]:
    """Seconds of the first forward and backward pass, Numba's import included, with an empty cache and a full one."""
    rows = []
    for which in ("neural", "conductance", "closed form"):
        with tempfile.TemporaryDirectory() as folder:
            cold, warm = (float(_alone("--first", which, NUMBA_CACHE_DIR=folder)) for _ in range(2))
        rows.append(Row(f"first call, {which}, compiling", cold, "s", 15, most=True))
        rows.append(Row(f"first call, {which}, cached", warm, "s"))
    return rows


def first_call(which: str) -> float:
    build = {"neural": lambda: NeuralLTC(3, 4, (1, 2)), "conductance": lambda: ConductanceLTC(3, 4)}
    module = build.get(which, lambda: CfC(3, 4))()
    begin = time.perf_counter()
    module(torch.zeros(1, 2, 3), torch.ones(1, 2, 1))[0].sum().backward()
    return time.perf_counter() - begin


def _alone(*arguments: str, **environment: str) -> str:
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | environment).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="write the rows as a list of {name, value, unit, reach, holds}")
    parser.add_argument("--rounds", type=int, default=11, help="timed rounds, 7 or more")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--first", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(2)
    if options.peak:
        print(peak_bytes(options.peak))
        return
    if options.first:
        print(first_call(options.first))
        return
    if options.rounds < 7:
        parser.error("--rounds below 7; expected 7 or more")
    rows = [
        *conductance_rows(options.rounds),
        *closed_form_rows(options.rounds),
        *neural_rows(options.rounds),
        *memory_rows(),
        *compile_rows(),
    ]
    width = max(len(row.name) for row in rows)
    for row in rows:
        reach = "" if row.reach is None else f"{'at most' if row.most else 'at least'} {row.reach:g}"
        verdict = "" if row.reach is None else "holds" if row.holds else "FALLS SHORT"
        print(f"{row.name:{width}}  {row.value:10.3g} {row.unit:4} {reach:14} {verdict}")
    if options.json:
        fields = ("name", "value", "unit", "reach", "holds")
        options.json.write_text(json.dumps([{f: getattr(row, f) for f in fields} for row in rows], indent=1))


if __name__ == "__main__":
    main()
