"""Finished fits on disk while a run goes on, so that the same run, begun again, computes only what is missing."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np

from insula.errors import InsulaError
from insula.evaluation.experiment import Experiment
from insula.evaluation.fits import Fit
from insula.evaluation.rows import RowPlan
from insula.evaluation.saved import MODEL_FILE
from insula.files import read_json, replacing
from insula.learning.estimator import Estimator
from insula.learning.learner import Learner
from insula.learning.prior import own_of
from insula.learning.saving import load_model
from insula.learning.train import History
from insula.models import ENCODERS, MODELS, card
from insula.models.encoders.weights import Folder
from insula.processes import named_modules
from insula.types import FloatArray

PEOPLE = "people.json"
"""File of a folder of kept fits that names the people they come from."""
_FIT, _ANSWER, _POINTS, _MODEL = "fit.json", "answer.npy", "points.npz", "model"


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    """``fit.json``: a `Fit` without its arrays."""

    plan: str
    split: int
    parameters: int | None
    seconds: float
    chosen: int | None
    notes: tuple[str, ...]
    histories: list[History]
    gate: float | None
    prior: float | None
    model: bool
    kept: bool
    strategy: str = ""


@dataclass(frozen=True)
class Finished:
    """A folder of finished fits of one run, a folder each, complete or not there."""

    folder: Path
    device: str = "cpu"

    @property
    def count(self) -> int:
        """Fits that are there."""
        return sum(1 for place in self.folder.glob("[!.]*") if place.is_dir()) if self.folder.is_dir() else 0

    def read(self, stage: str, index: int, plan: RowPlan) -> Fit | None:
        """Return a fit of a row that is there; None for one that is not, or that cannot be read."""
        place = self._place(stage, index)
        if not place.is_dir():
            return None
        try:
            told = read_json(place / _FIT, _Told, "a finished fit")
            answer = np.load(place / _ANSWER, allow_pickle=False)
            points = _read_points(place / _POINTS)
            model = load_model(place / _MODEL, self.device, plan.factory) if told.model or told.kept else None
        except (InsulaError, ValueError, OSError, EOFError):
            return None
        if plan.keep and not told.kept:
            return None
        network = None if model is None else own_of(model)
        if isinstance(network, Estimator):
            network.histories = told.histories
        return Fit(
            told.plan, told.split, answer, told.parameters, told.seconds, told.chosen,
            network if told.model and isinstance(network, Estimator) else None, told.notes, tuple(told.histories),
            told.gate, told.prior, model if told.kept else None, points, told.strategy,
        )  # fmt: skip

    def write(self, stage: str, index: int, fit: Fit) -> None:
        """Keep a fit."""
        told = _Told(
            fit.plan, fit.split, fit.parameters, fit.seconds, fit.chosen, fit.notes, list(fit.histories), fit.gate,
            fit.prior, fit.model is not None, fit.kept is not None, fit.strategy,
        )  # fmt: skip
        model = fit.model if fit.kept is None else fit.kept
        with replacing(self._place(stage, index)) as work:
            np.save(work / _ANSWER, fit.predictions, allow_pickle=False)
            if fit.points:
                np.savez(work / _POINTS, **fit.points)
            if model is not None:
                model.save(work / _MODEL)
            (work / _FIT).write_bytes(msgspec.json.encode(told))

    def model(self, stage: str, index: int, train: Callable[[], Learner]) -> Learner:
        """Return a trained model that was kept; train and keep it otherwise."""
        place = self._place(stage, index)
        try:
            return load_model(place, self.device)
        except InsulaError:
            model = train()
            model.save(place)
            return model

    @contextmanager
    def open(self, people: Iterable[str]) -> Iterator[None]:
        """Keep fits of ``people`` inside, whom the folder names so that they can be forgotten.

        An interrupt has a note that says what is kept; where that is nothing, no folder stays.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / PEOPLE).write_bytes(msgspec.json.encode({"subjects": sorted(map(str, people))}))
        try:
            yield
        except BaseException as stop:
            if not self.count:
                shutil.rmtree(self.folder, ignore_errors=True)
            elif isinstance(stop, KeyboardInterrupt):
                stop.add_note(f"{self.sentence}; the same command goes on from there.")
            raise

    @property
    def sentence(self) -> str:
        """How much is kept, and where."""
        count = self.count
        how = "1 finished fit of this run is" if count == 1 else f"{count:,} finished fits of this run are"
        return f"{how} kept in {self.folder}"

    def _place(self, stage: str, index: int) -> Path:
        return self.folder / f"{stage.replace(' ', '-')}-{index:05d}"


def _read_points(path: Path) -> dict[str, FloatArray]:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


def run_key(experiment: Experiment, data_hash: str, device: str) -> str:
    """32 hexadecimal digits that name a run by its experiment, its data, the program and what computes."""
    told = {
        "experiment": experiment.to_dict(),
        "data": data_hash,
        "code": _code(experiment),
        "learned_from": _learned_from(experiment),
        "versions": {name: version(name) for name in ("torch", "numpy", "scipy", "scikit-learn", "numba")},
        "machine": [platform.machine(), platform.python_version(), device],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _learned_from(experiment: Experiment) -> list[str]:
    """SHA-256 of what stands for the saved models and for the weights of others that a network learns from."""
    model = experiment.model
    places = [
        Path(folder) / file for folder in (model.teacher, model.start) if folder for file in (MODEL_FILE, "result.json")
    ]
    found = [hashlib.sha256(place.read_bytes()).hexdigest() for place in places if place.is_file()]
    if model.name in ENCODERS:
        found.append(Folder(str(model.options.get("weights", "")), card(model.name)).sha256.hex())
    return found


def _code(experiment: Experiment) -> str:
    """SHA-256 of insula's own sources and of the user's modules."""
    found = hashlib.sha256()
    waiting = [resources.files("insula")]
    while waiting:
        for one in sorted(waiting.pop().iterdir(), key=lambda entry: entry.name):
            if one.is_dir():
                waiting.append(one)
            elif one.name.endswith(".py"):
                found.update(one.read_bytes())
    for module in _own_modules(experiment):
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None and Path(spec.origin).is_file():
            found.update(Path(spec.origin).read_bytes())
    return found.hexdigest()


def _own_modules(experiment: Experiment) -> list[str]:
    """Modules of the user's: those imported for their readers, rows and networks, and those of registered networks."""
    networks = [MODELS.get(name, "") for name in (experiment.model.name, *experiment.compare.models)]
    return sorted({*named_modules(), *(kind.__module__ for kind in networks if not isinstance(kind, str))})
