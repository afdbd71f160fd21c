"""How fast the live predictor is: one person's step on one core, and many people at once.

    python benchmarks/live.py [--people 500] [--seconds 20] [--workers 2] [--json FILE]

One person: the flagship with windows of 4 s and a decision a second, EEG of 14 channels, EDA, pulse, temperature and
heart rate; a step is everything from the second's last packet to the decision: cleaning, features, network.
Many: the same for ``--people`` at once, batched, for so many seconds of signal as fast as it goes. A deadline is missed
when a second of signal takes longer than a second; `people in real time` is how many would just fit. ``--workers``
adds the same people shared out over so many Ray actors (extra [scale]), packets sent between processes included.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from insula.data.readers.simulate import Settings, simulate
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.train_config import TrainConfig
from insula.live.chunks import Appeared, Begin, Chunk, Event, Stream
from insula.live.crowd import Crowd
from insula.live.predictor import Predictor
from insula.signals.recipe import Recipe
from insula.types import Recording
from insula.windows.cutting import cut


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    model, recording = trained()
    rows = [*one_person(model, recording), *many(model, recording, given.people, given.seconds)]
    if given.workers:
        rows += on_ray(model, recording, given.people, given.seconds, given.workers)
    width = max(len(str(row["name"])) for row in rows)
    for row in rows:
        reach = "" if row["reach"] is None else f"reach {row['reach']:g}: {'holds' if row['holds'] else 'DOES NOT'}"
        print(f"{row['name']:{width}}  {row['value']:10.3f} {row['unit']:8} {reach}")
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=1))


def trained() -> tuple[Estimator, Recording]:
    """Train the flagship for one epoch: its speed does not depend on what it has learned."""
    people = simulate(Settings(people=2, trials_per_emotion=2, trial_s=60.0)).recordings
    windows = cut(people, Recipe(window_s=4.0, hop_s=1.0, guard_s=2.0), "emotion")
    config = EstimatorConfig(train=TrainConfig(epochs=1, validation_fraction=0.0))
    return Estimator(config).fit(windows.take((windows.table["role"] == "scored").to_numpy())), people[0]


def seconds_of(recording: Recording, shift_s: float) -> list[list[Event]]:
    """All trials but the baseline as one stream, in packets of a tenth of a second, grouped by seconds."""
    signals = [t.signals for t in recording.trials if t.role != "baseline"]
    joined = {m: np.concatenate([s[m].values for s in signals], 1) for m in signals[0]}
    first = [
        Begin(0.0, traits=recording.traits),
        *(Appeared(Stream(m, s.channels, s.rate_hz, s.unit)) for m, s in signals[0].items()),
    ]
    total_s = round(60.0 * len(signals))
    out: list[list[Event]] = [[*first]]
    for second in range(total_s):
        events: list[Event] = out[-1] if second == 0 else []
        for name, values in joined.items():
            rate = signals[0][name].rate_hz
            packet = max(1, round(rate / 10))
            at = round((second + shift_s) * rate) % (values.shape[1] - round(rate))
            for k in range(0, round(rate), packet):
                part = values[:, at + k : at + min(k + packet, round(rate))]
                times_s = second + (k + np.arange(part.shape[1])) / rate
                events.append(Chunk(name, part, times_s))
        if second:
            out.append(events)
    return out


def one_person(model: Estimator, recording: Recording) -> list[dict[str, object]]:
    """Time the step that gives a decision, packets of the second before having been cleaned as they came."""
    torch.set_num_threads(1)
    predictor = Predictor(model)
    seat = predictor.seat()
    took_ms, spent_ms, packet_ms = [], [], []
    for second, events in enumerate(seconds_of(recording, 0.0)[:320]):
        early, late = events[:-5], events[-5:]
        for k in range(0, len(early), 5):
            began = time.perf_counter()
            predictor.step(seat, early[k : k + 5])
            seat.clean_ahead()
            packet_ms.append(1000 * (time.perf_counter() - began))
        began, spent = time.perf_counter(), time.thread_time()
        decisions = predictor.step(seat, late)
        if second >= 20 and decisions:
            took_ms.append(1000 * (time.perf_counter() - began))
            spent_ms.append(1000 * (time.thread_time() - spent))
    p50, p99 = np.percentile(took_ms, [50, 99])
    return [
        {"name": "one person, a step, median", "value": float(p50), "unit": "ms", "reach": None, "holds": True},
        {"name": "one person, a step, p99", "value": float(p99), "unit": "ms", "reach": 5.0, "holds": bool(p99 < 5)},
        {
            "name": "one person, processor time of a step, p99",
            "value": float(np.percentile(spent_ms, 99)),
            "unit": "ms",
            "reach": None,
            "holds": True,
        },
        {
            "name": "one person, a packet cleaned, median",
            "value": float(np.median(packet_ms)),
            "unit": "ms",
            "reach": None,
            "holds": True,
        },
    ]


def many(model: Estimator, recording: Recording, people: int, seconds: int) -> list[dict[str, object]]:
    """Stream many people in one process on two cores."""
    torch.set_num_threads(1)
    streams = [seconds_of(recording, 0.37 * k)[:seconds] for k in range(8)]
    workers = min(2, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        crowd = Crowd(Predictor(model), people, pool, workers)
        took_s, spent_s, said = [], [], 0
        for second in range(seconds):
            packets = [streams[i % len(streams)][second] for i in range(people)]
            began, spent = time.perf_counter(), time.process_time()
            said += sum(len(d) for d in crowd.step(packets))
            took_s.append(time.perf_counter() - began)
            spent_s.append(time.process_time() - spent)
    steady = np.array(took_s[7:])
    missed = float((steady > 1.0).mean())
    return [
        {"name": f"{people} people, a second of signal, median", "value": float(np.median(steady)), "unit": "s",
         "reach": 1.0, "holds": bool(np.median(steady) < 1)},
        {"name": f"{people} people, deadlines missed", "value": 100 * missed, "unit": "%", "reach": 1.0,
         "holds": missed < 0.01},
        {"name": "people in real time", "value": people / float(np.median(steady)), "unit": "people", "reach": 500.0,
         "holds": people / float(np.median(steady)) >= 500},
        {"name": "processor time a person and second", "value": 1000 * float(np.median(spent_s[7:])) / people,
         "unit": "ms", "reach": None, "holds": True},
        {"name": "decisions", "value": float(said), "unit": "", "reach": None, "holds": said > 0},
    ]  # fmt: skip


def on_ray(model: Estimator, recording: Recording, people: int, seconds: int, workers: int) -> list[dict[str, object]]:
    """Stream many people through Ray actors."""
    import ray

    from insula.live.on_ray import Workers

    streams = [seconds_of(recording, 0.37 * k)[:seconds] for k in range(8)]
    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            crowd, took_s = Workers(model.save(Path(folder) / "model"), people, workers), []
            for second in range(seconds):
                began = time.perf_counter()
                crowd.step([streams[i % len(streams)][second] for i in range(people)])
                took_s.append(time.perf_counter() - began)
            crowd.close()
    finally:
        ray.shutdown()
    median_s = float(np.median(took_s[7:]))
    name = f"{people} people on {workers} Ray actors, a second of signal, median"
    return [{"name": name, "value": median_s, "unit": "s", "reach": None, "holds": True}]


if __name__ == "__main__":
    main()
