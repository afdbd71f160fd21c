"""Inputs of the flagship: a spec with every kind of branch, random batches of several hops, one hop of a batch."""

from __future__ import annotations

import torch

from insula.types import Batch, InputSpec

SPEC = InputSpec(
    signals={"eeg": (14, 128.0), "bvp": (1, 64.0), "eda": (1, 4.0), "hr": (1, 1.0)},
    features={"eeg": 6, "bvp": 4, "eda": 3, "hr": 2},
    traits=5,
    outputs=7,
    continuous=False,
    window_s=4.0,
    hop_s=2.0,
)


def random_batch(spec: InputSpec, size: int, hops: int, seed: int = 0) -> Batch:
    g = torch.Generator().manual_seed(seed)
    signals, observed, elapsed = {}, {}, {}
    for m, (channels, rate_hz) in spec.signals.items():
        length = round(hops * spec.hop_s * rate_hz)
        signals[m] = torch.randn(size, channels, length, generator=g)
        observed[m] = torch.rand(size, length, generator=g) > 0.1
        elapsed[m] = torch.full((size, length, 1), 1 / rate_hz)
    features = {m: torch.randn(size, hops, n, generator=g) for m, n in spec.features.items()}
    features["bvp"][:, :, 0] = float("nan")
    traits = torch.randn(size, spec.traits, generator=g)
    return Batch(signals, observed, elapsed, features, traits, torch.ones(size, hops, len(spec.signals)).bool())


def one_hop(batch: Batch, spec: InputSpec, hop: int) -> Batch:
    def cut(values: dict, m: str) -> torch.Tensor:
        n = round(spec.hop_s * spec.signals[m][1])
        axis = 2 if values[m].dim() == 3 and values[m].shape[1] == spec.signals[m][0] and values is batch.signals else 1
        return values[m].narrow(axis, hop * n, n)

    return Batch(
        {m: cut(batch.signals, m) for m in spec.signals},
        {m: cut(batch.observed, m) for m in spec.signals},
        {m: cut(batch.elapsed_s, m) for m in spec.signals},
        {m: v[:, hop] for m, v in batch.features.items()},
        batch.traits,
        batch.present[:, hop],
    )
