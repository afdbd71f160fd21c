"""What is wrong with a signal: stuck samples and bad channels as the Cleaner sees them, and a report a trial."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from insula.types import BoolArray, DoubleArray, FloatArray, IntArray

FLAGS = ("flat", "clipped", "gap", "line noise", "motion")
"""What may be wrong with a stretch of one modality."""
CLIP_S = 0.06
"""A high-passed signal is clipped once it has rested at its extreme so far for this long (and 5 samples)."""
BLOCK_S = 0.5
"""Channels are judged once a block; the verdict holds for the next block, so that nothing waits for it."""
BAD_MEMORY_S = 4.0
"""Time constant of the running log deviation by which a channel is judged."""
BAD_RATIO, GOOD_RATIO = 10.0, 5.0
"""A channel is bad from this multiple of the median deviation on, and good again below the second."""
DEAD_RATIO, ALIVE_RATIO = 1 / 50, 1 / 25
"""A channel is flat below this fraction of the median deviation, and good again above the second."""
FURTHEST = math.log(1000.0)
"""Log deviations are clipped here, so that a channel that recovers is soon believed."""


def window_shares(seconds: FloatArray, first_s: DoubleArray, window_s: float) -> FloatArray:
    """Average the shares of seconds (flags, S) over windows that begin ``first_s`` (N,) seconds into the trial.

    Seconds that a window holds in part count in part; seconds without a verdict (NaN) do not count.

    Returns
    -------
    shares (N, flags) float32 in 0..1; NaN where no second of the window was judged.
    """
    judged = np.isfinite(seconds)
    marked = _integral(np.where(judged, seconds, 0.0), first_s, window_s)  # (N, flags) in seconds
    known = _integral(judged.astype(np.float64), first_s, window_s)
    share = np.divide(marked, known, out=np.full(marked.shape, np.nan), where=known > 1e-6)
    return np.asarray(np.clip(share, 0.0, 1.0), np.float32)


def _integral(seconds: DoubleArray, first_s: DoubleArray, window_s: float) -> DoubleArray:
    """Integrate a curve of steps of one second (flags, S) over windows, (N, flags)."""
    total = np.concatenate([np.zeros((len(seconds), 1)), np.cumsum(seconds, axis=1, dtype=np.float64)], axis=1)

    def up_to(at: DoubleArray) -> DoubleArray:
        inside = np.clip(at, 0.0, seconds.shape[1])
        whole = np.minimum(inside.astype(np.int64), max(0, seconds.shape[1] - 1))
        after = np.minimum(whole + 1, seconds.shape[1])
        return np.asarray(total[:, whole] + (total[:, after] - total[:, whole]) * (inside - whole))

    begin = np.asarray(first_s, np.float64)
    return np.asarray((up_to(begin + window_s) - up_to(begin)).T)


class Judge(NamedTuple):
    """Running verdict on channels: sums over the block so far, mean log deviation, verdict, counts of blocks."""

    total: DoubleArray  # (C,)
    squares: DoubleArray  # (C,)
    samples: int
    log_deviation: DoubleArray  # (C,) relative to the median channel
    bad: BoolArray  # (C,)
    bad_blocks: IntArray  # (C,)
    blocks: int


def new_judge(channels: int) -> Judge:
    """Return the verdict before the first sample: every channel is good."""
    zero, none = np.zeros(channels), np.zeros(channels, np.int64)
    return Judge(zero, zero, 0, zero, np.zeros(channels, bool), none, 0)


def judge_channels(x: DoubleArray, judge: Judge, rate_hz: float) -> tuple[BoolArray, Judge]:
    """Judge high-passed channels (C, T), T > 0, by their deviation against the median channel.

    Returns
    -------
    bad (C, T), judge : the verdict in force at each sample comes from the blocks before.
    """
    size = max(2, round(BLOCK_S * rate_hz))
    edges = np.arange(-judge.samples, x.shape[1], size)
    edges[0] = 0
    total, squares = np.add.reduceat(x, edges, axis=1), np.add.reduceat(x * x, edges, axis=1)  # (C, blocks)
    total[:, 0] += judge.total
    squares[:, 0] += judge.squares
    samples = judge.samples + x.shape[1]
    complete = samples // size
    variance = np.maximum(squares[:, :complete] / size - (total[:, :complete] / size) ** 2, 1e-24)
    deviation = 0.5 * np.log(variance)
    deviation = np.clip(deviation - np.median(deviation, axis=0), -FURTHEST, FURTHEST)

    running, bad, verdicts = judge.log_deviation, judge.bad, [judge.bad]
    for block in range(complete):  # a half second each
        weight = max(BLOCK_S / BAD_MEMORY_S, 1 / (judge.blocks + block + 1))
        running = running + weight * (deviation[:, block] - running)
        high = np.where(bad, math.log(GOOD_RATIO), math.log(BAD_RATIO))
        low = np.where(bad, math.log(ALIVE_RATIO), math.log(DEAD_RATIO))
        bad = (running > high) | (running < low)
        verdicts.append(bad)
    table = np.stack(verdicts, axis=1)  # (C, blocks + 1)
    in_force = table[:, (judge.samples + np.arange(x.shape[1])) // size]
    rest = samples - complete * size
    open_block = rest > 0 and len(edges) > complete
    empty = np.zeros(len(x))
    return in_force, Judge(
        total[:, complete] if open_block else empty,
        squares[:, complete] if open_block else empty,
        rest,
        running,
        bad,
        judge.bad_blocks + table[:, 1:].sum(axis=1),
        judge.blocks + complete,
    )


def flat_or_clipped(
    held: DoubleArray, last: DoubleArray, run: IntArray, extremes: DoubleArray, rate_hz: float, flat_s: float
) -> tuple[BoolArray, IntArray, DoubleArray]:
    """Find samples (C, T) whose value has not changed for ``flat_s``, or for `CLIP_S` at the extreme so far.

    ``last`` (C,), ``run`` (C,) and ``extremes`` (2, C) continue the chunk before. Only the past is used, so the first
    samples of a stretch are not marked.

    Returns
    -------
    stuck (C, T), run (C,), extremes (2, C).
    """
    flat_n, clip_n = max(3, math.ceil(flat_s * rate_hz)), max(5, math.ceil(CLIP_S * rate_hz))
    low = np.fmin(extremes[0], np.fmin.reduce(held, axis=1))
    high = np.fmax(extremes[1], np.fmax.reduce(held, axis=1))
    changed = np.empty(held.shape, bool)
    changed[:, 0] = held[:, 0] != last
    np.not_equal(held[:, 1:], held[:, :-1], out=changed[:, 1:])
    index = np.arange(held.shape[1])
    since = np.maximum.accumulate(np.where(changed, index, -1), axis=1)  # (C, T) start of the run, -1: before
    length = np.where(since >= 0, index - since + 1, index + 1 + run[:, None])
    stuck = length >= flat_n
    long = (length >= clip_n) & ~stuck
    if long.any():
        lows = np.fmin(np.fmin.accumulate(held, axis=1), extremes[0][:, None])
        highs = np.fmax(np.fmax.accumulate(held, axis=1), extremes[1][:, None])
        stuck |= long & ((held == lows) | (held == highs))
    return stuck, length[:, -1], np.stack([low, high])
