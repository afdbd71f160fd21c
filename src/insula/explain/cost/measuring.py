"""Measure on this machine: latency percentiles, and joules where the processor's counters can be read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from insula.errors import InputError

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Latency:
    """Time of one call in milliseconds: median, 99th percentile, over ``runs`` runs on ``threads`` threads."""

    p50_ms: float
    p99_ms: float
    runs: int
    warm_up: int
    threads: int


def latency(call: Callable[[], object], *, runs: int = 200, warm_up: int = 20, threads: int = 1) -> Latency:
    """Time ``call`` on this CPU, after a warm-up, without gradients."""
    if runs < 1 or warm_up < 0 or threads < 1:
        raise InputError(f"runs {runs}, warm_up {warm_up}, threads {threads}; expected runs and threads 1 or more.")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            for _ in range(warm_up):
                call()
            times_ms = np.empty(runs)
            for i in range(runs):
                begin = time.perf_counter_ns()
                call()
                times_ms[i] = (time.perf_counter_ns() - begin) / 1e6
    finally:
        torch.set_num_threads(before)
    p50_ms, p99_ms = np.percentile(times_ms, [50, 99])
    return Latency(float(p50_ms), float(p99_ms), runs, warm_up, threads)


@dataclass(frozen=True)
class Counter:
    """One package's energy counter, in microjoules, which wraps at ``range_uj``."""

    path: Path
    range_uj: int

    def read_uj(self) -> int:
        return int(self.path.read_text())


def counters(root: Path = POWERCAP) -> tuple[Counter, ...]:
    """List the readable energy counters of whole packages; empty where the machine shows none."""
    found = []
    for zone in sorted(root.glob("*-rapl:*")) if root.is_dir() else []:
        if zone.name.count(":") != 1:
            continue  # a part of a package, already inside it
        try:
            counter = Counter(zone / "energy_uj", int((zone / "max_energy_range_uj").read_text()))
            counter.read_uj()
        except (OSError, ValueError):
            continue
        found.append(counter)
    return tuple(found)


def measured_joules(call: Callable[[], object], *, runs: int = 200, root: Path = POWERCAP) -> float | None:
    """Joules of one call by the packages' own counters, idle power included; None where none can be read.

    A counter that wraps once between its two readings is corrected.
    """
    meters = counters(root)
    if not meters:
        return None
    before = [meter.read_uj() for meter in meters]
    with torch.no_grad():
        for _ in range(runs):
            call()
    total_uj = 0
    for meter, first in zip(meters, before, strict=True):
        spent = meter.read_uj() - first
        total_uj += spent if spent >= 0 else spent + meter.range_uj
    return total_uj * 1e-6 / runs
