"""How long cells will take: from what finished cells took, else from the size of the data and the kind of system."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from insula.errors import InsulaError
from insula.grid.cell import NO_DATA, Outcome
from insula.grid.grid import Cell

if TYPE_CHECKING:
    from insula.types import Recording

_GUESS_S = 20.0
"""A cell of which nothing is known, in seconds."""
_USUAL = 4 * (14 * 128 + 64 + 4 + 4 + 1)


@dataclass(frozen=True)
class Size:
    """People, scored windows, and samples and seconds of a window; ``why`` says what is missing.

    ``hops`` is how many hops a window has.
    """

    people: int = 0
    windows: int = 0
    samples: int = 0
    window_s: float = 0.0
    hops: float = 1.0
    why: str = ""


class Forecast:
    """Seconds of cells; it learns from every cell that ends."""

    def __init__(
        self, folder: Path, cells: Iterable[Cell], known: Mapping[str, Outcome], sizes: Mapping[str, Size] | None = None
    ) -> None:
        self.folder = folder
        self._sizes = dict(sizes or {})
        self._seen: dict[tuple[str, ...], list[float]] = {}
        for cell in cells:
            outcome = known.get(cell.key)
            if outcome is not None and outcome.state == "done":
                self.learn(cell, outcome.seconds)

    def learn(self, cell: Cell, seconds: float) -> None:
        """Remember what a cell took."""
        for name in _likenesses(cell):
            self._seen.setdefault(name, []).append(seconds)

    def seconds(self, cell: Cell) -> float:
        """Forecast a cell's own work in seconds: the median of the cells most like it."""
        names = _likenesses(cell)
        size = self._sizes.get(_where(cell))
        for name in names if size is None else names[:2]:
            if name in self._seen:
                return statistics.median(self._seen[name])
        if size is None:
            return _GUESS_S
        return 0.0 if size.why else _work(cell, size)

    def total(self, cells: Iterable[Cell], jobs: int, limit_s: float | None) -> float:
        """Forecast the seconds that ``jobs`` workers need for these cells, each stopped at its limit."""
        each = [min(self.seconds(c), limit_s or float("inf")) for c in cells]
        return max(sum(each) / jobs, max(each, default=0.0))


def sizes(cells: Iterable[Cell]) -> dict[str, Size]:
    """Count the people and windows of every data set that the cells need, by reading (not cleaning) it once."""
    found: dict[str, Size] = {}
    read: dict[str, tuple[Recording, ...] | str] = {}
    for cell in cells:
        if _where(cell) not in found:
            if cell.source not in read:
                read = {cell.source: _read(cell)}  # one data set in memory at a time
            found[_where(cell)] = _size(cell, read[cell.source])
    return found


def size_of(cell: Cell, found: Mapping[str, Size]) -> Size:
    """The size of a cell's data."""
    return found[_where(cell)]


def _where(cell: Cell) -> str:
    return f"{cell.source}|{cell.experiment.data.modalities}|{sorted(cell.experiment.recipe.items(), key=str)}"


def _likenesses(cell: Cell) -> list[tuple[str, ...]]:
    """Names under which a cell's time is remembered, from the most to the least alike."""
    return [
        (cell.label, cell.target, cell.protocol, cell.system),
        (cell.label, cell.protocol, cell.system),
        (cell.system,),
        (),
    ]


def _read(cell: Cell) -> tuple[Recording, ...] | str:
    """Recordings of a cell, or what keeps them from being read."""
    from insula.pipeline.reading import read_recordings

    root = cell.experiment.data.root
    if root is not None and not Path(root).exists():
        return NO_DATA
    try:
        return read_recordings(cell.experiment, [])
    except InsulaError as error:
        return str(error)


def _size(cell: Cell, recordings: tuple[Recording, ...] | str) -> Size:
    from insula.data import info
    from insula.evaluation.experiment import apply_recipe

    if isinstance(recordings, str):
        return Size(why=recordings)
    recipe = apply_recipe(info(cell.experiment.data.name).recipe, cell.experiment.recipe)
    wanted = cell.experiment.data.modalities or tuple(recipe.signals)
    windows = 0
    channels: dict[str, int] = {}
    for trial in (t for r in recordings for t in r.trials):
        channels |= {m: len(s.channels) for m, s in trial.signals.items() if m in wanted and m in recipe.signals}
        if trial.role == "trial":
            spare = trial.stop_s - trial.start_s - recipe.guard_s - recipe.window_s
            windows += max(0, int(spare // recipe.hop_s) + 1)
    rate = sum(recipe.signals[m].rate_hz * n for m, n in channels.items())
    people = len({r.subject for r in recordings})
    return Size(people, windows, round(recipe.window_s * rate), recipe.window_s, recipe.hops_per_window)


def _work(cell: Cell, size: Size) -> float:
    from insula.learning.classical_rows import CLASSICAL
    from insula.learning.train_config import TrainConfig
    from insula.models import card
    from insula.protocols.protocols import PROTOCOLS

    experiment = cell.experiment
    protocol = PROTOCOLS[experiment.protocol.name]
    people = max(1, size.people)
    folds = protocol.parts(people, experiment.protocol.folds)
    # A personal protocol fits folds times a person, on that person's windows only.
    fits = folds * (people if protocol.personal else 1)
    rows = size.windows / (people if protocol.personal else 1) * (folds - 1) / max(folds, 2)
    fits *= 1 + experiment.protocol.null
    name = experiment.model.name
    if name in CLASSICAL:
        return fits * CLASSICAL[name].fit_s * (1 + rows / 2000)
    train = TrainConfig(**experiment.train)
    facts = card(name)
    step_s = facts.window_cost_s * (0.1 + 0.9 * _weight(size, facts.step))
    tried = len(experiment.tune.candidates) * experiment.tune.folds
    asked = experiment.compare.variants
    variants = 1 + len(facts.usual if asked is None else asked) + bool(train.unlabelled_epochs)
    return fits * variants * (1 + tried) * experiment.model.members * (0.15 + train.most_epochs * rows * step_s)


def _weight(size: Size, step: bool) -> float:
    """Work of a window in usual ones: a step model reads each sample once, another every window anew."""
    if step:
        return size.samples / size.hops / (_USUAL / 2)
    # By samples and by seconds alike: what reads slow signals on a fast grid works for their length.
    return (size.samples / _USUAL + size.window_s / 4) / 2
