"""Inputs for tests of models and of their energy."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from insula.types import Batch, InputSpec

SHAPES: Mapping[str, tuple[int, float]] = {
    "eeg": (6, 128.0),
    "eda": (1, 4.0),
    "bvp": (1, 64.0),
    "hr": (1, 1.0),
    "self_report": (4, 1.0),
}
COLUMNS: Mapping[str, int] = {"eeg": 5, "eda": 3, "bvp": 4, "hr": 2}


def make_spec(
    *modalities: str,
    outputs: int = 3,
    traits: int = 5,
    window_s: float = 4.0,
    hop_s: float = 2.0,
    continuous: bool = False,
    shapes: Mapping[str, tuple[int, float]] = SHAPES,
) -> InputSpec:
    """Spec over the named modalities; one that is unknown here has two channels at 32 Hz and four columns."""
    return InputSpec(
        signals={m: shapes.get(m, (2, 32.0)) for m in modalities},
        features={m: COLUMNS.get(m, 4) for m in modalities},
        traits=traits,
        outputs=outputs,
        continuous=continuous,
        window_s=window_s,
        hop_s=hop_s,
    )


def make_batch(spec: InputSpec, n: int, seed: int = 0) -> Batch:
    """Windows of noise, each with oscillations, loudness and offset of its own; everything present and observed."""
    g = torch.Generator().manual_seed(seed)
    signals = {}
    for name, (channels, rate_hz) in spec.signals.items():
        samples = round(rate_hz * spec.window_s)
        time_s = torch.arange(samples) / rate_hz
        hz = torch.rand(n, channels, 1, generator=g) * rate_hz * 0.3
        loud = torch.rand(n, channels, 1, generator=g) * 2 + 0.2
        noise = torch.randn(n, channels, samples, generator=g) * 0.5
        offset = torch.randn(n, channels, 1, generator=g) * 0.5
        signals[name] = torch.sin(2 * torch.pi * hz * time_s) * loud + noise + offset
    return Batch(
        signals=signals,
        observed={m: torch.ones(n, v.shape[-1], dtype=torch.bool) for m, v in signals.items()},
        elapsed_s={m: torch.full((n, v.shape[-1], 1), 1 / spec.signals[m][1]) for m, v in signals.items()},
        features={m: torch.randn(n, columns, generator=g) for m, columns in spec.features.items()},
        traits=torch.randn(n, spec.traits, generator=g),
        present=torch.ones(n, len(signals), dtype=torch.bool),
    )


def rows_of(batch: Batch, rows: slice) -> Batch:
    """Some windows of a batch."""
    return Batch(
        *({m: v[rows] for m, v in part.items()} for part in (batch.signals, batch.observed, batch.elapsed_s)),
        features={m: v[rows] for m, v in batch.features.items()},
        traits=batch.traits[rows],
        present=batch.present[rows],
    )


def absent(batch: Batch, modality: str, fill: float) -> Batch:
    """The batch without one modality, ``fill`` standing in its samples."""
    column = list(batch.signals).index(modality)
    present = batch.present.clone()
    present[:, column] = False
    return Batch(
        signals={m: torch.full_like(v, fill) if m == modality else v for m, v in batch.signals.items()},
        observed={m: torch.zeros_like(v) if m == modality else v for m, v in batch.observed.items()},
        elapsed_s=batch.elapsed_s,
        features={m: torch.full_like(v, torch.nan) if m == modality else v for m, v in batch.features.items()},
        traits=batch.traits,
        present=present,
    )
