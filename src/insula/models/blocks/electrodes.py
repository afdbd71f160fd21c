"""Attention between electrodes averaged over windows, and the same with electrodes shuffled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from insula.errors import InputError
from insula.types import Batch, DoubleArray, ModelOutput


def shuffle_electrodes(batch: Batch, generator: torch.Generator) -> Batch:
    """Return the batch with the electrodes of every EEG window in a random order of its own: the control.

    What attention keeps under it comes from the electrodes' learned identity, not from what they measured.
    """
    eeg = batch.signals["eeg"]
    order = torch.rand(eeg.shape[:2], generator=generator).argsort(dim=1).to(eeg.device)  # (B, C)
    shuffled = torch.gather(eeg, 1, order.unsqueeze(-1).expand_as(eeg))
    return replace(batch, signals={**batch.signals, "eeg": shuffled})


def electrode_matrix(model: nn.Module, batches: Iterable[Batch], *, shuffle_seed: int | None = None) -> DoubleArray:
    """Average the electrode x electrode attention over windows, layers and heads.

    Parameters
    ----------
    model : any model that returns ``attention["electrode"]`` (B, layers, heads, C, C).
    batches : the windows to average over; windows without EEG are left out.
    shuffle_seed : with a seed, the electrodes of each window are shuffled first (`shuffle_electrodes`).

    Returns (C, C) float64, row electrode attends to column electrode, rows summing to 1.
    """
    generator = None if shuffle_seed is None else torch.Generator().manual_seed(shuffle_seed)
    total: Tensor | None = None
    n_windows = 0
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                given = batch if generator is None else shuffle_electrodes(batch, generator)
                output: ModelOutput = model(given)
                present = batch.present[:, list(batch.signals).index("eeg")]
                kept = output.attention["electrode"][present].double()
                part = kept.mean(dim=(1, 2)).sum(dim=0)  # (C, C)
                total = part if total is None else total + part
                n_windows += int(present.sum())
    finally:
        model.train(training)
    if total is None or n_windows == 0:
        raise InputError("no windows with EEG; expected at least one. Give windows in which eeg is present.")
    matrix: DoubleArray = (total / n_windows).cpu().numpy()
    return matrix
