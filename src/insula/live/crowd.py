"""Many people at once in one process: seats in shards on a few threads, each shard's hops decided on together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor

from insula.live.chunks import Event
from insula.live.predictor import Decision, Predictor
from insula.live.seat import PATIENCE_S, Hop

BATCH = 64
"""People decided on at once: larger batches leave the processor's cache."""


class Crowd:
    """Seats for many people who share one model.

    Cleaning runs seat by seat (numpy and scipy release the interpreter lock), features and networks run over all hops
    that are due in a shard. What one person gets does not depend on the others (to 1e-5 in float32).

    Parameters
    ----------
    predictor : the model.
    people : how many seats.
    pool : runs the shards; ``shards`` should be its number of threads.
    """

    def __init__(
        self, predictor: Predictor, people: int, pool: Executor, shards: int, patience_s: float = PATIENCE_S
    ) -> None:
        self.predictor, self.pool = predictor, pool
        self.seats = [predictor.seat(patience_s) for _ in range(people)]
        self.shards = [range(k, people, shards) for k in range(shards)]

    def step(self, events: Sequence[Iterable[Event]], now_s: float | None = None) -> list[list[Decision]]:
        """Give each person's events in; return each person's decisions, whole windows only."""
        out: list[list[Decision]] = [[] for _ in self.seats]
        for seat, new in zip(self.seats, events, strict=True):
            seat.offer(new)
        for done in self.pool.map(lambda shard: self._shard(shard, now_s), self.shards):
            for person, decision in done:
                out[person].append(decision)
        return out

    def _shard(self, people: range, now_s: float | None) -> list[tuple[int, Decision]]:
        """Take a hop of every person who has one due, decide, and go on until nobody has."""
        out: list[tuple[int, Decision]] = []
        waiting = list(people)
        while waiting:
            due: list[tuple[int, Hop]] = []
            for person in waiting:
                hop = self.seats[person].next_hop(now_s)
                if hop is not None:
                    due.append((person, hop))
            for k in range(0, len(due), BATCH):
                part = due[k : k + BATCH]
                decisions = self.predictor.decide([hop for _, hop in part])
                pairs = zip(part, decisions, strict=True)
                out += [(person, decision) for (person, _), decision in pairs if decision.kind != "early"]
            waiting = [person for person, _ in due]
        return out
