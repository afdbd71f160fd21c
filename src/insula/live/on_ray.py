"""Crowds as Ray actors: people shared out over processes or machines, each with a model of its own in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from insula.errors import InputError
from insula.live.chunks import Event
from insula.live.crowd import Crowd
from insula.live.predictor import Decision, Predictor


class Worker:
    """One actor: a share of the people on one core."""

    def __init__(self, model: str, people: int) -> None:
        import torch

        from insula.learning.saving import load_model

        torch.set_num_threads(1)
        self._crowd = Crowd(Predictor(load_model(model)), people, ThreadPoolExecutor(1), 1)

    def step(self, events: Sequence[Iterable[Event]]) -> list[list[Decision]]:
        """As `Crowd.step`, for this actor's people."""
        return self._crowd.step(events)


class Workers:
    """A crowd over ``workers`` actors of a Ray that runs already (``ray.init`` is the caller's)."""

    def __init__(self, model: Path, people: int, workers: int) -> None:
        if find_spec("ray") is None:
            raise InputError("ray not installed; expected insula[scale]. pip install 'insula[scale]'.")
        if not 1 <= workers <= people:
            raise InputError(f"{workers} workers for {people} people; expected 1 to {people}.")
        import ray

        self._ray: Any = ray
        self.shares = [range(k, people, workers) for k in range(workers)]
        remote = ray.remote(num_cpus=1)(Worker)
        self._actors = [remote.remote(str(model), len(share)) for share in self.shares]

    def step(self, events: Sequence[Iterable[Event]]) -> list[list[Decision]]:
        """Give each person's events in; return each person's decisions."""
        asked = [
            actor.step.remote([list(events[i]) for i in share])
            for actor, share in zip(self._actors, self.shares, strict=True)
        ]
        out: list[list[Decision]] = [[] for _ in events]
        for share, found in zip(self.shares, self._ray.get(asked), strict=True):
            for person, decisions in zip(share, found, strict=True):
                out[person] = decisions
        return out

    def close(self) -> None:
        """End the actors."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []
