"""Cleaning, band entropy and the store: times real time, against torcheeg's loop, and megabytes a second.

    python benchmarks/data.py [--json FILE] [--rounds 7]

Raw signals are noise of the devices' rates: EPOC X EEG (14 channels, 256 Hz) and E4 (EDA, BVP, TEMP, HR, ACC), cleaned
with the default recipe (EEG at 128 Hz), quality flags included. torcheeg cannot be installed beside a CPU torch, so its
BandDifferentialEntropy is written down here as it works (1.1: for every band and channel a Butterworth band-pass of
order 5 is designed and run with lfilter; half the base-2 logarithm of 2 pi e times the variance). The store is written
to the temporary folder and read from the page cache, as it is from the second epoch on. Times are medians over the
rounds; run it on a machine that does nothing else. Processor time, hardly touched by other programs, is shown beside.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import butter, lfilter

from insula.data import info
from insula.signals.features import eeg
from insula.signals.recipe import Recipe
from insula.types import ChannelSpec, Recording, Signal, Trial
from insula.windows.cutting import cut
from insula.windows.store import Store

EPOC = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")
SOURCES = {
    "eeg": (256.0, EPOC, "uV", 4200.0, 20.0),
    "eda": (4.0, ("EDA",), "uS", 2.0, 0.1),
    "bvp": (64.0, ("BVP",), "a.u.", 0.0, 50.0),
    "temp": (4.0, ("TEMP",), "degC", 33.0, 0.1),
    "hr": (1.0, ("HR",), "1/min", 70.0, 2.0),
    "acc": (32.0, ("x", "y", "z"), "g", 0.0, 0.5),
}
"""Modality -> rate, channels, unit, level and deviation of the noise."""
RECIPE = Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0)
TRIALS, TRIAL_S = 30, 60.0
CHANNELS, RATE_HZ, WINDOW_S = 32, 128.0, 4.0


@dataclass(frozen=True)
class Row:
    """One measured number and the least it should be."""

    name: str
    value: float
    unit: str
    reach: float | None = None

    @property
    def holds(self) -> bool:
        return self.reach is None or self.value >= self.reach


def seconds(work: Callable[[], object], rounds: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Median seconds of some work, warmed up."""
    work()
    times = []
    for _ in range(rounds):
        begin = clock()
        work()
        times.append(clock() - begin)
    return statistics.median(times)


def in_turn(works: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of several works, warmed up and run in turn."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for found, work in zip(times, works, strict=True):
            found.append(seconds(work, 1))
    return [statistics.median(found) for found in times]


def session(seed: int) -> Recording:
    """Half an hour of raw EPOC X and E4 signals in trials of a minute."""
    rng = np.random.default_rng(seed)
    trials = []
    for i in range(TRIALS):
        start_s = i * TRIAL_S
        signals = {
            name: Signal(
                (level + deviation * rng.standard_normal((len(channels), int(TRIAL_S * rate)))).astype(np.float32),
                rate,
                channels,
                unit,
                start_s,
            )
            for name, (rate, channels, unit, level, deviation) in SOURCES.items()
        }
        trials.append(Trial("p", "only", f"t{i:02d}", start_s, start_s + TRIAL_S, signals, {"emotion": "ab"[i % 2]}))
    return Recording("p", "only", tuple(trials))


_BARRIER: Any = None


def _meet(barrier: Any) -> None:
    global _BARRIER
    _BARRIER = barrier


def _side_by_side_s(seed: int, rounds: int) -> float:
    recording = session(seed)
    cut([recording], RECIPE, "emotion")
    _BARRIER.wait()
    return seconds(lambda: cut([recording], RECIPE, "emotion"), rounds)


def cleaning(rounds: int) -> list[Row]:
    """Times real time on one core, and of two processes side by side as `Store.hold(jobs=2)` works."""
    what, length_s = "cleaning and cutting EPOC X EEG + E4", TRIALS * TRIAL_S
    recording = session(0)
    alone_s, used_s = (
        seconds(lambda: cut([recording], RECIPE, "emotion"), rounds, clock)
        for clock in (time.perf_counter, time.process_time)
    )
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context, _meet, (context.Barrier(2),)) as pool:
        both = list(pool.map(_side_by_side_s, (1, 2), (rounds, rounds)))
    return [
        Row(f"{what}, one core", length_s / alone_s, "x real time"),
        Row(f"{what}, one core, by processor time", length_s / used_s, "x real time"),
        Row(f"{what}, two cores", sum(length_s / one for one in both), "x real time", 2000.0),
    ]


def filtered_entropy(window: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Band differential entropy (C, bands) in bits of one window (C, T), as torcheeg computes it."""
    found = np.empty((len(window), len(eeg.BANDS_HZ)))
    for k, (low_hz, high_hz) in enumerate(eeg.BANDS_HZ.values()):
        for c, samples in enumerate(window):
            b, a = butter(5, [low_hz / (RATE_HZ / 2), high_hz / (RATE_HZ / 2)], btype="band")
            found[c, k] = 0.5 * np.log2(2 * math.pi * math.e * np.var(lfilter(b, a, samples)))
    return found


def entropy(rounds: int) -> list[Row]:
    """Our EEG features (differential entropy, shares and asymmetries) against the loop of differential entropy."""
    windows = (10 * np.random.default_rng(0).standard_normal((64, CHANNELS, int(WINDOW_S * RATE_HZ)))).astype(
        np.float32
    )
    seen = np.ones((64, windows.shape[2]), bool)
    spec = ChannelSpec(tuple(f"E{i}" for i in range(CHANNELS)), RATE_HZ, "uV")
    works = (
        lambda: filtered_entropy(windows[0]),
        lambda: eeg.compute(windows, seen, spec),
        lambda: eeg.compute(windows[:1], seen[:1], spec),
    )
    theirs_s, many_s, one_s = in_turn(works, 3 * rounds)
    many_s /= len(windows)
    what = "band differential entropy, 32 channels, 4 s"
    return [
        Row("torcheeg's loop, a window", 1e3 * theirs_s, "ms"),
        Row(f"{what}, 64 windows at once, against torcheeg's loop", theirs_s / many_s, "x", 50.0),
        Row(f"{what}, one window at a time, against torcheeg's loop", theirs_s / one_s, "x", 50.0),
    ]


def reading(rounds: int) -> list[Row]:
    """Megabytes a second of 14-channel EEG out of a store of three hours."""
    recipe = info("simulate").recipe.only(("eeg",))
    options = {"people": 3, "trials_per_emotion": 8, "trial_s": 60.0}
    with tempfile.TemporaryDirectory() as folder:
        held = Store(Path(folder) / "store").hold("simulate", None, recipe, options=options, jobs=2)
        windows = cut(held.recordings, recipe, "emotion", clean=held.clean)
        rows = np.random.default_rng(0).integers(len(windows), size=(32, 32))

        def random_windows() -> int:
            return sum(windows.signals(batch)[0]["eeg"].nbytes for batch in rows)

        def whole_trials() -> int:
            return sum(trial.piece("eeg", 0, 2**31)[0].nbytes for trial in windows.clean.values())

        found = []
        for what, work, reach in (
            ("store: random windows of 4 s, 14 channels, batches of 32", random_windows, 150.0),
            ("store: whole trials in order, 14 channels", whole_trials, 1000.0),
        ):
            megabytes = work() / 1e6
            found.append(Row(what, megabytes / seconds(work, rounds), "MB/s", reach))
            used_s = seconds(work, rounds, time.process_time)
            found.append(Row(f"{what}, by processor time", megabytes / used_s, "MB/s"))
        return found


def main() -> int:
    """Print the table, write it where asked; 1 if something is too slow."""
    parser = argparse.ArgumentParser(description="Cleaning, band entropy and the store.")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    found: list[Row] = []
    for part in (cleaning, entropy, reading):
        for row in part(arguments.rounds):
            found.append(row)
            reach = "" if row.reach is None else f"  reach {row.reach:g} {'holds' if row.holds else 'MISSED'}"
            print(f"{row.name:<86} {row.value:>8.1f} {row.unit}{reach}", flush=True)
    if arguments.json:
        rows = [{"name": r.name, "value": r.value, "unit": r.unit, "reach": r.reach, "holds": r.holds} for r in found]
        arguments.json.write_text(json.dumps(rows, indent=1))
    return 0 if all(row.holds for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
