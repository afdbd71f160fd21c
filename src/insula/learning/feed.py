"""Labelled windows served in batches, and a model called on one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from insula.learning.batches import Item, LabelledBatch, Prepared, batches, by_length, chosen
from insula.learning.prefetch import prefetched
from insula.learning.train_config import TrainConfig
from insula.types import ModelOutput

BUFFER_BYTES = 256 << 20
"""Size of the buffer in which single windows are shuffled when signals do not stay in memory."""
LEAST_STEPS = 6
"""Batches are not made so large that an epoch has fewer steps than this."""


class Feed:
    """Serves the labelled windows of a set in batches, as stretches or as single windows.

    Signals that are not kept in memory are read ahead in a thread. Single windows are then shuffled inside blocks of
    whole trials of at most `BUFFER_BYTES`, the trials in random order.
    """

    def __init__(self, prepared: Prepared, scope: str) -> None:
        self.prepared, self.scope = prepared, scope
        self.items: list[Item] = [] if scope == "window" else prepared.items(scope)
        self._whole: LabelledBatch | None = None

    def __len__(self) -> int:
        return int((self.prepared.asked >= 0).sum())

    @property
    def weight(self) -> float:
        """Sum of the weights of the labelled windows in the loss."""
        asked = self.prepared.asked
        return float(self.prepared.weights[asked[asked >= 0]].astype(np.float64).sum())

    def steps(self, size: int) -> int:
        """Count the batches of one pass."""
        return -(-len(self) // (16 * size)) if self.scope == "window" else -(-len(self.items) // size)

    def batch_size(self, config: TrainConfig) -> int:
        """Stretches a training step: ``batch_trials``, more where they are short and many."""
        if self.scope == "window" or not self.items:
            return config.batch_trials
        seconds = float(np.median([len(item) for item in self.items])) * self.prepared.windows.recipe.hop_s
        return max(config.batch_trials, min(int(config.batch_s / seconds), len(self.items) // LEAST_STEPS))

    def fitting(self, size: int) -> int:
        """At most ``size`` stretches: as many of the longest as `BUFFER_BYTES` hold, where signals are not kept."""
        signals = self.prepared.signals
        if signals.kept or not self.items:
            return size
        longest = max(sum(map(signals.size_bytes, item.trials)) for item in self.items)
        return max(1, min(size, BUFFER_BYTES // max(1, longest)))

    def each(self, size: int, rng: np.random.Generator | None = None) -> Iterator[LabelledBatch]:
        """Yield batches, shuffled when a generator is given."""
        made = self._singles(16 * size, rng) if self.scope == "window" else self._stretches(size, rng)
        return made if self.prepared.signals.kept else prefetched(made)

    def _stretches(self, size: int, rng: np.random.Generator | None) -> Iterator[LabelledBatch]:
        items = self.items
        if rng is not None and self.scope == "session":
            items = [_late_start(item, rng) for item in items]
        order = by_length(items) if rng is None else rng.permutation(len(items))
        whole = self._stacked() if items is self.items else None
        for k, group in enumerate(batches(items, size, order)):
            if whole is None:
                yield self.prepared.stretches(group)
            else:
                yield chosen(whole, order[k * size : (k + 1) * size], max(map(len, group)))

    def _stacked(self) -> LabelledBatch | None:
        """All stretches padded to one length, made once; None where that would fill the memory."""
        if self._whole is None and self.prepared.signals.kept and self.items:
            specs = self.prepared.windows.schema.modalities.values()
            sample_bytes = sum(4 * (len(spec.channels) + 1) * spec.rate_hz for spec in specs)
            longest_s = max(map(len, self.items)) * self.prepared.windows.recipe.hop_s
            if len(self.items) * longest_s * sample_bytes < BUFFER_BYTES:
                self._whole = self.prepared.stretches(self.items)
        return self._whole

    def _singles(self, size: int, rng: np.random.Generator | None) -> Iterator[LabelledBatch]:
        rows = np.flatnonzero(self.prepared.asked >= 0)
        if self.prepared.signals.kept:
            yield from self._cut(rows if rng is None else rng.permutation(rows), size)
            return
        own = None if rng is None else np.random.default_rng(int(rng.integers(2**63)))  # used in another thread
        left = rows[:0]  # of the block before, too few for a batch
        for keys, block in self.prepared.blocks(rows, BUFFER_BYTES, own):
            self.prepared.signals.hold(keys)
            mixed = np.concatenate([left, block if own is None else own.permutation(block)])
            whole = len(mixed) // size * size
            yield from self._cut(mixed[:whole], size)
            left = mixed[whole:]
        self.prepared.signals.hold(())
        yield from self._cut(left, size)

    def _cut(self, rows: NDArray[np.int64], size: int) -> Iterator[LabelledBatch]:
        for i in range(0, len(rows), size):
            yield self.prepared.singles(rows[i : i + size])


def run(model: nn.Module, part: LabelledBatch, scope: str) -> ModelOutput:
    """Call a model on a batch; logits come back as (B, N, K) in every scope."""
    if scope != "window":
        out: ModelOutput = model.sequence(part.batch)  # type: ignore[operator]
        return out
    out = model(part.batch)
    return ModelOutput(
        out.logits.unsqueeze(1),
        out.embedding.unsqueeze(1),
        out.state,
        {k: v.unsqueeze(1) for k, v in out.attention.items()},
        {k: v.unsqueeze(1) if isinstance(v, Tensor) and v.dim() else v for k, v in out.extras.items()},
    )


def _late_start(item: Item, rng: np.random.Generator) -> Item:
    """Drop a random number of a session's first trials, so that a position in the session says nothing."""
    if len(item.trials) < 2:
        return item
    first = int(rng.integers(0, len(item.trials)))
    begin = sum(item.hops[:first])
    if not item.labelled[begin:].any():
        return item
    gaps: Sequence[float] = (0.0, *item.gaps_s[first + 1 :])
    return Item(item.trials[first:], item.hops[first:], tuple(gaps), item.rows[begin:], item.labelled[begin:])
