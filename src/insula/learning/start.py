"""How a network with a readout starts: from the convex solution, its deep path kept only where inner folds gain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from insula.learning.batches import to_device
from insula.learning.feed import Feed, run
from insula.learning.readout import Readout, Rows, Split, loss, refitted
from insula.types import DoubleArray, FloatArray

GATES = (0.5, 1.0)
"""Shares of the deep path that are tried beside none of it."""


@dataclass(frozen=True)
class Kept:
    """How much of the deep path is kept, and the loss of held-out inner rows without it and with it, a split each."""

    gate: float
    without: tuple[float, ...] = ()
    with_it: tuple[float, ...] = ()

    @property
    def told(self) -> str:
        """In words, for notes."""
        if not self.without:
            return "deep path not judged: no inner split exists"
        gain = float(np.mean(self.without) - np.mean(self.with_it))
        share = "all of the deep path kept" if self.gate == 1 else f"{self.gate:.0%} of the deep path kept"
        return f"{share if self.gate else 'deep path not kept'}: loss of held-out inner rows {-gain:+.3f} with it"


@dataclass(frozen=True)
class Begun:
    """What a network starts from: the readout, how much of the deep path is kept, and the readout's training loss."""

    readout: Readout
    gate: float
    loss: float
    told: str = ""


def starts_from_readout(network: nn.Module) -> bool:
    """Whether a network can take a fitted readout: has ``readout_columns`` and ``start_readout``."""
    return callable(getattr(network, "start_readout", None))


def readout_rows(network: nn.Module, feed: Feed, device: torch.device) -> Rows | None:
    """Gather what the readout sees of every labelled window of a feed; None where the network has no readout."""
    prepared, found = feed.prepared, None
    network.to(device).eval()
    with torch.no_grad():
        for part in feed.each(feed.fitting(32)):
            columns = network.readout_columns(to_device(part, device).batch)  # type: ignore[operator]
            if columns is None:
                return None
            keep = part.row >= 0
            if found is None:
                found = np.zeros((len(feed), columns.shape[-1]), np.float32)
            found[part.row[keep].numpy()] = columns.cpu()[keep].numpy()
    if found is None:
        return None
    mine = np.flatnonzero(prepared.asked >= 0)
    place = np.argsort(prepared.asked[mine], kind="stable")
    rows = prepared.windows.table.iloc[mine[place]]
    trial = rows.groupby(["subject", "session", "trial"], sort=False).ngroup().to_numpy()
    return Rows(found, prepared.y[mine[place]], prepared.weights, trial.astype(np.int64))


def start(network: nn.Module, readout: Readout, gate: float = 1.0) -> None:
    """Put a fitted readout into a network and set how much of the deep path is in its answer."""
    network.start_readout(torch.from_numpy(readout.weight), torch.from_numpy(readout.bias))  # type: ignore[operator]
    network.gate.fill_(gate)  # type: ignore[operator]


def judged(
    rows: Rows,
    readout: Readout,
    splits: Sequence[Split],
    classes: int,
    trained: Callable[[Split, Readout], nn.Module],
    answers: Callable[[nn.Module, Split], DoubleArray],
) -> Kept:
    """Train the deep path beside the readout inside each split and keep the share that lowers the held-out loss in all.

    ``trained`` makes a network that starts from the given readout and learns from the split's first part; ``answers``
    gives its logits on the second, with all of the deep path.
    """
    if not splits:
        return Kept(1.0)
    without: list[float] = []
    tried: dict[float, list[float]] = {gate: [] for gate in GATES}
    for part in splits:
        inside, held_out = part
        alone = refitted(rows.take(inside), readout, classes)
        judge = rows.take(held_out)
        short = alone.answer(judge.columns)
        without.append(loss(short, judge.y, classes))
        deep = answers(trained(part, alone), part) - short  # a gate of 1
        for gate in GATES:
            tried[gate].append(loss(short + gate * deep, judge.y, classes))
        if all(losses[-1] >= without[-1] for losses in tried.values()):
            break  # no share gains in every split any more
    best = min(GATES, key=lambda gate: float(np.mean(tried[gate])))
    gains = all(now < before for now, before in zip(tried[best], without, strict=True))
    return Kept(best if gains else 0.0, tuple(without), tuple(tried[best]))


def logits_of(network: nn.Module, feed: Feed, device: torch.device) -> DoubleArray:
    """Logits of the labelled windows of a feed, in their order."""
    out: FloatArray | None = None
    network.eval()
    with torch.no_grad():
        for part in feed.each(feed.fitting(32)):
            found = run(network, to_device(part, device), feed.scope).logits.cpu()
            keep = part.row >= 0
            if out is None:
                out = np.zeros((len(feed), found.shape[-1]), np.float32)
            out[part.row[keep].numpy()] = found[keep].numpy()
    return np.zeros((0, 1)) if out is None else out.astype(np.float64)
